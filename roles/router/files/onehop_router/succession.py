# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the running router is asked to reload, and how another generation takes its place.

The running process listens on a unix socket in its runtime directory. `--reload`, which systemd
runs with the unit as it is now, asks there. A process of the same generation reads its
configuration anew. Another one, of other programs or another environment, hands over its listening
sockets: `--reload` starts a successor on them, and once that serves, the old one leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import select
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import msgspec

from . import __version__
from .listeners import StartError

log = logging.getLogger("onehop_router")

# How long the running process may take to answer, and a successor to serve.
PATIENCE = 60.0
PREDECESSOR = "ONEHOP_PREDECESSOR"
_LEAVE = b"leave"
_MAX_BYTES = 65536
_MAX_SOCKETS = 253

# What systemd says to one process alone: it tells nothing of the generation.
_PASSING = frozenset(
    (
        "CREDENTIALS_DIRECTORY", "DEBUG_INVOCATION", "EXIT_CODE", "EXIT_STATUS", "FDSTORE",
        "INVOCATION_ID", "JOURNAL_STREAM", "NOTIFY_SOCKET", "SERVICE_RESULT", PREDECESSOR,
    )
)  # fmt: skip
_PASSING_KINDS = (
    "LISTEN_", "MAINPID", "MANAGERPID", "MEMORY_PRESSURE_", "MONITOR_", "SYSTEMD_", "TRIGGER_",
    "WATCHDOG_",
)  # fmt: skip


class Request(msgspec.Struct, frozen=True):
    """What `--reload` asks: its own generation, and where credentials are now."""

    generation: str
    credentials: str | None = None


class Reply(msgspec.Struct, frozen=True):
    """What became of it. With `succeed` a successor has to be started on the sockets sent along."""

    problems: tuple[str, ...] = ()
    status: str = ""
    succeed: bool = False
    watchdog: str = ""


def generation(environ: Mapping[str, str]) -> str:
    """What a process was started from: its programs and its environment, as a hash."""
    kept = sorted(
        (name, value)
        for name, value in environ.items()
        if name not in _PASSING and not name.startswith(_PASSING_KINDS)
    )
    return hashlib.sha256(repr((sys.executable, __version__, kept)).encode()).hexdigest()


def control_path(environ: Mapping[str, str]) -> Path | None:
    """Where the running process listens; None where nobody has made a place for it."""
    directory = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return Path(directory, "control") if directory else None


