# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cgroup of its own for each host: with a shared one, two hosts would share one payload."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from .process import HostError, run, succeeds
from .state import state_directory

PREFIX = "onehop-testhost-"


def systemd_is_pid_1() -> bool:
    """As sd_booted(3) tells it."""
    return Path("/run/systemd/system").is_dir()


def find(mountinfo: str) -> str:
    """The first mount of cgroup2 in the text of /proc/self/mountinfo, empty where there is none."""
    for line in mountinfo.splitlines():
        before, dummy, after = line.partition(" - ")
        if after.split()[0] == "cgroup2":
            return before.split()[4]
    return ""


def private_mount() -> Path:
    return state_directory() / "cgroup2"


def make(name: str) -> str:
    """A fresh cgroup for the host, on a cgroup2 mount of the machine or else on one of our own."""
    hierarchy = find(Path("/proc/self/mountinfo").read_text())
    if not hierarchy:
        private_mount().mkdir(exist_ok=True)
        run(["mount", "-t", "cgroup2", "none", str(private_mount())])
        hierarchy = str(private_mount())
    path = Path(hierarchy) / name
    if path.exists():
        remove(str(path))
    path.mkdir()
    return str(path)


def of(pid: int) -> str:
    """The folder of the cgroup that a process is in."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        if line.startswith("0::/"):
            return f"{find(Path('/proc/self/mountinfo').read_text())}{line.removeprefix('0::')}"
    return ""


def enter(path: str) -> None:
    """Move the calling process; for the moment between fork and exec."""
    with open(os.path.join(path, "cgroup.procs"), "w") as stream:
        stream.write("0")


def remove(path: str, seconds: float = 5) -> None:
    """Kill what is left in a cgroup that we made, and remove it."""
    top = Path(path)
    if not top.name.startswith(PREFIX):
        raise HostError(f"will not remove the cgroup {path}: this program did not make it")
    deadline = time.monotonic() + seconds
    while top.exists():
        for folder in sorted(top.rglob("**/"), reverse=True):
            with contextlib.suppress(OSError):
                folder.rmdir()
        with contextlib.suppress(OSError):
            top.rmdir()
        if not top.exists():
            return
        if time.monotonic() > deadline:
            raise HostError(f"the cgroup {path} does not empty: processes {members(top)}")
        with contextlib.suppress(OSError):
            (top / "cgroup.kill").write_text("1")
        if not (top / "cgroup.kill").exists():
            for pid in members(top):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def members(top: Path) -> list[int]:
    found: list[int] = []
    for procs in [top / "cgroup.procs", *top.rglob("cgroup.procs")]:
        with contextlib.suppress(OSError):
            found += [int(line) for line in procs.read_text().split()]
    return sorted(set(found))


def remove_private_mount() -> None:
    if private_mount().is_mount():
        succeeds(["umount", str(private_mount())])
    if private_mount().is_dir():
        private_mount().rmdir()
