# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loads: what is sent, how long, and what is measured of one peer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench import processes, wrk
from bench.machine import Cores, find
from bench.window import Proxy


@dataclass(frozen=True)
class Duration:
    """Seconds: before it counts, and while it counts."""

    warmup: float
    seconds: float


@dataclass(frozen=True)
class Load:
    """One load. `measure` runs it against a port and returns metrics by name.

    `group` is what the command line names; `quick` says whether the short run has it too.
    """

    group: str
    name: str
    quick: bool
    measure: Callable[[int, Proxy, Cores, Duration], dict[str, float]]


def small(connections: int, *, sdk: bool = False, quick: bool = False) -> Load:
    """Chats of one word, with a head as short as it may be, or with the official SDK's."""

    def measure(port: int, proxy: Proxy, cores: Cores, time: Duration) -> dict[str, float]:
        if find("wrk"):
            return wrk.run(port, connections, time.warmup, time.seconds, proxy, cores, sdk)
        return _closed_loop(port, proxy, cores, time, size=0, connections=connections, sdk=sdk)

    plural = "" if connections == 1 else "s"
    head = ", SDK's head" if sdk else ""
    return Load("small", f"small requests, {connections} connection{plural}{head}", quick, measure)


def bodies(size: int, name: str, connections: int, *, quick: bool = False) -> Load:
    """Chats of `size` bytes."""

    def measure(port: int, proxy: Proxy, cores: Cores, time: Duration) -> dict[str, float]:
        return _closed_loop(port, proxy, cores, time, size=size, connections=connections)

    return Load("bodies", f"{name} bodies, {connections} connections", quick, measure)


def streams(count: int, rate: float, *, quick: bool = False) -> Load:
    """Event streams that are all open at once."""

    def measure(port: int, proxy: Proxy, cores: Cores, time: Duration) -> dict[str, float]:
        return processes.result(_streams(port, proxy, cores, time, count, rate))

    if not rate:
        return Load("idle", f"{count} idle streams", quick, measure)
    return Load("streams", f"{count} streams, {rate:g} events/s each", quick, measure)


def uploads(megabytes: int, count: int, rate: float, *, quick: bool = False) -> Load:
    """Event streams while two connections upload large bodies: what becomes of the events."""

    def measure(port: int, proxy: Proxy, cores: Cores, time: Duration) -> dict[str, float]:
        nobody = Proxy(0, cores.proxy)
        # The uploads begin before the window of the streams and end after it.
        longer = Duration(0.0, time.warmup + time.seconds + 1)
        listening = _streams(port, proxy, cores, time, count, rate)
        sending = processes.load(
            "closed_loop",
            _order(port, nobody, longer, size=megabytes * 1000 * 1000, connections=2, sdk=False),
            cores,
        )
        metrics = processes.result(listening)
        sent = processes.result(sending)
        kept = ("p50 us", "p99 us", "worst us", "busy %", "others %")
        return {name: metrics[name] for name in kept if name in metrics} | {
            "uploads per s": sent["requests per s"]
        }

    name = f"{count} streams, {rate:g} events/s each, beside uploads of {megabytes} MB"
    return Load("uploads", name, quick, measure)


LOADS = (
    small(1, quick=True),
    small(32, quick=True),
    small(32, sdk=True, quick=True),
    small(512),
    bodies(10_000, "10 kB", 32),
    bodies(100_000, "100 kB", 32, quick=True),
    bodies(1_000_000, "1 MB", 16, quick=True),
    bodies(10_000_000, "10 MB", 4),
    streams(200, 100, quick=True),
    streams(2000, 10),
    streams(5000, 0),
    streams(500, 0, quick=True),
    uploads(30, 50, 20, quick=True),
)
GROUPS = tuple(dict.fromkeys(load.group for load in LOADS))


def _order(port: int, proxy: Proxy, time: Duration, **more: float) -> dict[str, float]:
    return {
        "port": port,
        "pid": proxy.pid,
        "core": proxy.core,
        "warmup": time.warmup,
        "seconds": time.seconds,
        **more,
    }


def _closed_loop(
    port: int,
    proxy: Proxy,
    cores: Cores,
    time: Duration,
    *,
    size: int,
    connections: int,
    sdk: bool = False,
) -> dict[str, float]:
    order = _order(port, proxy, time, size=size, connections=connections, sdk=sdk)
    return processes.result(processes.load("closed_loop", order, cores))


def _streams(port: int, proxy: Proxy, cores: Cores, time: Duration, count: int, rate: float):
    order = _order(port, proxy, time, streams=count, rate=rate)
    return processes.load("streams", order, cores)
