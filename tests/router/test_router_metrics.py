# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The counters: shared by processes, bounded in their labels, read by whoever may."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import Callable
from typing import cast

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families
from router_harness import (
    CHAT,
    Message,
    Running,
    Wire,
    backend,
    children,
    get,
    model,
    post,
    process,
    router,
    run,
    runs,
    until,
)

from onehop_router.auth import ANYONE, Identity
from onehop_router.config_reader import parse
from onehop_router.metrics import (
    BUCKETS,
    FAMILIES,
    PREFIX,
    Metrics,
    PathLabels,
    may_read_metrics,
)
from onehop_router.router import Router
from onehop_router.shared import Shared

KEYS = {
    "alice": {"keys": ["sk-alice"]},
    "prometheus": {"keys": ["sk-metrics"], "models": [], "paths": ["/metrics"]},
    "root": {"keys": ["sk-root"], "paths": ["/**"]},
}
# Starts of Python, while this machine may be busy.
STARTS = 60.0
READER = "Authorization: Bearer sk-metrics"


def values(text: bytes, name: str) -> dict[tuple[str, ...], float]:
    """One metric's samples by the values of their labels."""
    family_name = name.removesuffix("_total").removesuffix("_sum")
    return {
        tuple(sample.labels[one] for one in FAMILIES[family_name].labels): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if sample.name == PREFIX + name
    }


async def scraped(front, name: str) -> dict[tuple[str, ...], float]:
    answer = await front.ask(get("/metrics"))
    assert answer.status == 200
    return values(answer.body, name)


# -- shared memory


def in_a_child(work: Callable[[], None], end: Callable[[], None] = lambda: os._exit(0)) -> int:
    """Run something in a forked process; returns its wait status."""
    child = os.fork()
    if child == 0:
        try:
            work()
            end()
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1]


def test_processes_count_together_whoever_names_a_counter_first():
    shared = Shared(columns=3)
    known = shared.slot("known")
    shared.add(known)

    def count(column: int) -> None:
        shared.take(column)
        # In another order in each of them.
        for name in sorted(("a", "b", f"own-{column}"), reverse=column == 2):
            for dummy in range(1000 * column):
                shared.add(shared.slot(name))
        shared.add(known, 0.5)

    assert in_a_child(lambda: count(1)) == 0
    assert in_a_child(lambda: count(2)) == 0
    assert shared.total(known) == 2
    assert shared.total(shared.slot("a")) == shared.total(shared.slot("b")) == 3000
    assert shared.total(shared.slot("own-1")) == 1000
    assert shared.total(shared.slot("own-2")) == 2000
    assert len({entry.slot for entry in shared.entries()}) == 5
    assert sum(shared.totals()) == 2 + 6000 + 3000


def test_each_process_shows_what_all_have_counted():
    shared = Shared(columns=3)

    def count(column: int) -> None:
        shared.take(column)
        metrics = Metrics(shared)
        metrics.add(("client_disconnects", "m"), column)
        metrics.add(("client_disconnects", f"only-{column}"))
        metrics.put(("connections",), column)
        metrics.observe(metrics.slot(("request_duration_seconds", "m")), column)
        text = metrics.expose("", ())[0]
        # The first one is gone by now: its counters stay, and its gauges until it is reaped.
        assert values(text, "client_disconnects_total")[("m",)] == sum(range(column + 1))
        assert values(text, "connections") == {(): sum(range(column + 1))}

    assert in_a_child(lambda: count(1)) == 0
    assert in_a_child(lambda: count(2)) == 0
    metrics = Metrics(shared)
    shared.reap(1)
    text = metrics.expose("", ())[0]
    assert values(text, "client_disconnects_total") == {("m",): 3, ("only-1",): 1, ("only-2",): 1}
    assert values(text, "connections") == {(): 2}
    assert values(text, "request_duration_seconds_sum")[("m",)] == 3


