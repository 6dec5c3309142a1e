# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads and chunked bodies: what is accepted, what is refused, and that splitting is no matter."""

from __future__ import annotations

from itertools import pairwise

import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from router_harness import Message, Wire, backend, model, router, run

from onehop_router import framing
from onehop_router.errors import Refusal
from onehop_router.framing import ChunkedBody, LengthBody, RequestHead, parse_head

H = b"Host: a\r\n"


def test_wrong_versions_and_expectations_have_their_own_status():
    for head, status in (
        (b"GET / HTTP/2.0\r\n" + H + b"\r\n", 505),
        (b"GET / HTTP/1.2\r\n" + H + b"\r\n", 505),
        (b"GET / HTTP/1.1\r\n" + H + b"Expect: magic\r\n\r\n", 417),
    ):
        with pytest.raises(Refusal) as refusal:
            parse_head(head)
        assert refusal.value.status == status


def test_accepted_heads():
    head = parse_head(b"GET http://b.example:8080?x=1 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (head.path, head.query, head.host) == ("/", "x=1", b"b.example:8080")
    head = parse_head(b"POST /v1/x? HTTP/1.1\r\nHOST: [::1]:80\r\nX:\t a \t\r\nX: b\r\n\r\n")
    assert (head.path, head.query, head.host) == ("/v1/x", "", b"[::1]:80")
    assert [field for field in head.fields if field[0] == b"x"] == [
        (b"x", b"X", b"a"),
        (b"x", b"X", b"b"),
    ]
    head = parse_head(b"GET / HTTP/1.0\r\n\r\n")
    assert (head.host, head.keep_alive, head.length) == (None, False, 0)
    head = parse_head(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\nConnection: y\r\n\r\n")
    assert head.connection == {b"x", b"close", b"y"}
    assert not head.keep_alive


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\n", b"\r\n", b"-1\r\n", b"+1\r\n", b"0x1\r\n", b"1 \r\n", b"1\n", b"1\r\r\n",
        b"3\r\nabcd\r\n", b"3\r\nabc\n", b"1;\x00\r\n", b"1;a\nb\r\n", b"0\r\nbad trailer\r\n\r\n",
        b"0\r\nX: \x00\r\n\r\n", b"0\r\n X: folded\r\n\r\n", b"0\n\n", b"0\r\n\n", b"f" * 17,
        b"1;" + b"x" * 300, b"0\r\nX: " + b"x" * 20000, b"1 ;a\r\n", b"1;\r\n", b"0\r\nHost: b\r\n\r\n", b"1_0\r\n", b"fffffffffffff\r\n",
    ],
)  # fmt: skip
def test_malformed_chunks_are_refused(body):
    with pytest.raises(Refusal):
        ChunkedBody().feed(body + b"\r\n" * 200 if body == b"f" * 17 else body)


def test_tiny_chunks_take_linear_time():
    # 40 000 chunks in one read; copying the rest for each would move 10 GB.
    reader = ChunkedBody()
    pieces, rest = reader.feed(b"1\r\nx\r\n" * 40_000 + b"0\r\n\r\nnext")
    assert (len(pieces), rest) == (40_000, b"next")


chunks = st.lists(st.binary(min_size=1, max_size=40), max_size=8)
cuts = st.lists(st.integers(0, 400), max_size=12)


def _cut(data: bytes, at: list[int]) -> list[bytes]:
    marks = sorted({one for one in at if one < len(data)} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(marks)]


@settings(max_examples=200, deadline=None)
@given(
    chunks, cuts, st.sampled_from([b"", b";a=b", b";q;r=s"]), st.sampled_from([b"", b"X: y\r\n"])
)
def test_any_splitting_of_a_chunked_body_gives_the_same(parts, at, extension, trailer):
    data = b"".join(b"%x%b\r\n%b\r\n" % (len(one), extension, one) for one in parts)
    data += b"0\r\n" + trailer + b"\r\nNEXT"
    reader = ChunkedBody()
    body, rest = b"", None
    for piece in _cut(data, at):
        if rest is not None:
            rest += piece
            continue
        pieces, rest = reader.feed(piece)
        body += b"".join(pieces)
    assert body == b"".join(parts)
    assert rest == b"NEXT"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), cuts)
def test_any_splitting_of_a_sized_body_gives_the_same(body, at):
    reader = LengthBody(len(body)) if body else None
    if reader is None:
        return
    got, rest = b"", None
    for piece in _cut(body + b"NEXT", at):
        if rest is not None:
            rest += piece
            continue
        pieces, rest = reader.feed(piece)
        got += b"".join(pieces)
    assert (got, rest) == (body, b"NEXT")


class Heard:
    """What llhttp makes of a request."""

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.whole = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.whole = True


odd = st.sampled_from(
    [b"\r\n", b"\n", b"\r", b"\x00", b" ", b"\t", b":", b"0", b"3", b"a", b";", b"Host: a",
     b"Content-Length: 3", b"Transfer-Encoding: chunked", b"chunked", b",", b"\x80", b"\x7f"]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(odd, max_size=12))
