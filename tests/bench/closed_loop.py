# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A load of requests: each connection sends its next one when the last one is answered.

Run as `python -m bench.closed_loop ORDER`, ORDER being JSON; prints the metrics as JSON.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from typing import cast

import uvloop

from bench.figures import quantile
from bench.window import Proxy, Window
from bench.wire import body_of, request, small_body

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)\r\n")


class Caller(asyncio.Protocol):
    """One connection of the load."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._answer = b""
        self._whole = 0
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def _ask(self) -> None:
        self._answer, self._whole = b"", 0
        self._sent = time.perf_counter()
        self._transport.write(self._load.request)

    def data_received(self, data: bytes) -> None:
        self._answer = self._answer + data if self._answer else data
        if not self._whole:
            end = self._answer.find(b"\r\n\r\n") + 4
            if end < 4:
                return
            length = _LENGTH.search(self._answer, 0, end)
            if not self._answer.startswith(b"HTTP/1.1 200 ") or length is None:
                self._load.fail(f"an answer that was not expected: {self._answer[:end]!r}")
                return
            self._whole = end + int(length[1])
        if len(self._answer) >= self._whole:
            self._load.answered(time.perf_counter() - self._sent)
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.fail(f"a connection was closed: {exc}")


class Load:
    """All connections of one run."""

    def __init__(self, payload: bytes) -> None:
        self.request = payload
        self._latencies: list[float] = []
        self._over = False
        self.failure = asyncio.get_running_loop().create_future()

    def answered(self, seconds: float) -> None:
        self._latencies.append(seconds)

    def fail(self, reason: str) -> None:
        if not self._over and not self.failure.done():
            self.failure.set_exception(RuntimeError(reason))

    async def run(
        self, port: int, connections: int, warmup: float, seconds: float, proxy: Proxy
    ) -> dict[str, float]:
        """Load the port; the metrics of the `seconds` after the warm-up."""
        loop = asyncio.get_running_loop()
        for dummy in range(connections):
            await loop.create_connection(lambda: Caller(self), "127.0.0.1", port)
        await self._wait(warmup)
        self._latencies.clear()
        window = Window(proxy)
        await self._wait(seconds)
        self._over = True
        metrics = window.close(len(self._latencies), "request")
        ordered = sorted(self._latencies)
        metrics["p50 us"] = 1e6 * quantile(ordered, 0.5)
        metrics["p99 us"] = 1e6 * quantile(ordered, 0.99)
        return metrics

    async def _wait(self, seconds: float) -> None:
        done, dummy = await asyncio.wait({self.failure}, timeout=seconds)
        for one in done:
            one.result()


async def main(order: dict[str, float]) -> dict[str, float]:
    """Carry an order out; the metrics."""
    size = int(order["size"])
    payload = request(body_of(size) if size else small_body(), sdk=bool(order["sdk"]))
    return await Load(payload).run(
        int(order["port"]),
        int(order["connections"]),
        order["warmup"],
        order["seconds"],
        Proxy(int(order["pid"]), int(order["core"])),
    )


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(main(json.loads(sys.argv[1])))))