def test_processes_that_name_at_once_do_not_disagree():
    shared = Shared(columns=4)
    begin, go = os.pipe()

    def work(column: int) -> None:
        shared.take(column)
        os.read(begin, 1)
        for number in range(200):
            slot = shared.slot(f"name {(number * (column + 1)) % 200}", 1 + number % 3)
            shared.add(slot)

    children = []
    for column in range(4):
        child = os.fork()
        if child == 0:
            try:
                work(column)
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
    os.write(go, b"xxxx")
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    entries = shared.entries()
    assert len(entries) == len({entry.name for entry in entries}) == 200
    ends = [entry.slot + entry.width for entry in entries]
    assert [1, *ends[:-1]] == [entry.slot for entry in entries]
    assert sum(shared.totals()) == 800
    os.close(begin)
    os.close(go)


def test_what_was_under_way_in_a_dead_process_is_not_any_more():
    shared = Shared(columns=2)
    counter = shared.slot("counter")
    gauge = shared.slot("gauge", gauge=True)
    shared.add(gauge)

    def work() -> None:
        shared.take(1)
        shared.add(counter, 5)
        shared.add(gauge, 3)

    for dummy in range(2):
        assert in_a_child(work, lambda: os.kill(os.getpid(), signal.SIGKILL)) == signal.SIGKILL
        assert shared.total(gauge) == 4
    # The second one found the first one's gauge zeroed and its counter kept.
    assert shared.total(counter) == 10
    shared.reap(1)
    assert shared.total(gauge) == 1
    assert shared.total(counter) == 10


def test_a_process_killed_while_it_holds_the_lock_blocks_nobody():
    shared = Shared(columns=2)

    def work() -> None:
        with shared._locked():
            os.kill(os.getpid(), signal.SIGKILL)

    assert in_a_child(work) == signal.SIGKILL
    assert shared.slot("next") == 1


def test_too_many_names_are_not_counted_and_break_nothing(caplog):
    shared = Shared(slots=4)
    assert [shared.slot(f"name {number}") for number in range(6)] == [1, 2, 3, 0, 0, 0]
    assert shared.slot("name 1") == 2
    assert len(caplog.records) == 1
    small = Shared(name_bytes=40)
    assert small.slot("x" * 20) == 1
    assert small.slot("y" * 20) == 0
    metrics = Metrics(Shared(slots=4))
    metrics.observe(metrics.slot(("request_duration_seconds", "m")), 1.0)
    metrics.add(("connections",))
    assert values(metrics.expose("", ())[0], "connections") == {(): 1}


def test_a_column_must_be_there():
    with pytest.raises(ValueError, match="column 2: there are 2"):
        Shared(columns=2).take(2)


# -- the exposition


def test_buckets_are_cumulative_and_their_bounds_are_inside():
    metrics = Metrics(Shared())
    for value in (0.001, 0.005, 0.0051, 1799.0, 1800.0, 9999.0):
        metrics.observe(metrics.slot(("request_duration_seconds", "m")), value)
    text = metrics.expose("", ())[0].decode()
    (family,) = [
        one
        for one in text_string_to_metric_families(text)
        if one.name == PREFIX + "request_duration_seconds"
    ]
    by_bound = {
        sample.labels["le"]: sample.value
        for sample in family.samples
        if sample.name.endswith("_bucket")
    }
    assert list(map(float, by_bound)) == [*BUCKETS, float("inf")]
    assert by_bound["0.005"] == 2
    assert by_bound["0.01"] == 3
    assert by_bound["1800.0"] == 5
    assert by_bound["+Inf"] == 6
    sums = [sample.value for sample in family.samples if sample.name.endswith("_sum")]
    assert sums == [pytest.approx(13598.0111)]


def test_both_formats_can_be_read():
    async def work():
        hostile = 'm"\n\\é'
        async with backend() as engine, router({hostile: model(engine.url)}) as front:
            await front.ask(post(json.dumps({"model": hostile})))
            plain = await front.ask(get("/metrics"))
            assert (plain.get("content-type") or "").startswith("text/plain; version=0.0.4")
            assert values(plain.body, "responses_total")[(hostile, "", "200")] == 1
            accept = "Accept: application/openmetrics-text; version=x, text/plain"
            opened = await front.ask(get("/metrics", accept))
            assert (opened.get("content-type") or "").startswith("application/openmetrics-text")
            found = {one.name: one for one in parse_open(opened.body.decode())}
            assert found[PREFIX + "build_info"].type == "gauge"
            assert found[PREFIX + "request_duration_seconds"].type == "histogram"
            assert found.keys() <= {PREFIX + name for name in FAMILIES}
            headed = await front.ask(get("/metrics", method="HEAD"))
            assert int(headed.get("content-length") or 0) > 1000
            assert (await front.ask(post(b"", "/metrics"))).status == 405

    run(work())


