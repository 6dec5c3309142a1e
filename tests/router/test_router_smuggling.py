# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that two servers would read differently, and clients that never come to an end.

Each is sent to a router with a request behind it that would be fine by itself. What is refused ends
the connection, and neither of the two reaches the backend, which is a test double.
"""

from __future__ import annotations

import asyncio

import pytest
from router_harness import CHAT, Running, Wire, backend, get, model, post, router, run, until

from onehop_router.router import Timeouts

H = b"Host: a\r\n"
NEXT = b'POST /v1/completions HTTP/1.1\r\nHost: b\r\nContent-Length: 13\r\n\r\n{"model":"m"}'
BODY = b'{"model":"m"}'


def fields(*lines: bytes, body: bytes = b"") -> bytes:
    """A POST with these lines of its head."""
    return b"POST /v1/completions HTTP/1.1\r\n" + H + b"".join(lines) + b"\r\n" + body


def coded(*lines: bytes) -> bytes:
    """A POST with a chunked body, its Transfer-Encoding written in some other way."""
    return fields(*lines, body=b"d\r\n" + BODY + b"\r\n0\r\n\r\n")


def chunks(*lines: bytes) -> bytes:
    """A POST with this for a chunked body."""
    return fields(b"Transfer-Encoding: chunked\r\n", body=b"".join(lines))


def line(text: bytes) -> bytes:
    """A request with this for its first line."""
    return text + b"\r\n" + H + b"\r\n"


CL, TE = b"Content-Length: ", b"Transfer-Encoding: "
WHOLE = b"d\r\n" + BODY + b"\r\n"

REFUSED: dict[str, dict[str, bytes]] = {
    "length against coding": {
        "CL.TE": coded(CL + b"13\r\n", TE + b"chunked\r\n"),
        "TE.CL": coded(TE + b"chunked\r\n", CL + b"4\r\n"),
        "CL of nothing": coded(CL + b"0\r\n", TE + b"chunked\r\n"),
        "TE of identity": fields(TE + b"identity\r\n", CL + b"13\r\n", body=BODY),
        "bad CL beside TE": coded(CL + b"x\r\n", TE + b"chunked\r\n"),
        "CL beside unknown TE": fields(CL + b"13\r\n", TE + b"cow\r\n", body=BODY),
        "in HTTP/1.0": coded(TE + b"chunked\r\n").replace(b"HTTP/1.1", b"HTTP/1.0"),
    },
    "coding, disguised": {
        "xchunked": coded(TE + b"xchunked\r\n"),
        "chunked and identity": coded(TE + b"chunked, identity\r\n"),
        "identity and chunked": coded(TE + b"identity, chunked\r\n"),
        "gzip and chunked": coded(TE + b"gzip, chunked\r\n"),
        "chunked and chunked": coded(TE + b"chunked, chunked\r\n"),
        "chunked and nothing": coded(TE + b"chunked,\r\n"),
        "nothing and chunked": coded(TE + b",chunked\r\n"),
        "nothing": coded(TE + b"\r\n"),
        "quoted": coded(TE + b'"chunked"\r\n'),
        "with parameter": coded(TE + b"chunked;q=1\r\n"),
        "cut": coded(TE + b"chunke\r\n"),
        "two words": coded(TE + b"chunked chunked\r\n"),
        "VT before": coded(TE + b"\x0bchunked\r\n"),
        "VT after": coded(TE + b"chunked\x0b\r\n"),
        "FF before": coded(TE + b"\x0cchunked\r\n"),
        "NUL after": coded(TE + b"chunked\0\r\n"),
        "CR before": coded(TE + b"\rchunked\r\n"),
        "no-break space before": coded(TE + b"\xa0chunked\r\n"),
        "two lines": coded(TE + b"chunked\r\n", TE + b"chunked\r\n"),
        "two lines that differ": coded(TE + b"chunked\r\n", TE + b"identity\r\n"),
        "two lines in two cases": coded(TE + b"x\r\n", b"transfer-ENCODING: chunked\r\n"),
        "folded": coded(b"Transfer-Encoding:\r\n chunked\r\n"),
        "folded by a tab": coded(b"Transfer-Encoding:\r\n\tchunked\r\n"),
        "space before the colon": coded(b"Transfer-Encoding : chunked\r\n"),
        "tab before the colon": coded(b"Transfer-Encoding\t: chunked\r\n"),
        "CR before the colon": coded(b"Transfer-Encoding\r: chunked\r\n"),
        "space before the name": coded(b" Transfer-Encoding: chunked\r\n"),
        "NUL before the name": coded(b"\0Transfer-Encoding: chunked\r\n"),
        "behind a bare LF": coded(b"X: y\nTransfer-Encoding: chunked\r\n"),
        "behind a bare CR": coded(b"X: y\rTransfer-Encoding: chunked\r\n"),
        "no colon": coded(b"Transfer-Encoding chunked\r\n"),
    },
    "lengths": {
        "twice": fields(CL + b"13\r\n", CL + b"13\r\n", body=BODY),
        "twice, differently": fields(CL + b"13\r\n", CL + b"0\r\n", body=BODY),
        "twice, in two cases": fields(CL + b"13\r\n", b"content-length: 0\r\n", body=BODY),
        "a list": fields(CL + b"13, 13\r\n", body=BODY),
        "a list that differs": fields(CL + b"13,0\r\n", body=BODY),
        "plus": fields(CL + b"+13\r\n", body=BODY),
        "minus": fields(CL + b"-13\r\n", body=BODY),
        "minus zero": fields(CL + b"-0\r\n"),
        "hex": fields(CL + b"0xd\r\n", body=BODY),
        "hex digit": fields(CL + b"d\r\n", body=BODY),
        "underscore": fields(CL + b"1_3\r\n", body=BODY),
        "space inside": fields(CL + b"1 3\r\n", body=BODY),
        "fraction": fields(CL + b"13.0\r\n", body=BODY),
        "exponent": fields(CL + b"13e0\r\n", body=BODY),
        "quoted": fields(CL + b'"13"\r\n', body=BODY),
        "VT": fields(CL + b"\x0b13\r\n", body=BODY),
        "NUL": fields(CL + b"13\0\r\n", body=BODY),
        "empty": fields(CL + b"\r\n"),
        "Arabic digits": fields(CL + "١٣".encode() + b"\r\n", body=BODY),
        "superscript": fields(CL + b"1\xb3\r\n", body=BODY),
        "2 to the 64th and 13": fields(CL + b"18446744073709551629\r\n", body=BODY),
        "2 to the 32nd, many zeros": fields(CL + b"0" * 40 + b"4294967309\r\n", body=BODY),
        "a thousand digits": fields(CL + b"9" * 1000 + b"\r\n", body=BODY),
        "folded": fields(b"Content-Length: 1\r\n 3\r\n", body=BODY),
        "space before the colon": fields(b"Content-Length : 13\r\n", body=BODY),
        "behind a bare LF": fields(b"X: y\nContent-Length: 13\r\n", body=BODY),
    },
    "folds and line ends": {
        "fold": fields(b"X: a\r\n b\r\n"),
        "fold of the first field": b"GET / HTTP/1.1\r\n X: a\r\n" + H + b"\r\n",
        "fold of nothing": fields(b"X: a\r\n \r\n"),
        "fold of Host": b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
        "bare LF after the request line": b"GET /health HTTP/1.1\n" + H + b"\r\n",
        "bare LF after a field": b"GET /health HTTP/1.1\r\nHost: a\n\r\n\r\n",
        "bare LFs all over": b"GET /health HTTP/1.1\nHost: a\n\n",
        "bare LF at the end": b"GET /health HTTP/1.1\r\nHost: a\r\n\n",
        "bare CR after the request line": b"GET /health HTTP/1.1\r" + H + b"\r\n",
        "bare CR in the request line": line(b"GET /health\r HTTP/1.1"),
        "bare CR in a name": fields(b"X\rY: a\r\n"),
        "bare CR in a value": fields(b"X: a\rY: b\r\n"),
        "CR CR LF": fields(b"X: a\r\r\n"),
        "bare LF in the target": line(b"GET /hea\nlth HTTP/1.1"),
        "bare CR first": b"\rGET /health HTTP/1.1\r\n" + H + b"\r\n",
        "bare LF first": b"\nGET /health HTTP/1.1\r\n" + H + b"\r\n",
        "space first": b" GET /health HTTP/1.1\r\n" + H + b"\r\n",
    },
    "NUL and other controls": {
        "in the method": line(b"GE\0T /health HTTP/1.1"),
        "in the target": line(b"GET /hea\0lth HTTP/1.1"),
        "in the version": line(b"GET /health HTTP/1.1\0"),
        "in a name": fields(b"X\0: a\r\n"),
        "in a value": fields(b"X: a\0b\r\n"),
        "DEL in a value": fields(b"X: a\x7fb\r\n"),
        "escape in a value": fields(b"X: a\x1b[2Jb\r\n"),
        "tab in the target": line(b"GET /hea\tlth HTTP/1.1"),
        "raw UTF-8 in the target": line("GET /é HTTP/1.1".encode()),
        "raw UTF-8 in a name": fields("é: a\r\n".encode()),
    },
    "names": {
        "no colon": fields(b"X\r\n"),
        "empty": fields(b": x\r\n"),
        "brackets": fields(b"X(y): x\r\n"),
        "space": fields(b"X y: x\r\n"),
    },
    "request lines": {
        "two spaces": line(b"GET  /health HTTP/1.1"),
        "tab for a space": line(b"GET\t/health HTTP/1.1"),
        "space at the end": line(b"GET /health HTTP/1.1 "),
        "three words": line(b"GET /health x HTTP/1.1"),
        "no version": line(b"GET /health"),
        "HTTP/0.9": b"GET /health\r\n",
        "HTTP/0.9 with an empty line": b"GET /health\r\n\r\n",
        "version of one digit": line(b"GET /health HTTP/1"),
        "version of three digits": line(b"GET /health HTTP/1.10"),
        "version with a sign": line(b"GET /health HTTP/+1.1"),
        "version with a zero": line(b"GET /health HTTP/01.1"),
        "lower-case version": line(b"GET /health http/1.1"),
        "a protocol that llhttp knows": line(b"SOURCE /health ICE/1.0"),
        "another protocol": line(b"GET /health RTSP/1.0"),
        "no method": line(b" /health HTTP/1.1"),
        "lower-case method": line(b"get /health HTTP/1.1"),
        "odd method": line(b"G(ET /health HTTP/1.1"),
        "long method": line(b"G" * 4000 + b" /health HTTP/1.1"),
    },
    "targets": {
        "fragment": line(b"GET /health#x HTTP/1.1"),
        "no slash": line(b"GET health HTTP/1.1"),
        "authority": line(b"GET a:80 HTTP/1.1"),
        "CONNECT": line(b"CONNECT a:80 HTTP/1.1"),
        "CONNECT to a URL": line(b"CONNECT http://a/ HTTP/1.1"),
        "star": line(b"GET * HTTP/1.1"),
        "user": line(b"GET http://u@a/health HTTP/1.1"),
        "user and password": line(b"GET http://u:p@a/health HTTP/1.1"),
        "user that is a host": line(b"GET http://a:80@b/health HTTP/1.1"),
        "back slash": line(b"GET http://a\\@b/health HTTP/1.1"),
        "no host": line(b"GET http:///health HTTP/1.1"),
        "only a port": line(b"GET http://:80/health HTTP/1.1"),
        "one slash": line(b"GET http:/health HTTP/1.1"),
        "unknown scheme": line(b"GET ftp://a/health HTTP/1.1"),
        "file": line(b"GET file:///etc/passwd HTTP/1.1"),
        "half a bracket": line(b"GET http://[::1/health HTTP/1.1"),
        "port of letters": line(b"GET http://a:b/health HTTP/1.1"),
        "without Host field": b"GET http://a/health HTTP/1.1\r\n\r\n",
        "with a bad Host field": b"GET http://a/health HTTP/1.1\r\nHost: a b\r\n\r\n",
    },
    "hosts": {
        "none": b"GET /health HTTP/1.1\r\n\r\n",
        "two": b"GET /health HTTP/1.1\r\n" + H + b"Host: b\r\n\r\n",
        "the same twice": b"GET /health HTTP/1.1\r\n" + H + H + b"\r\n",
        "two in two cases": b"GET /health HTTP/1.1\r\n" + H + b"hOST: b\r\n\r\n",
        "a list": b"GET /health HTTP/1.1\r\nHost: a, b\r\n\r\n",
        "a path": b"GET /health HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "a user": b"GET /health HTTP/1.1\r\nHost: u@a\r\n\r\n",
        "a query": b"GET /health HTTP/1.1\r\nHost: a?b\r\n\r\n",
        "a space": b"GET /health HTTP/1.1\r\nHost: a b\r\n\r\n",
        "a URL": b"GET /health HTTP/1.1\r\nHost: http://a\r\n\r\n",
    },
    "sizes of chunks": {
        "none": chunks(b"\r\n", WHOLE, b"0\r\n\r\n"),
        "word": chunks(b"zz\r\n"),
        "0x": chunks(b"0xd\r\n", BODY, b"\r\n0\r\n\r\n"),
        "minus": chunks(b"-d\r\n"),
        "plus": chunks(b"+d\r\n", BODY, b"\r\n0\r\n\r\n"),
        "underscore": chunks(b"0_d\r\n", BODY, b"\r\n0\r\n\r\n"),
        "space before": chunks(b" d\r\n", BODY, b"\r\n0\r\n\r\n"),
        "space after": chunks(b"d \r\n", BODY, b"\r\n0\r\n\r\n"),
        "tab after": chunks(b"d\t\r\n", BODY, b"\r\n0\r\n\r\n"),
        "NUL after": chunks(b"d\0\r\n", BODY, b"\r\n0\r\n\r\n"),
        "2 to the 64th": chunks(b"10000000000000000\r\n"),
        "2 to the 64th and 13": chunks(b"1000000000000000d\r\n", BODY, b"\r\n0\r\n\r\n"),
        "2 to the 63rd": chunks(b"8000000000000000\r\n"),
        "2 to the 32nd and 13, padded": chunks(b"00000000010000000d\r\n"),
        "a thousand digits": chunks(b"f" * 1000),
        "fraction": chunks(b"d.0\r\n"),
        "quoted": chunks(b'"d"\r\n'),
        "wide digits": chunks("１\r\n".encode()),
        "bare LF": chunks(b"d\n", BODY, b"\r\n0\r\n\r\n"),
        "bare CR": chunks(b"d\r", BODY, b"\r\n0\r\n\r\n"),
        "CR CR LF": chunks(b"d\r\r\n", BODY, b"\r\n0\r\n\r\n"),
        "last one with bare LFs": chunks(WHOLE, b"0\n\n"),
        "last one with a bare LF": chunks(WHOLE, b"0\r\n\n"),
    },
    "data of chunks": {
        "one byte more": chunks(b"c\r\n", BODY, b"\r\n0\r\n\r\n"),
        "one byte fewer": chunks(b"e\r\n", BODY, b"\r\n0\r\n\r\n"),
        "no line end": chunks(b"d\r\n", BODY, b"0\r\n\r\n"),
        "bare LF behind": chunks(b"d\r\n", BODY, b"\n0\r\n\r\n"),
        "bare CR behind": chunks(b"d\r\n", BODY, b"\r0\r\n\r\n"),
        "two letters behind": chunks(b"d\r\n", BODY, b"XX0\r\n\r\n"),
    },
    "extensions of chunks": {
        "quoted": chunks(b'd;a="b"\r\n', BODY, b"\r\n0\r\n\r\n"),
        "a line end, quoted": chunks(b'd;a="\r\n', BODY, b'\r\n0\r\n\r\n"\r\n'),
        "bare LF": chunks(b"d;a\nb\r\n", BODY, b"\r\n0\r\n\r\n"),
        "bare CR": chunks(b"d;a\rb\r\n", BODY, b"\r\n0\r\n\r\n"),
        "NUL": chunks(b"d;\0\r\n", BODY, b"\r\n0\r\n\r\n"),
        "nothing": chunks(b"d;\r\n", BODY, b"\r\n0\r\n\r\n"),
        "nothing, twice": chunks(b"d;;a\r\n", BODY, b"\r\n0\r\n\r\n"),
        "space before": chunks(b"d ;a\r\n", BODY, b"\r\n0\r\n\r\n"),
        "no value": chunks(b"d;a=\r\n", BODY, b"\r\n0\r\n\r\n"),
        "huge": chunks(b"d;" + b"x" * 5000 + b"\r\n", BODY, b"\r\n0\r\n\r\n"),
        "huge, without an end": chunks(b"d;" + b"x" * 5000),
    },
    "trailers": {
        "length": chunks(WHOLE, b"0\r\nContent-Length: 5\r\n\r\n"),
        "coding": chunks(WHOLE, b"0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        "coding in another case": chunks(WHOLE, b"0\r\ntRANSFER-encoding: chunked\r\n\r\n"),
        "host": chunks(WHOLE, b"0\r\nHost: b\r\n\r\n"),
        "connection": chunks(WHOLE, b"0\r\nConnection: close\r\n\r\n"),
        "a request": chunks(WHOLE, b"0\r\n" + NEXT),
        "no colon": chunks(WHOLE, b"0\r\nbad\r\n\r\n"),
        "fold": chunks(WHOLE, b"0\r\nX: a\r\n b\r\n\r\n"),
        "space before the colon": chunks(WHOLE, b"0\r\nX : a\r\n\r\n"),
        "NUL": chunks(WHOLE, b"0\r\nX: \0\r\n\r\n"),
        "bare LF": chunks(WHOLE, b"0\r\nX: a\n\r\n"),
        "bare CR": chunks(WHOLE, b"0\r\nX: a\rY: b\r\n\r\n"),
        "huge": chunks(WHOLE, b"0\r\nX: " + b"x" * 20000 + b"\r\n\r\n"),
        "many": chunks(WHOLE, b"0\r\n", b"X: y\r\n" * 5000, b"\r\n"),
    },
}  # fmt: skip


async def refused(front: Running, raw: bytes, status: int = 400) -> None:
    """Send it with a fine request behind it: one refusal comes, and then the end."""
    wire = await front.connect()
    wire.send(raw + NEXT)
    answer = await wire.read()
    assert (answer.status, answer.get("connection")) == (status, "close")
    assert answer.json["error"]["code"]
    assert await wire.ended()
    wire.close()


@pytest.mark.parametrize("group", REFUSED)
def test_refused(group):
    # A head that takes longer than the test would show: nothing here may wait for more.
    patient = Timeouts(head=300, body=300, sweep=0.02)

    async def work():
        async with backend() as engine:
            async with router({"m": model(engine.url)}, timeouts=patient) as front:
                for name, raw in REFUSED[group].items():
                    try:
                        await refused(front, raw)
                    except Exception as error:
                        raise AssertionError(name) from error
                assert engine.connections == 0
                assert front.router.limits.active == front.router.limits.held_bytes == 0

    run(work())


BY_PATH = b"POST /route/m/v1/audio/transcriptions HTTP/1.1"


@pytest.mark.parametrize("group", [one for one in REFUSED if "chunk" in one or one == "trailers"])
def test_a_body_that_streams_is_never_whole_to_the_backend(group):
    # Here the backend is asked before the fault can be known; it must not take a part for all.
    async def reading(request, wire: Wire) -> None:
        heard.append(b"")
        while data := await wire.reader.read(65536):
            heard[-1] += data

    heard: list[bytes] = []

    async def work():
        async with backend(reading, raw=True) as engine, router({"m": model(engine.url)}) as front:
            for name, raw in REFUSED[group].items():
                await refused(front, raw.replace(b"POST /v1/completions HTTP/1.1", BY_PATH, 1))
                assert front.router.limits.active == 0, name
            front.router.stop()
            await until(lambda: not engine.open)

    run(work())
    assert not [one for one in heard if one.endswith(b"\r\n0\r\n\r\n") or b"/completions" in one]


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (line(b"GET /health HTTP/2.0"), 505),
        (line(b"GET /health HTTP/1.2"), 505),
        (line(b"GET /health HTTP/9.9"), 505),
        (line(b"GET /health HTTP/0.9"), 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", 505),
        (fields(b"Expect: 200-ok\r\n"), 417),
        (fields(b"Expect: 100-continue\r\n", b"Expect: 100-continue\r\n"), 400),
    ],
)
def test_refused_with_a_status_of_their_own(raw, status):
    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            await refused(front, raw, status)
            assert engine.connections == 0

    run(work())


CLIENT_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(range(190))


@pytest.mark.parametrize(
    "raw",
    [CLIENT_HELLO, CLIENT_HELLO[:5], b"GET /health\r\n", b"SSH-2.0-x\r\n", b"\x04\x01\0P\0\0\0\1",
     b"\x05\x01\0", b"HELP\r\n", b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n", b"{\"model\":\"m\"}"],
)  # fmt: skip
def test_another_protocol_is_refused_at_its_first_bytes(raw):
    async def work():
        async with router({}, timeouts=Timeouts(head=300, sweep=0.02)) as front:
            wire = await front.connect()
            wire.send(raw)
            answer = await wire.read()
            assert (answer.status, answer.get("connection")) == (400, "close")
            assert await wire.ended()

    run(work())


def test_a_head_that_begins_well_is_waited_for_at_every_byte():
    whole = b"\r\n" + b"OPTIONS /health?a=b HTTP/1.1\r\nHost: a\r\n\r\n"

    async def work():
        async with router({}) as front:
            for end in range(1, len(whole)):
                wire = await front.connect()
                wire.send(whole[:end])
                await asyncio.sleep(0)
                wire.send(whole[end:])
                assert (await wire.read()).status == 405, whole[:end]
                wire.close()

    run(work())


def test_between_fine_requests_a_refused_one_is_the_last():
    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            for bad in (fields(CL + b"+1\r\n"), chunks(b"zz\r\n"), line(b"GET /a b HTTP/1.1")):
                engine.requests.clear()
                wire = await front.connect()
                wire.send(NEXT + bad + NEXT + NEXT)
                assert (await wire.read()).status == 200
                assert (await wire.read()).status == 400
                assert await wire.ended()
                assert len(engine.requests) == 1

    run(work())


def test_what_was_refused_for_its_meaning_is_read_over_and_the_next_is_served():
    # The framing is sound: here the connection may go on, and bodies are never taken for heads.
    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            wire.send(post(NEXT, "/admin") + post(NEXT) + post(b'{"model":"?"}') + NEXT)
            assert [(await wire.read()).status for dummy in range(4)] == [404, 400, 404, 200]
            assert [one.body for one in engine.requests] == [BODY]

    run(work())


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        (CL + b" \t13 \t\r\n", ["content-length: 13"]),
        (CL + b"0013\r\n", ["content-length: 13"]),
        (b"Content_Length: 5\r\n" + CL + b"13\r\n", ["content-length: 13"]),
        (b"X-Content-Length: 5\r\n" + CL + b"13\r\n", ["content-length: 13"]),
        (b"Connection: content-length\r\n" + CL + b"13\r\n", ["content-length: 13"]),
        (b"Connection: transfer-encoding, host\r\n" + CL + b"13\r\n", ["content-length: 13"]),
    ],
)
def test_a_length_is_written_anew(given, seen):
    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            wire.send(fields(given, body=BODY) + get("/health"))
            assert (await wire.read()).status == 200
            assert (await wire.read()).json["status"] == "ok"
            framing = [
                f"{name.lower()}: {value}"
                for name, value in engine.last.fields
                if name.lower() in ("content-length", "transfer-encoding")
            ]
            assert framing == seen
            assert engine.last.body == BODY
            assert engine.last.all("host") == ["a"]

    run(work())


@pytest.mark.parametrize("value", [b"chunked", b"CHUNKED", b" \t chunked", b"Chunked"])
def test_a_coding_is_written_anew(value):
    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            head = BY_PATH + b"\r\n" + H + b"Transfer-Encoding:" + value + b"\r\n\r\n"
            answer = await front.ask(head + WHOLE + b"0;x=y\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n")
            assert answer.status == 200
            assert engine.last.all("transfer-encoding") == ["chunked"]
            assert engine.last.all("content-length") == []
            assert (engine.last.body, engine.last.trailers) == (BODY, [])

    run(work())


def test_an_absolute_target_decides_the_host():
    # RFC 9112, 3.2.2: the Host field is not looked at, so it must not reach the backend either.
    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            for target, host in ((b"http://one.example", "one.example"), (b"HTTPS://b:1", "b:1")):
                raw = NEXT.replace(b"/v1/completions", target + b"/v1/completions?x", 1)
                assert (await front.ask(raw)).status == 200
                assert engine.last.all("host") == [host]
                assert engine.last.all("x-forwarded-host") == [host]
                assert engine.last.target == "/v1/completions?x"

    run(work())


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /health HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70000,
        b"GET /health HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70000 + b"\r\n\r\n",
        b"GET /" + b"x" * 70000,
        b"GET /health HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\n" + b"X:\r\n" * 20000,
        b"GET /health HTTP/1.1\r\nHost: a\r\n" + b"x" * 70000 + b": y\r\n\r\n",
    ],
    ids=["endless value", "long value", "target", "fields", "endless fields", "name"],
)
def test_a_head_that_is_too_long_is_431(raw):
    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            await refused(front, raw, 431)
            assert engine.connections == 0

    run(work())


def test_as_many_fields_as_fit_are_relayed():
    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            many = b"".join(b"X%d: y\r\n" % number for number in range(5000))
            assert (await front.ask(fields(many, CL + b"13\r\n", body=BODY))).status == 200
            assert len([one for one, dummy in engine.last.fields if one[1:].isdigit()]) == 5000

    run(work())


@pytest.mark.parametrize(
    "raw",
    [
        b"P",
        b"\r\n",
        NEXT[:40],
        NEXT[: NEXT.index(b"\r\n\r\n") + 2],
        NEXT[:-1],
        chunks(b"d\r\n", BODY),
        chunks(WHOLE, b"0\r\n"),
        chunks(WHOLE, b"0\r\nX: y\r\n"),
    ],
    ids=["a letter", "an empty line", "half a line", "a head without its end", "half a body",
         "half the chunks", "chunks without an end", "half a trailer"],
)  # fmt: skip
def test_who_stops_in_the_middle_is_told_and_closed(raw):
    async def work():
        brief = Timeouts(head=0.1, body=0.1, sweep=0.01)
        async with backend() as engine:
            async with router({"m": model(engine.url)}, timeouts=brief) as front:
                wire = await front.connect()
                wire.send(raw)
                if raw == b"\r\n":
                    # Nothing was asked yet, so nothing is said.
                    assert await wire.ended()
                else:
                    answer = await wire.read()
                    assert (answer.status, answer.get("connection")) == (408, "close")
                    assert await wire.ended()
                assert engine.connections == 0
                assert front.router.limits.active == front.router.limits.held_bytes == 0

    run(work())


def test_a_head_that_drips_does_not_live_longer_for_it():
    async def work():
        async with router({}, timeouts=Timeouts(head=0.2, sweep=0.01)) as front:
            wire = await front.connect()
            asyncio.get_running_loop().create_task(drip(wire))
            assert (await wire.read()).status == 408
            assert await wire.ended()

    async def drip(wire: Wire) -> None:
        wire.send("GET /health HTTP/1.1\r\nX: ")
        for dummy in range(1000):
            wire.send("x")
            await asyncio.sleep(0.01)

    run(work())


def test_the_next_head_has_its_own_time():
    async def work():
        async with backend() as engine:
            brief = Timeouts(head=0.2, idle=300, sweep=0.01)
            async with router({"m": model(engine.url)}, timeouts=brief) as front:
                wire = await front.connect()
                wire.send(post(CHAT))
                assert (await wire.read()).status == 200
                await asyncio.sleep(0.3)
                wire.send(post(CHAT)[:20])
                assert (await wire.read()).status == 408
                assert len(engine.requests) == 1

    run(work())
