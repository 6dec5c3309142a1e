# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rates and times of the last minutes, made of the samples of the shared numbers.

Each point is about the minute before it. It is made once, when somebody looks; without
a look nothing is computed.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
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
            tuple(map(sum, zip(self.first_bytes, other.first_bytes, strict=True))),
        )


class Point(NamedTuple):
    """One point of a plot. Times of first bytes are None where there were none."""

    in_flight: float
    requests_per_minute: float
    errors_per_minute: float
    turned_away_per_minute: float
    input_tokens_per_second: float
    output_tokens_per_second: float
    ttft_p50: float | None
    ttft_p95: float | None


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
        self._points: dict[int, dict[str, Point]] = {}

    @property
    def ticks(self) -> list[int]:
        """The ticks that there are points for, oldest first."""
        return sorted(self._points)

    def points(self, model: str) -> list[Point | None]:
        """A model's points, one for each of `ticks`; None where it was not there yet."""
        return [self._points[tick].get(model) for tick in self.ticks]

    def refresh(self, models: Iterable[str], seconds: float) -> None:
        """Make the points that are missing. `seconds` is the time between two ticks."""
        newest = max(self._points, default=0)
        samples = self._shared.remembered(newest - WINDOW - 1)
        names = list(models)
        for number, new in enumerate(samples):
            old = next(one for one in samples if one.tick >= new.tick - WINDOW)
            if new.tick > newest and number:
                self._points[new.tick] = self._make(names, old, new, seconds)
        if self._points:
            last = max(self._points)
            self._points = {tick: one for tick, one in self._points.items() if tick > last - POINTS}

    def _make(
        self, models: list[str], old: Sample, new: Sample, seconds: float
    ) -> dict[str, Point]:
        passed = (new.tick - old.tick) * seconds
        changes = {name: self._index.model(name).change(old, new, passed) for name in models}
        nothing = Change(passed, 0, 0, 0, 0, 0, 0, _NO_FIRST_BYTES)
        changes[""] = reduce(Change.add, changes.values(), nothing)
        return {name: _point(one) for name, one in changes.items()}


def quantile(counts: tuple[float, ...], share: float) -> float | None:
    """A quantile of what was counted by BUCKETS, as Prometheus' histogram_quantile has it."""
    rank = share * sum(counts)
    if not rank:
        return None
    below = 0.0
    lower = 0.0
    for bound, count in zip(BUCKETS, counts, strict=False):
        if below + count >= rank and count:
            return lower + (bound - lower) * (rank - below) / count
        below += count
        lower = bound
    return lower


def _point(change: Change) -> Point:
    return Point(
        change.in_flight,
        change.requests * 60 / change.seconds,
        change.errors * 60 / change.seconds,
        change.turned_away * 60 / change.seconds,
        change.input_tokens / change.seconds,
        change.output_tokens / change.seconds,
        quantile(change.first_bytes, 0.5),
        quantile(change.first_bytes, 0.95),
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
    before = old.totals[slot : slot + width] or _NO_FIRST_BYTES
    return tuple(one - two for one, two in zip(now, before, strict=True))
