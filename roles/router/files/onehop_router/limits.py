# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What requests may take together: slots, bytes held in memory, and places in the queue."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Protocol

from .config import Config
from .errors import Refusal


class Gate:
    """How many requests of one kind are under way, and how many may be; 0 is no limit."""

    __slots__ = ("active", "maximum", "what")

    def __init__(self, what: str) -> None:
        self.what = what
        self.active = 0
        self.maximum = 0

    @property
    def full(self) -> bool:
        """Whether no other request may pass."""
        return 0 < self.maximum <= self.active


Gates = tuple[Gate, ...]


class Waiter(Protocol):
    """A request that has to wait for room."""

    def admitted(self) -> None:
        """There is room now, and it has been taken."""

    def refused(self, refusal: Refusal) -> None:
        """It waited for too long."""


class Limits:
    """Counters over all requests. They outlive a reload; the maxima follow the configuration."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.held_bytes = 0
        self.max_held_bytes = 0
        self._now = now
        self._total = Gate("The router")
        self._models: dict[str, Gate] = {}
        self._clients: dict[str, Gate] = {}
        # Those who wait, longest first, with what they wait for and until when.
        self._waiting: dict[Waiter, tuple[Gates, float]] = {}
        self._max_waiting = 0
        self._wait_seconds = 0.0

    def configure(self, config: Config) -> None:
        """Take the maxima of a configuration."""
        self.max_held_bytes = config.max_buffered_bytes
        self._max_waiting = config.max_queued_requests
        self._wait_seconds = config.queue_seconds
        self._total.maximum = config.max_concurrent_requests
        for gates in (self._models, self._clients):
            for gate in gates.values():
                gate.maximum = 0
        for name, model in config.models.items():
            self._gate(self._models, name, "The model").maximum = model.max_concurrent_requests
        for name, client in config.client_keys.items():
            self._gate(self._clients, name, "Your key").maximum = client.max_concurrent_requests
        self._models = _used(self._models, config.models)
        self._clients = _used(self._clients, config.client_keys)
        self._admit()

    def gates(self, client: str, model: str | None) -> Gates:
        """What a request has to pass. `model` is None while it is not known."""
        gates = [self._total]
        if client in self._clients:
            gates.append(self._clients[client])
        if model is not None and model in self._models:
            gates.append(self._models[model])
        return tuple(gates)

    def check(self, gates: Gates) -> None:
        """Raise Refusal (429) if a request could neither pass now nor wait."""
        if len(self._waiting) >= self._max_waiting:
            for gate in gates:
                if gate.full:
                    raise _busy(gate, queued=self._max_waiting > 0)

    def enter(self, gates: Gates, waiter: Waiter) -> bool:
        """Take a slot at each gate; False where the request waits and `waiter` will hear.

        Raises Refusal (429) where there is no place in the queue either.
        """
        if not any(gate.full for gate in gates):
            _take(gates)
            return True
        self.check(gates)
        self._waiting[waiter] = (gates, self._now() + self._wait_seconds)
        return False

    def leave(self, gates: Gates) -> None:
        """Give the slots back."""
        for gate in gates:
            gate.active -= 1
        if self._waiting:
            self._admit()

    def give_up(self, waiter: Waiter) -> None:
        """A request does not wait any more; nothing happens where it did not."""
        self._waiting.pop(waiter, None)

    def sweep(self, now: float) -> None:
        """Refuse those who have waited for too long. `now` is the loop's time in seconds."""
        # Admission may skip some, but their time runs out in the order in which they came.
        overdue = [one for one, (dummy, end) in self._waiting.items() if now >= end]
        for waiter in overdue:
            if waiter in self._waiting:
                gates, dummy_end = self._waiting.pop(waiter)
                waiter.refused(_busy(next(gate for gate in gates if gate.full), queued=False))

    @property
    def active(self) -> int:
        """Requests under way."""
        return self._total.active

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._waiting)

    def check_room(self, size: int) -> None:
        """Raise Refusal (429) if a body of `size` bytes could not be held right now."""
        if self.max_held_bytes and self.held_bytes + size > self.max_held_bytes:
            raise Refusal(
                "buffer_limit", "The request bodies under way fill the router's memory limit."
            )

    def hold(self, size: int) -> None:
        """Count `size` more bytes as held. Raises Refusal (429) when that is too many."""
        self.check_room(size)
        self.held_bytes += size

    def release(self, size: int) -> None:
        """Bytes counted by `hold` are gone."""
        self.held_bytes -= size

    def _admit(self) -> None:
        """Let in who can be, in the order of arrival: one full model does not hold the others."""
        for waiter, (gates, dummy) in list(self._waiting.items()):
            if waiter in self._waiting and not any(gate.full for gate in gates):
                del self._waiting[waiter]
                _take(gates)
                waiter.admitted()

    def _gate(self, gates: dict[str, Gate], name: str, what: str) -> Gate:
        return gates.setdefault(name, Gate(what))


def _used(gates: dict[str, Gate], wanted: Container[str]) -> dict[str, Gate]:
    return {name: gate for name, gate in gates.items() if name in wanted or gate.active}


def _take(gates: Gates) -> None:
    for gate in gates:
        gate.active += 1


def _busy(gate: Gate, *, queued: bool) -> Refusal:
    busy = f"{gate.what} is busy with {gate.active} requests, as many as may be at once"
    if queued:
        return Refusal("queue_full", f"{busy}, and the queue is full.")
    return Refusal("concurrency_limit", f"{busy}.")
