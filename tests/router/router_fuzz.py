# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mangled requests, and what must hold for each: in the parsers alone, and through a whole router.

Used by test_router_fuzz.py within bounds, and by fuzz_router.py for as long as one likes. No
sockets: transports are test doubles, so a run is some thousand requests a second.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import socket
from itertools import pairwise
from typing import Any

import httptools
import router_reference as reference

from onehop_router.client import ClientConnection
from onehop_router.config_reader import parse
from onehop_router.errors import Refusal
from onehop_router.framing import ChunkedBody, HeadFinder, LengthBody, RequestHead, parse_head
from onehop_router.headers import HOP_BY_HOP, ConfiguredHeaders, write_request
from onehop_router.router import Router
from onehop_router.upstream import UpstreamConnection

_M = b'{"model":"m"}'
_H = b"Host: a\r\n"

CORPUS = (
    b"GET /health HTTP/1.1\r\n" + _H + b"\r\n",
    b"GET /route/m/v1/x?a=b HTTP/1.1\r\nHost: a:80\r\nX: y\r\nConnection: x, close\r\n\r\n",
    b"POST /v1/x HTTP/1.1\r\n" + _H + b"Content-Length: 13\r\n\r\n" + _M,
    b"POST /v1/x HTTP/1.0\r\nContent-Length: 13\r\n\r\n" + _M,
    b"POST http://b/v1/x HTTP/1.1\r\n" + _H + b"Content-Length: 13\r\nExpect: 100-continue\r\n\r\n" + _M,
    b"POST /v1/x HTTP/1.1\r\n" + _H + b"Transfer-Encoding: chunked\r\n\r\n"
    b"5;a=b\r\n" + _M[:5] + b"\r\n8\r\n" + _M[5:] + b"\r\n0\r\nX: y\r\n\r\n",
    b"PUT /route/m/v1/x HTTP/1.1\r\n" + _H + b"Transfer-Encoding: chunked\r\nTE: trailers\r\n\r\n"
    b"A\r\n0123456789\r\n1\r\nx\r\n0\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
    b"\r\n\r\nHEAD /route/m/ HTTP/1.1\r\n" + _H + b"\r\n",
    b"GET /route/m/ws HTTP/1.1\r\n" + _H + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
)  # fmt: skip

FRAGMENTS = (
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\t", b"\0", b"\x0b", b"\x7f", b"\x80", b":", b";", b",",
    b"0", b"3", b"d", b"-1", b"+1", b"0x1", b"1_0", b"99999999999999999999", b"fffffffffffffffff",
    b"Content-Length: 3\r\n", b"Content-Length: 13\r\n", b"content-length:0\r\n", b"Host: b\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: x\r\n", b"transfer-encoding:\tchunked\r\n",
    b"Connection: close\r\n", b"Connection: keep-alive, content-length\r\n", b"Upgrade: h2c\r\n",
    b"Expect: 100-continue\r\n", b"0\r\n\r\n", b"d\r\n" + _M + b"\r\n", b"X: y\r\n z\r\n", b";a=b", b';a="b"',
    b"HTTP/1.0", b"HTTP/2.0", b"http://c", b"http://u@c", b"*", b"#", b"%2e%2e/", b"//", b"GET ", b"\xff",
    b"x-model: m\r\n", b"?model=m&", b"/route/m/", b"Content-Type: multipart/form-data; boundary=b\r\n",
    b"Trailer: X\r\n", b"X-Api-Key: k\r\n", b"X: " + b"y" * 300 + b"\r\n",
)  # fmt: skip

Edit = tuple[int, int, int]
KINDS = 5


def mangle(start: int, edits: list[Edit]) -> bytes:
    """A request of the corpus after these edits: any three numbers make one."""
    data = CORPUS[start % len(CORPUS)]
    for kind, place, choice in edits:
        at = place % (len(data) + 1)
        fragment = FRAGMENTS[choice % len(FRAGMENTS)]
        if kind % KINDS == 0:
            data = data[:at] + fragment + data[at:]
        elif kind % KINDS == 1:
            data = data[:at] + data[at + 1 + choice % 16 :]
        elif kind % KINDS == 2:
            data = data[:at] + bytes([choice % 256]) + data[at + 1 :]
        elif kind % KINDS == 3:
            data = data[:at] + data[at : at + 1 + choice % 64] + data[at:]
        else:
            data += CORPUS[choice % len(CORPUS)]
    return data


