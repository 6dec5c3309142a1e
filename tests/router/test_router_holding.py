# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests of a model that is down wait for it; answers that do not come are not waited for."""

from __future__ import annotations

import asyncio
import json
from functools import partial

import pytest
from openai import APIError, AsyncOpenAI, InternalServerError
from router_harness import (
    CHAT,
    Message,
    ScriptedBackend,
    Wire,
    backend,
    get,
    model,
    post,
    router,
    run,
    until,
)

from onehop_router.config_reader import parse
from onehop_router.holding import WaitingRoom
from onehop_router.pool import Upstream
from onehop_router.routing import Route, build_table

OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
STREAM = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
GONE = "http://127.0.0.1:1"
UPLOAD = (
    "POST /route/m/v1/embeddings HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    "3\r\none\r\n0\r\n\r\n"
)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Times of the real thing, a part of them."""
    monkeypatch.setattr("onehop_router.health.FIRST_PAUSE", 0.02)
    monkeypatch.setattr("onehop_router.checks.RECHECK_SECONDS", 0.02)
    monkeypatch.setattr("onehop_router.holding.LOOK_SECONDS", 0.01)


async def ok(request: Message, wire: Wire) -> None:
    wire.send(OK)


async def stall(request: Message, wire: Wire) -> None:
    await wire.reader.read()


def worker(one: ScriptedBackend, health: str | None = None, **more) -> dict:
    return {"m": {"upstreams": [{"url": one.url, "health": health}], **more}}


async def stopped(script=ok) -> ScriptedBackend:
    """A backend that has an address and is not there."""
    one = ScriptedBackend(script)
    await one.start()
    one.stop()
    return one


def is_left(one: ScriptedBackend) -> bool:
    return one.open == 0


async def held(front, count: int = 1) -> None:
    await until(lambda: front.router.room.waiting == count)


def route_of(name: str, *upstreams: dict, **more) -> Route:
    config = {"models": {name: {"upstreams": [*upstreams] or [{"url": GONE}]}}, **more}

    def no_tls():
        raise AssertionError("nothing here speaks TLS")

    table = build_table(
        parse(json.dumps(config), {}), lambda address, dummy: Upstream(address, no_tls)
    )
    return table.routes[name]


# -- waiting


@pytest.mark.parametrize("health", [None, "/health"])
def test_requests_of_a_worker_that_restarts_wait_for_it(health):
    async def work():
        engine = ScriptedBackend(ok)
        await engine.start()
        async with router(worker(engine, health), hold_seconds=10) as front:
            assert (await front.ask(post(CHAT))).status == 200
            engine.kill()
            asked = [asyncio.create_task(front.ask(post(CHAT))) for dummy in range(20)]
            asked.append(asyncio.create_task(front.ask(UPLOAD)))
            asked.append(asyncio.create_task(front.ask(get("/route/m/v1/models"))))
            await held(front, 22)
            upstream = next(iter(front.router._upstreams.values()))
            assert upstream.outstanding == 0
            await engine.start()
            answers = await asyncio.gather(*asked)
            assert [(one.status, one.body) for one in answers] == [(200, b"ok")] * 22
            assert front.router.room.waiting == front.router.limits.active == 0
            assert upstream.outstanding == front.router.limits.held_bytes == 0
            bodies = [one.body.decode() for one in engine.requests if one.method == "POST"]
            assert sorted(bodies[1:]) == sorted([CHAT] * 20 + ["one"])
        engine.stop()

    run(work())


class Waiting:
    """A test double of a request that waits."""

    def __init__(self, told: list[str], name: str) -> None:
        self.told = told
        self.name = name

    def resume(self, route: Route) -> None:
        self.told.append(f"{self.name} {route.name}")

    def give_up(self) -> None:
        self.told.append(f"{self.name} gives up")


def test_who_came_first_is_served_first():
    async def work():
        routes = {name: route_of(name) for name in ("m", "n")}
        for one in routes.values():
            one.targets[0].health.refused(0, "no")
        room = WaitingRoom()
        room.follow(routes, 0)
        told: list[str] = []
        now = asyncio.get_running_loop().time()
        for number in range(4):
            waiter = Waiting(told, str(number))
            assert room.enter(waiter, "mn"[number % 2], now + (0.03 if number == 1 else 60))
        await until(lambda: told)
        assert told == ["1 gives up"]
        for one in routes.values():
            one.targets[0].health.passed(0)
        room.look_soon()
        await until(lambda: room.waiting == 0)
        assert told[1:] == ["0 m", "2 m", "3 n"]
        await until(lambda: room._timer is None)

    run(work())


def test_a_wait_has_an_end():
    async def work():
        engine = await stopped()
        async with router(worker(engine), hold_seconds=0.05) as front:
            for dummy in range(2):
                answer = await front.ask(post(CHAT))
                assert (answer.status, answer.code) == (503, "model_unavailable")
                assert answer.get("retry-after") == "5"
            assert front.router.limits.active == front.router.room.waiting == 0

    run(work())


def test_only_so_many_requests_wait():
    async def work():
        engine = await stopped()
        async with router(worker(engine), hold_seconds=10, max_held_requests=2) as front:
            asked = [asyncio.create_task(front.ask(post(CHAT))) for dummy in range(2)]
            await held(front, 2)
            answer = await front.ask(post(CHAT))
            assert (answer.status, answer.code) == (503, "model_unavailable")
            await engine.start()
            assert [one.status for one in await asyncio.gather(*asked)] == [200, 200]
        engine.stop()

    run(work())


@pytest.mark.parametrize("request_", [post(CHAT), UPLOAD.encode()])
@pytest.mark.parametrize("how", ["close", "reset"])
def test_who_leaves_waits_no_more(request_, how):
    async def work():
        engine = await stopped()
        async with router(worker(engine), hold_seconds=10) as front:
            wire = await front.connect()
            wire.send(request_)
            await held(front)
            getattr(wire, how)()
            await held(front, 0)
            assert front.router.limits.active == front.router.limits.held_bytes == 0
            await until(lambda: front.router.room._timer is None)
            await engine.start()
            assert (await front.ask(post(CHAT))).status == 200
            assert len(engine.requests) == 1
        engine.stop()

    run(work())


def test_a_reload_brings_those_who_wait_to_the_new_replica():
    async def work():
        engine = await stopped()
        async with router(worker(engine), hold_seconds=10) as front, backend(ok) as other:
            asked = asyncio.create_task(front.ask(post(CHAT)))
            await held(front)
            config = {"models": worker(other)}
            front.router.load(parse(json.dumps(config), {}))
            assert (await asked).status == 200
            assert other.requests
            other.stop()

    run(work())


def test_a_reload_without_the_model_ends_the_wait():
    async def work():
        engine = await stopped()
        async with router(worker(engine), hold_seconds=10) as front:
            asked = asyncio.create_task(front.ask(post(CHAT)))
            await held(front)
            front.router.load(parse("{}", {}))
            assert (await asked).status == 503

    run(work())


def test_a_router_in_front_of_this_one_does_its_own_waiting():
    async def work():
        engine = await stopped()
        async with router(worker(engine), hold_seconds=10) as edge:
            answer = await edge.ask(post(CHAT, "/v1/completions", "X-OneHop-Hold: 0"))
            assert (answer.status, answer.code) == (503, "model_unavailable")
            # Two edges with a worker each, of which one is down: nobody waits for it.
            async with backend(ok) as second, router(worker(second)) as other:
                edges = [{"url": one.url, "health": "/route/m/health"} for one in (edge, other)]
                async with router({"m": {"upstreams": edges}}, hold_seconds=10) as front:
                    for dummy in range(6):
                        assert (await front.ask(post(CHAT))).status == 200
                    await until(lambda: not front.router.table.routes["m"].targets[0].health.up)
            # One edge alone: its front waits for its worker.
            edges = [{"url": edge.url, "health": "/route/m/health"}]
            async with router({"m": {"upstreams": edges}}, hold_seconds=10) as front:
                asked = asyncio.create_task(front.ask(post(CHAT)))
                await held(front)
                assert edge.router.room.waiting == 0
                # What the edge knows of its worker, its front knows as well.
                assert front.router.table.routes["m"].targets[0].health.state == "down"
                await engine.start()
                assert (await asked).status == 200
        engine.stop()

    run(work())


def test_a_hosted_provider_is_not_waited_for():
    worker, provider = {"url": "http://worker"}, {"url": "https://api.example"}
    assert not route_of("m", provider).waits
    assert route_of("m", {**provider, "health": "/health"}).waits
    assert route_of("m", worker).waits
    assert route_of("m", {"url": "unix:///run/x.sock"}).waits
    assert route_of("m", provider, worker).waits
    assert not route_of("m", worker, hold_seconds=0).waits


def test_a_fallback_comes_before_waiting():
    async def work():
        engine = await stopped()
        async with backend(ok) as spare:
            models = {**worker(engine, fallbacks=["spare"]), "spare": model(spare.url)}
            async with router(models, hold_seconds=10) as front:
                answer = await front.ask(post(CHAT))
                assert (answer.status, answer.get("x-onehop-model")) == (200, "spare")
                spare.kill()
                asked = asyncio.create_task(front.ask(post(CHAT)))
                await held(front)
                await engine.start()
                answer = await asked
                assert (answer.status, answer.get("x-onehop-model")) == (200, None)
        engine.stop()

    run(work())


def test_an_engine_that_loads_is_waited_for():
    loading = True

    async def script(request: Message, wire: Wire) -> None:
        body = '{"error":{"code":503,"message":"Loading model"}}' if loading else "ok"
        status = "503 Loading" if loading else "200 OK"
        wire.send(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}")

    async def work():
        nonlocal loading
        async with backend(script) as engine:
            # The first check is far away, so it is the request that finds out.
            async with router(
                worker(engine, "/health"), hold_seconds=10, health_seconds=1000
            ) as front:
                await until(lambda: engine.requests)
                asked = asyncio.create_task(front.ask(post(CHAT)))
                await held(front)
                assert front.router.table.routes["m"].targets[0].health.state == "loading"
                loading = False
                assert (await asked).status == 200

    run(work())


def test_the_end_of_a_wait_says_that_the_engine_loads():
    async def script(request: Message, wire: Wire) -> None:
        wire.send("HTTP/1.1 503 Loading\r\nContent-Length: 0\r\n\r\n")

    async def work():
        async with backend(script) as engine:
            async with router(worker(engine, "/health"), hold_seconds=0.05) as front:
                answer = await front.ask(post(CHAT))
                assert (answer.status, answer.code) == (503, "model_loading")

    run(work())


def test_an_engine_that_is_well_and_still_refuses_means_it():
    async def script(request: Message, wire: Wire) -> None:
        if request.method == "GET":
            wire.send(OK)
        else:
            wire.send("HTTP/1.1 503 Full\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nfull")

    async def work():
        async with backend(script) as engine:
            async with router(worker(engine, "/health"), hold_seconds=10) as front:
                answer = await front.ask(post(CHAT))
                assert (answer.status, answer.body) == (503, b"full")
                assert answer.get("retry-after") == "7"
                assert len([one for one in engine.requests if one.method == "POST"]) == 2

    run(work())


def test_a_fault_of_our_own_after_a_wait_hangs_nobody(monkeypatch):
    def broken(*_args, **_kwargs):
        raise RuntimeError("a bug")

    async def work():
        engine = await stopped()
        async with router(worker(engine), hold_seconds=10) as front:
            wire = await front.connect()
            wire.send(post(CHAT))
            await held(front)
            with monkeypatch.context() as patch:
                patch.setattr("onehop_router.dispatch.write_request", broken)
                await engine.start()
                assert await wire.ended()
            await until(lambda: front.router.limits.active == 0)
            assert (await front.ask(post(CHAT))).status == 200
        engine.stop()

    run(work())


# -- not waiting for ever


def test_an_answer_that_does_not_begin_in_time():
    async def begin(request: Message, wire: Wire) -> None:
        wire.send("HTTP/1.1 200 OK\r\n")
        await wire.reader.read()

    async def work():
        for script in (stall, begin):
            async with backend(script) as engine:
                async with router({"m": model(engine.url)}, answer_seconds=0.05) as front:
                    answer = await front.ask(post(CHAT))
                    assert (answer.status, answer.code) == (504, "backend_timeout")
                    await until(partial(is_left, engine))
                    assert front.router.limits.active == 0

    run(work())


def test_an_upload_is_no_silence():
    async def script(request: Message, wire: Wire) -> None:
        await wire.read()
        wire.send(OK)

    async def work():
        async with backend(script, raw=True) as engine:
            async with router({"m": model(engine.url)}, answer_seconds=0.15) as front:
                wire = await front.connect()
                wire.send(UPLOAD[: UPLOAD.index("3\r\n")])
                for dummy in range(10):
                    await asyncio.sleep(0.03)
                    wire.send("1\r\nx\r\n")
                wire.send("0\r\n\r\n")
                assert (await wire.read()).status == 200

    run(work())


@pytest.mark.parametrize(
    ("path", "event"),
    [
        ("/v1/chat/completions", b'\n\ndata: {"error":{"message":'),
        ("/v1/messages", b'\n\nevent: error\ndata: {"type":"error","error":{'),
    ],
)
def test_a_stream_that_falls_silent_ends_in_an_error(path, event):
    async def script(request: Message, wire: Wire) -> None:
        wire.send(STREAM)
        for dummy in range(10):
            wire.send("8\r\ndata: 1\n\r\n")
            await asyncio.sleep(0.1)
        await wire.reader.read()

    async def work():
        async with backend(script) as engine:
            async with router({"m": model(engine.url)}, idle_stream_seconds=0.8) as front:
                wire = await front.connect()
                wire.send(post(CHAT, path))
                await wire.read_head()
                rest = await wire.read_to_end()
                # All ten came, although they took longer together.
                assert rest.count(b"data: 1\n") == 10
                assert event in rest
                # No last chunk: who counts sees that it was cut.
                assert not rest.endswith(b"0\r\n\r\n")
                await until(lambda: engine.open == 0)

    run(work())


@pytest.mark.parametrize(
    "fields",
    ["Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n",
     "Content-Type: text/event-stream\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
     "Content-Type: text/event-stream\r\nContent-Length: 100\r\n"],
)  # fmt: skip
def test_nothing_is_added_to_an_answer_that_cannot_take_it(fields):
    async def script(request: Message, wire: Wire) -> None:
        wire.send(f"HTTP/1.1 200 OK\r\n{fields}\r\n")
        wire.send("5\r\nevent\r\n" if "chunked" in fields else "event")
        await wire.reader.read()

    async def work():
        async with backend(script) as engine:
            async with router({"m": model(engine.url)}, idle_stream_seconds=0.05) as front:
                wire = await front.connect()
                wire.send(post(CHAT))
                head = await wire.read_head()
                assert head.status == 200
                assert (await wire.read_to_end()).strip() in (b"5\r\nevent", b"event")

    run(work())


def test_a_client_that_reads_slowly_is_no_silent_upstream():
    piece = "10000\r\n" + "x" * 0x10000 + "\r\n"

    async def script(request: Message, wire: Wire) -> None:
        wire.send(STREAM)
        for dummy in range(400):
            wire.send(piece)
            await wire.writer.drain()
        wire.send("0\r\n\r\n")

    async def work():
        async with backend(script) as engine:
            async with router({"m": model(engine.url)}, idle_stream_seconds=0.2) as front:
                wire = await front.connect()
                wire.stop_reading()
                wire.send(post(CHAT))
                client = next(iter(front.router.clients))
                await until(lambda: client._full)
                await asyncio.sleep(0.5)
                wire.read_on()
                assert len((await wire.read()).body) == 400 * 0x10000

    run(work())


def test_the_openai_client_hears_why():
    async def script(request: Message, wire: Wire) -> None:
        if request.json.get("stream"):
            event = 'data: {"id":"1","choices":[]}\n\n'
            wire.send(f"{STREAM}{len(event):x}\r\n{event}\r\n")
        await wire.reader.read()

    async def work():
        limits = {"answer_seconds": 0.2, "idle_stream_seconds": 0.2}
        async with backend(script) as engine, router({"m": model(engine.url)}, **limits) as front:
            client = AsyncOpenAI(base_url=f"{front.url}/v1", api_key="x", max_retries=0)
            question = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
            with pytest.raises(InternalServerError) as late:
                await client.chat.completions.create(**question)
            assert (late.value.status_code, late.value.code) == (504, "backend_timeout")
            with pytest.raises(APIError, match=r"within 0\.2 s"):
                async for dummy in await client.chat.completions.create(stream=True, **question):
                    pass
            await client.close()

    run(work())
