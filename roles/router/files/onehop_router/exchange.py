# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One request's way: from a client's connection to a replica's, and the answer back.

The exchange owns what a request takes: its slot, its held bytes, its upstream connection. It
gives each back exactly once, in `_settle`, whoever goes first.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from .admission import Admission
from .errors import Refusal
from .framing import RequestHead
from .headers import AnswerHead, AnswerWriter, write_informational, write_request
from .limits import Gates, Limits
from .named_body import NamedBody
from .routing import Route, Table, Target
from .upstream import Fields, UpstreamConnection

log = logging.getLogger("onehop_router")

# How much of a streamed body is taken in before there is a connection for it.
MAX_WAITING_BYTES = 65536


class Client(Protocol):
    """What an exchange asks of the client's side."""

    peer: str | None

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


class Exchange:
    """A Receiver for the upstream, and the client's counterpart in the other direction."""

    def __init__(
        self,
        client: Client,
        limits: Limits,
        table: Table,
        head: RequestHead,
        admission: Admission,
        request_id: str,
    ) -> None:
        self.to_head = head.method == b"HEAD"
        self.request_id = request_id
        self.over = False
        self.begun = False
        self._client = client
        self._limits = limits
        # What it has to pass, and whether it has.
        self._gates: Gates = ()
        self._entered = False
        self._table = table
        self._request = head
        self._admission = admission
        self._route: Route | None = None
        self._writer = AnswerWriter(head)
        # The whole body where it is held, so that the request can be sent again.
        self._body: NamedBody | None = None
        self._held = 0
        # Pieces of a streamed body that wait for a connection.
        self._waiting: list[bytes] = []
        self._sent_all = False
        self._target: Target | None = None
        self._tried: list[Target] = []
        self._connection: UpstreamConnection | None = None
        self._pooled = False
        self._replayed = False
        self._answer: AnswerHead | None = None
        # Bytes for the client that the current read of the upstream has brought.
        self._out: list[bytes] = []

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
        self._route = route
        self._body = body
        self._sent_all = body is not None
        self._gates = self._limits.gates(self._admission.identity.name, route.name)
        try:
            if self._limits.enter(self._gates, self):
                self.admitted()
        except Refusal as refusal:
            self._refuse(refusal)

    # -- from the limits (limits.Waiter)

    def admitted(self) -> None:
        """There is room for this request now."""
        self._entered = True
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
        assert self._route is not None
        target = self._route.pick(self._tried)
        if target is None:
            self._refuse(Refusal("backend_unreachable", self._unreachable()))
            return
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

    def _connected(self, connection: UpstreamConnection | None, reason: str) -> None:
        try:
            self._go_on(connection, reason)
        except Exception:
            # The loop has nobody to tell, so the client would wait for ever.
            log.exception("%s: internal error", self._who())
            self.abandon()
            self._client.cut(clean=False)

    def _go_on(self, connection: UpstreamConnection | None, reason: str) -> None:
        target = self._target
        if self.over or target is None:
            # The client left in the meantime: the next request will be glad of the connection.
            if connection is not None:
                connection.hand_over()
            return
        if connection is None:
            log.warning("%s: cannot connect to %s: %s", self._who(), target.url.address, reason)
            self._tried.append(target)
            self._dispatch()
            return
        self._attach(connection, pooled=False)

    def _attach(self, connection: UpstreamConnection, *, pooled: bool) -> None:
        assert self._target is not None
        target = self._target
        request = self._request
        self._connection = connection
        self._pooled = pooled
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

    # -- from the upstream (upstream.Receiver)

    def informational(self, status: int, reason: bytes, fields: Fields) -> None:
        """Relay a 1xx, but 100: the client's own expectation is met here already."""
        if status != 100 and self._request.version == b"1.1":
            self._out.append(write_informational(status, reason, fields))

    def answer(self, head: AnswerHead) -> None:
        """Send the head on; from here on nothing can be replayed, so the body is let go."""
        if head.status == 101 and self._request.upgrade is None:
            self._drop_connection()
            self.failed("bad_backend_answer", "it changed protocols unasked")
            return
        self._answer = head
        self.begun = True
        self._let_go_of_body()
        if not self._sent_all:
            # An answer before the request's end: the rest of the request will not be read.
            self._writer.closes = True
        self._out.append(self._writer.head(head, self.request_id))
        if head.status == 101:
            self.flush()
            self._client.upgraded()

    def pieces(self, pieces: list[bytes]) -> None:
        """Send body on."""
        self._out += self._writer.body(pieces)

    def flush(self) -> None:
        """Write what one read of the upstream has brought, in one go."""
        if self._out:
            out, self._out = self._out, []
            self._client.send(out)

    def tunnelled(self, data: bytes) -> None:
        """Send bytes on as they are."""
        self._client.send([data])

    def complete(self, trailers: Fields) -> None:
        """The answer has ended well."""
        connection, self._connection = self._connection, None
        if connection is not None and not self._sent_all:
            connection.abort()
        answer = self._answer
        self._settle()
        if answer is not None and answer.status == 101:
            self._client.answered(False)
            return
        self._out += self._writer.end(trailers)
        self.flush()
        self._client.answered(not self._writer.closes)

    def failed(self, code: str, reason: str) -> None:
        """The upstream went away: send the request again if that is safe, else say so."""
        connection, self._connection = self._connection, None
        target = self._target
        assert target is not None
        stale = self._pooled and connection is not None and not connection.answered
        if stale and self._body is not None and not self._replayed and self._answer is None:
            self._replayed = True
            target.upstream.connect(self._connected)
            return
        log.warning("%s: %s failed: %s", self._who(), target.url.address, reason)
        if self.begun:
            length_known = self._answer is not None and self._answer.framing == "length"
            clean = self._request.version == b"1.1" or length_known
            self._settle()
            self.flush()
            self._client.cut(clean)
        elif code == "backend_unreachable":
            self._refuse(Refusal(code, self._unreachable()))
        else:
            self._refuse(Refusal(code, "The model's backend gave an answer that is not HTTP."))

    def writable(self, now: bool) -> None:
        """Hold the client's upload, or its side of a tunnel, while the upstream is full."""
        connection = self._connection
        if not self._sent_all or (connection is not None and connection.tunnel):
            self._client.hold_upload(not now)

    # -- ends

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
        if self._entered:
            self._limits.leave(self._gates)
        else:
            self._limits.give_up(self)

    def _who(self) -> str:
        name = self._route.name if self._route is not None else ""
        return f"request {self.request_id}, model {name!r}"

    def _unreachable(self) -> str:
        name = self._route.name if self._route is not None else ""
        return f"No backend of the model `{name}` can be reached."
