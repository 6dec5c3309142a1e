# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The states of a fleet's units as a table for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _diagnoses
from ansible_collections.onehop.llm.plugins.plugin_utils._finding import excerpt

DOCUMENTATION = r"""
name: status_table
short_description: Show the units of several hosts as a table
description:
  - Makes lines of a table from what M(onehop.llm.worker_info) found on each host. Units that failed or
    were started again have a diagnosis in it, which is explained below the table.
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

HEAD = ("HOST", "UNIT", "STATE", "CURRENT", "RESTARTS", "SINCE", "LAST ERROR")
UNKNOWN = "unknown"
"""Stands for an error that no signature explains."""


def status_table(hosts: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Lines of a table, a row a unit, and below it a line for each error that it names."""
    rows: list[tuple[str, ...]] = [HEAD]
    below = []
    for host in sorted(hosts):
        for unit in hosts[host]:
            error, told = _error(unit)
            rows.append((*_row(host, unit), error))
            below += [f"{host} {unit['unit']}: {told}"] if told else []
        if not hosts[host]:
            rows.append((host, "(none)", "-", "-", "-", "-", ""))
    if not any(row[-1] for row in rows[1:]):
        rows = [row[:-1] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    table = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return table + ([""] if below else []) + below


def _row(host: str, unit: Mapping[str, Any]) -> tuple[str, ...]:
    state = f"{unit['state']} ({unit['detail']})"
    current = "yes" if unit["current"] else "no"
    return (host, unit["unit"], state, current, str(unit["restarts"]), unit["since"] or "-")


def _error(unit: Mapping[str, Any]) -> tuple[str, str]:
    """The name of what ended a unit last, and its explanation; empty where nothing did."""
    report = {"journal": [], "result": "success", "exit_status": 0, **unit}
    known = _diagnoses.diagnosis(unit["unit"], report)
    if known:
        return known.id, f"likely {known.cause}. {known.mend}"
    if report["result"] == "success" and not report["journal"]:
        return "", ""
    last = excerpt(report["journal"], 1)
    return UNKNOWN, last[0] if last else f"result {report['result']}"


class FilterModule:
    """The filter, by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """What Ansible asks for."""
        return {"status_table": status_table}
