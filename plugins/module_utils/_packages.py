# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Package managers, a row each.

This module util is private to the collection.
"""

from __future__ import annotations

import collections
import re
import shutil

_VERSION = re.compile(r"^\s*(?:Candidate|Version)\s*:\s*(?:\d+:)?(\d+(?:\.\d+)*)", re.MULTILINE)


class Manager(collections.namedtuple("Manager", "program query refresh add ask")):
    """``query`` ends in success where the package is installed, ``ask`` tells the version that would
    be; the name is put behind each."""

    __slots__ = ()

    def candidate(self, run, package):
        """The version that would be installed, such as 5.4.2; ``None`` where it is not known."""
        status, out, dummy = run(self.ask + [package], environ_update={"LC_ALL": "C.UTF-8"})
        found = _VERSION.search(out) if status == 0 else None
        return found.group(1) if found else None

    def has(self, run, package):
        """Whether the package is installed."""
        status, out, dummy = run(self.query + [package])
        return status == 0 and (self.program != "apt-get" or "install ok installed" in out)

    def install(self, run, package):
        """Install it; what the manager said where that failed, else nothing."""
        environment = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
        status, out, err = run(self.add + [package], environ_update=environment)
        if status != 0 and self.refresh:
            run(self.refresh, environ_update=environment)
            status, out, err = run(self.add + [package], environ_update=environment)
        return "" if status == 0 else (err.strip() or out.strip())[-500:]


MANAGERS = (
    Manager(
        "apt-get",
        ["dpkg-query", "--show", "--showformat=${Status}"],
        ["apt-get", "update", "--quiet"],
        ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends"],
        ["apt-cache", "policy"],
    ),
    Manager(
        "dnf",
        ["rpm", "--query"],
        None,
        ["dnf", "install", "--assumeyes", "--quiet"],
        ["dnf", "--quiet", "info", "--available"],
    ),
    Manager(
        "zypper",
        ["rpm", "--query"],
        None,
        ["zypper", "--non-interactive", "install"],
        ["zypper", "--non-interactive", "info"],
    ),
    Manager(
        "pacman",
        ["pacman", "--query"],
        None,
        ["pacman", "--sync", "--noconfirm"],
        ["pacman", "--sync", "--info"],
    ),
)


def manager():
    """The host's manager; ``None`` where it has none that is known."""
    for row in MANAGERS:
        if shutil.which(row.program):
            return row
    return None
