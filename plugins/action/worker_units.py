# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders the units of an engine's workers, and has the host install them."""

from __future__ import annotations

from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _install, _signature_table
from ansible_collections.onehop.llm.plugins.plugin_utils._catalogue import ENGINES
from ansible_collections.onehop.llm.plugins.plugin_utils._controller import Action, at, program

LOOKING = {
    "module_utils": (
        "_files",
        "_look",
        "_owned",
        "_systemd",
        "_unit_places",
        "_user_manager",
        "_wait_ready",
    ),
    "plugin_utils": ("_finding", "_fleet_rows", "_fleet_table"),
}
"""What the operator's command imports on a host."""


def library() -> dict[str, str]:
    """The files beside the operator's command."""
    return {
        "why.py": program("_why.py"),
        "status.py": program("_status.py"),
        "signatures.json": _signature_table.for_hosts(),
        **{
            f"{name}.py": program(f"{name}.py", room)
            for room, names in LOOKING.items()
            for name in names
        },
    }


class ActionModule(Action):
    """Fills in ``rendered``."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        role, plan, host = self.argument("engine"), self.argument("plan"), self.host(task_vars)
        rendered = _install.workers(
            plan,
            host,
            role,
            self.argument("facts"),
            self._contents(plan["hosts"][host]["engines"].get(role), role, task_vars),
            _install.Programs(
                wait_ready=program("_wait_ready.py"),
                operator=f"#!{self.argument('facts')['python']} -I\n{program('_operator.py')}",
                with_secrets=program("_with_secrets.py"),
                library=library(),
            ),
        )
        arguments = {"engine": role, "plan": {}, "facts": {}, "rendered": rendered}
        result.update(self.ask(arguments, task_vars))
        return result

    def _contents(self, engine: Any, role: str, task_vars: Any) -> dict[str, dict[str, str]]:
        """Secrets given by content: read here and now, since the plan holds none."""
        workers = [
            worker for worker in (engine or {"workers": []})["workers"] if worker["contents"]
        ]
        if not workers:
            return {}
        models = self.declared(ENGINES[role].models_variable, task_vars) or {}
        return {
            worker["key"]: {
                name: str(at(self._declared(worker, models, task_vars), name, "content"))
                for name in worker["contents"]
            }
            for worker in workers
        }

    def _declared(self, worker: Any, models: Any, task_vars: Any) -> Any:
        """The credentials of a worker as they were declared."""
        if worker["engine"] in ENGINES:
            return at(models, worker["key"], "credentials")
        return at(self.declared(worker["variable"], task_vars), "credentials")
