# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our errors in the hands of the official clients: what they raise, and whether they try again.

Acceptance test 15. Each error is provoked in a real exchange; backends are test doubles. The clients
wait for nothing here: how long they would have waited is noted instead.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import anthropic
import anyio
import openai
import pytest
from router_harness import Message, Running, Wire, backend, model, post, router, run, until

from onehop_router.framing import parse_head

HELLO: Any = [{"role": "user", "content": "hi"}]
STREAM = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def waits(monkeypatch):
    """The seconds that clients would have waited before they tried again."""
    noted: list[float] = []

    async def note(seconds: float) -> None:
        noted.append(seconds)
        await asyncio.sleep(0)

    monkeypatch.setattr(anyio, "sleep", note)
    return noted


@pytest.fixture
def heads(monkeypatch):
    """The heads that the router has read: one for each try of a client."""
    read: list[bytes] = []

    def noting(raw: bytes):
        read.append(raw)
        return parse_head(raw)

    monkeypatch.setattr("onehop_router.client.parse_head", noting)
    return read


async def engine_script(request: Message, wire: Wire) -> None:
    """A test double of an engine whose behaviour is in the path's query, as `?act=...`."""
    act = request.target.partition("?act=")[2]
    if request.target == "/health":
        wire.send("HTTP/1.1 503 Loading\r\nContent-Length: 0\r\n\r\n")
    elif act == "babble":
        wire.send("lol\r\n\r\n")
    elif act == "reset":
        wire.reset()
    elif act == "close":
        wire.close()
    else:
        await wire.reader.read()


@contextlib.asynccontextmanager
async def stage(**settings: Any) -> AsyncIterator[Running]:
    """A router with a model that does as it is told, one of others, one dead, one that loads."""
    async with (
        backend(engine_script) as engine, backend(engine_script) as loading, backend() as gone
    ):  # fmt: skip
        gone.stop()
        models = {"m": model(engine.url), "dead": model(gone.url), "other": model(engine.url)}
        models["loading"] = {"upstreams": [{"url": f"{loading.url}", "health": "/health"}]}
        keys = {
            "a": {"keys": ["k"], "models": ["m", "dead", "loading"]},
            "b": {"keys": ["occupant"]},
        }
        async with router(models, client_keys=keys, **settings) as front:
            yield front


async def set_stage(front: Running, case: Case) -> list[Wire]:
    """What has to be so before the case begins; who occupies places."""
    if case.code == "model_loading":
        health = front.router.table.routes["loading"].targets[0].health
        await until(lambda: health.state == "loading")
    return await occupy(front, case.occupants)


async def occupy(front: Running, count: int) -> list[Wire]:
    """Take the only place, and the places in the queue, and keep them."""
    limits = front.router.limits
    wires = []
    for dummy in range(count):
        wire = await front.connect()
        wire.send(post('{"model":"m"}', "/v1/completions", "Authorization: Bearer occupant"))
        wires.append(wire)
        await until(lambda: limits.active + len(limits._waiting) == len(wires))
    return wires


NOTHING: Mapping[str, Any] = MappingProxyType({})


class Case(NamedTuple):
    """A row of our errors: what is sent, what the clients make of it, and how often they try."""

    name: str
    openai: type[openai.APIStatusError]
    anthropic: type[anthropic.APIStatusError]
    status: int
    code: str
    type: str
    anthropic_type: str
    param: str | None = None
    tries: int = 1
    waits: list[float] | None = None
    header: tuple[str, str] | None = None
    send: Mapping[str, Any] = NOTHING
    key: str = "k"
    settings: Mapping[str, Any] = NOTHING
    occupants: int = 0


BAD = "invalid_request_error"
FAULT = ("server_error", "api_error")
RATE = ("rate_limit_error", "rate_limit_error")


def openais(front: Running, key: str = "k") -> openai.AsyncOpenAI:
    # Without TLS there are no authorities to load, which takes most of a test's time.
    http = openai.DefaultAsyncHttpxClient(verify=False)
    return openai.AsyncOpenAI(base_url=f"{front.url}/v1", api_key=key, http_client=http)


