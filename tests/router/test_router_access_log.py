# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every way a request can end: one line in the log, and counters that are in balance after it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from router_harness import (
    CHAT,
    Message,
    Running,
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

from onehop_router import access_log
from onehop_router.access_log import AccessLog, Line
from onehop_router.config_reader import parse
from onehop_router.recorder import LOT
from onehop_router.router import Timeouts

KEY = "sk-very-secret"
AUTH = f"Authorization: Bearer {KEY}"
CLIENTS = {"alice": {"keys": [KEY]}}
UPLOAD = "POST /route/m/v1/embeddings HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
UPGRADE = get("/route/m/v1/realtime", "Connection: upgrade", "Upgrade: websocket")
SWITCHED = "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
FIRST_HALF = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"
USAGE = json.dumps({"usage": {"prompt_tokens": 3, "completion_tokens": 5}})
QUICK = Timeouts(head=0.1, body=0.1, sweep=0.01)
SLOW = Timeouts(sweep=0.02)


@dataclass
class Watched:
    """A router whose log goes to a file, and the backend of its model `m`."""

    front: Running
    engine: ScriptedBackend
    file: Path

    def lines(self) -> list[dict[str, Any]]:
        """All lines there are, those that still wait included."""
        self.front.router.recorder.close()
        return [json.loads(line) for line in self.file.read_text().splitlines()]

    def count(self, name: str) -> float:
        """The sum of a metric over all its labels."""
        text = self.front.router.table.metrics("")[0].decode()
        found = re.findall(rf"^onehop_router_{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE)
        return sum(map(float, found))


@contextlib.asynccontextmanager
async def watched(file: Path, script=None, *, raw=False, **settings) -> AsyncIterator[Watched]:
    with file.open("wb") as log:
        async with backend(*([script] if script else []), raw=raw) as engine:
            timeouts = settings.pop("timeouts", SLOW)
            entry = model(engine.url, **settings.pop("of_model", {}))
            async with router(
                {"m": entry}, timeouts=timeouts, access_log=True, **settings
            ) as front:
                front.router.recorder.log = AccessLog(log.fileno())
                yield Watched(front, engine, file)


# -- what backends do (each a test double)


async def stall(request: Message, wire: Wire) -> None:
    await wire.reader.read()


async def half(request: Message, wire: Wire) -> None:
    wire.send(FIRST_HALF)
    await wire.reader.read()


async def half_and_gone(request: Message, wire: Wire) -> None:
    wire.send(FIRST_HALF)
    await wire.writer.drain()
    wire.close()


async def gone(request: Message, wire: Wire) -> None:
    wire.reset()


async def nonsense(request: Message, wire: Wire) -> None:
    wire.send("SMTP ready\r\n\r\n")


async def tunnel(request: Message, wire: Wire) -> None:
    wire.send(SWITCHED)
    wire.send(await wire.reader.readexactly(4))
    await wire.reader.read()
    wire.close()


async def tokens(request: Message, wire: Wire) -> None:
    wire.send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
    wire.send(f"Content-Length: {len(USAGE)}\r\n\r\n{USAGE}")


async def early_half(request: Message, wire: Wire) -> None:
    """An answer that begins before its request has ended."""
    await wire.reader.readuntil(b"\r\n\r\n")
    await half(request, wire)


# -- what clients do


async def one(seen: Watched, request: bytes) -> None:
    await seen.front.ask(request)


async def chat(seen: Watched) -> None:
    await one(seen, post(CHAT))


async def health(seen: Watched) -> None:
    await one(seen, get("/health"))


async def listing(seen: Watched) -> None:
    await one(seen, get("/v1/models", AUTH, method="HEAD"))


async def wrong_key(seen: Watched) -> None:
    await one(seen, post(CHAT, "/v1/chat/completions", "x-api-key: sk-wrong"))


async def wrong_model(seen: Watched) -> None:
    await one(seen, post('{"model": "nobody"}', "/v1/messages", AUTH))


async def other_model(seen: Watched) -> None:
    await one(seen, post('{"model": "nobody"}'))


async def wrong_path(seen: Watched) -> None:
    await one(seen, get("/slots?key=" + KEY))


async def malformed(seen: Watched) -> None:
    await one(seen, b"GET  / HTTP/1.1\r\n\r\n")


async def late_head(seen: Watched) -> None:
    wire = await seen.front.connect()
    wire.send("GET / HT")
    assert (await wire.read()).status == 408


async def late_body(seen: Watched) -> None:
    wire = await seen.front.connect()
    wire.send(post(CHAT)[:-5])
    assert (await wire.read()).status == 408


async def bad_chunk(seen: Watched) -> None:
    wire = await seen.front.connect()
    wire.send(UPLOAD + "zz\r\n")
    assert (await wire.read()).status == 400


async def bad_chunk_of_an_answered_upload(seen: Watched) -> None:
    wire = await seen.front.connect()
    wire.send(UPLOAD + "1\r\na\r\n")
    await wire.read_head()
    wire.send("zz\r\n")
    await wire.ended()


async def too_much(seen: Watched) -> None:
    wire = await seen.front.connect()
    wire.send(UPLOAD + "ff\r\n" + "a" * 255 + "\r\n")
    assert (await wire.read()).status == 413


async def cut_off(seen: Watched) -> None:
    wire = await seen.front.connect()
    wire.send(post(CHAT))
    await wire.read_head()
    await wire.read_to_end()


async def leave_before_the_answer(seen: Watched) -> None:
    wire = await seen.front.connect()
    wire.send(post(CHAT))
    await until(lambda: seen.engine.requests)
    wire.close()


async def leave_in_the_answer(seen: Watched) -> None:
    wire = await seen.front.connect()
    wire.send(post(CHAT))
    await wire.read_head()
    await wire.read_chunk()
    wire.reset()


async def leave_in_the_upload(seen: Watched) -> None:
    wire = await seen.front.connect()
    wire.send(UPLOAD + "5\r\nhello\r\n")
    await until(lambda: seen.engine.connections)
    wire.reset()


async def talk(seen: Watched) -> Wire:
    wire = await seen.front.connect()
    wire.send(UPGRADE)
    assert (await wire.read_head()).status == 101
    wire.send("ping")
    assert await wire.reader.readexactly(4) == b"ping"
    return wire


async def hang_up_a_tunnel(seen: Watched) -> None:
    (await talk(seen)).writer.write_eof()


async def break_a_tunnel(seen: Watched) -> None:
    (await talk(seen)).reset()


async def be_stopped(seen: Watched) -> None:
    wire = await seen.front.connect()
    wire.send(post(CHAT))
    await until(lambda: seen.engine.requests)
    seen.front.router.stop()


async def be_let_down(seen: Watched) -> None:
    def fail(client: str, model: str | None) -> Any:
        raise RuntimeError("a fault of ours")

    seen.front.router.limits.gates = fail
    wire = await seen.front.connect()
    wire.send(post(CHAT))
    await wire.ended()


HERE = "/v1/chat/completions"
ENDS = {
    "answered": (tokens, chat, {}, {
        "end": "complete", "status": 200, "model": "m", "method": "POST", "path": HERE,
        "peer": "127.0.0.1", "bytes_in": len(CHAT), "bytes_out": len(USAGE), "tokens_in": 3,
        "tokens_out": 5,
    }),
    "health": (None, health, {}, {"end": "complete", "status": 200, "path": "/health"}),
    "head of the models": (None, listing, {"client_keys": CLIENTS}, {
        "end": "complete", "status": 200, "method": "HEAD", "client": "alice",
    }),
    "wrong key": (None, wrong_key, {"client_keys": CLIENTS}, {
        "end": "refused:invalid_api_key", "status": 401, "path": HERE,
    }),
    "unknown model": (None, wrong_model, {"client_keys": CLIENTS}, {
        "end": "refused:model_not_found", "status": 404, "client": "alice",
        "path": "/v1/messages",
    }),
    "unknown path": (None, wrong_path, {}, {
        "end": "refused:unknown_path", "status": 404, "path": "/slots",
    }),
    "malformed": (None, malformed, {}, {
        "end": "refused:bad_request", "status": 400, "path": "", "method": "",
    }),
    "late head": (None, late_head, {"timeouts": QUICK}, {
        "end": "refused:request_timeout", "status": 408, "path": "",
    }),
    "late body": (None, late_body, {"timeouts": QUICK}, {
        "end": "refused:request_timeout", "status": 408, "path": HERE,
    }),
    "bad chunk": (stall, bad_chunk, {}, {
        "end": "refused:bad_request", "status": 400, "model": "m",
    }),
    "bad chunk after the answer began": (early_half, bad_chunk_of_an_answered_upload, {
        "raw": True,
    }, {
        "end": "refused:bad_request", "status": 200, "model": "m", "bytes_out": 4,
    }),
    "too large": (stall, too_much, {"max_body_bytes": 100}, {
        "end": "refused:request_too_large", "status": 413, "model": "m",
    }),
    "no answer": (gone, chat, {}, {
        "end": "refused:backend_unreachable", "status": 502, "model": "m",
    }),
    "no HTTP": (nonsense, chat, {}, {
        "end": "refused:bad_backend_answer", "status": 502, "model": "m",
    }),
    "cut off": (half_and_gone, cut_off, {}, {
        "end": "upstream_failed", "status": 200, "bytes_out": 4,
    }),
    "too slow": (stall, chat, {"answer_seconds": 0.1, "timeouts": QUICK}, {
        "end": "refused:backend_timeout", "status": 504, "model": "m",
    }),
    "stuck": (half, cut_off, {"idle_stream_seconds": 0.1, "timeouts": QUICK}, {
        "end": "upstream_failed", "status": 200, "bytes_out": 4,
    }),
    "no such model in the body": (None, other_model, {}, {
        "end": "refused:model_not_found", "status": 404, "path": HERE,
    }),
    "client left before the answer": (stall, leave_before_the_answer, {}, {
        "end": "client_gone", "model": "m", "bytes_in": len(CHAT),
    }),
    "client left in the answer": (half, leave_in_the_answer, {}, {
        "end": "client_gone", "status": 200, "bytes_out": 4,
    }),
    "client left in the upload": (stall, leave_in_the_upload, {}, {
        "end": "client_gone", "bytes_in": 5,
    }),
    "tunnel": (tunnel, hang_up_a_tunnel, {}, {
        "end": "complete", "status": 101, "bytes_in": 4, "bytes_out": 4,
    }),
    "broken tunnel": (tunnel, break_a_tunnel, {}, {"end": "client_gone", "status": 101}),
    "stopped": (stall, be_stopped, {}, {"end": "aborted", "model": "m"}),
    "fault of ours": (None, be_let_down, {}, {"end": "internal_error"}),
}  # fmt: skip


@pytest.mark.parametrize(("script", "client", "settings", "wanted"), ENDS.values(), ids=ENDS.keys())
def test_each_end_is_one_line_and_leaves_the_counters_in_balance(
    script, client, settings, wanted, tmp_path
):
    async def work():
        async with watched(tmp_path / "log", script, **dict(settings)) as seen:
            await client(seen)
            await until(lambda: not seen.count("inflight_requests"))
            await until(lambda: not seen.front.router.limits.active)
            await until(lambda: seen.file.stat().st_size)
            (line,) = seen.lines()
            assert line.items() >= wanted.items()
            if "status" not in wanted:
                assert "status" not in line
            assert seen.count("requests_total") == 1
            assert seen.count("responses_total") == ("status" in wanted)
            assert seen.count("client_disconnects_total") == (wanted["end"] == "client_gone")
            failed = wanted["end"] == "upstream_failed" or wanted.get("status") in (502, 504)
            assert seen.count("upstream_errors_total") == failed
            assert seen.count("tokens_total") == wanted.get("tokens_in", 0) + wanted.get(
                "tokens_out", 0
            )
            assert 0 <= line.get("ttfb", 0) <= line["seconds"] < 20
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["ts"])
            assert KEY not in seen.file.read_text()
            assert KEY not in seen.front.router.table.metrics("")[0].decode()

    run(work())


