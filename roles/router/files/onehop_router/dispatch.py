# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One request's way to a replica: which one, over which connection, and what it takes meanwhile.

A dispatch owns what a request takes: its slot, its held bytes, its place in the waiting room, its
upstream connection. It gives each back exactly once, in `_settle`, whoever goes first.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Protocol

from .admission import Admission
from .balance import session_of
from .course import Course
from .errors import Refusal
from .framing import RequestHead
from .headers import write_request
from .limits import Gates, Limits
from .named_body import NamedBody
from .record import Record
from .routing import NO_HOLD, Route, Table, Target
from .upstream import Receiver, UpstreamConnection

log = logging.getLogger("onehop_router")

# How much of a streamed body is taken in before there is a connection for it.
MAX_WAITING_BYTES = 65536


class Client(Protocol):
    """What an exchange asks of the client's side."""

    peer: str | None
    secure: bool

    def send(self, parts: list[bytes]) -> None:
        """Write bytes of the answer."""

    def refuse(self, refusal: Refusal) -> None:
        """Answer with an error: nothing of an answer has been sent yet."""

    def cut(self, clean: bool) -> None:
        """End the connection so that the client sees a broken answer, not an end.

        `clean` where the answer's framing alone shows it, so that what was sent may arrive.
        """

    def answered(self, keep_alive: bool) -> None:
        """The answer is complete."""

    def hold_upload(self, held: bool) -> None:
        """Stop reading the request's body, or go on."""

    def upgraded(self) -> None:
        """The answer was 101: bytes are tunnelled from now on."""


