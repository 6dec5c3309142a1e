# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has the host ask its router what the plan says of it."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.onehop.llm.plugins.plugin_utils import _smoke
from ansible_collections.onehop.llm.plugins.plugin_utils._controller import Action


class ActionModule(Action):
    """Takes the router's door and questions from the plan, where there is one."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        plan = arguments.pop("plan", None)
        if not plan:
            return result | self.ask(arguments, task_vars)
        host = self.host(task_vars)
        models = arguments.get("models") or None
        wrong = _smoke.unknown(plan, models or [])
        if wrong:
            raise AnsibleActionFail(f"models: no router has a route for {', '.join(wrong)}")
        door = _smoke.door(plan["hosts"][host]["router"])
        if door["url"] is None:
            raise AnsibleActionFail(
                f"{host}: router_tls.client_ca wants a client's certificate, and there is none here. "
                "Give the router a router_socket, by which its own host can ask it."
            )
        questions, nobody = _smoke.questions(plan, host, models)
        if arguments.get("key"):
            questions += [{"model": name, "key_paths": []} for name in nobody]
            nobody = []
        result.update(self.ask({**arguments, **door, "questions": questions}, task_vars))
        if nobody:
            said = f"{host}: no client may ask for {', '.join(nobody)}, which were not asked for."
            result["warnings"] = [*result.get("warnings", []), said]
        return result