def test_a_request_that_waits_is_not_under_way(tmp_path):
    async def work():
        settings = {"max_concurrent_requests": 1, "max_queued_requests": 1}
        async with watched(tmp_path / "log", stall, **settings) as seen:
            first = await seen.front.connect()
            first.send(post(CHAT))
            await until(lambda: seen.count("inflight_requests") == 1)
            second = await seen.front.connect()
            second.send(post(CHAT))
            await until(lambda: seen.count("queued_requests") == 1)
            assert seen.count("inflight_requests") == 1
            assert (await seen.front.ask(post(CHAT))).status == 429
            second.close()
            await until(lambda: seen.count("queued_requests") == 0)
            first.close()
            await until(lambda: seen.count("inflight_requests") == 0)
            ends = sorted(line["end"] for line in seen.lines())
            assert ends == ["client_gone", "client_gone", "refused:queue_full"]
            assert seen.count("request_duration_seconds_count") == 1

    run(work())


def test_a_request_that_waits_for_a_replica_is_shown(tmp_path):
    async def work():
        with socket.create_server(("127.0.0.1", 0)) as unused:
            url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        async with watched(
            tmp_path / "log", of_model={"upstreams": [{"url": url}]}, hold_seconds=20
        ) as seen:
            wire = await seen.front.connect()
            wire.send(post(CHAT))
            await until(lambda: seen.count("held_requests") == 1)
            assert seen.count("upstream_up") == 0
            wire.close()
            await until(lambda: seen.count("inflight_requests") == 0)
            await until(lambda: seen.count("held_requests") == 0)
            (line,) = seen.lines()
            assert (line["end"], line["upstream"]) == ("client_gone", url)
            assert "status" not in line

    run(work())


