# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of replicas: from requests, from checks, and what engines say of their models."""

from __future__ import annotations

import asyncio
import json
from functools import partial

import pytest
from router_harness import (
    CHAT,
    Message,
    ScriptedBackend,
    Wire,
    backend,
    get,
    post,
    router,
    run,
    until,
)

from onehop_router import health as health_module
from onehop_router.cards import Facts, read_facts
from onehop_router.config_reader import parse
from onehop_router.health import Health

OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Times of the real thing, a hundredth of them."""
    monkeypatch.setattr("onehop_router.health.FIRST_PAUSE", 0.02)
    monkeypatch.setattr("onehop_router.checks.RECHECK_SECONDS", 0.02)


@pytest.fixture
def steady(monkeypatch):
    """The pauses as they are, without jitter."""
    monkeypatch.setattr("onehop_router.health.FIRST_PAUSE", 1.0)
    monkeypatch.setattr("onehop_router.health.random.uniform", lambda low, high: 1.0)


class Engine(ScriptedBackend):
    """A test double of an engine: it is asked how it is, what it serves, and for answers."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.health = 200
        self.silent = False
        self.models: object = {"object": "list", "data": [{"id": "m"}]}
        self.checks = 0
        self.answered = 0

    async def _answer(self, request: Message, wire: Wire) -> None:
        if request.target == "/health":
            self.checks += 1
            if self.silent:
                await wire.reader.read()
            wire.send(f"HTTP/1.1 {self.health} X\r\nContent-Length: 0\r\n\r\n")
        elif request.target == "/v1/models":
            body = json.dumps(self.models)
            wire.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}")
        else:
            self.answered += 1
            wire.send(OK)


def watched(*engines: ScriptedBackend, **more) -> dict:
    upstreams = [{"url": one.url, "health": "/health"} for one in engines]
    return {"upstreams": upstreams, **more}


def health_of(front, number: int = 0) -> Health:
    return front.router.table.routes["m"].targets[number].health


def more_checks_than(engine: Engine, number: int) -> bool:
    return engine.checks > number


def up(one: Health) -> bool:
    """Whether it is up, asked in a way that type checkers do not take for settled."""
    return one.up


# -- learnt from requests


def test_a_refused_connect_is_enough_and_pauses_grow(steady, caplog):
    caplog.set_level("INFO")
    one = Health("r")
    now, pauses = 0.0, []
    for dummy in range(7):
        one.refused(now, "no")
        assert not up(one)
        one.refused(now, "no")
        pauses.append(one.pause_left(now))
        now += pauses[-1]
        one.passed(now)
        assert up(one)
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    one.answered()
    one.refused(now, "no")
    assert one.pause_left(now) == 1
    # Told once for each change, not for each request.
    assert (caplog.text.count("r is down"), caplog.text.count("r is up again")) == (8, 7)


def test_a_check_ends_a_refusal_early_but_no_other_pause(steady):
    one = Health()
    one.refused(0, "no")
    one.passed(0.1)
    assert up(one)
    one.answered()
    one.unavailable(1, "busy", loading=True)
    assert one.state == "loading"
    one.passed(1.5)
    assert not up(one)
    one.passed(2)
    assert one.state == "up"


def test_lost_requests_count_while_they_follow_each_other():
    one = Health()
    for dummy in range(5):
        one.lost(0, "gone")
        one.lost(0, "gone")
        assert up(one)
        one.answered()
    for dummy in range(health_module.MAX_LOSSES):
        one.lost(0, "gone")
    assert not up(one)


def test_an_answer_of_a_request_under_way_tells_that_it_is_up():
    one = Health()
    rose = []
    one.rose = lambda: rose.append(True)
    one.refused(0, "no")
    one.answered()
    assert up(one)
    assert rose == [True]


# -- learnt from checks


def test_two_failed_checks_are_down_and_one_that_passes_is_up():
    one = Health()
    one.missed("500")
    assert up(one) and one.doubted
    one.passed(0)
    one.missed("500")
    assert up(one)
    one.missed("500")
    assert not up(one) and one.ill
    # Only checks end what checks have begun.
    one.answered()
    assert not up(one)
    one.passed(0)
    assert up(one)


