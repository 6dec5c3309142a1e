#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module for the subordinate ids of an account."""

from __future__ import annotations

DOCUMENTATION = r"""
module: subid_range
short_description: Give an account a range of subordinate ids for its containers
description:
  - Gives an account one range of subordinate uids and one of gids, which the users of its rootless
    containers map to. A range that the account has is kept, unless another start is asked for.
  - Without a start the first free range is chosen, as far as login.defs allows.
  - A range that overlaps another one, or the uid of an account, is refused. The files are written
    under the lock of useradd and usermod.
  - Where a range changes under an account that has containers, C(podman system migrate) is run as
    the account, which stops them. The task says so before it does it.
version_added: 0.1.0
author:
  - The OneHop authors (@onehop)
extends_documentation_fragment:
  - onehop.llm._attributes
  - onehop.llm._options.announced
options:
  user:
    description: The account.
    type: str
    required: true
  uids:
    description: The range of uids.
    type: dict
    required: true
    suboptions: &range
      start:
        description: Its first id; a free one unless given.
        type: int
      count:
        description: How many ids there are.
        type: int
        default: 65536
  gids:
    description: The range of gids.
    type: dict
    required: true
    suboptions: *range
seealso:
  - module: onehop.llm.system_account
  - module: onehop.llm.linger
"""

EXAMPLES = r"""
- name: Give the account ids for its containers
  onehop.llm.subid_range:
    user: vllm
    uids: {count: 65536}
    gids: {count: 65536}

- name: Give the account a certain range
  onehop.llm.subid_range:
    user: sglang
    uids: {start: 500000, count: 65536}
    gids: {start: 500000, count: 65536}
"""

RETURN = r"""
uids:
  description: The range of uids that the account has, or in check mode would get.
  returned: success
  type: dict
  sample: {start: 165536, count: 65536}
gids:
  description: The range of gids.
  returned: success
  type: dict
  sample: {start: 165536, count: 65536}
stops:
  description: Units of the account that the change stops.
  returned: success
  type: list
  elements: str
  sample: []
"""

import os
import pwd

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.onehop.llm.plugins.module_utils import _subids, _user_manager

RANGE = {"start": {"type": "int"}, "count": {"type": "int", "default": 65536}}
STORAGE = ".local/share/containers/storage"


def main():
    """The module."""
    option = {"type": "dict", "required": True, "options": RANGE}
    module = AnsibleModule(
        argument_spec={
            "user": {"type": "str", "required": True},
            "uids": option,
            "gids": option,
            "phase": {"type": "str", "choices": ["all", "look"], "default": "all"},
        },
        supports_check_mode=True,
    )
    user = module.params["user"]
    result: dict = {"stops": []}
    lines: dict = {"before": [], "after": []}
    changed = []
    try:
        for kind in ("uid", "gid"):
            given = module.params[kind + "s"]
            item, has = _subids.wanted(kind, user, given["start"], given["count"])
            result[kind + "s"] = {"start": item.start, "count": item.count}
            if has:
                continue
            changed.append(kind)
            own = _subids.of(user, _subids.ranges(_subids.FILES[kind]))
            lines["before"] += ["%ss %d:%d\n" % (kind, old.start, old.count) for old in own]
            lines["after"].append("%ss %d:%d\n" % (kind, item.start, item.count))
        if changed and migrates(user):
            result["stops"] = _user_manager.UserSystemd(module.run_command, user).running()
        if not module.check_mode and module.params["phase"] == "all":
            for kind in changed:
                given = module.params[kind + "s"]
                item = _subids.give(kind, user, given["start"], given["count"])
                result[kind + "s"] = {"start": item.start, "count": item.count}
            if changed and migrates(user):
                migrate(module, user)
    except _subids.SubidError as error:
        module.fail_json(msg="%s: %s" % (user, error))
    header = "subordinate ids of %s" % user
    module.exit_json(
        changed=bool(changed),
        diff={
            "before_header": header,
            "after_header": header,
            "before": "".join(lines["before"]),
            "after": "".join(lines["after"]),
        },
        **result,
    )


def migrates(user):
    """Whether the account has containers or images that know the old range."""
    try:
        home = pwd.getpwnam(user).pw_dir
    except KeyError:
        return False
    return _user_manager.runs(user) and os.path.isdir(os.path.join(home, STORAGE))


def migrate(module, user):
    """Have Podman take the new range up."""
    manager = _user_manager.UserSystemd(module.run_command, user)
    status, out, err = module.run_command(manager.command("podman", "system", "migrate"))
    if status != 0:
        module.fail_json(msg="podman system migrate as %s: %s" % (user, (err or out).strip()))


if __name__ == "__main__":
    main()
