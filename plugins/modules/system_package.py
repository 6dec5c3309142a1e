#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module for a distribution's package."""

from __future__ import annotations

DOCUMENTATION = r"""
module: system_package
short_description: Have a distribution's package installed
description:
  - Installs a package with the host's own package manager, unless it is there.
  - Unlike M(ansible.builtin.package) it needs nothing but the package manager itself, so that check
    mode works on a bare host.
version_added: 0.1.0
author:
  - The OneHop authors (@onehop)
extends_documentation_fragment:
  - onehop.llm._attributes
options:
  name:
    description: The package.
    type: str
    required: true
  instead:
    description: What to do where the host has no such package, for the error message.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: Have llama.cpp installed
  onehop.llm.system_package:
    name: llama.cpp
"""

RETURN = r""" # """

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.onehop.llm.plugins.module_utils import _packages


def main():
    """The module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "instead": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    name = module.params["name"]
    manager = _packages.manager()
    if manager is None:
        module.fail_json(
            msg="No package manager of %s is on this host. %s"
            % (", ".join(row.program for row in _packages.MANAGERS), module.params["instead"])
        )
    missing = not manager.has(module.run_command, name)
    if missing and not module.check_mode:
        said = manager.install(module.run_command, name)
        if said:
            module.fail_json(
                msg="The package %s could not be installed: %s. %s"
                % (name, said.rstrip(". "), module.params["instead"])
            )
    module.exit_json(
        changed=missing,
        diff={
            "before_header": "packages",
            "after_header": "packages",
            "before": "",
            "after": "%s\n" % name if missing else "",
        },
    )


if __name__ == "__main__":
    main()
