# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios that one request and its answer cannot tell: each plays one, and says what it saw."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import tempfile

from conformance_case import M, ask, chunked
from router_harness import Message, Wire, backend, get, model, router, until

from onehop_router import pool
from onehop_router.config_reader import parse
from onehop_router.config_values import ConfigError
from onehop_router.router import Timeouts

BRIEF = 0.05
REQUEST = ask("POST /v1/completions", M)
OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@contextlib.contextmanager
def shortened(name: str):
    """A time of the pool's made short, and how long it is otherwise, in seconds."""
    usual = getattr(pool, name)
    setattr(pool, name, BRIEF)
    try:
        yield usual
    finally:
        setattr(pool, name, usual)


async def late_answer() -> str:
    async def late(request: Message, wire: Wire) -> None:
        await asyncio.sleep(0.4)
        wire.send(OK)

    brief = Timeouts(BRIEF, BRIEF, BRIEF, BRIEF, BRIEF, BRIEF, 0.01)
    async with backend(late) as engine, router({"m": model(engine.url)}, timeouts=brief) as front:
        return "waited for" if (await front.ask(REQUEST)).status == 200 else "given up"


async def unix_client() -> str:
    async with backend() as engine, router({"m": model(engine.url)}) as front:
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/http.sock"
            loop = asyncio.get_running_loop()
            server = await loop.create_unix_server(front.router.connection, path)
            wire = Wire(*await asyncio.open_unix_connection(path))
            wire.send(ask("POST /v1/completions", M, "X-Forwarded-For: 203.0.113.9"))
            assert (await wire.read()).status == 200
            wire.close()
            server.close()
        return engine.last.get("x-forwarded-for") or "absent"


async def continuations() -> str:
    async def continuing(request: Message, wire: Wire) -> None:
        wire.send("HTTP/1.1 100 Continue\r\n\r\n" + OK)

    head, end, body = ask("POST /v1/completions", M, "Expect: 100-continue").partition(b"\r\n\r\n")
    async with backend(continuing) as engine, router({"m": model(engine.url)}) as front:
        wire = await front.connect()
        wire.send(head + end)
        seen = [(await wire.read_head()).status]
        wire.send(body)
        while seen[-1] != 200:
            seen.append((await wire.read_head()).status)
        return {1: "one", 2: "two"}[seen.count(100)]


async def trailers_of_an_answer() -> str:
    async def trailing(request: Message, wire: Wire) -> None:
        wire.send(
            "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
            "2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n"
        )

    async with backend(trailing) as engine, router({"m": model(engine.url)}) as front:
        return "relayed" if (await front.ask(REQUEST)).trailers == ["X-Sum: 7"] else "dropped"


async def early_hints() -> str:
    async def hinting(request: Message, wire: Wire) -> None:
        wire.send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK)

    async with backend(hinting) as engine, router({"m": model(engine.url)}) as front:
        wire = await front.connect()
        wire.send(REQUEST)
        hints = await wire.read_head()
        assert (await wire.read()).body == b"ok"
        return "relayed" if (hints.status, hints.get("link")) == (103, "</x>") else "dropped"


async def upgrade() -> str:
    async def talk(request: Message, wire: Wire) -> None:
        wire.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n")
        wire.send("Upgrade: websocket\r\n\r\n")
        while data := await wire.reader.read(100):
            wire.send(data.upper())

    async with backend(talk) as engine, router({"m": model(engine.url)}) as front:
        wire = await front.connect()
        wire.send(get("/route/m/v1/realtime", "Connection: Upgrade", "Upgrade: websocket"))
        assert (await wire.read_head()).status == 101
        wire.send("hello")
        return "tunnel" if await wire.reader.readexactly(5) == b"HELLO" else "nothing"


async def place_given_back() -> str:
    async def stalling(request: Message, wire: Wire) -> None:
        if len(engine.requests) == 1:
            await wire.reader.read()
        wire.send(OK)

    async with backend(stalling) as engine:
        async with router({"m": model(engine.url)}, max_concurrent_requests=1) as front:
            leaver = await front.connect()
            leaver.send(REQUEST)
            await until(lambda: engine.requests)
            leaver.reset()
            await until(lambda: not front.router.limits.active)
            return "given back" if (await front.ask(REQUEST)).status == 200 else "lost"


async def path_routed_body_streams() -> str:
    async def reading(request: Message, wire: Wire) -> None:
        await wire.read_head()
        first.set_result(await wire.read_chunk())
        await wire.reader.readuntil(b"0\r\n\r\n")
        wire.send(OK)

    first: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    async with backend(reading, raw=True) as engine, router({"m": model(engine.url)}) as front:
        wire = await front.connect()
        wire.send(chunked("POST /route/m/v1/audio/transcriptions", b"early", end=b""))
        assert await first == b"early"
        wire.send("0\r\n\r\n")
        return "streamed" if (await wire.read()).status == 200 else "lost"


async def path_routed_over_the_cap() -> str:
    async def reading(request: Message, wire: Wire) -> None:
        seen.append(await wire.reader.readuntil(b"0123456789"))
        with contextlib.suppress(ConnectionError):
            seen.append(await wire.reader.read())
        seen.append(b"the end")

    seen: list[bytes] = []
    async with backend(reading, raw=True) as engine:
        async with router({"m": model(engine.url)}, max_body_bytes=16) as front:
            wire = await front.connect()
            path = "POST /route/m/v1/audio/transcriptions"
            wire.send(chunked(path, b"0123456789", end=b""))
            await until(lambda: seen)
            wire.send(b"a\r\n0123456789\r\n0\r\n\r\n")
            answer = await wire.read()
            await until(lambda: seen[-1] == b"the end")
            whole = seen[1].endswith(b"0\r\n\r\n")
            return f"{answer.status}, {'whole' if whole else 'truncated'} upstream"


