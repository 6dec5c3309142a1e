# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The access log: a line of JSON for each request, without a byte of what was said in it.

Lots of lines are written by a thread, so that a reader of the log that is slow or stuck holds up no
request; what it cannot take is dropped and counted.
"""

from __future__ import annotations

import os
import queue
import threading

import msgspec

# Lots that wait for the thread.
MAX_WAITING = 128
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
    """Writes lines to a file descriptor. Its thread begins when there is something to write."""

    def __init__(self, fd: int) -> None:
        self.dropped = 0
        self._fd = fd
        self._encode = msgspec.json.Encoder().encode
        self._lots: queue.SimpleQueue[list[bytes] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def write(self, lines: list[Line]) -> None:
        """Have lines written soon."""
        if self._lots.qsize() >= MAX_WAITING:
            self.dropped += len(lines)
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="access log", daemon=True)
            self._thread.start()
        self._lots.put([self._encode(line) for line in lines])

    def close(self) -> None:
        """Wait until all is written, but not for ever."""
        if self._thread is not None:
            self._lots.put(None)
            self._thread.join(CLOSE_SECONDS)
            self._thread = None

    def _work(self) -> None:
        # A lot is one write: the journal's socket takes it in one piece, whoever else writes there,
        # and after each write this thread has to wait for the interpreter.
        while (lines := self._lots.get()) is not None:
            self._put(b"\n".join((*lines, b"")))

    def _put(self, text: bytes) -> None:
        try:
            while text:
                text = text[os.write(self._fd, text) :]
        except OSError:
            # Nobody reads the log any more; there is nobody to tell either.
            pass