def test_a_silent_check_may_be_a_busy_engine():
    one = Health()
    for dummy in range(health_module.MAX_SILENCES - 1):
        one.missed("silent", silent=True)
        assert up(one)
    one.missed("silent", silent=True)
    assert not up(one)


def test_checks_take_a_replica_out_and_in_again():
    async def work():
        one, two = Engine(), Engine()
        await one.start()
        await two.start()
        async with router({"m": watched(one, two)}, health_seconds=0.02) as front:
            await until(lambda: one.checks and two.checks)
            one.health = 500
            await until(lambda: not health_of(front).up)
            for dummy in range(4):
                assert (await front.ask(post(CHAT))).status == 200
            assert (one.answered, two.answered) == (0, 4)
            one.health = 200
            await until(lambda: health_of(front).up)
            for dummy in range(4):
                assert (await front.ask(post(CHAT))).status == 200
            assert one.answered == 2
        one.stop()
        two.stop()

    run(work())


def test_a_check_asks_what_requests_would_ask(monkeypatch):
    async def work():
        async with backend() as engine:
            upstream = {
                "url": f"{engine.url}/base?key=1",
                "health": "/health?deep=0",
                "headers": {"Authorization": "Bearer s", "User-Agent": "mine"},
            }
            async with router({"m": {"upstreams": [upstream]}}):
                await until(lambda: len(engine.requests) == 2)
            check, facts = engine.requests
            assert (check.method, check.target) == ("GET", "/base/health?key=1&deep=0")
            assert facts.target == "/base/v1/models?key=1"
            assert check.get("host") == engine.url.removeprefix("http://")
            assert (check.get("authorization"), check.get("user-agent")) == ("Bearer s", "mine")
            assert check.get("x-onehop-hold") == "0"
            await until(lambda: engine.open == 0)

    run(work())


@pytest.mark.parametrize("answer", ["", "nonsense\r\n\r\n", "HTTP/1.1 204 No\r\n\r\n"])
def test_only_200_is_well(answer):
    async def script(request: Message, wire: Wire) -> None:
        if answer:
            wire.send(answer)
        wire.close()

    async def work():
        async with backend(script) as engine:
            async with router({"m": watched(engine)}, health_seconds=0.02) as front:
                await until(lambda: health_of(front).ill)
                # It is known to be down, so nobody asks it to find out.
                before = len([one for one in engine.requests if one.method == "POST"])
                answered = await front.ask(post(CHAT))
                assert (answered.status, answered.code) == (503, "model_unavailable")
                assert answered.get("retry-after") == "5"
                assert before == len([one for one in engine.requests if one.method == "POST"])

    run(work())


def test_an_engine_that_speaks_to_others_is_not_dead_for_being_slow(monkeypatch):
    monkeypatch.setattr("onehop_router.checks.CHECK_SECONDS", 0.05)
    monkeypatch.setattr("onehop_router.health.MAX_SILENCES", 1)

    class Busy(Engine):
        """A test double of an engine whose server streams, and has no time for checks."""

        async def _answer(self, request: Message, wire: Wire) -> None:
            if request.method == "GET":
                self.checks += 1
                await wire.reader.read()
            wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while not wire.writer.is_closing():
                wire.send("5\r\nevent\r\n")
                await asyncio.sleep(0.005)

    async def work():
        engine = Busy()
        await engine.start()
        async with router({"m": watched(engine)}, health_seconds=10) as front:
            wire = await front.connect()
            wire.send(post(CHAT))
            await wire.read_head()
            for number in range(4):
                health_of(front).hurry()
                await until(partial(more_checks_than, engine, number + 1))
            assert health_of(front).up
            wire.close()
            await until(lambda: engine.open <= 1)
            health_of(front).hurry()
            await until(lambda: not health_of(front).up)
        engine.stop()

    run(work())


