# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all connections share: the table, the limits, the upstreams, the clock's sweep."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from .checks import Watch
from .client import ClientConnection
from .config import Config, UpstreamTlsConfig
from .framing import RequestHead, forget_heads
from .holding import WaitingRoom
from .limits import Limits
from .metrics import Key
from .page.board import Board
from .pool import Upstream
from .recorder import Recorder
from .responses import ResponseMemory
from .routing import build_table
from .shared import Shared
from .tls import system_context, upstream_contexts
from .urls import Address
from .verification import Verifier

_SANE_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")


@dataclass(frozen=True)
class Timeouts:
    """Times in seconds, each about one client connection."""

    # From the first byte of a head to its last; for the first head, from the connect on.
    head: float = 10.0
    # Between two pieces of a body, while it is the client that is waited for.
    body: float = 60.0
    # From the connect to the first byte, while we are draining.
    first: float = 2.0
    # Until a last request, from a client that is idle while another generation takes over.
    last: float = 10.0
    # Between two requests.
    idle: float = 120.0
    # Reading on after a refusal.
    linger: float = 2.0
    # Sending the rest of an answer after which the connection closes.
    close: float = 30.0
    # Between two looks at all of these.
    sweep: float = 0.5


class Router:
    """One router process. Needs a running loop; `shared` counts for all processes of a router."""

    def __init__(
        self, config: Config, timeouts: Timeouts | None = None, shared: Shared | None = None
    ) -> None:
        self.timeouts = timeouts or Timeouts()
        self.recorder = Recorder(shared)
        self.clients: set[ClientConnection] = set()
        # Accepted, and not heard of yet: the loop, or TLS, is still at it. Some never come.
        self.arriving: weakref.WeakSet[ClientConnection] = weakref.WeakSet()
        self.draining = False
        # Seconds that an idle client is given while we are draining.
        self.patience = 0.0
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self.limits = Limits(self.now, shared)
        self.verifier = Verifier()
        self.room = WaitingRoom()
        self.responses = ResponseMemory()
        self.board = Board(self.recorder.metrics.shared, self.limits, self.room)
        self.watch = Watch(self.room.look_soon)
        self._upstreams: dict[tuple[Address, UpstreamTlsConfig | None], Upstream] = {}
        self._contexts: dict[UpstreamTlsConfig | None, ssl.SSLContext]
        self._id_prefix = os.urandom(8).hex()
        self._id_count = 0
        self._sweeper: asyncio.TimerHandle | None = None
        self.load(config)
        self._sweep()

    def load(self, config: Config) -> None:
        """Swap the routing table. Requests under way keep the old one. Raises ConfigError."""
        # Read anew each time: certificates may have been renewed.
        contexts = upstream_contexts(config)
        wanted: dict[tuple[Address, UpstreamTlsConfig | None], Upstream] = {}

        def upstream_at(address: Address, tls: UpstreamTlsConfig | None) -> Upstream:
            where = address, tls
            found = wanted.get(where) or self._upstreams.get(where)
            name = tls.server_name if tls is not None else None
            wanted[where] = found or Upstream(address, partial(self._tls_context, tls), name)
            return wanted[where]

        table = build_table(config, upstream_at, self.watch.health_of)
        table.room = self.room
        table.responses = self.responses
        for where, upstream in self._upstreams.items():
            if where not in wanted:
                upstream.retire()
        self._upstreams = wanted
        self._contexts = contexts
        table.metrics = self._metrics
        table.status = self._status
        self.table = table
        forget_heads()
        self.recorder.load(config)
        self.watch.follow(table)
        self.room.follow(table.routes, config.max_held_requests)
        self.limits.configure(config)
        self.board.follow(table)

    def connection(self) -> ClientConnection:
        """The protocol of a connection just accepted."""
        client = ClientConnection(self)
        self.arriving.add(client)
        return client

    def new_request_id(self) -> str:
        """An id that no other request has: random for the process, counted within it."""
        self._id_count += 1
        return f"{self._id_prefix}{self._id_count:08x}"

    def request_id(self, head: RequestHead) -> str:
        """The client's own request id if it is sane, else a new one."""
        given = head.first.get(b"x-request-id")
        if given is not None and _SANE_ID.fullmatch(given):
            return given.decode()
        return self.new_request_id()

    async def drain(self, seconds: float, *, patient: bool = False) -> int:
        """Let requests under way finish, then abort the rest; returns how many were aborted.

        With `patient`, clients that have no request under way get a while for a last one, since
        a connection that closes may meet a request on its way here.
        """
        self.draining = self.board.draining = True
        self.patience = self.timeouts.last if patient else 0.0
        end = self.now() + seconds
        for client in list(self.clients):
            client.drain()
        while (self.clients or self.arriving) and self.now() < end:
            await asyncio.sleep(min(0.05, seconds))
        aborted = sum(client.busy for client in self.clients)
        self.stop()
        return aborted

    def stop(self) -> None:
        """Close everything at once."""
        self.draining = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        self.watch.stop()
        for client in list(self.clients):
            client.abort()
        for upstream in self._upstreams.values():
            upstream.abort_all()
        self.verifier.stop()
        self.recorder.close()

    def _sweep(self) -> None:
        self._sweeper = self._loop.call_later(self.timeouts.sweep, self._sweep)
        now = self.now()
        for upstream in self._upstreams.values():
            upstream.sweep(now)
        for client in list(self.clients):
            client.sweep(now)
        self.limits.sweep(now)
        self._sample()
        self.board.sweep()

    def _sample(self) -> None:
        self.recorder.sample(
            (
                (("connections",), len(self.clients)),
                (("buffered_bytes",), self.limits.held_bytes),
                (("queued_requests",), self.limits.waiting),
                (("held_requests",), self.room.waiting),
            )
        )

    def _metrics(self, accept: str) -> tuple[bytes, str]:
        self._sample()
        return self.recorder.metrics.expose(accept, self._states())

    def _status(self, path: str) -> tuple[bytes, tuple[tuple[str, str], ...]]:
        self._sample()
        return self.board.show(path)

    def _states(self) -> Iterator[tuple[Key, float]]:
        """What every process knows as well as the others."""
        yield ("config_info", self.table.config.fingerprint), 1.0
        for route in self.table.routes.values():
            for target in route.targets:
                yield ("upstream_up", route.name, target.upstream.name), float(target.health.up)

    def _tls_context(self, tls: UpstreamTlsConfig | None) -> ssl.SSLContext:
        # Without `tls` made only when wanted: it reads the system's certificates.
        if tls not in self._contexts:
            self._contexts[tls] = system_context()
        return self._contexts[tls]
