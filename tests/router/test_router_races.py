# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who speaks too early, too much, too slowly, or leaves while the other still talks."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import time

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

OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED_UPLOAD = (
    "POST /route/m/v1/embeddings HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
)
UPGRADE = get("/route/m/v1/realtime", "Connection: upgrade", "Upgrade: websocket")
SWITCHED = "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"


# -- the client sends too much, or nothing


def test_a_flood_of_empty_lines_takes_linear_time():
    async def work():
        async with router({}) as front:
            wire = await front.connect()
            client = await first_client(front)
            start = time.process_time()
            client.data_received(b"\r\n" * 131072)
            assert time.process_time() - start < 1
            wire.send(get("/health"))
            assert (await wire.read()).status == 200

    run(work())


async def first_client(front):
    await until(lambda: front.router.clients)
    return next(iter(front.router.clients))


def slow_reader(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", port))
    sock.setblocking(False)
    return sock


def test_requests_of_a_client_that_reads_no_answers_are_held_back():
    async def work():
        models = {f"model-{number}": model("http://127.0.0.1:1") for number in range(200)}
        async with router(models) as front:
            wire = Wire(*await asyncio.open_connection(sock=slow_reader(front.port), limit=1024))
            wire.stop_reading()
            client = await first_client(front)
            wire.send(get("/v1/models") * 400)
            await until(lambda: client._full)
            count = 400
            for dummy in range(1000):
                wire.send(get("/v1/models", "X-Long: " + "x" * 8000))
                count += 1
                await asyncio.sleep(0.001)
            assert len(client._inbox) < 600_000
            wire.read_on()
            for dummy in range(count):
                assert (await wire.read()).status == 200

    run(work())


def test_a_slow_reader_is_not_told_that_its_next_head_is_slow():
    async def work():
        models = {f"model-{number}": model("http://127.0.0.1:1") for number in range(5000)}
        timeouts = Timeouts(head=0.1, sweep=0.01)
        async with router(models, timeouts=timeouts) as front:
            wire = Wire(*await asyncio.open_connection(sock=slow_reader(front.port), limit=1024))
            wire.stop_reading()
            client = await first_client(front)
            for dummy in range(20):
                wire.send(get("/v1/models"))
                await asyncio.sleep(0.005)
            await until(lambda: client._full)
            wire.send(get("/v1/models"))
            await asyncio.sleep(0.3)
            wire.read_on()
            for dummy in range(21):
                assert (await wire.read()).status == 200

    run(work())


@pytest.mark.parametrize("path", ["/v1/completions", "/route/m/v1/embeddings"])
def test_a_body_that_stops_coming_is_a_408(path):
    async def work():
        timeouts = Timeouts(body=0.1, sweep=0.01)
        async with (
            backend(stall) as engine,
            router({"m": model(engine.url)}, timeouts=timeouts) as front,
        ):
            wire = await front.connect()
            wire.send(
                f"POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{{\r\n"
            )
            for dummy in range(3):
                await asyncio.sleep(0.06)
                wire.send("1\r\n \r\n")
            await asyncio.sleep(0.06)
            assert front.router.clients
            answer = await wire.read()
            assert (answer.status, answer.code) == (408, "request_timeout")
            assert answer.get("connection") == "close"
            assert await wire.ended()
            await until(lambda: front.router.limits.active == 0 and engine.open == 0)
            assert front.router.limits.held_bytes == 0

    run(work())


async def stall(request: Message, wire: Wire) -> None:
    await wire.reader.read()


def test_a_body_that_waits_for_its_backend_is_not_slow():
    async def script(message: Message, wire: Wire) -> None:
        await wire.read_head()
        await asyncio.sleep(0.4)
        await wire.reader.readexactly(size)
        wire.send(OK)

    size = 16 * 1024 * 1024

    async def work():
        timeouts = Timeouts(body=0.1, sweep=0.01)
        async with (
            backend(script, raw=True) as engine,
            router({"m": model(engine.url)}, timeouts=timeouts) as front,
        ):
            answer = await front.ask(post(b"x" * size, "/route/m/v1/embeddings"))
            assert (answer.status, answer.body) == (200, b"ok")
            slow = await front.connect()
            slow.send(post(CHAT))
            await until(lambda: engine.connections == 2)
            await asyncio.sleep(0.2)
            assert front.router.limits.active == 1

    run(work())


# -- the upstream answers before it has read


def test_an_answer_before_the_body_was_taken_does_not_spoil_the_next_request():
    async def script(message: Message, wire: Wire) -> None:
        await wire.read_head()
        wire.stop_reading()
        wire.send(OK)
        await asyncio.sleep(60)

    async def work():
        async with backend(script, raw=True) as engine, router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            big = json.dumps({"model": "m", "x": "x" * 16_000_000})
            for request in (post(big), post(CHAT)):
                wire.send(request)
                assert (await asyncio.wait_for(wire.read(), 3)).body == b"ok"
            assert engine.connections == 2

    run(work())


def test_an_early_answer_wins_over_the_reset_that_follows_it():
    # An engine that closes with a body unread resets, and writing to it loses what it said.
    size = 4 * 1024 * 1024

    async def script(message: Message, wire: Wire) -> None:
        await wire.read_head()
        wire.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        await wire.writer.drain()
        wire.reset()

    async def work():
        async with backend(script, raw=True) as engine, router({"m": model(engine.url)}) as front:
            for dummy in range(50):
                wire = await front.connect()
                wire.send(
                    "POST /route/m/v1/embeddings HTTP/1.1\r\nHost: a\r\n"
                    f"Content-Length: {size}\r\n\r\n"
                )
                wire.send(b"x" * (size // 2))
                answer = await wire.read()
                assert (answer.status, answer.body) == (403, b"no")
                wire.reset()

    run(work())


def test_an_answer_that_is_here_is_read_before_more_is_uploaded():
    # The answer and the reset are in the kernel, and the client's bytes come to the loop first.
    async def work():
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            async with router({"m": model(url)}) as front:
                wire = await front.connect()
                wire.send(CHUNKED_UPLOAD + "3\r\none\r\n")
                engine, _address = await loop.sock_accept(listener)
                await loop.sock_recv(engine, 65536)
                client = next(iter(front.router.clients))
                engine.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
                engine.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                engine.close()
                for dummy in range(3):
                    client.data_received(b"3\r\ntwo\r\n")
                answer = await wire.read()
                assert (answer.status, answer.body) == (403, b"no")

    run(work())


def test_an_answer_that_ends_with_its_connection_does_not_wait_for_the_upload():
    async def script(message: Message, wire: Wire) -> None:
        await wire.read_head()
        wire.stop_reading()
        wire.send("HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\nno")
        wire.writer.write_eof()
        await asyncio.sleep(60)

    async def work():
        async with backend(script, raw=True) as engine, router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            wire.send(post(json.dumps({"model": "m", "x": "x" * 16_000_000})))
            answer = await asyncio.wait_for(wire.read(), 3)
            assert (answer.status, answer.body) == (403, b"no")

    run(work())


# -- pooled connections that died


def dying_after_first(died: list[bool]):
    async def script(message: Message, wire: Wire) -> None:
        await wire.read()
        wire.send(OK)
        await wire.read_head()
        died.append(True)

    return script


def test_after_a_dead_pooled_connection_only_fresh_ones_are_tried():
    async def work():
        died: list[bool] = []
        script = dying_after_first(died)
        async with backend(script, raw=True) as gone, backend(script, raw=True) as restarted:
            models = {
                "a": model(gone.url),
                "b": model(restarted.url),
                "m": model(gone.url, restarted.url),
            }
            async with router(models) as front:
                for name in "ab":
                    answer = await front.ask(post(f'{{"model": "{name}"}}'))
                    assert answer.status == 200
                # Both pools hold a connection now that dies at its next request; the first
                # replica is not even there any more.
                gone.stop()
                answer = await front.ask(post(CHAT))
                assert (answer.status, answer.body) == (200, b"ok")

    run(work())


@pytest.mark.parametrize("size", [1, 1_000_000])
def test_a_body_routed_by_its_path_is_not_lost_to_a_dead_pooled_connection(size):
    async def work():
        died: list[bool] = []
        async with backend(dying_after_first(died), raw=True) as engine:
            async with router({"m": model(engine.url)}) as front:
                for dummy in range(3):
                    answer = await front.ask(post("x" * size, "/route/m/v1/embeddings"))
                    assert (answer.status, answer.body) == (200, b"ok")
                assert front.router.limits.held_bytes == 0

    run(work())


def test_a_fault_of_our_own_after_a_refused_connect_hangs_nobody(monkeypatch):
    def broken(*_args, **_kwargs):
        raise RuntimeError("a bug")

    async def work():
        asyncio.get_running_loop().set_exception_handler(lambda *dummy: None)
        async with router({"m": model("unix:///nowhere/x")}) as front:
            monkeypatch.setattr("onehop_router.client.render", broken)
            wire = await front.connect()
            wire.send(post(CHAT))
            assert await asyncio.wait_for(wire.ended(), 3)
            assert front.router.limits.active == 0

    run(work())


# -- tunnels


def test_the_last_words_of_a_tunnel_reach_a_client_that_has_finished():
    async def script(message: Message, wire: Wire) -> None:
        await wire.read_head()
        wire.send(SWITCHED)
        said = await wire.reader.read()
        wire.send(b"you said " + said)

    async def work():
        async with backend(script, raw=True) as engine, router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            wire.send(UPGRADE)
            assert (await wire.read_head()).status == 101
            wire.send("bye")
            wire.writer.write_eof()
            assert await wire.read_to_end() == b"you said bye"
            await until(lambda: not front.router.clients and not engine.open)
            assert front.router.limits.active == 0

    run(work())


def test_a_tunnel_whose_client_has_finished_does_not_live_for_ever():
    async def script(message: Message, wire: Wire) -> None:
        await wire.read_head()
        wire.send(SWITCHED)
        await asyncio.sleep(60)

    async def work():
        timeouts = Timeouts(close=0.1, sweep=0.01)
        async with (
            backend(script, raw=True) as engine,
            router({"m": model(engine.url)}, timeouts=timeouts) as front,
        ):
            wire = await front.connect()
            wire.send(UPGRADE)
            await wire.read_head()
            wire.writer.write_eof()
            await until(lambda: not front.router.clients)
            await until(lambda: front.router.limits.active == 0)
            assert all(not one._all for one in front.router._upstreams.values())

    run(work())


def test_a_tunnel_to_a_stuck_upstream_leaves_no_connection_behind(monkeypatch):
    monkeypatch.setattr("onehop_router.upstream.CLOSE_SECONDS", 0.1)

    async def script(message: Message, wire: Wire) -> None:
        await wire.read_head()
        wire.send(SWITCHED)
        wire.stop_reading()
        await asyncio.sleep(60)

    async def work():
        async with backend(script, raw=True) as engine, router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            wire.send(UPGRADE)
            await wire.read_head()
            client = next(iter(front.router.clients))
            while not client._held_upload:
                wire.send(b"x" * 65536)
                await asyncio.sleep(0)
            wire.reset()
            upstream = next(iter(front.router._upstreams.values()))
            await until(lambda: not front.router.clients)
            await asyncio.wait_for(until(lambda: not upstream._all), 3)

    run(work())


# -- the router goes


def test_a_request_that_has_arrived_is_served_before_an_idle_connection_closes():
    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            wire.send(get("/health"))
            await wire.read()
            sock = wire.writer.get_extra_info("socket")
            # The bytes are in the kernel, and the loop has had no chance to read them.
            os.write(sock.fileno(), post(CHAT))
            client = next(iter(front.router.clients))
            front.router.draining = True
            client.drain()
            answer = await wire.read()
            assert (answer.status, answer.get("connection")) == (200, "close")
            assert await front.router.drain(5) == 0

    run(work())


def test_a_drain_during_buffering_and_pipelining_loses_no_answer():
    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            request = post(CHAT)
            wire.send(request[:-5])
            await until(lambda: front.router.limits.held_bytes)
            drain = asyncio.create_task(front.router.drain(5))
            await asyncio.sleep(0.02)
            wire.send(request[-5:] + post(CHAT) * 20)
            answer = await wire.read()
            assert (answer.status, answer.get("connection")) == (200, "close")
            assert await wire.ended()
            wire.close()
            assert await drain == 0
            assert len(engine.requests) == 1

    run(work())


def test_pipelined_requests_behind_a_stream_do_not_reset_it_at_a_drain():
    go = asyncio.Event()

    async def script(request: Message, wire: Wire) -> None:
        wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await go.wait()
        wire.send("186a0\r\n" + "x" * 100_000 + "\r\n0\r\n\r\n")

    async def work():
        async with backend(script) as engine, router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            wire.send(post(CHAT))
            head = await wire.read_head()
            wire.send(post(CHAT) * 4000)
            client = next(iter(front.router.clients))
            await until(lambda: client._held_early)
            drain = asyncio.create_task(front.router.drain(5))
            await asyncio.sleep(0.02)
            go.set()
            assert len((await wire.read_body(head)).body) == 100_005
            wire.close()
            assert await drain == 0

    run(work())


def test_a_client_that_has_just_connected_is_served_during_a_drain():
    """It cannot know that we are going, and a fresh connection that closes is no clean retry."""

    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            wire, silent = await front.connect(), await front.connect()
            await until(lambda: len(front.router.clients) == 2)
            drain = asyncio.create_task(front.router.drain(5))
            await asyncio.sleep(0.1)
            wire.send(post(CHAT))
            answer = await wire.read()
            assert (answer.status, answer.get("connection")) == (200, "close")
            # One that says nothing does not hold the drain for long.
            assert await silent.ended()
            wire.close()
            assert await drain == 0

    run(work())


# -- odd, but no reason to break


def test_a_model_name_that_is_no_text_is_not_found():
    async def work():
        async with router({}) as front:
            for path in ("/v1/models/%ff", "/route/%ff/v1/completions", "/v1/%ff"):
                assert (await front.ask(get(path))).status == 404

    run(work())


def test_a_post_without_a_body_says_so_to_the_upstream():
    # cpp-httplib waits for a body that has no length until the connection ends.
    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            path = "/route/m/v1/responses/x/cancel"
            assert (await front.ask(get(path, method="POST"))).status == 200
            assert engine.last.all("content-length") == ["0"]
            assert (await front.ask(get(path, method="GET"))).status == 200
            assert engine.last.all("content-length") == []

    run(work())


def test_fields_without_a_value_and_tiny_pieces_pass():
    async def script(request: Message, wire: Wire) -> None:
        tiny = "1\r\ny\r\n" * 40_000
        wire.send(
            "HTTP/1.1 200 OK\r\nX-Empty:\r\nTransfer-Encoding: chunked\r\nX-Last:\r\n\r\n"
            f"{tiny}0\r\nX-Trailer:\r\n\r\n"
        )

    async def work():
        async with backend(script) as engine, router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            wire.send(CHUNKED_UPLOAD + "1\r\nx\r\n" * 40_000 + "0\r\n\r\n")
            answer = await wire.read()
            assert answer.body == b"y" * 40_000
            assert engine.last.body == b"x" * 40_000
            assert (answer.get("x-empty"), answer.get("x-last")) == ("", "")
            assert answer.trailers == ["X-Trailer:"]

    run(work())
