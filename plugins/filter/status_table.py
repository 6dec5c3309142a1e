# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The states of a fleet's units as a table for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

DOCUMENTATION = r"""
name: status_table
short_description: Show the units of several hosts as a table
description:
  - Makes lines of a table from what M(onehop.llm.worker_info) found on each host.
version_added: 0.1.0
author:
  - The OneHop authors (@onehop)
options:
  _input:
    description: By host, RV(onehop.llm.worker_info#module:units).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the fleet
  ansible.builtin.debug:
    msg: "{{ {inventory_hostname: onehop_workers.units} | onehop.llm.status_table }}"
"""

RETURN = r"""
_value:
  description: The table's lines.
  type: list
  elements: str
"""

HEAD = ("HOST", "UNIT", "STATE", "CURRENT", "RESTARTS", "SINCE")


def status_table(hosts: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Lines of a table, a row a unit."""
    rows = [HEAD]
    for host in sorted(hosts):
        rows += [_row(host, unit) for unit in hosts[host]]
        if not hosts[host]:
            rows.append((host, "(none)", "-", "-", "-", "-"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _row(host: str, unit: Mapping[str, Any]) -> tuple[str, str, str, str, str, str]:
    state = f"{unit['state']} ({unit['detail']})"
    current = "yes" if unit["current"] else "no"
    return (host, unit["unit"], state, current, str(unit["restarts"]), unit["since"] or "-")


class FilterModule:
    """The filter, by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """What Ansible asks for."""
        return {"status_table": status_table}
