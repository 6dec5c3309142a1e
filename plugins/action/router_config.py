# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders the router's configuration and units, and has the host run the router with them."""

from __future__ import annotations

from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _install, _plan
from ansible_collections.onehop.llm.plugins.plugin_utils._controller import Action, at


class ActionModule(Action):
    """Fills in ``rendered``, ``listeners`` and ``keep``."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        plan, host = self.argument("plan"), self.host(task_vars)
        spec = plan["hosts"][host]["router"]
        arguments: dict[str, Any] = {"plan": {}, "phase": self.argument("phase", "final")}
        elsewhere: list[str] = []
        if arguments["phase"] == "withdraw":
            routes, elsewhere = _plan.table(plan, host) if spec else ({}, [])
            arguments["keep"] = {
                name: [upstream["url"] for upstream in route["upstreams"]]
                for name, route in routes.items()
            }
        elif spec and spec["router_enable"]:
            environment = self.argument("environment")
            installed = _install.router(
                plan, host, environment, self.argument("facts"), self._contents(spec, task_vars)
            )
            arguments.update(
                rendered=installed.rendered, listeners=installed.listeners, environment=environment
            )
            elsewhere = installed.elsewhere
        result.update(self.ask(arguments, task_vars))
        if elsewhere and arguments["phase"] == "final":
            result.setdefault("warnings", []).append(
                f"{host}: the router has no route to {', '.join(elsewhere)}: workers listen on "
                "their own host only. Run a router on their hosts."
            )
        return result

    def _contents(self, spec: Any, task_vars: Any) -> dict[str, str]:
        """Secrets given by content: read here and now, since the plan holds none."""
        if not spec["contents"]:
            return {}
        credentials = self.variable("router_credentials", task_vars)
        return {name: str(at(credentials, name, "content")) for name in spec["contents"]}
