# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans for all hosts on the controller, without a connection to any."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError

from ansible_collections.onehop.llm.plugins.plugin_utils import _answers, _plan
from ansible_collections.onehop.llm.plugins.plugin_utils._catalogue import ENGINES
from ansible_collections.onehop.llm.plugins.plugin_utils._controller import Action
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import (
    Problem,
    Problems,
    sentences,
)

WORKERS = "gpu_hosts"
ROUTERS = "llm_routers"
MONITORS = "llm_monitors"
OURS = [WORKERS, ROUTERS, MONITORS]
_ALIKE = 0.88
"""How alike a group's name is to one of ours where it is taken for a misspelt one."""


class ActionModule(Action):
    """Reads the inventory's variables and hands them to the planner."""

    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        scope = self.argument("scope", "inventory")
        if scope not in ("inventory", "host"):
            raise AnsibleActionFail(f"scope = {scope}: write inventory or host")
        self.unreadable: list[Problem] = []
        if scope == "host":
            hosts = [self._this_host(task_vars)]
        else:
            self._refuse_play_variables()
            refuse_misspelt(task_vars["groups"])
            names = members(task_vars["groups"])
            # Who uses the role watches, with or without the group.
            extra = [self.host(task_vars)] if "monitoring" in self.argument("roles", []) else []
            hosts = [self._host(name, task_vars, extra) for name in sorted({*names, *extra})]
        plan = _plan.make(hosts, complete=not self.unreadable)
        problems = sentences(self.unreadable + plan.problems)
        if problems:
            result.update(failed=True, msg="\n".join(problems))
            return result
        result.update(changed=False, plan=plan.data())
        if plan.warnings:
            result["warnings"] = plan.warnings
        return result

    def _this_host(self, task_vars: dict[str, Any]) -> _plan.Host:
        """With all that the play and the role say, which an inventory does not know."""
        name = self.host(task_vars)
        roles = self._task.args.get("roles")
        return _plan.Host(
            name=name,
            variables=self._read(name, task_vars, lambda key: self.variable(key, task_vars)),
            others=_others(task_vars),
            router=roles is None or "router" in roles,
            planned=self._planned(name, task_vars) if roles == ["router"] else {},
        )

    def _planned(self, name: str, task_vars: dict[str, Any]) -> dict[str, Any]:
        """What the roles of engines registered: a router role cannot see variables given to them."""
        earlier = {role: task_vars.get(f"_{role}_planned") or {} for role in ENGINES}
        return {
            role: plain(result["plan"]["hosts"][name]["engines"][role])
            for role, result in earlier.items()
            if "plan" in result
        }

    def _host(self, name: str, task_vars: dict[str, Any], monitors: list[str]) -> _plan.Host:
        variables = task_vars["hostvars"][name]
        groups = task_vars["groups"]
        return _plan.Host(
            name=name,
            variables=self._read(
                name, variables, lambda key: variables[key], worker=name in role_of(groups, WORKERS)
            ),
            others=_others(variables),
            worker=name in role_of(groups, WORKERS),
            router=name in role_of(groups, ROUTERS),
            # Without the group every host has a router, and none was put in front of others.
            front=name in groups.get(ROUTERS, []),
            monitor=name in (*groups.get(MONITORS, []), *monitors),
            address=self._address(name, variables),
        )

    def _address(self, host: str, variables: Any) -> str:
        try:
            return plain(variables.get("ansible_host")) or host
        except AnsibleError as error:
            mend = "Mend the template"
            self.unreadable.append(Problem(host, "ansible_host", f"cannot be read: {error}", mend))
            return host

    def _read(
        self, host: str, names: Mapping[str, Any], read: Any, *, worker: bool = True
    ) -> dict[str, Any]:
        """The variables of our roles, as this launch has them."""
        launch = [key for key in names if isinstance(key, str) and _answers.concerns(key)]
        found = {}
        for key in [*_plan.known_variables(), *launch]:
            if key not in names:
                continue
            try:
                found[key] = plain(read(key))
            except AnsibleError as error:
                mend = "Mend the template"
                self.unreadable.append(Problem(host, key, f"cannot be read: {error}", mend))
        problems = Problems(host)
        said = {key: found.pop(key) for key in launch if key in found}
        result = _answers.apply(found, said, problems, worker=worker)
        self.unreadable += problems.found
        return result

    def _refuse_play_variables(self) -> None:
        """A play's variables are not part of any host's, so they would be lost in silence."""
        given = self._task.play.get_vars() if self._task.play else {}
        lost = sorted(set(given) & set(_plan.known_variables()))
        if lost:
            raise AnsibleActionFail(
                f"{', '.join(lost)}: given as variables of a play, where the plan for all hosts "
                "cannot see them. Write them into the inventory, such as group_vars/gpu_hosts.yml."
            )


def _others(variables: Mapping[str, Any]) -> list[str]:
    """The names of a host's variables, but for those of a launch."""
    return [key for key in variables if isinstance(key, str) and not _answers.concerns(key)]


def refuse_misspelt(groups: Mapping[str, list[str]]) -> None:
    """Without our groups every host does everything, which nobody means who misspelt one."""
    for name in sorted(groups):
        near = difflib.get_close_matches(name.lower(), OURS, n=1, cutoff=_ALIKE)
        if near and near[0] not in groups:
            raise AnsibleActionFail(
                f"The inventory has the group {name}, and none that is called {near[0]}. Call it "
                f"{near[0]}; a group for something else wants a name less alike."
            )


def members(groups: Mapping[str, list[str]]) -> set[str]:
    """Every host that serves, routes or watches."""
    served = {*role_of(groups, WORKERS), *role_of(groups, ROUTERS)}
    return {*served, *groups.get(MONITORS, [])}


def role_of(groups: Mapping[str, list[str]], group: str) -> list[str]:
    """The hosts of one of our groups, and what stands for it where it is missing."""
    if group in groups:
        return list(groups[group])
    if group == ROUTERS and WORKERS in groups:
        return list(groups[WORKERS])
    return [] if ROUTERS in groups else list(groups["all"])


def plain(value: Any) -> Any:
    """A templated value as ordinary data, of which nothing is looked up later."""
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, str):
        return str(value)
    return value
