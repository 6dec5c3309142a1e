# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans what a page of the documentation shows: inventories, variables of a host, plays with our roles.

Inventories are read, and their templates filled in, by Ansible itself; the plan is the one of ``onehop.llm.plan``. Only what
a reader keeps elsewhere is a stand-in: variables whose name begins with ``vault_`` and the files of FILES.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

from ansible_collections.onehop.llm.plugins.action import model_specs
from ansible_collections.onehop.llm.plugins.plugin_utils import _deployment, _plan
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import Problem, sentences

HOST = "gpu1"
"""Whose variables a fragment is."""
FILES = ("files/nvidia.asc", "my.key")
"""Files of a reader's own that lookups on our pages read, beside the inventory."""


class Wrong(Exception):
    """What the planner says against it."""


def shape(data: Any) -> str:
    """What YAML of ours is: ``inventory``, ``plays``, ``tasks``, ``variables``; ``other`` where it is none of these."""
    if isinstance(data, list) and all(isinstance(item, dict) for item in data):
        if any("hosts" in item for item in data):
            return "plays"
        # Our tasks name their modules in full.
        return "tasks" if all(any("." in key for key in item) for item in data) else "other"
    if not isinstance(data, dict) or not data:
        return "other"
    if all(_is_group(group) for group in data.values()):
        return "inventory"
    ours = {_root(name) for name in _plan.known_variables()}
    return "variables" if all(_root(name) in ours for name in data) else "other"


def _root(name: Any) -> str:
    return str(name).partition("_")[0] if "_" in str(name) else ""


def _is_group(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and set(value) <= {"hosts", "vars", "children"}


def roles_of(plays: list[dict[str, Any]]) -> dict[str, Any]:
    """The variables that plays give to our roles."""
    found: dict[str, Any] = {}
    for entry in [
        role for play in plays for role in play.get("roles", []) if isinstance(role, dict)
    ]:
        found |= {key: value for key, value in entry.items() if key not in ("role", "vars", "tags")}
        found |= entry.get("vars", {})
    return found


def merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """``one`` with ``other`` over it, dictionaries key by key."""
    result = dict(one)
    for key, value in other.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


def of_variables(variables: dict[str, Any], place: Path, more: dict[str, Any]) -> dict[str, Any]:
    """The plan of one host with these variables."""
    return of_inventory({"all": {"hosts": {HOST: merged(more, variables)}}}, place, {})


def of_inventory(inventory: dict[str, Any], place: Path, more: dict[str, Any]) -> dict[str, Any]:
    """The plan of an inventory, ``more`` being variables of all its hosts. Raises Wrong."""
    vault = {name: f"of-{name}" for name in re.findall(r"\bvault_\w+", yaml.safe_dump(inventory))}
    everywhere = inventory.get("all") or {}
    everywhere = everywhere | {"vars": vault | more | (everywhere.get("vars") or {})}
    text = yaml.safe_dump(inventory | {"all": everywhere}, sort_keys=False)
    # Ansible finds its own lookups by their long names only where it has taken over Python's imports.
    text = text.replace("ansible.builtin.", "")
    (place / "page.yml").write_text(text, encoding="utf-8")
    for name in FILES:
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text("a stand-in\n", encoding="utf-8")
    loader = DataLoader()
    loader.set_basedir(str(place))
    hosts = InventoryManager(loader=loader, sources=[str(place / "page.yml")])
    variables = VariableManager(loader=loader, inventory=hosts)
    groups = hosts.get_groups_dict()
    model_specs.refuse_misspelt(groups)
    action = _Reader(HostVars(hosts, variables, loader), groups)
    plan = _plan.make(
        [action._host(name, action.variables, []) for name in sorted(model_specs.members(groups))],
        complete=not action.unreadable,
    )
    problems = sentences(action.unreadable + plan.problems)
    if problems:
        raise Wrong("\n".join(problems))
    return _deployment.data(plan.data(), list(plan.hosts), {}, None) | {"warnings": plan.warnings}


class _Reader(model_specs.ActionModule):
    """The action of ``onehop.llm.model_specs`` as it reads variables, without a task around it."""

    def __init__(self, hostvars: Any, groups: dict[str, list[str]]) -> None:
        self.variables = {"hostvars": hostvars, "groups": groups}
        self.unreadable: list[Problem] = []
