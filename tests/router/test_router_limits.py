# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits on concurrency, and the queue in front of them."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from router_harness import CHAT, Message, Wire, backend, echo, get, model, post, router, run, until

from onehop_router.config_reader import parse
from onehop_router.errors import Refusal
from onehop_router.limits import Gates, Limits
from onehop_router.shared import Shared


class Request:
    """A request of a test: it notes what the limits tell it."""

    def __init__(self, limits: Limits, client: str, model_name: str) -> None:
        self.limits = limits
        self.gates: Gates = limits.gates(client, model_name)
        self.state = "new"

    def enter(self) -> None:
        try:
            self.state = "in" if self.limits.enter(self.gates, self) else "waits"
        except Refusal as refusal:
            self.state = refusal.code

    def admitted(self) -> None:
        assert self.state == "waits"
        self.state = "in"

    def refused(self, refusal: Refusal) -> None:
        assert self.state == "waits"
        self.state = refusal.code

    def end(self) -> None:
        if self.state == "in":
            self.limits.leave(self.gates)
        else:
            self.limits.give_up(self)
        self.state = "over"


def limits_of(text: str, now: list[float] | None = None) -> Limits:
    clock = now or [0.0]
    limits = Limits(lambda: clock[0])
    limits.configure(parse(text, {}))
    return limits


TWO_MODELS = """
{"max_concurrent_requests": 3, "max_queued_requests": 2, "queue_seconds": 10,
 "client_keys": {"a": {"keys": ["k"], "max_concurrent_requests": 2}},
 "models": {"m": {"upstreams": [{"url": "http://x"}], "max_concurrent_requests": 1},
            "n": {"upstreams": [{"url": "http://x"}]}}}
"""


def test_who_waits_does_not_hold_up_other_models():
    limits = limits_of(TWO_MODELS)
    first, second, third, other = (Request(limits, "", name) for name in "mmmn")
    for one in (first, second, third, other):
        one.enter()
    assert [one.state for one in (first, second, third, other)] == ["in", "waits", "waits", "in"]
    late = Request(limits, "", "m")
    late.enter()
    assert late.state == "queue_full"
    first.end()
    assert (second.state, third.state) == ("in", "waits")
    third.end()
    second.end()
    assert (limits.active, limits.waiting) == (1, 0)


def test_a_key_has_a_limit_of_its_own_and_waiting_has_an_end():
    now = [0.0]
    limits = limits_of(TWO_MODELS, now)
    requests = [Request(limits, "a", "n") for dummy in range(3)]
    for one in requests:
        one.enter()
    assert [one.state for one in requests] == ["in", "in", "waits"]
    limits.sweep(9.9)
    assert requests[2].state == "waits"
    limits.sweep(10.0)
    assert requests[2].state == "concurrency_limit"
    assert limits.waiting == 0


def test_a_reload_keeps_counts_and_lets_in_whom_the_new_limits_allow():
    limits = limits_of(TWO_MODELS)
    first, second = Request(limits, "", "m"), Request(limits, "", "m")
    first.enter()
    second.enter()
    limits.configure(
        parse(TWO_MODELS.replace('"max_concurrent_requests": 1', '"unlisted": true'), {})
    )
    assert second.state == "in"
    limits.configure(parse('{"max_concurrent_requests": 1}', {}))
    third = Request(limits, "", "m")
    third.enter()
    assert third.state == "concurrency_limit"
    first.end()
    second.end()
    assert limits.active == 0


@given(st.lists(st.tuples(st.sampled_from("mn"), st.sampled_from(["", "a"]), st.booleans())))
def test_whatever_happens_no_limit_is_passed_and_nobody_forgotten(moves):
    limits = limits_of(TWO_MODELS)
    requests: list[Request] = []
    for name, client, comes in moves:
        if comes or not requests:
            requests.append(Request(limits, client, name))
            requests[-1].enter()
        else:
            requests.pop(len(moves) % len(requests)).end()
        inside = [one for one in requests if one.state == "in"]
        waiting = [one for one in requests if one.state == "waits"]
        assert len(inside) == limits.active <= 3
        assert len(waiting) == limits.waiting <= 2
        for one in waiting:
            assert any(0 < gate.maximum <= gate.active for gate in one.gates)
        for one in requests:
            for gate in one.gates:
                assert gate.maximum == 0 or gate.active <= gate.maximum
    for one in requests:
        one.end()
    assert limits.active == limits.waiting == 0


def gate() -> tuple[asyncio.Event, object]:
    opened = asyncio.Event()

    async def script(request: Message, wire: Wire) -> None:
        await opened.wait()
        await echo(request, wire)

    return opened, script


@pytest.mark.parametrize("streamed", [False, True])
def test_a_request_waits_for_its_turn(streamed):
    async def work():
        opened, script = gate()
        async with backend(script) as engine:
            models = {"m": model(engine.url, max_concurrent_requests=1)}
            async with router(models, max_queued_requests=2) as front:
                path = "/route/m/v1/completions" if streamed else "/v1/completions"
                body = CHAT.replace("hi", "x" * 200_000) if streamed else CHAT
                wires = [await front.connect() for dummy in range(3)]
                for number, wire in enumerate(wires):
                    wire.send(post(body, path))
                    await until(lambda: front.router.limits.waiting == number)  # noqa: B023
                refused = await front.ask(post(CHAT))
                assert (refused.status, refused.code) == (429, "queue_full")
                assert refused.get("retry-after") == "1"
                wires[1].reset()
                await until(lambda: front.router.limits.waiting == 1)
                assert len(engine.requests) == 1
                opened.set()
                assert (await wires[0].read()).status == 200
                assert (await wires[2].read()).status == 200
                assert len(engine.requests) == 2
                await until(lambda: front.router.limits.active == 0)

    run(work())


def test_waiting_for_too_long_is_a_429_and_leaves_the_connection_usable():
    async def work():
        opened, script = gate()
        async with backend(script) as engine:
            models = {"m": model(engine.url), "n": model(engine.url)}
            async with router(
                models, max_concurrent_requests=1, max_queued_requests=1, queue_seconds=0.1
            ) as front:
                first = await front.connect()
                first.send(post(CHAT))
                await until(lambda: front.router.limits.active)
                second = await front.connect()
                second.send(post(CHAT))
                answer = await second.read()
                assert (answer.status, answer.code) == (429, "concurrency_limit")
                second.send(get("/v1/models"))
                assert (await second.read()).status == 200
                opened.set()
                assert (await first.read()).status == 200

    run(work())


def test_processes_count_together():
    """Two processes' limits, in one process: what they share is a column each of one memory."""
    shared = Shared(2)
    now = [0.0]
    mine = Limits(lambda: now[0], shared)
    mine.configure(parse(TWO_MODELS, {}))
    inside = [Request(mine, "a", "n"), Request(mine, "", "m")]
    for one in inside:
        one.enter()
    theirs_column = shared.totals()
    shared.take(1)
    theirs = Limits(lambda: now[0], shared)
    theirs.configure(parse(TWO_MODELS, {}))
    late = [Request(theirs, "", "m"), Request(theirs, "", "n"), Request(theirs, "", "n")]
    for one in late:
        one.enter()
    assert [one.state for one in late] == ["waits", "in", "waits"]
    assert (theirs.active, theirs.waiting) == (1, 2)
    assert shared.totals() != theirs_column
    # The other process dies: what it had under way is not.
    shared.reap(0)
    theirs.sweep(1.0)
    assert [one.state for one in late] == ["in", "in", "in"]
    for one in late:
        one.end()
    assert theirs.active == theirs.waiting == 0
