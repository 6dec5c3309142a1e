# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Serves from start to end: listeners, reload on SIGHUP, drain on SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import signal
import socket
from collections.abc import Mapping
from pathlib import Path

from .config import Config
from .config_reader import load
from .config_values import ConfigError
from .router import Router
from .systemd import ActivationError, Notifier, activated_sockets, watchdog_interval

log = logging.getLogger("onehop_router")

BACKLOG = 4096
# Between two looks at whether the listeners still listen.
LISTENER_SECONDS = 1.0
_OPEN = "without client_keys everyone who can connect may use every model"
_MEND = "add client_keys, listen on loopback, or set allow_anonymous to true"


class StartError(Exception):
    """The process cannot start, or not go on; the message is for the operator."""


def is_loopback(host: str) -> bool:
    """Whether a configured host is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def exposure(config: Config, hosts: list[str]) -> str | None:
    """The error of listening beyond loopback for everyone, or None. `hosts` are TCP addresses."""
    if config.client_keys or config.allow_anonymous:
        return None
    open_hosts = [host for host in hosts if not is_loopback(host)]
    if not open_hosts:
        return None
    return f"host: {', '.join(map(repr, open_hosts))}: {_OPEN}; {_MEND}"


def tcp_hosts(sockets: list[socket.socket]) -> list[str]:
    """The addresses that TCP listeners are really bound to."""
    return [str(sock.getsockname()[0]) for sock in sockets if sock.family != socket.AF_UNIX]


class Service:
    """The process around a Router."""

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        self._path = path
        self._environ = environ
        self._notifier = Notifier(environ)
        self._hosts: list[str] = []
        self._stop = asyncio.Event()
        self._force = asyncio.Event()

    async def run(self) -> None:
        """Serve until a signal ends it. Raises ConfigError, ActivationError or StartError."""
        config = self._read()
        sockets = activated_sockets(self._environ, os.getpid()) or self._bind(config)
        self._hosts = tcp_hosts(sockets)
        self._check_exposure(config)
        loop = asyncio.get_running_loop()
        router = Router(config)
        self._handle_signals(loop, router)
        servers = [await self._serve(loop, router, sock) for sock in sockets]
        self._notifier.ready(_status(config))
        watchdog = self._start_watchdog(loop)
        failed = await self._stopped_or_failed(sockets)
        for server in servers:
            server.close()
        await self._drain(router)
        if watchdog is not None:
            watchdog.cancel()
        if failed:
            raise StartError("a listening socket failed: it was shut down from outside")

    async def _stopped_or_failed(self, sockets: list[socket.socket]) -> bool:
        """Wait for the end; whether it is that a listener has failed.

        libuv does not tell: it tries to accept for ever, and nobody is let in.
        """
        while not self._stop.is_set():
            if not all(
                sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) for sock in sockets
            ):
                return True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), LISTENER_SECONDS)
        return False

    def _read(self) -> Config:
        config = load(self._path, self._environ)
        for warning in config.warnings():
            log.warning("config: %s", warning)
        return config

    def _bind(self, config: Config) -> list[socket.socket]:
        try:
            # "" is every address, IPv4 and IPv6 by one socket where the kernel has both.
            dual = not config.host and socket.has_dualstack_ipv6()
            host = config.host or ("::" if dual else "0.0.0.0")
            # A name may have several addresses; one listener takes the first.
            family, dummy_type, dummy_proto, dummy_name, address = socket.getaddrinfo(
                host, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            return [
                socket.create_server(
                    address[:2], family=family, backlog=BACKLOG, dualstack_ipv6=dual
                )
            ]
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise StartError(f"cannot listen on {config.host}:{config.port}: {reason}") from None

    def _check_exposure(self, config: Config) -> None:
        problem = exposure(config, self._hosts)
        if problem:
            raise ConfigError([problem])

    async def _serve(
        self, loop: asyncio.AbstractEventLoop, router: Router, sock: socket.socket
    ) -> asyncio.Server:
        name = _name(sock)
        sock.setblocking(False)
        server: asyncio.Server
        if sock.family == socket.AF_UNIX:
            # From Python 3.13 on, closing would delete the socket's file, which is systemd's.
            server = await loop.create_unix_server(  # type: ignore[call-arg]
                router.connection, sock=sock, backlog=BACKLOG, cleanup_socket=False
            )
        else:
            # Accepted connections inherit these: a peer that vanished is noticed in two minutes.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)
            server = await loop.create_server(router.connection, sock=sock, backlog=BACKLOG)
        log.info("listening on %s with %d model(s)", name, len(router.table.routes))
        return server

    def _handle_signals(self, loop: asyncio.AbstractEventLoop, router: Router) -> None:
        loop.add_signal_handler(signal.SIGHUP, self._reload, router)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)

    def _end(self) -> None:
        if self._stop.is_set():
            # Asked twice: whoever asks does not want to wait.
            self._force.set()
        self._stop.set()

    def _reload(self, router: Router) -> None:
        if self._stop.is_set():
            return
        self._notifier.reloading()
        try:
            config = self._read()
            self._check_exposure(config)
            old = router.table.config
            router.load(config)
        except ConfigError as error:
            for problem in error.problems:
                log.error("reload: %s", problem)
            log.error("reload failed: the old configuration stays in force")
            self._notifier.ready(
                f"reload failed, old configuration: {_status(router.table.config)}"
            )
            return
        except Exception:
            # systemd waits for the end of a reload, whatever became of it.
            log.exception("reload failed: internal error; the old configuration stays in force")
            self._notifier.ready("reload failed, old configuration")
            return
        if (old.host, old.port) != (config.host, config.port):
            log.warning("reload: host and port are only read at a start; the listeners stay")
        log.info("reloaded: %d model(s)", len(config.models))
        self._notifier.ready(_status(config))

    async def _drain(self, router: Router) -> None:
        seconds = router.table.config.drain_seconds
        log.info("stopping: up to %g s for %d connection(s)", seconds, len(router.clients))
        self._notifier.stopping(f"draining, up to {seconds:g} s")
        force = asyncio.create_task(self._force.wait())
        drain = asyncio.create_task(router.drain(seconds))
        await asyncio.wait({force, drain}, return_when=asyncio.FIRST_COMPLETED)
        if drain.done():
            aborted = drain.result()
        else:
            drain.cancel()
            aborted = sum(client.busy for client in router.clients)
            router.stop()
        force.cancel()
        if aborted:
            log.warning("aborted %d request(s)", aborted)
        log.info("stopped")

    def _start_watchdog(self, loop: asyncio.AbstractEventLoop) -> asyncio.Task[None] | None:
        interval = watchdog_interval(self._environ, os.getpid())
        if interval is None:
            return None

        async def ping(seconds: float) -> None:
            while True:
                self._notifier.watchdog()
                await asyncio.sleep(seconds)

        return loop.create_task(ping(interval))


def _status(config: Config) -> str:
    """For `systemctl status`; a deployment reads which file is in force from it."""
    return f"serving {len(config.models)} model(s), config {config.fingerprint}"


def _name(sock: socket.socket) -> str:
    name = sock.getsockname()
    if isinstance(name, tuple):
        host = f"[{name[0]}]" if ":" in name[0] else name[0]
        return f"{host}:{name[1]}"
    return f"unix:{name.decode() if isinstance(name, bytes) else name}"


__all__ = ["ActivationError", "ConfigError", "Service", "StartError", "exposure"]
