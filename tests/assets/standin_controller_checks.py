# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the stand-in of the controller accepts as a survey and as a credential type.

Facts of AWX's own source: JobTemplateSurveySpec, CredentialTypeInputField and
CredentialTypeInjectorField. Of the versions the strictest counts, and what the real one ignores is
refused here: a question or an input with a field that is documented nowhere.
"""

from __future__ import annotations

import re
from typing import Any

QUESTION_TYPES: dict[str, type] = {
    "text": str,
    "textarea": str,
    "password": str,
    "multiplechoice": str,
    "multiselect": str,
    "integer": int,
    "float": float,
}
QUESTION = {
    *("question_name", "question_description", "required", "type", "variable"),
    *("default", "min", "max", "choices", "new_question"),
}
INPUT = {
    *("id", "label", "type", "help_text", "secret", "multiline", "format", "choices", "default"),
    "ask_at_runtime",
}
NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")


class Refused(Exception):
    """A request that is answered with ``status`` and ``said``."""

    def __init__(self, status: int, said: Any) -> None:
        super().__init__(said)
        self.status = status
        self.said = said


def check_survey(spec: dict[str, Any]) -> None:
    def refuse(said: str) -> None:
        raise Refused(400, {"error": said})

    for field, kind in (("name", str), ("description", str), ("spec", list)):
        if field not in spec:
            refuse(f"Field '{field}' is missing from survey spec.")
        elif not isinstance(spec[field], kind):
            refuse(f"Expected {kind.__name__} for field '{field}'.")
    if not spec["spec"]:
        refuse("'spec' doesn't contain any items.")
    if set(spec) != {"name", "description", "spec"}:
        refuse("A survey has name, description and spec alone.")
    seen = set()
    for index, question in enumerate(spec["spec"]):
        for field in ("type", "question_name", "variable", "required"):
            if field not in question:
                refuse(f"'{field}' missing from survey question {index}")
            if not isinstance(question[field], bool if field == "required" else str):
                refuse(f"'{field}' in survey question {index} is of another type.")
        if set(question) - QUESTION:
            refuse(f"{set(question) - QUESTION} in survey question {index} are documented nowhere.")
        if question["type"] not in QUESTION_TYPES:
            refuse(f"'{question['type']}' in survey question {index} is not one of the types.")
        if not NAME.match(question["variable"]) or question["variable"] in seen:
            refuse(f"'variable' '{question['variable']}' in survey question {index}.")
        seen.add(question["variable"])
        default = question.get("default", "")
        if default != "" and not isinstance(default, QUESTION_TYPES[question["type"]]):
            refuse(f"Default value {default} in survey question {index} is of another type.")
        for field in ("min", "max"):
            if not isinstance(question.get(field), (int, type(None))):
                refuse(f"The {field} limit in survey question {index} expected to be integer.")
        if question["type"] in ("multiplechoice", "multiselect"):
            choices = question.get("choices")
            if not isinstance(choices, list) or not all(isinstance(one, str) for one in choices):
                refuse(f"Survey question {index} must specify choices.")
            elif default not in ("", *choices):
                refuse("Default choice must be answered from the choices listed.")


def check_credential_type(whole: dict[str, Any]) -> None:
    if whole.get("kind") not in ("cloud", "net"):
        raise Refused(400, {"kind": [f"Must be 'cloud' or 'net', not {whole.get('kind')}"]})
    inputs, injectors = whole.get("inputs", {}), whole.get("injectors", {})
    if set(inputs) - {"fields", "required"}:
        raise Refused(400, {"inputs": ["Additional properties are not allowed."]})
    for field in inputs.get("fields", ()):
        if set(field) - INPUT or not {"id", "label"} <= set(field) or not NAME.match(field["id"]):
            raise Refused(400, {"inputs": [f"{field} is no field."]})
    ids = {field["id"] for field in inputs.get("fields", ())}
    if not set(inputs.get("required", ())) <= ids:
        raise Refused(400, {"inputs": ["required names what is no field."]})
    if set(injectors) - {"file", "env", "extra_vars"}:
        raise Refused(400, {"injectors": ["Additional properties are not allowed."]})
    for kind, injected in injectors.items():
        for name, template in injected.items():
            used = set(re.findall(r"\{\{\s*([\w.]+)\s*\}\}", str(template)))
            if not isinstance(template, str) or (kind != "file" and not NAME.match(name)):
                raise Refused(400, {"injectors": [f"{name} is not a text."]})
            if not {one for one in used if not one.startswith("tower.")} <= ids:
                raise Refused(400, {"injectors": [f"{name} uses an undefined field"]})
            if kind == "env" and name.startswith("ANSIBLE_"):
                raise Refused(400, {"injectors": [f"Environment variable {name} is not allowed."]})
