# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The states of a fleet's units as a table for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _fleet, _fleet_table

DOCUMENTATION = r"""
name: status_table
short_description: Show the units of several hosts as a table
description:
  - Makes lines of a table from what M(onehop.llm.worker_info) said of each host, as
    M(onehop.llm.fleet_status) shows them. Units that failed or were started again have a diagnosis in it,
    which is explained below the table. The last line is a summary.
version_added: 0.1.0
author:
  - The OneHop authors (@onehop)
options:
  _input:
    description:
      - By host, what M(onehop.llm.worker_info) returned. A host that could not be asked has no C(units)
        in it.
    type: dict
    required: true
  plan:
    description: RV(onehop.llm.model_specs#module:plan), to compare with what is declared.
    type: dict
  width:
    description: Columns into which the table has to fit; 0 is for any number.
    type: int
    default: 0
seealso:
  - module: onehop.llm.fleet_status
"""

EXAMPLES = r"""
- name: Show a host
  ansible.builtin.debug:
    msg: "{{ {inventory_hostname: onehop_workers} | onehop.llm.status_table(width=100) }}"
"""

RETURN = r"""
_value:
  description: The table's lines.
  type: list
  elements: str
"""


def status_table(
    answers: Mapping[str, Mapping[str, Any]],
    plan: Mapping[str, Any] | None = None,
    width: int = 0,
) -> list[str]:
    """Lines of a table, a row a unit, and below it a line for each error that it names."""
    return _fleet_table.lines(_fleet.status(answers, plan)["rows"], width)


class FilterModule:
    """The filter, by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """What Ansible asks for."""
        return {"status_table": status_table}
