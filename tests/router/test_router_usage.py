# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens of an answer: found at its ends, whatever engine wrote it, and believed with care."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from router_harness import CHAT, backend, model, post, router, run

from onehop_router.usage import KEPT_BYTES, MAX_TOKENS, Ends, Tokens, readable_ends

SSE = b"text/event-stream; charset=utf-8"
JSON = b"application/json"


def told(reads: list[bytes], kind: bytes = SSE) -> Tokens | None:
    """What is found in an answer that came in these reads."""
    ends = readable_ends(kind, coded=False)
    assert ends is not None
    keep = ends.begin([reads[0]])
    for read in reads[1:]:
        keep([read])
    return ends.tokens()


def event(data: object, name: str | None = None) -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data)}\n\n".encode()


DELTA = event({"choices": [{"delta": {"content": "x" * 50}}], "usage": None})
DONE = b"data: [DONE]\n\n"
OPENAI = {
    "prompt_tokens": 11,
    "completion_tokens": 7,
    "total_tokens": 18,
    "prompt_tokens_details": {"cached_tokens": 5},
}
RESPONSES = {"input_tokens": 11, "input_tokens_details": {"cached_tokens": 3}, "output_tokens": 7}
TIMINGS = {"cache_n": 1, "prompt_n": 10, "predicted_n": 7, "predicted_per_second": 99.5}
LONG = {"choices": [{"message": {"content": "x" * 100_000}}]}

STREAMS = {
    "usage in an event of its own": [DELTA, DELTA, event({"choices": [], "usage": OPENAI}), DONE],
    "usage in each event": [
        event({"usage": {"prompt_tokens": 11, "completion_tokens": count}}) for count in range(8)
    ],
    "an answer of the Responses API": [
        event({"type": "response.created", "response": {"usage": None}}, "response.created"),
        event(
            {
                "type": "response.completed",
                "response": {"output": ["y" * 90_000], "usage": RESPONSES, "user": None},
            },
            "response.completed",
        ),
    ],
    "Anthropic's messages": [
        event(
            {
                "type": "message_start",
                "message": {"usage": {"input_tokens": 11, "output_tokens": 1}},
            }
        ),
        *([event({"type": "content_block_delta", "delta": {"text": "x" * 99}})] * 300),
        event({"type": "message_delta", "usage": {"output_tokens": 7}}),
        event({"type": "message_stop"}),
    ],
    "Anthropic's messages with a cache": [
        event({"message": {"usage": {"input_tokens": 0, "cache_read_input_tokens": 11}}}),
        event({"usage": {"output_tokens": 7}}),
    ],
    "llama.cpp's timings": [DELTA, event({"choices": [], "timings": TIMINGS}), DONE],
    "usage before llama.cpp's timings": [
        event({"usage": OPENAI, "timings": {"prompt_n": 1, "predicted_n": 1}}),
        DONE,
    ],
    "SGLang's own": [
        event({"text": "a", "meta_info": {"prompt_tokens": 11, "completion_tokens": 6}}),
        event({"text": "ab", "meta_info": {"prompt_tokens": 11, "completion_tokens": 7}}),
    ],
}


@pytest.mark.parametrize("reads", STREAMS.values(), ids=STREAMS.keys())
def test_a_stream_tells_its_tokens(reads):
    assert told(reads) == (11, 7)
    # All in one read, which the loop makes of a stream that comes faster than it goes.
    if sum(map(len, reads)) < KEPT_BYTES:
        assert told([b"".join(reads)]) == (11, 7)


