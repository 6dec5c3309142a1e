# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenAI's Python client: its page in the documentation, and what goes wrong.

Chats, tools and embeddings are a real llama-server's; sound, kept responses and faults a stand-in's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import clients_pages
import openai
import pytest
from clients_fleet import Fleet, key_of
from clients_pages import Block

ME = "openai-python"
PAGE = clients_pages.read(ME)
HELLO: Any = [{"role": "user", "content": "One hop?"}]
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "hops",
            "parameters": {
                "type": "object",
                "properties": {"count": {"enum": [1, 2]}},
                "required": ["count"],
            },
        },
    }
]


@pytest.mark.parametrize("block", PAGE.of("python"), ids=lambda block: block.heading)
def test_page(block: Block, fleet: Fleet, sound: Path, monkeypatch, capsys):
    monkeypatch.setenv("OPENAI_API_KEY", key_of(ME))
    monkeypatch.chdir(sound.parent)
    program = compile(PAGE.program(block, fleet.url), f"{ME}.md: {block.heading}", "exec")
    exec(program, {"__name__": "__main__"})
    clients_pages.expect(block, capsys.readouterr().out)


@pytest.fixture(scope="module")
def client(fleet: Fleet) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{fleet.url}/v1", api_key=key_of(ME)) as made:
        yield made


@contextlib.asynccontextmanager
async def asynchronous(fleet: Fleet) -> Any:
    async with openai.AsyncOpenAI(base_url=f"{fleet.url}/v1", api_key=key_of(ME)) as made:
        yield made


@pytest.mark.shows("Streams")
def test_eight_streams_at_a_time(fleet):
    async def one(client: openai.AsyncOpenAI) -> str:
        chunks = await client.chat.completions.create(
            model="qwen3-8b", messages=HELLO, max_tokens=40, stream=True
        )
        return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])

    async def work() -> None:
        async with asynchronous(fleet) as client:
            said = await asyncio.gather(*(one(client) for dummy in range(8)))
            assert all(said)

    asyncio.run(work())


@pytest.mark.shows("Tools")
def test_a_call_comes_in_pieces(fleet):
    async def work() -> None:
        async with asynchronous(fleet) as client:
            async with client.chat.completions.stream(
                model="qwen3-8b", messages=HELLO, tools=TOOLS, tool_choice="required"
            ) as events:
                kinds = [event.type async for event in events]
                final = await events.get_final_completion()
            assert kinds.count("tool_calls.function.arguments.delta") > 1
            (call,) = final.choices[0].message.tool_calls
            assert call.function.name == "hops"
            assert json.loads(call.function.arguments)["count"] in (1, 2)
            assert final.choices[0].finish_reason == "tool_calls"

    asyncio.run(work())


@pytest.mark.shows("Kept responses")
def test_a_response_is_streamed_and_then_asked_for(client):
    with client.responses.stream(model="llama-3.3-70b", input="one hop") as events:
        said = "".join(one.delta for one in events if one.type == "response.output_text.delta")
        made = events.get_final_response()
    assert said.strip() == made.output_text == "You said: one hop"
    assert client.responses.retrieve(made.id).output_text == made.output_text
    asked = client.responses.input_items.list(made.id).data
    assert asked[0].content[0].text == "one hop"
    after = client.responses.create(
        model="llama-3.3-70b", input="more", previous_response_id=made.id
    )
    assert after.previous_response_id == made.id
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


def test_a_response_is_nobody_elses(client, fleet):
    made = client.responses.create(model="llama-3.3-70b", input="mine")
    stranger = client.with_options(api_key=key_of("openai-node"))
    with pytest.raises(openai.NotFoundError) as raised:
        stranger.responses.retrieve(made.id)
    assert raised.value.code == "response_not_found"


@pytest.mark.shows("Sound")
@pytest.mark.parametrize("before", [True, False], ids=["model first", "file first"])
def test_sound(client, sound, before):
    heard = client.audio.transcriptions.create(model="whisper-large-v3", file=sound)
    assert heard.text.startswith("0.5 seconds of sound")
    # What other clients send: the order of a form's parts is anybody's choice.
    parts: Any = [("model", (None, b"whisper-large-v3")), ("file", ("a.wav", sound.read_bytes()))]
    heard = client.post(
        "/audio/translations",
        cast_to=openai.types.audio.Translation,
        files=parts if before else parts[::-1],
        options={"headers": {"Content-Type": "multipart/form-data"}},
    )
    order = "model before file" if before else "file before model"
    assert heard.text == f"0.5 seconds of sound, {order}"


@pytest.mark.shows("Limits and retries")
def test_a_limit_is_waited_for(client, fleet):
    since = time.time()
    with fleet.occupied("busy") as other:
        # It goes while the client waits for as long as Retry-After says.
        threading.Timer(0.3, other.gate.set).start()
        answer = client.chat.completions.create(model="busy", messages=HELLO)
    assert answer.choices[0].message.content == "done"
    mine = [line for line in fleet.tries(since, 3) if line["client"] == ME]
    assert [line["status"] for line in mine] == [*[429] * (len(mine) - 1), 200]
    assert [line.get("sdk_retries", 0) for line in mine] == list(range(len(mine)))
    first, second = (datetime.fromisoformat(line["ts"]) for line in mine[:2])
    assert second - first >= timedelta(seconds=1), "Retry-After was 1"


@pytest.mark.shows("Limits and retries")
def test_a_limit_that_stays_is_an_error(client, fleet):
    with fleet.occupied("busy"):
        with pytest.raises(openai.RateLimitError) as raised:
            client.with_options(max_retries=0).chat.completions.create(model="busy", messages=HELLO)
    assert raised.value.code == "concurrency_limit"
    assert raised.value.response.headers["retry-after"] == "1"


@pytest.mark.shows("A model that starts")
def test_a_model_that_starts(client, fleet, monkeypatch):
    with fleet.coming_up() as (patient, waits):
        monkeypatch.setattr("openai._base_client.time", patient)
        answer = client.chat.completions.create(model="starting", messages=HELLO)
    assert answer.choices[0].message.content == "done"
    assert waits == [5.0], "Retry-After is 5"


@pytest.mark.shows("A stream that breaks")
def test_an_engine_that_dies_in_a_stream(client):
    chunks = client.chat.completions.create(model="dying", messages=HELLO, stream=True)
    assert next(chunks).choices[0].delta.role == "assistant"
    with pytest.raises(openai.APIError, match="broke off"):
        list(chunks)


@pytest.mark.shows("Errors")
def test_a_body_that_is_too_large(client):
    with pytest.raises(openai.APIStatusError) as raised:
        client.chat.completions.create(
            model="qwen3-8b", messages=[{"role": "user", "content": "x" * 1_000_001}]
        )
    assert (raised.value.status_code, raised.value.code) == (413, "request_too_large")


@pytest.mark.shows("Errors")
def test_what_the_engine_says_comes_as_it_is(client):
    with pytest.raises(openai.BadRequestError) as raised:
        client.embeddings.create(model="bge-m3", input=[])
    assert "x-onehop-error" not in raised.value.response.headers


@pytest.mark.shows("Timeouts")
def test_a_client_that_does_not_want_to_wait(client, fleet):
    since = time.time()
    busy = fleet.standins["busy"]
    busy.gate.clear()
    with pytest.raises(openai.APITimeoutError):
        client.with_options(max_retries=0, timeout=1).chat.completions.create(
            model="busy", messages=HELLO
        )
    busy.gate.set()
    (line,) = fleet.tries(since, 1)
    assert line["end"] == "client_gone"
