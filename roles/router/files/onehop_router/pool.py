# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pool of one upstream address: idle connections, new ones, and what is under way there."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from time import monotonic

from .upstream import UpstreamConnection
from .urls import Address

# uvicorn and cpp-httplib close after 5 s; a connection is dropped well before they do it.
IDLE_SECONDS = 3.0
CONNECT_SECONDS = 5.0
MAX_IDLE = 1024


class Upstream:
    """All connections to one address by one kind of TLS, and how many requests are under way.

    `outstanding` counts the requests of all models that live at this address.
    """

    def __init__(
        self, address: Address, tls: Callable[[], ssl.SSLContext], server_name: str | None = None
    ) -> None:
        self.address = address
        self.name = str(address)
        self.outstanding = 0
        self.retired = False
        self._tls = tls
        self._server_name = server_name
        self._idle: list[UpstreamConnection] = []
        self._all: set[UpstreamConnection] = set()
        self._connects: set[asyncio.Task[None]] = set()

    @property
    def heard(self) -> int:
        """A number that changes whenever something is heard from there."""
        return sum(one.reads for one in self._all)

    def take(self) -> UpstreamConnection | None:
        """The idle connection that was used last, or None."""
        oldest = monotonic() - IDLE_SECONDS
        while self._idle:
            connection = self._idle.pop()
            if connection.transport.is_closing():
                continue
            if connection.idle_since >= oldest:
                return connection
            connection.abort()
        return None

    def connect(self, then: Callable[[UpstreamConnection | None, str], None]) -> None:
        """Open a connection and call `then` with it, or with None and the reason."""
        task = asyncio.get_running_loop().create_task(self._connect(then))
        self._connects.add(task)
        task.add_done_callback(self._connects.discard)

    def give_back(self, connection: UpstreamConnection, reusable: bool = True) -> None:
        """A connection serves nobody any more: keep it for the next request, or close it."""
        if not reusable or self.retired or len(self._idle) >= MAX_IDLE:
            connection.abort()
            return
        connection.idle_since = monotonic()
        # An idle connection has to be read, or its end would go unnoticed.
        connection.pause(False)
        self._idle.append(connection)

    def remember(self, connection: UpstreamConnection) -> None:
        """A connection has been made."""
        self._all.add(connection)

    def forget(self, connection: UpstreamConnection) -> None:
        """A connection is gone."""
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def sweep(self, now: float) -> None:
        """Close what has been idle for too long. `now` is the loop's time in seconds."""
        while self._idle and now - self._idle[0].idle_since > IDLE_SECONDS:
            self._idle.pop(0).abort()

    def retire(self) -> None:
        """No route leads here any more: keep nothing idle."""
        self.retired = True
        for connection in self._idle:
            connection.abort()
        self._idle.clear()

    def abort_all(self) -> None:
        """Close every connection and stop connecting."""
        for task in self._connects:
            task.cancel()
        for connection in list(self._all):
            connection.abort()

    async def _connect(self, then: Callable[[UpstreamConnection | None, str], None]) -> None:
        connection = None
        reason = ""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                connection = await self._open()
        except TimeoutError:
            reason = f"no connection within {CONNECT_SECONDS:g} s"
        except Exception as error:
            # Whatever it is, a name that cannot be encoded included, somebody waits for `then`.
            reason = str(error) or type(error).__name__
        if connection is not None and connection.transport.is_closing():
            connection, reason = None, "it closed the connection at once"
        then(connection, reason)

    async def _open(self) -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        scheme, host, port = self.address
        if scheme == "unix":
            dummy, made = await loop.create_unix_connection(lambda: UpstreamConnection(self), host)
        else:
            tls = self._tls() if scheme == "https" else None
            dummy, made = await loop.create_connection(
                lambda: UpstreamConnection(self),
                host,
                port,
                ssl=tls,
                server_hostname=(self._server_name or host) if tls else None,
            )
        return made