def test_the_process_and_its_configuration_are_told():
    async def work():
        async with router({}) as front:
            assert (await scraped(front, "start_time_seconds"))[()] > 1.7e9
            assert (await scraped(front, "resident_memory_bytes"))[()] > 1e6
            assert (await scraped(front, "cpu_seconds_total"))[()] > 0
            assert (await scraped(front, "connections"))[()] == 1
            assert (await scraped(front, "buffered_bytes"))[()] == 0
            fingerprint = front.router.table.config.fingerprint
            assert await scraped(front, "config_info") == {(fingerprint,): 1}

    run(work())


def test_a_replica_is_shown_as_it_is_thought_to_be():
    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            (target,) = front.router.table.routes["m"].targets
            for up in (False, True):
                target.health.up = up
                assert await scraped(front, "upstream_up") == {("m", engine.url): up}

    run(work())


# -- who may read them


def test_with_keys_only_one_whose_paths_name_them_reads_them():
    async def work():
        async with router({}, client_keys=KEYS) as front:
            assert (await front.ask(get("/metrics"))).status == 401
            for key in ("sk-alice", "sk-root"):
                refused = await front.ask(get("/metrics", f"Authorization: Bearer {key}"))
                assert (refused.status, refused.code) == (404, "unknown_path")
            answer = await front.ask(get("/metrics", READER))
            assert answer.status == 200
            responses = values(answer.body, "responses_total")
            assert responses == {
                ("", "", "401"): 1,
                ("", "alice", "404"): 1,
                ("", "root", "404"): 1,
            }
            assert b"sk-" not in answer.body

    run(work())


def test_may_read_metrics():
    config = parse(json.dumps({"models": {}, "client_keys": KEYS}), {})
    allowed = [name for name in KEYS if may_read_metrics(Identity(name), config)]
    assert allowed == ["prometheus"]
    assert not may_read_metrics(ANYONE, config)
    assert may_read_metrics(ANYONE, parse('{"models": {}}', {}))


# -- labels


def test_no_client_makes_the_number_of_series_grow():
    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            recorder = front.router.recorder

            async def ask(tag: str) -> None:
                await front.ask(post(json.dumps({"model": f"m{tag}"})))
                await front.ask(post(CHAT, f"/v1/{tag}", f"x-api-key: {tag}"))
                await front.ask(post(CHAT, f"/route/{tag}/v1/completions"))
                await front.ask(post(CHAT, f"/route/m/v1/responses/{tag}", f"X-Request-Id: {tag}"))
                await front.ask(get(f"/metrics?{tag}", f"Accept: {tag}"))
                await front.ask(get("/v1/models/" + tag, method="PROPFIND"))
                await front.ask(f"GET /{tag}  HTTP/1.1\r\n\r\n")

            await ask("tag")
            recorder.settle()
            before = recorder.metrics.shared.entries()
            for number in range(20):
                await ask(f"tag{number}{'x' * number * 50}")
            recorder.settle()
            assert recorder.metrics.shared.entries() == before
            text = front.router.table.metrics("")[0]
            assert b"tag" not in text
            assert set(values(text, "requests_total")) == {
                ("POST", "/v1/chat/completions"),
                ("POST", ""),
                ("POST", "/v1/completions"),
                ("POST", "/v1/responses/*"),
                ("GET", "/metrics"),
                ("", "/v1/models/*"),
                ("", ""),
            }

    run(work())