def anthropics(front: Running, key: str = "k") -> anthropic.AsyncAnthropic:
    http = anthropic.DefaultAsyncHttpxClient(verify=False)
    return anthropic.AsyncAnthropic(base_url=front.url, api_key=key, http_client=http)


async def endless() -> AsyncIterator[bytes]:
    for dummy in range(64):
        yield b"x" * 65536


JSON = {"Content-Type": "application/json"}
CASES = [
    Case("bad JSON", openai.BadRequestError, anthropic.BadRequestError, 400, "invalid_json", BAD,
         BAD, send={"content": b"{"}),
    Case("no model", openai.BadRequestError, anthropic.BadRequestError, 400, "missing_model", BAD,
         BAD, "model", send={"body": {"messages": HELLO}}),
    Case("model no string", openai.BadRequestError, anthropic.BadRequestError, 400,
         "invalid_json", BAD, BAD, "model", send={"body": {"model": 5}}),
    Case("two models", openai.BadRequestError, anthropic.BadRequestError, 400, "duplicate_model",
         BAD, BAD, "model", send={"content": b'{"model":"m","model":"m"}'}),
    Case("wrong key", openai.AuthenticationError, anthropic.AuthenticationError, 401,
         "invalid_api_key", "authentication_error", "authentication_error",
         header=("www-authenticate", "Bearer"), key="nope"),
    Case("unknown model", openai.NotFoundError, anthropic.NotFoundError, 404, "model_not_found",
         BAD, "not_found_error", "model", send={"body": {"model": "nope"}}),
    Case("model of others", openai.NotFoundError, anthropic.NotFoundError, 404,
         "model_not_found", BAD, "not_found_error", "model", send={"body": {"model": "other"}}),
    Case("path not allowed", openai.NotFoundError, anthropic.NotFoundError, 404, "unknown_path",
         BAD, "not_found_error", send={"path": "/batches"}),
    Case("body over the cap", openai.APIStatusError, anthropic.APIStatusError, 413,
         "request_too_large", BAD, "request_too_large", settings={"max_body_bytes": 100},
         send={"body": {"model": "m", "messages": "x" * 200}}),
    Case("body over the cap, in chunks", openai.APIStatusError, anthropic.APIStatusError, 413,
         "request_too_large", BAD, "request_too_large", settings={"max_body_bytes": 100_000},
         header=("connection", "close"), send={"content": endless}),
    Case("unknown coding", openai.APIStatusError, anthropic.APIStatusError, 415,
         "unsupported_content_encoding", BAD, BAD,
         send={"content": b"x", "headers": {**JSON, "Content-Encoding": "compress"}}),
    Case("long head", openai.APIStatusError, anthropic.APIStatusError, 431, "head_too_large", BAD,
         BAD, send={"headers": {**JSON, "X": "y" * 70_000}}),
    Case("no place", openai.RateLimitError, anthropic.RateLimitError, 429, "concurrency_limit",
         *RATE, tries=3, waits=[1, 1], header=("retry-after", "1"),
         settings={"max_concurrent_requests": 1}, occupants=1),
    Case("no place in the queue", openai.RateLimitError, anthropic.RateLimitError, 429,
         "queue_full", *RATE, tries=3, waits=[1, 1], header=("retry-after", "1"), occupants=2,
         settings={"max_concurrent_requests": 1, "max_queued_requests": 1, "queue_seconds": 300}),
    Case("waited in vain", openai.RateLimitError, anthropic.RateLimitError, 429,
         "concurrency_limit", *RATE, tries=3, waits=[1, 1], header=("retry-after", "1"),
         settings={"max_concurrent_requests": 1, "max_queued_requests": 9, "queue_seconds": 0.01},
         occupants=1),
    Case("no room for the body", openai.RateLimitError, anthropic.RateLimitError, 429,
         "buffer_limit", *RATE, tries=3, waits=[1, 1], header=("retry-after", "1"),
         settings={"max_buffered_bytes": 10}),
    Case("nobody listens", openai.InternalServerError, anthropic.InternalServerError, 502,
         "backend_unreachable", *FAULT, tries=3, send={"body": {"model": "dead"}}),
    Case("closed before the head", openai.InternalServerError, anthropic.InternalServerError, 502,
         "backend_unreachable", *FAULT, tries=3, send={"act": "close"}),
    Case("reset before the head", openai.InternalServerError, anthropic.InternalServerError, 502,
         "backend_unreachable", *FAULT, tries=3, send={"act": "reset"}),
    Case("no HTTP", openai.InternalServerError, anthropic.InternalServerError, 502,
         "bad_backend_answer", *FAULT, header=("x-should-retry", "false"), send={"act": "babble"}),
    Case("nobody up in time", openai.InternalServerError, anthropic.InternalServerError, 503,
         "model_unavailable", *FAULT, tries=3, waits=[5, 5], header=("retry-after", "5"),
         settings={"hold_seconds": 0.01}, send={"body": {"model": "dead"}}),
    Case("not up yet", openai.InternalServerError, anthropic.InternalServerError, 503,
         "model_loading", *FAULT, tries=3, waits=[5, 5], header=("retry-after", "5"),
         settings={"hold_seconds": 0.01}, send={"body": {"model": "loading"}}),
    Case("no answer in time", openai.InternalServerError, anthropic.InternalServerError, 504,
         "backend_timeout", *FAULT, tries=3, settings={"answer_seconds": 0.05}),
    Case("coding that is not so", openai.BadRequestError, anthropic.BadRequestError, 400,
         "invalid_content_encoding", BAD, BAD,
         send={"content": b"{}", "headers": {**JSON, "Content-Encoding": "gzip"}}),
    Case("two names", openai.BadRequestError, anthropic.BadRequestError, 400,
         "conflicting_models", BAD, BAD, "model", send={"headers": {**JSON, "X-Model": "dead"}}),
]  # fmt: skip


