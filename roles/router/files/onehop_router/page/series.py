# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rates and times of the last minutes, made of the samples of the shared numbers.

Each point is about the minute before it, and is made once in each process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from functools import reduce
from operator import add, sub
from typing import NamedTuple

import msgspec

from ..metrics import BUCKETS
from ..past import SAMPLES, Sample
from ..shared import Entry, Shared

# Samples that a point reaches back: a minute, at one in five seconds.
WINDOW = 12
POINTS = SAMPLES - WINDOW - 1


class Change(NamedTuple):
    """What was counted between two samples, `seconds` apart; `first_bytes` by BUCKETS."""

    seconds: float
    in_flight: float
    requests: float
    errors: float
    turned_away: float
    input_tokens: float
    output_tokens: float
    first_bytes: tuple[float, ...]

    def add(self, other: Change) -> Change:
        """Both together, of the same time."""
        return Change(
            self.seconds,
            self.in_flight + other.in_flight,
            self.requests + other.requests,
            self.errors + other.errors,
            self.turned_away + other.turned_away,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            _NO_FIRST_BYTES
            if self.first_bytes is other.first_bytes is _NO_FIRST_BYTES
            else tuple(map(add, self.first_bytes, other.first_bytes)),
        )


class Point(NamedTuple):
    """One point of a plot, rounded. None is where nothing was, or the model itself was not there."""

    in_flight: float | None = None
    requests_per_minute: float | None = None
    errors_per_minute: float | None = None
    turned_away_per_minute: float | None = None
    input_tokens_per_second: float | None = None
    output_tokens_per_second: float | None = None
    ttft_p50: float | None = None
    ttft_p95: float | None = None


_NO_FIRST_BYTES = (0.0,) * (len(BUCKETS) + 1)


class Counted:
    """The slots of one model's numbers; 0 is for those that are not counted yet."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.duration = 0
        self.first_byte = 0
        self.input_tokens = 0
        self.output_tokens = 0
        # Answers of 5xx, and of 429.
        self.errors: list[int] = []
        self.turned_away: list[int] = []

    def requests(self, totals: list[float]) -> int:
        """How many requests of it have ended."""
        return round(sum(_histogram(Sample(0, []), Sample(0, totals), self.duration)))

    def change(self, old: Sample, new: Sample, seconds: float) -> Change:
        """What was counted between two samples."""
        return Change(
            seconds,
            _at(new, self.in_flight),
            sum(_histogram(old, new, self.duration)),
            _grown(old, new, self.errors),
            _grown(old, new, self.turned_away),
            _grown(old, new, (self.input_tokens,)),
            _grown(old, new, (self.output_tokens,)),
            _histogram(old, new, self.first_byte),
        )


class Index:
    """Where the shared numbers of each model are. Names are only ever added."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._seen = 0
        self._models: dict[str, Counted] = {}
        self._failures: dict[tuple[str, str], list[int]] = {}

    def refresh(self) -> None:
        """Learn the names that are new."""
        entries = self._shared.entries()
        for entry in entries[self._seen :]:
            if entry.name.startswith("["):
                self._learn(entry)
        self._seen = len(entries)

    def model(self, name: str) -> Counted:
        """Where a model is counted."""
        return self._models.get(name) or Counted()

    def failures(self, model: str, upstream: str) -> list[int]:
        """Where it is counted what a replica failed at."""
        return self._failures.get((model, upstream), [])

    def _learn(self, entry: Entry) -> None:
        family, *labels = msgspec.json.decode(entry.name, type=tuple[str, ...])
        if family == "upstream_errors":
            self._failures.setdefault((labels[0], labels[1]), []).append(entry.slot)
            return
        if not labels or not labels[0]:
            return
        if family == "tokens":
            setattr(self._of(labels[0]), f"{labels[1]}_tokens", entry.slot)
        elif family == "inflight_requests":
            self._of(labels[0]).in_flight = entry.slot
        elif family == "request_duration_seconds":
            self._of(labels[0]).duration = entry.slot
        elif family == "time_to_first_byte_seconds":
            self._of(labels[0]).first_byte = entry.slot
        elif family == "responses" and labels[2].startswith("5"):
            self._of(labels[0]).errors.append(entry.slot)
        elif family == "responses" and labels[2] == "429":
            self._of(labels[0]).turned_away.append(entry.slot)

    def _of(self, model: str) -> Counted:
        return self._models.setdefault(model, Counted())


