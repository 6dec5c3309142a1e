#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module for accounts of services."""

from __future__ import annotations

DOCUMENTATION = r"""
module: system_account
short_description: Make a system account or group for services
description:
  - Makes a system group and, when one is named, a system account in it, without shell or password,
    and the directories that belong to the account.
  - An account or group that is there already is left as it is.
  - Unlike M(ansible.builtin.user) it predicts an account whose group the same run would make, and
    the ids that they would get.
version_added: 0.1.0
author:
  - The OneHop authors (@onehop)
extends_documentation_fragment:
  - onehop.llm._attributes
  - onehop.llm._options.owner
options:
  group:
    description: The group.
    type: str
    required: true
  user:
    description: The account; none unless given.
    type: str
  uid:
    description: The account's uid; the highest free system id unless given.
    type: int
  gid:
    description: The group's gid; the highest free system id unless given.
    type: int
  home:
    description:
      - The account's home, which is made and goes with the account. Without one the account has
        none.
    type: path
  caches:
    description:
      - Other directories of the account, which are made and may stay when the account goes. Where
        one belongs to somebody else, all that is in it is given to the account.
    type: list
    elements: path
    default: []
  caches_mode:
    description: Mode of O(caches), in octal digits.
    type: str
    default: "0700"
  managed:
    description: Whether the account is made. Otherwise it is its owner's, and only used.
    type: bool
    default: true
  description:
    description: What the account is for.
    type: str
    default: OneHop
"""

EXAMPLES = r"""
- name: Make the router's account
  onehop.llm.system_account:
    owner: router
    user: onehop-router
    group: onehop-router
    description: OneHop router

- name: Make an account that runs containers
  onehop.llm.system_account:
    owner: vllm
    user: vllm
    group: vllm
    home: /var/lib/vllm
    caches: [/var/cache/vllm]
"""

RETURN = r"""
uid:
  description: The account's uid, also where check mode only predicts it.
  returned: when a user is given
  type: int
  sample: 998
"""

import os
import pwd

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.onehop.llm.plugins.module_utils import _files
from ansible_collections.onehop.llm.plugins.module_utils._accounts import (
    AccountError,
    Accounts,
    free_id,
)
from ansible_collections.onehop.llm.plugins.module_utils._owned import Owned

PRIVATE = 0o700


def main():
    """The module."""
    module = AnsibleModule(
        argument_spec={
            "owner": {"type": "str", "required": True},
            "group": {"type": "str", "required": True},
            "user": {"type": "str"},
            "uid": {"type": "int"},
            "gid": {"type": "int"},
            "home": {"type": "path"},
            "caches": {"type": "list", "elements": "path", "default": []},
            "caches_mode": {"type": "str", "default": "0700"},
            "managed": {"type": "bool", "default": True},
            "description": {"type": "str", "default": "OneHop"},
        },
        supports_check_mode=True,
    )
    try:
        diffs, uid = converge(module)
    except AccountError as error:
        module.fail_json(msg=str(error))
    result = {} if module.params["user"] is None else {"uid": uid}
    module.exit_json(changed=bool(diffs), diff=diffs, **result)


def converge(module):
    """The diffs of what is, or in check mode would be, made; and the account's uid."""
    given = module.params
    accounts = Accounts(module.run_command)
    owned = Owned(given["owner"])
    managed = given["managed"]
    add_group = managed and not accounts.has_group(given["group"])
    add_user = managed and given["user"] is not None and not accounts.has_user(given["user"])
    uid, gid = ids(given, add_user, add_group)
    lines = ["group %s\n" % given["group"]] if add_group else []
    lines += ["account %s\n" % given["user"]] if add_user else []
    diffs = []
    if lines:
        diffs.append({"before_header": "accounts", "after_header": "accounts"})
        diffs[0].update(before="", after="".join(lines))
    if not module.check_mode:
        if add_group:
            owned.add("groups", [given["group"]])
            owned.save()
            accounts.add_group(given["group"], gid)
        if add_user:
            owned.add("accounts", [given["user"]])
            owned.save()
            accounts.add_user(
                given["user"], given["group"], given["description"], uid, given["home"]
            )
    return diffs + directories(module, owned), uid


def ids(given, add_user, add_group):
    """The uid and gid that the account and the group get, or have."""
    uid, gid = given["uid"], given["gid"]
    if not add_user:
        try:
            uid = pwd.getpwnam(given["user"]).pw_uid if given["user"] else None
        except KeyError:
            uid = None
    if given["home"] and ((add_user and uid is None) or (add_group and gid is None)):
        number = free_id()
        uid = number if add_user and uid is None else uid
        gid = number if add_group and gid is None else gid
    return uid, gid


def directories(module, owned):
    """The diffs of the account's directories."""
    given = module.params
    wanted = [(path, "caches") for path in given["caches"]]
    if given["home"] and given["managed"]:
        wanted.insert(0, (given["home"], "directories"))
    diffs = []
    for path, kind in wanted:
        mode = int(given["caches_mode"], 8) if kind == "caches" else PRIVATE
        directory = _files.Directory(path, mode, given["user"], given["group"])
        if not directory.differs():
            continue
        diffs.append(directory.diff())
        if module.check_mode:
            continue
        owned.add(kind, [path])
        owned.save()
        inherited = (
            os.path.isdir(path) and os.lstat(path).st_uid != pwd.getpwnam(given["user"]).pw_uid
        )
        directory.write()
        if inherited:
            hand_over(path, given["user"])
    return diffs


def hand_over(path, user):
    """All that is in a directory given to an account that took another one's place."""
    entry = pwd.getpwnam(user)
    for base, names, files in os.walk(path):
        for name in names + files:
            os.lchown(os.path.join(base, name), entry.pw_uid, entry.pw_gid)


if __name__ == "__main__":
    main()
