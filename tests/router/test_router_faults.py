# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody goes away, stalls or lies, in every phase of a request's life."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest
from router_harness import (
    CHAT,
    Message,
    Wire,
    backend,
    get,
    model,
    post,
    router,
    run,
    until,
)

from onehop_router.router import Timeouts

HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
CHUNKED_UPLOAD = (
    "POST /route/m/v1/embeddings HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
)


async def stall(request: Message, wire: Wire) -> None:
    await wire.reader.read()


# -- the client goes away


async def start_of_answer(request: Message, wire: Wire) -> None:
    wire.send(HEAD + "Transfer-Encoding: chunked\r\n\r\n5\r\nevent\r\n")
    await wire.reader.read()


@pytest.mark.parametrize("how", ["close", "reset", "half-close"])
@pytest.mark.parametrize("script", [stall, start_of_answer])
def test_a_client_that_leaves_closes_the_upstream_at_once(script, how):
    async def work():
        async with backend(script) as engine, router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            wire.send(post(CHAT))
            await until(lambda: engine.requests)
            if script is start_of_answer:
                await wire.read_head()
            if how == "half-close":
                wire.writer.write_eof()
            else:
                getattr(wire, how)()
            await until(lambda: engine.open == 0)
            await until(lambda: front.router.limits.active == 0)
            assert front.router.limits.held_bytes == 0
            assert not front.router.clients or how == "half-close"

    run(work())


def test_a_client_that_leaves_while_its_body_is_collected_reaches_no_backend():
    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            wire.send(post(CHAT)[:-5])
            await until(lambda: front.router.limits.held_bytes)
            wire.close()
            await until(lambda: front.router.limits.held_bytes == 0)
            await until(lambda: not front.router.clients)
            assert engine.connections == 0

    run(work())


def test_a_client_that_leaves_during_a_stalled_upload_is_noticed():
    # The backend reads nothing, so the router no longer reads the client: only the sweep sees it.

    async def script(message: Message, wire: Wire) -> None:
        await wire.read_head()
        wire.stop_reading()
        await asyncio.sleep(60)

    async def work():
        async with backend(script, raw=True) as engine, router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            wire.send(CHUNKED_UPLOAD)
            piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
            await until(lambda: engine.connections)
            client = next(iter(front.router.clients))
            while not client._held_upload:
                wire.send(piece)
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.05)
            wire.reset()
            await until(lambda: not front.router.clients)
            await until(lambda: front.router.limits.active == 0)
            assert all(not one._idle for one in front.router._upstreams.values())

    run(work())


def test_a_client_that_leaves_while_connecting_leaves_the_connection_to_the_next():
    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            upstream = next(iter(front.router._upstreams.values()))
            gate = asyncio.Event()
            open_really = upstream._open

            async def open_late():
                await gate.wait()
                return await open_really()

            upstream._open = open_late
            wire = await front.connect()
            wire.send(post(CHAT))
            await until(lambda: upstream.outstanding == 1)
            wire.close()
            await until(lambda: upstream.outstanding == 0)
            gate.set()
            await until(lambda: upstream._idle)
            assert (await front.ask(post(CHAT))).status == 200
            assert engine.connections == 1

    run(work())


# -- the upstream goes away


@pytest.mark.parametrize("how", ["close", "reset"])
def test_an_upstream_lost_before_its_answer_is_a_502(how):
    async def script(request: Message, wire: Wire) -> None:
        getattr(wire, how)()

    async def work():
        async with backend(script) as engine, router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            for dummy in range(2):
                wire.send(post(CHAT))
                answer = await wire.read()
                assert (answer.status, answer.code) == (502, "backend_unreachable")
                assert answer.get("x-onehop-error") == "backend_unreachable"
            assert len(engine.requests) == 2

    run(work())


@pytest.mark.parametrize(
    "start",
    [
        HEAD + "Transfer-Encoding: chunked\r\n\r\n5\r\nevent\r\n",
        HEAD + "Transfer-Encoding: chunked\r\n\r\n5\r\nev",
        HEAD + "Content-Length: 100\r\n\r\nevent",
    ],
)
@pytest.mark.parametrize("how", ["close", "reset"])
def test_an_upstream_lost_in_the_middle_breaks_the_answer_visibly(start, how):
    async def script(request: Message, wire: Wire) -> None:
        wire.send(start)
        await wire.writer.drain()
        await asyncio.sleep(0.02)
        getattr(wire, how)()

    async def work():
        async with backend(script) as engine, router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            wire.send(post(CHAT))
            head = await wire.read_head()
            assert head.status == 200
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await wire.read_body(head)

    run(work())