def test_no_head_is_accepted_that_llhttp_reads_otherwise(junk):
    raw = b"POST / HTTP/1.1\r\nHost: x\r\n" + b"".join(junk) + b"\r\n\r\n"
    raw = raw[: raw.index(b"\r\n\r\n") + 4]
    try:
        head = parse_head(raw)
    except Refusal as refusal:
        assert refusal.status in (400, 417, 505)
        return
    heard = Heard()
    httptools.HttpRequestParser(heard).feed_data(raw)
    fields = [(name, value.strip(b" \t")) for name, value in heard.fields]
    lengths = [int(value) for name, value in fields if name.lower() == b"content-length"]
    assert lengths == ([head.length] if head.sized else [])
    assert [(name, value) for dummy, name, value in head.fields] == [
        field for field in fields if field[0].lower() != b"content-length"
    ]


def _seen(raw: bytes) -> object:
    try:
        head = parse_head(raw)
    except Refusal as refusal:
        return refusal.code, refusal.message
    return [getattr(head, name) for name in RequestHead.__slots__ if name != "written"]


figures = st.sampled_from(
    [b"", b"0", b"7", b"007", b"42", b"-1", b"+1", b"4 2", b"0x1", b"1" * 15, b"1" * 16]
)
spellings = st.sampled_from(
    [b"Content-Length: ", b"content-length: ", b"CONTENT-LENGTH: ", b"Content-Length:", b"X: "]
)
sized = st.tuples(spellings, st.sampled_from([b"", b"\r\n", b"\r\nExpect: 100-continue"]))


@settings(max_examples=600, deadline=None)
@given(st.lists(sized, min_size=1, max_size=3), st.lists(figures, min_size=6, max_size=6), odd)
def test_what_was_read_before_changes_nothing(lines, numbers, junk):
    # Heads that differ in their lengths only, or seem to, one after the other: each is read as
    # if none had been read before.
    def head(some: list[bytes]) -> bytes:
        fields = b"".join(
            name + number + end + b"\r\n" for (name, end), number in zip(lines, some, strict=False)
        )
        raw = b"POST /a?b HTTP/1.1\r\nHost: x\r\n" + fields + b"Y: " + junk + b"\r\n\r\n"
        return raw[: raw.index(b"\r\n\r\n") + 4]

    heads = [head(numbers[:3]), head(numbers[3:]), head(numbers[1:4]), head(numbers[:3])]
    fresh = []
    for raw in heads:
        framing._known.clear()
        fresh.append(_seen(raw))
    framing._known.clear()
    assert [_seen(raw) for raw in heads] == fresh


def test_what_is_remembered_of_heads_is_bounded():
    for count in range(1000):
        parse_head(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % count)
    assert 0 < len(framing._known) <= 128
    framing._known.clear()
    parse_head(b"GET / HTTP/1.1\r\nHost: x\r\nY: %b\r\n\r\n" % (b"y" * 5000))
    with pytest.raises(Refusal):
        parse_head(b"GET / HTTP/1.1\r\n\r\n")
    assert not framing._known


def test_heads_that_are_alike_are_changed_alone():
    raw = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    first = parse_head(raw % 10)
    first.keep_alive = False
    second = parse_head(raw % 0)
    assert second.keep_alive
    assert (second.length, second.sized) == (0, True)
    assert parse_head(raw % 12345).length == 12345
    assert second.fields is parse_head(raw % 7).fields


@settings(max_examples=300, deadline=None)
@given(st.lists(odd, max_size=14))
def test_no_chunked_body_is_accepted_that_llhttp_reads_otherwise(junk):
    data = b"".join(junk) + b"0\r\n\r\n"
    reader = ChunkedBody()
    try:
        pieces, rest = reader.feed(data)
    except Refusal as refusal:
        assert refusal.code == "bad_request"
        return
    if rest is None:
        return
    heard = Heard()
    parser = httptools.HttpRequestParser(heard)
    parser.feed_data(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    parser.feed_data(data[: len(data) - len(rest)])
    assert heard.whole
    assert heard.body == b"".join(pieces)


def test_a_refused_request_does_not_hide_the_next_one():
    # A refused body is read over, so that its bytes are never taken for a request.
    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            inner = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
            wire.send(
                b"POST /admin HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b"
                % (len(inner), inner)
                + b"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n"
            )
            assert (await wire.read()).status == 404
            assert (await wire.read()).json["object"] == "list"

    run(work())


def test_long_heads_have_a_limit():
    async def work():
        async with router({}) as front:
            fine = await front.ask(f"GET /health HTTP/1.1\r\nHost: a\r\nX: {'x' * 60000}\r\n\r\n")
            assert fine.status == 200
            wire = await front.connect()
            wire.send("GET /health HTTP/1.1\r\nHost: a\r\nX: " + "x" * 70000)
            answer: Message = await wire.read()
            assert (answer.status, answer.get("connection")) == (431, "close")
            assert isinstance(wire, Wire)

    run(work())
