# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The router's metrics: what is counted, and how Prometheus reads it.

Values of labels come from the configuration or from the short lists in here, never from a
request, so that no client can make their number grow; what is not known there is "".
"""

from __future__ import annotations

import resource
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec
from prometheus_client import CollectorRegistry, exposition
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from . import __version__
from .auth import Identity
from .config import Config
from .errors import Refusal
from .page_access import DATA_PATH, PAGE_PATH
from .paths import DEFAULT_ALLOWED_PATHS, AllowedPaths, split_path
from .reloads import note_reload
from .shared import Shared

METRICS_PATH = "/metrics"
PREFIX = "onehop_router_"
_OWN_PATHS = ("/health", "/v1/models", METRICS_PATH, PAGE_PATH, DATA_PATH)

# Seconds. An embedding takes milliseconds, a long answer of a model on a CPU half an hour.
BUCKETS = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
    1800.0,
)  # fmt: skip
# A count for each bucket and one for what is above, and the sum of all values.
_HISTOGRAM_WIDTH = len(BUCKETS) + 2

# prometheus-client gives this one no types.
_open_text: Callable[[CollectorRegistry], bytes] = openmetrics.generate_latest

_MAX_KNOWN_PATHS = 1024
_MAX_KNOWN_PATH = 256


class Family(NamedTuple):
    """A metric: "counter", "gauge" or "histogram", its help, and the names of its labels."""

    kind: str
    help: str
    labels: tuple[str, ...] = ()


FAMILIES = {
    "requests": Family("counter", "Requests that came, refused ones included.", ("method", "path")),
    "responses": Family(
        "counter", "Requests that got a status, once they ended.", ("model", "client", "status")
    ),
    "request_duration_seconds": Family(
        "histogram", "From a request's head to its end, if it went to a model.", ("model",)
    ),
    "time_to_first_byte_seconds": Family(
        "histogram", "From a request's head to the first byte of its answer's body.", ("model",)
    ),
    "inflight_requests": Family("gauge", "Requests of a model under way.", ("model",)),
    "upstream_errors": Family(
        "counter", "Replicas that failed a request.", ("model", "upstream", "kind")
    ),
    "client_disconnects": Family(
        "counter", "Requests whose client left before their end.", ("model",)
    ),
    "tokens": Family("counter", "Tokens, as answers tell.", ("model", "direction")),
    "upstream_up": Family("gauge", "Whether a replica is thought to be up.", ("model", "upstream")),
    "queued_requests": Family("gauge", "Requests that wait for a limit on concurrency."),
    "held_requests": Family("gauge", "Requests that wait for a replica to be up."),
    "buffered_bytes": Family("gauge", "Bytes of request bodies in memory."),
    "connections": Family("gauge", "Connections of clients."),
    "access_log_dropped_lines": Family("counter", "Lines that the log's reader was too slow for."),
    "config_reloads": Family("counter", "Reloads of the configuration.", ("result",)),
    "config_info": Family("gauge", "The configuration in force.", ("fingerprint",)),
    "build_info": Family("gauge", "The router's version.", ("version",)),
    "start_time_seconds": Family("gauge", "When the router started, in seconds since 1970."),
    "cpu_seconds": Family("counter", "CPU time of the router's processes."),
    "resident_memory_bytes": Family("gauge", "Resident memory of the router's processes."),
}

Key = tuple[str, ...]
"""A family's name and the values of its labels."""


