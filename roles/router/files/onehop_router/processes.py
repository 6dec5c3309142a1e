# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several processes on the same listeners: a parent that reads no request, and its children.

The parent's loop stands still while it forks, and it has no threads. Children ignore signals,
which systemd sends to all processes of a unit: what they do, the parent tells them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import selectors
import signal
import socket
import struct
import sys
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, Literal, NoReturn

import uvloop

from .config import Config
from .config_values import ConfigError
from .lifecycle import MainProcess
from .listeners import StartError
from .metrics import Metrics
from .server import Server
from .shared import Shared

log = logging.getLogger("onehop_router")

# Until a child that gives no sign of life is ended, where systemd sets no limit.
_SILENCE_SECONDS = 20.0
# How long a child may take for what does not depend on clients.
_ANSWER_SECONDS = 20.0
_SEND_SECONDS = 5
_FIRST_WAIT = 0.2
_LONGEST_WAIT = 30.0
# A child that lived as long as this has not failed at its start.
_GOOD_LIFE = 60.0
# What is left to the requests of a child whose parent has died: systemd waits to restart it.
_ORPHAN_SECONDS = 5.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


def serve(main: MainProcess) -> None:
    """Be the parent, to the end. Raises ConfigError or StartError."""
    # Not uvloop, and nothing in the kernel that a child would share.
    loop = asyncio.SelectorEventLoop(selectors.PollSelector())
    asyncio.set_event_loop(loop)
    try:
        processes = Processes(main.config, main.sockets, silence(main.watchdog))
        work = loop.create_task(main.run(processes))
        while (column := loop.run_until_complete(processes.wanted(work))) is not None:
            processes.fork(column)
        work.result()
    finally:
        loop.close()


def silence(watchdog: float | None) -> float:
    """Seconds after which a silent child is ended: before systemd ends us all."""
    return _SILENCE_SECONDS if watchdog is None else watchdog * 4 / 3


class _Process:
    """A child as its parent sees it."""

    def __init__(self, column: int, pid: int, connection: Connection[Any, Any], now: float) -> None:
        self.column = column
        self.pid = pid
        self.connection = connection
        self.born = now
        self.heard = now
        self.ready = False
        self.killed = False
        # The answer to `load`, while it is waited for.
        self.answer: asyncio.Future[list[str]] | None = None