def test_a_replica_that_cannot_now_and_the_next_one_are_both_told(tmp_path):
    async def full(request, wire):
        wire.send("HTTP/1.1 429 Full\r\nX-Onehop-Error: queue_full\r\nContent-Length: 0\r\n\r\n")

    async def work():
        async with backend() as other:
            async with watched(tmp_path / "log", full) as seen:
                upstreams = [{"url": seen.engine.url}, {"url": other.url}]
                text = {"models": {"m": {"upstreams": upstreams}}, "access_log": True}
                seen.front.router.load(parse(json.dumps(text), {}))
                for dummy in range(2):
                    assert (await seen.front.ask(post(CHAT))).status == 200
                lines = seen.lines()
                assert [line["upstream"] for line in lines] == [other.url] * 2
                retries = sum(line.get("retries", 0) for line in lines)
                assert 1 <= retries == seen.count("upstream_errors_total")

    run(work())


def test_requests_of_one_connection_have_a_line_each(tmp_path):
    async def work():
        async with watched(tmp_path / "log") as seen:
            wire = await seen.front.connect()
            wire.send(post(CHAT) + get("/health") + post(CHAT, "/route/m/v1/embeddings?a=b"))
            for dummy in range(3):
                assert (await wire.read()).status == 200
            wire.close()
            paths = [line["path"] for line in seen.lines()]
            assert paths == [HERE, "/health", "/route/m/v1/embeddings"]
            assert len({line["id"] for line in seen.lines()}) == 3

    run(work())


