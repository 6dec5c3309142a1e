# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether files are on the host, and whether those who need them can read them.

This module util is private to the collection.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat

WORKERS = "onehop-workers"
"""The group of every worker."""


def complaints(needs):
    """A sentence for each file that is missing."""
    for need in needs:
        path = need["path"]
        if not os.path.exists(path):
            yield "%s = %s: is not on the host. Put it there, or write another path." % (
                need["variable"],
                path,
            )
        elif need["executable"] and not os.access(path, os.X_OK):
            yield "%s = %s: cannot be executed. Give it mode 0755, or write another path." % (
                need["variable"],
                path,
            )
        elif need["reader"] and not readable(path, need["reader"], need["reading"]):
            yield "%s = %s: %s" % (need["variable"], path, _unreadable(need))


def _unreadable(need):
    """What is wrong, and the mend; what an account reads for itself may well be a secret."""
    if need["reader"] == "nobody" or need["reading"] == "container":
        return (
            "cannot be read by the worker. Give it mode 0644, and the directories above it mode "
            "0755."
        )
    return (
        "cannot be read by %s. Give it mode 0640 and a group that %s is in, and the directories "
        "above it mode 0755." % (need["reader"], need["reader"])
    )


def account_or_nobody(user):
    """The account; where it is not there yet, one that may do no more."""
    try:
        return pwd.getpwnam(user)
    except KeyError:
        return pwd.getpwnam("nobody")


def readable(path, user, reading="service"):
    """Whether an account can read the file, asked as that account, as a service in the workers' group.

    So the directories above and access control lists count too. Podman goes through these
    directories with all groups of the account, and what is in the container has one of them.
    """
    if reading == "container" and not within_reach(path, account_or_nobody(user)):
        return False
    child = os.fork()
    if child == 0:
        try:
            entry = account_or_nobody(user)
            groups = [
                found.gr_gid
                for found in grp.getgrall()
                if found.gr_name == WORKERS and reading == "service"
            ]
            os.setgroups(groups + os.getgrouplist(user, entry.pw_gid))
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)
            os._exit(0 if os.access(path, os.R_OK) else 1)
        except OSError:
            os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def within_reach(path, entry):
    """Whether the file's own mode lets an account in that has no group but its primary one."""
    try:
        if "system.posix_acl_access" in os.listxattr(path):
            return True
    except OSError:
        # A file system without any.
        pass
    state = os.stat(path)
    shift = 6 if state.st_uid == entry.pw_uid else 3 if state.st_gid == entry.pw_gid else 0
    wanted = os.R_OK | os.X_OK if stat.S_ISDIR(state.st_mode) else os.R_OK
    return state.st_mode >> shift & wanted == wanted
