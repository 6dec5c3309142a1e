# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module router_check's questions, asked of the real router."""

from __future__ import annotations

import asyncio
import hashlib
import json

from router_harness import Message, Wire, backend, model, router, run

from ansible_collections.onehop.llm.plugins.module_utils._asking import Endpoint

KEY = "sk-smoke"


async def engine(request: Message, wire: Wire) -> None:
    """Chats, but for a model that only has vectors."""
    asked = json.loads(request.body)
    answer: dict[str, object]
    if asked["model"] == "vectors" and request.target == "/v1/embeddings":
        answer, status = {"data": [{"embedding": [1.0] * 3}]}, "200 OK"
    elif asked["model"] == "vectors":
        answer, status = {"error": {"message": "no chat here"}}, "501 Not Implemented"
    else:
        answer, status = {"choices": [{"message": {"content": "Hello!"}}]}, "200 OK"
    text = json.dumps(answer)
    wire.send(
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n{text}"
    )


def test_every_kind_of_model_through_the_router_with_a_key():
    digest = hashlib.sha256(KEY.encode()).hexdigest()

    async def work():
        async with backend(engine) as one:
            models = {name: model(one.url) for name in ("chats", "vectors")}
            models["down"] = model("http://127.0.0.1:9")
            clients = {
                "ann": {"keys": [f"sha256:{digest}"], "models": ["chats", "vectors", "down"]}
            }
            async with router(models, client_keys=clients) as it:
                endpoint = Endpoint(it.url, timeout=10)
                questions = [(name, KEY) for name in models] + [
                    ("chats", "sk-wrong"),
                    ("chats", ""),
                ]
                return await asyncio.to_thread(endpoint.ask_all, questions)

    chats, vectors, down, wrong, keyless = run(work())
    assert (chats["ok"], chats["kind"], chats["said"]) == (True, "chat", "Hello!")
    assert (vectors["ok"], vectors["kind"], vectors["said"]) == (True, "embeddings", "3 numbers")
    assert not down["ok"] and down["said"].startswith("502: ")
    assert not wrong["ok"] and wrong["said"].startswith("401: ")
    assert not keyless["ok"] and keyless["said"].startswith("401: ")
