# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller as AWX's execution environments are one, without a container engine.

``enter(user, readable, readonly)`` moves this process, which is root's, into a mount namespace of
its own and makes it an ordinary user: one without groups, capabilities or a way to gain any, so
that sudo fails on this controller. What ``readable`` names can be read, wherever it lies;
``readonly`` can be written by nobody. All of it ends with the process.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_CLONE_NEWNS = 0x00020000
_PR_SET_NO_NEW_PRIVS = 38
"""linux/sched.h and linux/prctl.h."""


@dataclass(frozen=True)
class User:
    """A user whom the machine does not know outside of here."""

    name: str
    number: int
    home: Path

    def owns(self, *paths: Path) -> None:
        """Give it these, and all that lies below."""
        for path in paths:
            for one in (path, *path.rglob("*")):
                os.chown(one, self.number, self.number, follow_symlinks=False)


def enter(user: User, readable: Iterable[Path], readonly: Iterable[Path]) -> None:
    """Leaves root behind for good."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(_CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "unshare")
    _mount("--make-rprivate", "/")
    passwd = user.home.parent / "passwd"
    line = f"{user.name}:x:{user.number}:{user.number}::{user.home}:/bin/sh\n"
    passwd.write_text(Path("/etc/passwd").read_text() + line)
    _mount("--bind", passwd, "/etc/passwd")
    _open_ways(readable)
    for path in readonly:
        _mount("--bind", path, path)
        _mount("-o", "remount,bind,ro", path)
    os.setgroups([])
    os.setresgid(user.number, user.number, user.number)
    os.setresuid(user.number, user.number, user.number)
    library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    with contextlib.suppress(PermissionError):
        os.setuid(0)
        raise RuntimeError("this is still root")


def _open_ways(paths: Iterable[Path]) -> None:
    """Let file trees be reached through folders that are closed to others, such as /root."""
    closed: dict[Path, list[tuple[Path, int]]] = {}
    for path in paths:
        real = path.resolve()
        shut = [one for one in reversed(real.parents) if not one.stat().st_mode & stat.S_IXOTH]
        if shut:
            closed.setdefault(shut[0], []).append((real, os.open(real, os.O_PATH)))
    for folder, trees in closed.items():
        _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", folder)
        for real, opened in trees:
            real.mkdir(parents=True, exist_ok=True)
            # By its descriptor: the path leads to the empty folder now.
            _mount("--no-canonicalize", "--bind", f"/proc/{os.getpid()}/fd/{opened}", real)
            os.close(opened)


def _mount(*words: str | Path) -> None:
    subprocess.run(["mount", *map(str, words)], check=True, stdin=subprocess.DEVNULL)
