# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sees every request begin and end: counts it, and writes its line in the access log.

What a request's end brings is done for a lot of them at a time, within 50 ms. Done one by one, with
other work in between, it takes three times as long.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable
from typing import NamedTuple

from .access_log import AccessLog, Line
from .config import Config
from .framing import RequestHead
from .metrics import Key, Metrics, PathLabels
from .record import Record
from .shared import Shared
from .usage import Tokens

# Requests that are counted at a time, and how long the first of them waits for that.
LOT = 64
LOT_SECONDS = 0.05
MAX_LOGGED_PATH = 256

_METHODS = {
    one.encode(): one for one in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
}
_RETRY_COUNT = re.compile(rb"[0-9]{1,4}")
# W3C Trace Context: version, trace id, parent id, flags; neither id is all zeros.
_TRACEPARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)


class _Slots(NamedTuple):
    """Where the end of a request is counted."""

    responses: int
    inflight: int
    duration: int
    first_byte: int
    input: int
    output: int


class Recorder:
    """Counters and log of this process; the Ledger of all records. Needs a running loop."""

    def __init__(self, shared: Shared | None = None) -> None:
        self.metrics = Metrics(shared or Shared())
        self.log = AccessLog(2)
        self._logging = False
        self._loop = asyncio.get_running_loop()
        # Requests that have ended and are not counted yet, and when they will be.
        self._ended: list[Record] = []
        self._timer: asyncio.TimerHandle | None = None
        self._dropped = 0
        self._paths = PathLabels(Config())
        self._slots: dict[tuple[str, str, int], _Slots] = {}
        self._clock = Clock()

    def load(self, config: Config) -> None:
        """Follow a new configuration."""
        self.settle()
        self._logging = config.access_log
        self._paths = PathLabels(config)

    def begin(self, head: RequestHead | None, request_id: str, peer: str | None) -> Record:
        """A request has come; `head` is None where it could not be read."""
        method = path = ""
        if head is not None:
            method = _METHODS.get(head.method, "")
            path = self._paths.label(head.path)
        self.metrics.add(("requests", method, path))
        return Record(self, head, request_id, peer)

    # -- what records tell (record.Ledger)

    def entered(self, record: Record) -> None:
        """See record.Ledger."""
        self.metrics.add(("inflight_requests", record.model))

    def upstream_failed(self, record: Record, kind: str) -> None:
        """See record.Ledger."""
        self.metrics.add(("upstream_errors", record.model, record.upstream, kind))

    def finished(self, record: Record) -> None:
        """See record.Ledger."""
        self._ended.append(record)
        if len(self._ended) >= LOT:
            self.settle()
        elif self._timer is None:
            self._timer = self._loop.call_later(LOT_SECONDS, self.settle)

    # -- what the router calls

    def settle(self) -> None:
        """Count and log all requests that have ended."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lot, self._ended = self._ended, []
        self._clock.set()
        lines = []
        for record in lot:
            tokens = record.tokens()
            self._count(record, tokens)
            if self._logging:
                lines.append(write_line(record, tokens, self._clock))
        if lines:
            self.log.write(lines)

    def sample(self, gauges: Iterable[tuple[Key, float]]) -> None:
        """Note what only this process knows, so that the others can show it too."""
        self.settle()
        self.log.flush()
        for key, value in gauges:
            self.metrics.put(key, value)
        self.metrics.sample_process()
        dropped, self._dropped = self._dropped, self.log.dropped
        self.metrics.add(("access_log_dropped_lines",), self._dropped - dropped)

    def close(self) -> None:
        """Count and log what is left."""
        self.settle()
        self.log.close()

    def _count(self, record: Record, tokens: Tokens | None) -> None:
        metrics = self.metrics
        key = (record.model, record.client, record.status)
        slots = self._slots.get(key)
        if slots is None:
            slots = self._slots[key] = _find_slots(metrics, *key)
        mine = metrics.shared.mine
        mine[slots.responses] += 1.0
        if record.entered:
            mine[slots.inflight] -= 1.0
            metrics.observe(slots.duration, record.ended - record.begun)
            if record.first_byte:
                metrics.observe(slots.first_byte, record.first_byte - record.begun)
            if tokens is not None:
                mine[slots.input] += tokens.input or 0
                mine[slots.output] += tokens.output or 0
        if record.end == "client_gone":
            metrics.add(("client_disconnects", record.model))


def _find_slots(metrics: Metrics, model: str, client: str, status: int) -> _Slots:
    responses = metrics.slot(("responses", model, client, str(status))) if status else 0
    if not model:
        return _Slots(responses, 0, 0, 0, 0, 0)
    return _Slots(
        responses,
        metrics.slot(("inflight_requests", model)),
        metrics.slot(("request_duration_seconds", model)),
        metrics.slot(("time_to_first_byte_seconds", model)),
        metrics.slot(("tokens", model, "input")),
        metrics.slot(("tokens", model, "output")),
    )


class Clock:
    """Writes times of time.perf_counter as dates, UTC."""

    def __init__(self) -> None:
        self._second = 0
        self._text = ""
        self.set()

    def set(self) -> None:
        """Follow the machine's clock, which may have been put right."""
        self._offset = time.time() - time.perf_counter()

    def date(self, moment: float) -> str:
        """Like 2026-01-31T23:59:59.999Z."""
        milliseconds = int((moment + self._offset) * 1000)
        second, rest = divmod(milliseconds, 1000)
        if second != self._second:
            self._second = second
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._text}.{rest:03d}Z"


def write_line(record: Record, tokens: Tokens | None, clock: Clock) -> Line:
    """The line of a request that is over."""
    head = record.head
    first = record.first_byte
    return Line(
        ts=clock.date(record.begun),
        id=record.id,
        method=head.method.decode() if head is not None else "",
        path=head.path[:MAX_LOGGED_PATH] if head is not None else "",
        end=record.end,
        seconds=_micro(record.ended - record.begun),
        peer=record.peer,
        client=record.client,
        model=record.model,
        upstream=record.upstream,
        status=record.status,
        ttfb=_micro(first - record.begun) if first else None,
        bytes_in=record.bytes_in,
        bytes_out=record.bytes_out,
        tokens_in=tokens.input if tokens is not None else None,
        tokens_out=tokens.output if tokens is not None else None,
        retries=max(0, record.tries - 1),
        sdk_retries=_retry_count(head) if head is not None else None,
        trace=_trace_id(head) if head is not None else None,
    )


def _micro(seconds: float) -> float:
    """Cut to microseconds; round() would take five times as long."""
    return int(seconds * 1e6) / 1e6


def _retry_count(head: RequestHead) -> int | None:
    """Which retry this is, by the SDK that sends it."""
    given = head.first.get(b"x-stainless-retry-count")
    return int(given) if given is not None and _RETRY_COUNT.fullmatch(given) else None


def _trace_id(head: RequestHead) -> str | None:
    given = head.first.get(b"traceparent")
    parent = _TRACEPARENT.fullmatch(given) if given is not None else None
    return parent[1].decode() if parent is not None else None
