# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several replicas of a model: which one is asked, and which one next."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter

import pytest
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

from onehop_router.balance import by_session, session_of
from onehop_router.config_reader import parse
from onehop_router.course import repeatable
from onehop_router.pool import Upstream
from onehop_router.routing import Route, build_table

OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GONE = "http://127.0.0.1:1"


async def ok(request: Message, wire: Wire) -> None:
    wire.send(OK)


async def stall(request: Message, wire: Wire) -> None:
    await wire.reader.read()


async def drop(request: Message, wire: Wire) -> None:
    wire.close()


def refusing(status: int, code: str = "") -> ScriptedBackend:
    """A backend that refuses: as another router does, or as an engine without a code."""
    field = f"X-OneHop-Error: {code}\r\n" if code else ""

    async def script(request: Message, wire: Wire) -> None:
        wire.send(f"HTTP/1.1 {status} No\r\n{field}Content-Length: 4\r\n\r\nbusy")

    return ScriptedBackend(script)


def route_of(*upstreams: dict, **more) -> Route:
    config = {"models": {"m": {"upstreams": list(upstreams), **more}}}

    def no_tls():
        raise AssertionError("nothing here speaks TLS")

    table = build_table(
        parse(json.dumps(config), {}), lambda address, dummy: Upstream(address, no_tls)
    )
    return table.routes["m"]


def picked(route: Route, count: int, session: bytes | None = None) -> Counter[str]:
    """How often each host is picked by requests that never end."""
    found: Counter[str] = Counter()
    for dummy in range(count):
        target = route.pick((), session)
        assert target is not None
        target.upstream.outstanding += 1
        found[target.url.address.host] += 1
    return found


# -- which one


def test_weights_share_what_is_under_way():
    route = route_of({"url": "http://a", "weight": 3}, {"url": "http://b"})
    assert picked(route, 40) == {"a": 30, "b": 10}


def test_equals_take_turns_by_weight():
    route = route_of({"url": "http://a", "weight": 3}, {"url": "http://b"})
    found = Counter()
    for dummy in range(40):
        target = route.pick()
        assert target is not None
        found[target.url.address.host] += 1
    assert found == {"a": 30, "b": 10}


def test_a_session_stays_where_it_was_and_few_move_when_a_replica_goes():
    hosts = [{"url": f"http://{name}"} for name in "abcd"]
    whole, less = route_of(*hosts, balance="affinity"), route_of(*hosts[:3], balance="affinity")
    moved = 0
    for number in range(400):
        session = b"session %d" % number
        before = by_session(whole.targets, session).url.address.host
        assert before == by_session(whole.targets, session).url.address.host
        after = by_session(less.targets, session).url.address.host
        if before != "d":
            assert after == before
        else:
            moved += 1
    assert 60 < moved < 140


def test_weights_share_the_sessions():
    route = route_of({"url": "http://a", "weight": 3}, {"url": "http://b"}, balance="affinity")
    found = Counter(
        by_session(route.targets, b"s%d" % number).url.address.host for number in range(400)
    )
    assert 260 < found["a"] < 340


def test_one_session_does_not_fill_its_replica_beyond_a_bound():
    hosts = [{"url": f"http://{name}"} for name in "abcd"]
    found = picked(route_of(*hosts, balance="affinity"), 100, b"everybody's")
    # 1.25 times the average of 25, rounded up; what is over goes to the next one, not to all.
    assert max(found.values()) == 32
    assert min(found.values()) < 15


def test_without_affinity_a_session_means_nothing():
    hosts = [{"url": f"http://{name}"} for name in "ab"]
    assert picked(route_of(*hosts), 10, b"s") == {"a": 5, "b": 5}


@pytest.mark.parametrize("name", ["X-Session-Id", "session_id", "Session-Id"])
def test_a_session_by_header(name):
    async def work():
        async with backend() as one, backend() as two, backend() as three:
            engines = (one, two, three)
            models = {"m": model(*(each.url for each in engines), balance="affinity")}
            async with router(models) as front:
                # So many that by chance none is left without one.
                for number in range(40):
                    before = [len(each.requests) for each in engines]
                    for dummy in range(3):
                        answer = await front.ask(post(CHAT, "/v1/completions", f"{name}: {number}"))
                        assert answer.status == 200
                    took = [
                        len(each.requests) - had for each, had in zip(engines, before, strict=True)
                    ]
                    assert sorted(took) == [0, 0, 3]
                assert all(each.requests for each in engines)

    run(work())


