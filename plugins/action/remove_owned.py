# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells the host where each engine's caches are, and has it remove what is ours."""

from __future__ import annotations

from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils._catalogue import ENGINES
from ansible_collections.onehop.llm.plugins.plugin_utils._controller import Action


class ActionModule(Action):
    """Fills in ``cache_roots``."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        roots = [
            f"/var/cache/{private}{engine.prefix}"
            for engine in ENGINES.values()
            for private in ("", "private/")
        ]
        arguments = {"caches": self._task.args.get("caches", False), "cache_roots": roots}
        result.update(self.ask(arguments, task_vars))
        return result