def test_an_http_1_0_client_is_reset_because_an_end_would_look_whole():
    async def script(request: Message, wire: Wire) -> None:
        wire.send(HEAD + "Transfer-Encoding: chunked\r\n\r\n5\r\nevent\r\n")
        await wire.writer.drain()
        await asyncio.sleep(0.02)
        wire.close()

    async def work():
        async with backend(script) as engine, router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            wire.send(f"POST /v1/completions HTTP/1.0\r\nContent-Length: {len(CHAT)}\r\n\r\n{CHAT}")
            await wire.read_head()
            with pytest.raises(ConnectionResetError):
                await wire.read_to_end()

    run(work())


def dying_after_first(first: list[bool]):
    """A backend that answers a connection's first request and drops it at the second."""

    async def script(message: Message, wire: Wire) -> None:
        await wire.read()
        wire.send(HEAD + "Content-Length: 2\r\n\r\nok")
        await wire.read()
        first.append(True)

    return script


def test_a_dead_pooled_connection_is_replayed_once_on_a_fresh_one():
    async def work():
        died: list[bool] = []
        async with backend(dying_after_first(died), raw=True) as engine:
            async with router({"m": model(engine.url)}) as front:
                for request in (post(CHAT), post(CHAT), get("/route/m/v1/models")):
                    answer = await front.ask(request)
                    assert (answer.status, answer.body) == (200, b"ok")
                assert engine.connections == 3
                assert len(died) == 2

    run(work())


def test_a_streamed_body_which_cannot_be_replayed_gets_a_fresh_connection():
    async def work():
        died: list[bool] = []
        async with backend(dying_after_first(died), raw=True) as engine:
            async with router({"m": model(engine.url)}) as front:
                await front.ask(post(CHAT))
                answer = await front.ask(CHUNKED_UPLOAD + "1\r\nx\r\n0\r\n\r\n")
                # It did not even meet the pooled connection that would have died.
                assert answer.status == 200
                assert engine.connections == 2
                assert not died

    run(work())


def test_a_fresh_connection_that_dies_is_not_replayed():
    async def script(message: Message, wire: Wire) -> None:
        await wire.read()

    async def work():
        async with backend(script, raw=True) as engine, router({"m": model(engine.url)}) as front:
            assert (await front.ask(post(CHAT))).status == 502
            assert engine.connections == 1

    run(work())


def test_nobody_listens():
    async def work():
        async with backend() as engine:
            engine.stop()
            async with router({"m": model(engine.url), "n": model("unix:///nowhere/x")}) as front:
                for name in "mn":
                    answer = await front.ask(post(f'{{"model": "{name}"}}'))
                    assert (answer.status, answer.code) == (502, "backend_unreachable")
                    assert "127.0.0.1" not in answer.body.decode()
                assert (await front.ask(get("/v1/models"))).status == 200

    run(work())


# -- the upstream lies


@pytest.mark.parametrize(
    "text",
    [
        "garbage\r\n\r\n",
        "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.1 700 Odd\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-Long: " + "x" * 300000,
    ],
)
def test_an_answer_that_is_not_http_is_a_502_and_its_connection_is_dropped(text):
    async def script(request: Message, wire: Wire) -> None:
        wire.send(text)
        await wire.reader.read()

    async def work():
        async with backend(script) as engine, router({"m": model(engine.url)}) as front:
            answer = await front.ask(post(CHAT))
            assert (answer.status, answer.code) == (502, "bad_backend_answer")
            await until(lambda: engine.open == 0)

    run(work())


@pytest.mark.parametrize("request_", [post(CHAT), get("/route/m/v1/models", method="HEAD")])
def test_more_than_the_answer_is_never_given_to_the_next_client(request_):
    async def script(request: Message, wire: Wire) -> None:
        body = "" if request.method == "HEAD" else "ok"
        evil = HEAD + "Content-Length: 4\r\n\r\nevil"
        wire.send(HEAD + f"Content-Length: 2\r\n\r\n{body}{evil}")

    async def work():
        async with backend(script) as engine, router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            for dummy in range(3):
                wire.send(request_)
                answer = await wire.read(to_head=request_[:4] == b"HEAD")
                assert answer.body in (b"ok", b"")
                assert answer.get("content-length") == "2"
            assert engine.connections == 3

    run(work())


