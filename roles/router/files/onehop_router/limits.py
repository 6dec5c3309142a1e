# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What requests may take together: slots, bytes held in memory, and places in the queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container
from typing import Protocol

from .config import Config
from .errors import Refusal
from .shared import Shared


class Gate:
    """How many requests of one kind are under way, and how many may be; 0 is no limit.

    `active` counts those of this process. Where there are several, `shared` has the count of all of
    them in `slot`; two that let one in at the same moment may pass the limit by one each.
    """

    __slots__ = ("active", "maximum", "shared", "slot", "what")

    def __init__(self, what: str, shared: Shared | None, name: str) -> None:
        self.what = what
        self.active = 0
        self.maximum = 0
        self.shared = shared
        self.slot = shared.slot(f"gate {name}", gauge=True) if shared is not None else 0

    @property
    def full(self) -> bool:
        """Whether no other request may pass."""
        if not self.maximum:
            return False
        active = self.active if self.shared is None else self.shared.total(self.slot)
        return active >= self.maximum


Gates = tuple[Gate, ...]


class Waiter(Protocol):
    """A request that has to wait for room."""

    def admitted(self) -> None:
        """There is room now, and it has been taken."""

    def refused(self, refusal: Refusal) -> None:
        """It waited for too long."""


class Limits:
    """Counters over all requests. They outlive a reload; the maxima follow the configuration.

    `shared` is given where other processes count too. Bytes and places in the queue are each
    process's own.
    """

    def __init__(self, now: Callable[[], float], shared: Shared | None = None) -> None:
        self._shared = shared
        self.held_bytes = 0
        self.max_held_bytes = 0
        self._now = now
        self._total = Gate("The router", shared, "total")
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
        gates: Gates = (self._total,)
        gate = self._clients.get(client)
        if gate is not None:
            gates += (gate,)
        gate = self._models.get(model) if model is not None else None
        if gate is not None:
            gates += (gate,)
        return gates

    def check(self, gates: Gates) -> None:
        """Raise Refusal (429) if a request could neither pass now nor wait."""
        if len(self._waiting) >= self._max_waiting:
            gate = _full(gates)
            if gate is not None:
                raise _busy(gate, queued=self._max_waiting > 0)

    def enter(self, gates: Gates, waiter: Waiter) -> bool:
        """Take a slot at each gate; False where the request waits and `waiter` will hear.

        Raises Refusal (429) where there is no place in the queue either.
        """
        if _full(gates) is None:
            _count(gates, 1)
            return True
        self.check(gates)
        self._waiting[waiter] = (gates, self._now() + self._wait_seconds)
        return False

    def leave(self, gates: Gates) -> None:
        """Give the slots back."""
        _count(gates, -1)
        if self._waiting:
            self._admit()

    def give_up(self, waiter: Waiter) -> None:
        """A request does not wait any more; nothing happens where it did not."""
        self._waiting.pop(waiter, None)

    def sweep(self, now: float) -> None:
        """Refuse those who have waited for too long. `now` is the loop's time in seconds."""
        if self._shared is not None and self._waiting:
            # Another process may have made room.
            self._admit()
        overdue = [one for one, (dummy, end) in self._waiting.items() if now >= end]
        for waiter in overdue:
            if waiter in self._waiting:
                gates, dummy_end = self._waiting.pop(waiter)
                waiter.refused(_busy(_full(gates) or gates[0], queued=False))

    @property
    def active(self) -> int:
        """Requests under way."""
        return self._total.active

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._waiting)

    def queued(self) -> dict[str, int]:
        """Requests in the queue by their models; those that nobody waits for are left out."""
        if not self._waiting:
            return {}
        names = {id(gate): name for name, gate in self._models.items()}
        waiting = (names.get(id(gates[-1])) for gates, dummy in self._waiting.values())
        return dict(Counter(name for name in waiting if name is not None))

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
            if waiter in self._waiting and _full(gates) is None:
                del self._waiting[waiter]
                _count(gates, 1)
                waiter.admitted()

    def _gate(self, gates: dict[str, Gate], name: str, what: str) -> Gate:
        if name not in gates:
            gates[name] = Gate(what, self._shared, f"{what} {name}")
        return gates[name]


def _used(gates: dict[str, Gate], wanted: Container[str]) -> dict[str, Gate]:
    return {name: gate for name, gate in gates.items() if name in wanted or gate.active}


def _full(gates: Gates) -> Gate | None:
    """The first gate that no other request may pass, or None."""
    for gate in gates:
        if gate.maximum and gate.full:
            return gate
    return None


def _count(gates: Gates, delta: int) -> None:
    for gate in gates:
        gate.active += delta
        if gate.shared is not None:
            gate.shared.add(gate.slot, delta)


def _busy(gate: Gate, *, queued: bool) -> Refusal:
    busy = f"{gate.what} is busy with {gate.maximum} requests, as many as may be at once"
    if queued:
        return Refusal("queue_full", f"{busy}, and the queue is full.")
    return Refusal("concurrency_limit", f"{busy}.")
