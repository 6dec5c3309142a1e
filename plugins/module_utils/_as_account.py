# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in directories of an account, done with its rights: what it put there may be a trap for root.

This module util is private to the collection.
"""

from __future__ import annotations

import json
import os
import pwd


class AccountFailed(Exception):
    """What the account could not do, in words for the operator."""


def as_account(name, function, *arguments):
    """What ``function`` gives, run in a child process that is the account; it has to fit into JSON.

    Where there is no such account yet, or where this is not root, it is run here and now.
    """
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        entry = None
    if entry is None or os.geteuid() != 0 or entry.pw_uid == 0:
        return function(*arguments)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _child(entry, writing, function, arguments)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        text = answer.read().decode("utf-8")
    os.waitpid(child, 0)
    given = json.loads(text or '{"error": "it ended without a word"}')
    if "error" in given:
        raise AccountFailed("As the account %s: %s" % (name, given["error"]))
    return given["value"]


def _child(entry, writing, function, arguments):
    status = 1
    try:
        os.setgroups(os.getgrouplist(entry.pw_name, entry.pw_gid))
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
        os.umask(0o022)
        try:
            given = json.dumps({"value": function(*arguments)})
        except Exception as error:
            given = json.dumps({"error": "%s: %s" % (type(error).__name__, error)})
        with os.fdopen(writing, "wb") as answer:
            answer.write(given.encode("utf-8"))
        status = 0
    finally:
        os._exit(status)