async def send(client: Any, case: Case, path: str) -> None:
    """What the case says, by the client's own way of sending anything."""
    sent = dict(case.send)
    act = sent.pop("act", None)
    path = sent.pop("path", path) + (f"?act={act}" if act else "")
    options = {"headers": sent.pop("headers", JSON)}
    content = sent.pop("content", None)
    if content is not None:
        sent["content"] = content() if callable(content) else content
    else:
        sent.setdefault("body", {"model": "m", "messages": HELLO, "max_tokens": 1})
    await client.post(path, cast_to=object, options=options, **sent)


def check(case: Case, error: Any, tries: int, waits: list[float]) -> None:
    """What both clients have in common."""
    assert error.status_code == case.status
    assert error.response.headers["x-onehop-error"] == case.code
    if case.header is not None:
        assert error.response.headers[case.header[0]] == case.header[1]
    if case.status in (429, 503):
        assert 0 < float(error.response.headers["retry-after"]) <= 120
    assert tries == case.tries
    assert len(waits) == case.tries - 1
    if case.waits is not None:
        assert waits == case.waits


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_openais_client(case, waits, heads):
    async def work():
        async with stage(**case.settings) as front:
            occupants = await set_stage(front, case)
            heads.clear()
            async with openais(front, case.key) as client:
                with pytest.raises(openai.APIStatusError) as raised:
                    await send(client, case, "/chat/completions")
            error = raised.value
            assert error.__class__ is case.openai
            assert (error.code, error.type, error.param) == (case.code, case.type, case.param)
            assert error.request_id
            # A head that is too long is refused before it is read.
            check(case, error, len(heads) or 1, waits)
            assert len(occupants) == case.occupants

    run(work())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_anthropics_client(case, waits, heads):
    if case.status == 431:
        # Such a head has no path yet, so the shape is everybody's.
        case = case._replace(anthropic_type=BAD)

    async def work():
        async with stage(**case.settings) as front:
            occupants = await set_stage(front, case)
            heads.clear()
            path = "/v1/messages/batches" if "path" in case.send else "/v1/messages"
            sent = {name: one for name, one in case.send.items() if name != "path"}
            async with anthropics(front, case.key) as client:
                with pytest.raises(anthropic.APIStatusError) as raised:
                    await send(client, case._replace(send=sent), path)
            error = raised.value
            assert isinstance(error, case.anthropic)
            assert error.type == case.anthropic_type
            if case.status != 431:
                assert error.error_code == case.code
                assert error.request_id == error.response.headers["x-request-id"]
            check(case, error, len(heads) or 1, waits)
            assert len(occupants) == case.occupants

    run(work())


