# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventories as pages of the documentation show them, read by Ansible and planned."""

from __future__ import annotations

import re
from pathlib import Path

from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.manager import VariableManager

from ansible_collections.onehop.llm.plugins.plugin_utils import _plan
from tooling.variables import ROLES

ROOT = Path(__file__).resolve().parents[2]
NAMES = {option.name for options in ROLES.values() for option in options}


def inventories(page: Path) -> list[str]:
    """The blocks of a page that begin as an inventory of ours does."""
    blocks = re.findall(r"^```yaml\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return [
        block
        for block in blocks
        if re.search(r"^(gpu_hosts|all|llm_routers):", block, re.MULTILINE)
    ]


def plan(text: str, folder: Path) -> _plan.Plan:
    """The plan for an inventory. Templates stay texts: nothing here looks a vault up."""
    path = folder / "inventory.yml"
    path.write_text(text)
    loader = DataLoader()
    inventory = InventoryManager(loader=loader, sources=[str(path)])
    variables = VariableManager(loader=loader, inventory=inventory)
    groups = inventory.get_groups_dict()
    hosts = []
    for host in sorted(inventory.get_hosts(), key=str):
        has = variables.get_vars(host=host)
        hosts.append(
            _plan.Host(
                host.name,
                {name: value for name, value in has.items() if name in NAMES},
                list(has),
                worker=host.name in groups.get("gpu_hosts", [host.name]),
                router=host.name in groups.get("llm_routers", groups.get("gpu_hosts", [host.name])),
                front=host.name in groups.get("llm_routers", []),
                address=has.get("ansible_host", host.name),
            )
        )
    return _plan.make(hosts)
