#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module for a repository of packages."""

from __future__ import annotations

DOCUMENTATION = r"""
module: package_repository
short_description: Have a repository of packages, held against its key
description:
  - Names a repository and the key that signs it to the host's package manager, and has its lists
    fetched.
  - Knows apt, dnf and zypper, and needs nothing but them.
version_added: 0.1.0
author:
  - The OneHop authors (@onehop)
extends_documentation_fragment:
  - onehop.llm._attributes
  - onehop.llm._options.owner
options:
  name:
    description: What the repository is called on the host.
    type: str
    required: true
  address:
    description: For apt the line behind C(deb), for dnf and zypper the C(baseurl).
    type: str
    required: true
  key:
    description: The public key in ASCII armour.
    type: str
    required: true
seealso:
  - module: onehop.llm.system_package
"""

EXAMPLES = r"""
- name: Have NVIDIA's repository of the container toolkit
  onehop.llm.package_repository:
    owner: gpu_host
    name: onehop-toolkit
    address: https://nvidia.github.io/libnvidia-container/stable/deb/amd64 /
    key: "{{ lookup('ansible.builtin.file', 'files/nvidia.asc') }}"
"""

RETURN = r""" # """

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.onehop.llm.plugins.module_utils import _files, _packages
from ansible_collections.onehop.llm.plugins.module_utils._owned import Owned

MARK = "# Made by the Ansible collection onehop.llm: change the inventory, not this file.\n"
APT = "deb [signed-by=%(key)s] %(address)s\n"
RPM = "[%(name)s]\nname=%(name)s\nbaseurl=%(address)s\ngpgcheck=1\nrepo_gpgcheck=1\ngpgkey=file://%(key)s\n"
ROWS = {
    "apt-get": ("/etc/apt/keyrings/%s.asc", "/etc/apt/sources.list.d/%s.list", APT),
    "dnf": ("/etc/pki/rpm-gpg/%s.asc", "/etc/yum.repos.d/%s.repo", RPM),
    "zypper": ("/etc/pki/rpm-gpg/%s.asc", "/etc/zypp/repos.d/%s.repo", RPM),
}
"""Where each manager has keys and repositories, and how it writes the latter."""
REFRESH = {"apt-get": ["apt-get", "update", "--quiet"], "zypper": ["zypper", "refresh"]}


def main():
    """The module."""
    text = {"type": "str", "required": True}
    module = AnsibleModule(
        argument_spec={
            "owner": text,
            "name": text,
            "address": text,
            "key": dict(text, no_log=False),
        },
        supports_check_mode=True,
    )
    manager = _packages.manager()
    if manager is None or manager.program not in ROWS:
        module.fail_json(
            msg="This knows repositories of %s only. Install the packages yourself."
            % ", ".join(sorted(ROWS))
        )
    name = module.params["name"]
    key, path, pattern = ROWS[manager.program]
    key_file = _files.File(key % name, module.params["key"].strip() + "\n")
    line = pattern % {"name": name, "address": module.params["address"], "key": key_file.path}
    files = [key_file, _files.File(path % name, MARK + line)]
    changed = [file for file in files if file.differs()]
    diff = [file.diff() for file in changed]
    if changed and not module.check_mode:
        owned = Owned(module.params["owner"])
        owned.add("paths", [file.path for file in files])
        owned.save()
        for file in changed:
            file.write()
        if manager.program in REFRESH:
            status, out, err = module.run_command(REFRESH[manager.program])
            if status != 0:
                module.fail_json(
                    msg="The lists of %s cannot be fetched: %s"
                    % (module.params["address"], (err or out).strip()[-500:])
                )
    module.exit_json(changed=bool(changed), diff=diff)


if __name__ == "__main__":
    main()
