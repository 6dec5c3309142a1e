# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a real engine, through a deployed router, for the younger APIs with the official clients.

``engine_apis.py BASE_URL KEY MODEL``, BASE_URL with ``/v1``: Anthropic's messages, whole, streamed and
counted; OpenAI's responses, whole, streamed, asked for again and cancelled; structured output. It is
run by Molecule, and by nobody else.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import anthropic
import openai


def messages(client: anthropic.Anthropic, model: str) -> None:
    """Anthropic's API."""
    asked: list[anthropic.types.MessageParam] = [{"role": "user", "content": "One hop?"}]
    # The client knows no temperature any more.
    sure: Any = {"model": model, "max_tokens": 12, "extra_body": {"temperature": 0}}
    whole = client.messages.create(messages=asked, **sure)
    assert whole.content[0].type == "text" and whole.content[0].text, whole
    with client.messages.stream(messages=asked, **sure) as stream:
        said = "".join(stream.text_stream)
    assert said == whole.content[0].text, said
    count = client.messages.count_tokens(model=model, messages=asked)
    assert count.input_tokens == whole.usage.input_tokens, (count, whole.usage)
    print(f"messages: {whole.content[0].text!r}, streamed, {count.input_tokens} tokens")


def responses(client: openai.OpenAI, model: str) -> None:
    """OpenAI's responses. What is asked about one later names no model."""
    whole = client.responses.create(
        model=model, input="One hop?", max_output_tokens=12, temperature=0
    )
    assert whole.output_text, whole
    with client.responses.stream(
        model=model, input="One hop?", max_output_tokens=12, temperature=0
    ) as events:
        kinds = {event.type for event in events}
        said = events.get_final_response().output_text
    assert said == whole.output_text and "response.output_text.delta" in kinds, (said, kinds)
    again = client.responses.retrieve(whole.id)
    assert again.output_text == whole.output_text, again
    slow = client.responses.create(model=model, input="One hop?", background=True)
    assert client.responses.cancel(slow.id).status == "cancelled"
    print(f"responses: {said!r}, streamed, asked for again, cancelled")


def structured(client: openai.OpenAI, model: str) -> None:
    """An answer that a schema binds."""
    schema: dict[str, Any] = {"type": "string", "enum": ["one hop", "two hops"]}
    answer = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "One hop?"}],
        max_tokens=50,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "hops", "strict": True, "schema": schema},
        },
    )
    said = answer.choices[0].message.content or ""
    assert json.loads(said) in schema["enum"], said
    print(f"structured output: {said!r}")


def main() -> None:
    """The program."""
    base, key, model = sys.argv[1:]
    client = openai.OpenAI(base_url=base, api_key=key, max_retries=0, timeout=60)
    root = base.removesuffix("/v1")
    messages(anthropic.Anthropic(base_url=root, api_key=key, max_retries=0, timeout=60), model)
    responses(client, model)
    structured(client, model)


if __name__ == "__main__":
    main()
