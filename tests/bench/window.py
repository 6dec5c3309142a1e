# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The time in which a load counts: what a proxy and its core have worked in it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from bench import procfs


@dataclass(frozen=True)
class Proxy:
    """The process under test and the core that it has for itself; pid 0 is no proxy at all."""

    pid: int
    core: int


class Window:
    """Opens when made; `close` tells what happened since."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._cpu = procfs.cpu_seconds(proxy.pid) if proxy.pid else 0.0
        self._core = procfs.core_busy_seconds(proxy.core)
        self._start = time.monotonic()

    def close(self, count: int, unit: str) -> dict[str, float]:
        """The metrics of `count` things done, each a `unit`: 'request' or 'event'.

        'busy' is the proxy's share of its core, 'others' what other programs took of it, in %.
        """
        seconds = time.monotonic() - self._start
        metrics = {f"{unit}s per s": count / seconds}
        if self._proxy.pid:
            cpu = procfs.cpu_seconds(self._proxy.pid) - self._cpu
            others = procfs.core_busy_seconds(self._proxy.core) - self._core - cpu
            metrics["busy %"] = 100 * cpu / seconds
            metrics["others %"] = 100 * max(0.0, others) / seconds
            if count:
                metrics[f"CPU us per {unit}"] = 1e6 * cpu / count
        return metrics
