# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host is made of: its processor, its memory, the room on its disks.

This module util is private to the collection.
"""

from __future__ import annotations

import os
import re


def cpu_flags(text=None):
    """What the first processor can do, as /proc/cpuinfo calls it; sorted.

    x86 has a line ``flags``, Arm one ``Features``; other kernels say nothing of the kind.
    """
    text = _read("/proc/cpuinfo") if text is None else text
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return sorted(set(found.group(1).split())) if found else []


def memory(text=None):
    """Bytes of RAM; ``None`` where /proc/meminfo does not say."""
    text = _read("/proc/meminfo") if text is None else text
    found = re.search(r"^MemTotal:\s*(\d+) kB", text, re.MULTILINE)
    return int(found.group(1)) * 1024 if found else None


def free(paths):
    """Bytes that root may still write, by path: of the nearest directory that is there."""
    found = {}
    for path in paths:
        state = os.statvfs(nearest(path))
        found[path] = state.f_bavail * state.f_frsize
    return found


def nearest(path):
    """The path, or the nearest one above it that is there."""
    while path != "/" and not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def _read(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""
