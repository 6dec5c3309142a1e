# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status page's data: who may see it, what it says, and that nothing secret is in it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import signal
import socket
from html.parser import HTMLParser
from typing import cast

import pytest
from passlib.hash import pbkdf2_sha256
from router_harness import (
    CHAT,
    Message,
    Running,
    Wire,
    backend,
    children,
    echo,
    get,
    model,
    post,
    process,
    router,
    run,
    runs,
    until,
)

from onehop_router.config_reader import parse
from onehop_router.metrics import BUCKETS, Metrics
from onehop_router.page.board import Pace
from onehop_router.page.facts import Status, model_state, router_state
from onehop_router.page.plots import along, plot
from onehop_router.page.series import POINTS, WINDOW, Index, Series, quantile
from onehop_router.page.words import count, duration, rate, share, span
from onehop_router.past import SAMPLES, Past, Sample
from onehop_router.router import Router
from onehop_router.shared import Shared

KEYS = {
    "alice": {"keys": ["sk-alice"]},
    "root": {"keys": ["sk-root"], "paths": ["/**"]},
    "ops": {"keys": ["sk-ops"], "models": [], "paths": ["/metrics", "/status"]},
}
OPS = "Authorization: Bearer sk-ops"
ALICE = "Authorization: Bearer sk-alice"
# Starts of Python, while this machine may be busy.
STARTS = 60.0


def basic(password: str, name: str = "anybody") -> str:
    return f"Authorization: Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"


async def status(front: Running, key: str = OPS) -> dict:
    """The data, fresh."""
    if front.router is not None:
        front.router.board.pace = Pace(0.02, 1, 0)
    answer = await front.ask(get("/status.json", key))
    assert answer.status == 200
    return answer.json


def of(data: dict, name: str) -> dict:
    (found,) = [one for one in data["models"] if one["name"] == name]
    return found


# -- who may see it


@pytest.mark.parametrize("path", ["/status", "/status.json"])
def test_it_is_closed_unless_a_key_names_it(path):
    async def work():
        async with router({}) as front:
            assert (await front.ask(get(path))).code == "unknown_path"
            assert (await front.ask(get(path, OPS))).code == "unknown_path"
        closed = {name: KEYS[name] for name in ("alice", "root")}
        async with router({}, client_keys=closed) as front:
            refused = await front.ask(get(path))
            assert refused.status == 401
            assert refused.all("WWW-Authenticate") == ["Bearer"]
            for key in (ALICE, "x-api-key: sk-root", OPS, basic("sk-root")):
                answer = await front.ask(get(path, key))
                assert answer.status == (401 if key == OPS else 404), key

    run(work())


@pytest.mark.parametrize("path", ["/status", "/status.json"])
def test_it_opens_for_a_key_whose_own_paths_name_it(path):
    async def work():
        async with router({}, client_keys=KEYS) as front:
            for key in (OPS, "x-api-key: sk-ops", basic("sk-ops"), basic("sk-ops", "")):
                assert (await front.ask(get(path, key))).status == 200, key
            asked = ["Bearer", 'Basic realm="OneHop router", charset="UTF-8"']
            wrong = (
                basic("sk-wrong"),
                basic("sk-alice"),
                "Authorization: Basic ???",
                basic("")[:-4],
            )
            for key in ("X-Nothing: 1", "Authorization: Bearer sk-wrong", *wrong):
                refused = await front.ask(get(path, key))
                assert (refused.status, refused.all("WWW-Authenticate")) == (401, asked), key
            for key in (ALICE, "Authorization: Bearer sk-root"):
                assert (await front.ask(get(path, key))).code == "unknown_path"

    run(work())


def test_a_key_kept_as_a_password_hash_opens_it():
    async def work():
        hashed = pbkdf2_sha256.using(rounds=1000).hash("sk-ops").replace("$", "$$")
        keys = {"ops": {"keys": [hashed], "paths": ["/status"]}}
        async with router({}, client_keys=keys) as front:
            assert (await front.ask(get("/status", basic("sk-ops")))).status == 200
            assert (await front.ask(get("/status", basic("sk-oops")))).status == 401

    run(work())