class Processes:
    """The children. `silent` is how many seconds one may give no sign of life."""

    def __init__(self, config: Config, sockets: list[socket.socket], silent: float) -> None:
        self._config = config
        self._sockets = sockets
        self._silent = silent
        # A column each, and one for what the parent itself counts.
        self._shared = Shared(config.processes + 1)
        self._shared.take(config.processes)
        self._metrics = Metrics(self._shared)
        self._loop = asyncio.get_event_loop()
        self._wanted: asyncio.Queue[int] = asyncio.Queue()
        self._running: dict[int, _Process] = {}
        self._waits: dict[int, float] = {}
        self._changed = asyncio.Event()
        self._draining = False
        self._failed = False

    # -- what the main process asks for (lifecycle.Serving)

    async def start(self) -> None:
        """Fork all of them, and return when all serve. Raises StartError."""
        self._loop.add_signal_handler(signal.SIGCHLD, self._reap)
        for column in range(self._config.processes):
            self._wanted.put_nowait(column)
        await self._until(lambda: self._failed or self._serving() == self._config.processes)
        if self._failed:
            raise StartError("a process of several did not start")
        self._watch = self._loop.create_task(self._end_silent())
        log.info("%d processes serve", self._config.processes)

    async def load(self, config: Config) -> None:
        """Have all children take a configuration. Raises ConfigError."""
        old, self._config = self._config, config
        asked = list(self._running.values())
        for process in asked:
            process.answer = self._loop.create_future()
            self._tell(process, "load", config)
        problems = []
        for process in asked:
            assert process.answer is not None
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    problems += await process.answer
            except TimeoutError:
                problems.append(f"process {process.column} does not answer")
            process.answer = None
        if problems:
            self._config = old
            raise ConfigError(list(dict.fromkeys(problems)))

    async def drain(self, force: asyncio.Event, *, patient: bool) -> int:
        """Have all children finish; they say themselves what they cut."""
        self._draining = True
        self._watch.cancel()
        for process in self._running.values():
            self._tell(process, "drain", patient)
        forced = asyncio.create_task(force.wait())
        gone = asyncio.create_task(self._until(lambda: not self._running))
        limit = self._config.drain_seconds + _SEND_SECONDS
        await asyncio.wait({forced, gone}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        forced.cancel()
        for process in self._running.values():
            self._kill(process)
        await gone
        return 0

    def reloaded(self, problems: Sequence[str]) -> None:
        """Count a reload."""
        self._metrics.reloaded(problems)

    def answers(self) -> bool:
        """Whether each child that runs has given a sign of life, and there is one."""
        return bool(self._running) and not any(map(self._is_silent, self._running.values()))

    # -- what `serve` asks for

    async def wanted(self, work: asyncio.Task[None]) -> int | None:
        """The next column that lacks a process; None once `work` is done."""
        number = asyncio.create_task(self._wanted.get())
        await asyncio.wait({number, work}, return_when=asyncio.FIRST_COMPLETED)
        if number.done():
            return number.result()
        number.cancel()
        return None

    def fork(self, column: int) -> None:
        """Start a process for a column."""
        if self._draining:
            return
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _SEND_SECONDS, 0))
        connection: Connection[Any, Any] = Connection(ours.detach())
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        pid = os.fork()
        if pid == 0:
            connection.close()
            for process in self._running.values():
                process.connection.close()
            make = partial(self._server, column)
            _live(column, make, Connection(theirs.detach()), self._silent)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        theirs.close()
        self._running[column] = _Process(column, pid, connection, self._loop.time())
        self._loop.add_reader(connection.fileno(), self._hear, self._running[column])

    def _server(self, column: int) -> Server:
        """What a new child serves with."""
        self._shared.take(column)
        return Server(self._config, self._sockets, self._shared)

    # -- one child

    def _tell(self, process: _Process, *message: object) -> None:
        try:
            process.connection.send(message)
        except OSError as error:
            # Dead, or as good as that; the one is heard of, the other noticed.
            log.warning("process %d cannot be told: %s", process.column, error)

    def _hear(self, process: _Process) -> None:
        try:
            word, what = process.connection.recv()
        except (EOFError, OSError):
            self._loop.remove_reader(process.connection.fileno())
            return
        process.heard = self._loop.time()
        if word == "ready":
            process.ready = True
            self._changed.set()
        elif word == "loaded" and process.answer is not None and not process.answer.done():
            process.answer.set_result(what)

    def _reap(self) -> None:
        for process in list(self._running.values()):
            pid, status = os.waitpid(process.pid, os.WNOHANG)
            if pid:
                self._bury(process, os.waitstatus_to_exitcode(status))

    def _bury(self, process: _Process, status: int) -> None:
        column = process.column
        del self._running[column]
        self._shared.reap(column)
        self._loop.remove_reader(process.connection.fileno())
        process.connection.close()
        if process.answer is not None and not process.answer.done():
            # Its successor begins with the new configuration.
            process.answer.set_result([])
        self._changed.set()
        if self._draining:
            return
        if not process.ready and column not in self._waits:
            self._failed = True
        lived = self._loop.time() - process.born
        wait = _FIRST_WAIT if lived > _GOOD_LIFE else self._waits.get(column, _FIRST_WAIT)
        self._waits[column] = min(2 * wait, _LONGEST_WAIT)
        log.error("process %d ended with %d; another one in %g s", column, status, wait)
        self._loop.call_later(wait, self._wanted.put_nowait, column)

    def _kill(self, process: _Process) -> None:
        # The first is for its traceback, the second for certain.
        os.kill(process.pid, signal.SIGKILL if process.killed else signal.SIGABRT)
        process.killed = True

    # -- all of them

    def _serving(self) -> int:
        return sum(process.ready for process in self._running.values())

    def _is_silent(self, process: _Process) -> bool:
        return self._loop.time() - process.heard > self._silent

    async def _end_silent(self) -> None:
        while True:
            await asyncio.sleep(self._silent / 4)
            for process in self._running.values():
                if self._is_silent(process):
                    log.error("process %d gives no sign of life", process.column)
                    self._kill(process)

    async def _until(self, condition: Callable[[], Any]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()


def _live(
    column: int,
    make: Callable[[], Server],
    connection: Connection[Any, Any],
    silent: float,
) -> NoReturn:
    """Be a child. The parent's frames are below, so this never returns."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL if number == signal.SIGCHLD else signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        for handler in logging.getLogger().handlers:
            handler.setFormatter(logging.Formatter(f"process {column}: %(message)s"))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_Child(make(), connection, silent).run())
        status = 0
    except BaseException:
        log.exception("internal error")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


class _Child:
    """A Server that does as its parent says."""

    def __init__(self, server: Server, connection: Connection[Any, Any], silent: float) -> None:
        self._server = server
        self._connection = connection
        self._silent = silent
        self._force = asyncio.Event()
        self._end: asyncio.Future[bool]

    async def run(self) -> None:
        """Serve until the parent says drain, or is gone."""
        loop = asyncio.get_running_loop()
        self._end = loop.create_future()
        await self._server.start()
        loop.add_reader(self._connection.fileno(), self._hear)
        self._connection.send(("ready", None))
        signs = loop.create_task(self._give_signs())
        patient = await self._end
        await self._server.drain(self._force, patient=patient)
        signs.cancel()

    def _hear(self) -> None:
        loop = asyncio.get_running_loop()
        word: Literal["load", "drain"]
        try:
            word, what = self._connection.recv()
        except (EOFError, OSError):
            loop.remove_reader(self._connection.fileno())
            loop.call_later(_ORPHAN_SECONDS, self._force.set)
            word, what = "drain", False
        if word == "load":
            self._loading = loop.create_task(self._load(what))
        elif not self._end.done():
            self._end.set_result(what)

    async def _load(self, config: Config) -> None:
        problems: list[str] = []
        try:
            await self._server.load(config)
        except ConfigError as error:
            problems = error.problems
        self._tell("loaded", problems)

    async def _give_signs(self) -> None:
        while True:
            await asyncio.sleep(self._silent / 5)
            self._tell("alive", None)

    def _tell(self, *message: object) -> None:
        try:
            self._connection.send(message)
        except OSError:
            # The parent is gone, which is heard in `_hear`.
            return
