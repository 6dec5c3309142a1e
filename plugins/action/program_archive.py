# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends an archive of the controller to a host, where the host does not have it yet."""

from __future__ import annotations

import os
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils._controller import Action


class ActionModule(Action):
    """Fills in ``sent``."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        result.update(self.ask(arguments, task_vars))
        if not result.get("needed"):
            return result
        source = arguments["source"]
        if not os.path.isfile(source):
            result.update(
                failed=True,
                changed=False,
                msg=f"{source}: is no file on the controller. Put the archive there, or write an "
                "http or https address.",
            )
            return result
        if self._task.check_mode:
            return result
        arguments["sent"] = self.send(source, "archive")
        result.update(self.ask(arguments, task_vars))
        return result
