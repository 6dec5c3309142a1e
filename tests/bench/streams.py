# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A load of event streams, all open at once.

Run as `python -m bench.streams ORDER`, ORDER being JSON; prints the metrics as JSON.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from typing import cast

import uvloop

from bench import procfs
from bench.figures import quantile
from bench.window import Proxy, Window
from bench.wire import STAMP_DIGITS, request, stream_body

# A proxy that rewrites events may put a space after the colon.
_STAMP = re.compile(rb'"content": ?"([0-9]{%d})"' % STAMP_DIGITS)
# So many connects are under way at a time, so that no listener's queue overflows.
_ABREAST = 100
_OPENING_SECONDS = 120.0


class Listener(asyncio.Protocol):
    """One stream."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._rest = b""
        self.begun = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._load.request)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        whole, mark, self._rest = (self._rest + data).rpartition(b"\n\n")
        if not mark:
            return
        stamps = _STAMP.findall(whole)
        if stamps and not self.begun.done():
            self.begun.set_result(None)
        if self._load.counting:
            self._load.delays += [now - int(stamp) for stamp in stamps]

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.begun.done():
            self.begun.set_exception(RuntimeError(f"no event came: {self._rest[:500]!r} {exc}"))
        else:
            self._load.lost += 1


class Load:
    """All streams of one run."""

    def __init__(self, rate: float) -> None:
        self.request = request(stream_body(rate))
        self.counting = False
        self.delays: list[int] = []
        self.lost = 0

    async def run(
        self, port: int, count: int, warmup: float, seconds: float, proxy: Proxy
    ) -> dict[str, float]:
        """Hold `count` streams open; the metrics of the `seconds` after the warm-up."""
        before = procfs.memory(proxy.pid) if proxy.pid else None
        async with asyncio.timeout(_OPENING_SECONDS):
            await self._open(port, count)
        await asyncio.sleep(warmup)
        self.counting = True
        window = Window(proxy)
        await asyncio.sleep(seconds)
        metrics = window.close(len(self.delays), "event")
        self.counting = False
        if self.lost:
            raise RuntimeError(f"{self.lost} of {count} streams ended early")
        if self.delays:
            ordered = sorted(self.delays)
            metrics["p50 us"] = quantile(ordered, 0.5) / 1e3
            metrics["p99 us"] = quantile(ordered, 0.99) / 1e3
            metrics["worst us"] = ordered[-1] / 1e3
        if before is not None:
            after = procfs.memory(proxy.pid)
            metrics["PSS KiB per stream"] = (after.pss - before.pss) / count
            metrics["RSS KiB per stream"] = (after.rss - before.rss) / count
        return metrics

    async def _open(self, port: int, count: int) -> None:
        loop = asyncio.get_running_loop()
        gate = asyncio.Semaphore(_ABREAST)

        async def one() -> None:
            async with gate:
                dummy, listener = await loop.create_connection(
                    lambda: Listener(self), "127.0.0.1", port
                )
                await listener.begun

        async with asyncio.TaskGroup() as group:
            for dummy in range(count):
                group.create_task(one())


async def main(order: dict[str, float]) -> dict[str, float]:
    """Carry an order out; the metrics."""
    return await Load(order["rate"]).run(
        int(order["port"]),
        int(order["streams"]),
        order["warmup"],
        order["seconds"],
        Proxy(int(order["pid"]), int(order["core"])),
    )


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(main(json.loads(sys.argv[1])))))