def test_the_form_of_browsers_opens_nothing_else():
    async def work():
        async with backend() as engine, router({"m": model(engine.url)}, client_keys=KEYS) as front:
            for request in (
                post(CHAT, "/v1/chat/completions", basic("sk-alice")),
                get("/v1/models", basic("sk-alice")),
                get("/metrics", basic("sk-ops")),
            ):
                assert (await front.ask(request)).status == 401
            assert not engine.requests

    run(work())


def test_it_is_only_read():
    async def work():
        async with router({}, client_keys=KEYS) as front:
            for path in ("/status", "/status.json"):
                for method in ("POST", "PUT", "DELETE", "OPTIONS"):
                    assert (await front.ask(get(path, OPS, method=method))).status == 405
                headed = await front.ask(get(path, OPS, method="HEAD"))
                assert headed.status == 200
                assert int(headed.get("content-length") or 0) > 500

    run(work())


# -- what browsers are told, and what is not there


def test_nothing_but_what_is_written_runs_or_is_fetched():
    async def work():
        async with router({}, client_keys=KEYS) as front:
            answer = await front.ask(get("/status", OPS))
            policy = dict(
                one.split(" ", 1)
                for one in (answer.get("content-security-policy") or "").split("; ")
            )
            assert policy["default-src"] == "'none'"
            for name in ("script-src", "style-src"):
                assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", policy[name])
            assert (
                policy["frame-ancestors"] == policy["form-action"] == policy["base-uri"] == "'none'"
            )
            assert "unsafe" not in str(policy)
            for name, value in (
                ("cache-control", "no-store"),
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "no-referrer"),
                ("cross-origin-resource-policy", "same-origin"),
            ):
                assert answer.get(name) == value
                assert (await front.ask(get("/status.json", OPS))).get(name) == value
            assert answer.get("access-control-allow-origin") is None
            text = answer.body.decode()
            assert text.count("<script") == text.count("<style") == 1
            assert " style=" not in text
            assert " on" not in " ".join(re.findall(r"<[^>]*>", text.split("<script>")[0])).lower()
            assert not re.findall(r"(?:href|src)=\"(?!#|/status\.json|data:)", text)

    run(work())


def test_no_secret_is_on_it():
    async def work():
        models = {
            "m": {
                "upstreams": [
                    {
                        "url": "https://127.0.0.1:1/deep/PATHSECRET?sig=QUERYSECRET",
                        "headers": {"Authorization": "Bearer HEADERSECRET"},
                        "health": "/HEALTHSECRET",
                    }
                ]
            }
        }
        async with router(models, client_keys=KEYS) as front:
            for path in ("/status", "/status.json"):
                body = (await front.ask(get(path, basic("sk-ops")))).body.decode()
                assert "https://127.0.0.1:1" in body
                for secret in ("SECRET", "sk-", "alice", "YW55"):
                    assert secret not in body, secret

    run(work())


