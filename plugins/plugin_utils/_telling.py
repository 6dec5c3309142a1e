# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator sees while a host's units start or its images come: one line, when it says news.

Time comes in with each call; nothing here has a clock.

This plugin util is private to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _progress
from ansible_collections.onehop.llm.plugins.plugin_utils._progress import Stage, span

QUIET = 120
"""Seconds without anything new before that is said."""
AGAIN = 60
"""Seconds after which a line is shown again though it is the same."""
NAMED = 3
"""Units that a line names."""


@dataclass
class _Seen:
    """What was last seen of a unit or an image."""

    sign: Any = None
    """What has to change for it to count as moving."""
    moved: float = 0.0
    phase: str = ""
    since: float = 0.0
    share: float = 0.0
    """How much of the phase was done when it was first seen."""
    left: int | None = None


@dataclass
class Teller:
    """Remembers what it told of one host."""

    seen: dict[str, _Seen] = field(default_factory=dict)
    told: str = ""
    when: float = 0.0

    def units(self, now: float, reports: Mapping[str, Mapping[str, Any]]) -> str | None:
        """Of units that are brought up, by name; ``None`` where there is no news."""
        pending = [name for name, report in reports.items() if report["outcome"] == "pending"]
        if not pending:
            return None
        ready = sum(report["outcome"] == "ready" for report in reports.values())
        busy = [name for name in pending if reports[name].get("seconds") is not None]
        parts = [f"{_short(name)}: {self._unit(now, name, reports[name])}" for name in busy[:NAMED]]
        if len(busy) > NAMED:
            parts.append(f"{len(busy) - NAMED} more are starting")
        if len(pending) > len(busy):
            waiting = len(pending) - len(busy)
            one = _short(next(name for name in pending if name not in busy))
            parts.append(f"{one} waits" if waiting == 1 else f"{waiting} wait for their turn")
        return self._news(now, f"{ready} of {len(reports)} ready; " + "; ".join(parts))

    def images(self, now: float, reports: Mapping[str, Mapping[str, Any]]) -> str | None:
        """Of images that are fetched, by reference; ``None`` where there is no news."""
        pending = [name for name, report in reports.items() if report["state"] == "fetching"]
        if not pending:
            return None
        parts = [f"{name}: {self._image(now, name, reports[name])}" for name in pending[:NAMED]]
        if len(pending) > NAMED:
            parts.append(f"{len(pending) - NAMED} more images")
        return self._news(now, "; ".join(parts))

    def _unit(self, now: float, name: str, report: Mapping[str, Any]) -> str:
        stage = _progress.look(report["journal"]) or Stage(_progress.STARTING)
        written = int(report.get("written") or 0)
        said = stage.phrase()
        if stage.phase == _progress.READY:
            said = "says that it is ready, and is asked"
        elif stage.phase == _progress.DOWNLOADING and stage.total is None:
            said += f", {written / 1e9:.1f} GB written" if written > 1e8 else ""
        sign = (written // 10**6, tuple(report["journal"][-3:]))
        return said + self._pace(now, name, stage, sign) + f" ({span(report['seconds'])})"

    def _image(self, now: float, name: str, report: Mapping[str, Any]) -> str:
        stage = _progress.look(report["said"]) or Stage(_progress.PULLING)
        fetched, total = int(report.get("fetched") or 0), int(report.get("total") or 0)
        got = fetched or int(report.get("bytes") or 0)
        if total and fetched:
            stage = Stage(_progress.PULLING, done=min(got, total), total=total, pieces=True)
            said = f"{stage.phase} {100 * got // total} %" if got < total else "unpacking"
        else:
            said = _progress.PULLING + (f", {got / 1e9:.1f} GB so far" if got else "")
        sign = (got // 10**6, tuple(report["said"][-1:]))
        return said + self._pace(now, name, stage, sign) + f" ({span(now)})"

    def _pace(self, now: float, name: str, stage: Stage, sign: Any) -> str:
        """How long the rest takes, as far as that can be told, or for how long nothing moved."""
        one = self.seen.setdefault(name, _Seen(moved=now))
        if sign != one.sign:
            one.sign, one.moved = sign, now
        share = stage.share or 0.0
        if stage.phase != one.phase or share < one.share:
            one.phase, one.since, one.share = stage.phase, now, share
        if now - one.moved >= QUIET:
            return f", nothing new for {span(now - one.moved)}"
        took, done = now - one.since, share - one.share
        if stage.left is None and took >= 20 and done > 0.02 and share < 1:
            return f", about {span(took * (1 - share) / done)} left"
        return ""

    def _news(self, now: float, line: str) -> str | None:
        if line == self.told and now - self.when < AGAIN:
            return None
        self.told, self.when = line, now
        return line


def _short(unit: str) -> str:
    return unit.removesuffix(".service")
