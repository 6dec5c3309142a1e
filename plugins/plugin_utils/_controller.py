# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action plugins share: reading variables and asking modules.

This plugin util is private to the collection.
"""

from __future__ import annotations

import os
import tempfile
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.onehop.llm.plugins.plugin_utils import _answers, _wheelhouse
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import Problems

display = Display()
PLUGINS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Action(ActionBase):
    """An action plugin whose module lies under the same name in this collection."""

    _supports_check_mode = True
    _supports_async = False

    def ask(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run the module of this task's name on the host."""
        result: dict[str, Any] = self._execute_module(
            module_name=self._task.resolved_action, module_args=arguments, task_vars=task_vars
        )
        return result

    def variable(self, name: str, task_vars: dict[str, Any]) -> Any:
        """A variable of this host, templated; ``None`` where there is none."""
        return self._templar.template(task_vars.get(name))

    def declared(self, name: str, task_vars: dict[str, Any]) -> Any:
        """A variable of our roles as this launch has it, whose mistakes the planner has told."""
        launch = {
            key: self.variable(key, task_vars) for key in task_vars if _answers.concerns(str(key))
        }
        variables = {name: self.variable(name, task_vars)}
        return _answers.apply(variables, launch, Problems(""), worker=True)[name]

    def argument(self, name: str, default: Any = None) -> Any:
        """An argument of the task; a missing one without a default fails the task."""
        value = self._task.args.get(name)
        if value is None and default is None:
            raise AnsibleActionFail(f"{self._task.action}: the argument {name} is missing")
        return default if value is None else value

    def send(self, path: str, name: str) -> str:
        """Where a file of the controller lies on the host, until Ansible ends the task.

        In the directory that the task may have already: Ansible removes one of each task.
        """
        directory = self._connection._shell.tmpdir or self._make_tmp_path()
        place: str = self._connection._shell.join_path(directory, name)
        self._transfer_file(path, place)
        self._fixup_perms2((directory, place))
        return place

    def host(self, task_vars: dict[str, Any]) -> str:
        """The name of the host that the task is for."""
        return str(task_vars["inventory_hostname"])


class Announced(Action):
    """Has the module look first, says what the change stops, and then has it made."""

    why = ""

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        seen = self.ask({**self._task.args, "phase": "look"}, task_vars)
        if seen.get("failed") or not seen["changed"] or self._task.check_mode:
            return result | seen
        if seen["stops"]:
            display.display(
                f"  {self.host(task_vars)}: {self.why}; that stops {', '.join(seen['stops'])}"
            )
        return result | self.ask(dict(self._task.args), task_vars)


class Environments(Action):
    """What has an environment made on the host, with packages that the controller collects."""

    def environment(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """What the module python_environment says of ``arguments``, once all is sent that it needs."""
        sources = _wheelhouse.ENVIRONMENTS[arguments["name"]](os.path.dirname(PLUGINS))
        asked = {**arguments, "identity": _wheelhouse.identity(sources), "module": sources.module}
        result = self._make(asked, task_vars)
        if not result.get("needed") or self._task.check_mode:
            return result
        wheels = None
        if asked.get("packages", "controller") == "controller":
            home = asked.get("wheelhouse") or _wheelhouse.default_home()
            said = f"{sources.title[0].lower()}{sources.title[1:]}"
            display.display(f"  {self.host(task_vars)}: collecting {said} in {home}")
            try:
                wheels = _wheelhouse.collect(sources, home, result["target"])
            except _wheelhouse.WheelhouseError as error:
                return result | {"failed": True, "msg": str(error)}
        with tempfile.NamedTemporaryFile(suffix=".tar") as file:
            _wheelhouse.pack(sources, wheels, file.name)
            asked["sent"] = self.send(file.name, "environment.tar")
        return self._make(asked, task_vars)

    def _make(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = self._execute_module(
            module_name="onehop.llm.python_environment", module_args=arguments, task_vars=task_vars
        )
        return result


def at(value: Any, *keys: str) -> Any:
    """What lies at ``keys`` in dictionaries of a variable, whose own keys YAML may read as numbers."""
    for key in keys:
        value = {str(name): item for name, item in value.items()}[key]
    return value


def program(name: str, room: str = "module_utils") -> str:
    """The text of a program that goes to hosts."""
    with open(os.path.join(PLUGINS, room, name), encoding="utf-8") as file:
        return file.read()
