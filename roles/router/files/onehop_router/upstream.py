# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection to an upstream: sends one request at a time and reads its answer strictly."""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Sequence
from typing import Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from .headers import AnswerHead, Fields

# Below this, copying costs less than a system call with several buffers.
JOIN_BYTES = 16384
MAX_ANSWER_HEAD_BYTES = 262144
# How long the end of a tunnel may take to be sent.
CLOSE_SECONDS = 30.0


class Owner(Protocol):
    """The pool that a connection belongs to."""

    def remember(self, connection: UpstreamConnection) -> None:
        """The connection has been made."""

    def give_back(self, connection: UpstreamConnection, reusable: bool = True) -> None:
        """The connection serves nobody any more."""

    def forget(self, connection: UpstreamConnection) -> None:
        """The connection is gone."""


class Receiver(Protocol):
    """What an upstream connection tells about the request that it serves."""

    to_head: bool

    def informational(self, status: int, reason: bytes, fields: Fields) -> None:
        """A 1xx answer came."""

    def answer(self, head: AnswerHead) -> None:
        """The head of the final answer came."""

    def pieces(self, pieces: list[bytes]) -> None:
        """Body of the answer came."""

    def tunnelled(self, data: bytes) -> None:
        """Bytes came after a 101."""

    def flush(self) -> None:
        """One read has been told of whole."""

    def complete(self, trailers: Fields) -> None:
        """The answer has ended; the connection is no longer this receiver's."""

    def failed(self, code: str, reason: str) -> None:
        """The answer never came whole; the connection is gone. `code` is one of errors.KINDS."""

    def writable(self, now: bool) -> None:
        """Whether the upstream takes more bytes of the request."""


