#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module for the Python environments that our programs run in."""

from __future__ import annotations

DOCUMENTATION = r"""
module: python_environment
short_description: Have a Python environment for the router, or for what fetches weights
description:
  - Makes a virtual environment with a program of this collection and its packages, pinned by hash, in
    a directory of its own for each version of the program, its packages and Python. One that is in
    use is not touched by the making of another.
  - The packages are collected on the controller for the host's Python, libc and processor, so that
    the host needs no internet; or the host's pip asks its own index.
version_added: 0.1.0
author:
  - The OneHop authors (@onehop)
extends_documentation_fragment:
  - onehop.llm._attributes
options:
  name:
    description: The router's, or that of M(onehop.llm.model_cache).
    type: str
    choices: [router, hub]
    required: true
  python:
    description: Python 3.11 or newer on the host; the newest that is found unless given.
    type: path
  packages:
    description: Where the packages come from.
    type: str
    choices: [controller, host]
    default: controller
  wheelhouse:
    description:
      - Directory on the controller in which the packages are kept; a folder in the user's cache
        unless given.
    type: path
  identity:
    description: Filled in by the action plugin, from the program's sources.
    type: str
  module:
    description: Filled in by the action plugin; what the environment has to find.
    type: str
  sent:
    description: Filled in by the action plugin, which sends the program and its packages.
    type: path
seealso:
  - module: onehop.llm.router_config
  - module: onehop.llm.model_cache
"""

EXAMPLES = r"""
- name: Have the router's environment, without internet on the host
  onehop.llm.python_environment:
    name: router
    wheelhouse: /srv/artefacts/wheelhouse
  register: onehop_environment
"""

RETURN = r"""
path:
  description: The environment's directory.
  returned: success
  type: str
  sample: /opt/onehop/router/5f0c2a9be1d34c77
needed:
  description: Whether the environment has to be made and nothing was sent.
  returned: success
  type: bool
  sample: false
target:
  description: What packages have to fit, where the environment has to be made.
  returned: when needed
  type: dict
  sample:
    python: "3.13"
    machine: x86_64
    libc: glibc
    libc_version: "2.41"
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.onehop.llm.plugins.module_utils import _python
from ansible_collections.onehop.llm.plugins.module_utils._owned import Owned


def main():
    """The module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "choices": ["router", "hub"], "required": True},
            "python": {"type": "path"},
            "packages": {"type": "str", "choices": ["controller", "host"], "default": "controller"},
            "wheelhouse": {"type": "path"},
            "identity": {"type": "str"},
            "module": {"type": "str"},
            "sent": {"type": "path"},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    run = module.run_command
    python = _python.find(run, wanted["python"])
    if python is None:
        variable = "router_python" if wanted["name"] == "router" else "gpu_host_hub_python"
        said = _python.complaint(wanted["python"], variable)
        if wanted["name"] == "hub":
            said += " Or leave fetching weights to the engine: weights: engine."
        module.fail_json(msg=said)
    environment = _python.Environment(
        run, python, wanted["identity"] or "", wanted["name"], wanted["module"] or "sys"
    )
    made = environment.works()
    needed = not made and not wanted["sent"]
    if not made and not needed and not module.check_mode:
        owned = Owned(wanted["name"])
        owned.add("directories", [environment.path])
        owned.save()
        try:
            environment.make(wanted["sent"], offline=wanted["packages"] == "controller")
        except _python.EnvironmentFailed as error:
            module.fail_json(msg=str(error))
        if wanted["name"] == "hub":
            # The router's go once no stream runs in them any more.
            environment.supersede(owned)
    module.exit_json(
        changed=not made,
        needed=needed,
        path=environment.path,
        target=python.target if needed else None,
        diff={
            "before_header": environment.path,
            "after_header": environment.path,
            "before": "",
            "after": ""
            if made
            else "the %s with Python %s\n" % (wanted["name"], python.target["python"]),
        },
    )


if __name__ == "__main__":
    main()
