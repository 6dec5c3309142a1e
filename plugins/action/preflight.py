# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says what the plan needs of a host, and has the host checked."""

from __future__ import annotations

import os
import time
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import (
    _budget,
    _checks,
    _gpu_host,
    _hardware,
    _install,
    _memory_table,
)
from ansible_collections.onehop.llm.plugins.plugin_utils._controller import Action, display


class ActionModule(Action):
    """Fills in ``needs``."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        plan = self.argument("plan")
        roles = self._task.args.get("roles")
        needs = _install.needs(plan, self.host(task_vars), roles)
        result.update(self.ask({"plan": {}, "needs": needs, "clock": time.time()}, task_vars))
        facts = result.get("facts") or {}
        if facts:
            variables = plan["hosts"][self.host(task_vars)]["gpu_host"]
            facts["container_packages"] = _gpu_host.packages(variables, facts) if variables else []
        said = _install.complaints(plan, self.host(task_vars), roles, facts)
        if facts:
            said += self._checked(plan, roles, result, task_vars)
        said += self._budget(plan, roles, facts, result, task_vars)
        if said:
            self._fail(result, said)
        for archive in _install.archives(plan, self.host(task_vars), roles):
            if os.path.isfile(archive["source"]) or self._has(archive["program"], task_vars):
                continue
            self._fail(
                result,
                [
                    f"{archive['variable']} = {archive['source']}: is no file on the controller. "
                    "Put the archive there, or write an http or https address."
                ],
            )
        return result

    def _checked(
        self, plan: Any, roles: list[str] | None, result: dict[str, Any], task_vars: Any
    ) -> list[str]:
        """The errors of what can be overruled; its warnings are added to the result."""
        host = self.host(task_vars)
        variables = plan["hosts"][host]["gpu_host"]
        findings = [
            *_checks.from_host(result.get("findings") or []),
            *_hardware.findings(plan, host, roles, result["facts"]),
        ]
        errors, warnings = _checks.judged(
            findings, variables["gpu_host_checks"] if variables else {}
        )
        said = [f"{host}: {sentence}" for sentence in warnings]
        result["warnings"] = [*result.get("warnings", []), *said]
        return errors

    def _budget(
        self,
        plan: dict[str, Any],
        roles: list[str] | None,
        facts: dict[str, Any],
        result: dict[str, Any],
        task_vars: dict[str, Any],
    ) -> list[str]:
        """What does not add up on this host; who takes which memory is returned, and shown in check mode."""
        host = self.host(task_vars)
        errors, warnings = _budget.complaints(plan, host, roles, facts)
        if warnings:
            said = [f"{host}: {sentence}" for sentence in warnings]
            result["warnings"] = [*result.get("warnings", []), *said]
        rows = _budget.table(plan, host, facts, roles) if facts else []
        if rows:
            result["memory"] = rows
            # Within the whole way of a deployment its own preflight has shown that of all roles.
            if self._task.check_mode and "onehop_site_plan" not in task_vars:
                display.display(f"{host}:\n{_memory_table.text(rows)}")
        return errors

    @staticmethod
    def _fail(result: dict[str, Any], sentences: list[str]) -> None:
        """Add to what the module complained of."""
        said = [result["msg"]] if result.get("failed") else []
        result.update(failed=True, msg="\n".join(said + sentences))
        # What the module raised would be shown instead.
        result.pop("exception", None)

    def _has(self, path: str, task_vars: Any) -> bool:
        """Whether the host has the program already; asked only where the archive is missing."""
        answer = self._execute_module(
            module_name="ansible.builtin.stat",
            module_args={"path": path, "get_checksum": False},
            task_vars=task_vars,
        )
        return bool(answer.get("stat", {}).get("exists"))
