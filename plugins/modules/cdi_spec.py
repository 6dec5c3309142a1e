#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module for the specs that give containers their GPUs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cdi_spec
short_description: Have a fresh CDI spec for a host's GPUs
description:
  - Has the vendor's own tool write the spec of the Container Device Interface (CDI) by which Podman
    gives a container its GPUs, where a driver and such a tool are on the host, and tells which
    devices the host's specs name.
  - Where NVIDIA's toolkit brings C(nvidia-cdi-refresh.service), the spec is left to that unit,
    which is run when what it made is missing or stale. Otherwise C(nvidia-ctk) writes
    C(/etc/cdi/nvidia.json), and C(amd-ctk) writes C(/etc/cdi/amd.json).
  - Specs that somebody else made are never written or removed, and nothing is written beside one
    for the same kind of device, as two such files make each other useless.
  - Warns of specs that are refused, stale (a path that is gone, another driver), hidden by others,
    at odds with others, or closed to rootless containers.
  - On a host without a GPU or without such a tool it changes nothing.
version_added: 0.1.0
author:
  - The OneHop authors (@onehop)
extends_documentation_fragment:
  - onehop.llm._attributes
options:
  owner:
    description:
      - The name on whose list the specs go, so that they can be removed with it.
      - One that has no units, as M(onehop.llm.worker_units) removes what is on its owner's list and
        not in its plan.
    type: str
    required: true
  state:
    description:
      - With V(present), specs are there and fresh.
      - With V(absent), specs that this module made are gone.
    type: str
    choices: [present, absent]
    default: present
seealso:
  - module: onehop.llm.preflight
  - module: onehop.llm.remove_owned
"""

EXAMPLES = r"""
- name: Have the specs of all GPUs
  hosts: gpu_hosts
  become: true
  gather_facts: false
  tasks:
    - name: Have a fresh spec for each GPU
      onehop.llm.cdi_spec:
        owner: cdi
      register: onehop_cdi

    - name: Show the devices that a model can be given
      ansible.builtin.debug:
        var: onehop_cdi.devices

- name: Take back the specs that were made
  hosts: gpu_hosts
  become: true
  gather_facts: false
  tasks:
    - name: Have no spec of ours
      onehop.llm.cdi_spec:
        owner: cdi
        state: absent
"""

RETURN = r"""
devices:
  description:
    - The names of all devices that the host's specs have. In check mode those that they would have.
  returned: success
  type: list
  elements: str
  sample: [nvidia.com/gpu=0, nvidia.com/gpu=all]
default:
  description: The devices that a model gets unless it names some, which are all GPUs.
  returned: success
  type: list
  elements: str
  sample: [nvidia.com/gpu=all]
generated:
  description: The specs that this module or the toolkit's unit makes on this host.
  returned: success
  type: list
  elements: str
  sample: [/etc/cdi/nvidia.json]
problems:
  description: What is wrong with the host's specs and what mends it, which is warned of too.
  returned: success
  type: list
  elements: str
  sample:
    - >-
      /etc/cdi/nvidia.yaml: has mode 0600, so that rootless containers cannot use it. Give it mode
      0644.
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.onehop.llm.plugins.module_utils import _cdi_devices, _cdi_plan
from ansible_collections.onehop.llm.plugins.module_utils._owned import Owned


def main():
    """The module."""
    module = AnsibleModule(
        argument_spec={
            "owner": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    plan = _cdi_plan.Plan(module.run_command, Owned(module.params["owner"]))
    if module.params["state"] == "present":
        plan.present()
    else:
        plan.absent()
    if plan.failures:
        module.fail_json(msg="\n".join(plan.failures))
    if module.check_mode:
        diff = plan.diff()
    else:
        diff = plan.carry_out()
    if plan.failures:
        module.fail_json(msg="\n".join(plan.failures), changed=bool(diff), diff=diff)
    registry = plan.registry()
    for sentence in registry.problems:
        module.warn(sentence)
    module.exit_json(
        changed=bool(diff),
        diff=diff,
        devices=list(registry.devices),
        default=_cdi_devices.default_devices(registry.devices),
        generated=plan.made,
        problems=registry.problems,
    )


if __name__ == "__main__":
    main()
