#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module that removes all that this collection made on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: remove_owned
short_description: Remove all that this collection made on a host
description:
  - Stops and removes every unit of this collection, the router first, with all files, secrets,
    programs and accounts that came with them. What others made is never touched.
  - Caches with weights stay unless O(caches=true), and their sizes are told.
version_added: 0.1.0
author:
  - The OneHop authors (@onehop)
extends_documentation_fragment:
  - onehop.llm._attributes
options:
  caches:
    description: Whether the workers' caches, with the weights in them, go too.
    type: bool
    default: false
  cache_roots:
    description: Filled in on the controller, the directories that hold the caches of each engine.
    type: list
    elements: path
    default: []
"""

EXAMPLES = r"""
- name: Remove all but the weights
  onehop.llm.remove_owned:

- name: Remove the weights too
  onehop.llm.remove_owned:
    caches: true
"""

RETURN = r"""
removed:
  description: What was removed, units by name and all else by path.
  returned: success
  type: list
  elements: str
  sample: [llama-cpp-qwen3-8b.service, /etc/systemd/system/llama-cpp-qwen3-8b.service]
kept:
  description: Caches that stay, with their sizes in bytes.
  returned: success
  type: dict
  sample:
    /var/cache/private/llama-cpp/qwen3-8b: 5027783488
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.onehop.llm.plugins.module_utils._accounts import AccountError
from ansible_collections.onehop.llm.plugins.module_utils._removal import Removal
from ansible_collections.onehop.llm.plugins.module_utils._systemd import SystemdError


def main():
    """The module."""
    module = AnsibleModule(
        argument_spec={
            "caches": {"type": "bool", "default": False},
            "cache_roots": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    removal = Removal(module.run_command, module.check_mode)
    try:
        removal.run_all(module.params["caches"], module.params["cache_roots"])
    except (AccountError, SystemdError) as error:
        module.fail_json(msg=str(error), removed=removal.removed)
    module.exit_json(
        changed=bool(removal.removed),
        removed=removal.removed,
        kept=removal.kept,
        diff={
            "before_header": "made by onehop.llm",
            "after_header": "made by onehop.llm",
            "before": "".join("%s\n" % name for name in removal.removed),
            "after": "",
        },
    )


if __name__ == "__main__":
    main()
