# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd hands in and wants to hear: activated sockets, notifications, the watchdog."""

from __future__ import annotations

import array
import contextlib
import logging
import os
import select
import socket
import time
from collections.abc import Mapping

log = logging.getLogger("onehop_router")

_FIRST_FD = 3
_BARRIER_SECONDS = 5


class ActivationError(ValueError):
    """The sockets that were handed in cannot be used."""


def activated_sockets(environ: Mapping[str, str], pid: int) -> list[socket.socket]:
    """The listening stream sockets (TCP or unix) that systemd passed to this process.

    Empty where none are meant for `pid`, or none were passed. Raises ActivationError.
    """
    if environ.get("LISTEN_PID") != str(pid):
        return []
    text = environ.get("LISTEN_FDS", "")
    try:
        count = int(text)
    except ValueError:
        raise ActivationError(f"LISTEN_FDS: {text!r} is no number") from None
    if count < 0:
        raise ActivationError("LISTEN_FDS must not be negative")
    return [_socket(fd) for fd in range(_FIRST_FD, _FIRST_FD + count)]


def _socket(fd: int) -> socket.socket:
    where = f"socket {fd - _FIRST_FD} (file descriptor {fd})"
    try:
        os.set_inheritable(fd, False)
        sock = socket.socket(fileno=fd)
    except OSError as error:
        raise ActivationError(f"{where}: {os.strerror(error.errno or 0)}") from None
    if sock.family not in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        raise ActivationError(f"{where}: neither TCP nor unix")
    listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if sock.type != socket.SOCK_STREAM or not listens:
        raise ActivationError(f"{where}: not a listening stream socket; use ListenStream=")
    return sock


class Notifier:
    """Sends states to $NOTIFY_SOCKET; silent where there is none, never in the way."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._path = environ.get("NOTIFY_SOCKET", "")

    def ready(self, status: str) -> None:
        """The listeners are open, or a reload has ended."""
        self._send("READY=1", f"STATUS={status}")

    def take_over(self, status: str, watchdog_usec: str | None) -> None:
        """This process is the main one from now on; returns when systemd has taken that in.

        Were the predecessor to end before, systemd would take the service for ended.
        """
        lines = [f"MAINPID={os.getpid()}", "READY=1", f"STATUS={status}"]
        if watchdog_usec:
            lines.append(f"WATCHDOG_USEC={watchdog_usec}")
        self._send(*lines)
        heard, hear = os.pipe()
        try:
            # systemd closes its copy once it has come to this message.
            self._send("BARRIER=1", fds=(hear,))
            os.close(hear)
            poll = select.poll()
            poll.register(heard, 0)
            if not poll.poll(_BARRIER_SECONDS * 1000):
                log.warning("sd_notify: no sign that the new main process was noticed")
        finally:
            os.close(heard)

    def reloading(self) -> None:
        """A reload begins; systemd wants to know since when, in microseconds."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def status(self, status: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={status}")

    def stopping(self, status: str) -> None:
        """The drain begins."""
        self._send("STOPPING=1", f"STATUS={status}")

    def watchdog(self) -> None:
        """The loop still turns."""
        self._send("WATCHDOG=1")

    def _send(self, *lines: str, fds: tuple[int, ...] = ()) -> None:
        if not self._path:
            return
        address = "\0" + self._path[1:] if self._path.startswith("@") else self._path
        message = "\n".join(line.replace("\n", " ") for line in lines).encode()
        try:
            kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
            with contextlib.closing(socket.socket(socket.AF_UNIX, kind)) as sock:
                rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
                sock.sendmsg([message], rights if fds else [], 0, address)
        except OSError as error:
            log.warning("sd_notify: %s", error)


def watchdog_interval(environ: Mapping[str, str], pid: int) -> float | None:
    """Seconds between two signs of life, half of what systemd allows; None if it wants none."""
    if environ.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    try:
        usec = int(environ.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    return usec / 2_000_000 if usec > 0 else None
