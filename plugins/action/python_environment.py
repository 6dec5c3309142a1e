# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collects an environment's packages on the controller, and sends them where they are needed."""

from __future__ import annotations

from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils._controller import Environments


class ActionModule(Environments):
    """Fills in ``identity``, ``module`` and ``sent``."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        result.update(self.environment(dict(self._task.args), task_vars))
        return result
