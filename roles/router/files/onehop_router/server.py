# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What serves in one process: the router behind its listeners."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Sequence

from .config import Config
from .listeners import BACKLOG, is_tcp, name_of, prepare
from .router import Router
from .shared import Shared
from .tls import listener_context

log = logging.getLogger("onehop_router")

HANDSHAKE_SECONDS = 10.0
# How long a peer may take to say goodbye where we have.
_GOODBYE_SECONDS = 5.0


class Server:
    """A Router and what it is reached by.

    It drains by closing `sockets`, so that new clients are refused, and not left to wait where
    nobody accepts any more; those who have copies, systemd or a successor, go on listening.
    """

    def __init__(
        self, config: Config, sockets: list[socket.socket], shared: Shared | None = None
    ) -> None:
        self._config = config
        self._shared = shared
        self._sockets = sockets
        self._servers: list[asyncio.Server] = []
        self._router: Router | None = None

    async def start(self) -> None:
        """Take connections. Raises ConfigError."""
        for sock in self._sockets:
            prepare(sock)
        self._router = Router(self._config, shared=self._shared)
        self._servers = await self._listen(self._config)
        for sock in self._sockets:
            tls = " with TLS" if self._config.tls is not None and is_tcp(sock) else ""
            models = len(self._config.models)
            log.info("listening on %s%s with %d model(s)", name_of(sock), tls, models)

    async def load(self, config: Config) -> None:
        """Swap the table, and the certificates. Raises ConfigError; then nothing has changed."""
        context = _context(config)
        self._running.load(config)
        if context is not None or self._config.tls is not None:
            old, self._servers = self._servers, await self._listen(config, context)
            for server in old:
                server.close()
        self._config = config

    async def drain(self, force: asyncio.Event, *, patient: bool) -> int:
        """Let requests under way finish, up to the limit or `force`; returns how many were cut.

        `patient` is for when somebody else accepts already: idle clients are not sent away at once.
        """
        for server in self._servers:
            server.close()
        for sock in self._sockets:
            sock.close()
        router = self._running
        log.info(
            "%s: up to %g s for %d connection(s)",
            "handed over" if patient else "stopping",
            self._config.drain_seconds,
            len(router.clients),
        )
        forced = asyncio.create_task(force.wait())
        drain = asyncio.create_task(router.drain(self._config.drain_seconds, patient=patient))
        await asyncio.wait({forced, drain}, return_when=asyncio.FIRST_COMPLETED)
        if drain.done():
            cut = drain.result()
        else:
            drain.cancel()
            cut = sum(client.busy for client in router.clients)
            router.stop()
        forced.cancel()
        if cut:
            log.warning("aborted %d request(s)", cut)
        return cut

    def reloaded(self, problems: Sequence[str]) -> None:
        """Count a reload."""
        self._running.recorder.metrics.reloaded(problems)

    def answers(self) -> bool:
        """Whether it is alive: who can call this has its loop."""
        return True

    @property
    def _running(self) -> Router:
        assert self._router is not None, "start comes first"
        return self._router

    async def _listen(
        self, config: Config, context: ssl.SSLContext | None = None
    ) -> list[asyncio.Server]:
        context = context or _context(config)
        return [
            await self._serve(sock, context if is_tcp(sock) else None) for sock in self._sockets
        ]

    async def _serve(self, sock: socket.socket, context: ssl.SSLContext | None) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        connection = self._running.connection
        # A server closes its socket; the next one, with other certificates, needs it open.
        sock = sock.dup()
        if is_tcp(sock):
            return await loop.create_server(
                connection,
                sock=sock,
                backlog=BACKLOG,
                ssl=context,
                ssl_handshake_timeout=HANDSHAKE_SECONDS if context else None,
                ssl_shutdown_timeout=_GOODBYE_SECONDS if context else None,
            )
        # From Python 3.13 on, closing would delete the socket's file, which is systemd's.
        server: asyncio.Server = await loop.create_unix_server(  # type: ignore[call-arg]
            connection, sock=sock, backlog=BACKLOG, cleanup_socket=False
        )
        return server


def _context(config: Config) -> ssl.SSLContext | None:
    return listener_context(config.tls) if config.tls is not None else None
