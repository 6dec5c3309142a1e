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
        instance = self.argument("instance", "router")
        arguments: dict[str, Any] = {"plan": {}, "phase": self.argument("phase", "final")}
        arguments["instance"] = instance
        warnings: list[str] = []
        if arguments["phase"] == "withdraw":
            arguments["keep"] = _urls(_routes(plan, host, instance))
        elif _wanted(plan["hosts"][host], instance):
            environment = self.argument("environment")
            installed = self._install(plan, host, instance, environment, task_vars)
            arguments.update(
                rendered=installed.rendered, listeners=installed.listeners, environment=environment
            )
            warnings = _warnings(host, installed) + self._foretold(host)
        result.update(self.ask(arguments, task_vars))
        if instance == "router":
            result["fetched"] = sorted(self.argument("fetched", {}))
        if warnings:
            result.setdefault("warnings", []).extend(warnings)
        return result

    def _install(
        self, plan: Any, host: str, instance: str, environment: str, task_vars: Any
    ) -> _install.Router:
        if instance == "edge":
            return _install.edge(plan, host, environment, self.argument("hashes"))
        contents = self._contents(plan["hosts"][host]["router"], task_vars)
        fetched = self.argument("fetched", {})
        return _install.router(plan, host, environment, self.argument("facts"), contents, fetched)

    def _foretold(self, host: str) -> list[str]:
        return [
            f"{host}: the edge of {name} has no key for this router yet; a run makes one."
            for name, given in sorted(self.argument("fetched", {}).items())
            if given["foretold"]
        ]

    def _contents(self, spec: Any, task_vars: Any) -> dict[str, str]:
        """Secrets given by content: read here and now, since the plan holds none."""
        if not spec["contents"]:
            return {}
        credentials = self.declared("router_credentials", task_vars)
        return {name: str(at(credentials, name, "content")) for name in spec["contents"]}


def _wanted(planned: Any, instance: str) -> bool:
    if instance == "edge":
        return bool(planned["edge"])
    return bool(planned["router"] and planned["router"]["router_enable"])


def _routes(plan: Any, host: str, instance: str) -> dict[str, Any]:
    if instance == "edge":
        return _plan.edge_table(plan, host)
    return _plan.table(plan, host)[0] if plan["hosts"][host]["router"] else {}


def _urls(routes: dict[str, Any]) -> dict[str, list[str]]:
    return {
        name: [upstream["url"] for upstream in route["upstreams"]] for name, route in routes.items()
    }


def _warnings(host: str, installed: _install.Router) -> list[str]:
    said = [
        f"{host}: the edge of {name} has given this router no key yet, so it does without {name}. "
        f"Let a run reach both: --limit {host},{name}."
        for name in installed.keyless
    ]
    if installed.elsewhere and not installed.keyless:
        said.append(
            f"{host}: the router has no route to {', '.join(installed.elsewhere)}: it reaches models "
            "of other hosts where it is in the group llm_routers, and router_edge_enable is true "
            "for these."
        )
    return said