@pytest.mark.parametrize(
    "answer",
    [
        {"choices": [], "usage": OPENAI},
        {**LONG, "usage": OPENAI, "prompt_logprobs": None},
        {"output": [], "usage": RESPONSES, "user": None},
        {"content": [{"input": {"usage": {"output_tokens": 1}}}], "usage": RESPONSES},
        {"content": "x", "tokens_predicted": 7, "timings": TIMINGS},
        {"text": "x", "meta_info": {"prompt_tokens": 11, "completion_tokens": 7}},
        {"choices": [{"text": '"usage": {"prompt_tokens": 1}'}], "usage": OPENAI},
    ],
)
@pytest.mark.parametrize("size", [7, 1000, 1_000_000])
def test_a_whole_answer_tells_its_tokens(answer, size):
    text = json.dumps(answer, indent=1).encode()
    reads = [text[at : at + size] for at in range(0, len(text), size)]
    assert told(reads, JSON) == (11, 7)


def test_an_embedding_has_no_output():
    text = {"usage": {"prompt_tokens": 11, "total_tokens": 11}, "data": [0.5] * 50_000}
    assert told([json.dumps(text).encode()], JSON) == (11, None)


@pytest.mark.parametrize(
    "usage",
    [
        b"null",
        b"{}",
        b'{"prompt_tokens": -1}',
        b'{"prompt_tokens": true}',
        b'{"prompt_tokens": "11"}',
        b'{"prompt_tokens": 1.5}',
        b'{"prompt_tokens": %d}' % (MAX_TOKENS + 1),
        b'{"prompt_tokens": 11',
        b"[" * 10_000,
        b'{"a":' * 3000,
        b"{\xff",
    ],
)
def test_what_is_no_count_is_not_believed(usage):
    found = told([b'data: {"usage": ' + usage])
    assert found is None or found == (None, None)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=200) | st.sampled_from([DELTA, b'"usage":{']), min_size=1))
def test_no_answer_is_too_strange(reads):
    found = told(reads)
    assert found is None or isinstance(found, tuple)


@pytest.mark.parametrize(
    ("kind", "coded"), [(SSE, True), (JSON, True), (b"audio/mpeg", False), (b"", False)]
)
def test_what_cannot_be_read_is_not_kept(kind, coded):
    assert readable_ends(kind, coded=coded) is None


@pytest.mark.parametrize("coding", ["gzip", "ZSTD", "identity"])
def test_a_compressed_answer_is_not_looked_into(coding):
    body = json.dumps({"usage": OPENAI})

    async def script(request, wire):
        wire.send("HTTP/1.1 200 OK\r\nContent-Type: Application/JSON\r\n")
        wire.send(f"Content-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n{body}")

    async def work():
        async with backend(script) as engine, router({"m": model(engine.url)}) as front:
            assert (await front.ask(post(CHAT))).body == body.encode()
            text, dummy = front.router.table.metrics("")
            counted = b'tokens_total{direction="input",model="m"} 11.0' in text
            assert counted == (coding == "identity")

    run(work())


def test_little_is_kept_of_a_large_answer():
    ends = Ends(events=False)
    keep = ends.begin([b"x" * 262_144])
    for dummy in range(50):
        keep([b"y" * 262_144])
    assert len(ends._opening) == len(ends._end) == KEPT_BYTES
    stream = Ends(events=True)
    add = stream.begin([b"a"])
    for dummy in range(50):
        add([b"b" * 300])
    assert len(stream._reads) == 4


def test_the_bytes_of_an_answer_are_not_touched():
    parts = [*STREAMS["Anthropic's messages"]]

    async def script(request, wire):
        wire.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
        wire.send("Transfer-Encoding: chunked\r\n\r\n")
        for one in parts:
            wire.send(b"%x\r\n%b\r\n" % (len(one), one))
            await wire.writer.drain()
        wire.send("0\r\n\r\n")

    async def work():
        async with backend(script) as engine, router({"m": model(engine.url)}) as front:
            answer = await front.ask(post(CHAT, "/v1/messages"))
            assert answer.body == b"".join(parts)
            text, dummy = front.router.table.metrics("")
            assert b'tokens_total{direction="input",model="m"} 11.0' in text
            assert b'tokens_total{direction="output",model="m"} 7.0' in text

    run(work())