def test_a_pooled_connection_that_speaks_unasked_is_dropped():
    async def script(message: Message, wire: Wire) -> None:
        await wire.read()
        wire.send(HEAD + "Content-Length: 2\r\n\r\nok")
        await asyncio.sleep(0.03)
        wire.send(HEAD + "Content-Length: 4\r\n\r\nevil")
        await wire.reader.read()

    async def work():
        async with backend(script, raw=True) as engine, router({"m": model(engine.url)}) as front:
            assert (await front.ask(post(CHAT))).body == b"ok"
            await until(lambda: engine.open == 0)
            assert (await front.ask(post(CHAT))).body == b"ok"
            assert engine.connections == 2

    run(work())


def test_an_answer_before_the_upload_ends_is_relayed_and_both_connections_close():
    async def script(message: Message, wire: Wire) -> None:
        await wire.read_head()
        wire.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        await wire.reader.read()

    async def work():
        async with backend(script, raw=True) as engine, router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            wire.send(CHUNKED_UPLOAD + "3\r\none\r\n")
            answer = await wire.read()
            assert (answer.status, answer.body) == (403, b"no")
            assert answer.get("connection") == "close"
            assert await wire.ended()
            await until(lambda: engine.open == 0)

    run(work())


def test_a_malformed_chunk_during_an_upload_is_refused_and_cuts_the_upstream():
    async def work():
        async with backend(stall, raw=True) as engine, router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            wire.send(CHUNKED_UPLOAD + "3\r\none\r\n")
            await until(lambda: engine.connections)
            wire.send("zz\r\n")
            answer = await wire.read()
            assert (answer.status, answer.get("connection")) == (400, "close")
            await until(lambda: engine.open == 0)

    run(work())


def test_an_early_answer_that_ends_with_its_connection():
    async def script(message: Message, wire: Wire) -> None:
        await wire.read_head()
        wire.send("HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\nno")
        wire.writer.write_eof()
        await wire.reader.read()

    async def work():
        async with backend(script, raw=True) as engine, router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            wire.send(CHUNKED_UPLOAD + "3\r\none\r\n")
            answer = await wire.read()
            assert (answer.status, answer.body) == (403, b"no")
            assert await wire.ended()
            await until(lambda: engine.open == 0)
            assert front.router.limits.active == 0

    run(work())


def test_only_websockets_are_tunnelled():
    # Through an h2c tunnel a client would reach every path of the engine.
    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            fields = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: x")
            assert (await front.ask(get("/route/m/v1/models", *fields))).status == 200
            for name in ("upgrade", "connection", "http2-settings"):
                assert engine.last.get(name) is None

    run(work())


