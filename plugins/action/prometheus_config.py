# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders what a Prometheus is to ask, and has the host run it with that."""

from __future__ import annotations

import os
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _monitoring, _scraping
from ansible_collections.onehop.llm.plugins.plugin_utils._controller import PLUGINS, Action, at

ROLE = os.path.join(os.path.dirname(PLUGINS), "roles", "monitoring", "files")


class ActionModule(Action):
    """Fills in ``files``, ``dashboards`` and where Prometheus is."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        if self.argument("state", "present") == "absent":
            result.update(self.ask(dict(self._task.args), task_vars))
            return result
        plan, host = self.argument("plan"), self.host(task_vars)
        variables = plan["hosts"][host]["monitoring"]
        fetched = self.argument("fetched", {})
        made = _scraping.files(plan, host, fetched, self._key(variables, task_vars), _rules())
        arguments = {
            "files": [_plain(file) for file in made["files"] if not file["secret"]],
            "keys": [_plain(file) for file in made["files"] if file["secret"]],
            "dashboards": _dashboards(variables),
            "config": variables["monitoring_config_file"],
            "service": variables["monitoring_service"],
            "group": variables["monitoring_group"],
            "url": variables["monitoring_url"],
        }
        result.update(self.ask(arguments, task_vars))
        result["fetched"] = sorted(fetched)
        if made["keyless"]:
            result.setdefault("warnings", []).append(
                f"{host}: the edge of {', '.join(made['keyless'])} has given no key for metrics yet. "
                "Run onehop.llm.site first."
            )
        return result

    def _key(self, variables: Any, task_vars: Any) -> str | None:
        """The key of the routers, where the inventory holds it: the plan holds no secret."""
        if _monitoring.KEY not in variables["contents"]:
            return None
        return str(at(self.variable("monitoring_router_key", task_vars), "content"))


def _plain(file: dict[str, Any]) -> dict[str, Any]:
    return {"path": file["path"], "content": file["content"]}


def _rules() -> str:
    with open(os.path.join(ROLE, "rules.yml"), encoding="utf-8") as file:
        return file.read()


def _dashboards(variables: Any) -> list[dict[str, str]]:
    """The files of Grafana, if any are wanted."""
    place = variables["monitoring_dashboards"]
    if place is None:
        return []
    source = os.path.join(ROLE, "dashboards")
    found = []
    for name in sorted(os.listdir(source)):
        with open(os.path.join(source, name), encoding="utf-8") as file:
            found.append({"path": f"{place}/{name}", "content": file.read()})
    provider = variables["monitoring_grafana_provisioning"]
    if provider:
        text = _scraping.provider(place)
        found.append({"path": f"{provider}/onehop.yml", "content": text})
    return found
