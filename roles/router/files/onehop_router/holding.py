# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The waiting room: requests of models none of whose replicas is up."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .routing import Route

# Between two looks at who waits, and at the replicas they wait for.
LOOK_SECONDS = 0.25


class Waiter(Protocol):
    """A request that waits."""

    def resume(self, route: Route) -> None:
        """A replica of this route is up."""

    def give_up(self) -> None:
        """It has waited for long enough, or its model is gone."""


class WaitingRoom:
    """Holds a bounded number of requests, first come, first served for each model.

    It outlives tables: who waits goes on with the replicas that the model has by then.
    """

    def __init__(self) -> None:
        self._routes: Mapping[str, Route] = {}
        self._max = 0
        self._queues: dict[str, dict[Waiter, float]] = {}
        self._timer: asyncio.Handle | None = None

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return sum(map(len, self._queues.values()))

    def held(self) -> dict[str, int]:
        """How many wait for each model that somebody waits for."""
        return {model: len(queue) for model, queue in self._queues.items()}

    def follow(self, routes: Mapping[str, Route], most: int) -> None:
        """Take up a new table's routes. `most` requests may wait; 0 is no limit."""
        self._routes = routes
        self._max = most
        self.look_soon()

    def enter(self, waiter: Waiter, model: str, until: float) -> bool:
        """Wait for a replica of the model, until that time of the loop. False where it is full."""
        if self._max and self.waiting >= self._max:
            return False
        self._queues.setdefault(model, {})[waiter] = until
        if self._timer is None:
            self.look_soon()
        return True

    def leave(self, waiter: Waiter) -> None:
        """The request waits no more; it need not have waited at all."""
        for model, queue in list(self._queues.items()):
            if queue.pop(waiter, None) is not None and not queue:
                del self._queues[model]

    def look_soon(self) -> None:
        """Something has changed: look at once, but not from in here."""
        if self._queues:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(LOOK_SECONDS, self._look)
        now = loop.time()
        for model, queue in list(self._queues.items()):
            route = self._routes.get(model)
            up = route is not None and route.up
            for waiter, until in list(queue.items()):
                if waiter not in queue:
                    # One that went on before it has made it leave.
                    continue
                if route is not None and up:
                    self.leave(waiter)
                    waiter.resume(route)
                elif route is None or now >= until:
                    self.leave(waiter)
                    waiter.give_up()
            if route is not None and not up:
                for one in route.targets:
                    one.health.hurry()
        if not self._queues and self._timer is not None:
            self._timer.cancel()
            self._timer = None
