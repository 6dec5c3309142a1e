# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows how the units of several hosts are doing, from what the hosts said."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display

from ansible_collections.onehop.llm.plugins.plugin_utils import _fleet, _fleet_table
from ansible_collections.onehop.llm.plugins.plugin_utils._controller import Action

display = Display()
FORMATS = ("table", "json", "none")


class ActionModule(Action):
    """Sets the answers of hosts beside the plan."""

    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        form = self.argument("format", FORMATS[0])
        if form not in FORMATS:
            raise AnsibleActionFail(f"format = {form}: write one of {', '.join(FORMATS)}")
        found = _fleet.status(self.argument("answers"), self._task.args.get("plan"))
        table = _fleet_table.lines(found["rows"], self._width())
        unplanned = self._task.args.get("unplanned")
        if unplanned:
            result["warnings"] = [
                f"What is declared is not known, and nothing is compared with it: {unplanned}"
            ]
        if form != "none":
            text = json.dumps(found, indent=1) if form == "json" else "\n".join(table)
            display.display(text)
        result.update(changed=False, table=table, **found)
        return result

    def _width(self) -> int:
        """Of the terminal, where there is one; 0 otherwise."""
        given = self._task.args.get("width")
        if given is None:
            given = os.environ.get("COLUMNS") or (display.columns if os.isatty(1) else 0)
        try:
            return max(0, int(given))
        except ValueError:
            raise AnsibleActionFail(f"width = {given}: write a number of columns") from None
