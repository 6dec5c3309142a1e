#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module for a distribution's package."""

from __future__ import annotations

DOCUMENTATION = r"""
module: system_package
short_description: Have a distribution's packages installed
description:
  - Installs packages with the host's own package manager, unless they are there.
  - Unlike M(ansible.builtin.package) it needs nothing but the package manager itself, so that check
    mode works on a bare host.
version_added: 0.1.0
author:
  - The OneHop authors (@onehop)
extends_documentation_fragment:
  - onehop.llm._attributes
options:
  name:
    description: The package, or several.
    type: list
    elements: str
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
            "name": {"type": "list", "elements": "str", "required": True},
            "instead": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    names = module.params["name"]
    manager = _packages.manager()
    if manager is None and names:
        module.fail_json(
            msg="No package manager of %s is on this host. %s"
            % (", ".join(row.program for row in _packages.MANAGERS), module.params["instead"])
        )
    missing = [name for name in names if not manager.has(module.run_command, name)]
    for name in missing if not module.check_mode else ():
        said = manager.install(module.run_command, name)
        if said:
            module.fail_json(
                msg="The package %s could not be installed: %s. %s"
                % (name, said.rstrip(". "), module.params["instead"])
            )
    module.exit_json(
        changed=bool(missing),
        diff={
            "before_header": "packages",
            "after_header": "packages",
            "before": "",
            "after": "".join("%s\n" % name for name in missing),
        },
    )


if __name__ == "__main__":
    main()
