#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_status
short_description: Show how the workers and routers of all hosts are doing, as one table
description:
  - Sets what M(onehop.llm.worker_info) said of each host beside what is declared, and shows it as a
    table or as JSON. The playbook C(onehop.llm.status) is made of it.
  - It needs no connection to any host and changes nothing.
version_added: 0.1.0
author:
  - The OneHop authors (@onehop)
extends_documentation_fragment:
  - onehop.llm._attributes.reads
options:
  answers:
    description:
      - By host, what M(onehop.llm.worker_info) returned. A host that could not be asked has no C(units)
        in it; C(unreachable) and C(msg) say why then.
    type: dict
    required: true
  plan:
    description:
      - RV(onehop.llm.model_specs#module:plan). Without it the hosts' units are shown, and nothing is said of
        what is declared.
    type: dict
  unplanned:
    description: Why there is no plan, which is then a warning.
    type: str
  format:
    description: What is shown.
    type: str
    choices: [table, json, none]
    default: table
  width:
    description:
      - Columns into which the table has to fit. Unless given, those of the terminal, and without one, as
        many as the table takes. 0 is for any number.
    type: int
seealso:
  - module: onehop.llm.worker_info
  - module: onehop.llm.model_specs
"""

EXAMPLES = r"""
- name: Show how the fleet is doing
  hosts: gpu_hosts
  gather_facts: false
  tasks:
    - name: Plan for all hosts
      onehop.llm.model_specs:
      register: onehop_plan
      run_once: true

    - name: Ask how the units are doing
      onehop.llm.worker_info:
      register: onehop_workers
      ignore_unreachable: true

    - name: Show the fleet
      onehop.llm.fleet_status:
        plan: "{{ onehop_plan.plan }}"
        answers: >-
          {{ dict(ansible_play_hosts_all | zip(ansible_play_hosts_all
             | map('extract', hostvars, 'onehop_workers'))) }}
      run_once: true
"""

RETURN = r"""
rows:
  description:
    - A row for each unit, and one for a host of which nothing else is known. What cannot be told is none.
  returned: success
  type: list
  elements: dict
  sample:
    - host: gpu1
      kind: worker
      engine: vLLM
      model: qwen3-8b
      unit: vllm-qwen3-8b.service
      account: vllm
      state: active
      detail: running
      ready: true
      listens: ['127.0.0.1:8001']
      devices: [nvidia.com/gpu=0]
      uptime: 7380
      since: Fri 2026-11-20 22:35:44 UTC
      restarts: 0
      runs: docker.io/vllm/vllm-openai:v0.25.1
      wanted: docker.io/vllm/vllm-openai:v0.33.0
      current: true
      declared: true
      error: null
      told: null
      notes: []
  contains:
    kind:
      description: C(worker), C(gateway), C(router), C(edge), or C(host) where there is nothing else.
      type: str
      returned: success
    state:
      description:
        - What systemd calls it; C(absent) where it is declared and not on the host, C(unreachable) where the
          host is, C(unknown) where only root could tell.
      type: str
      returned: success
    declared:
      description: Whether the inventory declares it. None without a plan.
      type: bool
      returned: success
    error:
      description: The name of the diagnosis of its last error, or C(unknown).
      type: str
      returned: success
    told:
      description: That error in words.
      type: str
      returned: success
    notes:
      description: What else is not as it shall be.
      type: list
      elements: str
      returned: success
summary:
  description:
    - What the rows come to. C(text) is for people, C(all_well) for programs; C(workers), C(gateways),
      C(routers) and C(edges) are numbers by what they are.
  returned: success
  type: dict
  sample:
    text: 9 workers, 8 ready, 1 failed
    all_well: false
table:
  description: The lines of the table, whatever was shown.
  returned: success
  type: list
  elements: str
  sample: []
"""
