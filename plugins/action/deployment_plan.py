# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows what a plan comes to, without a connection to any host."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display

from ansible_collections.onehop.llm.plugins.plugin_utils import _deployment, _deployment_text
from ansible_collections.onehop.llm.plugins.plugin_utils._controller import Action

display = Display()


class ActionModule(Action):
    """Tells of one host or several, in the order of their names."""

    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        plan = self.argument("plan")
        hosts = sorted(self.argument("hosts", [self.host(task_vars)]))
        models = self._task.args.get("models")
        wrong = _deployment.unknown(plan, models or [])
        if wrong:
            raise AnsibleActionFail(wrong)
        found = _deployment.data(plan, hosts, self.argument("facts", {}), models)
        if self.argument("display", True):
            units = bool(self.argument("units", True))
            lines = [_deployment_text.text(host, found[host], units=units) for host in found]
            display.display("\n".join(lines).rstrip("\n"))
        result.update(changed=False, plan=found)
        warnings = [sentence for host in found.values() for sentence in host["warnings"]]
        if warnings:
            result["warnings"] = warnings
        return result
