# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says what the plan needs of a host, and has the host checked."""

from __future__ import annotations

from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _install
from ansible_collections.onehop.llm.plugins.plugin_utils._controller import Action


class ActionModule(Action):
    """Fills in ``needs``."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        plan = self.argument("plan")
        roles = self._task.args.get("roles")
        needs = _install.needs(plan, self.host(task_vars), roles)
        result.update(self.ask({"plan": {}, "needs": needs}, task_vars))
        return result
