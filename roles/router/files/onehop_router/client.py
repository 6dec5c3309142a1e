# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client side: one connection, its requests one after the other."""

from __future__ import annotations

import asyncio
import enum
import logging
import socket
import struct
from typing import TYPE_CHECKING, cast

from .admission import Admission, Answer, admit
from .answers import write_answer
from .auth import Unverified
from .collecting import BodyCollector, Plain, reader_for
from .creating import ResponseExchange
from .errors import Refusal, conflicting_models, fields, render, too_large
from .exchange import Exchange
from .framing import ChunkedBody, HeadFinder, LengthBody, RequestHead, parse_head
from .named_body import NamedBody
from .record import Record
from .routing import Route, Table
from .upstream import hung_up, readable, write

if TYPE_CHECKING:
    from .router import Router

log = logging.getLogger("onehop_router")

# What may wait in memory from a client that sends its next requests early.
MAX_EARLY_BYTES = 65536
# What is collected of a body before it goes on, although its path names the model already.
MAX_SHORT_BYTES = 65536
# What is read of one body before all other connections have their turn: libuv would read 8 MiB.
MAX_TURN_BYTES = 524288
# What is read and thrown away after a refusal, so that the answer is not lost to a reset.
MAX_LINGER_BYTES = 16 * 1024 * 1024

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Reading(enum.Enum):
    """What the next bytes of the client are."""

    HEAD = enum.auto()
    BODY = enum.auto()
    # The request is whole; what comes is the next one, early.
    EARLY = enum.auto()
    TUNNEL = enum.auto()
    # Refused and answered: bytes are thrown away until the client hangs up.
    LINGER = enum.auto()
    GONE = enum.auto()


def is_short(head: RequestHead) -> bool:
    """Whether a body is known to be short enough to be held without a second thought."""
    return head.length is not None and head.length <= MAX_SHORT_BYTES


