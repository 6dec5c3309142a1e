# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an account's service manager can run from boot on, without a login.

That takes systemd-logind, the template user@.service, and a place where logind keeps who lingers.

This module util is private to the collection.
"""

from __future__ import annotations

import os
import shutil

from ansible_collections.onehop.llm.plugins.module_utils import _machine, _user_manager

_NEEDED = ("systemd-logind.service", "user@0.service")
"""The second stands for its template."""


def complaints(needs, systemd, place=_user_manager.LINGER):
    """A sentence for each account that shall linger and cannot."""
    accounts = [
        (need["variable"], need["container"]["name"])
        for need in needs
        if need["container"] and not _user_manager.lingers(need["container"]["name"])
    ]
    if not accounts:
        return []
    wrong = _wrong(systemd.show(_NEEDED), place)
    return [
        "%s_user = %s: cannot linger, which its containers need to run without a login: %s"
        % (role, name, said)
        for role, name in accounts
        for said in wrong
    ]


def _wrong(shown, place):
    said = []
    if shutil.which("loginctl") is None:
        said.append("the host has no loginctl. Install systemd whole, with its logind.")
    for unit, state in shown.items():
        name = unit.replace("@0.", "@.")
        if state["LoadState"] == "masked":
            said.append("%s is masked. Run systemctl unmask %s." % (name, name))
        elif state["LoadState"] != "loaded":
            said.append("the host has no %s. Install systemd whole, with its logind." % name)
    parent = _machine.nearest(place)
    if os.statvfs(parent).f_flag & os.ST_RDONLY:
        said.append(
            "%s is mounted read-only, and logind keeps it below %s. Have it writable."
            % (parent, place)
        )
    return said
