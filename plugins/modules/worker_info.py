#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module that tells how the units of this collection are doing."""

from __future__ import annotations

DOCUMENTATION = r"""
module: worker_info
short_description: Tell how the workers and the router of a host are doing
description:
  - Lists every unit that this collection installed on the host, with its state, and of those that
    failed or were started again what they said before. Workers that run are asked whether they are
    ready.
  - Without the rights of root it tells what anybody may know. Units of an account are then RV(units)
    whose state is C(unknown).
version_added: 0.1.0
author:
  - The OneHop authors (@onehop)
extends_documentation_fragment:
  - onehop.llm._attributes.reads
options: {}
seealso:
  - module: onehop.llm.worker_state
"""

EXAMPLES = r"""
- name: Ask how the workers are doing
  onehop.llm.worker_info:
  register: onehop_workers

- name: Show those that are not running
  ansible.builtin.debug:
    msg: "{{ onehop_workers.units | rejectattr('state', 'equalto', 'active') }}"
"""

RETURN = r"""
units:
  description: The units, by owner and name.
  returned: success
  type: list
  elements: dict
  sample:
    - unit: llama-cpp-qwen3-8b.service
      owner: llama_cpp
      account: null
      title: llama.cpp serving qwen3-8b
      installed: true
      state: active
      detail: running
      unknown: null
      since: Fri 2026-11-20 22:35:44 UTC
      uptime: 3600
      restarts: 0
      main_pid: 812
      current: true
      listens: ['127.0.0.1:18001']
      ready: true
      devices: []
      image: null
      wanted: /opt/onehop/llama.cpp/b9754/llama-server
      runs: /opt/onehop/llama.cpp/b9754/llama-server
      result: success
      exit_status: 0
      journal: []
  contains:
    account:
      description: The account whose manager runs it; none where that is the system's.
      type: str
      returned: success
    journal:
      description:
        - The last lines of a unit that failed, or of one that runs again, from before its last start.
          Empty for those that are well.
      type: list
      elements: str
      returned: success
    current:
      description:
        - Whether its process was started from the unit, the settings and the secrets that are
          installed. None where only root could tell.
      type: bool
      returned: success
    title:
      description: What the unit calls itself.
      type: str
      returned: success
    installed:
      description: Whether the unit's file is there.
      type: bool
      returned: success
    unknown:
      description: Why its state could not be asked for.
      type: str
      returned: success
    uptime:
      description: Seconds for which it has been active. None where it is not.
      type: int
      returned: success
    listens:
      description: Addresses with ports, and paths of sockets.
      type: list
      elements: str
      returned: success
    ready:
      description:
        - Whether a worker answers as one that is ready, and of other units, whether they are active.
          None where this could not be asked.
      type: bool
      returned: success
    devices:
      description: The devices that the unit names.
      type: list
      elements: str
      returned: success
    image:
      description: The image that the unit names, of a container.
      type: str
      returned: success
    wanted:
      description: The image or the program that the unit names.
      type: str
      returned: success
    runs:
      description: The image or the program that runs. None where nothing does, or where it cannot be told.
      type: str
      returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.onehop.llm.plugins.module_utils import _look


def main():
    """The module."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.exit_json(changed=False, units=_look.units(module.run_command))


if __name__ == "__main__":
    main()
