# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Package managers, a row each.

This module util is private to the collection.
"""

from __future__ import annotations

import collections
import shutil


class Manager(collections.namedtuple("Manager", "program query refresh add")):
    """``query`` ends in success where the package is installed; the name is put behind each."""

    __slots__ = ()

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
    ),
    Manager("dnf", ["rpm", "--query"], None, ["dnf", "install", "--assumeyes", "--quiet"]),
    Manager("zypper", ["rpm", "--query"], None, ["zypper", "--non-interactive", "install"]),
    Manager("pacman", ["pacman", "--query"], None, ["pacman", "--sync", "--noconfirm"]),
)


def manager():
    """The host's manager; ``None`` where it has none that is known."""
    for row in MANAGERS:
        if shutil.which(row.program):
            return row
    return None
