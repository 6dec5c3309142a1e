# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that systemd knows: from start to end, with reloads and a successor in between."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from . import tls
from .config import Config
from .config_reader import load
from .config_values import ConfigError
from .listeners import StartError, check_exposure, listening, listens, tcp_hosts
from .succession import Control, Reply, Request, control_path, generation, predecessor
from .systemd import Notifier, watchdog_interval

log = logging.getLogger("onehop_router")

# Between two looks at whether the listeners still listen.
LISTENER_SECONDS = 1.0
# Beyond the time to drain, after which a process that was succeeded and hangs is ended.
_GRACE_SECONDS = 60


class Serving(Protocol):
    """What serves: this process itself, or its children."""

    async def start(self) -> None:
        """Take connections. Raises ConfigError or StartError."""

    async def load(self, config: Config) -> None:
        """Go on with another configuration. Raises ConfigError; then nothing has changed."""

    async def drain(self, force: asyncio.Event, *, patient: bool) -> int:
        """Take no more connections and finish, up to the limit or `force`.

        `patient` is for when somebody else accepts already. Returns how many requests were cut.
        """

    def reloaded(self, problems: Sequence[str]) -> None:
        """Count a reload; without problems it went well."""

    def answers(self) -> bool:
        """Whether all that serves is alive."""


class MainProcess:
    """Reads the configuration, hears signals and `--reload`, and tells systemd."""

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        """Raises ConfigError, ActivationError or StartError."""
        self._path = path
        self._environ = dict(environ)
        self._generation = generation(environ)
        self._notifier = Notifier(environ)
        self._predecessor = predecessor(environ)
        self.watchdog = watchdog_interval(environ, os.getpid())
        self._stop = asyncio.Event()
        self._force = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._succeeded = False
        config = load(path, self._environ)
        self.sockets = listening(config, environ)
        self._check(config)
        self.config = config

    async def run(self, serving: Serving) -> None:
        """Serve until a signal or a successor ends it. Raises ConfigError or StartError."""
        self._handle_signals(serving)
        await serving.start()
        if self._predecessor is None:
            self._notifier.ready(_status(self.config))
        else:
            self._notifier.take_over(_status(self.config), self._environ.get("WATCHDOG_USEC"))
        control = self._open_control(serving)
        if self._predecessor is not None:
            self._predecessor.relieve()
        watchdog = asyncio.create_task(self._ping(serving))
        failed = await self._stopped_or_failed()
        if control is not None:
            control.close()
        if self._succeeded:
            # The signs of life are the successor's now: without them, an alarm ends a hang.
            watchdog.cancel()
            signal.alarm(int(self.config.drain_seconds) + _GRACE_SECONDS)
        else:
            self._notifier.stopping(f"draining, up to {self.config.drain_seconds:g} s")
        for sock in self.sockets:
            sock.close()
        await serving.drain(self._force, patient=self._succeeded)
        watchdog.cancel()
        log.info("stopped")
        if failed:
            raise StartError("a listening socket failed: it was shut down from outside")

    async def _stopped_or_failed(self) -> bool:
        """Wait for the end; whether it is that a listener has failed.

        libuv does not tell: it tries to accept for ever, and nobody is let in.
        """
        while not self._stop.is_set():
            if not all(map(listens, self.sockets)):
                return True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), LISTENER_SECONDS)
        return False

    # -- configuration

    def _read(self, environ: Mapping[str, str]) -> Config:
        config = load(self._path, environ)
        self._check(config)
        return config

    def _check(self, config: Config) -> None:
        """What the file alone cannot tell. Raises ConfigError."""
        check_exposure(config, tcp_hosts(self.sockets))
        tls.check(config)
        for warning in config.warnings():
            log.warning("config: %s", warning)

    async def _reload(
        self, serving: Serving, credentials: str | None, *, may_be_succeeded: bool
    ) -> Reply:
        async with self._reloading:
            self._notifier.reloading()
            try:
                reply = await self._take(serving, credentials, may_be_succeeded=may_be_succeeded)
            except ConfigError as error:
                reply = Reply(problems=tuple(error.problems))
            except Exception:
                # systemd waits for the end of a reload, whatever became of it.
                log.exception("reload failed: internal error")
                reply = Reply(problems=("internal error",))
            if not reply.succeed:
                serving.reloaded(reply.problems)
            failed = "reload failed, old configuration: " if reply.problems else ""
            self._notifier.ready(failed + _status(self.config))
            return reply

    async def _take(
        self, serving: Serving, credentials: str | None, *, may_be_succeeded: bool
    ) -> Reply:
        environ = dict(self._environ)
        if credentials is not None:
            environ["CREDENTIALS_DIRECTORY"] = credentials
        old, config = self.config, self._read(environ)
        if old.processes != config.processes:
            if may_be_succeeded:
                return self._hand_over()
            log.warning("reload: processes is only read by systemctl reload and at a start")
        if (old.host, old.port) != (config.host, config.port):
            log.warning("reload: host and port are only read at a start; the listeners stay")
        await serving.load(config)
        self.config, self._environ = config, environ
        log.info("reloaded: %d model(s)", len(config.models))
        return Reply(status=_status(config))

    # -- what is asked of it

    def _handle_signals(self, serving: Serving) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._hang_up, serving)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, number)

    def _end(self, number: int) -> None:
        if self._succeeded and number == signal.SIGTERM:
            # Meant for the successor: systemd signals all processes of a unit. We are going.
            return
        if self._stop.is_set():
            # Asked twice: whoever asks does not want to wait.
            self._force.set()
        self._stop.set()

    def _hang_up(self, serving: Serving) -> None:
        if not self._stop.is_set():
            self._hanging_up = asyncio.create_task(self._reload_and_log(serving))

    async def _reload_and_log(self, serving: Serving) -> None:
        reply = await self._reload(serving, None, may_be_succeeded=False)
        for problem in reply.problems:
            log.error("reload: %s", problem)
        if reply.problems:
            log.error("reload failed: the old configuration stays in force")

    def _open_control(self, serving: Serving) -> Control | None:
        path = control_path(self._environ)
        if path is None:
            return None

        async def asked(request: Request) -> Reply:
            if self._stop.is_set():
                return Reply(problems=("the router is stopping",))
            if request.generation != self._generation:
                return self._hand_over()
            return await self._reload(serving, request.credentials, may_be_succeeded=True)

        return Control(path, self.sockets, asked, self._leave)

    def _hand_over(self) -> Reply:
        return Reply(succeed=True, watchdog=self._environ.get("WATCHDOG_USEC", ""))

    def _leave(self) -> None:
        self._succeeded = True
        self._stop.set()

    async def _ping(self, serving: Serving) -> None:
        while self.watchdog is not None:
            if serving.answers():
                self._notifier.watchdog()
            await asyncio.sleep(self.watchdog)


def _status(config: Config) -> str:
    """For `systemctl status`; a deployment reads which file is in force from it."""
    return f"serving {len(config.models)} model(s), config {config.fingerprint}"
