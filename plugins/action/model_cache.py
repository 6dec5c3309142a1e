# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has weights fetched, and says how far that is: a module cannot show progress."""

from __future__ import annotations

import time
from typing import Any

from ansible.utils.display import Display

from ansible_collections.onehop.llm.plugins.plugin_utils import _offline
from ansible_collections.onehop.llm.plugins.plugin_utils._controller import Environments

display = Display()


class ActionModule(Environments):
    """Looks; where something is missing, has the environment made, begins, and looks until all is over."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        seen = self.ask({**arguments, "phase": "begin"}, task_vars)
        if seen.get("failed") or not seen["missing"]:
            return self._told(result | seen, task_vars)
        environment = self._environment(arguments, task_vars)
        if environment.get("failed"):
            return result | environment
        if self._task.check_mode and environment["changed"]:
            # Nothing on the host can ask the hub yet.
            return self._told(result | seen, task_vars)
        arguments["environment"] = environment["path"]
        begun = self.ask({**arguments, "phase": "begin"}, task_vars)
        if begun.get("failed") or self._task.check_mode:
            return self._told(result | begun, task_vars)
        report = self._watch(arguments, task_vars)
        if report.get("failed") or report["state"] != "done":
            return result | report | {"failed": True, "msg": _offline.failure(report)}
        # All is there now; what is left needs no environment.
        del arguments["environment"]
        done = self.ask({**arguments, "phase": "all"}, task_vars)
        if done.get("missing"):
            done.update(failed=True, msg=_offline.incomplete(done["missing"]))
        done["diff"] = seen["diff"] + done.get("diff", [])
        return self._told(result | done | {"changed": True, "report": report}, task_vars)

    def _environment(self, arguments: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        given = {
            key: arguments[key]
            for key in ("python", "packages", "wheelhouse")
            if arguments.get(key)
        }
        return self.environment({"name": "hub", **given}, task_vars)

    def _watch(self, arguments: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        start = time.monotonic()
        while True:
            seen = self.ask({**arguments, "phase": "watch"}, task_vars)
            report: dict[str, Any] = seen if seen.get("failed") else seen["report"]
            if seen.get("failed") or report["state"] != "fetching":
                return report
            said = _offline.progress(report, time.monotonic() - start)
            display.display(f"  {self.host(task_vars)}: {said}")

    def _told(self, result: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        """Say in a dry run where everything would come from."""
        if self._task.check_mode and not result.get("failed"):
            for line in _offline.lines(result["found"]):
                display.display(f"  {self.host(task_vars)}: {line}")
        return result
