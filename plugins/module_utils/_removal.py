# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking everything of ours off a host, by the lists of :mod:`_owned`.

This module util is private to the collection.
"""

from __future__ import annotations

import os
import shutil

from ansible_collections.onehop.llm.plugins.module_utils import (
    _owned,
    _stamp,
    _unit_places,
    _user_manager,
)
from ansible_collections.onehop.llm.plugins.module_utils._accounts import Accounts
from ansible_collections.onehop.llm.plugins.module_utils._systemd import Systemd

HOMES = ("/etc/onehop", "/opt/onehop", "/run/onehop", _owned.HOME)
RUNTIME = ("/run/onehop-edge", "/run/onehop-router")
"""Parents of what systemd makes for the units; it removes only what is in them (systemd.exec(5))."""
_KEPT_PARENTS = ("/", "/etc", "/opt", "/run", "/var/cache", "/var/cache/private", "/var/lib")
_FIRST = ("router", "edge")
"""The owners whose units go first, so that no request meets a worker that is gone."""


class Removal(object):
    """Collects what it removes in ``removed`` and what it leaves in ``kept`` (bytes by path)."""

    def __init__(self, run, check_mode):
        self.systemd = Systemd(run)
        self.accounts = Accounts(run)
        self.check_mode = check_mode
        self.removed = []
        self.kept = {}

    def run_all(self, with_caches, cache_roots):
        """Remove all of every owner; each owner's list goes last, so that a cut run can go on."""
        owners = [_owned.Owned(name) for name in _owned.owners()]
        owners.sort(key=lambda owned: (owned.owner not in _FIRST, owned.owner))
        for owned in owners:
            for place, names in _unit_places.of(self.systemd.run, owned):
                self._units(place.manager, names)
            self._managers(owned.things["lingering"])
            for kind in ("paths", "directories", "states"):
                self._paths(owned.things[kind])
            self._caches(owned.things["caches"], with_caches)
        if self.removed and not self.check_mode:
            self.systemd.reload()
        self._caches(cache_roots, with_caches)
        for owned in owners:
            self._accounts(owned)
        self._paths([owned.path for owned in owners] + [_stamp.KEY])
        if not self.check_mode:
            for path in RUNTIME:
                shutil.rmtree(path, ignore_errors=True)
            for home in HOMES:
                remove_empty_below(home)

    def _units(self, manager, names):
        shown = manager.show(names)
        running = [
            name for name in names if shown[name]["ActiveState"] not in ("inactive", "failed")
        ]
        failed = [name for name in names if shown[name]["ActiveState"] == "failed"]
        self.removed += running
        if not self.check_mode:
            manager.do("stop", running)
            manager.forgive(failed)

    def _managers(self, accounts):
        """End the managers of accounts that we let linger, with all that they run."""
        for account in accounts:
            uid = _user_manager.uid_of(account)
            if uid is None or not _user_manager.lingers(account):
                continue
            self.removed.append("linger of %s" % account)
            if self.check_mode:
                continue
            self.systemd.run(["loginctl", "disable-linger", account])
            self.systemd.do("stop", ["user@%d.service" % uid, "user-%d.slice" % uid])

    def _paths(self, paths):
        for path in paths:
            if not os.path.lexists(path):
                continue
            self.removed.append(path)
            if self.check_mode:
                continue
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)
            remove_empty_parents(path)

    def _caches(self, paths, with_caches):
        for path in paths:
            if with_caches or (os.path.lexists(path) and size(path) == 0):
                self._paths([path])
            elif os.path.isdir(path) and not os.path.islink(path):
                below = [kept for kept in self.kept if kept.startswith(path + "/")]
                if not below:
                    self.kept[path] = size(path)

    def _accounts(self, owned):
        users = [name for name in owned.things["accounts"] if self.accounts.has_user(name)]
        groups = [name for name in owned.things["groups"] if self.accounts.has_group(name)]
        self.removed += ["account %s" % name for name in users]
        self.removed += ["group %s" % name for name in groups]
        if self.check_mode:
            return
        for name in users:
            self.accounts.remove_user(name)
        for name in groups:
            if self.accounts.has_group(name):
                self.accounts.remove_group(name)


def size(path):
    """Bytes of all files below a path; links count nothing, neither does what they lead to."""
    total = 0
    for base, dummy, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(base, name)).st_size
            except OSError:
                continue
    return 0 if os.path.islink(path) else total


def remove_empty_parents(path):
    """Remove the directories above ``path`` that are empty now, short of the system's own."""
    parent = os.path.dirname(path)
    while parent not in _KEPT_PARENTS and parent != "/etc/systemd/system":
        try:
            os.rmdir(parent)
        except OSError:
            return
        parent = os.path.dirname(parent)


def remove_empty_below(home):
    """Remove a directory and those below it, as far as they are empty."""
    for base, dummy, dummy_names in os.walk(home, topdown=False):
        try:
            os.rmdir(base)
        except OSError:
            continue
