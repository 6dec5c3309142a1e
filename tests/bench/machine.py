# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine under the bench: its cores, and which programs it has."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")


@dataclass(frozen=True)
class Cores:
    """The core that the proxy has for itself, and those of load and backend."""

    proxy: int
    load: tuple[int, ...]


def split_cores(available: Sequence[int], wanted: str | None = None) -> Cores:
    """The last core for the proxy, the others for the load; or as `wanted` says: '1:0' or '3:0,1'.

    Raises ValueError where there are too few.
    """
    if wanted:
        proxy, mark, load = wanted.partition(":")
        cores = Cores(int(proxy), tuple(int(one) for one in load.split(",") if one))
        if not mark or not cores.load or not {cores.proxy, *cores.load} <= set(available):
            raise ValueError(f"--cores {wanted}: write PROXY:LOAD[,LOAD], out of {list(available)}")
    else:
        cores = Cores(max(available), tuple(sorted(available)[:-1]))
    if not cores.load or cores.proxy in cores.load:
        raise ValueError("the bench takes two cores: one for the proxy, one for load and backend")
    return cores


def pinned(words: Sequence[str], cores: int | Sequence[int]) -> list[str]:
    """A command that keeps to these cores."""
    listed = str(cores) if isinstance(cores, int) else ",".join(map(str, cores))
    return ["taskset", "--cpu-list", listed, *words]


def find(program: str) -> str | None:
    """The path of a program, on PATH or where a system keeps its daemons; None without it."""
    path = os.pathsep.join((os.environ.get("PATH", ""), *_SBIN))
    return shutil.which(program, path=path)


def describe(cores: Cores) -> str:
    """One line for the head of a report."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    load = ",".join(map(str, cores.load))
    return (
        f"{model}, {os.cpu_count()} cores, Linux {platform.release()}; "
        f"proxy on core {cores.proxy}, load and backend on {load}"
    )
