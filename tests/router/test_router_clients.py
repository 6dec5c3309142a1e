# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The official OpenAI and Anthropic clients through the router, against a scripted backend."""

from __future__ import annotations

import asyncio
import json

import anthropic
import openai
import pytest
from router_harness import Message, Running, Wire, backend, model, router, run

KEYS = {"a": {"keys": ["k"]}}


def chat(**more) -> dict[str, object]:
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", **more}


async def engine_script(request: Message, wire: Wire) -> None:
    """A test double of an engine that completes every chat with 'hello'."""
    if not json.loads(request.body).get("stream"):
        choice = {"index": 0, "finish_reason": "stop"}
        message = {"role": "assistant", "content": "hello"}
        body = json.dumps(chat(choices=[{**choice, "message": message}]))
        wire.send(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )
        return
    wire.send(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    for word in ("hel", "lo"):
        delta = {"index": 0, "delta": {"content": word}}
        text = json.dumps(chat(object="chat.completion.chunk", choices=[delta]))
        wire.send(f"{len(text) + 8:x}\r\ndata: {text}\n\n\r\n")
        await asyncio.sleep(0)
    if "drop" in request.body.decode():
        wire.reset()
        return
    wire.send("e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")


def openai_client(front: Running, key: str = "k") -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{front.url}/v1", api_key=key, max_retries=0)


HELLO = {"messages": [{"role": "user", "content": "hi"}]}


def test_openai_client_with_and_without_streaming():
    async def work():
        async with backend(engine_script) as engine:
            async with router({"m": model(engine.url)}, client_keys=KEYS) as front:
                async with openai_client(front) as client:
                    answer = await client.chat.completions.create(model="m", **HELLO)
                    assert answer.choices[0].message.content == "hello"
                    assert answer._request_id
                    stream = await client.chat.completions.create(model="m", stream=True, **HELLO)
                    parts = [one.choices[0].delta.content async for one in stream]
                    assert parts == ["hel", "lo"]
                    models = await client.models.list()
                    assert [one.id for one in models.data] == ["m"]

    run(work())


def test_openai_client_understands_our_errors():
    async def work():
        async with backend() as gone:
            gone.stop()
            async with router({"m": model(gone.url)}, client_keys=KEYS) as front:
                async with openai_client(front) as client:
                    with pytest.raises(openai.NotFoundError) as unknown:
                        await client.chat.completions.create(model="nope", **HELLO)
                    assert unknown.value.code == "model_not_found"
                    assert unknown.value.param == "model"
                    assert unknown.value.type == "invalid_request_error"
                    assert unknown.value.request_id
                    with pytest.raises(openai.InternalServerError) as dead:
                        await client.chat.completions.create(model="m", **HELLO)
                    assert dead.value.code == "backend_unreachable"
                async with openai_client(front, "wrong") as client:
                    with pytest.raises(openai.AuthenticationError) as denied:
                        await client.models.list()
                    assert denied.value.code == "invalid_api_key"

    run(work())


def test_openai_client_sees_a_dropped_stream():
    async def work():
        async with backend(engine_script) as engine, router({"m": model(engine.url)}) as front:
            async with openai_client(front) as client:
                stream = await client.chat.completions.create(
                    model="m", stream=True, user="drop", **HELLO
                )
                with pytest.raises(Exception, match="broke off its answer"):
                    async for dummy in stream:
                        pass

    run(work())


def test_anthropic_client_understands_our_errors():
    async def work():
        async with router({}, client_keys=KEYS) as front:
            for key, kind, name in (
                ("k", anthropic.NotFoundError, "not_found_error"),
                ("wrong", anthropic.AuthenticationError, "authentication_error"),
            ):
                client = anthropic.AsyncAnthropic(base_url=front.url, api_key=key, max_retries=0)
                async with client:
                    with pytest.raises(kind) as error:
                        await client.messages.create(model="nope", max_tokens=1, **HELLO)
                    body = error.value.body
                    assert isinstance(body, dict)
                    assert body["type"] == "error"
                    assert body["error"]["type"] == name

    run(work())
