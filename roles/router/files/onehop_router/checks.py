# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks after replicas: asks their health paths, and what they say of their models."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
from collections.abc import Callable
from typing import NamedTuple

from .cards import read_facts
from .config import UpstreamConfig
from .course import LOADING
from .headers import AnswerHead, Fields
from .health import Health
from .routing import Table, Target
from .upstream import UpstreamConnection
from .urls import UpstreamUrl

log = logging.getLogger("onehop_router")

# How long an answer to a check may take.
CHECK_SECONDS = 5.0
# After one failed check the next comes sooner, so that two of them are no long wait.
RECHECK_SECONDS = 1.0
# Between two looks at what an engine says of its model.
FACTS_SECONDS = 60.0
MAX_FACTS_BYTES = 262144


class UnansweredError(Exception):
    """No answer came. `silent` where the question was taken and nothing at all came back."""

    def __init__(self, reason: str, *, silent: bool = False) -> None:
        super().__init__(reason)
        self.silent = silent


class Reply(NamedTuple):
    """An answer: its status, and its body where that was asked for.

    `code` is by which code a router refused the question, if it was one.
    """

    status: int
    body: bytes
    code: bytes | None = None


class Question:
    """One GET of the router's own, on a connection of its own: a Receiver that keeps the answer."""

    to_head = False

    def __init__(self, target: Target, path: str, limit: int) -> None:
        """`limit` is the most bytes of body that are read; with 0 the status is enough."""
        self.asked = False
        self.reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._limit = limit
        self._connection: UpstreamConnection | None = None
        self._status = 0
        self._code: bytes | None = None
        self._body = b""
        place, mark, query = path.partition("?")
        host = target.host or target.url.authority.encode()
        lines = [
            b"GET %b HTTP/1.1\r\n" % target.url.join(place, query if mark else None).encode(),
            b"Host: %b\r\nConnection: close\r\n" % host,
        ]
        if b"user-agent" not in target.headers.names:
            lines.append(b"User-Agent: onehop-router\r\n")
        self._request = b"".join([*lines, target.headers.rendered, b"\r\n"])

    def connected(self, connection: UpstreamConnection | None, reason: str) -> None:
        """What the pool calls when there is a connection, or none."""
        if self.reply.done():
            if connection is not None:
                connection.abort()
        elif connection is None:
            self.reply.set_exception(UnansweredError(f"cannot connect: {reason}"))
        else:
            self._connection = connection
            self.asked = True
            connection.attach(self)
            connection.write([self._request])

    def end(self) -> None:
        """Whatever has come by now, that was it."""
        self.reply.cancel()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()

    # -- upstream.Receiver

    def informational(self, status: int, reason: bytes, fields: Fields) -> None:
        """Nothing is made of a 1xx."""

    def answer(self, head: AnswerHead) -> None:
        """The head came."""
        self._status = head.status
        self._code = head.error_code()
        if not self._limit:
            self._done()
            self.end()

    def pieces(self, pieces: list[bytes]) -> None:
        """Body came."""
        self._body += b"".join(pieces)
        if len(self._body) > self._limit:
            self._fail("its answer is too large")
            self.end()

    def tunnelled(self, data: bytes) -> None:
        """Never: a tunnel is not asked for."""

    def flush(self) -> None:
        """There is nothing to flush."""

    def complete(self, trailers: Fields) -> None:
        """The answer is whole."""
        self._connection = None
        self._done()

    def failed(self, code: str, reason: str) -> None:
        """It never came."""
        self._connection = None
        self._fail(reason)

    def writable(self, now: bool) -> None:
        """A question is too short to wait for that."""

    def _done(self) -> None:
        if not self.reply.done():
            self.reply.set_result(Reply(self._status, self._body, self._code))

    def _fail(self, reason: str) -> None:
        if not self.reply.done():
            self.reply.set_exception(UnansweredError(reason))


async def ask(target: Target, path: str, limit: int = 0) -> Reply:
    """GET a path of a replica. Raises UnansweredError."""
    question = Question(target, path, limit)
    target.upstream.connect(question.connected)
    before = target.upstream.heard
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await question.reply
    except TimeoutError:
        if question.asked and target.upstream.heard != before:
            # It speaks to others: its server is busy, and its engine is well.
            return Reply(200, b"") if not limit else Reply(0, b"")
        reason = f"no answer within {CHECK_SECONDS:g} s"
        raise UnansweredError(reason, silent=question.asked) from None
    finally:
        question.end()


