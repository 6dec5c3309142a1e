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
    failed or were started again what they said before.
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
      state: active
      detail: running
      since: Fri 2026-11-20 22:35:44 UTC
      restarts: 0
      main_pid: 812
      current: true
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
          installed.
      type: bool
      returned: success
"""

import re

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.onehop.llm.plugins.module_utils import _files, _owned, _unit_places
from ansible_collections.onehop.llm.plugins.module_utils._systemd import STAMP, stamp_of

LINES = 200
"""Of the journal of a unit that failed."""


def installed_stamp(path):
    """The stamp in a unit's file; ``None`` where it carries none."""
    text = (_files.read(path) or b"").decode("utf-8", "replace")
    found = re.findall(r"^Environment=%s=([0-9a-f]+)$" % STAMP, text, re.MULTILINE)
    return found[-1] if found else None


def describe(owner, place, unit, shown):
    """One unit, in the words of the module's documentation."""
    stamp = installed_stamp(place.path(unit))
    return {
        "unit": unit,
        "owner": owner,
        "account": place.account,
        "state": shown["ActiveState"],
        "detail": shown["SubState"],
        "since": shown["ActiveEnterTimestamp"],
        "restarts": int(shown.get("NRestarts") or 0),
        "main_pid": int(shown.get("MainPID") or 0),
        "current": stamp is None or stamp_of(shown.get("MainPID")) == stamp,
        **ended(place.manager, unit, shown),
    }


def ended(manager, unit, shown):
    """How a unit ended last, and with which words; nothing of one that never did."""
    if shown["ActiveState"] == "failed" or shown["SubState"] == "auto-restart":
        lines = manager.journal(unit, shown.get("InvocationID"), LINES)
        status = int(shown.get("ExecMainStatus") or 0)
        return {"result": shown["Result"], "exit_status": status, "journal": lines}
    lines = []
    if int(shown.get("NRestarts") or 0):
        lines = manager.journal(unit, None, LINES, shown.get("InactiveExitTimestamp"))
    return {"result": "success", "exit_status": 0, "journal": lines}


def main():
    """The module."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    units = []
    for owner in _owned.owners():
        for place, names in _unit_places.of(module.run_command, _owned.Owned(owner)):
            shown = place.manager.show(names)
            units += [describe(owner, place, unit, shown[unit]) for unit in sorted(shown)]
    module.exit_json(changed=False, units=units)


if __name__ == "__main__":
    main()