def test_the_list_of_models_is_only_read():
    async def work():
        async with stage() as front:
            async with openais(front) as client:
                with pytest.raises(openai.APIStatusError) as raised:
                    await client.models.delete("m")
                assert (raised.value.status_code, raised.value.code) == (405, "method_not_allowed")
                assert raised.value.response.headers["allow"] == "GET, HEAD"
                with pytest.raises(openai.NotFoundError) as unknown:
                    await client.models.retrieve("nope")
                assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")

    run(work())


def test_both_clients_raise_where_a_stream_breaks():
    async def breaking(request: Message, wire: Wire) -> None:
        data = 'event: message_start\ndata: {"type": "ping", "choices": []}\n\n'
        wire.send(f"{STREAM}{len(data):x}\r\n{data}\r\n")
        await asyncio.sleep(0.01)
        wire.reset()

    async def work():
        async with backend(breaking) as engine, router({"m": model(engine.url)}) as front:
            async with openais(front) as client:
                chunks = await client.chat.completions.create(
                    model="m", messages=HELLO, stream=True
                )
                with pytest.raises(Exception, match=r"broke off"):
                    async for dummy in chunks:
                        pass
            async with anthropics(front) as asker:
                events = await asker.messages.create(
                    model="m", messages=HELLO, max_tokens=1, stream=True
                )
                with pytest.raises(Exception, match=r"broke off"):
                    async for dummy_event in events:
                        pass
            # A broken stream has begun: nobody sends its request again, not the router either.
            assert len(engine.requests) == 2

    run(work())


@pytest.mark.parametrize(
    ("status", "said", "tries", "waited", "tries_there"),
    [
        (429, {"Retry-After": "2"}, 3, [2, 2], 3),
        (429, {"Retry-After": "120"}, 3, [120, 120], 3),
        (429, {"Retry-After": "121"}, 1, [], 3),
        (503, {"retry-after-ms": "300"}, 3, [0.3, 0.3], 3),
        (503, {"x-should-retry": "false"}, 1, [], 1),
        (400, {"x-should-retry": "true", "Retry-After": "3"}, 3, [3, 3], 3),
        (500, {}, 3, None, 3),
        (404, {}, 1, [], 1),
    ],
)
def test_what_an_engine_says_of_retries_is_obeyed_through_us(
    status, said, tries, waited, tries_there, waits
):
    async def saying(request: Message, wire: Wire) -> None:
        lines = "".join(f"{name}: {value}\r\n" for name, value in said.items())
        wire.send(f"HTTP/1.1 {status} X\r\n{lines}Content-Length: 2\r\n\r\n{{}}")

    async def work():
        async with backend(saying) as engine, router({"m": model(engine.url)}) as front:
            async with openais(front) as client:
                with pytest.raises(openai.APIStatusError) as raised:
                    await client.chat.completions.create(model="m", messages=HELLO)
            assert raised.value.status_code == status
            assert "x-onehop-error" not in raised.value.response.headers
            # No retry of the router's multiplies the client's.
            assert len(engine.requests) == tries
            assert waited is None or waits == waited
            engine.requests.clear()
            async with anthropics(front) as asker:
                with pytest.raises(anthropic.APIStatusError):
                    await asker.messages.create(model="m", messages=HELLO, max_tokens=1)
            assert len(engine.requests) == tries_there

    run(work())