def test_a_request_that_is_sent_again_says_so(tmp_path):
    async def work():
        served = 0

        async def script(request, wire):
            nonlocal served
            served += 1
            if served == 2:
                wire.reset()
                return
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

        async with watched(tmp_path / "log", script) as seen:
            wire = await seen.front.connect()
            for dummy in range(2):
                wire.send(post(CHAT))
                assert (await wire.read()).status == 200
            first, second = seen.lines()
            assert "retries" not in first
            assert second["retries"] == 1
            assert second["upstream"] == seen.engine.url
            assert seen.count("upstream_errors_total") == 0

    run(work())


def test_ids_and_traces_are_passed_on_and_logged(tmp_path):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    async def work():
        async with watched(tmp_path / "log") as seen:
            answer = await seen.front.ask(
                post(
                    CHAT,
                    HERE,
                    f"traceparent: {trace}",
                    "tracestate: a=b",
                    "X-Request-Id: mine-1",
                    "X-Stainless-Retry-Count: 2",
                )
            )
            assert answer.get("x-request-id") == "mine-1"
            assert seen.engine.last.all("traceparent") == [trace]
            assert seen.engine.last.all("tracestate") == ["a=b"]
            assert seen.engine.last.all("x-request-id") == ["mine-1"]
            refused = await seen.front.ask(get("/slots", "X-Request-Id: mine-2"))
            assert refused.get("x-request-id") == "mine-2"
            first, second = seen.lines()
            assert first["trace"] == trace.split("-")[1]
            assert first["sdk_retries"] == 2
            assert (first["id"], second["id"]) == ("mine-1", "mine-2")
            assert "trace" not in second

    run(work())


@pytest.mark.parametrize(
    "field",
    [
        "traceparent: 00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "traceparent: ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "traceparent: nonsense",
        "X-Stainless-Retry-Count: 99999",
        "X-Stainless-Retry-Count: -1",
        'X-Request-Id: "}{"',
    ],
)
def test_what_is_not_sane_is_not_logged(field, tmp_path):
    async def work():
        async with watched(tmp_path / "log") as seen:
            await seen.front.ask(post(CHAT, HERE, field))
            (line,) = seen.lines()
            assert line.keys().isdisjoint(("trace", "sdk_retries"))
            assert re.fullmatch("[0-9a-f]{24}", line["id"])

    run(work())


