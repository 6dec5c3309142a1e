# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sockets that clients connect to: handed in or bound, and whom they let in."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Mapping

from .config import Config
from .config_values import ConfigError
from .systemd import activated_sockets

BACKLOG = 4096
_OPEN = "without client_keys everyone who can connect may use every model"
_MEND = "add client_keys, listen on loopback, or set allow_anonymous to true"


class StartError(Exception):
    """The process cannot start, or not go on; the message is for the operator."""


def listening(config: Config, environ: Mapping[str, str]) -> list[socket.socket]:
    """The sockets that were handed in, or else one as configured.

    Raises ActivationError or StartError.
    """
    return activated_sockets(environ, os.getpid()) or [_bound(config)]


def _bound(config: Config) -> socket.socket:
    try:
        # "" is every address, IPv4 and IPv6 by one socket where the kernel has both.
        dual = not config.host and socket.has_dualstack_ipv6()
        host = config.host or ("::" if dual else "0.0.0.0")
        # A name may have several addresses; one listener takes the first.
        family, dummy_type, dummy_proto, dummy_name, address = socket.getaddrinfo(
            host, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(
            address[:2], family=family, backlog=BACKLOG, dualstack_ipv6=dual
        )
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StartError(f"cannot listen on {config.host}:{config.port}: {reason}") from None


def listens(sock: socket.socket) -> bool:
    """Whether a socket still does: `shutdown` ends that, for all who share it."""
    return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def is_loopback(host: str) -> bool:
    """Whether a configured host is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def check_exposure(config: Config, hosts: list[str]) -> None:
    """Raises ConfigError where the TCP addresses `hosts` would let everyone in."""
    if config.client_keys or config.allow_anonymous:
        return
    open_hosts = [host for host in hosts if not is_loopback(host)]
    if open_hosts:
        raise ConfigError([f"host: {', '.join(map(repr, open_hosts))}: {_OPEN}; {_MEND}"])


def is_tcp(sock: socket.socket) -> bool:
    """Whether a listener is none on a unix socket."""
    return sock.family != socket.AF_UNIX


def tcp_hosts(sockets: list[socket.socket]) -> list[str]:
    """The addresses that TCP listeners are really bound to."""
    return [str(sock.getsockname()[0]) for sock in sockets if is_tcp(sock)]


def prepare(sock: socket.socket) -> None:
    """Set what accepted connections inherit: a peer that vanished is noticed in two minutes."""
    sock.setblocking(False)
    if is_tcp(sock):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)


def name_of(sock: socket.socket) -> str:
    """A listener's address for the log."""
    name = sock.getsockname()
    if isinstance(name, tuple):
        host = f"[{name[0]}]" if ":" in name[0] else name[0]
        return f"{host}:{name[1]}"
    return f"unix:{name.decode() if isinstance(name, bytes) else name}"
