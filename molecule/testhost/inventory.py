# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory that leads Ansible into the hosts: to a real sshd, by neither port nor network."""

from __future__ import annotations

import json
from collections.abc import Sequence

from .machine import key_file
from .state import Host

OPTIONS = (
    "-F none",
    "-o IdentitiesOnly=yes",
    "-o StrictHostKeyChecking=no",
    "-o UserKnownHostsFile=/dev/null",
    "-o LogLevel=ERROR",
)


def variables(host: Host, user: str) -> dict[str, str]:
    """The host's connection variables."""
    return {
        "ansible_connection": "ssh",
        "ansible_host": host.ip,
        "ansible_user": user,
        "ansible_ssh_private_key_file": str(key_file()),
        "ansible_ssh_common_args": f"{' '.join(OPTIONS)} -o 'ProxyCommand=sh {host.door}'",
        "ansible_python_interpreter": "/usr/bin/python3",
        "testhost_address": host.ip,
        "testhost_suite": host.suite,
    }


def render(hosts: Sequence[Host], user: str = "root") -> str:
    """A YAML inventory. Each value is written as JSON, which YAML reads alike."""
    lines = [
        "# Written by `testhost inventory`; write it again after hosts were made.",
        "all:",
        "  hosts:",
    ]
    if not hosts:
        lines[-1] += " {}"
    for host in hosts:
        lines.append(f"    {host.name}:")
        lines += [
            f"      {key}: {json.dumps(value)}" for key, value in variables(host, user).items()
        ]
    return "\n".join(lines) + "\n"