def test_no_client_makes_a_long_line_or_a_broken_one(tmp_path):
    async def work():
        async with watched(tmp_path / "log") as seen:
            path = '/"\\%00%0a' + "x" * 9000
            await seen.front.ask(get(path, method="PROPFIND"))
            await seen.front.ask(post(CHAT, path))
            lines = seen.lines()
            assert [line["path"] for line in lines] == [path[:256]] * 2
            assert lines[0]["method"] == "PROPFIND"
            assert max(map(len, seen.file.read_text().splitlines())) < 1000

    run(work())


def test_what_is_said_is_nowhere_in_the_log(tmp_path):
    async def work():
        async with watched(tmp_path / "log", client_keys=CLIENTS) as seen:
            body = '{"model": "m", "messages": "a private matter"}'
            fields = (f"x-api-key: {KEY}", "Cookie: also private", "User-Agent: private/1")
            answer = await seen.front.ask(post(body, f"{HERE}?token={KEY}-private", *fields))
            assert b"private" in answer.body
            await seen.front.ask(post(body, HERE, "x-api-key: wrong-private"))
            assert len(seen.lines()) == 2
            assert "private" not in seen.file.read_text()

    run(work())


def test_the_log_follows_a_reload(tmp_path):
    async def work():
        async with watched(tmp_path / "log") as seen:
            await seen.front.ask(get("/health"))
            config = seen.front.router.table.config
            seen.front.router.recorder.load(type(config)(access_log=False))
            await seen.front.ask(get("/health"))
            assert len(seen.lines()) == 1
            assert seen.count("requests_total") == 2

    run(work())


# -- the writer


def entry(number: int) -> Line:
    return Line(ts="", id=str(number), method="GET", path="x" * 200, end="complete", seconds=number)


def test_ends_are_counted_and_written_in_lots(tmp_path):
    async def work():
        async with watched(tmp_path / "log") as seen:
            recorder = seen.front.router.recorder
            requests = recorder.metrics.slot(("responses", "", "", "200"))
            for number in range(LOT):
                record = recorder.begin(None, str(number), None)
                record.status = 200
                record.finish("complete")
                record.finish("client_gone")
                done = recorder.metrics.shared.total(requests)
                assert done == (LOT if number == LOT - 1 else 0)
            record = recorder.begin(None, "one more", None)
            record.finish("complete")
            # A single one does not wait for others.
            await until(lambda: b"one more" in seen.file.read_bytes())
            assert [line["id"] for line in seen.lines()] == [*map(str, range(LOT)), "one more"]

    run(work())


@pytest.fixture
def stream():
    """Both ends of a pipe, and of a socket like the journal's; the second one is written to."""
    made: list[int] = []

    def make(kind: str) -> tuple[int, int]:
        if kind == "pipe":
            made.extend(os.pipe())
        else:
            made.extend(one.detach() for one in socket.socketpair())
        return made[0], made[1]

    yield make
    for fd in made:
        with contextlib.suppress(OSError):
            os.close(fd)


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_a_lot_is_one_write(kind, stream):
    ours, theirs = stream(kind)
    log = AccessLog(theirs)
    log.write([entry(number) for number in range(LOT)])
    lines = os.read(ours, 1_000_000).splitlines()
    assert [json.loads(line)["id"] for line in lines] == list(map(str, range(LOT)))


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_a_reader_that_is_stuck_holds_up_nobody(kind, stream, monkeypatch):
    monkeypatch.setattr(access_log, "CLOSE_SECONDS", 0.1)
    ours, theirs = stream(kind)
    log = AccessLog(theirs)
    # For others, writing there still blocks.
    assert os.get_blocking(theirs)
    lots = 600
    for number in range(lots):
        log.write([entry(number)] * LOT)
    assert 0 < log.dropped < lots * LOT
    kept = lots * LOT - log.dropped
    log.close()
    text = b""
    while text.count(b"\n") < kept:
        text += os.read(ours, 65536)
        log.flush()
    found = [json.loads(line)["id"] for line in text.splitlines()]
    # None is torn, and none is out of its order.
    assert found == sorted(found, key=int)
    assert len(found) == kept


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_a_log_that_nobody_reads_is_let_go(kind, stream):
    ours, theirs = stream(kind)
    log = AccessLog(theirs)
    os.close(ours)
    log.write([entry(1)])
    log.close()
    AccessLog(12345).write([entry(1)])


def test_a_log_in_a_file_is_appended_to(tmp_path):
    file = tmp_path / "log"
    file.write_text("before\n")
    with file.open("ab") as other:
        log = AccessLog(other.fileno())
        log.write([entry(1)])
        other.write(b"after\n")
    assert [line[:6] for line in file.read_text().splitlines()] == ["before", '{"ts":', "after"]