class UpstreamConnection(asyncio.Protocol):
    """One connection: it serves one receiver at a time and reads its answer strictly."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.receiver: Receiver | None = None
        self.idle_since = 0.0
        # How many reads have brought something; the second counts those before this receiver's.
        self.reads = 0
        self._reads_before = 0
        self.tunnel = False
        # Whether more has been written than the peer takes just now.
        self.full = False
        # Whether reading is held up by the other side.
        self.paused = False
        self._lost = False
        self._ended = False
        self._parser = HttpResponseParser(self)
        self._reset()

    # -- what the exchange asks for

    def attach(self, receiver: Receiver) -> None:
        """Serve this receiver next."""
        self.receiver = receiver
        self._reads_before = self.reads

    @property
    def answered(self) -> bool:
        """Whether any byte has come for this receiver."""
        return self.reads > self._reads_before

    def write(self, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """Send bytes of the request."""
        if self._lost or self.transport.is_closing():
            return
        write(self.transport, parts)

    def hand_over(self) -> None:
        """Nobody needs this connection now; let the next request have it."""
        self._owner.give_back(self)

    def abort(self) -> None:
        """Close at once. The receiver hears nothing more."""
        self.receiver = None
        self.transport.abort()

    def close(self) -> None:
        """Close after what is written has been sent, as a tunnel's end does."""
        self.receiver = None
        self.transport.close()
        asyncio.get_running_loop().call_later(CLOSE_SECONDS, self.transport.abort)

    def write_eof(self) -> bool:
        """Say that nothing more will be sent; False where that cannot be said."""
        if self._lost or self.transport.is_closing() or not self.transport.can_write_eof():
            return False
        self.transport.write_eof()
        return True

    def has_news(self) -> bool:
        """Whether the peer has sent something, or closed, and the loop is about to read it."""
        if self.paused or self._lost or self.transport.is_closing():
            return False
        return readable(self.transport)

    def pause(self, paused: bool) -> None:
        """Stop reading, or go on: the client's side is full, or has room again."""
        if paused == self.paused or self._lost or self.transport.is_closing():
            return
        self.paused = paused
        if paused:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    # -- what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._owner.remember(self)
        keep_alive_probes(transport)

    def data_received(self, data: bytes) -> None:
        receiver = self.receiver
        if receiver is None:
            # Nobody asked: whatever this is, the next request must not take it for its answer.
            self.transport.abort()
            return
        if self.tunnel:
            receiver.tunnelled(data)
            return
        self.reads += 1
        rest = b""
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            rest = data[upgrade.args[0] :]
            if self._head is not None and self._head.status != 101:
                self._fault = "it changed protocols without a 101"
        except HttpParserError as error:
            self._fault = self._fault or str(error)
        if self._head is None and not self._fault:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_ANSWER_HEAD_BYTES:
                self._fault = "its head is too large"
        self._deliver(receiver, rest)

    def eof_received(self) -> None:
        """The transport then closes, and connection_lost sorts out what that means.

        TLS says this where the peer has said goodbye, and not where the connection just ends.
        """
        self._ended = True
        if not self.tunnel:
            # At once: what is still to be sent of a request would only be waited for.
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._owner.forget(self)
        receiver, self.receiver = self.receiver, None
        if receiver is None:
            return
        head = self._head
        closes = head is not None and head.framing == "close" and self._ended
        if closes or self.tunnel:
            receiver.complete([])
        else:
            receiver.failed("backend_unreachable", str(exc or "it closed the connection"))

    def pause_writing(self) -> None:
        self.full = True
        if self.receiver is not None:
            self.receiver.writable(False)

    def resume_writing(self) -> None:
        self.full = False
        if self.receiver is not None:
            self.receiver.writable(True)

    # -- what llhttp calls. Nothing is delivered from in here: a receiver may end the exchange,
    # and the connection must not change hands in the middle of a read.

    def _reset(self) -> None:
        self._fields: Fields = []
        self._reason = b""
        self._head: AnswerHead | None = None
        self._told = False
        self._informational: list[tuple[int, bytes, Fields]] = []
        self._pieces: list[bytes] = []
        self._done = False
        self._fault = ""
        self._head_bytes = 0

    def on_message_begin(self) -> None:
        if self._done:
            self._fault = "it sent more than one answer"
        self._fields = []
        self._reason = b""

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self._done or self._fault:
            return
        if status < 200 and status != 101:
            self._informational.append((status, self._reason, self._fields))
            return
        receiver = self.receiver
        to_head = receiver is not None and receiver.to_head
        version = self._parser.get_http_version()
        try:
            self._head = AnswerHead(status, self._reason, version, self._fields, to_head=to_head)
        except ValueError as error:
            self._fault = f"its answer cannot be understood: {error}"
        # Fields that follow are trailers.
        self._fields = []
        if to_head:
            # llhttp cannot be told that this answer has no body; this parser is done for.
            self._done = True

    def on_body(self, piece: bytes) -> None:
        if self._done:
            self._fault = "it sent a body where none belongs"
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        if self._head is not None:
            self._done = True

    # -- after each read

    def _deliver(self, receiver: Receiver, rest: bytes) -> None:
        if self._informational:
            for one in self._informational:
                receiver.informational(*one)
            self._informational.clear()
        head = self._head
        if head is not None and not self._told and not self._announced(receiver, head):
            return
        if self._pieces and self.receiver is receiver:
            pieces, self._pieces = self._pieces, []
            receiver.pieces(pieces)
        if self.receiver is not receiver:
            return
        if self.tunnel:
            if rest:
                receiver.tunnelled(rest)
        elif self._fault and not (self._done and head is not None):
            self.abort()
            receiver.failed("bad_backend_answer", self._fault)
        elif self._done:
            self._finish(receiver)
        else:
            receiver.flush()

    def _announced(self, receiver: Receiver, head: AnswerHead) -> bool:
        """Tell of the head; False where the receiver let go of the connection over it."""
        if head.status == 101:
            self.tunnel = True
        self._told = True
        receiver.answer(head)
        return self.receiver is receiver

    def _finish(self, receiver: Receiver) -> None:
        head, trailers = self._head, self._fields
        reusable = head is not None and head.keep_alive and not self._fault
        # An answer that came before its request was sent: the next would wait behind the rest.
        reusable = reusable and not self.transport.get_write_buffer_size()
        self.receiver = None
        if receiver.to_head or self._fault:
            # llhttp still waits for a body that HEAD does not bring.
            self._parser = HttpResponseParser(self)
        self._reset()
        self._owner.give_back(self, reusable)
        receiver.complete(trailers)


def write(transport: asyncio.Transport, parts: Sequence[bytes | bytearray | memoryview]) -> None:
    """Write parts in one go: small ones joined, large ones as they are."""
    if len(parts) == 1:
        transport.write(parts[0])
    elif sum(map(len, parts)) < JOIN_BYTES:
        transport.write(b"".join(parts))
    else:
        transport.writelines(parts)


def keep_alive_probes(transport: asyncio.BaseTransport) -> None:
    """Have the kernel notice a peer that vanished without a word, within about two minutes."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family == socket.AF_UNIX:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)


def hung_up(transport: asyncio.BaseTransport) -> bool:
    """Whether a peer has closed its side, without reading from the connection."""
    return _polled(transport, select.POLLRDHUP)


def readable(transport: asyncio.BaseTransport) -> bool:
    """Whether there is something to read, be it the end."""
    return _polled(transport, select.POLLIN | select.POLLRDHUP)


def _polled(transport: asyncio.BaseTransport, events: int) -> bool:
    sock = transport.get_extra_info("socket")
    if sock is None or sock.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(sock.fileno(), events)
    return bool(poll.poll(0))
