#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module for the service manager of an account."""

from __future__ import annotations

DOCUMENTATION = r"""
module: linger
short_description: Have an account's service manager run from boot on
description:
  - Lets an account linger, so that its units run without a login, from boot on.
  - Writes a drop-in for its manager. It starts after the network is there, which rootless Podman's
    units otherwise wait for in vain on hosts where nothing asks for it, and after the service that
    writes NVIDIA's CDI spec; and it may hand more open files and locked memory to its units than
    systemd's defaults.
  - A manager that runs with other limits is restarted, which stops its units. The task says so
    before it does it.
version_added: 0.1.0
author:
  - The OneHop authors (@onehop)
extends_documentation_fragment:
  - onehop.llm._attributes
  - onehop.llm._options.owner
  - onehop.llm._options.announced
options:
  user:
    description: The account.
    type: str
    required: true
  uid:
    description: The uid that the account will have, for check mode on a host without the account.
    type: int
  open_files_limit:
    description: Files that a unit of the account may have open.
    type: int
    default: 1048576
seealso:
  - module: onehop.llm.system_account
  - module: onehop.llm.subid_range
"""

EXAMPLES = r"""
- name: Have the account's manager run from boot on
  onehop.llm.linger:
    owner: vllm
    user: vllm
"""

RETURN = r"""
stops:
  description: Units of the account that the change stops.
  returned: success
  type: list
  elements: str
  sample: []
"""

import os
import re
import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.onehop.llm.plugins.module_utils import _files, _user_manager
from ansible_collections.onehop.llm.plugins.module_utils._owned import Owned
from ansible_collections.onehop.llm.plugins.module_utils._systemd import (
    Systemd,
    SystemdError,
    started_at,
)

DROP_IN = """\
# Made by the Ansible collection onehop.llm: change the inventory, not this file.
[Unit]
Wants=network-online.target nvidia-cdi-refresh.service
After=network-online.target nvidia-cdi-refresh.service

[Service]
LimitNOFILE=%d
LimitMEMLOCK=infinity
"""
NR_OPEN = "/proc/sys/fs/nr_open"
"""What the kernel lets anybody have."""
PATIENCE = 30
"""Seconds that a manager may take to be there."""


def main():
    """The module."""
    module = AnsibleModule(
        argument_spec={
            "owner": {"type": "str", "required": True},
            "user": {"type": "str", "required": True},
            "uid": {"type": "int"},
            "open_files_limit": {"type": "int", "default": 1048576},
            "phase": {"type": "str", "choices": ["all", "look"], "default": "all"},
        },
        supports_check_mode=True,
    )
    user, limit = module.params["user"], module.params["open_files_limit"]
    uid = _user_manager.uid_of(user)
    number = module.params["uid"] if uid is None else uid
    file = _files.File(
        "/etc/systemd/system/user@%s.service.d/onehop.conf" % number, DROP_IN % limit
    )
    manager = Systemd(module.run_command)
    unit = "user@%s.service" % number
    shown = manager.show([unit])[unit]
    possible = min(limit, int(_files.read(NR_OPEN) or limit))
    pid = shown["MainPID"]
    # One that was started with the drop-in has what the kernel and the machine let it have.
    restart = pid != "0" and older(pid, file.path) and limits(pid) != (possible, None)
    lingers, runs = _user_manager.lingers(user), _user_manager.runs(user)
    differs = file.differs()
    file_diff = file.diff()
    lines = [] if lingers else ["%s lingers\n" % user]
    lines += [] if runs and not restart else ["%s runs with these limits\n" % unit]
    stops = _user_manager.UserSystemd(module.run_command, user).running() if restart else []
    if not module.check_mode and module.params["phase"] == "all":
        owned = Owned(module.params["owner"])
        try:
            converge(manager, owned, file, user, unit, restart)
        except SystemdError as error:
            module.fail_json(msg=str(error))
        if not _user_manager.runs(user):
            module.fail_json(
                msg="%s is not there after %d s. See journalctl --unit=%s" % (unit, PATIENCE, unit)
            )
    diff = [file_diff] if differs else []
    header = "service manager of %s" % user
    if lines:
        diff.append({"before_header": header, "after_header": header})
        diff[-1].update(before="", after="".join(lines))
    module.exit_json(changed=bool(diff), diff=diff, stops=stops)


def converge(manager, owned, file, user, unit, restart):
    """The drop-in first, so that a manager that starts has its limits."""
    if file.differs():
        owned.add("paths", [file.path])
        owned.save()
        file.write()
        manager.reload()
    if not _user_manager.lingers(user):
        owned.add("lingering", [user])
        owned.save()
        status, dummy, err = manager.run(["loginctl", "enable-linger", user])
        if status != 0:
            raise SystemdError("loginctl enable-linger %s: %s" % (user, err.strip()))
    manager.do("restart" if restart else "start", [unit])
    end = time.monotonic() + PATIENCE
    while not _user_manager.runs(user) and time.monotonic() < end:
        time.sleep(0.1)


def older(pid, path):
    """Whether a process was started before a file was written; also where there is no file yet."""
    started = started_at(pid)
    return started is None or not os.path.exists(path) or started < os.stat(path).st_mtime - 1


def limits(pid):
    """The hard limits of a process: open files, and locked memory; ``None`` is no limit."""
    found = []
    try:
        with open("/proc/%s/limits" % pid) as file:
            text = file.read()
    except OSError:
        return None
    for name in ("Max open files", "Max locked memory"):
        match = re.search(r"^%s\s+\S+\s+(\S+)" % name, text, re.MULTILINE)
        found.append(int(match.group(1)) if match and match.group(1).isdigit() else None)
    return tuple(found)


if __name__ == "__main__":
    main()
