# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Anthropic's Python client: its page in the documentation, and what goes wrong.

Messages, tools and token counts are a real llama-server's; faults are a stand-in's.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import anthropic
import clients_pages
import pytest
from clients_fleet import Fleet, key_of
from clients_pages import Block

ME = "anthropic-python"
PAGE = clients_pages.read(ME)
HELLO: Any = [{"role": "user", "content": "One hop?"}]
TOOLS: Any = [
    {
        "name": "hops",
        "input_schema": {
            "type": "object",
            "properties": {"count": {"enum": [1, 2]}},
            "required": ["count"],
        },
    }
]


@pytest.mark.parametrize("block", PAGE.of("python"), ids=lambda block: block.heading)
def test_page(block: Block, fleet: Fleet, monkeypatch, capsys):
    monkeypatch.setenv("ANTHROPIC_API_KEY", key_of(ME))
    program = compile(PAGE.program(block, fleet.url), f"{ME}.md: {block.heading}", "exec")
    exec(program, {"__name__": "__main__"})
    clients_pages.expect(block, capsys.readouterr().out)


@pytest.fixture(scope="module")
def client(fleet: Fleet) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=fleet.url, api_key=key_of(ME)) as made:
        yield made


@pytest.mark.shows("Tools")
def test_a_call_comes_in_pieces(fleet):
    async def work() -> None:
        async with anthropic.AsyncAnthropic(base_url=fleet.url, api_key=key_of(ME)) as client:
            async with client.messages.stream(
                model="qwen3-8b", messages=HELLO, tools=TOOLS, max_tokens=300
            ) as events:
                kinds = [event.type async for event in events]
                final = await events.get_final_message()
            assert kinds.count("input_json") > 1
            (call,) = [part for part in final.content if part.type == "tool_use"]
            assert call.name == "hops"
            assert call.input["count"] in (1, 2)
            assert final.stop_reason == "tool_use"

    asyncio.run(work())


@pytest.mark.shows("Messages")
def test_a_key_as_a_bearer_token(fleet):
    # Empty, or the client would take a key from the environment.
    with anthropic.Anthropic(base_url=fleet.url, auth_token=key_of(ME), api_key=None) as client:
        answer = client.messages.create(model="qwen3-8b", messages=HELLO, max_tokens=5)
    assert answer.usage.output_tokens


@pytest.mark.shows("Limits and retries")
def test_a_limit_is_waited_for(client, fleet):
    since = time.time()
    with fleet.occupied("busy") as other:
        threading.Timer(0.3, other.gate.set).start()
        client.messages.create(model="busy", messages=HELLO, max_tokens=5)
    mine = [line["status"] for line in fleet.tries(since, 3) if line["client"] == ME]
    assert mine == [*[429] * (len(mine) - 1), 200]


@pytest.mark.shows("A model that starts")
def test_a_model_that_starts(client, fleet, monkeypatch):
    with fleet.coming_up() as (patient, waits):
        monkeypatch.setattr("anthropic._base_client.time", patient)
        client.messages.create(model="starting", messages=HELLO, max_tokens=5)
    assert waits == [5.0], "Retry-After is 5"


@pytest.mark.shows("A stream that breaks")
def test_an_engine_that_dies_in_a_stream(client):
    events = client.messages.create(model="dying", messages=HELLO, max_tokens=5, stream=True)
    assert next(events).type == "message_start"
    with pytest.raises(anthropic.APIStatusError, match="broke off"):
        list(events)


@pytest.mark.shows("Errors")
def test_a_body_that_is_too_large(client):
    long: Any = [{"role": "user", "content": "x" * 1_000_001}]
    with pytest.raises(anthropic.APIStatusError) as raised:
        client.messages.create(model="qwen3-8b", messages=long, max_tokens=5)
    assert (raised.value.status_code, raised.value.type) == (413, "request_too_large")


@pytest.mark.shows("Timeouts")
def test_a_client_that_does_not_want_to_wait(client, fleet):
    since = time.time()
    busy = fleet.standins["busy"]
    busy.gate.clear()
    with pytest.raises(anthropic.APITimeoutError):
        client.with_options(max_retries=0, timeout=1).messages.create(
            model="busy", messages=HELLO, max_tokens=5
        )
    busy.gate.set()
    (line,) = fleet.tries(since, 1)
    assert line["end"] == "client_gone"
