# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel knows of a process and its children: CPU time, memory; and of a core."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

_TICK = 1 / os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


class Memory(NamedTuple):
    """KiB: resident, and resident with shared pages divided among their users."""

    rss: int
    pss: int


def tree(root: int) -> list[int]:
    """A process and all below it."""
    found = [root]
    for pid in found:
        for task in (_PROC / str(pid) / "task").glob("*"):
            try:
                found += [int(child) for child in (task / "children").read_text().split()]
            except OSError:
                continue
    return found


def cpu_seconds(root: int) -> float:
    """User and system time of a process and all that live below it."""
    return sum(_cpu_of(pid) for pid in tree(root))


def _cpu_of(pid: int) -> float:
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return 0.0
    return ticks_in(stat) * _TICK


def ticks_in(stat: str) -> int:
    """User and system ticks in the text of /proc/PID/stat; a command's name may hold anything."""
    fields = stat.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def memory(root: int) -> Memory:
    """The memory of a process and all below it."""
    rss = pss = 0
    for pid in tree(root):
        lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()[1:]
        sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
        rss += sizes["Rss"]
        pss += sizes["Pss"]
    return Memory(rss, pss)


def core_busy_seconds(core: int) -> float:
    """How long a core has worked since the machine started, for whomever."""
    for line in (_PROC / "stat").read_text().splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            # user nice system (idle iowait) irq softirq
            return sum(int(ticks[index]) for index in (0, 1, 2, 5, 6)) * _TICK
    raise ValueError(f"there is no core {core}")
