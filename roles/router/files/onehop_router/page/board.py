# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gathers what the status page shows. Requests are not touched: it reads what is counted anyway.

Twice a second a process notes what only it knows (`sweep`), every five seconds whichever comes
first samples the shared numbers for all, and the rest is done when somebody looks.
"""

from __future__ import annotations

import os
import socket
import time
from collections import Counter
from typing import NamedTuple

import msgspec

from .. import __version__
from ..health import Health
from ..holding import WaitingRoom
from ..limits import Limits
from ..page_access import DATA_PATH, readers
from ..past import SAMPLES
from ..reloads import last_reload
from ..routing import Table, Target
from ..shared import Shared
from ..succession import PREDECESSOR
from . import facts
from .markup import page
from .series import Index, Point, Series

Headers = tuple[tuple[str, str], ...]

# What a process that is new makes of the past, twice a second; a look makes the rest.
_POINTS_AT_A_TIME = 3

_WORDS = {"up": "ready", "loading": "starting", "down": "down"}


class Pace(NamedTuple):
    """Seconds between two samples, between two looks of a page that is open, and for which what was
    shown once is shown to others."""

    sample: float = 5.0
    refresh: float = 5.0
    cached: float = 1.0


class Board:
    """The state of a router, as any of its processes can show it."""

    def __init__(self, shared: Shared, limits: Limits, room: WaitingRoom) -> None:
        self.pace = Pace()
        self.draining = False
        self._shared = shared
        self._limits = limits
        self._room = room
        self._index = Index(shared)
        self._series = Series(shared, self._index)
        self._table: Table | None = None
        self._wanted = False
        # Replicas that a reload has taken away, by their models, while they still answer.
        self._leaving: list[tuple[str, Target]] = []
        self._gauges: dict[str, int] = {}
        self._shown: dict[str, tuple[float, bytes, Headers]] = {}

    def follow(self, table: Table) -> None:
        """Show another table."""
        old, self._table = self._table, table
        self._wanted = bool(readers(table.config))
        self._shown = {}
        if not self._wanted:
            self._leaving = []
        elif old is not None:
            self._leaving += [
                (route.name, target)
                for route in old.routes.values()
                for target in route.targets
                if target.upstream.retired
            ]

    def sweep(self) -> None:
        """Note what the other processes cannot know, and sample what is due."""
        if not self._wanted:
            return
        own = self._own()
        for name in {*self._gauges, *own}:
            self._put(name, own[name])
        self._leaving = [one for one in self._leaving if self._shared.total(self._slot(one[1])) > 0]
        self._shared.remember(int(time.monotonic() / self.pace.sample) + 1)
        self._follow_series(_POINTS_AT_A_TIME)

    def show(self, path: str) -> tuple[bytes, Headers]:
        """The page or its data: a body, and its header fields."""
        now = time.monotonic()
        known = f"{path} {self.draining}"
        shown = self._shown.get(known)
        if shown is None or now >= shown[0] + self.pace.cached:
            self.sweep()
            status = self.status()
            if path == DATA_PATH:
                body = msgspec.json.encode(status) + b"\n"
                headers: Headers = _headers("application/json")
            else:
                body, policy = page(status, self.pace.refresh)
                headers = (
                    *_headers("text/html; charset=utf-8"),
                    ("Content-Security-Policy", policy),
                )
            shown = self._shown[known] = (now, body, headers)
        return shown[1:]

    def status(self) -> facts.Status:
        """Everything as data."""
        table = self._table
        assert table is not None, "follow comes first"
        totals = self._shared.totals()
        names = self._follow_series(SAMPLES)
        models = [self._model(name, table, totals) for name in names]
        now = time.time()
        return facts.Status(
            format=1,
            time=now,
            state=facts.router_state((one.state for one in models), draining=self.draining),
            router=facts.Process(
                host=socket.gethostname(),
                version=__version__,
                processes=table.config.processes,
                began="succession" if PREDECESSOR in os.environ else "start",
                started=self._shared.created,
                uptime_seconds=now - self._shared.created,
                draining=self.draining,
                connections=self._counted(("connections",), totals),
            ),
            configuration=self._configuration(table, totals),
            times=self._times(now),
            total=facts.Total(
                in_flight=sum(one.in_flight for one in models),
                queued=self._counted(("queued_requests",), totals),
                held=self._counted(("held_requests",), totals),
                recent=self._recent(""),
                history=self._history(""),
            ),
            models=models,
        )

    def _follow_series(self, most: int) -> list[str]:
        """Make up to so many points that are missing; returns the names of all models."""
        assert self._table is not None
        self._index.refresh()
        routes = self._table.routes
        gone = [name for name, dummy in self._leaving if name not in routes]
        names = [*routes, *dict.fromkeys(gone)]
        self._series.refresh(names, self.pace.sample, most)
        return names

    def _configuration(self, table: Table, totals: list[float]) -> facts.Configuration:
        last = last_reload(self._shared)
        good, bad = (
            self._counted(("config_reloads", result), totals) for result in ("success", "failure")
        )
        reload = None
        if last is not None:
            result = "failure" if last.problems else "success"
            reload = facts.Reload(last.time, result, list(last.problems))
        return facts.Configuration(
            fingerprint=table.config.fingerprint,
            loaded=last.loaded if last is not None else self._shared.created,
            reloads=good,
            failed_reloads=bad,
            last_reload=reload,
        )

    def _model(self, name: str, table: Table, totals: list[float]) -> facts.Model:
        route = table.routes.get(name)
        config = table.config.models.get(name)
        targets = route.targets if route is not None else ()
        replicas = [self._replica(name, one, totals, _WORDS[one.health.state]) for one in targets]
        replicas += [
            self._replica(name, one, totals, "draining")
            for model, one in self._leaving
            if model == name
        ]
        counted = self._index.model(name)
        return facts.Model(
            name=name,
            aliases=list(config.aliases) if config is not None else [],
            state=facts.model_state(one.state for one in replicas),
            fallbacks=list(config.fallbacks) if config is not None else [],
            in_flight=round(totals[counted.in_flight]) if counted.in_flight else 0,
            limit=config.max_concurrent_requests if config is not None else 0,
            queued=round(self._get(f"queued {name}", totals)),
            held=round(self._get(f"held {name}", totals)),
            requests=counted.requests(totals),
            errors=_sum(totals, counted.errors),
            turned_away=_sum(totals, counted.turned_away),
            input_tokens=_sum(totals, [counted.input_tokens]),
            output_tokens=_sum(totals, [counted.output_tokens]),
            recent=self._recent(name),
            history=self._history(name),
            replicas=replicas,
        )

    def _replica(self, model: str, one: Target, totals: list[float], state: str) -> facts.Replica:
        health: Health = one.health
        return facts.Replica(
            address=one.upstream.name,
            state=state,
            reason=health.reason if state == "down" else "",
            checked=one.health_path is not None,
            in_flight=round(self._get(_outstanding(one), totals)),
            weight=one.weight,
            failures=_sum(totals, self._index.failures(model, one.upstream.name)),
        )

    def _times(self, now: float) -> list[float]:
        tick = time.monotonic() / self.pace.sample
        return [round(now - (tick - one + 1) * self.pace.sample, 1) for one in self._series.ticks]

    def _recent(self, model: str) -> facts.Recent:
        points = self._series.points(model)
        last = points[-1] if points else Point()
        return facts.Recent(
            last.requests_per_minute or 0.0,
            last.errors_per_minute or 0.0,
            last.turned_away_per_minute or 0.0,
            last.input_tokens_per_second or 0.0,
            last.output_tokens_per_second or 0.0,
            last.ttft_p50,
            last.ttft_p95,
        )

    def _history(self, model: str) -> facts.History:
        points = self._series.points(model)
        columns = dict(zip(Point._fields, map(list, zip(*points, strict=True)), strict=False))

        def values(name: str) -> list[float | None]:
            return columns.get(name, [])

        return facts.History(
            in_flight=values("in_flight"),
            requests_per_minute=values("requests_per_minute"),
            errors_per_minute=values("errors_per_minute"),
            output_tokens_per_second=values("output_tokens_per_second"),
            ttft_p50_seconds=values("ttft_p50"),
        )

    # -- numbers that only the page is for, shared by names that the metrics do not show

    def _own(self) -> Counter[str]:
        assert self._table is not None
        own: Counter[str] = Counter()
        routes = self._table.routes.values()
        targets = [target for route in routes for target in route.targets]
        targets += [target for dummy, target in self._leaving]
        for upstream in {target.upstream for target in targets}:
            own[f"outstanding {upstream.name}"] += upstream.outstanding
        own.update({f"queued {name}": count for name, count in self._limits.queued().items()})
        own.update({f"held {name}": count for name, count in self._room.held().items()})
        return own

    def _put(self, name: str, value: int) -> None:
        if name not in self._gauges:
            self._gauges[name] = self._shared.slot(name, gauge=True)
        self._shared.mine[self._gauges[name]] = float(value)

    def _slot(self, target: Target) -> int:
        return self._gauges.get(_outstanding(target), 0)

    def _get(self, name: str, totals: list[float]) -> float:
        slot = self._gauges.get(name)
        if slot is None:
            # Another process may have named it.
            slot = self._shared.find(name)
        return totals[slot] if 0 < slot < len(totals) else 0.0

    def _counted(self, key: tuple[str, ...], totals: list[float]) -> int:
        slot = self._shared.find(msgspec.json.encode(key).decode())
        return round(totals[slot]) if 0 < slot < len(totals) else 0


def _outstanding(target: Target) -> str:
    return f"outstanding {target.upstream.name}"


def _sum(totals: list[float], slots: list[int]) -> int:
    return round(sum(totals[slot] for slot in slots if 0 < slot < len(totals)))


def _headers(kind: str) -> Headers:
    return (
        ("Content-Type", kind),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
    )
