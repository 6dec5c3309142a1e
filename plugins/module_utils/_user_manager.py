# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An account's own service manager, asked by root from outside of any login session.

``systemctl --user -M ACCOUNT@.host`` and ``systemd-run`` with the same words work without
systemd-machined and for accounts without a shell (seen on systemd 257 and 262).

This module util is private to the collection.
"""

from __future__ import annotations

import os
import pwd
import re
import socket

from ansible_collections.onehop.llm.plugins.module_utils._systemd import Systemd

QUADLETS = "/etc/containers/systemd/users"
"""Where root keeps the Quadlets of accounts, below their uid: they cannot edit them."""
PRIVATE = "/run/user/%d/systemd/private"
"""Where an account's manager can be asked by its own account and by root."""
LINGER = "/var/lib/systemd/linger"
_EVENT = re.compile(r"\d{4}-\d\d-\d\d \S+ \S+ \S+ m=\S+ (container|image|volume|network) ")
_NOBODY = {"MainPID": "0", "ActiveState": "inactive", "SubState": "dead", "LoadState": "not-found"}


def scope(account):
    """The words that lead systemctl and systemd-run to an account's manager."""
    return ("--user", "--machine=%s@.host" % account)


def uid_of(account):
    """The account's uid; ``None`` where the host has no such account."""
    try:
        return pwd.getpwnam(account).pw_uid
    except KeyError:
        return None


def lingers(account):
    """Whether the account's manager is there without a login."""
    return os.path.exists("%s/%s" % (LINGER, account))


def runs(account):
    """Whether the account's manager is there now: its socket outlives it for a while.

    Asking by ``-M`` would start one, which goes away again on its own.
    """
    uid = uid_of(account)
    if uid is None:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(PRIVATE % uid)
        except OSError:
            return False
    return True


class UserSystemd(Systemd):
    """The manager of an account."""

    def __init__(self, run, account):
        Systemd.__init__(self, run)
        self.account = account
        self.scope = scope(account)

    def show(self, units):
        """As :meth:`Systemd.show`; where no manager runs, nothing does."""
        if units and not runs(self.account):
            missing = dict(dict.fromkeys(self.properties(), ""), **_NOBODY)
            return dict.fromkeys(units, missing)
        return Systemd.show(self, units)

    def fresh(self, dummy_shown, started):
        """Never surely: a manager does not notice that a Quadlet is newer than what it made of it."""
        return not started

    def reload(self):
        """Have the generator and the manager read the files again; no manager needs no telling."""
        if runs(self.account):
            Systemd.reload(self)

    def journal_of(self, unit, invocation):
        """The container's own words first; then those of Podman, and of the manager."""
        name = "systemd-" + unit.rpartition(".")[0]
        if not invocation:
            # Another account may have a unit of this name.
            uid = uid_of(self.account)
            whose = [] if uid is None else ["_UID=%d" % uid]
            return [["CONTAINER_NAME=" + name] + whose, ["_SYSTEMD_USER_UNIT=" + unit] + whose]
        own = "_SYSTEMD_INVOCATION_ID=" + invocation
        return [[own, "CONTAINER_NAME=" + name], [own], ["USER_INVOCATION_ID=" + invocation]]

    def running(self):
        """The account's Quadlets that run."""
        directory = "%s/%s" % (QUADLETS, uid_of(self.account))
        made = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
        names = [name.rpartition(".")[0] + ".service" for name in made]
        shown = self.show(names)
        return [name for name in names if shown[name]["ActiveState"] in ("active", "activating")]

    def _lines(self, command):
        """Without what Podman notes of its own doings, which says nothing of a failure."""
        return [line for line in Systemd._lines(self, command) if not _EVENT.match(line)]

    def command(self, *words):
        """The argument list that runs ``words`` as the account, with its manager's environment."""
        options = ["--pipe", "--wait", "--quiet", "--collect", "--service-type=exec"]
        return ["systemd-run"] + list(self.scope) + options + ["--"] + list(words)
