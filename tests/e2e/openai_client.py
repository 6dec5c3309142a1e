# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talks to a deployed router with the official OpenAI client, streaming and not.

``openai_client.py BASE_URL KEY MODEL...`` asks each model and exits 0 when all answered. It is run
by Molecule's verify, and by nobody else.
"""

from __future__ import annotations

import sys

import openai


def check(client: openai.OpenAI, model: str) -> None:
    """A completion at once, and the same as a stream of more than one piece."""
    messages: list[openai.types.chat.ChatCompletionMessageParam] = [
        {"role": "user", "content": "One hop?"}
    ]
    whole = client.chat.completions.create(
        model=model, messages=messages, max_tokens=12, temperature=0, seed=1
    )
    said = whole.choices[0].message.content
    assert said, f"{model} said nothing"
    assert whole.usage and whole.usage.completion_tokens > 1, whole.usage
    pieces = [
        chunk.choices[0].delta.content or ""
        for chunk in client.chat.completions.create(
            model=model, messages=messages, max_tokens=12, temperature=0, seed=1, stream=True
        )
        if chunk.choices
    ]
    assert len([piece for piece in pieces if piece]) > 1, f"{model} did not stream: {pieces}"
    assert "".join(pieces).strip() == said.strip(), (pieces, said)
    print(f"{model}: {said!r}, and streamed in {len(pieces)} pieces")


def refusals(base: str, client: openai.OpenAI) -> None:
    """What the client makes of our errors."""
    message: openai.types.chat.ChatCompletionUserMessageParam = {"role": "user", "content": "x"}
    try:
        client.chat.completions.create(model="nobody", messages=[message])
    except openai.NotFoundError as error:
        assert error.code == "model_not_found", error
    else:
        raise AssertionError("an unknown model was served")
    stranger = openai.OpenAI(base_url=base, api_key="wrong", max_retries=0, timeout=20)
    try:
        stranger.models.list()
    except openai.AuthenticationError as error:
        assert error.code == "invalid_api_key", error
    else:
        raise AssertionError("a wrong key was taken")


def main() -> None:
    """The program."""
    base, key, *models = sys.argv[1:]
    client = openai.OpenAI(base_url=base, api_key=key, max_retries=0, timeout=60)
    for model in models:
        check(client, model)
    refusals(base, client)
    print("listed: " + ", ".join(sorted(model.id for model in client.models.list())))


if __name__ == "__main__":
    main()