def test_states_outlive_a_reload_and_checks_end_with_their_replica():
    async def work():
        one, two = Engine(), Engine()
        await one.start()
        await two.start()
        one.health = 500
        config = {"models": {"m": watched(one, two)}, "health_seconds": 0.02, "hold_seconds": 0}
        async with router(**config) as front:
            await until(lambda: not health_of(front).up)
            front.router.load(parse(json.dumps(config), {}))
            assert not health_of(front, 0).up and health_of(front, 1).up
            front.router.load(parse(json.dumps({**config, "models": {"m": watched(two)}}), {}))
            seen = one.checks
            after = two.checks
            await until(lambda: two.checks > after + 3)
            assert one.checks <= seen + 1
        one.stop()
        two.stop()

    run(work())


# -- what engines say of their models


@pytest.mark.parametrize(
    ("card", "facts"),
    [
        ({"id": "m", "max_model_len": 8192}, Facts(8192)),
        ({"id": "other name", "context_length": 4096}, Facts(4096)),
        ({"id": "m", "meta": {"n_ctx": 2048, "n_ctx_train": 99999}}, Facts(2048)),
        (
            {"id": "m", "architecture": {"input_modalities": ["text", "image", "evil"],
             "output_modalities": ["text"]}},
            Facts(0, ("text", "image"), ("text",)),
        ),
        ({"id": "m", "max_model_len": "8192", "meta": 5, "architecture": []}, Facts()),
        ({"id": "m", "max_model_len": True, "context_length": -1}, Facts()),
    ],
)  # fmt: skip
def test_facts_of_a_card(card, facts):
    assert read_facts(json.dumps({"data": [card]}).encode(), "m") == facts


@pytest.mark.parametrize(
    "answer",
    [b"", b"[]", b"{", b'{"data": 5}', b'{"data": [5, null]}', b"\xff", b"[" * 100_000,
     b'{"data": [{"id": "a"}, {"id": "b"}]}'],
)  # fmt: skip
def test_answers_without_facts(answer):
    assert read_facts(answer, "m") is None


def test_the_model_list_shows_what_holds_for_all_replicas():
    async def work():
        one, two = Engine(), Engine()
        await one.start()
        await two.start()
        modalities = {"input_modalities": ["text", "image"], "output_modalities": ["text"]}
        one.models = {"data": [{"id": "m", "max_model_len": 4096, "architecture": modalities}]}
        two.models = {"data": [{"id": "m", "max_model_len": 8192}]}
        models = {
            "m": watched(one, two, card={"max_model_len": 2, "license": "free"}),
            "n": watched(one),
            "o": {"upstreams": [{"url": one.url}]},
        }
        async with router(models, health_seconds=0.02) as front:

            async def cards():
                return {one["id"]: one for one in (await front.ask(get("/v1/models"))).json["data"]}

            while (
                "architecture" not in (await cards())["n"]
                or "context_length" not in (await cards())["m"]
            ):
                await asyncio.sleep(0.005)
            await until(lambda: health_of(front, 1).facts)
            found = await cards()
            # What the operator says wins.
            assert (found["m"]["max_model_len"], found["m"]["context_length"]) == (2, 4096)
            assert found["m"]["license"] == "free"
            assert found["m"]["state"] == "up"
            assert found["n"]["architecture"] == modalities
            assert found["n"]["max_model_len"] == found["n"]["context_length"] == 4096
            # Of what is not watched nothing is known.
            assert set(found["o"]) == {"id", "object", "created", "owned_by"}
            assert (await front.ask(get("/v1/models/n"))).json == found["n"]
            one.health = 503
            while (await cards())["n"]["state"] != "loading":
                await asyncio.sleep(0.005)
            assert (await cards())["m"]["state"] == "up"
        one.stop()
        two.stop()

    run(work())


def test_a_model_list_that_is_too_large_is_not_read(monkeypatch):
    monkeypatch.setattr("onehop_router.checks.MAX_FACTS_BYTES", 1000)

    async def work():
        engine = Engine()
        await engine.start()
        engine.models = {"data": [{"id": "m", "max_model_len": 4096, "x": "y" * 1000}]}
        async with router({"m": watched(engine)}, health_seconds=0.02) as front:
            await until(lambda: engine.checks > 3)
            assert health_of(front).facts is None
            assert health_of(front).up
        engine.stop()

    run(work())
