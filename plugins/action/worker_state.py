# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has units brought to their wanted state, says what it waits for, and explains what failed."""

from __future__ import annotations

import time
from typing import Any

from ansible.utils.display import Display

from ansible_collections.onehop.llm.plugins.plugin_utils import _diagnoses
from ansible_collections.onehop.llm.plugins.plugin_utils._controller import Action

display = Display()


class ActionModule(Action):
    """Begins once, then looks again until nothing is pending: a module cannot show progress."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        units = self.argument("units")
        asked = {"units": units, "account": self._task.args.get("account")}
        begun = self.ask({**asked, "phase": "begin"}, task_vars)
        result.update(begun)
        if begun.get("failed") or self._task.check_mode or not units:
            result.setdefault("failed", False)
            return self._finish(result, {})
        end = time.monotonic() + int(self.argument("timeout", 7200))
        start = time.monotonic()
        while True:
            left = max(1, int(end - time.monotonic()))
            seen = self.ask({**asked, "phase": "watch", "timeout": left}, task_vars)
            if seen.get("failed"):
                result.update(seen)
                return result
            reports = seen["reports"]
            pending = [name for name, report in reports.items() if report["outcome"] == "pending"]
            if not pending or time.monotonic() >= end:
                return self._finish(result, reports)
            self._show(task_vars, reports, pending, time.monotonic() - start)

    def _show(self, task_vars: Any, reports: Any, pending: list[str], seconds: float) -> None:
        ready = len(reports) - len(pending)
        first = reports[pending[0]]
        said = first["journal"][-1][:100] if first["journal"] else first["state"]
        display.display(
            f"  {self.host(task_vars)}: {ready} of {len(reports)} ready after {seconds:.0f} s; "
            f"{pending[0]}: {said}"
        )

    def _finish(self, result: dict[str, Any], reports: dict[str, Any]) -> dict[str, Any]:
        if result.get("failed"):
            return result
        failed = [
            _diagnoses.explain(name, report)
            for name, report in reports.items()
            if report["outcome"] != "ready"
        ]
        result.update(failed=False, unready=failed, reports=reports)
        if failed and self.argument("fail", True) in (True, "true", "yes", "True"):
            result.update(failed=True, msg="\n".join(failed))
        return result