class Series:
    """The points of all models. The model "" is all of them together."""

    def __init__(self, shared: Shared, index: Index) -> None:
        self._shared = shared
        self._index = index
        # The last samples, as far back as the next point reaches.
        self._samples: deque[Sample] = deque(maxlen=WINDOW + 1)
        self.ticks: deque[int] = deque(maxlen=POINTS)
        self._points: dict[str, deque[Point]] = {}

    def points(self, model: str) -> deque[Point]:
        """A model's points, one for each of `ticks`, oldest first."""
        return self._points.get(model) or deque([Point()] * len(self.ticks))

    def refresh(self, models: Iterable[str], seconds: float, most: int = SAMPLES) -> None:
        """Make points that are missing, up to so many. `seconds` is the time between two ticks."""
        newest = self._samples[-1].tick if self._samples else 0
        for new in self._shared.remembered(newest, most):
            if self._samples:
                self._make(list(models), new, seconds)
            self._samples.append(new)

    def _make(self, models: list[str], new: Sample, seconds: float) -> None:
        old = next((one for one in self._samples if one.tick >= new.tick - WINDOW), None)
        # After a time without samples, what was counted then is nobody's.
        old = old or self._samples[-1]
        passed = (new.tick - old.tick) * seconds
        changes = {name: self._index.model(name).change(old, new, passed) for name in models}
        nothing = Change(passed, 0, 0, 0, 0, 0, 0, _NO_FIRST_BYTES)
        changes[""] = reduce(Change.add, changes.values(), nothing)
        before = self._points
        self._points = {}
        for name, change in changes.items():
            known = before.get(name) or deque([Point()] * len(self.ticks), maxlen=POINTS)
            known.append(_point(change))
            self._points[name] = known
        self.ticks.append(new.tick)


def quantile(counts: tuple[float, ...], share: float) -> float | None:
    """A quantile of what was counted by BUCKETS, as Prometheus' histogram_quantile has it."""
    if counts is _NO_FIRST_BYTES or not (rank := share * sum(counts)):
        return None
    below = 0.0
    lower = 0.0
    for bound, count in zip(BUCKETS, counts, strict=False):
        if below + count >= rank and count:
            return round(lower + (bound - lower) * (rank - below) / count, 4)
        below += count
        lower = bound
    return lower


def _point(change: Change) -> Point:
    minute = 60 / change.seconds
    first_bytes = change.first_bytes
    return Point(
        change.in_flight,
        round(change.requests * minute, 3),
        round(change.errors * minute, 3),
        round(change.turned_away * minute, 3),
        round(change.input_tokens / change.seconds, 3),
        round(change.output_tokens / change.seconds, 3),
        quantile(first_bytes, 0.5),
        quantile(first_bytes, 0.95),
    )


def _at(sample: Sample, slot: int) -> float:
    return sample.totals[slot] if 0 < slot < len(sample.totals) else 0.0


def _grown(old: Sample, new: Sample, slots: Iterable[int]) -> float:
    return sum(_at(new, slot) - _at(old, slot) for slot in slots)


def _histogram(old: Sample, new: Sample, slot: int) -> tuple[float, ...]:
    """The growth of each bucket."""
    width = len(BUCKETS) + 1
    if not slot or slot >= len(new.totals):
        return _NO_FIRST_BYTES
    now = new.totals[slot : slot + width]
    before = old.totals[slot : slot + width] or [0.0] * width
    return _NO_FIRST_BYTES if now == before else tuple(map(sub, now, before))
