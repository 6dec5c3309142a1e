# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has units brought to their wanted state, says what it waits for, and explains what failed."""

from __future__ import annotations

import time
from typing import Any

from ansible.utils.display import Display

from ansible_collections.onehop.llm.plugins.plugin_utils import _diagnoses
from ansible_collections.onehop.llm.plugins.plugin_utils._controller import Action
from ansible_collections.onehop.llm.plugins.plugin_utils._finding import excerpt
from ansible_collections.onehop.llm.plugins.plugin_utils._telling import Teller

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
        start = time.monotonic()
        end = start + int(self.argument("timeout", 7200))
        teller = Teller()
        while True:
            left = max(1, int(end - time.monotonic()))
            seen = self.ask({**asked, "phase": "watch", "timeout": left}, task_vars)
            if seen.get("failed"):
                result.update(seen)
                return result
            reports = seen["reports"]
            now = time.monotonic()
            pending = any(report["outcome"] == "pending" for report in reports.values())
            if not pending or now >= end:
                return self._finish(result, reports)
            news = teller.units(now - start, reports)
            if news:
                display.display(f"  {self.host(task_vars)}: {news}")

    def _finish(self, result: dict[str, Any], reports: dict[str, Any]) -> dict[str, Any]:
        if result.get("failed"):
            return result
        failed = [
            _diagnoses.explain(name, report)
            for name, report in reports.items()
            if report["outcome"] != "ready"
        ]
        for report in reports.values():
            report["journal"] = excerpt(report["journal"], _diagnoses.LINES)
        result.update(failed=False, unready=failed, reports=reports)
        if failed and self.argument("fail", True) in (True, "true", "yes", "True"):
            result.update(failed=True, msg="\n".join(failed))
        return result