class Control:
    """The running process's end. `asked` answers a request; `left` is called when it may leave."""

    def __init__(
        self,
        path: Path,
        sockets: list[socket.socket],
        asked: Callable[[Request], Awaitable[Reply]],
        left: Callable[[], None],
    ) -> None:
        self._sockets = sockets
        self._asked = asked
        self._left = left
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        # In one step, because the predecessor listens there until now.
        new = path.with_name(f"{path.name}.{os.getpid()}")
        new.unlink(missing_ok=True)
        self._listener.bind(str(new))
        new.chmod(0o600)
        self._listener.listen()
        new.rename(path)
        self._task = asyncio.create_task(self._serve())

    def close(self) -> None:
        """Listen no more. What is under way there ends with the loop."""
        self._task.cancel()
        self._listener.close()

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, dummy = await loop.sock_accept(self._listener)
            # One at a time: systemd asks so, too.
            with contextlib.closing(connection):
                try:
                    async with asyncio.timeout(PATIENCE):
                        await self._talk(connection)
                except (OSError, TimeoutError, msgspec.DecodeError) as error:
                    log.warning("reload: %s", error or type(error).__name__)

    async def _talk(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        connection.setblocking(False)
        raw = await loop.sock_recv(connection, _MAX_BYTES)
        if not raw:
            return
        reply = await self._asked(msgspec.json.decode(raw, type=Request))
        sent = [sock.fileno() for sock in self._sockets] if reply.succeed else []
        socket.send_fds(connection, [msgspec.json.encode(reply)], sent)
        if reply.succeed and await loop.sock_recv(connection, _MAX_BYTES) == _LEAVE:
            self._left()


def reload(config: Path, environ: Mapping[str, str], credentials: Path | None) -> str:
    """`--reload`: have the running router take what is there now; returns what it says.

    Raises StartError.
    """
    path = control_path(environ)
    if path is None:
        raise StartError("RUNTIME_DIRECTORY is not set; --reload is for the unit's ExecReload=")
    request = Request(generation(environ), str(credentials) if credentials else None)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.settimeout(PATIENCE)
        try:
            connection.connect(str(path))
            connection.send(msgspec.json.encode(request))
            raw, fds, dummy_flags, dummy = socket.recv_fds(connection, _MAX_BYTES, _MAX_SOCKETS)
            reply = msgspec.json.decode(raw, type=Reply)
        except (OSError, msgspec.DecodeError) as error:
            raise StartError(f"no answer of the running router at {path}: {error}") from None
        if reply.problems:
            raise StartError("\n".join((*reply.problems, "the old configuration stays in force")))
        if not reply.succeed:
            return reply.status
        made = {**environ, "LISTEN_FDS": str(len(fds))}
        for name in ("MAINPID", "MAINPIDFDID", "LISTEN_PIDFDID", "LISTEN_FDNAMES"):
            made.pop(name, None)
        if reply.watchdog:
            made["WATCHDOG_USEC"] = reply.watchdog
        if credentials:
            made["CREDENTIALS_DIRECTORY"] = str(credentials)
        return _start_successor(config, made, [*fds, connection.fileno()])


def _start_successor(config: Path, environ: dict[str, str], fds: list[int]) -> str:
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        # Forked twice, it is systemd's own child, whose end systemd hears of.
        successor = os.fork()
        if successor:
            os.write(tell, b"%d\n" % successor)
            os.close(tell)
            os._exit(0)
        try:
            _become_successor(config, environ, [*fds, tell])
        finally:
            os._exit(1)
    os.close(tell)
    os.waitpid(child, 0)
    heard = b""
    poll = select.poll()
    poll.register(told, select.POLLIN)
    while poll.poll(PATIENCE * 1000):
        more = os.read(told, 64)
        heard += more
        if heard.endswith(b"serving\n"):
            return f"a successor serves, process {int(heard.split()[0])}"
        if not more:
            raise StartError("the successor did not start; the running router serves on")
    os.kill(int(heard.split()[0]), signal.SIGKILL)
    raise StartError(f"no successor within {PATIENCE:g} s; the running router serves on")


def _become_successor(config: Path, environ: dict[str, str], fds: list[int]) -> None:
    """Exec with `fds` from 3 on: the listening sockets, and the two ways back behind them."""
    spare = [os.dup2(fd, 512 + number) for number, fd in enumerate(fds)]
    for number, fd in enumerate(spare):
        os.dup2(fd, 3 + number)
        os.close(fd)
    behind = 3 + len(fds) - 2
    environ["LISTEN_PID"] = str(os.getpid())
    environ[PREDECESSOR] = f"{behind} {behind + 1}"
    isolated = ["-I"] if sys.flags.isolated else []
    words = [sys.executable, *isolated, "-m", "onehop_router", "--config", str(config)]
    os.execve(sys.executable, words, environ)


class Predecessor:
    """The successor's end: whom it takes over from, and who has started it."""

    def __init__(self, numbers: str) -> None:
        connection, tell = map(int, numbers.split())
        for fd in (connection, tell):
            os.set_inheritable(fd, False)
        self._connection = socket.socket(fileno=connection)
        self._tell = tell

    def relieve(self) -> None:
        """We serve now: let the predecessor leave."""
        # Where it has died in the meantime, there is nobody to relieve.
        with self._connection, contextlib.suppress(OSError):
            self._connection.send(_LEAVE)
        os.write(self._tell, b"serving\n")
        os.close(self._tell)


def predecessor(environ: Mapping[str, str]) -> Predecessor | None:
    """Whom this process takes over from, if anybody."""
    numbers = environ.get(PREDECESSOR)
    return Predecessor(numbers) if numbers else None
