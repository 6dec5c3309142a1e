# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all connections share: the table, the limits, the upstreams, the clock's sweep."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from .auth import Identity
from .client import ClientConnection
from .config import Config
from .framing import RequestHead
from .limits import Limits
from .paths import RoutedPath
from .pool import Upstream
from .routing import Route, build_table
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
    # Between two requests.
    idle: float = 120.0
    # Reading on after a refusal.
    linger: float = 2.0
    # Sending the rest of an answer after which the connection closes.
    close: float = 30.0
    # Between two looks at all of these.
    sweep: float = 0.5


class Router:
    """One router process. Needs a running loop."""

    def __init__(self, config: Config, timeouts: Timeouts | None = None) -> None:
        self.timeouts = timeouts or Timeouts()
        self.clients: set[ClientConnection] = set()
        self.draining = False
        # Where a request goes that names no model, if its path says it, like a response's id.
        self.route_of_path: Callable[[RoutedPath, Identity], Route | None] = lambda path, who: None
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self.limits = Limits(self.now)
        self.verifier = Verifier()
        self._upstreams: dict[Address, Upstream] = {}
        self._tls: ssl.SSLContext | None
        self._id_prefix = os.urandom(8).hex()
        self._id_count = 0
        self._sweeper: asyncio.TimerHandle | None = None
        self.load(config)
        self._sweep()

    def load(self, config: Config) -> None:
        """Swap the routing table. Requests under way keep the old one."""
        wanted: dict[Address, Upstream] = {}

        def upstream_at(address: Address) -> Upstream:
            found = wanted.get(address) or self._upstreams.get(address)
            wanted[address] = found or Upstream(address, self._tls_context)
            return wanted[address]

        table = build_table(config, upstream_at)
        for address, upstream in self._upstreams.items():
            if address not in wanted:
                upstream.retire()
        self._upstreams = wanted
        # Certificates may have been renewed as well.
        self._tls = None
        self.table = table
        self.limits.configure(config)

    def connection(self) -> ClientConnection:
        """The protocol of a connection just accepted."""
        return ClientConnection(self)

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

    async def drain(self, seconds: float) -> int:
        """Let requests under way finish, then abort the rest; returns how many were aborted."""
        self.draining = True
        end = self.now() + seconds
        for client in list(self.clients):
            client.drain()
        while self.clients and self.now() < end:
            await asyncio.sleep(min(0.05, seconds))
        aborted = sum(client.busy for client in self.clients)
        self.stop()
        return aborted

    def stop(self) -> None:
        """Close everything at once."""
        self.draining = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for client in list(self.clients):
            client.abort()
        for upstream in self._upstreams.values():
            upstream.abort_all()
        self.verifier.stop()

    def _sweep(self) -> None:
        self._sweeper = self._loop.call_later(self.timeouts.sweep, self._sweep)
        now = self.now()
        for upstream in self._upstreams.values():
            upstream.sweep(now)
        for client in list(self.clients):
            client.sweep(now)
        self.limits.sweep(now)

    def _tls_context(self) -> ssl.SSLContext:
        # Made once and only when wanted: it reads the system's certificates.
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls
