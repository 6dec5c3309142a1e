# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host's Podman is, and what it needs of the host to run containers without root.

This module util is private to the collection.
"""

from __future__ import annotations

import os
import re
import shutil

OLDEST = (4, 6)
"""The first whose generator reads Quadlets that root keeps for an account."""
_FOREIGN = ("9p", "cifs", "ecryptfs", "exfat", "msdos", "nfs", "nfs4", "ntfs3", "smb3", "vfat")
"""File systems that carry neither an overlay nor files of a container's users."""


def version(run):
    """Podman's version, such as 5.4.2; ``None`` where there is none."""
    if shutil.which("podman") is None:
        return None
    status, out, dummy = run(["podman", "--version"])
    found = re.search(r"(\d+(?:\.\d+)+)", out) if status == 0 else None
    return found.group(1) if found else None


def selinux_enforced():
    """Whether SELinux keeps containers from files that are not labelled for them."""
    try:
        with open("/sys/fs/selinux/enforce") as file:
            return file.read().strip() == "1"
    except OSError:
        return False


def complaints(needs, found):
    """A sentence for each who needs what the host's Podman, or its kernel's setup, is not."""
    sentences = []
    numbers = tuple(int(number) for number in found.split(".")[:2]) if found else ()
    for need in needs:
        if not found:
            sentences.append(
                "%s: needs Podman, and the host neither has it nor knows a package of it. Install "
                "Podman %d.%d or newer." % ((need["variable"],) + OLDEST)
            )
        elif numbers < OLDEST:
            sentences.append(
                "%s: needs Podman %d.%d or newer, whose Quadlet runs containers of an account, and "
                "the host has %s. Upgrade it, or serve these models elsewhere."
                % ((need["variable"],) + OLDEST + (found,))
            )
        if not os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
            sentences.append(
                "%s: needs control groups of version 2, and the host mounts version 1. Boot it with "
                "systemd.unified_cgroup_hierarchy=1." % need["variable"]
            )
    return sentences


def storage_complaints(needs):
    """A sentence for each home whose file system cannot hold images."""
    sentences = []
    for need in needs:
        account = need["container"]
        if not account or not account["managed"]:
            continue
        kind, mounted = file_system(account["home"])
        if kind in _FOREIGN:
            sentences.append(
                "%s_data_dir = %s: lies on %s (%s), which cannot carry the overlays of container "
                "images. Write a directory on a local file system, such as ext4 or xfs."
                % (need["variable"], account["home"], mounted, kind)
            )
    return sentences


def file_system(path):
    """The kind of file system that a path is, or would be, on, and where that is mounted."""
    best = ("", "/")
    try:
        with open("/proc/self/mountinfo") as file:
            lines = file.read().split("\n")
    except OSError:
        return best
    for line in lines:
        fields, dummy, more = line.partition(" - ")
        if not more:
            continue
        mounted = re.sub(r"\\(\d{3})", lambda found: chr(int(found.group(1), 8)), fields.split()[4])
        inside = path == mounted or path.startswith(mounted.rstrip("/") + "/")
        if inside and len(mounted) >= len(best[1]):
            best = (more.split()[0], mounted)
    return best
