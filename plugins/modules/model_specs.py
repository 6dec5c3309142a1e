#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: model_specs
short_description: Plan which models run where, and find every mistake before anything changes
description:
  - Reads the variables of the roles of this collection for all hosts of the inventory,
    normalises them, and fails with every mistake of every host at once, each with the variable's
    name, its value and what to write instead.
  - The result is the plan that the roles follow. It needs no connection to any host, changes
    nothing, and holds no secret.
  - A host serves models when it is in the group C(gpu_hosts), and runs a router when it is in the
    group C(llm_routers). Without a group C(llm_routers) the hosts of C(gpu_hosts) run routers too;
    without either group every host does both.
  - A host whose Prometheus watches all others is in the group C(llm_monitors), whatever else it does.
version_added: 0.1.0
author:
  - The OneHop authors (@onehop)
extends_documentation_fragment:
  - onehop.llm._attributes.reads
options:
  scope:
    description:
      - V(inventory) plans for all hosts with the variables that the inventory gives them.
      - V(host) plans for this host alone, with the variables of the play and the role too.
    type: str
    choices: [inventory, host]
    default: inventory
  roles:
    description:
      - With O(scope=host), the roles that are used there. A router that is not among them is no
        part of the plan; all roles unless given.
      - With O(scope=inventory) and C(monitoring) among them, this host watches the others though it is
        not in the group C(llm_monitors).
    type: list
    elements: str
seealso:
  - module: onehop.llm.worker_units
  - module: onehop.llm.router_config
"""

EXAMPLES = r"""
- name: Find the mistakes of an inventory without touching a host
  hosts: all
  gather_facts: false
  tasks:
    - name: Plan for all hosts
      onehop.llm.model_specs:
      register: onehop_plan
      run_once: true

    - name: Show the routes
      ansible.builtin.debug:
        var: onehop_plan.plan.routes
      run_once: true
"""

RETURN = r"""
plan:
  description: What shall run where.
  returned: success
  type: dict
  contains:
    hosts:
      description: By host, the workers of each engine and the router's variables.
      type: dict
      returned: success
    routes:
      description: By model, its replicas, each with its host and URL.
      type: dict
      returned: success
  sample:
    hosts:
      gpu1:
        engines:
          llama_cpp:
            workers: []
        router:
    routes:
      qwen3-8b:
        replicas:
          - host: gpu1
            unit: llama-cpp-qwen3-8b.service
            url: http://127.0.0.1:18001
        unlisted: false
"""