class Dispatch(Receiver):
    """The client's counterpart, and a Waiter of the limits and the waiting room. Exchange makes it a Receiver."""

    def __init__(
        self,
        client: Client,
        limits: Limits,
        table: Table,
        head: RequestHead,
        admission: Admission,
        record: Record,
    ) -> None:
        self.to_head = head.method == b"HEAD"
        self.record = record
        self.request_id = record.id
        self.over = False
        self._client = client
        self._limits = limits
        # What it has to pass, and whether it has.
        self._gates: Gates = ()
        self._entered = False
        self._table = table
        self._request = head
        self._admission = admission
        self._course: Course | None = None
        # The whole body where it is held, so that the request can be sent again.
        self._body: NamedBody | None = None
        self._held = 0
        # Pieces of a streamed body that wait for a connection.
        self._waiting: list[bytes] = []
        self._sent_all = False
        self._target: Target | None = None
        self._connection: UpstreamConnection | None = None
        self._pooled = False
        self._replayed = False
        # The loop's time until which it may wait for a replica; 0 before it has to.
        self._wait_until = 0.0
        # When the upstream was last seen to make progress, and how much it had sent by then.
        self._progress_at = 0.0
        self._progress = 0

    # -- from the client

    def hold(self, size: int) -> None:
        """Count bytes of a body that is being collected. Raises Refusal (429)."""
        self._limits.hold(size)
        self._held += size

    def let_go(self, size: int) -> None:
        """These bytes of a body are not held any more: it was decompressed."""
        self._limits.release(size)
        self._held -= size

    def start(self, route: Route, body: NamedBody | None) -> None:
        """Send the request on its way; `body` is None where it will be streamed."""
        self.record.model = route.name
        self._course = self._plan(route, body)
        self._body = body
        self._sent_all = body is not None
        self._gates = self._limits.gates(self._admission.identity.name, route.name)
        try:
            if self._limits.enter(self._gates, self):
                self.admitted()
        except Refusal as refusal:
            self._refuse(refusal)

    def _plan(self, route: Route, body: NamedBody | None) -> Course:
        """The replicas that this request may go to, in their order."""
        session = None
        if route.affinity:
            session = session_of(self._request.first, b"" if body is None else body.whole)
        return Course(route, self._admission.identity, session)

    # -- from the limits (limits.Waiter)

    def admitted(self) -> None:
        """There is room for this request now."""
        self._entered = True
        self.record.enter()
        self._dispatch()

    def refused(self, refusal: Refusal) -> None:
        """There was no room for too long."""
        self._refuse(refusal)

    # -- from the client, once it has started

    def upload(self, pieces: list[bytes], last: bool) -> None:
        """Pieces of a streamed body, and whether they are the last ones."""
        if self._request.length is None:
            size = sum(map(len, pieces))
            parts = [b"%x\r\n" % size, *pieces, b"\r\n"] if size else []
            if last:
                parts.append(b"0\r\n\r\n")
        else:
            parts = pieces
        self._sent_all = last
        self._waiting += parts
        if self._connection is not None:
            self._push()
        elif not last and sum(map(len, self._waiting)) > MAX_WAITING_BYTES:
            self._client.hold_upload(True)

    def tunnel(self, data: bytes) -> None:
        """Bytes of the client after a 101."""
        self.record.bytes_in += len(data)
        if self._connection is not None:
            self._connection.write([data])

    def tunnel_ends(self) -> bool:
        """The client sends no more; returns whether the upstream could be told so."""
        return self._connection is not None and self._connection.write_eof()

    def client_writable(self, now: bool) -> None:
        """Whether the client takes more of the answer."""
        if self._connection is not None:
            self._connection.pause(not now)

    def abandon(self) -> None:
        """The client is gone, or its request turned out to be malformed or too large."""
        connection = self._connection
        self._settle()
        if connection is not None:
            if connection.tunnel:
                connection.close()
            else:
                connection.abort()

    # -- to the upstream

    def _dispatch(self) -> None:
        assert self._course is not None
        target = self._course.next()
        if target is not None:
            self._ask(target)
        elif self._may_wait():
            self._wait()
        else:
            self._refuse_for_want_of_replicas()

    def _ask(self, target: Target) -> None:
        self._aim(target)
        # What cannot be sent again does not meet a connection that may be dead.
        fresh = self._body is None or self._replayed
        connection = None if fresh else target.upstream.take()
        if connection is not None:
            self._attach(connection, pooled=True)
        else:
            target.upstream.connect(self._connected)

    def _aim(self, target: Target | None) -> None:
        if self._target is not None:
            self._target.upstream.outstanding -= 1
        self._target = target
        if target is not None:
            target.upstream.outstanding += 1
            self.record.tried(target.upstream.name)

    def _connected(self, connection: UpstreamConnection | None, reason: str) -> None:
        try:
            self._go_on(connection, reason)
        except Exception:
            self._give_up_on_ourselves()

    def _go_on(self, connection: UpstreamConnection | None, reason: str) -> None:
        target = self._target
        if self.over or target is None:
            # The client left in the meantime: the next request will be glad of the connection.
            if connection is not None:
                connection.hand_over()
            return
        if connection is None:
            log.warning("%s: cannot connect to %s: %s", self._who(), target.url.address, reason)
            self.record.upstream_error("connect")
            target.health.refused(time.monotonic(), f"cannot connect: {reason}")
            assert self._course is not None
            self._course.tried.append(target)
            self._dispatch()
            return
        self._attach(connection, pooled=False)

    def _attach(self, connection: UpstreamConnection, *, pooled: bool) -> None:
        assert self._target is not None
        target = self._target
        request = self._request
        self._connection = connection
        self._pooled = pooled
        self._progress_at = 0.0
        connection.attach(self)
        path = self._admission.path.rest
        body = None if self._body is None else self._body.for_target(target.model)
        length = request.length if body is None else sum(map(len, body))
        host = target.host or request.host or target.url.authority.encode()
        head = write_request(
            request,
            target.url.join(path, self._admission.query_for(request.query, target.model)),
            host,
            target.headers,
            length=length,
            peer=self._client.peer,
            secure=self._client.secure,
            request_id=self.request_id,
            strip_keys=bool(self._table.keys),
        )
        if body is not None:
            connection.write([head, *body])
            return
        waiting, self._waiting = self._waiting, []
        connection.write([head, *waiting])
        if self._connection is connection and not connection.full:
            self._client.hold_upload(False)

    def _push(self) -> None:
        """Send what waits of a streamed body, but not before what the upstream has said is read.

        An engine that has answered and closed resets the connection. What it said can still be
        read then, until a write meets the reset.
        """
        connection = self._connection
        if connection is None or not self._waiting:
            return
        if connection.has_news():
            asyncio.get_running_loop().call_soon(self._push)
            return
        waiting, self._waiting = self._waiting, []
        connection.write(waiting)

    # -- elsewhere

    def _leave(self, *, wait: bool) -> bool:
        """Go on to the next replica, or to the waiting room; False where neither will have it."""
        course, target = self._course, self._target
        if self._body is None or course is None or target is None:
            return False
        course.tried.append(target)
        following = course.next()
        if following is None and not (wait and self._may_wait()):
            return False
        self._drop_connection()
        self._connection = None
        if following is not None:
            self._ask(following)
        else:
            self._wait()
        return True

    # -- in the waiting room (holding.Waiter)

    def _may_wait(self) -> bool:
        course = self._course
        if course is None or not course.waits or NO_HOLD in self._request.first:
            return False
        now = asyncio.get_running_loop().time()
        if not self._wait_until:
            self._wait_until = now + self._table.config.hold_seconds
        return now < self._wait_until

    def _wait(self) -> None:
        course = self._course
        assert course is not None
        self._aim(None)
        if not self._table.room.enter(self, course.name, self._wait_until):
            self._refuse_for_want_of_replicas()

    def resume(self, route: Route) -> None:
        """Go on: a replica of this route is up."""
        assert self._course is not None
        self._course.go_home(route)
        try:
            self._dispatch()
        except Exception:
            self._give_up_on_ourselves()

    def give_up(self) -> None:
        """No replica has come up in time."""
        self._refuse_for_want_of_replicas()

    # -- ends

    def _refuse_for_want_of_replicas(self) -> None:
        course = self._course
        assert course is not None
        if course.tried and not course.waits:
            self._refuse(Refusal("backend_unreachable", self._unreachable()))
            return
        code = "model_loading" if course.loading else "model_unavailable"
        self._refuse(Refusal(code, f"The model `{course.name}` is not available at the moment."))

    def _give_up_on_ourselves(self) -> None:
        # The loop has nobody to tell, so the client would wait for ever.
        log.exception("%s: internal error", self._who())
        self.abandon()
        self._client.cut(clean=False)

    def _refuse(self, refusal: Refusal) -> None:
        self._settle()
        self._client.refuse(refusal)

    def _drop_connection(self) -> None:
        connection = self._connection
        if connection is not None:
            connection.abort()

    def _let_go_of_body(self) -> None:
        self._body = None
        self._limits.release(self._held)
        self._held = 0

    def _settle(self) -> None:
        if self.over:
            return
        self.over = True
        self._connection = None
        self._waiting = []
        self._let_go_of_body()
        self._aim(None)
        if self._wait_until:
            self._table.room.leave(self)
        if self._entered:
            self._limits.leave(self._gates)
        else:
            self._limits.give_up(self)

    def _who(self) -> str:
        name = self._course.name if self._course is not None else ""
        return f"request {self.request_id}, model {name!r}"

    def _unreachable(self) -> str:
        name = self._course.name if self._course is not None else ""
        return f"No backend of the model `{name}` can be reached."