def test_a_session_by_body():
    def session(body: str, **headers: str) -> bytes | None:
        fields = {
            name.replace("_", "-").encode(): value.encode() for name, value in headers.items()
        }
        return session_of(fields, body.encode())

    assert session('{"messages": [{"role": "user"}], "prompt_cache_key": "a", "user": "b"}') == b"a"
    assert session('{"user":"b","messages":[{"role":"user","content":"x"}]}') == b"b"
    assert session('{"messages": [{"role":"user"}], "user" : "b"}') == b"b"
    assert session('{"prompt_cache_key": null, "user": "b"}') == b"b"
    assert session('{"prompt_cache_key": "a"}', x_session_id="c") == b"c"
    assert session('{"messages": [{"role": "user", "content": "x"}]}') is None
    assert session("") is None


def test_a_body_keeps_its_session_on_one_replica():
    async def work():
        async with backend(ok) as one, backend(ok) as two:
            engines = (one, two)
            models = {"m": model(one.url, two.url, balance="affinity")}
            async with router(models) as front:
                for number in range(8):
                    before = len(one.requests)
                    body = json.dumps({"model": "m", "prompt_cache_key": f"k{number}"})
                    for dummy in range(2):
                        assert (await front.ask(post(body))).status == 200
                    assert len(one.requests) - before in (0, 2)
                assert all(each.requests for each in engines)

    run(work())


# -- which one next


def test_a_replica_that_cannot_be_reached_is_left_alone(caplog):
    async def work():
        async with backend(ok) as engine, router({"m": model(GONE, engine.url)}) as front:
            for dummy in range(10):
                assert (await front.ask(post(CHAT))).status == 200
            assert len(engine.requests) == 10

    caplog.set_level("INFO")
    run(work())
    assert caplog.text.count("cannot connect to") == 1
    assert caplog.text.count("is down") == 1


def test_a_streamed_upload_finds_the_replica_that_is_there():
    async def work():
        async with backend() as engine, router({"m": model(GONE, GONE, engine.url)}) as front:
            upload = (
                "POST /route/m/v1/embeddings HTTP/1.1\r\nHost: a\r\n"
                "Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n"
            )
            answer = await front.ask(upload)
            assert (answer.status, answer.json["body"]) == (200, "one")

    run(work())


@pytest.mark.parametrize(
    ("status", "code"),
    [(503, "model_unavailable"), (503, "model_loading"), (429, "queue_full"),
     (429, "concurrency_limit"), (502, "backend_unreachable"), (503, "")],
)  # fmt: skip
def test_a_refusal_of_a_replica_sends_the_request_to_the_next(status, code):
    async def work():
        async with backend(refusing(status, code).script) as full, backend(ok) as free:
            async with router({"m": model(full.url, free.url)}) as front:
                for dummy in range(4):
                    answer = await front.ask(post(CHAT))
                    assert (answer.status, answer.body) == (200, b"ok")
                assert full.requests
                assert [one.body.decode() for one in free.requests] == [CHAT] * 4
                assert front.router.limits.active == front.router.limits.held_bytes == 0

    run(work())


@pytest.mark.parametrize(
    ("status", "code"),
    [(503, "model_unavailable"), (429, "queue_full"), (502, "backend_unreachable"), (503, ""),
     (429, ""), (502, ""), (500, ""), (504, "backend_timeout")],
)  # fmt: skip
def test_what_nobody_else_can_answer_is_answered_as_it_came(status, code):
    async def work():
        async with (
            backend(refusing(status, code).script) as one,
            router({"m": model(one.url)}) as front,
        ):
            answer = await front.ask(post(CHAT))
            assert (answer.status, answer.body) == (status, b"busy")
            assert answer.get("x-onehop-error") == (code or None)
            assert len(one.requests) == 1

    run(work())


@pytest.mark.parametrize(
    ("status", "code"), [(429, ""), (502, ""), (500, ""), (504, "backend_timeout")]
)
def test_what_says_nothing_about_the_replica_is_no_reason_to_ask_another(status, code):
    async def work():
        async with backend(refusing(status, code).script) as one, backend(ok) as two:
            async with router({"m": model(one.url, two.url)}) as front:
                found = {(await front.ask(post(CHAT))).status for dummy in range(2)}
                assert found == {status, 200}

    run(work())


def test_a_request_that_was_lost_before_its_answer_is_asked_of_one_other_replica():
    async def work():
        async with backend(drop) as one, backend(drop) as two, backend(drop) as three:
            engines = (one, two, three)
            async with router({"m": model(*(each.url for each in engines))}) as front:
                answer = await front.ask(post(CHAT))
                assert (answer.status, answer.code) == (502, "backend_unreachable")
                assert sum(len(each.requests) for each in engines) == 2

    run(work())


def test_what_an_engine_may_keep_is_never_asked_twice():
    async def work():
        async with backend(drop) as one, backend(drop) as two:
            async with router({"m": model(one.url, two.url)}, allowed_paths=None) as front:
                for path in ("/v1/responses", "/v1/files"):
                    before = len(one.requests) + len(two.requests)
                    assert (await front.ask(post(CHAT, path))).status == 502
                    assert len(one.requests) + len(two.requests) == before + 1

    run(work())
    assert repeatable(b"POST", ("v1", "chat", "completions"))
    assert repeatable(b"GET", ("v1", "responses", "resp_1"))
    assert not repeatable(b"DELETE", ("v1", "responses", "resp_1"))
    assert not repeatable(b"POST", ("v1", "responses", "resp_1", "cancel"))


