# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes: run one, name one that no reused pid is mistaken for, turn signals into cleanup."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class HostError(Exception):
    """One sentence for the user: what is wrong, and what to do instead."""


class Interrupted(BaseException):
    """A signal asked the program to stop. Not an Exception, so that only cleanup sees it."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


@dataclass(frozen=True)
class Process:
    """A process by pid and start time (clock ticks since boot, field 22 of proc_pid_stat(5))."""

    pid: int
    start: int

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The living process of this pid, None where there is none or only a zombie."""
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # The command name stands in parentheses and may itself hold spaces and parentheses.
        fields = text.rpartition(")")[2].split()
        return None if fields[0] in "ZX" else cls(pid, int(fields[19]))

    def alive(self) -> bool:
        return Process.of(self.pid) == self

    def signal(self, signum: int) -> bool:
        """Send a signal; False where the process is gone.

        By a pidfd, so that the pid cannot change hands in between.
        """
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            if not self.alive():
                return False
            signal.pidfd_send_signal(descriptor, signum)
            return True
        except ProcessLookupError:
            return False
        finally:
            os.close(descriptor)

    def wait(self, seconds: float) -> bool:
        """Whether the process ended within so many seconds."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            if not self.alive():
                return True
            poller = select.poll()
            poller.register(descriptor, select.POLLIN)
            return bool(poller.poll(int(seconds * 1000)))
        finally:
            os.close(descriptor)


def say(message: str) -> None:
    """Progress goes to stderr: stdout is for answers."""
    print(f"testhost: {message}", file=sys.stderr, flush=True)


def call(argv: Sequence[str], timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a command, whatever comes of it.

    In its own group: a terminal's Ctrl-C must not end the commands of the cleanup it leads to.
    """
    return subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        check=False,
        process_group=0,
    )


def run(argv: Sequence[str], timeout: float = 60) -> str:
    """Standard output of a command that has to succeed."""
    try:
        done = call(argv, timeout)
    except FileNotFoundError:
        raise HostError(f"the command {argv[0]!r} is missing: see `testhost check`") from None
    except subprocess.TimeoutExpired:
        raise HostError(f"{' '.join(argv)} did not end within {timeout:.0f} s") from None
    if done.returncode:
        words = done.stderr.strip() or done.stdout.strip()
        raise HostError(f"{' '.join(argv)} failed ({done.returncode}): {words}")
    return done.stdout


def succeeds(argv: Sequence[str], timeout: float = 60) -> bool:
    """Whether a command ran and ended with 0."""
    try:
        return not call(argv, timeout).returncode
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False


class _Signals:
    """What the handler knows; there is one per program."""

    shields = 0
    pending: int | None = None
    interrupted = False


def _handle(signum: int, frame: FrameType | None) -> None:
    if _Signals.interrupted:
        return  # One is enough: the cleanup it led to has to end.
    if _Signals.shields:
        _Signals.pending = signum
        return
    _Signals.interrupted = True
    raise Interrupted(signum)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Inside, the first SIGINT, SIGTERM or SIGHUP raises Interrupted; later ones are ignored."""
    before = {each: signal.signal(each, _handle) for each in STOPPING}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Inside, a signal waits for the end: for cleanup, and for steps only whole together."""
    _Signals.shields += 1
    try:
        yield
    finally:
        _Signals.shields -= 1
        if _Signals.pending is not None and not _Signals.shields:
            _Signals.interrupted = True
            raise Interrupted(_Signals.pending)
