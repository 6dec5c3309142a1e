# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collects the router and its packages on the controller, and sends them where they are needed."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from ansible.utils.display import Display

from ansible_collections.onehop.llm.plugins.plugin_utils import _wheelhouse
from ansible_collections.onehop.llm.plugins.plugin_utils._controller import PLUGINS, Action

display = Display()

SOURCES = os.path.join(os.path.dirname(PLUGINS), "roles", "router", "files")


class ActionModule(Action):
    """Fills in ``identity`` and ``sent``."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args, identity=_wheelhouse.identity(SOURCES))
        result.update(self.ask(arguments, task_vars))
        if not result.get("needed") or self._task.check_mode:
            return result
        wheels = None
        if arguments.get("packages", "controller") == "controller":
            home = arguments.get("wheelhouse") or _wheelhouse.default_home()
            display.display(f"  {self.host(task_vars)}: collecting the router's packages in {home}")
            try:
                wheels = _wheelhouse.collect(SOURCES, home, result["target"])
            except _wheelhouse.WheelhouseError as error:
                result.update(failed=True, msg=str(error))
                return result
        directory = self._make_tmp_path()
        arguments["sent"] = self._connection._shell.join_path(directory, "router.tar")
        try:
            with tempfile.NamedTemporaryFile(suffix=".tar") as file:
                _wheelhouse.pack(SOURCES, wheels, file.name)
                self._transfer_file(file.name, arguments["sent"])
            self._fixup_perms2((directory, arguments["sent"]))
            result.update(self.ask(arguments, task_vars))
        finally:
            self._remove_tmp_path(directory)
        return result