def random_edits(source: random.Random) -> tuple[int, list[Edit]]:
    """Where to start and what to do, for `mangle`."""
    count = source.choice((1, 1, 2, 2, 3, 5, 8))
    numbers = [
        (source.randrange(KINDS), source.randrange(4096), source.randrange(4096))
        for dummy in range(count)
    ]
    return source.randrange(len(CORPUS)), numbers


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The data in pieces, cut at these places."""
    marks = sorted({one % len(data) for one in places if data} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(marks)]


# -- the parsers

Outcome = tuple[Any, ...]


def ours(pieces: list[bytes]) -> Outcome:
    """What the router's readers make of one request: refused, more, or the request and the rest."""
    finder, inbox, head = HeadFinder(), b"", None
    reader: LengthBody | ChunkedBody | None = None
    body: list[bytes] = []
    rest: bytes | None = None
    try:
        for piece in filter(None, pieces):
            if rest is not None:
                rest += piece
                continue
            if head is None:
                raw, inbox = finder.take(inbox + piece)
                if raw is None:
                    continue
                head = parse_head(raw)
                reader = head.body()
                piece = inbox
            if reader is None:
                rest = piece
            elif piece:
                got, rest = reader.feed(piece)
                body += got
    except Refusal:
        return ("refused",)
    if head is None or (rest is None and reader is not None):
        return ("more",)
    return "whole", head, b"".join(body), rest or b""


def same(one: Outcome, other: Outcome) -> bool:
    """Whether two outcomes agree, heads by what is in them."""
    if one[0] != "whole" or other[0] != "whole":
        return one[0] == other[0]
    return _facts(one[1]) == _facts(other[1]) and one[2:] == other[2:]


def _facts(head: RequestHead) -> tuple[Any, ...]:
    # Beside what was read, a head has room for what others keep with it.
    kept = ("admitted", "written")
    return tuple(getattr(head, name) for name in RequestHead.__slots__ if name not in kept)


def fields_of(request: reference.Request) -> list[tuple[bytes, bytes]]:
    """The fields of a request, its length aside, which is a fact of its own to the router."""
    return [one for one in request.fields if one[0] != b"content-length"]


class Heard:
    """What llhttp makes of bytes: how many messages, with which bodies, and whether it agrees."""

    def __init__(self, data: bytes) -> None:
        self.messages = 0
        self.body = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.agrees = True
        self._in_head = True
        try:
            httptools.HttpRequestParser(self).feed_data(data)
        except httptools.HttpParserUpgrade:
            pass
        except httptools.HttpParserError:
            self.agrees = False

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers come by here as well.
        if self._in_head:
            self.fields.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self._in_head = False

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.messages += 1


def check_parsers(data: bytes, places: list[int]) -> None:
    """One request, whole, byte by byte and in pieces; beside the reference and llhttp."""
    whole = ours([data])
    assert same(whole, ours([data[at : at + 1] for at in range(len(data))])), "byte by byte"
    assert same(whole, ours(cut(data, places))), "in pieces"
    try:
        expected = reference.read(data)
    except reference.Bad:
        assert whole[0] == "refused", "the reference refuses this"
        return
    except reference.More:
        # What is to come could not mend it any more: then it may be refused early.
        assert whole[0] in ("more", "refused")
        return
    message = data[: expected.end]
    heard = Heard(message)
    if whole[0] == "refused":
        assert not heard.agrees, "the reference and llhttp accept this"
        return
    head, body, rest = whole[1:]
    assert whole[0] == "whole"
    assert body == expected.body
    assert rest == data[expected.end :]
    assert head.method == expected.method
    assert [(lower, value) for lower, dummy, value in head.fields] == fields_of(expected)
    assert head.sized == bool(expected.all(b"content-length"))
    assert (heard.agrees, heard.messages) == (True, 1), "llhttp reads this otherwise"
    if head.upgrade is None and b"upgrade" not in head.first:
        assert (heard.body, heard.fields) == (body, list(expected.fields))
    check_written(head, body)