class Metrics:
    """Counts in shared memory; every process of a router shows the sums over all of them."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self._slots: dict[Key, int] = {}
        self._cpu = 0.0

    def add(self, key: Key, delta: float = 1.0) -> None:
        """Count, or change a gauge."""
        self.shared.mine[self.slot(key)] += delta

    def put(self, key: Key, value: float) -> None:
        """Set this process's share of a gauge."""
        self.shared.mine[self.slot(key)] = value

    def observe(self, slot: int, value: float) -> None:
        """Count a value in a histogram, by its slot."""
        if slot:
            mine = self.shared.mine
            mine[slot + bisect_left(BUCKETS, value)] += 1.0
            mine[slot + _HISTOGRAM_WIDTH - 1] += value

    def reloaded(self, problems: Sequence[str]) -> None:
        """Count a reload, and note what became of it; without problems it went well."""
        self.add(("config_reloads", "failure" if problems else "success"))
        note_reload(self.shared, problems)

    def sample_process(self) -> None:
        """Set what the kernel knows of this process."""
        cpu = time.process_time()
        self.add(("cpu_seconds",), cpu - self._cpu)
        self._cpu = cpu
        with open("/proc/self/statm", "rb") as file:
            pages = int(file.read().split()[1])
        self.put(("resident_memory_bytes",), pages * resource.getpagesize())

    def expose(self, accept: str, now: Iterable[tuple[Key, float]]) -> tuple[bytes, str]:
        """The text for Prometheus, and its media type; `now` are gauges that only live in here."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collector(lambda: self._collect(now)))
        if "application/openmetrics-text" in accept:
            return _open_text(registry), openmetrics.CONTENT_TYPE_LATEST
        return exposition.generate_latest(registry), exposition.CONTENT_TYPE_PLAIN_0_0_4

    def slot(self, key: Key) -> int:
        """Where a series is counted, for those who count often; 0 counts, and is never shown."""
        slot = self._slots.get(key)
        return self._slot(key) if slot is None else slot

    def _slot(self, key: Key) -> int:
        family = FAMILIES[key[0]]
        width = _HISTOGRAM_WIDTH if family.kind == "histogram" else 1
        name = msgspec.json.encode(key).decode()
        slot = self.shared.slot(name, width, gauge=family.kind == "gauge")
        self._slots[key] = slot
        return slot

    def _collect(self, now: Iterable[tuple[Key, float]]) -> Iterator[Metric]:
        series: dict[str, list[tuple[Key, list[float]]]] = {name: [] for name in FAMILIES}
        entries = self.shared.entries()
        totals = self.shared.totals()
        for entry in entries:
            if not entry.name.startswith("["):
                continue
            name, *labels = msgspec.json.decode(entry.name, type=tuple[str, ...])
            values = totals[entry.slot : entry.slot + entry.width]
            series[name].append((tuple(labels), values))
        own = ((("build_info", __version__), 1.0), (("start_time_seconds",), self.shared.created))
        for (name, *labels), value in (*own, *now):
            series[name].append((tuple(labels), [value]))
        for name, rows in series.items():
            if rows:
                yield _metric(name, rows)


class _Collector(Collector):
    """What prometheus-client wants to be given."""

    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Metric]:
        return self._collect()


def _metric(name: str, rows: list[tuple[Key, list[float]]]) -> Metric:
    kind, text, labels = FAMILIES[name]
    if kind == "histogram":
        histogram = HistogramMetricFamily(PREFIX + name, text, labels=labels)
        for row, values in rows:
            histogram.add_metric(row, _cumulative(values), values[-1])
        return histogram
    simple = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
    family = simple(PREFIX + name, text, labels=labels)
    for row, (value,) in rows:
        family.add_metric(row, value)
    return family


def _cumulative(values: list[float]) -> list[tuple[str, float]]:
    counts = []
    below = 0.0
    for bound, count in zip((*map(str, BUCKETS), "+Inf"), values, strict=False):
        below += count
        counts.append((bound, below))
    return counts


def may_read_metrics(who: Identity, config: Config) -> bool:
    """Whether this client may see them: where there are keys, only if its own paths name them."""
    client = config.client_keys.get(who.name)
    if client is None:
        return not config.client_keys
    return METRICS_PATH in (client.paths or ())


class PathLabels:
    """Finds the pattern of the configuration that a path falls under, for labels."""

    def __init__(self, config: Config) -> None:
        patterns = config.allowed_paths
        if patterns is None:
            patterns = DEFAULT_ALLOWED_PATHS
        clients = [path for one in config.client_keys.values() for path in one.paths or ()]
        self._patterns = [
            (one, AllowedPaths([one])) for one in dict.fromkeys((*patterns, *clients))
        ]
        self._own = {one: one for one in _OWN_PATHS}
        self._known = dict(self._own)

    def label(self, path: str) -> str:
        """The pattern, or "". What stands before it in /route/{model}/... is left out."""
        found = self._known.get(path)
        if found is not None:
            return found
        found = self._find(path)
        # Clients choose paths, so what is remembered of them has its limits.
        if len(path) <= _MAX_KNOWN_PATH:
            if len(self._known) >= _MAX_KNOWN_PATHS:
                self._known = dict(self._own)
            self._known[path] = found
        return found

    def _find(self, path: str) -> str:
        if not path.startswith("/"):
            return ""
        try:
            segments = split_path(path).segments
        except Refusal:
            return ""
        for pattern, one in self._patterns:
            if one.match(segments):
                return pattern
        return ""
