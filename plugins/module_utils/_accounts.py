# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""System accounts and groups: made, found and removed with the host's own tools.

This module util is private to the collection.
"""

from __future__ import annotations

import grp
import os
import pwd
import re

LOGIN_DEFS = "/etc/login.defs"


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

    def add_group(self, name, gid=None):
        """Make a system group."""
        number = [] if gid is None else ["--gid", str(gid)]
        self._do(["groupadd", "--system"] + number + [name])

    def add_user(self, name, group, description, uid=None, home=None):
        """Make a system account in ``group``, without shell or password; ``home`` is not made."""
        number = [] if uid is None else ["--uid", str(uid)]
        self._do(
            ["useradd", "--system", "--gid", group]
            + number
            + ["--home-dir", home or "/nonexistent", "--no-create-home"]
            + ["--shell", "/usr/sbin/nologin", "--comment", description, name]
        )

    def remove_user(self, name):
        """Remove the account; its group and its id ranges go with it where the host's tools do so."""
        self._do(["userdel", name])

    def remove_group(self, name):
        """Remove the group."""
        self._do(["groupdel", name])


def login_default(name, default):
    """A number of login.defs(5)."""
    try:
        with open(LOGIN_DEFS) as file:
            found = re.findall(r"^\s*%s\s+(\d+)" % name, file.read(), re.MULTILINE)
    except OSError:
        found = []
    return int(found[-1]) if found else default


def free_id():
    """The highest system id that is free for an account and for a group, as useradd counts."""
    taken = {entry.pw_uid for entry in pwd.getpwall()} | {entry.gr_gid for entry in grp.getgrall()}
    low, high = login_default("SYS_UID_MIN", 101), login_default("SYS_UID_MAX", 999)
    for number in range(high, low - 1, -1):
        if number not in taken:
            return number
    raise AccountError("No system uid from %d to %d is free. Give the account one." % (low, high))


def complaints(needs):
    """A sentence for each account that is missing, or that is not as it is declared."""
    for need in needs:
        if need["container"]:
            yield from _container(need["variable"], need["container"])
        elif need["name"]:
            try:
                pwd.getpwnam(need["name"])
            except KeyError:
                yield "%s = %s: is no account of this host. Make it first, or name none." % (
                    need["variable"],
                    need["name"],
                )


def _container(role, account):
    """What speaks against an account that runs containers."""
    try:
        entry = pwd.getpwnam(account["name"])
    except KeyError:
        entry = None
    if entry is None and not account["managed"]:
        yield (
            "%s_user = %s: is no account of this host, and one of that name is for you to make. "
            "Make it first, or write %s, which the role makes." % (role, account["name"], role)
        )
    if entry is not None and entry.pw_uid == 0:
        yield "%s_user = %s: is root, by its uid. Name another account." % (role, account["name"])
    for kind, database in (("uid", _by_uid), ("gid", _by_gid)):
        wanted = account[kind]
        if wanted is None:
            continue
        name = account["name"] if kind == "uid" else account["group"]
        holder, has = database(wanted, name)
        if holder is not None and holder != name:
            yield "%s_%s = %d: belongs to %s. Write a free one, or leave it out." % (
                role,
                kind,
                wanted,
                holder,
            )
        elif has is not None and has != wanted:
            yield "%s_%s = %d: %s has %d on this host. Write that, or leave it out." % (
                role,
                kind,
                wanted,
                name,
                has,
            )
    if not account["managed"] and entry is not None and not os.path.isdir(entry.pw_dir):
        yield "%s_user = %s: its home %s is not there. Make it, for it holds the images." % (
            role,
            account["name"],
            entry.pw_dir,
        )


def _by_uid(uid, name):
    """Who has a uid, and which uid an account has."""
    holder = next((entry.pw_name for entry in pwd.getpwall() if entry.pw_uid == uid), None)
    has = next((entry.pw_uid for entry in pwd.getpwall() if entry.pw_name == name), None)
    return holder, has


def _by_gid(gid, name):
    holder = next((entry.gr_name for entry in grp.getgrall() if entry.gr_gid == gid), None)
    has = next((entry.gr_gid for entry in grp.getgrall() if entry.gr_name == name), None)
    return holder, has