def test_after_three_lost_requests_a_replica_is_left_alone():
    async def work():
        async with backend(drop) as bad, backend(ok) as good:
            async with router({"m": model(bad.url, good.url)}) as front:
                for dummy in range(12):
                    assert (await front.ask(post(CHAT))).status == 200
                assert len(bad.requests) == 3

    run(work())


def test_a_replica_that_was_left_alone_gets_requests_again_when_it_is_back(monkeypatch):
    monkeypatch.setattr("onehop_router.health.FIRST_PAUSE", 0.02)
    monkeypatch.setattr("onehop_router.checks.RECHECK_SECONDS", 0.02)

    async def work():
        one = ScriptedBackend(ok)
        await one.start()
        async with backend(ok) as two, router({"m": model(one.url, two.url)}) as front:
            one.kill()
            for dummy in range(4):
                assert (await front.ask(post(CHAT))).status == 200
            assert not one.requests
            health = front.router.table.routes["m"].targets[0].health
            assert not health.up
            await one.start()
            await until(lambda: health.up)
            assert not one.requests
            for dummy in range(4):
                assert (await front.ask(post(CHAT))).status == 200
            assert len(one.requests) == len(two.requests) - 4 == 2
            one.stop()

    run(work())


def test_a_replica_stopped_under_load_costs_no_request():
    # Each request takes a moment, so that several are in the engine when it is killed.
    async def slowly(request: Message, wire: Wire) -> None:
        await asyncio.sleep(random.uniform(0, 0.01))
        wire.send(OK)

    async def work():
        one, two = ScriptedBackend(slowly), ScriptedBackend(slowly)
        await one.start()
        await two.start()
        models = {"m": model(one.url, two.url)}
        async with router(models, hold_seconds=10) as front:
            statuses: list[int] = []

            async def ask_ten() -> None:
                wire = await front.connect()
                for dummy in range(10):
                    wire.send(post(CHAT))
                    statuses.append((await wire.read()).status)

            clients = [asyncio.create_task(ask_ten()) for dummy in range(20)]
            moment = random.randrange(20, 120)
            await until(lambda: len(statuses) >= moment)
            one.kill()
            await asyncio.gather(*clients)
            assert statuses == [200] * 200, moment
            assert len(one.requests) > 5
            await until(lambda: front.router.limits.active == 0)
            assert all(not each.outstanding for each in front.router._upstreams.values())
        two.stop()

    run(work())


# -- fallbacks


def test_a_fallback_answers_in_its_own_name():
    async def work():
        async with backend(ok) as engine:
            models = {
                "m": model(GONE, fallbacks=["also-gone", "spare"]),
                "also-gone": model(GONE),
                "spare": {"upstreams": [{"url": engine.url, "model": "own name"}]},
            }
            async with router(models) as front:
                for dummy in range(2):
                    answer = await front.ask(post(CHAT))
                    assert (answer.status, answer.get("x-onehop-model")) == (200, "spare")
                    # It is asked in its own name for itself.
                    assert engine.last.json == json.loads(CHAT) | {"model": "own name"}
                own = await front.ask(get("/route/spare/v1/models"))
                assert own.get("x-onehop-model") is None

    run(work())


def test_a_fallback_is_no_way_round_the_models_of_a_key():
    async def work():
        async with backend(ok) as engine:
            models = {"m": model(GONE, fallbacks=["spare"]), "spare": model(engine.url)}
            keys = {"some": {"keys": ["one"], "models": ["m"]}, "all": {"keys": ["two"]}}
            async with router(models, client_keys=keys) as front:
                for key, status in (("one", 502), ("two", 200)):
                    answer = await front.ask(post(CHAT, "/v1/completions", f"X-Api-Key: {key}"))
                    assert answer.status == status
                assert len(engine.requests) == 1

    run(work())


def test_a_model_that_is_back_answers_again_itself(monkeypatch):
    monkeypatch.setattr("onehop_router.health.FIRST_PAUSE", 0.02)
    monkeypatch.setattr("onehop_router.checks.RECHECK_SECONDS", 0.02)

    async def work():
        own = ScriptedBackend(ok)
        await own.start()
        async with backend(ok) as engine:
            models = {"m": model(own.url, fallbacks=["spare"]), "spare": model(engine.url)}
            async with router(models) as front:
                own.kill()
                assert (await front.ask(post(CHAT))).get("x-onehop-model") == "spare"
                await own.start()
                while (await front.ask(post(CHAT))).get("x-onehop-model"):
                    await asyncio.sleep(0.005)
        own.stop()

    run(work())
