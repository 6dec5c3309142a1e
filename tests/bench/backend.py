# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A test double of an inference engine, lean enough to keep up with a proxy on a core of its own.

It answers every request with the same chat, or streams events at the rate that the request asks
for. Run as `python -m bench.backend`; the first line of its output is its port.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import socket
import time
from typing import cast

import uvloop

from bench.wire import MODEL, STAMP_DIGITS

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)\r\n")
_RATE = re.compile(rb'"rate=([0-9.e+]+)"')
# Orders stand near the start of a body, so that megabytes need not be kept to find them.
_KEPT_BODY = 4096

_ANSWER_BODY = json.dumps(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1700000000,
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello."},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
    }
).encode()
_COMMON = b"date: Fri, 01 Jan 2027 00:00:00 GMT\r\nserver: uvicorn\r\n"
ANSWER = (
    b"HTTP/1.1 200 OK\r\n%bcontent-length: %d\r\ncontent-type: application/json\r\n\r\n"
    % (_COMMON, len(_ANSWER_BODY))
) + _ANSWER_BODY
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\n%bcontent-type: text/event-stream; charset=utf-8\r\n"
    b"transfer-encoding: chunked\r\n\r\n" % _COMMON
)
_EVENT = (
    b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,'
    b'"model":"bench","choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":null}]}\n\n'
)
_EVENT_SIZE = len(_EVENT) - 2 + STAMP_DIGITS
_CHUNK = b"%x\r\n%b\r\n" % (_EVENT_SIZE, _EVENT.replace(b"%b", b"%020d"))

# One process, one thread, and what is in here is used up before the next read.
_buffer = bytearray(1 << 20)
_view = memoryview(_buffer)


def event() -> bytes:
    """One event in its chunk, stamped with now."""
    return _CHUNK % time.monotonic_ns()


class Engine(asyncio.BufferedProtocol):
    """One connection: requests one after the other, none early."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._head = b""
        self._body = b""
        self._left = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> bytearray:
        return _buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._left:
            self._take_body(nbytes, 0)
            return
        data = self._head + bytes(_view[:nbytes])
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            self._head = data
            return
        length = _LENGTH.search(data, 0, end)
        if length is None:
            raise ValueError(f"a request without a length: {data[:end]!r}")
        self._head, self._body = b"", data[end : end + _KEPT_BODY]
        self._left = int(length[1])
        self._take_body(len(data) - end, None)

    def _take_body(self, size: int, start: int | None) -> None:
        if start is not None and len(self._body) < _KEPT_BODY:
            self._body += bytes(_view[start : min(size, _KEPT_BODY)])
        if size > self._left:
            raise ValueError("a request came before the answer to the one before it")
        self._left -= size
        if self._left:
            return
        rate = _RATE.search(self._body)
        if rate is None:
            self._transport.write(ANSWER)
        else:
            self._stream(float(rate[1]))

    def _stream(self, rate: float) -> None:
        self._transport.write(STREAM_HEAD + event())
        if not rate:
            return
        loop = asyncio.get_running_loop()
        interval = 1 / rate

        def tick(due: float) -> None:
            self._transport.write(event())
            # Late once is no reason to be late for ever, nor to send in bursts.
            due = max(due + interval, loop.time())
            self._timer = loop.call_at(due, tick, due)

        first = loop.time() + interval * random.random()
        self._timer = loop.call_at(first, tick, first)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()


async def serve() -> None:
    """Listen on a free loopback port, say which, and serve until the process is ended."""
    loop = asyncio.get_running_loop()
    sock = socket.create_server(("127.0.0.1", 0), backlog=8192)
    server = await loop.create_server(Engine, sock=sock, backlog=8192)
    print(sock.getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
