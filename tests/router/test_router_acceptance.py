# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Twenty-two things that went wrong in other people's routers, each as a test by its number.

Clients and backends are scripted; the backends are test doubles that stall, drop, reset and lie.
The errors that SDKs parse (15) are in test_router_sdk_errors.py, responses that are asked for again
(17) in test_router_responses.py; the soak (21) is soak_router.py.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import zstandard
from router_harness import (
    CHAT,
    FILES,
    Message,
    Process,
    Running,
    Wire,
    backend,
    get,
    model,
    post,
    process,
    router,
    run,
    until,
)

from onehop_router import pool
from onehop_router.router import Timeouts

# No sweep helps: what has to be noticed is noticed when it happens.
NO_SWEEP = Timeouts(sweep=300)
CHUNKED = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
SIZED = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
UNSIZED = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


def event(text: str) -> str:
    """A server-sent event as one chunk."""
    data = f"data: {text}\n\n"
    return f"{len(data):x}\r\n{data}\r\n"


class Engine:
    """A test double of an engine that begins an answer, then waits, and sees how that ends."""

    def __init__(self, *said: str) -> None:
        self.said = said
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()
        self.last = "5\r\nlast!\r\n0\r\n\r\n"
        self.left = 0
        self.served = 0

    async def __call__(self, request: Message, wire: Wire) -> None:
        for one in self.said:
            wire.send(one)
        self.begun.set()
        gone = asyncio.create_task(wire.reader.read())
        opened = asyncio.create_task(self.gate.wait())
        await asyncio.wait({gone, opened}, return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            gone.exception()
            self.left += 1
            raise ConnectionError
        gone.cancel()
        self.served += 1
        wire.send(self.last)


# -- 1


@pytest.mark.parametrize("way", ["close", "reset", "shutdown"])
@pytest.mark.parametrize(
    "said",
    [(), (CHUNKED,), (CHUNKED, event("a")), (CHUNKED, "5\r\nab"), (SIZED, "abc"), (UNSIZED, "a")],
    ids=["prefill", "head", "stream", "half a chunk", "sized body", "unsized body"],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/route/m/v1/chat/completions"])
def test_01_a_client_that_leaves_frees_the_engine(way, said, path):
    async def work():
        engine = Engine(*said)
        async with backend(engine) as one:
            async with router({"m": model(one.url)}, timeouts=NO_SWEEP) as front:
                wire = await front.connect()
                wire.send(post(CHAT, path))
                await engine.begun.wait()
                await leave(wire, way)
                await until(lambda: engine.left)
                assert front.router.limits.active == 0

    run(work())


async def leave(wire: Wire, way: str) -> None:
    if way == "reset":
        wire.reset()
    elif way == "shutdown":
        wire.writer.write_eof()
    else:
        wire.close()


def test_01_a_client_that_leaves_in_the_middle_of_its_upload_frees_the_engine():
    async def work():
        gone = asyncio.Event()

        async def reading(request: Message, wire: Wire) -> None:
            begun.set()
            try:
                await wire.reader.read(-1)
            finally:
                gone.set()

        begun = asyncio.Event()
        async with backend(reading, raw=True) as one:
            async with router({"m": model(one.url)}, timeouts=NO_SWEEP) as front:
                wire = await front.connect()
                wire.send(post("x" * 200_000, "/route/m/v1/audio/transcriptions")[:150_000])
                await begun.wait()
                wire.close()
                await gone.wait()

    run(work())


# -- 2


@pytest.mark.parametrize("way", ["close", "reset"])
@pytest.mark.parametrize(
    "said",
    [
        (CHUNKED,),
        (CHUNKED, event("a")),
        (CHUNKED, event("a"), "5\r\nab"),
        (CHUNKED, event("a"), "5\r\nabcde"),
        (CHUNKED, event("a"), "0\r\n"),
        (CHUNKED, event("a"), "0\r\nX: y\r\n"),
        (SIZED,),
        (SIZED, "x" * 99),
    ],
    ids=["head", "between chunks", "in a chunk", "behind its data", "last chunk", "trailer",
         "no body", "a byte missing"],
)  # fmt: skip
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_02_an_engine_that_drops_an_answer_never_looks_done(way, said, version):
    async def drops(request: Message, wire: Wire) -> None:
        for one in said:
            wire.send(one)
        await wire.writer.drain()
        # What was sent must arrive first: a reset may overtake it.
        await read.wait()
        await leave(wire, "reset" if way == "reset" else "close")

    read = asyncio.Event()

    async def work():
        async with backend(drops) as one, router({"m": model(one.url)}) as front:
            wire = await front.connect()
            wire.send(post(CHAT).replace(b"HTTP/1.1", f"HTTP/{version}".encode(), 1))
            head = await wire.read_head()
            read.set()
            framed = head.get("content-length") or head.get("transfer-encoding")
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                # Framed by nothing but the connection's end: then that has to be a reset.
                await (wire.read_body(head) if framed else wire.read_to_end())

    run(work())


# -- 3


def test_03_an_engine_that_closes_idle_connections_costs_no_request(monkeypatch):
    # A thousandth of the times: the engine closes after 5 ms, and requests come every 5 ms.
    monkeypatch.setattr(pool, "IDLE_SECONDS", 300.0)
    source = random.Random(3)

    async def closing(request: Message, wire: Wire) -> None:
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        asyncio.get_running_loop().call_later(0.005, wire.close)

    async def asking(front: Running) -> None:
        wire = await front.connect()
        for dummy in range(100):
            wire.send(post(CHAT))
            assert (await wire.read()).status == 200
            await asyncio.sleep(source.choice((0.004, 0.005, 0.006)))

    async def work():
        async with backend(closing) as one, router({"m": model(one.url)}) as front:
            await asyncio.gather(*(asking(front) for dummy in range(10)))
            # Some met an open connection, some a dead one.
            assert 1 < one.connections < 1000

    run(work())


# -- 4


@pytest.mark.parametrize("start", [CHUNKED, UNSIZED])
def test_04_each_event_arrives_before_the_next_is_made(start):
    text = f"data: {'x' * 239}\n\n"
    assert len(text) == 247

    async def stepping(request: Message, wire: Wire) -> None:
        wire.send(start)
        for dummy in range(20):
            wire.send(f"{len(text):x}\r\n{text}\r\n" if start == CHUNKED else text)
            await arrived.acquire()
        if start == CHUNKED:
            wire.send("0\r\n\r\n")
        wire.close()

    arrived = asyncio.Semaphore(0)

    async def work():
        async with backend(stepping) as one, router({"m": model(one.url)}) as front:
            wire = await front.connect()
            wire.send(post(CHAT))
            await wire.read_head()
            for dummy in range(20):
                assert await wire.read_chunk() == text.encode()
                arrived.release()
            assert await wire.read_chunk() == b""

    run(work())


# -- 5


@pytest.mark.parametrize("said", [(), (CHUNKED, event("a"))], ids=["before", "within"])
def test_05_half_an_hour_of_silence_is_no_fault(said):
    # The router's clock is set forward instead of waiting.
    async def work():
        engine = Engine(*said)
        if not said:
            engine.last = CHUNKED + engine.last
        async with backend(engine) as one, router({"m": model(one.url)}) as front:
            wire = await front.connect()
            wire.send(post(CHAT))
            await engine.begun.wait()
            now, sweeps = front.router.now, 0

            def later() -> float:
                nonlocal sweeps
                sweeps += 1
                return now() + 1800

            front.router.now = later
            await until(lambda: sweeps > 3)
            engine.gate.set()
            answer = await wire.read()
            assert (answer.status, answer.body[-5:]) == (200, b"last!")

    run(work())


# -- 6


def test_06_two_hundred_streams_make_no_queue():
    async def work():
        engine = Engine(CHUNKED, event("a"))
        async with (
            backend(engine) as one,
            router({"m": model(one.url), "n": model(one.url)}) as front,
        ):
            wires = [await front.connect() for dummy in range(200)]
            for wire in wires:
                wire.send(post(CHAT))
            for wire in wires:
                await wire.read_head()
                assert await wire.read_chunk() == b"data: a\n\n"
            late = await front.connect()
            late.send(post('{"model": "n"}'))
            assert (await late.read_head()).status == 200
            assert await late.read_chunk() == b"data: a\n\n"
            assert one.open == 201
            engine.gate.set()
            for wire in wires:
                assert await wire.read_chunk() == b"last!"
                assert await wire.read_chunk() == b""

    run(work())


# -- 7


def test_07_a_large_upload_does_not_hold_up_streams():
    """Fifty streams tick while 30 MB are uploaded: no turn of the loop takes long.

    What is measured is the thread's own time, so that a loaded machine changes nothing.
    """
    body = b'{"messages": "' + b"QUJD" * 7_500_000 + b'", "model": "m"}'
    longest = 0.0

    async def ticking(request: Message, wire: Wire) -> None:
        wire.send(CHUNKED)
        while not done.is_set():
            wire.send(event("tick"))
            await asyncio.sleep(0.01)
        wire.send("0\r\n\r\n")

    async def swallowing(request: Message, wire: Wire) -> None:
        await wire.read_head()
        left = len(body)
        while left:
            left -= len(await wire.reader.read(65536))
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async def heartbeat() -> None:
        nonlocal longest
        while not done.is_set():
            before = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - before)

    async def listen(wire: Wire) -> int:
        count = 0
        while await wire.read_chunk():
            count += 1
        return count

    async def upload(front: Running) -> None:
        wire = await front.connect()
        wire.send(head)
        for at in range(0, len(body), 65536):
            wire.send(body[at : at + 65536])
            await wire.writer.drain()
        assert (await wire.read()).status == 200
        done.set()

    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
    done = asyncio.Event()

    async def work():
        async with backend(ticking) as streams, backend(swallowing, raw=True) as sink:
            models = {"s": model(streams.url), "m": model(sink.url)}
            async with router(models) as front:
                wires = [await front.connect() for dummy in range(50)]
                for wire in wires:
                    wire.send(post('{"model": "s"}'))
                    await wire.read_head()
                beat = asyncio.create_task(heartbeat())
                listeners = [asyncio.create_task(listen(wire)) for wire in wires]
                await upload(front)
                await beat
                heard = await asyncio.gather(*listeners)
                assert all(heard)

    run(work())
    assert longest < 0.25


# -- 8


def memory(one: Process, name: str = "VmRSS") -> int:
    """A process's memory in KiB."""
    text = Path(f"/proc/{one.process.pid}/status").read_text(encoding="ascii")
    return int(text.partition(f"{name}:")[2].split()[0])


def config(folder: Path, **settings) -> str:
    """A configuration file."""
    path = folder / "router.json"
    path.write_text(json.dumps({"port": 0, **settings}))
    return str(path)


async def ready(one: Process) -> int:
    """Wait for its listener; its port."""
    assert one.process.stderr is not None
    line = await asyncio.to_thread(one.process.stderr.readline)
    assert "listening on 127.0.0.1:" in line, line
    return int(line.split()[2].rpartition(":")[2])


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/route/m/v1/audio/transcriptions"])
def test_08_an_endless_upload_is_refused_at_the_cap_and_takes_no_memory(tmp_path, path):
    async def reading(request: Message, wire: Wire) -> None:
        while await wire.reader.read(65536):
            pass

    async def work():
        async with backend(reading, raw=True) as engine:
            models = {"m": model(engine.url)}
            written = config(tmp_path, models=models, max_body_bytes=1_000_000)
            async with process("--config", written) as one:
                port = await ready(one)
                before = memory(one)
                for dummy in range(5):
                    wire = Wire(*await asyncio.open_connection("127.0.0.1", port))
                    wire.send(
                        f"POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                    )
                    answer = asyncio.create_task(wire.read())
                    chunks = 0
                    # A client that hears nothing while it talks loses the answer to the reset.
                    while not answer.done():
                        wire.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                        await wire.writer.drain()
                        await asyncio.sleep(0)
                        chunks += 1
                        assert chunks < 800
                    refused = await answer
                    assert (refused.status, refused.get("connection")) == (413, "close")
                    assert refused.code == "request_too_large"
                    wire.close()
                assert memory(one, "VmHWM") - before < 16_000
                await until(lambda: not engine.open)

    run(work())


# -- 9


def packed(coding: str, data: bytes) -> bytes:
    """The data in this coding."""
    return gzip.compress(data) if coding == "gzip" else zstandard.compress(data)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_09_compressed_bodies_route_and_reach_the_engine_plain(coding):
    body = json.dumps({"messages": "x" * 300_000, "model": "m"}).encode()

    async def work():
        async with backend() as engine:
            async with router({"m": model(engine.url)}, max_body_bytes=1_000_000) as front:
                field = f"Content-Encoding: {coding}"
                path = "/v1/chat/completions"
                answer = await front.ask(post(packed(coding, body), path, field))
                assert answer.status == 200
                assert engine.last.body == body
                assert engine.last.get("content-encoding") is None
                assert engine.last.get("content-length") == str(len(body))
                # A small body that is a large one, and one that ends in the middle.
                bomb = packed(coding, b'{"model":"m","x":"' + b"x" * 200_000_000)
                refused = await front.ask(post(bomb, path, field))
                assert (refused.status, refused.code) == (413, "request_too_large")
                half = await front.ask(post(packed(coding, body)[:-9], path, field))
                assert half.status == 400
                assert len(engine.requests) == 1

    run(work())


# -- 10


def test_10_a_form_that_names_its_model_behind_a_large_file_is_held_once(tmp_path):
    file = 25_000_000
    begin = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    end = b'\r\n--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--b--\r\n'
    length = len(begin) + file + len(end)
    head = (
        "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: a\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {length}\r\n\r\n"
    )

    async def swallowing(request: Message, wire: Wire) -> None:
        await wire.read_head()
        read = b""
        count = 0
        while count < length:
            piece = await wire.reader.read(65536)
            count += len(piece)
            read = (read + piece)[-len(end) :]
        assert read == end
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async def work():
        async with backend(swallowing, raw=True) as engine:
            written = config(tmp_path, models={"m": model(engine.url)})
            async with process("--config", written) as one:
                port = await ready(one)
                before = memory(one)
                wire = Wire(*await asyncio.open_connection("127.0.0.1", port))
                wire.send(head.encode() + begin)
                for dummy in range(file // 50_000):
                    wire.send(b"x" * 50_000)
                    await wire.writer.drain()
                wire.send(end)
                assert (await wire.read()).status == 200
                held = (memory(one, "VmHWM") - before) * 1024
                assert held < 1.8 * file

    run(work())


# -- 11


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/route/m/v1/audio/transcriptions"])
def test_11_who_may_not_upload_is_not_asked_to(path):
    async def work():
        async with backend() as engine:
            keys = {"a": {"keys": ["right"]}}
            async with router({"m": model(engine.url)}, client_keys=keys) as front:
                for key, statuses in (("wrong", [401]), ("right", [100, 200])):
                    wire = await front.connect()
                    head, end, body = post(
                        CHAT, path, f"Authorization: Bearer {key}", "Expect: 100-continue"
                    ).partition(b"\r\n\r\n")
                    wire.send(head + end)
                    first = await wire.read_head()
                    assert first.status == statuses[0]
                    if first.status == 401:
                        assert first.get("connection") == "close"
                        assert engine.connections == 0
                    else:
                        wire.send(body)
                        assert (await wire.read()).status == statuses[1]

    run(work())


# -- 12


NAMES = {
    "org/model": "org%2Fmodel",
    "unsloth/Qwen3-8B-GGUF:UD-Q4_K_XL": "unsloth%2fQwen3-8B-GGUF:UD-Q4_K_XL",
    "a%2Fb": "a%252Fb",
    "größe/模型": "gr%C3%B6%C3%9Fe%2F%E6%A8%A1%E5%9E%8B",
    "with space": "with%20space",
    "a?b#c": "a%3Fb%23c",
    "..": "%2e%2e",
    'quote"back\\slash': "quote%22back%5Cslash",
    "m": "%6D",
}


def test_12_any_name_routes_by_body_and_by_path():
    async def work():
        async with backend() as engine:
            models = {
                name: {"upstreams": [{"url": engine.url, "headers": {"X-Number": str(number)}}]}
                for number, name in enumerate(NAMES)
            }
            async with router(models) as front:
                for number, (name, escaped) in enumerate(NAMES.items()):
                    for body in (
                        json.dumps({"model": name}),
                        json.dumps({"model": name}, ensure_ascii=False),
                    ):
                        assert (await front.ask(post(body))).status == 200
                        assert engine.last.get("x-number") == str(number)
                    routed = await front.ask(post("x", f"/route/{escaped}/v1/embeddings?a=%2F"))
                    assert routed.status == 200
                    assert engine.last.get("x-number") == str(number)
                    assert engine.last.target == "/v1/embeddings?a=%2F"
                    shown = await front.ask(get(f"/v1/models/{escaped}"))
                    # A path that climbs is never read as a name.
                    assert shown.status == 400 if name == ".." else shown.json["id"] == name
                listing = (await front.ask(get("/v1/models"))).json["data"]
                assert {one["id"] for one in listing} == set(NAMES)

    run(work())


# -- 13


def test_13_a_dead_engine_delays_nobody_else(monkeypatch):
    monkeypatch.setattr(pool, "CONNECT_SECONDS", 300.0)

    async def silent(request: Message, wire: Wire) -> None:
        await wire.reader.read()

    async def work():
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
            # Its queue is full, so a connect is neither taken nor refused.
            stuck = []
            for dummy in range(3):
                one = socket.socket()
                one.setblocking(False)
                one.connect_ex(full.getsockname())
                stuck.append(one)
            nowhere = f"http://127.0.0.1:{full.getsockname()[1]}"
            async with backend() as well, backend(silent) as mute, backend() as gone:
                gone.stop()
                models = {"nowhere": model(nowhere), "mute": model(mute.url)}
                models |= {"gone": model(gone.url), "well": model(well.url)}
                async with router(models) as front:
                    wires = [await front.connect() for dummy in range(40)]
                    for number, wire in enumerate(wires):
                        name = "nowhere" if number % 2 else "mute"
                        wire.send(post(json.dumps({"model": name})))
                    await until(lambda: front.router.limits.active == 40)
                    assert (await front.ask(post('{"model": "gone"}'))).status == 502
                    listing = (await front.ask(get("/v1/models"))).json["data"]
                    assert len(listing) == 4
                    assert (await front.ask(get("/health"))).status == 200
                    assert (await front.ask(post('{"model": "well"}'))).status == 200
                    assert front.router.limits.active == 40
            for one in stuck:
                one.close()

    run(work())


# -- 14


def test_14_reload_and_sigterm_drop_no_stream(tmp_path):
    async def work():
        engine = Engine(CHUNKED, event("a"))
        async with backend(engine) as old, backend() as new:
            written = config(tmp_path, models={"m": model(old.url)})
            async with process("--config", written) as one:
                port = await ready(one)
                wires = []
                for dummy in range(20):
                    wire = Wire(*await asyncio.open_connection("127.0.0.1", port))
                    wire.send(post(CHAT))
                    await wire.read_head()
                    await wire.read_chunk()
                    wires.append(wire)
                config(tmp_path, models={"m": model(new.url)})
                one.signal(signal.SIGHUP)
                fresh = Wire(*await asyncio.open_connection("127.0.0.1", port))
                while not new.requests:
                    fresh.send(post('{"model": "m", "stream": false}'))
                    answer = await asyncio.wait_for(fresh.read_head(), 5)
                    if answer.get("transfer-encoding"):
                        # Still the old table: this one streams as well.
                        wires.append(fresh)
                        await fresh.read_chunk()
                        fresh = Wire(*await asyncio.open_connection("127.0.0.1", port))
                one.signal(signal.SIGTERM)
                # Nobody new is let in; who is here gets all of the answer.
                await refused_at(port)
                engine.gate.set()
                for wire in wires:
                    assert await wire.read_chunk() == b"last!"
                    assert await wire.read_chunk() == b""
                status, err = await one.end()
                assert status == 0
                assert "aborted" not in err

    run(work())


async def refused_at(port: int) -> None:
    """Wait until nobody listens there any more."""
    while True:
        try:
            dummy, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            await asyncio.sleep(0.01)
        except ConnectionError:
            return


# -- 16


@pytest.mark.parametrize("way", ["browser", "field"])
def test_16_a_realtime_websocket_is_let_in_by_either_key(way):
    async def talk(request: Message, wire: Wire) -> None:
        wire.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n")
        wire.send("Upgrade: websocket\r\nSec-WebSocket-Protocol: realtime\r\n\r\n")
        while data := await wire.reader.read(100):
            wire.send(data.upper())

    def asking(key: str) -> bytes:
        by = {
            "browser": f"Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.{key}",
            "field": f"Authorization: Bearer {key}",
        }[way]
        return get("/v1/realtime?model=m", "Connection: Upgrade", "Upgrade: websocket", by)

    async def work():
        async with backend(talk) as engine:
            keys = {"a": {"keys": ["k"]}}
            async with router({"m": model(engine.url)}, client_keys=keys) as front:
                assert (await front.ask(asking("nope"))).status == 401
                assert engine.connections == 0
                wire = await front.connect()
                wire.send(asking("k"))
                answer = await wire.read_head()
                assert (answer.status, answer.get("sec-websocket-protocol")) == (101, "realtime")
                wire.send("hello")
                assert await wire.reader.readexactly(5) == b"HELLO"
                said = [value for dummy, value in engine.last.fields]
                assert not [value for value in said if "api-key" in value or "Bearer" in value]

    run(work())


# -- 18


@pytest.mark.parametrize(
    "body",
    [
        '{"model":"m","model":"n"}', '{"model":"n","messages":[],"model":"m"}',
        '{"model":"m","mod\\u0065l":"n"}', '{"\\u006dodel":"m","model":"m"}',
        '{"model":"m","model":null}', '{"model":null,"model":"m"}', '{"model":"m","model":{}}',
        '{"model":"m","x":{"model":"q"},"model":"n"}',
    ],
)  # fmt: skip
def test_18_two_models_in_a_body_are_nobodys(body):
    async def work():
        async with backend() as engine:
            keys = {"a": {"keys": ["k"], "models": ["m"]}}
            models = {"m": model(engine.url), "n": model(engine.url)}
            async with router(models, client_keys=keys) as front:
                answer = await front.ask(
                    post(body, "/v1/chat/completions", "Authorization: Bearer k")
                )
                assert (answer.status, answer.json["error"]["param"]) in (
                    (400, "model"),
                    (400, None),
                )
                assert engine.connections == 0

    run(work())


# -- 19


OUTSIDE = [
    "/pause", "/abort_requests", "/metrics", "/slots", "/invocations", "/update_weights", "/",
    "/v1", "/v1/", "/PAUSE", "/V1/chat/completions", "//pause", "/%70ause", "/pause/",
    "/v1/../pause", "/v1/%2e%2e/pause", "/v1/.%2E/pause", "/./pause", "/v1/chat/completions/../../pause",
    "/v1/chat/completions/..%2f..%2fpause", "/v1/chat/completions%2f..%2f..%2fpause",
    "/v1/chat/completions/..%5c..%5cpause", "/v1/chat/completions/..\\..\\pause",
    "/v1/chat/completions;/../pause", "/v1/chat/completions/x", "/v1/chat//completions",
    "/v1/chat/completions%00", "/v1/chat/completions%20", "/v1/chat/completions%2f",
    "/v1/responses/a/b", "/v1/responses/a%2f..%2fpause", "/v1/responses/..", "/v1/responses/%2e%2e",
    "/v1/responses/a/cancel/x", "/%76%31/../pause", "/v1/%252e%252e/pause", "/v1/chat/completions%3f",
    "http://a/pause", "http://a//v1/chat/completions", "/route", "/x/route/m/v1/completions",
]  # fmt: skip


def test_19_no_path_outside_the_list_reaches_an_engine():
    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            for path in OUTSIDE:
                routed = f"/route/m{path}" if path.startswith("/") else path
                for target in (path, routed, f"{path}?x=/v1/chat/completions"):
                    for method in ("POST", "GET", "DELETE"):
                        request = post(CHAT, target).replace(b"POST", method.encode(), 1)
                        answer = await front.ask(request)
                        # The router's own metrics, since it lets in everybody here.
                        own = target.partition("?")[0] == "/metrics" and method == "GET"
                        wanted = (200,) if own else (400, 404, 405)
                        assert answer.status in wanted, target
            assert engine.connections == 0
            for path in (
                "/v1/chat/completions",
                "/%76%31/chat/completions",
                "/route/m/v1/responses/a",
            ):
                assert (await front.ask(post(CHAT, path))).status == 200
            targets = [one.target for one in engine.requests]
            assert targets == [
                "/v1/chat/completions",
                "/%76%31/chat/completions",
                "/v1/responses/a",
            ]

    run(work())


# -- 20


def test_20_fields_of_a_connection_stay_on_it_and_all_others_pass():
    packed = gzip.compress(b'{"choices": []}' * 50)

    async def fielded(request: Message, wire: Wire) -> None:
        wire.send(
            "HTTP/1.1 200 Fine\r\nServer: uvicorn\r\nDate: Sat, 21 Nov 2026 14:00:00 GMT\r\n"
            "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
            "Proxy-Authenticate: x\r\nTrailer: X-T\r\nUpgrade: h2c\r\nProxy-Connection: x\r\n"
            "Content-Encoding: gzip\r\nVary: a\r\nVary: b\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
            f"Content-Length: {len(packed)}\r\nX-Request-Id: engine\r\n\r\n"
        )
        wire.send(packed)

    async def work():
        async with backend(fielded) as engine, router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            for dummy in range(2):
                wire.send(post(CHAT, "/v1/chat/completions", "Accept-Encoding: gzip",
                               "Connection: X-Mine", "X-Mine: 1", "Proxy-Authorization: y"))  # fmt: skip
                answer = await wire.read()
                assert gzip.decompress(answer.body) == b'{"choices": []}' * 50
                names = [name.lower() for name, dummy in answer.fields]
                assert sorted(names) == sorted([
                    "server", "date", "content-encoding", "vary", "vary", "set-cookie",
                    "set-cookie", "content-length", "x-request-id",
                ])  # fmt: skip
                assert answer.start == "HTTP/1.1 200 Fine"
                assert (answer.get("server"), answer.get("x-request-id")) == ("uvicorn", "engine")
                assert engine.last.get("accept-encoding") == "gzip"
                for name in ("x-mine", "connection", "proxy-authorization"):
                    assert engine.last.get(name) is None
            assert engine.connections == 1

    run(work())


# -- 21


def test_21_the_soak_is_a_command_that_measures(tmp_path):
    command = Path(__file__).with_name("soak_router.py")
    done = subprocess.run(
        [sys.executable, str(command), "--minutes", "0.05", "--clients", "8"],
        env={"PYTHONPATH": str(FILES)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "KiB" in done.stdout


# -- 22


def test_22_what_an_engine_says_about_retries_passes_untouched():
    said = {
        "Retry-After": "7", "retry-after-ms": "250", "x-should-retry": "false",
        "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-tokens": "6m0s",
        "anthropic-ratelimit-requests-reset": "2026-11-21T14:00:00Z",
    }  # fmt: skip

    async def limited(request: Message, wire: Wire) -> None:
        status = request.target.rpartition("=")[2]
        lines = "".join(f"{name}: {value}\r\n" for name, value in said.items())
        wire.send(f"HTTP/1.1 {status} X\r\n{lines}Content-Length: 2\r\n\r\n{{}}")

    async def work():
        async with backend(limited) as engine, router({"m": model(engine.url)}) as front:
            for status in (200, 400, 408, 409, 429, 500, 502, 503, 504, 529):
                answer = await front.ask(post(CHAT, f"/v1/chat/completions?status={status}"))
                assert answer.status == status
                assert {name: answer.get(name) for name in said} == said
                assert answer.body == b"{}"
                assert answer.get("x-onehop-error") is None
            # Each was asked once: who may try again is for the client to say.
            assert len(engine.requests) == 10

    run(work())