async def slow_head() -> str:
    async with router({}, timeouts=Timeouts(head=BRIEF, sweep=0.01)) as front:
        wire = await front.connect()
        wire.send("GET /health HTTP/1.1\r\n")
        return f"{(await wire.read()).status} after {Timeouts().head:g} s"


async def idle_client() -> str:
    async with router({}, timeouts=Timeouts(idle=BRIEF, sweep=0.01)) as front:
        wire = await front.connect()
        wire.send(get("/health"))
        await wire.read()
        return f"closed after {Timeouts().idle:g} s" if await wire.ended() else "kept"


async def stalled_body() -> str:
    async with backend() as engine:
        brief = Timeouts(body=BRIEF, sweep=0.01)
        async with router({"m": model(engine.url)}, timeouts=brief) as front:
            wire = await front.connect()
            wire.send(REQUEST[:-1])
            return f"{(await wire.read()).status} after {Timeouts().body:g} s"


async def stuck_connect() -> str:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        # The kernel takes one connection more than it was told; the next ones get no answer.
        waiting = []
        for dummy in range(3):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(full.getsockname())
            waiting.append(one)
        with shortened("CONNECT_SECONDS") as usual:
            async with router({"m": model(f"http://127.0.0.1:{full.getsockname()[1]}")}) as front:
                answer = await front.ask(REQUEST)
        for one in waiting:
            one.close()
        return f"{answer.status} after {usual:g} s"


async def idle_upstream() -> str:
    with shortened("IDLE_SECONDS") as usual:
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            await front.ask(REQUEST)
            await until(lambda: not engine.open)
            return f"{usual:g} s"


async def proxy_variable() -> str:
    async with backend() as engine, backend() as proxy:
        names = ("HTTP_PROXY", "http_proxy", "ALL_PROXY")
        os.environ.update(dict.fromkeys(names, proxy.url))
        try:
            async with router({"m": model(engine.url)}) as front:
                await front.ask(REQUEST)
        finally:
            for name in names:
                del os.environ[name]
        return "honoured" if proxy.connections else "ignored"


async def offered_protocols() -> str:
    async def hello(request: Message, wire: Wire) -> None:
        heard.append(await wire.reader.read(4096))

    heard: list[bytes] = []
    async with backend(hello, raw=True) as engine:
        async with router({"m": model(engine.url.replace("http:", "https:"))}) as front:
            assert (await front.ask(REQUEST)).status == 502
    # In a ClientHello each name stands behind its length.
    names = ("h2", "http/1.1", "http/1.0")
    return " ".join(one for one in names if bytes([len(one)]) + one.encode() in heard[0])


async def _in_parts(start: str, parts: list[str], read) -> bool:
    """Whether each part reaches the client before the backend sends the next one."""

    async def stepping(request: Message, wire: Wire) -> None:
        wire.send(start)
        for part in parts:
            wire.send(part)
            await step.acquire()

    step = asyncio.Semaphore(0)
    async with backend(stepping) as engine, router({"m": model(engine.url)}) as front:
        wire = await front.connect()
        wire.send(REQUEST)
        await wire.read_head()
        for part in parts:
            assert await read(wire) in part.encode()
            step.release()
        return True


async def events_pass() -> str:
    start = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
    parts = [f"9\r\ndata: {one}\n\n\r\n" for one in "abc"]
    passed = await _in_parts(start + "\r\n", parts, Wire.read_chunk)
    return "as they come" if passed else "together"


async def sized_body_passes() -> str:
    start = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
    parts = ["abc", "def", "ghi"]
    passed = await _in_parts(start, parts, lambda wire: wire.reader.readexactly(3))
    return "as it comes" if passed else "together"


async def replica_passed_over() -> str:
    async with backend() as engine, backend() as gone:
        gone.stop()
        async with router({"m": model(gone.url, engine.url)}) as front:
            answers = [(await front.ask(REQUEST)).status for dummy in range(3)]
            return "the other answers" if answers == [200] * 3 else "refused"


async def replayed() -> str:
    async def once(request: Message, wire: Wire) -> None:
        wire.send(OK)
        await wire.reader.readuntil(b"\r\n\r\n")
        wire.reset()

    async with backend(once) as engine, router({"m": model(engine.url)}) as front:
        assert (await front.ask(REQUEST)).status == 200
        assert (await front.ask(REQUEST)).status == 200
        return "replayed" if engine.connections == 2 else "502"


async def no_credentials_directory() -> str:
    return _verdict('{"client_keys":{"a":{"keys":["${cred:tok}"]}}}', {})


async def empty_key_from_a_secret() -> str:
    return _verdict('{"client_keys":{"a":{"keys":["${env:E}"]}}}', {"E": ""})


async def every_bad_reference() -> str:
    text = '{"client_keys":{"a":{"keys":["${env:A}${env:B}"]},"b":{"keys":["${env:C}"]}}}'
    try:
        parse(text, {})
    except ConfigError as error:
        return "all" if len(error.problems) == 3 else "first"
    return "none"


def _verdict(text: str, environ: dict[str, str]) -> str:
    try:
        parse(text, environ)
    except ConfigError:
        return "refused"
    return "taken"
