# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's papers, held against what is there."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
ACTIONS = sorted(path.stem for path in (ROOT / "plugins" / "action").glob("*.py"))


def test_the_action_group_has_every_module() -> None:
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())
    assert runtime["action_groups"]["llm"] == MODULES


def test_every_action_plugin_has_its_module() -> None:
    assert set(ACTIONS) <= set(MODULES)


@pytest.mark.parametrize("folder", ["plugin_utils", "module_utils", "doc_fragments"])
def test_what_is_private_says_so(folder: str) -> None:
    for path in (ROOT / "plugins" / folder).glob("*.py"):
        assert path.name.startswith("_")
        assert "is private to the collection" in path.read_text(), path


IMPURE = {"_controller.py", "_flag_table.py", "_wheelhouse.py"}
"""Plugin utils that say in their first lines that they touch the controller, or read package data."""
OUTSIDE = {
    "os",
    "subprocess",
    "socket",
    "time",
    "datetime",
    "random",
    "tempfile",
    "shutil",
    "pathlib",
    "ansible",
}


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


@pytest.mark.parametrize(
    "path", sorted((ROOT / "plugins" / "plugin_utils").glob("*.py")), ids=lambda p: p.name
)
def test_the_knowledge_is_pure(path: Path) -> None:
    """No file, no process, no clock, no Ansible; and never the hands."""
    names = imported(path)
    assert not [name for name in names if "module_utils" in name]
    if path.name not in IMPURE:
        assert not {name.split(".")[0] for name in names} & OUTSIDE


@pytest.mark.parametrize(
    "path", sorted((ROOT / "plugins" / "module_utils").glob("*.py")), ids=lambda p: p.name
)
def test_the_hands_know_no_engine(path: Path) -> None:
    assert not [name for name in imported(path) if "plugin_utils" in name]
    text = path.read_text().lower()
    for engine in ("llama", "vllm", "sglang"):
        assert engine not in text, f"{path.name} speaks of {engine}"


@pytest.mark.parametrize("role", sorted(path.name for path in (ROOT / "roles").iterdir()))
def test_a_role_is_thin(role: str) -> None:
    """Ten tasks are many: what a planner could hold is not in a role."""
    tasks = yaml.safe_load((ROOT / "roles" / role / "tasks" / "main.yml").read_text())
    count = sum(len(task.get("block", [task])) for task in tasks)
    assert count <= 10


SCENARIOS = sorted(path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml"))
PLAYBOOK_OF = {
    "syntax": "converge",
    "check": "converge",
    "idempotence": "converge",
    "side_effect": None,
}
"""Steps whose playbook is another step's, or is named behind the step."""


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_step_of_a_scenario_has_its_playbook(name: str) -> None:
    """Molecule looks for a step's playbook when it is there at last, or leaves the step out in silence."""
    folder = ROOT / "molecule" / name
    scenario = yaml.safe_load((folder / "molecule.yml").read_text())
    named = scenario["ansible"].get("playbooks", {})
    steps = scenario["scenario"]["test_sequence"]
    for step in steps:
        verb, *files = step.split()
        playbook = PLAYBOOK_OF.get(verb, verb)
        wanted = files or [named.get(playbook, f"{playbook}.yml")]
        missing = [file for file in wanted if not (folder / file).is_file()]
        assert not missing, f"{name}: step {step!r} has no {missing}"