def test_a_tunnel_holds_the_client_back_when_the_upstream_is_full():
    go = asyncio.Event()

    async def script(message: Message, wire: Wire) -> None:
        await wire.read_head()
        wire.send("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        await go.wait()
        count = 0
        while data := await wire.reader.read(1 << 20):
            count += len(data)
            if data.endswith(b"!"):
                wire.send(str(count))
                return

    async def work():
        async with backend(script, raw=True) as engine, router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            wire.send(get("/route/m/v1/realtime", "Connection: upgrade", "Upgrade: websocket"))
            assert (await wire.read_head()).status == 101
            client = next(iter(front.router.clients))
            size = 0
            while not client._held_upload:
                wire.send(b"x" * 65536)
                size += 65536
                await asyncio.sleep(0)
            go.set()
            wire.send(b"!")
            assert await wire.read_to_end() == str(size + 1).encode()

    run(work())


def test_a_fault_of_our_own_breaks_one_request_and_leaks_nothing(monkeypatch):
    def broken(*_args, **_kwargs):
        raise RuntimeError("a bug")

    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            for place in (
                "onehop_router.collecting.find_model",
                "onehop_router.dispatch.write_request",
                "onehop_router.exchange.AnswerWriter.head",
                "onehop_router.exchange.AnswerWriter.body",
            ):
                asyncio.get_running_loop().set_exception_handler(lambda *dummy: None)
                for dummy in range(2):
                    # The second round has a pooled connection to go wrong on.
                    await front.ask(post(CHAT))
                    with monkeypatch.context() as patch:
                        patch.setattr(place, broken)
                        wire = await front.connect()
                        wire.send(post(CHAT))
                        # A head may come, but never a body that could be taken for whole.
                        with contextlib.suppress(ConnectionError):
                            assert b"messages" not in await wire.read_to_end(), place
                await until(lambda: front.router.limits.active == 0)
                assert front.router.limits.held_bytes == 0
                assert (await front.ask(post(CHAT))).status == 200
            upstream = next(iter(front.router._upstreams.values()))
            assert upstream.outstanding == 0

    run(work())


def test_a_fault_of_our_own_on_a_fresh_connection(monkeypatch):
    def broken(*_args, **_kwargs):
        raise RuntimeError("a bug")

    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            asyncio.get_running_loop().set_exception_handler(lambda *dummy: None)
            with monkeypatch.context() as patch:
                patch.setattr("onehop_router.dispatch.write_request", broken)
                wire = await front.connect()
                wire.send(post(CHAT))
                assert await wire.ended()
            await until(lambda: front.router.limits.active == 0)
            assert (await front.ask(post(CHAT))).status == 200

    run(work())


def test_a_long_unknown_name_is_not_sent_back_whole():
    async def work():
        async with router({}) as front:
            answer = await front.ask(post('{"model": "%s"}' % ("x" * 100_000)))
            assert answer.status == 404
            assert len(answer.body) < 1000

    run(work())


# -- nobody hurries


def test_memory_stays_flat_when_the_client_reads_slowly():
    size = 64 * 1024 * 1024
    sent = 0

    async def script(request: Message, wire: Wire) -> None:
        nonlocal sent
        wire.send(HEAD + f"Content-Length: {size}\r\n\r\n")
        piece = b"x" * 65536
        while sent < size:
            wire.send(piece)
            await wire.writer.drain()
            sent += len(piece)

    async def work():
        async with backend(script) as engine, router({"m": model(engine.url)}) as front:
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            sock.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(sock, ("127.0.0.1", front.port))
            wire = Wire(*await asyncio.open_connection(sock=sock, limit=65536))
            wire.send(post(CHAT))
            head = await wire.read_head()
            client = next(iter(front.router.clients))
            await until(lambda: client._full)
            before = -1
            while before != sent:
                before = sent
                await asyncio.sleep(0.05)
            # What the kernel's buffers took is not ours; what the router holds is.
            assert sent < size
            assert client._transport.get_write_buffer_size() < 600_000
            assert len((await wire.read_body(head)).body) == size

    run(work())


def test_memory_stays_flat_when_the_upstream_reads_slowly():
    go = asyncio.Event()
    size = 48 * 1024 * 1024

    async def script(message: Message, wire: Wire) -> None:
        await wire.read_head()
        await go.wait()
        count = 0
        while count < size:
            count += len(await wire.reader.read(1 << 20))
        wire.send(HEAD + "Content-Length: 2\r\n\r\nok")
        await wire.reader.read()

    async def work():
        async with backend(script, raw=True) as engine, router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            wire.send(
                f"POST /route/m/v1/embeddings HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"
            )

            async def upload():
                for dummy in range(size // 65536):
                    wire.send(b"x" * 65536)
                    await wire.writer.drain()

            task = asyncio.create_task(upload())
            await until(lambda: front.router.clients)
            client = next(iter(front.router.clients))
            await until(lambda: client._held_upload)
            await asyncio.sleep(0.05)
            upstream = next(iter(front.router._upstreams.values()))
            connection = next(iter(upstream._all))
            assert connection.transport.get_write_buffer_size() < 600_000
            assert front.router.limits.held_bytes == 0
            go.set()
            await task
            assert (await wire.read()).body == b"ok"

    run(work())


def test_an_early_flood_of_requests_is_held_back():
    async def work():
        async with backend(stall) as engine, router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            wire.send(post(CHAT))
            await until(lambda: engine.requests)
            client = next(iter(front.router.clients))
            for dummy in range(200):
                wire.send(b"x" * 65536)
                await asyncio.sleep(0)
            await until(lambda: client._held_early)
            assert len(client._inbox) < 600_000
            wire.reset()
            await until(lambda: not front.router.clients)
            assert engine.connections == 1

    run(work())


def test_slow_heads_and_idle_connections_are_closed():
    async def work():
        timeouts = Timeouts(head=0.08, idle=0.08, sweep=0.01)
        async with router({}, timeouts=timeouts) as front:
            slow = await front.connect()
            slow.send("GET /health HTT")
            answer = await slow.read()
            assert (answer.status, answer.get("connection")) == (408, "close")
            silent = await front.connect()
            assert await silent.ended()
            idle = await front.connect()
            idle.send(get("/health"))
            assert (await idle.read()).status == 200
            assert await idle.ended()

    run(work())


def test_idle_upstream_connections_are_dropped_before_the_engine_does_it(monkeypatch):
    monkeypatch.setattr("onehop_router.pool.IDLE_SECONDS", 0.05)

    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            assert (await front.ask(post(CHAT))).status == 200
            assert engine.open == 1
            await until(lambda: engine.open == 0)
            assert (await front.ask(post(CHAT))).status == 200
            assert engine.connections == 2

    run(work())


def test_limits_are_given_back_whatever_happens():
    async def work():
        async with backend(stall) as engine:
            models = {"m": model(engine.url)}
            async with router(models, max_concurrent_requests=1) as front:
                first = await front.connect()
                # A body on its way takes no slot yet: slow uploads keep nobody from the model.
                slow = await front.connect()
                slow.send(post(CHAT)[:-1])
                await until(lambda: front.router.limits.held_bytes)
                first.send(post(CHAT))
                await until(lambda: front.router.limits.active)
                second = await front.ask(post(CHAT))
                assert (second.status, second.code) == (429, "concurrency_limit")
                assert second.get("retry-after") == "1"
                assert (await front.ask(get("/v1/models"))).status == 200
                slow.send(post(CHAT)[-1:])
                assert (await slow.read()).status == 429
                first.close()
                await until(lambda: front.router.limits.active == 0)
                for bad in ("{", '{"model": "nope"}'):
                    assert (await front.ask(post(bad))).status in (400, 404)
                assert front.router.limits.active == 0

    run(work())


def test_held_bytes_have_a_limit_over_all_requests():
    async def work():
        async with backend(stall) as engine:
            models = {"m": model(engine.url)}
            async with router(models, max_buffered_bytes=100) as front:
                first = await front.connect()
                first.send(post(CHAT))
                await until(lambda: engine.requests)
                declared = await front.ask(post(CHAT))
                assert (declared.status, declared.code) == (429, "buffer_limit")
                wire = await front.connect()
                wire.send(
                    "POST /v1/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "50\r\n" + "x" * 80 + "\r\n"
                )
                chunked = await wire.read()
                assert (chunked.status, chunked.get("connection")) == (429, "close")
                first.close()
                await until(lambda: front.router.limits.held_bytes == 0)

    run(work())


def test_a_body_over_the_cap_is_refused_declared_or_not(monkeypatch):
    monkeypatch.setattr("onehop_router.pool.IDLE_SECONDS", 0.05)

    async def work():
        async with backend(stall, raw=True) as engine:
            async with router({"m": model(engine.url)}, max_body_bytes=50) as front:
                declared = await front.ask(post(CHAT))
                assert (declared.status, declared.code) == (413, "request_too_large")
                for path in ("/v1/completions", "/route/m/v1/embeddings"):
                    wire = await front.connect()
                    wire.send(
                        f"POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                        "10\r\n" + "x" * 16 + "\r\n30\r\n" + "x" * 48 + "\r\n"
                    )
                    answer = await wire.read()
                    assert (answer.status, answer.get("connection")) == (413, "close")
                    assert await wire.ended()
                await until(lambda: engine.open == 0)
                assert front.router.limits.held_bytes == 0

    run(work())


def test_an_unauthorised_upload_is_refused_before_it_is_sent_for():
    async def work():
        keys = {"a": {"keys": ["secret"]}}
        async with router({}, client_keys=keys) as front:
            wire = await front.connect()
            wire.send(
                "POST /v1/completions HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                "Content-Length: 50000000\r\n\r\n"
            )
            answer = await wire.read()
            assert (answer.status, answer.get("www-authenticate")) == (401, "Bearer")
            assert await wire.ended()

    run(work())


def test_a_large_refused_upload_still_gets_its_answer():
    async def work():
        async with router({}, client_keys={"a": {"keys": ["secret"]}}) as front:
            wire = await front.connect()
            wire.send("POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n")
            wire.send(b"x" * 4_000_000)
            answer = await wire.read()
            assert (answer.status, answer.get("connection")) == (401, "close")

    run(work())


def test_expectation_is_met_once_by_the_router():
    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            for path in ("/v1/completions", "/route/m/v1/embeddings"):
                wire = await front.connect()
                wire.send(
                    f"POST {path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                    f"Content-Length: {len(CHAT)}\r\n\r\n"
                )
                assert (await wire.read_head()).status == 100
                wire.send(CHAT)
                answer = await wire.read()
                assert (answer.status, answer.json["body"]) == (200, CHAT)
                assert engine.last.get("expect") is None

    run(work())