class ClientConnection(asyncio.Protocol):
    """Reads requests, lets admission decide, and lends itself to one exchange at a time.

    What the client sends lands in the inbox, and `_advance` takes it from there step by step:
    `_read_head` finds a head and `_begin` has it judged; `_read_body` has the body collected for
    `_found`, or streams it to the exchange. `_reading` says which step is next. A request ends in
    `_answer` (from memory) or `answered` (by the exchange), and both go on to the next one
    (`_next`) or let the connection end (`_linger`, `_close`, `cut`).
    """

    def __init__(self, router: Router) -> None:
        self.peer: str | None = None
        self.secure = False
        self._router = router
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._reading = Reading.HEAD
        self._inbox = b""
        self._finder = HeadFinder()
        self._advancing = False
        self._head: RequestHead | None = None
        self._request_id = ""
        self._record: Record | None = None
        self._table: Table = router.table
        self._decoder: LengthBody | ChunkedBody | None = None
        self._exchange: Exchange | None = None
        self._admission: Admission | None = None
        self._streaming = False
        self._verifying = False
        self._collector: BodyCollector | None = None
        self._body_bytes = 0
        self._full = False
        self._held_upload = False
        self._held_early = False
        # What has been read of a body in this turn of the loop, and whether the next is waited for.
        self._turn_bytes = 0
        self._held_turn = False
        # The loop's time at which this connection is closed unless something happens; 0 is never.
        self._deadline = 0.0

    @property
    def busy(self) -> bool:
        """Whether a request is under way here, be it only half a head."""
        return self._reading in (Reading.BODY, Reading.EARLY, Reading.TUNNEL) or bool(self._inbox)

    # -- what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            # A dual-stack listener shows IPv4 clients as mapped addresses.
            self.peer = str(peer[0]).removeprefix("::ffff:")
        self.secure = transport.get_extra_info("sslcontext") is not None
        self._router.arriving.discard(self)
        self._router.clients.add(self)
        self._expect_head()
        if self._router.draining:
            self.drain()

    def data_received(self, data: bytes) -> None:
        if self._reading is Reading.TUNNEL:
            if self._exchange is not None:
                self._exchange.tunnel(data)
            return
        if self._reading is Reading.LINGER:
            self._body_bytes += len(data)
            if self._body_bytes > MAX_LINGER_BYTES:
                self._transport.abort()
            return
        if self._reading is Reading.GONE:
            return
        if self._reading is Reading.HEAD and not self._inbox and not self._full:
            self._deadline = self._router.now() + self._router.timeouts.head
        self._inbox = self._inbox + data if self._inbox else data
        self._advance()

    def eof_received(self) -> bool:
        """Returns whether the connection stays open for what is still to be sent."""
        exchange = self._exchange
        if exchange is None:
            return False
        if self._reading is Reading.TUNNEL:
            # Here both directions end by themselves; the other one gets a while to do so.
            self._deadline = self._router.now() + self._router.timeouts.close
            return exchange.tunnel_ends() and self._transport.can_write_eof()
        # A client that shut down its side is gone: nobody waits for an answer with a closed
        # ear, and every proxy in front of us ends its requests like this.
        self._transport.abort()
        self._drop_exchange()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._reading = Reading.GONE
        self._router.clients.discard(self)
        self._inbox = b""
        self._drop_exchange()
        self._finish("client_gone")

    def pause_writing(self) -> None:
        self._full = True
        if self._exchange is not None:
            self._exchange.client_writable(False)

    def resume_writing(self) -> None:
        self._full = False
        if self._exchange is not None:
            self._exchange.client_writable(True)
        elif self._reading is Reading.HEAD:
            self._held_early = False
            self._steer()
            self._expect_head()
        self._advance()

    # -- what the router calls

    def sweep(self, now: float) -> None:
        """Close what is overdue, and notice a client that left while it was not being read."""
        if self._deadline and now >= self._deadline:
            self._overdue()
        elif (self._held_upload or self._held_early) and hung_up(self._transport):
            self._transport.abort()
            self._drop_exchange()
        elif self._exchange is not None:
            self._exchange.sweep(now)

    def drain(self) -> None:
        """Finish the request under way, if any, then close."""
        if self._reading is Reading.HEAD and not self._inbox:
            # A request that has arrived and was not read yet is still served, and a client that has
            # just connected may send its first: only it cannot know that we are going.
            if not self._request_id:
                self._deadline = self._router.now() + self._router.timeouts.first
            elif self._router.patience:
                self._deadline = self._router.now() + self._router.patience
            elif not readable(self._transport):
                self._close()
        elif self._head is not None:
            self._head.keep_alive = False

    def abort(self) -> None:
        """Close at once, so that no half answer looks whole."""
        self._drop_exchange()
        self._finish("aborted")
        self.cut(clean=False)

    # -- reading

    def _advance(self) -> None:
        """Take as much from the inbox as can be taken now. Never runs inside itself."""
        if self._advancing:
            return
        self._advancing = True
        try:
            while self._inbox and self._step():
                pass
        except Refusal as refusal:
            self._malformed(refusal)
        except Exception:
            log.exception("request %s: internal error", self._request_id)
            self.cut(clean=False)
        finally:
            self._advancing = False

    def _step(self) -> bool:
        """One step on the inbox; False when it needs more bytes, or has to wait."""
        if self._reading is Reading.HEAD and not self._full:
            return self._read_head()
        if self._reading is Reading.BODY and not self._verifying:
            return self._read_body()
        if self._reading in (Reading.HEAD, Reading.EARLY, Reading.BODY):
            # It waits for the end of this answer, or for the client to read the last one.
            if len(self._inbox) > MAX_EARLY_BYTES and not self._held_early:
                self._held_early = True
                self._steer()
            return False
        self._inbox = b""
        return False

    def _read_head(self) -> bool:
        raw, self._inbox = self._finder.take(self._inbox)
        if raw is None:
            return False
        self._deadline = 0.0
        self._head = None
        self._begin(parse_head(raw))
        return True

    def _begin(self, head: RequestHead) -> None:
        self._head = head
        table = self._table = self._router.table
        self._request_id = self._router.request_id(head)
        self._record = self._router.recorder.begin(head, self._request_id, self.peer)
        if self._router.draining:
            head.keep_alive = False
        self._decoder = head.body()
        self._reading = Reading.EARLY if self._decoder is None else Reading.BODY
        self._body_bytes = 0
        self._streaming = False
        self._expect_body()
        self._judge(head, table)

    def _judge(self, head: RequestHead, table: Table) -> None:
        """Have admission decide about the request that has begun."""
        record = self._record
        assert record is not None
        try:
            admission = admit(head, table)
            if isinstance(admission, Answer):
                self._answer(admission.status, admission.body, admission.headers)
                return
            # A short body is held whatever its way, so that it can be sent again.
            streamed = not admission.reads and not is_short(head)
            collecting = not streamed and self._decoder is not None
            if head.length and collecting:
                self._router.limits.check_room(head.length)
            reader = reader_for(head) if admission.reads and collecting else Plain()
            model = admission.route.name if admission.route is not None else None
            limits = self._router.limits
            limits.check(limits.gates(admission.identity.name, model))
            creates = ResponseExchange.fits(head.method, admission.path.segments)
            kind = ResponseExchange if creates else Exchange
            exchange = kind(self, limits, table, head, admission, record)
        except Unverified as unverified:
            self._verify(unverified.token)
            return
        except Refusal as refusal:
            self.refuse(refusal)
            return
        self._exchange = exchange
        self._admission = admission
        if head.expects_continue and not self._inbox:
            self._transport.write(_CONTINUE)
        if collecting:
            limit = table.config.max_body_bytes
            self._collector = BodyCollector(exchange, reader, admission.coding, limit)
        elif self._decoder is None:
            self._found(NamedBody([]))
        else:
            assert admission.route is not None
            self._streaming = True
            exchange.start(admission.route, None)

    def _verify(self, token: bytes) -> None:
        """Find out whose key this is, which takes a while; the request waits unread."""
        head = self._head

        def verified() -> None:
            self._verifying = False
            if self._head is head and head is not None and not self._transport.is_closing():
                self._judge(head, self._table)
                self._advance()

        try:
            self._router.verifier.verify(self._table.keys, token, verified)
            self._verifying = True
        except Refusal as refusal:
            self.refuse(refusal)

    def _read_body(self) -> bool:
        assert self._decoder is not None
        data, self._inbox = self._inbox, b""
        pieces, rest = self._decoder.feed(data)
        if rest is not None:
            self._inbox = rest
            self._reading = Reading.EARLY
            self._decoder = None
        exchange = self._exchange
        assert exchange is not None
        self._expect_body()
        size = sum(map(len, pieces))
        self._body_bytes += size
        self._turn_bytes += size
        if self._turn_bytes > MAX_TURN_BYTES and not self._held_turn:
            self._held_turn = True
            self._steer()
            asyncio.get_running_loop().call_soon(self._next_turn)
        exchange.record.bytes_in = self._body_bytes
        limit = self._table.config.max_body_bytes
        if limit and self._body_bytes > limit:
            raise too_large(limit)
        if self._streaming:
            exchange.upload(pieces, rest is not None)
            return rest is not None
        assert self._collector is not None
        self._collector.add(pieces, size)
        if rest is not None:
            self._collector.finish(self._found)
        return rest is not None

    def _next_turn(self) -> None:
        """All others were served: read on."""
        self._turn_bytes = 0
        self._held_turn = False
        self._steer()

    def _expect_body(self) -> None:
        """Limit the wait for the client's next bytes, while they are wanted."""
        wanted = self._reading is Reading.BODY and not self._held_upload
        self._deadline = self._router.now() + self._router.timeouts.body if wanted else 0.0

    def _found(self, body: NamedBody | Exception) -> None:
        """The body is whole, and so is what it says of its model: send the request on its way."""
        self._collector = None
        try:
            if isinstance(body, Exception):
                raise body
            self._send_whole(body)
        except Refusal as refusal:
            self._drop_exchange()
            self.refuse(refusal)
        except Exception:
            log.exception("request %s: internal error", self._request_id)
            self.cut(clean=False)

    def _send_whole(self, body: NamedBody) -> None:
        exchange, admission, head = self._exchange, self._admission, self._head
        assert exchange is not None and admission is not None and head is not None
        route = self._route_of(body.name)
        if admission.coding is not None:
            head.fields = [field for field in head.fields if field[0] != b"content-encoding"]
            head.written = {}
        exchange.start(route, body)

    def _route_of(self, name: str | None) -> Route:
        """The route of a request whose body, if it has one, names this model.

        The head has decided already where it names one, or a response that was made here. Without
        any name it is the default. Raises Refusal.
        """
        admission, table = self._admission, self._table
        assert admission is not None
        if admission.route is not None:
            if name is not None and table.canonical(name) != admission.route.name:
                raise conflicting_models("body")
            return admission.route
        if name is not None:
            return table.route(name, admission.identity)
        return table.default_route(admission.identity)

    def _malformed(self, refusal: Refusal) -> None:
        """The bytes cannot be trusted any further: answer if that is still possible, close."""
        exchange = self._exchange
        begun = exchange is not None and exchange.begun
        self._drop_exchange()
        if begun:
            self._finish(f"refused:{refusal.code}")
            self.cut(clean=False)
            return
        if self._head is not None:
            self._head.keep_alive = False
        else:
            self._request_id = self._router.new_request_id()
        self._inbox = b""
        self.refuse(refusal)

    def _overdue(self) -> None:
        self._deadline = 0.0
        if self._reading is Reading.HEAD and self._inbox:
            self._head = None
            self._request_id = self._router.new_request_id()
            self._inbox = b""
            self.refuse(Refusal("request_timeout", "The head of the request took too long."))
        elif self._reading is Reading.HEAD:
            self._close()
        elif self._reading is Reading.BODY:
            # While the answer is under way already, the client may well wait for more of it.
            if self._exchange is not None and not self._exchange.begun:
                self._malformed(
                    Refusal("request_timeout", "The body of the request stopped coming.")
                )
        else:
            self._transport.abort()
            self._drop_exchange()

    # -- answering from memory

    def refuse(self, refusal: Refusal) -> None:
        """Answer with an error."""
        self._exchange = None
        if self._head is None:
            self._record = self._router.recorder.begin(None, self._request_id, self.peer)
        path = self._head.path if self._head is not None else ""
        body = render(refusal, path, self._request_id)
        headers = fields(refusal, path, self._request_id)
        self._answer(refusal.status, body, headers, f"refused:{refusal.code}")

    def _answer(
        self,
        status: int,
        body: bytes,
        headers: tuple[tuple[str, str], ...],
        end: str = "complete",
    ) -> None:
        self._swallow()
        head = self._head
        whole = self._reading is Reading.EARLY
        keep_alive = whole and head is not None and head.keep_alive
        to_head = head is not None and head.method == b"HEAD"
        answer = write_answer(
            status, headers, body, self._request_id, keep_alive=keep_alive, to_head=to_head
        )
        self.send([answer])
        if self._record is not None:
            self._record.status = status
            self._record.bytes_out = 0 if to_head else len(body)
        self._finish(end)
        if keep_alive:
            self._next()
        else:
            self._linger()

    def _swallow(self) -> None:
        """Read over a refused request's body if it is here already, to keep the connection."""
        if self._reading is not Reading.BODY or self._decoder is None:
            return
        try:
            dummy, rest = self._decoder.feed(self._inbox)
        except Refusal:
            return
        self._inbox = b""
        if rest is not None:
            self._inbox = rest
            self._decoder = None
            self._reading = Reading.EARLY

    # -- ends

    def _finish(self, end: str) -> None:
        """The request's record is closed, unless that has been done."""
        if self._record is not None:
            self._record.finish(end)

    def _next(self) -> None:
        """This request is done; go on with the next one, which may be here already."""
        self._head = None
        self._record = None
        self._admission = None
        self._reading = Reading.HEAD
        self._held_early = self._held_upload = False
        self._steer()
        self._expect_head()
        if self._router.draining:
            # Closing with bytes unread would reset the connection, and the answer with it.
            if self._inbox:
                self._linger()
            else:
                self._close()
        elif self._inbox:
            self._advance()

    def _expect_head(self) -> None:
        timeouts = self._router.timeouts
        # While the client does not take its last answers, its next head is not being read.
        begun = (self._inbox and not self._full) or self._request_id == ""
        self._deadline = self._router.now() + (timeouts.head if begun else timeouts.idle)

    def _linger(self) -> None:
        """Send what is written and say that it was all; then wait for the client to hang up.

        Closing right away with bytes unread makes the kernel send a reset, and a reset may
        overtake the answer.
        """
        self._reading = Reading.LINGER
        self._body_bytes = 0
        self._inbox = b""
        timeouts = self._router.timeouts
        unsent = not self._transport.is_closing() and self._transport.get_write_buffer_size()
        self._deadline = self._router.now() + (timeouts.close if unsent else timeouts.linger)
        self._held_early = self._held_upload = False
        if self._transport.is_closing():
            return
        self._steer()
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def _close(self) -> None:
        self._reading = Reading.GONE
        self._deadline = self._router.now() + self._router.timeouts.close
        self._transport.close()

    def _drop_exchange(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abandon()
        collector, self._collector = self._collector, None
        if collector is not None:
            collector.drop()

    def _steer(self) -> None:
        """Read from the client, or let it wait."""
        if self._transport.is_closing():
            return
        if self._held_early or self._held_upload or self._held_turn:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    # -- what the exchange calls (exchange.Client)

    def send(self, parts: list[bytes]) -> None:
        """Write bytes, unless the connection is going down already."""
        if not parts or self._transport.is_closing():
            return
        write(self._transport, parts)

    def cut(self, clean: bool) -> None:
        """End the connection in the middle; see exchange.Client."""
        self._drop_exchange()
        self._finish("internal_error")
        if self._transport.is_closing():
            return
        if clean:
            self._close()
            return
        self._reading = Reading.GONE
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            # A reset: a client that reads until the end must not take this for one.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def answered(self, keep_alive: bool) -> None:
        """The exchange is over."""
        self._exchange = None
        tunnel = self._reading is Reading.TUNNEL
        if keep_alive and self._reading is Reading.EARLY:
            self._next()
        elif tunnel or (self._reading is Reading.EARLY and not self._inbox):
            self._close()
        else:
            self._linger()

    def hold_upload(self, held: bool) -> None:
        """See exchange.Client."""
        self._held_upload = held
        if self._reading is Reading.BODY:
            self._expect_body()
        self._steer()

    def upgraded(self) -> None:
        """See exchange.Client."""
        self._reading = Reading.TUNNEL
        if self._inbox and self._exchange is not None:
            early, self._inbox = self._inbox, b""
            self._exchange.tunnel(early)
        self._held_early = False
        self._steer()
