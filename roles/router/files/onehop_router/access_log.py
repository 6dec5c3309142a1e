# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The access log: a line of JSON for each request, without a byte of what was said in it.

A reader of the log that is slow or stuck holds up no request: what it does not take at once waits,
and what is too much for that is dropped and counted. (A thread would cost more than all the rest.)
"""

from __future__ import annotations

import os
import select
import socket
import stat
import time
import weakref

import msgspec

# What may wait for the reader.
MAX_WAITING_BYTES = 4 * 1024 * 1024
# How long the reader is waited for at the end.
CLOSE_SECONDS = 2.0


class Line(msgspec.Struct, omit_defaults=True):
    """One line. What is unknown, or does not apply, is left out.

    `ts` is when the head had come, UTC; times are seconds; bytes are those of bodies, and of a
    tunnel's two directions.
    """

    ts: str
    id: str
    method: str
    path: str
    end: str
    seconds: float
    peer: str | None = None
    client: str = ""
    model: str = ""
    upstream: str = ""
    status: int = 0
    ttfb: float | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    tokens_in: int | None = None
    tokens_out: int | None = None
    retries: int = 0
    sdk_retries: int | None = None
    trace: str | None = None


class AccessLog:
    """Writes lines to what a file descriptor leads to, which stays as it is for others."""

    def __init__(self, fd: int) -> None:
        self.dropped = 0
        self._encode = msgspec.json.Encoder().encode
        self._waiting = b""
        self._socket: socket.socket | None = None
        self._fd = -1
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                self._socket = socket.socket(fileno=os.dup(fd))
                self._fd = self._socket.fileno()
                weakref.finalize(self, self._socket.close)
            else:
                self._fd = _reopen(fd)
                weakref.finalize(self, os.close, self._fd)
        except OSError:
            # There is no such descriptor: nobody wants to read it.
            pass

    def write(self, lines: list[Line]) -> None:
        """Write a lot of lines, or have them wait."""
        text = b"\n".join((*map(self._encode, lines), b""))
        if len(self._waiting) + len(text) > MAX_WAITING_BYTES:
            self.dropped += len(lines)
        else:
            self._waiting = self._waiting + text if self._waiting else text
        self.flush()

    def flush(self) -> None:
        """Write as much of what waits as the reader takes now."""
        while self._waiting:
            try:
                if self._socket is not None:
                    size = self._socket.send(self._waiting, socket.MSG_DONTWAIT)
                else:
                    size = os.write(self._fd, self._waiting)
            except BlockingIOError:
                return
            except OSError:
                # Nobody reads the log any more; there is nobody to tell either.
                self._waiting = b""
                return
            self._waiting = self._waiting[size:]

    def close(self) -> None:
        """Write what waits; wait for the reader, but not for ever."""
        end = time.monotonic() + CLOSE_SECONDS
        self.flush()
        while self._waiting and time.monotonic() < end:
            poll = select.poll()
            poll.register(self._fd, select.POLLOUT)
            poll.poll(100)
            self.flush()


def _reopen(fd: int) -> int:
    """The same file or pipe, so that writing there never blocks, and does for others as before."""
    try:
        return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)
    except OSError:
        return os.dup(fd)
