#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: deployment_plan
short_description: Show what a plan comes to, without touching a host
description:
  - Shows of each model the exact argument list, the files of its unit, its environment, its
    credentials by name, and its route; of each router its units, configuration and routes.
  - It needs no connection to any host and changes nothing. What a host alone knows is taken from
    O(facts), or else assumed, and said so.
  - No secret is shown. The values of variables and headers whose names say that they are secret, such
    as C(PROXY_PASSWORD), are hidden, and so is who logs in to an address.
version_added: 0.1.0
author:
  - The OneHop authors (@onehop)
extends_documentation_fragment:
  - onehop.llm._attributes.reads
  - onehop.llm._options.plan
options:
  hosts:
    description: The hosts to tell of; the task's own unless given.
    type: list
    elements: str
  models:
    description:
      - Names of models, or their keys in the variables. Only they are told of then, and no router.
    type: list
    elements: str
  facts:
    description: What RV(onehop.llm.preflight#module:facts) are, as far as they are known.
    type: dict
    default: {}
  units:
    description: Whether the files of units, too, are shown. They are always returned.
    type: bool
    default: true
  display:
    description: Whether anything is shown.
    type: bool
    default: true
seealso:
  - module: onehop.llm.model_specs
  - plugin: onehop.llm.deployment_plan
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show what the inventory comes to
  hosts: gpu_hosts
  gather_facts: false
  tasks:
    - name: Plan for all hosts
      onehop.llm.model_specs:
      register: onehop_plan
      run_once: true

    - name: Show it, as hosts with an old Podman would get it
      onehop.llm.deployment_plan:
        plan: "{{ onehop_plan.plan }}"
        hosts: "{{ ansible_play_hosts_all }}"
        facts: {podman: 4.9.3}
      run_once: true
"""

RETURN = r"""
plan:
  description: What is shown, by host.
  returned: success
  type: dict
  contains:
    assumed:
      description: What the host was taken for.
      type: dict
      returned: success
    models:
      description:
        - For each model its C(name), C(engine), C(variable), C(unit), C(account), C(program), C(devices),
          C(listens), C(ready), C(after), C(command), C(environment), C(environment_files), C(credentials),
          C(route), C(weights) and C(files).
      type: list
      elements: dict
      returned: success
    router:
      description: The router's C(routes), models that are C(elsewhere), and C(files).
      type: dict
      returned: success
    edge:
      description: The same for the edge.
      type: dict
      returned: success
    memory:
      description: Who takes what of which device, as RV(onehop.llm.preflight#module:memory).
      type: list
      elements: dict
      returned: success
    warnings:
      description: What the host's Podman would not know.
      type: list
      elements: str
      returned: success
  sample:
    gpu1:
      assumed: {podman: '5.8', selinux: false}
      models: []
      router:
      edge:
      memory: []
      warnings: []
"""
