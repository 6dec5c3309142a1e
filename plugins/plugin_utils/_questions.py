# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions of a survey in AWX, made from the tables of variables.

A question about the variable NAME is answered as ``survey_NAME`` and not as NAME: extra variables
beat the inventory, and a survey hands over an empty text for what nobody answered. What becomes of
answers stands in ``_answers.py``.

This plugin util is private to the collection.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _plan
from ansible_collections.onehop.llm.plugins.plugin_utils._schema import TYPES, Option, plain

PREFIX = "survey_"
"""Before the variable's name in that of a question."""
KEEP = "as in the inventory"
"""The first choice, which answers nothing: AWX takes the first one where nobody chose."""
NOT_ASKED = (
    "gpu_host_toolkit_packages",
    "gpu_host_toolkit_repository",
)
"""Variables that roles read by themselves, so that no answer reaches them."""
_SECRETS = ("_hub_token", "_registries", "_credentials")
"""Ends of variables that hold secrets: a credential is the place for them."""
_TEXT = 1024
_TEXTAREA = 65536
_YAML = " Write it in YAML or JSON; it stands in place of all that the inventory says of it."


def options() -> dict[str, Option]:
    """The variables that can be asked for, by name."""
    return {
        option.name: option
        for option in _plan.known_options()
        if option.name not in NOT_ASKED and not option.name.endswith(_SECRETS)
    }


def survey(title: str, names: tuple[str, ...]) -> dict[str, Any]:
    """A survey about variables, as AWX's survey_spec has it."""
    known = options()
    return specification(title, [about(known[name]) for name in names])


def specification(title: str, questions: list[dict[str, Any]]) -> dict[str, Any]:
    """Questions as a survey."""
    return {
        "name": title,
        "description": "What is left as it is comes from the inventory.",
        "spec": questions,
    }


def about(option: Option) -> dict[str, Any]:
    """The question about a variable; none has a default that would be taken for an answer.

    Numbers are asked for as texts, since AWX refuses an optional number that is left empty
    (ansible/awx issue 9620); the planner reads them.
    """
    doc = plain(option.doc)
    name = PREFIX + option.name
    words = [str(choice) for choice in option.choices]
    if option.type == "bool":
        words = ["true", "false"]
    if words:
        return choice(name, option.name, doc, [KEEP, *words])
    if TYPES[option.type].read is None:
        return textarea(name, option.name, doc + _YAML)
    if TYPES[option.type].argument == "int":
        return text(name, option.name, f"{doc} A whole number.")
    return text(name, option.name, doc)


def choice(variable: str, name: str, doc: str, choices: list[str]) -> dict[str, Any]:
    """A question with choices, of which the first is the default."""
    return {
        **_question("multiplechoice", variable, name, doc),
        "choices": choices,
        "default": choices[0],
    }


def text(variable: str, name: str, doc: str) -> dict[str, Any]:
    """A question that wants a line, or nothing."""
    return {**_question("text", variable, name, doc), "min": 0, "max": _TEXT, "default": ""}


def textarea(variable: str, name: str, doc: str) -> dict[str, Any]:
    """A question that wants lines, or nothing."""
    return {**_question("textarea", variable, name, doc), "min": 0, "max": _TEXTAREA, "default": ""}


def password(variable: str, name: str, doc: str) -> dict[str, Any]:
    """A question whose answer AWX keeps encrypted and shows nowhere."""
    return {**_question("password", variable, name, doc), "min": 0, "max": _TEXT, "default": ""}


def number(
    variable: str, name: str, doc: str, default: int, bounds: tuple[int, int]
) -> dict[str, Any]:
    """A question that wants a whole number, and has one unless told otherwise."""
    return {
        **_question("integer", variable, name, doc),
        "required": True,
        "min": bounds[0],
        "max": bounds[1],
        "default": default,
    }


def _question(kind: str, variable: str, name: str, doc: str) -> dict[str, Any]:
    return {
        "question_name": name,
        "question_description": doc,
        "required": False,
        "type": kind,
        "variable": variable,
    }
