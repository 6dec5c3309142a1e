# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which fields and values of a controller's objects its own clients document.

    PYTHONPATH=scripts .venv/bin/python -m tooling.controller_fields COLLECTION

reads the modules of the collection awx.awx in the folder COLLECTION, and awxkit where it is installed,
and writes ``tests/assets/controller_fields.json``, by which the stand-in of the controller refuses
all else. The collection's last version is part of the package ansible, up to its version 13: unpack
``ansible_collections/awx/awx`` from its wheel.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
OUT = ROOT / "tests" / "assets" / "controller_fields.json"
MODULES = {
    "credential_types": "credential_type",
    "job_templates": "job_template",
    "workflow_job_templates": "workflow_job_template",
    "workflow_job_template_nodes": "workflow_job_template_node",
}
"""The module of awx.awx for each endpoint."""
PAGES = {
    "credential_types": ("credentials", "CredentialType"),
    "job_templates": ("job_templates", "JobTemplate"),
    "workflow_job_templates": ("workflow_job_templates", "WorkflowJobTemplate"),
    "workflow_job_template_nodes": ("workflow_job_template_nodes", "WorkflowJobTemplateNode"),
}
"""The file and class of awxkit for each endpoint."""
APPROVAL = "workflow_approval_templates"
_SENT = ("new_fields", "credential_type_params")
_TEXTS = {"extra_vars": "str"}
"""What a module takes otherwise than it sends it."""
_IDS = (
    "organization",
    "project",
    "inventory",
    "execution_environment",
    "webhook_credential",
    "unified_job_template",
    "workflow_job_template",
)


def of_module(path: Path) -> dict[str, Any]:
    """The fields that a module sends, with type and choices from its argument spec."""
    tree = ast.parse(path.read_text())
    spec = _spec(tree)
    names = (set(_sent(tree)) | {"name"}) & set(spec) - {"state"}
    fields = {name: _field(name, spec[name]) for name in sorted(names)}
    return {"fields": fields, "associations": sorted(set(_associations(tree)) & set(spec))}


def _spec(tree: ast.Module) -> dict[str, dict[str, Any]]:
    constants = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Dict)
    }
    call = next(
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id == "argument_spec"
    )
    assert isinstance(call, ast.Call)
    spec: dict[str, dict[str, Any]] = {}
    for option in call.keywords:
        assert isinstance(option.value, ast.Call)
        said = {one.arg: _value(one.value, constants) for one in option.value.keywords}
        spec[str(option.arg)] = {str(key): value for key, value in said.items()}
    return spec


def _value(node: ast.expr, constants: dict[str, Any]) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        # list(NAME.keys())
        names = [one.id for one in ast.walk(node) if isinstance(one, ast.Name)]
        return [key for name in names for key in constants.get(name, ())]


def _field(name: str, said: dict[str, Any]) -> dict[str, Any]:
    kind = "id" if name in _IDS else _TEXTS.get(name, said.get("type", "str"))
    field: dict[str, Any] = {"type": kind}
    if "choices" in said:
        field["choices"] = said["choices"]
    if said.get("required"):
        field["required"] = True
    return field


def _sent(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.For) and getattr(node.target, "id", "") == "field_name":
            yield from _strings(node.iter)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Subscript) and getattr(target.value, "id", "") in _SENT:
                    yield from _strings(target.slice)


def _associations(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.For) and getattr(node.target, "id", "") == "association":
            yield from _strings(node.iter)
        elif isinstance(node, ast.Subscript) and getattr(node.value, "id", "") == (
            "association_fields"
        ):
            yield from _strings(node.slice)


def _strings(node: ast.AST) -> Iterator[str]:
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one.value


def of_awxkit(file: str, name: str) -> list[str]:
    """The fields that awxkit puts into a payload, beside those that it always does."""
    found = importlib.util.find_spec("awxkit.api.pages")
    assert found is not None and found.origin is not None
    tree = ast.parse((Path(found.origin).parent / f"{file}.py").read_text())
    page = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name)
    method = next(n for n in page.body if isinstance(n, ast.FunctionDef) and n.name == "payload")
    names = set()
    for node in ast.walk(method):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):
            names |= set(_strings(node.value))
        elif isinstance(node, ast.Call):
            names |= {key.arg for key in node.keywords if key.arg}
            if getattr(node.func, "id", "") == "set_payload_foreign_key_args":
                names |= set(_strings(node.args[1]))
    return sorted(names)


def approval(path: Path) -> dict[str, Any]:
    """An approval's fields: the suboptions of ``approval_node`` in the module's documentation."""
    tree = ast.parse(path.read_text())
    text = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "DOCUMENTATION"
    )
    options = yaml.safe_load(text)["options"]["approval_node"]["suboptions"]
    fields = {name: {"type": said["type"]} for name, said in sorted(options.items())}
    fields["name"]["required"] = True
    return {"fields": fields, "associations": []}


def table(collection: Path) -> dict[str, Any]:
    """All of it, by endpoint."""
    modules = collection / "plugins" / "modules"
    found = {endpoint: of_module(modules / f"{name}.py") for endpoint, name in MODULES.items()}
    for endpoint, page in PAGES.items():
        for name in of_awxkit(*page):
            kind = "id" if name in _IDS else "any"
            found[endpoint]["fields"].setdefault(name, {"type": kind})
    found[APPROVAL] = approval(modules / f"{MODULES['workflow_job_template_nodes']}.py")
    return found


if __name__ == "__main__":
    OUT.write_text(json.dumps(table(Path(sys.argv[1])), indent=1, sort_keys=True) + "\n")
