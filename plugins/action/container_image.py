# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has images fetched, and says how far that is: a module cannot show progress."""

from __future__ import annotations

import time
from typing import Any

from ansible.utils.display import Display

from ansible_collections.onehop.llm.plugins.plugin_utils import _diagnoses
from ansible_collections.onehop.llm.plugins.plugin_utils._controller import Action
from ansible_collections.onehop.llm.plugins.plugin_utils._telling import Teller

display = Display()


class ActionModule(Action):
    """Begins once, then looks again until every image is there or has failed."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        begun = self.ask({**arguments, "phase": "begin"}, task_vars)
        result.update(begun)
        if begun.get("failed") or self._task.check_mode or not begun["reports"]:
            return result
        start = time.monotonic()
        end = start + int(self.argument("timeout", 14400))
        reports = begun["reports"]
        teller = Teller()
        while True:
            seen = self.ask({**arguments, "phase": "watch"}, task_vars)
            if seen.get("failed"):
                return result | seen
            for name, report in seen["reports"].items():
                # Only the first look asks how large it is.
                reports[name] = {"total": reports.get(name, {}).get("total", 0), **report}
            for name in seen["images"]:
                reports.pop(name, None)
            failed = {name: one for name, one in reports.items() if one["state"] == "failed"}
            pending = [name for name, one in reports.items() if one["state"] == "fetching"]
            if not pending or time.monotonic() >= end:
                break
            news = teller.images(time.monotonic() - start, reports)
            if news:
                display.display(f"  {self.host(task_vars)}: {news}")
        result.update(images=seen["images"], reports=reports)
        if failed or pending:
            sentences = [_diagnoses.image(name, reports[name]) for name in [*failed, *pending]]
            result.update(failed=True, msg="\n".join(sentences))
        return result
