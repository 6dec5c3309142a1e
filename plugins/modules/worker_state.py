#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module that brings units to their wanted state."""

from __future__ import annotations

DOCUMENTATION = r"""
module: worker_state
short_description: Start what has to run, restart what runs from something else, wait until ready
description:
  - Compares what runs with what was declared. A unit that is down is started, and one whose process
    was started from another unit, other secrets or other settings is restarted. Nothing else is
    touched, whatever changed before.
  - Waits until each unit is ready, and says meanwhile what each is at and how far, as its journal
    tells.
  - A unit that does not become ready fails the task with what it was at and for how long, the last
    lines of its journal and, where they are known, with the cause and the mend.
version_added: 0.1.0
author:
  - The OneHop authors (@onehop)
extends_documentation_fragment:
  - onehop.llm._attributes
  - onehop.llm._options.watched
options:
  units:
    description: RV(onehop.llm.worker_units#module:units), in the order in which they start.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The unit's name.
        type: str
        required: true
      stamp:
        description: What its process carries when it was started from what is declared.
        type: str
  account:
    description: The account whose manager runs the units; the system's manager unless given.
    type: str
  timeout:
    description:
      - Seconds to wait until all are ready. Each unit's own start timeout holds as well.
    type: int
    default: 7200
  fail:
    description:
      - Whether a unit that does not become ready fails the task. Otherwise it is only in
        RV(unready), for a later task to fail with.
    type: bool
    default: true
seealso:
  - module: onehop.llm.worker_units
"""

EXAMPLES = r"""
- name: Start what has to run
  onehop.llm.worker_state:
    units:
      - name: llama-cpp-qwen3-8b.service
        stamp: 3f1c8e0d9a4b47c2a6e5d4f3b2a19087
"""

RETURN = r"""
started:
  description: Units that were started or restarted.
  returned: success
  type: list
  elements: str
  sample: [llama-cpp-qwen3-8b.service]
unready:
  description: What went wrong with each unit that is not ready, in words for the operator.
  returned: always
  type: list
  elements: str
  sample: []
reports:
  description: By unit, how it is doing.
  returned: when not in check mode
  type: dict
  sample:
    llama-cpp-qwen3-8b.service:
      outcome: ready
      state: active (running)
      result: success
      exit_status: 0
      main_pid: 812
      seconds: 41
      journal: []
  contains:
    seconds:
      description: How long its main process has run, or ran until it ended.
      type: int
      returned: when it was started
    journal:
      description: The last lines of one that is not ready.
      type: list
      elements: str
      returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.onehop.llm.plugins.module_utils._state import NOTHING, WAIT, Converger
from ansible_collections.onehop.llm.plugins.module_utils._systemd import Systemd, SystemdError
from ansible_collections.onehop.llm.plugins.module_utils._user_manager import UserSystemd

SLICE = 5
"""Seconds that one look lasts while the action plugin shows progress."""


def main():
    """The module."""
    module = AnsibleModule(
        argument_spec={
            "units": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "stamp": {"type": "str"},
                },
            },
            "account": {"type": "str"},
            "timeout": {"type": "int", "default": 7200},
            "fail": {"type": "bool", "default": True},
            "phase": {"type": "str", "choices": ["all", "begin", "watch"], "default": "all"},
        },
        supports_check_mode=True,
    )
    phase = module.params["phase"]
    account = module.params["account"]
    manager = UserSystemd(module.run_command, account) if account else Systemd(module.run_command)
    converger = Converger(manager, module.params["units"])
    result = {"changed": False, "started": [], "reports": {}}
    try:
        if module.check_mode:
            plan = converger.plan()
            started = [name for name in converger.names if plan[name] not in (NOTHING, WAIT)]
            module.exit_json(
                changed=bool(started), started=started, diff=describe(plan), unready=[], reports={}
            )
        if phase in ("all", "begin"):
            plan = converger.plan()
            result["started"] = converger.begin()
            result["changed"] = bool(result["started"])
            result["diff"] = describe(plan)
        if phase in ("all", "watch"):
            seconds = module.params["timeout"] if phase == "all" else SLICE
            result["reports"] = converger.watch(min(seconds, module.params["timeout"]))
    except SystemdError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


def describe(plan):
    """The running state before and after, for Ansible's diff."""
    before = {"nothing": "running as declared", "start": "not running", "wait": "starting"}
    before["restart"] = "running from something else"
    changes = {name: need for name, need in sorted(plan.items()) if need not in (NOTHING, WAIT)}
    return {
        "before_header": "running state",
        "after_header": "running state",
        "before": "".join("%s: %s\n" % (name, before[need]) for name, need in changes.items()),
        "after": "".join("%s: running as declared\n" % name for name in changes),
    }


if __name__ == "__main__":
    main()