class Watcher:
    """Looks after one replica: by its health path from time to time, or only when it is hurried.

    Without a health path, a connection that can be made is the sign of life.
    """

    def __init__(self, health: Health) -> None:
        self.health = health
        self._target: Target | None = None
        self._model = ""
        self._seconds = 0.0
        self._facts_due = 0.0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        health.hurry = self._hurry

    def follow(self, target: Target, seconds: float) -> None:
        """Watch the replica as a new table has it, every so many seconds; 0 is only when hurried."""
        self._target = target
        self._model = target.model
        self._seconds = seconds if target.health_path is not None else 0.0
        if self._seconds:
            self._hurry()

    def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()

    def _hurry(self) -> None:
        self._wake.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause()):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._look()
            except Exception:
                # Without its watcher a replica would stay down for ever.
                log.exception("%s: internal error", self.health.name)

    def _pause(self) -> float | None:
        """The time until the next look; None until somebody asks for one."""
        health = self.health
        seconds = self._seconds
        if not health.up:
            left = health.pause_left(asyncio.get_running_loop().time())
            seconds = min(seconds or math.inf, max(left, RECHECK_SECONDS))
        elif health.doubted:
            seconds = min(seconds or RECHECK_SECONDS, RECHECK_SECONDS)
        # Jitter, so that replicas and routers are not asked in step.
        return seconds * random.uniform(1.0, 1.1) if seconds else None

    async def _look(self) -> None:
        target, health = self._target, self.health
        assert target is not None
        now = asyncio.get_running_loop().time
        if target.health_path is None:
            if await _knock(target):
                health.passed(now())
            elif not health.up and not health.pause_left(now()):
                health.still_down(now())
            return
        was_up = health.up
        try:
            reply = await ask(target, target.health_path)
        except UnansweredError as error:
            health.missed(str(error), silent=error.silent)
            return
        if reply.status != 200:
            said = f"{target.health_path} answers {reply.status}"
            # An engine says so while it loads, and a router what it knows.
            loading = reply.status == 503 and reply.code in (None, LOADING)
            health.missed(said, loading=loading)
            return
        health.passed(now())
        if not was_up or now() >= self._facts_due:
            self._facts_due = now() + FACTS_SECONDS
            await self._read_facts(target)

    async def _read_facts(self, target: Target) -> None:
        try:
            reply = await ask(target, "/v1/models", MAX_FACTS_BYTES)
        except UnansweredError:
            return
        if reply.status == 200:
            self.health.facts = read_facts(reply.body, self._model)


async def _knock(target: Target) -> bool:
    """Whether a connection can be made. The next request gets it."""
    made: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def then(connection: UpstreamConnection | None, dummy_reason: str) -> None:
        if connection is not None:
            connection.hand_over()
        if not made.done():
            made.set_result(connection is not None)

    target.upstream.connect(then)
    return await made


class Watch:
    """All watchers, by what they watch, so that what is known of a replica outlives tables."""

    def __init__(self, rose: Callable[[], None]) -> None:
        """`rose` is called whenever some replica is up again."""
        self._rose = rose
        self._watchers: dict[tuple[str, UpstreamUrl, str | None], Watcher] = {}

    def health_of(self, model: str, upstream: UpstreamConfig) -> Health:
        """What is known of a replica of that model."""
        key = (model, upstream.url, upstream.health)
        watcher = self._watchers.get(key)
        if watcher is None:
            health = Health(f"{upstream.url.address} of model {model!r}")
            health.rose = self._rose
            watcher = self._watchers[key] = Watcher(health)
        return watcher.health

    def follow(self, table: Table) -> None:
        """Watch what a new table has, and nothing else."""
        wanted = set()
        for name, route in table.routes.items():
            for target in route.targets:
                key = (name, target.url, target.health_path)
                if key not in wanted:
                    wanted.add(key)
                    self._watchers[key].follow(target, table.config.health_seconds)
        for key in self._watchers.keys() - wanted:
            self._watchers.pop(key).stop()

    def stop(self) -> None:
        """Look no more."""
        for watcher in self._watchers.values():
            watcher.stop()
