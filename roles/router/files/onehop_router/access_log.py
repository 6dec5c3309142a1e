# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The access log: a line of JSON for each request, without a byte of what was said in it.

Lines are gathered for a moment and written by a thread, so that a reader of the log that is slow
or stuck holds up no request; what it cannot take is dropped and counted.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading

import msgspec

# Seconds for which lines are gathered, and how many of them are not gathered any longer.
GATHER_SECONDS = 0.05
GATHER_LINES = 128
# Gathered lots that wait for the thread; about 4 MiB.
MAX_WAITING = 64
# One write to a pipe stays in one piece up to here, whoever else writes to it (POSIX PIPE_BUF).
MAX_WRITE = 4096
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
    """Writes lines to a file descriptor. Needs a running loop; its thread begins when needed."""

    def __init__(self, fd: int) -> None:
        self.dropped = 0
        self._fd = fd
        self._loop = asyncio.get_running_loop()
        self._encoder = msgspec.json.Encoder()
        self._lines: list[bytes] = []
        self._lots: queue.SimpleQueue[list[bytes] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def write(self, line: Line) -> None:
        """Have a line written soon."""
        lines = self._lines
        lines.append(self._encoder.encode(line))
        if len(lines) == 1:
            self._loop.call_later(GATHER_SECONDS, self._flush)
        elif len(lines) >= GATHER_LINES:
            self._flush()

    def close(self) -> None:
        """Write what is left; wait for that, but not for ever."""
        self._flush()
        if self._thread is not None:
            self._lots.put(None)
            self._thread.join(CLOSE_SECONDS)
            self._thread = None

    def _flush(self) -> None:
        lines, self._lines = self._lines, []
        if not lines:
            return
        if self._lots.qsize() >= MAX_WAITING:
            self.dropped += len(lines)
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="access log", daemon=True)
            self._thread.start()
        self._lots.put(lines)

    def _work(self) -> None:
        while (lines := self._lots.get()) is not None:
            text = b""
            for line in lines:
                if text and len(text) + len(line) >= MAX_WRITE:
                    self._put(text)
                    text = b""
                text += line + b"\n"
            self._put(text)

    def _put(self, text: bytes) -> None:
        try:
            while text:
                text = text[os.write(self._fd, text) :]
        except OSError:
            # Nobody reads the log any more; there is nobody to tell either.
            pass
