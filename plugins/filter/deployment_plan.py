# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What variables of hosts come to, on the controller alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.onehop.llm.plugins.plugin_utils import _deployment, _plan
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import sentences

DOCUMENTATION = r"""
name: deployment_plan
short_description: Tell what variables of hosts come to, with no host at all
description:
  - Plans for all given hosts at once, as M(onehop.llm.model_specs) does for an inventory, and tells
    of each model the exact argument list, the files of its unit, its environment and its route.
  - Fails with every mistake in the variables.
  - Secrets are left out. What a host alone knows is assumed, and told as C(assumed).
version_added: 0.1.0
author:
  - The OneHop authors (@onehop)
options:
  _input:
    description: The variables of each host, by its name.
    type: dict
    required: true
  facts:
    description:
      - What is known of the hosts, as M(onehop.llm.preflight) returns it; the rest is assumed.
    type: dict
    default: {}
  models:
    description: Names of the models to tell of; of all, and of the routers, unless given.
    type: list
    elements: str
  gpu_hosts:
    description: The hosts that serve models; all unless given.
    type: list
    elements: str
  llm_routers:
    description:
      - The hosts whose routers are in front of all models. Unless given, each host has a router for
        itself.
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: Show the command line that a model would get
  hosts: localhost
  gather_facts: false
  vars:
    fleet:
      gpu1:
        llama_cpp_models:
          small:
            port: 18001
            settings: {model: /srv/models/small.gguf, ctx-size: 8192}
  tasks:
    - name: Show it
      ansible.builtin.debug:
        msg: "{{ (fleet | onehop.llm.deployment_plan).gpu1.models[0].command | join(' ') }}"

    - name: Show the unit, too, as an old Podman would get it
      ansible.builtin.debug:
        msg: "{{ plan.gpu1.models[0].files }}"
      vars:
        plan: "{{ fleet | onehop.llm.deployment_plan(facts={'podman': '4.9.3'}, models=['small']) }}"
"""

RETURN = r"""
_value:
  description:
    - By host, C(assumed), C(models), C(router), C(edge), C(memory) and C(warnings), as
      RV(onehop.llm.deployment_plan#module:plan) has them.
  type: dict
"""


def deployment_plan(
    hosts: Mapping[str, Mapping[str, Any]],
    facts: Mapping[str, Any] | None = None,
    models: Sequence[str] | None = None,
    gpu_hosts: Sequence[str] | None = None,
    llm_routers: Sequence[str] | None = None,
) -> dict[str, Any]:
    """By host, what its variables come to."""
    if not isinstance(hosts, Mapping):
        raise AnsibleFilterError("deployment_plan: give variables by the name of their host")
    plan = _plan.make(
        _plan.Host(
            name=str(name),
            variables=dict(variables or {}),
            others=[str(key) for key in variables or {}],
            worker=gpu_hosts is None or name in gpu_hosts,
            router=llm_routers is None or name in llm_routers,
            front=llm_routers is not None and name in llm_routers,
            address=str((variables or {}).get("ansible_host") or name),
        )
        for name, variables in sorted(hosts.items())
    )
    names = None if models is None else [str(name) for name in models]
    wrong = _deployment.unknown(plan.data(), names or [])
    problems = sentences(plan.problems) or [sentence for sentence in [wrong] if sentence]
    if problems:
        raise AnsibleFilterError("\n".join(problems))
    return _deployment.data(plan.data(), list(plan.hosts), facts, names)


class FilterModule:
    """The filter, by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """What Ansible asks for."""
        return {"deployment_plan": deployment_plan}
