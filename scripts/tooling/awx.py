# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files for AWX and the automation controller, from what ``plugin_utils/_awx.py`` says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.onehop.llm.plugins.plugin_utils import _awx

ROOT = Path(__file__).resolve().parent.parent.parent
SPDX = "# SPDX-FileCopyrightText: The OneHop authors\n# SPDX-License-Identifier: GPL-3.0-or-later\n"
MADE = "# Made by scripts/generate from plugins/plugin_utils/_awx.py; change that.\n"
PATTERN = ROOT / "extensions" / "patterns" / "onehop"
TITLE = "OneHop: one endpoint for all models"
PRIMARY = "deploy"
"""The template that stands for the pattern."""
LABEL = "onehop"


class Unsafe(str):
    """A template of the controller's, which Ansible must leave alone."""


class _Dumper(yaml.SafeDumper):
    """Indents lists below their key, as yamllint wants them, and repeats what stands twice."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    Unsafe, lambda dumper, text: dumper.represent_scalar("!unsafe", str(text), style='"')
)


def _dump(data: Any) -> str:
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
    return text


def names() -> _awx.Names:
    """What the controller has already, as variables with what stands in for them."""
    given = vars(_awx.Names())

    def variable(name: str) -> str:
        other = "[]" if name == "credentials" else f"'{given[name]}'"
        return f"{{{{ awx_{name} | default({other}) }}}}"

    return _awx.Names(**{name: variable(name) for name in given})


def lists() -> dict[str, list[dict[str, Any]]]:
    """What is kept in git, by the name of its variable."""
    return {
        "controller_credential_types": [
            {**one, "injectors": _unsafe(one["injectors"])} for one in _awx.credential_types()
        ],
        "controller_templates": _awx.templates(names()),
        "controller_workflows": _awx.workflows(names()),
    }


def _unsafe(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _unsafe(item) for key, item in value.items()}
    return Unsafe(value)


def pattern() -> dict[str, Any]:
    """The pattern: its job templates with their surveys, as ansible/pattern-service specifies it."""
    return {
        "schema_version": "1.0",
        "name": "onehop",
        "title": TITLE,
        "description": (
            "Deploys llama.cpp, vLLM and SGLang on GPU hosts and one OpenAI-compatible router in "
            "front of all of them, tells how they do, and asks each model for an answer."
        ),
        "short_description": "Serve models on GPU hosts behind one endpoint",
        "tags": ["ai", "infrastructure", "linux"],
        "aap_resources": {
            "controller_project": {
                "name": "OneHop",
                "description": "The collection onehop.llm",
            },
            "controller_execution_environment": {
                "name": "OneHop",
                "description": "ansible-core and the collection onehop.llm",
                "image_name": "onehop-ee:latest",
                "pull": "missing",
            },
            "controller_labels": [LABEL],
            "controller_job_templates": [_in_pattern(one) for one in _templates()],
        },
    }


def _templates() -> list[dict[str, Any]]:
    return _awx.templates(_awx.Names())


def _in_pattern(template: dict[str, Any]) -> dict[str, Any]:
    left = ("organization", "project", "inventory", "execution_environment", "credentials")
    kept = {key: value for key, value in template.items() if key not in left}
    kept["playbook"] = Path(template["playbook"]).name
    if template["name"] == _awx.title(PRIMARY):
        kept["primary"] = True
    kept |= {"labels": [LABEL], "fields_required_at_launch": ["inventory", "credential"]}
    survey = kept.pop("survey_spec", None)
    return {**kept, "survey": _plainer(survey)} if survey else kept


def _plainer(survey: dict[str, Any]) -> dict[str, Any]:
    """A survey of a pattern, which has neither numbers nor passwords: the first are asked as texts."""
    questions = [question for question in survey["spec"] if question["type"] != "password"]
    return {**survey, "spec": [_as_text(question) for question in questions]}


def _as_text(question: dict[str, Any]) -> dict[str, Any]:
    if question["type"] != "integer":
        return question
    kept = {key: value for key, value in question.items() if key not in ("min", "max")}
    return {**kept, "type": "text", "default": str(question["default"])}


def files() -> dict[Path, str]:
    """All files that are made, with their texts."""
    made = {
        ROOT
        / "playbooks"
        / "vars"
        / "awx"
        / f"{name}.yml": f"{SPDX}{MADE}---\n{_dump({name: one})}"
        for name, one in lists().items()
    }
    made[PATTERN / "meta" / "pattern.json"] = json.dumps(pattern(), indent=2) + "\n"
    for file, playbook in _awx.PLAYBOOKS.items():
        play = [
            {
                "name": f"Run onehop.llm.{playbook}",
                "ansible.builtin.import_playbook": f"onehop.llm.{playbook}",
            }
        ]
        made[PATTERN / "playbooks" / f"{file}.yml"] = f"{SPDX}{MADE}---\n{_dump(play)}"
    for template in _templates():
        if "survey_spec" in template:
            name = re.sub(r"\W+", "_", template["name"].partition(": ")[2])
            text = f"{SPDX}{MADE}---\n{_dump(_plainer(template['survey_spec']))}"
            made[PATTERN / "template_surveys" / f"{name}.yml"] = text
    return made