class Tags(HTMLParser):
    """Which elements a document has, and whether they close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        if tag not in ("meta", "link", "path"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "path":
            assert self.open.pop() == tag


@pytest.mark.parametrize(
    "name",
    ['<img src=x onerror="alert(1)">', "</script><script>alert(1)</script>", "a\u202eb\u2066c",
     "a\x00b\nc\x7f", '"\'><b>', "&lt;b&gt;", "x" * 5000, "\U0001f600", "-->", "نموذج"],
)  # fmt: skip
def test_hostile_names_are_text(name):
    async def work():
        models = {name: model("http://127.0.0.1:1", aliases=[f"{name} 2"])}
        async with router(models, client_keys=KEYS) as front:
            assert of(await status(front), name)["aliases"] == [f"{name} 2"]
            text = (await front.ask(get("/status", OPS))).body.decode()
            tags = Tags()
            tags.feed(text)
            assert not tags.open
            assert tags.names & {"img", "object", "iframe", "form", "embed"} == set()
            assert text.count("<script") == 1
            assert not set(text) & set("\u202e\u2066\x00\x7f")

    run(work())


# -- what it says


def test_models_and_replicas_are_counted():
    async def failing(request: Message, wire: Wire) -> None:
        wire.send("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")

    async def telling(request: Message, wire: Wire) -> None:
        body = json.dumps({"usage": {"prompt_tokens": 30, "completion_tokens": 12}})
        kind = "Content-Type: application/json"
        wire.send(f"HTTP/1.1 200 OK\r\n{kind}\r\nContent-Length: {len(body)}\r\n\r\n{body}")

    async def work():
        async with backend(telling) as well, backend(failing) as ill:
            models = {
                "m": model(well.url, aliases=["n"]),
                "ill": model(ill.url),
                "gone": model("http://127.0.0.1:1", fallbacks=["m"]),
            }
            async with router(models, client_keys=KEYS) as front:
                await status(front)
                await asyncio.sleep(0.1)
                for name in ("m", "n", "ill", "gone"):
                    await front.ask(post(json.dumps({"model": name}), "/v1/completions", ALICE))
                await asyncio.sleep(0.15)
                data = await status(front)
                assert data["format"] == 1
                assert data["state"] == "degraded"
                m, bad, gone = (of(data, name) for name in models)
                assert (m["state"], bad["state"], gone["state"]) == ("ready", "ready", "down")
                assert (m["requests"], bad["requests"], gone["requests"]) == (2, 1, 1)
                assert (m["errors"], bad["errors"], gone["errors"]) == (0, 1, 0)
                assert gone["replicas"][0]["failures"] == 1
                assert gone["replicas"][0]["reason"].startswith("cannot connect")
                assert gone["fallbacks"] == ["m"]
                assert (m["input_tokens"], m["output_tokens"]) == (60, 24)
                assert m["aliases"] == ["n"]
                assert m["recent"]["requests_per_minute"] > 0
                assert m["recent"]["output_tokens_per_second"] > 0
                assert 0 < m["recent"]["ttft_p50_seconds"] <= m["recent"]["ttft_p95_seconds"]
                assert bad["recent"]["errors_per_minute"] > 0
                assert data["total"]["recent"]["requests_per_minute"] > 0
                for history in (m["history"], data["total"]["history"]):
                    assert {len(one) for one in history.values()} == {len(data["times"])}
                assert data["times"] == sorted(data["times"])
                assert data["times"][-1] == pytest.approx(data["time"], abs=5)

    run(work())


def test_what_is_under_way_waits_or_is_held_is_shown():
    async def work():
        go = asyncio.Event()

        async def slow(request: Message, wire: Wire) -> None:
            await go.wait()
            await echo(request, wire)

        async with backend(slow) as engine, backend() as other:
            other.kill()
            models = {
                "m": model(engine.url, max_concurrent_requests=1),
                "down": model(other.url),
            }
            settings = {"max_queued_requests": 9, "hold_seconds": 30, "queue_seconds": 30}
            async with router(models, client_keys=KEYS, **settings) as front:
                asked = [
                    asyncio.create_task(
                        front.ask(post(json.dumps({"model": name}), "/v1/completions", ALICE))
                    )
                    for name in ("m", "m", "m", "down")
                ]
                while True:
                    data = await status(front)
                    m, down = of(data, "m"), of(data, "down")
                    if (m["in_flight"], m["queued"], down["held"]) == (1, 2, 1):
                        break
                    await asyncio.sleep(0.01)
                assert (m["limit"], m["replicas"][0]["in_flight"]) == (1, 1)
                assert (data["total"]["queued"], data["total"]["held"]) == (2, 1)
                assert down["state"] == "down"
                go.set()
                await asyncio.gather(*asked[:3])
                await asyncio.sleep(0.05)
                m = of(await status(front), "m")
                assert (m["in_flight"], m["queued"], m["replicas"][0]["in_flight"]) == (0, 0, 0)
                asked[3].cancel()

    run(work())


@pytest.mark.parametrize(
    ("replicas", "state"),
    [
        (["ready", "ready"], "ready"),
        (["ready", "down"], "degraded"),
        (["ready", "starting"], "degraded"),
        (["down", "starting"], "starting"),
        (["down", "draining"], "down"),
        (["ready", "draining"], "ready"),
        (["draining"], "draining"),
    ],
)
def test_a_models_state(replicas, state):
    assert model_state(replicas) == state
    expected = "ready" if state in ("ready", "draining") else "degraded"
    assert router_state([state], draining=False) == expected
    assert router_state([state], draining=True) == "draining"


def test_what_a_reload_takes_away_is_shown_until_it_has_drained():
    async def work():
        go = asyncio.Event()

        async def slow(request: Message, wire: Wire) -> None:
            await go.wait()
            await echo(request, wire)

        async with backend(slow) as old, backend() as new:
            before = {"m": model(old.url, new.url), "gone": model(old.url)}
            async with router(before, client_keys=KEYS) as front:
                asked = asyncio.create_task(
                    front.ask(post('{"model": "gone"}', "/v1/completions", ALICE))
                )
                while not old.requests:
                    await asyncio.sleep(0.005)
                after = {"models": {"m": model(new.url)}, "client_keys": KEYS}
                front.router.load(parse(json.dumps(after), {}))
                data = await status(front)
                assert [(one["address"], one["state"]) for one in of(data, "m")["replicas"]] == [
                    (new.url, "ready"),
                    (old.url, "draining"),
                ]
                assert of(data, "gone")["state"] == "draining"
                assert of(data, "gone")["replicas"][0]["in_flight"] == 1
                assert data["state"] == "ready"
                go.set()
                await asked
                data = await status(front)
                assert [one["name"] for one in data["models"]] == ["m"]
                assert len(of(data, "m")["replicas"]) == 1

    run(work())


def test_reloads_are_told_with_what_was_wrong(tmp_path):
    file = tmp_path / "router.json"

    async def work():
        listener = socket.create_server(("127.0.0.1", 0))
        front = Running(cast(Router, None), listener.getsockname()[1])
        settings = {"port": 0, "models": {}, "client_keys": KEYS}
        file.write_text(json.dumps(settings))
        async with process("--config", str(file), listen=[listener]) as one:
            first = await status(front)
            assert first["configuration"]["last_reload"] is None
            assert first["configuration"]["loaded"] == first["router"]["started"]
            assert first["router"]["began"] == "start"

            async def reloaded(text: str, count: int) -> dict:
                file.write_text(text)
                one.signal(signal.SIGHUP)
                while True:
                    told = (await status(front))["configuration"]
                    if told["reloads"] + told["failed_reloads"] == count:
                        return told
                    await asyncio.sleep(0.05)

            failed = await reloaded('{"models": {"m": {}}}', 1)
            assert failed["last_reload"]["result"] == "failure"
            assert "models.m.upstreams" in failed["last_reload"]["problems"][0]
            assert failed["loaded"] == first["configuration"]["loaded"]
            page = (await front.ask(get("/status", OPS))).body.decode()
            assert "failed; the configuration before it stays" in page
            assert "models.m.upstreams" in page
            well = await reloaded(json.dumps({**settings, "stamp": "2"}), 2)
            assert well["last_reload"]["problems"] == []
            assert well["loaded"] == well["last_reload"]["time"] > failed["loaded"]
            assert well["fingerprint"] != failed["fingerprint"]

    run(work(), STARTS)


def test_a_successor_says_that_it_took_over(monkeypatch):
    monkeypatch.setenv("ONEHOP_PREDECESSOR", "3 4")

    async def work():
        async with router({}, client_keys=KEYS) as front:
            assert (await status(front))["router"]["began"] == "succession"
            assert b"<dt>took over</dt>" in (await front.ask(get("/status", OPS))).body

    run(work())


def test_several_processes_show_one_router_and_one_past(config, systemd):
    async def work():
        async with backend() as engine:
            path = config(processes=3, models={"m": model(engine.url)}, client_keys=KEYS)
            env = {"NOTIFY_SOCKET": systemd.path}
            async with process("--config", str(path), listen=[systemd.tcp], env=env) as one:
                await systemd.hear("READY=1")
                front = Running(cast(Router, None), systemd.port)
                chat = post(CHAT, "/v1/chat/completions", ALICE)

                async def seen(times: int = 12) -> list[dict]:
                    return [await status(front) for dummy in range(times)]

                await asyncio.gather(*(front.ask(chat) for dummy in range(40)))
                while {of(one, "m")["requests"] for one in await seen()} != {40}:
                    await asyncio.sleep(0.2)
                while not (times := (await status(front))["times"]):
                    await asyncio.sleep(0.3)
                for victim in children(one.process.pid)[:2]:
                    os.kill(victim, signal.SIGKILL)
                    while runs(victim):
                        await asyncio.sleep(0.01)
                await until(lambda: len(children(one.process.pid)) == 3)
                # What one of them has shown is shown for a second.
                told = await seen()
                while not all(one["times"] for one in told):
                    await asyncio.sleep(0.2)
                    told = await seen()
                for data in told:
                    # Those who came later know what was before them.
                    assert data["times"][0] == pytest.approx(times[0], abs=2)
                    assert data["total"]["history"]["requests_per_minute"][0] is not None
                    assert of(data, "m")["requests"] == 40
                    assert data["router"]["processes"] == 3
                assert len({one["router"]["started"] for one in await seen(4)}) == 1

    run(work(), STARTS)


# -- the past


def test_the_ring_keeps_the_last_samples():
    past = Past(slots=8, samples=4)
    assert past.after(0, 9) == []
    for tick in (1, 2, 5, 6, 7):
        past.put(Sample(tick, [float(tick)] * (tick % 3)))
    assert past.after(0, 9) == [Sample(5, [5.0, 5.0]), Sample(6, []), Sample(7, [7.0])]
    assert past.after(5, 1) == [Sample(6, [])]
    past.put(Sample(1000, [1.0]))
    assert past.after(0, 9) == [Sample(1000, [1.0])]
    past.note = b"long note"
    past.note = b"note"
    assert past.note == b"note"
    with pytest.raises(ValueError, match="no room"):
        past.note = b"x" * 100000


def test_one_process_samples_for_all_and_its_death_loses_nothing():
    shared = Shared(columns=3)
    slot = shared.slot("n")
    for column, tick in ((1, 7), (2, 7), (2, 8)):
        child = os.fork()
        if child == 0:
            try:
                shared.take(column)
                shared.add(slot, 10)
                shared.remember(tick)
                os.kill(os.getpid(), signal.SIGKILL)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert [(one.tick, one.totals[slot]) for one in shared.remembered()] == [(7, 10), (8, 30)]


def test_points_are_about_the_minute_before_them():
    shared = Shared()
    metrics = Metrics(shared)
    index = Index(shared)
    series = Series(shared, index)
    shared.remember(1)
    for tick in range(2, 40):
        # From tick 20 on: two requests in five seconds, one of them failed, 50 tokens.
        if tick >= 20:
            for status_code in ("200", "502"):
                metrics.add(("responses", "m", "alice", status_code))
                metrics.observe(metrics.slot(("request_duration_seconds", "m")), 1.0)
            metrics.observe(metrics.slot(("time_to_first_byte_seconds", "m")), 0.2)
            metrics.add(("tokens", "m", "output"), 50)
        shared.remember(tick)
    index.refresh()
    series.refresh(["m", "other"], 5.0)
    points = dict(zip(series.ticks, series.points("m"), strict=True))
    assert points[19].requests_per_minute == 0
    assert points[19].ttft_p50 is None
    assert points[25].requests_per_minute == pytest.approx(24 * 6 / WINDOW)
    full = points[39]
    assert full.requests_per_minute == pytest.approx(24)
    assert full.errors_per_minute == pytest.approx(12)
    assert full.output_tokens_per_second == pytest.approx(10)
    assert full.ttft_p50 is not None and 0.1 < full.ttft_p50 < 0.25
    assert full.ttft_p95 is not None and full.ttft_p50 < full.ttft_p95 <= 0.25
    assert series.points("") == series.points("m")
    assert series.points("other")[-1].requests_per_minute == 0
    assert index.model("m").requests(shared.totals()) == 40
    for tick in range(40, 40 + 2 * SAMPLES):
        shared.remember(tick)
    series.refresh(["m"], 5.0)
    assert len(series.ticks) == POINTS == 120
    assert series.ticks[-1] - series.ticks[0] == POINTS - 1
    assert series.points("m")[-1].requests_per_minute == 0


def test_quantiles_are_those_of_prometheus():
    counts = [0.0] * (len(BUCKETS) + 1)
    assert quantile(tuple(counts), 0.5) is None
    counts[BUCKETS.index(0.5)] = 10
    assert quantile(tuple(counts), 0.5) == pytest.approx(0.375)
    counts[-1] = 1000
    assert quantile(tuple(counts), 0.95) == BUCKETS[-1]


def test_nothing_is_kept_where_nobody_may_look():
    async def work():
        closed = {"alice": KEYS["alice"]}
        async with backend() as engine:
            async with router({"m": model(engine.url)}, client_keys=closed) as front:
                await front.ask(post(CHAT, "/v1/chat/completions", ALICE))
                await asyncio.sleep(0.1)
                shared = front.router.recorder.metrics.shared
                assert shared.remembered() == []
                names = [one.name for one in shared.entries() if "outstanding" in one.name]
                assert names == []
                opened = {"models": {"m": model(engine.url)}, "client_keys": KEYS}
                front.router.load(parse(json.dumps(opened), {}))
                while not shared.remembered():
                    await asyncio.sleep(0.01)

    run(work())


def test_what_was_shown_once_is_shown_for_a_second():
    async def work():
        async with router({"m": model("http://127.0.0.1:1")}, client_keys=KEYS) as front:
            board = front.router.board
            made = []
            make = board.status

            def counted() -> Status:
                made.append(1)
                return make()

            board.status = counted
            for dummy in range(5):
                assert (await front.ask(get("/status", OPS))).status == 200
            assert len(made) == 1
            board.draining = True
            assert b"Draining" in (await front.ask(get("/status", OPS))).body

    run(work())


def test_metrics_do_not_show_what_only_the_page_is_for():
    async def work():
        async with router({"m": model("http://127.0.0.1:1")}, client_keys=KEYS) as front:
            await status(front)
            text = (await front.ask(get("/metrics", OPS))).body.decode()
            assert "outstanding" not in text
            assert 'path="/status.json"' in text

    run(work())


# -- words and plots


def test_numbers_in_few_signs():
    assert [count(one) for one in (None, 0, 999, 12345.6)] == ["–", "0", "999", "12\u202f346"]
    assert [rate(one) for one in (None, 0, 0.01, 0.4, 9.94, 9.96, 1234)] == [
        "–", "0", "<0.1", "0.4", "9.9", "10", "1\u202f234",
    ]  # fmt: skip
    assert [duration(one) for one in (None, 0.0421, 0.9996, 9.96, 99, 100, 600)] == [
        "–", "42 ms", "1.0 s", "10 s", "99 s", "1.7 min", "10.0 min",
    ]  # fmt: skip
    assert [span(one) for one in (5, 65, 3700, 90061)] == ["5 s", "1 min", "1 h 1 min", "1 d 1 h"]
    assert [share(one) for one in (0, 0.0001, 0.125, 2)] == ["0 %", "<0.1 %", "12.5 %", "100 %"]


def test_a_plot_has_gaps_where_nothing_was():
    places = along([30, 20, 10, 0], 40)
    assert places == ["300", "600", "900", "1200"]
    drawn = plot([1, 2, None, 4], places, 'a "label"')
    assert 'd="M300 170L600 120M1200 20h0"' in drawn
    assert 'd="M300 240L300 170L600 120V240ZM1200 240L1200 20V240Z"' in drawn
    assert 'aria-label="a &quot;label&quot;"' in drawn
    assert 'class="line" d=""' in plot([0, None], places[:2], "flat")
    assert along([90, 0], 40) == ["0", "1200"]
    assert along([], 40) == []
