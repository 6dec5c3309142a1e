#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module that installs the units of one engine."""

from __future__ import annotations

DOCUMENTATION = r"""
module: worker_units
short_description: Render, check, install and prune the units of an engine's workers
description:
  - Renders a unit for each worker that the plan has for the host and the engine, has systemd's
    own parser check it, and installs it with its secrets.
  - Units that it installed before and that the plan no longer has are stopped and removed. Units
    of others are never touched.
  - Starting is what M(onehop.llm.worker_state) does.
version_added: 0.1.0
author:
  - The OneHop authors (@onehop)
extends_documentation_fragment:
  - onehop.llm._attributes
  - onehop.llm._rendered
  - onehop.llm._options.plan
options:
  engine:
    description: The role of the engine, such as V(llama_cpp).
    type: str
    required: true
  facts:
    description: RV(onehop.llm.preflight#module:facts).
    type: dict
    required: true
seealso:
  - module: onehop.llm.worker_state
"""

EXAMPLES = r"""
- name: Install the units of llama.cpp's workers
  hosts: gpu_hosts
  gather_facts: false
  tasks:
    - name: Plan for all hosts
      onehop.llm.model_specs:
      register: onehop_plan
      run_once: true

    - name: Check what only the host knows
      onehop.llm.preflight:
        plan: "{{ onehop_plan.plan }}"
      register: onehop_host

    - name: Install the units
      onehop.llm.worker_units:
        engine: llama_cpp
        plan: "{{ onehop_plan.plan }}"
        facts: "{{ onehop_host.facts }}"
      register: onehop_units

    - name: Start what has to run
      onehop.llm.worker_state:
        units: "{{ onehop_units.units }}"
"""

RETURN = r"""
units:
  description: The units in the order in which they start, each with the stamp that it carries.
  returned: success
  type: list
  elements: dict
  sample:
    - name: llama-cpp-qwen3-8b.service
      stamp: 3f1c8e0d9a4b47c2a6e5d4f3b2a19087
account:
  description: The account whose manager runs the units; none for units of the system.
  returned: success
  type: str
  sample: vllm
removed:
  description: Units that were stopped and removed.
  returned: success
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.onehop.llm.plugins.module_utils._arguments import RENDERED
from ansible_collections.onehop.llm.plugins.module_utils._unit_set import UnitSet, UnitSetError


def main():
    """The module."""
    module = AnsibleModule(
        argument_spec={
            "engine": {"type": "str", "required": True},
            "plan": {"type": "dict", "required": True},
            "facts": {"type": "dict", "required": True},
            "rendered": RENDERED,
        },
        supports_check_mode=True,
    )
    rendered = module.params["rendered"] or {
        "units": [],
        "files": [],
        "secrets": [],
        "account": None,
    }
    try:
        units = UnitSet(
            module.run_command,
            owner=module.params["engine"],
            check_mode=module.check_mode,
            **rendered,
        )
        problems = units.problems()
        if problems:
            module.fail_json(msg="\n".join(problems), problems=problems)
        result = units.converge()
    except UnitSetError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        units=[
            {"name": unit["name"], "stamp": units.stamps.get(unit["name"])}
            for unit in rendered["units"]
        ],
        account=rendered["account"],
        **result,
    )


if __name__ == "__main__":
    main()