def test_paths_are_labelled_by_their_patterns():
    settings = {
        "models": {},
        "allowed_paths": ["/a/*", "/b/**", "/c"],
        "client_keys": {"alice": {"keys": ["sk-alice"], "paths": ["/c", "/d"]}},
    }
    config = parse(json.dumps(settings), {})
    labels = PathLabels(config)
    assert {path: labels.label(path) for path in (
        "/a/x", "/a/x/y", "/b/x/y", "/c", "/%63", "/route/m/c", "/d", "/health", "/v1/models", "/metrics",
        "*", "//", "/%", "/route/",
    )} == {
        "/a/x": "/a/*", "/a/x/y": "", "/b/x/y": "/b/**", "/c": "/c", "/%63": "/c", "/d": "/d",
        "/route/m/c": "/c", "/health": "/health", "/v1/models": "/v1/models",
        "/metrics": "/metrics", "*": "", "//": "", "/%": "", "/route/": "",
    }  # fmt: skip
    for number in range(5000):
        assert labels.label(f"/a/{number}") == "/a/*"
        assert labels.label(f"/a/{'x' * 1000}{number}") == "/a/*"
    assert len(labels._known) <= 1024
    assert labels.label("/health") == "/health"


def test_what_an_upstream_fails_at_is_told():
    async def gone(request: Message, wire: Wire) -> None:
        wire.reset()

    async def nonsense(request: Message, wire: Wire) -> None:
        wire.send("SMTP\r\n\r\n")

    async def work():
        async with backend(gone) as one, backend(nonsense) as two:
            dead = "http://127.0.0.1:1"
            models = {"gone": model(one.url), "odd": model(two.url), "dead": model(dead)}
            async with router(models) as front:
                for name in models:
                    answer = await front.ask(post(json.dumps({"model": name})))
                    assert answer.status == 502
                assert await scraped(front, "upstream_errors_total") == {
                    ("gone", one.url, "closed"): 1,
                    ("odd", two.url, "answer"): 1,
                    ("dead", dead, "connect"): 1,
                }

    run(work())


# -- the process


def test_a_router_process_counts_and_writes_its_log_at_the_end(tmp_path):
    file = tmp_path / "router.json"

    async def work():
        listener = socket.create_server(("127.0.0.1", 0))
        front = Running(cast(Router, None), listener.getsockname()[1])
        async with backend() as engine:
            settings = {"port": 0, "access_log": True, "models": {"m": model(engine.url)}}
            file.write_text(json.dumps(settings))
            async with process("--config", str(file), listen=[listener]) as one:
                assert (await front.ask(post(CHAT))).status == 200
                for text, result in (("{", "failure"), (json.dumps(settings), "success")):
                    file.write_text(text)
                    one.signal(signal.SIGHUP)
                    while (result,) not in await scraped(front, "config_reloads_total"):
                        await asyncio.sleep(0.01)
                assert set((await scraped(front, "config_reloads_total")).values()) == {1}
                one.signal(signal.SIGTERM)
                status, err = await one.end()
                assert status == 0
                lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
                assert lines[0]["model"] == "m"
                assert {line["path"] for line in lines[1:]} == {"/metrics"}

    run(work())


def test_several_processes_count_as_one_router_even_when_one_dies(config, systemd):
    async def work():
        async with backend() as engine:
            path = config(processes=3, models={"m": model(engine.url)})
            env = {"NOTIFY_SOCKET": systemd.path}
            async with process("--config", str(path), listen=[systemd.tcp], env=env) as one:
                await systemd.hear("READY=1")
                front = Running(cast(Router, None), systemd.port)

                async def ask(count: int) -> None:
                    for answer in await asyncio.gather(
                        *(front.ask(post(CHAT)) for dummy in range(count))
                    ):
                        assert answer.status == 200

                await ask(60)
                while (await scraped(front, "responses_total")).get(("m", "", "200")) != 60:
                    await asyncio.sleep(0.01)
                victim = children(one.process.pid)[0]
                os.kill(victim, signal.SIGKILL)
                await until(lambda: len(children(one.process.pid)) == 3 and not runs(victim))
                await ask(20)
                while (await scraped(front, "responses_total")).get(("m", "", "200")) != 80:
                    await asyncio.sleep(0.01)
                assert await scraped(front, "inflight_requests") == {("m",): 0}
                one.signal(signal.SIGHUP)
                # The parent reloads, once for all.
                while not await scraped(front, "config_reloads_total"):
                    await asyncio.sleep(0.01)
                assert await scraped(front, "config_reloads_total") == {("success",): 1}

    run(work(), STARTS)