def check_written(head: RequestHead, body: bytes) -> None:
    """What goes upstream is this request, to the reference and to llhttp."""
    target = head.path + ("" if head.query is None else f"?{head.query}")
    length = None if head.length is None else len(body)
    framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    raw = write_request(
        head, target, head.host or b"up", ConfiguredHeaders(()),
        length=length, peer="127.0.0.1", request_id="id", strip_keys=False,
        secure=False,
    ) + (framed if length is None else body)  # fmt: skip
    again = reference.read(raw)
    assert again.end == len(raw)
    assert (again.method, again.target, again.body) == (head.method, target.encode(), body)
    own = HOP_BY_HOP | {
        b"host",
        b"content-length",
        b"expect",
        b"forwarded",
        b"x-request-id",
        b"x-model",
    }
    own |= {b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"} | head.connection
    kept = [(lower, value) for lower, dummy, value in head.fields if lower not in own]
    assert [one for one in again.fields if one[0] not in own or one in kept][: len(kept)] == kept
    heard = Heard(raw)
    assert (heard.agrees, heard.messages) == (True, 1)


# -- the whole router


class Pipe(asyncio.Transport):
    """A test double of a transport: remembers what is written, and has a socket nobody writes to."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__({"socket": sock, "peername": ("127.0.0.1", 1)})
        self.written = b""
        self.ended = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.ended, "written after the end"
        self.written += data

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        self.ended = True

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        self.ended = True

    abort = close

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        pass

    resume_reading = pause_reading

    def get_write_buffer_size(self) -> int:
        return 0


class Faults(logging.Handler):
    """Keeps what the router logs about faults of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.seen.append(self.format(record))


class Stack:
    """A router whose clients and backend are doubles. Needs a running loop."""

    def __init__(self) -> None:
        settings = {"allowed_paths": None, "models": {"m": {"upstreams": [{"url": "http://x"}]}}}
        self.router = Router(parse(json.dumps(settings), {}))
        self._sock, self._other = socket.socketpair()
        self._backends: list[tuple[UpstreamConnection, Pipe]] = []
        self._upstream = next(iter(self.router.table.routes.values())).targets[0].upstream
        self._upstream.connect = self._connect
        self._faults = Faults()
        log = logging.getLogger("onehop_router")
        log.addHandler(self._faults)
        log.propagate = False

    def close(self) -> None:
        """Let go of everything."""
        self.router.stop()
        logging.getLogger("onehop_router").removeHandler(self._faults)
        self._sock.close()
        self._other.close()

    def _connect(self, then: Any) -> None:
        connection, pipe = UpstreamConnection(self._upstream), Pipe(self._sock)
        connection.connection_made(pipe)
        self._backends.append((connection, pipe))
        then(connection, "")

    def check(self, pieces: list[bytes]) -> None:
        """Send these pieces as one client: the backend hears what the reference reads, no more."""
        self._backends.clear()
        client, pipe = ClientConnection(self.router), Pipe(self._sock)
        client.connection_made(pipe)
        heard: list[reference.Request] = []
        for piece in pieces:
            if not pipe.ended:
                client.data_received(piece)
            while self._answer(heard):
                pass
        client.connection_lost(None)
        for connection, dummy in list(self._backends):
            connection.connection_lost(None)
        self._upstream._idle.clear()
        assert self._faults.seen == []
        assert (self.router.limits.active, self.router.limits.held_bytes) == (0, 0)
        expected, end = reference.read_all(b"".join(pieces))
        check_heard(heard, expected)
        check_told(pipe.written, len(expected), end)

    def _answer(self, heard: list[reference.Request]) -> bool:
        """Have the backends answer a request that has come whole; False where none has."""
        for connection, pipe in self._backends:
            if connection.receiver is None or not pipe.written or pipe.ended:
                continue
            try:
                request = reference.read(pipe.written)
            except reference.More:
                continue
            assert request.end == len(pipe.written), "two requests on a connection at once"
            heard.append(request)
            pipe.written = b""
            length = b"0" if request.method == b"HEAD" else b"2"
            body = b"" if request.method == b"HEAD" else b"ok"
            connection.data_received(
                b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\n" + body
            )
            return True
        return False


def check_heard(heard: list[reference.Request], expected: list[reference.Request]) -> None:
    """The backend's requests are some of the client's, in their order, with their bodies."""
    left = iter(expected)
    for request in heard:
        for one in left:
            path = one.target.split(b"?")[0].rpartition(b"/")[2]
            # The root of a route, and of a server, has no name that would stay.
            named = path in request.target or request.target.split(b"?")[0] == b"/"
            if named and (one.method, one.body) == (request.method, request.body):
                break
        else:
            raise AssertionError(f"the backend heard what nobody sent: {request}")


def check_told(written: bytes, most: int, end: str) -> None:
    """The client gets at most an answer a request, and one refusal, which is the last."""
    answers = []
    while written:
        head, dummy, written = written.partition(b"\r\n\r\n")
        status = int(head.split(b" ")[1])
        if status == 100:
            continue
        length = [one for one in head.lower().split(b"\r\n") if one.startswith(b"content-length:")]
        size = int(length[0].split(b":")[1]) if length else 0
        if written.startswith(b"HTTP/1.1 ") or not written:
            # An answer to HEAD: its length is the one that GET would have had.
            size = 0
        written = written[size:]
        answers.append((status, b"connection: close" in head.lower()))
    assert all(not closes for dummy, closes in answers[:-1]), "an answer after the last one"
    assert len(answers) <= most + (end != "nothing")
    if end == "bad" and answers and len(answers) == most + 1:
        assert answers[-1][1], "refused and not closed"
