# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""System accounts and groups: made, found and removed with the host's own tools.

This module util is private to the collection.
"""

from __future__ import annotations

import grp
import pwd


class AccountError(Exception):
    """What a tool said when it failed."""


class Accounts(object):
    """``run`` takes an argument list and gives (status, out, err)."""

    def __init__(self, run):
        self.run = run

    def _do(self, command):
        status, dummy, err = self.run(command)
        if status != 0:
            raise AccountError("%s: %s" % (" ".join(command), err.strip()))

    def has_group(self, name):
        """Whether the host has the group."""
        try:
            grp.getgrnam(name)
        except KeyError:
            return False
        return True

    def has_user(self, name):
        """Whether the host has the account."""
        try:
            pwd.getpwnam(name)
        except KeyError:
            return False
        return True

    def add_group(self, name):
        """Make a system group."""
        self._do(["groupadd", "--system", name])

    def add_user(self, name, group, description):
        """Make a system account in ``group``, without home, shell or password."""
        self._do(
            [
                "useradd",
                "--system",
                "--gid",
                group,
                "--home-dir",
                "/nonexistent",
                "--no-create-home",
                "--shell",
                "/usr/sbin/nologin",
                "--comment",
                description,
                name,
            ]
        )

    def remove_user(self, name):
        """Remove the account; its group goes with it where the host's tools do so."""
        self._do(["userdel", name])

    def remove_group(self, name):
        """Remove the group."""
        self._do(["groupdel", name])
