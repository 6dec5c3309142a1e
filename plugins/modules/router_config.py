#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module that installs the router's configuration and has the router run with it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: router_config
short_description: Give the router its routes, and have it run with them
description:
  - Renders the router's configuration from the plan, has the router itself check it, installs it
    with the router's units and secrets, and has the router run with it.
  - New routes and other secrets are a reload, which no request notices. For another version of the
    router or another unit a successor takes over on the same sockets, while the old process ends
    its streams. Other listeners are a start.
  - What runs decides, not what was changed, so that a run which died half-way is repaired.
version_added: 0.1.0
author:
  - The OneHop authors (@onehop)
extends_documentation_fragment:
  - onehop.llm._attributes
  - onehop.llm._rendered
  - onehop.llm._options.plan
options:
  facts:
    description: RV(onehop.llm.preflight#module:facts). Needed unless O(phase=withdraw).
    type: dict
  environment:
    description: RV(onehop.llm.python_environment#module:path). Needed unless O(phase=withdraw).
    type: path
  phase:
    description:
      - V(withdraw) takes the routes away that the plan no longer has, before their workers go.
      - V(final) gives the router what the plan says.
    type: str
    choices: [withdraw, final]
    default: final
  instance:
    description:
      - V(router) is the one that clients ask.
      - V(edge) is the one that the routers of other hosts ask, on a host that serves models.
    type: str
    choices: [router, edge]
    default: router
  hashes:
    description: RV(onehop.llm.edge_key#module:hashes). Needed for O(instance=edge).
    type: dict
  fetched:
    description:
      - What edges gave this router, by the names of their hosts, RV(onehop.llm.edge_key#module:given)
        each. Of other edges it uses the copies that the host has.
    type: dict
  listeners:
    description: Filled in on the controller, what the router's process carries of its listeners.
    type: str
  keep:
    description: Filled in on the controller, the URLs of each model that may stay.
    type: dict
seealso:
  - module: onehop.llm.edge_key
  - module: onehop.llm.model_specs
  - module: onehop.llm.python_environment
"""

EXAMPLES = r"""
- name: Give the routers their routes
  hosts: llm_routers
  gather_facts: false
  tasks:
    - name: Plan for all hosts
      onehop.llm.model_specs:
      register: onehop_plan
      run_once: true

    - name: Check what only the host knows
      onehop.llm.preflight:
        plan: "{{ onehop_plan.plan }}"
        roles: [router]
      register: onehop_host

    - name: Have the router's environment
      onehop.llm.python_environment:
        name: router
      register: onehop_environment

    - name: Give the router its routes
      onehop.llm.router_config:
        plan: "{{ onehop_plan.plan }}"
        facts: "{{ onehop_host.facts }}"
        environment: "{{ onehop_environment.path }}"
"""

RETURN = r"""
action:
  description: What the router needed.
  returned: success
  type: str
  sample: reload
fetched:
  description: The hosts whose edges gave it what it uses, of O(fetched).
  returned: for O(instance=router)
  type: list
  elements: str
  sample: [gpu1]
models:
  description: The models that the router has routes to.
  returned: success
  type: list
  elements: str
  sample: [qwen3-8b]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.onehop.llm.plugins.module_utils._arguments import RENDERED
from ansible_collections.onehop.llm.plugins.module_utils._router import (
    INSTANCES,
    Router,
    RouterError,
)
from ansible_collections.onehop.llm.plugins.module_utils._systemd import SystemdError
from ansible_collections.onehop.llm.plugins.module_utils._unit_set import UnitSetError


def main():
    """The module."""
    module = AnsibleModule(
        argument_spec={
            "plan": {"type": "dict", "required": True},
            "facts": {"type": "dict"},
            "environment": {"type": "path"},
            "phase": {"type": "str", "choices": ["withdraw", "final"], "default": "final"},
            "instance": {"type": "str", "choices": list(INSTANCES), "default": "router"},
            "hashes": {"type": "dict", "no_log": False},
            "fetched": {"type": "dict", "no_log": True},
            "rendered": RENDERED,
            "listeners": {"type": "str"},
            "keep": {"type": "dict", "no_log": False},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    rendered = wanted["rendered"] or {"units": [], "files": [], "secrets": []}
    router = Router(
        module.run_command, wanted["environment"], module.check_mode, wanted["instance"]
    )
    try:
        if wanted["phase"] == "withdraw":
            result = router.withdraw(wanted["keep"] or {})
        else:
            result = router.converge(rendered, wanted["listeners"])
    except (RouterError, UnitSetError, SystemdError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
