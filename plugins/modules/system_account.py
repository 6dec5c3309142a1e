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
  - Makes a system group and, when one is named, a system account in it, without home, shell or
    password.
  - An account or group that is there already is left as it is.
  - Unlike M(ansible.builtin.user) it predicts an account whose group the same run would make.
version_added: 0.1.0
author:
  - The OneHop authors (@onehop)
extends_documentation_fragment:
  - onehop.llm._attributes
options:
  owner:
    description: The role on whose list the account goes, so that it can be removed with it.
    type: str
    required: true
  group:
    description: The group.
    type: str
    required: true
  user:
    description: The account; none unless given.
    type: str
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
"""

RETURN = r""" # """

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.onehop.llm.plugins.module_utils._accounts import AccountError, Accounts
from ansible_collections.onehop.llm.plugins.module_utils._owned import Owned


def main():
    """The module."""
    module = AnsibleModule(
        argument_spec={
            "owner": {"type": "str", "required": True},
            "group": {"type": "str", "required": True},
            "user": {"type": "str"},
            "description": {"type": "str", "default": "OneHop"},
        },
        supports_check_mode=True,
    )
    accounts = Accounts(module.run_command)
    owned = Owned(module.params["owner"])
    group, user = module.params["group"], module.params["user"]
    add_group = not accounts.has_group(group)
    add_user = user is not None and not accounts.has_user(user)
    lines = ["group %s\n" % group] if add_group else []
    lines += ["account %s\n" % user] if add_user else []
    if not module.check_mode and lines:
        try:
            if add_group:
                owned.add("groups", [group])
                owned.save()
                accounts.add_group(group)
            if add_user:
                owned.add("accounts", [user])
                owned.save()
                accounts.add_user(user, group, module.params["description"])
        except AccountError as error:
            module.fail_json(msg=str(error))
    module.exit_json(
        changed=bool(lines),
        diff={
            "before_header": "accounts",
            "after_header": "accounts",
            "before": "",
            "after": "".join(lines),
        },
    )


if __name__ == "__main__":
    main()
