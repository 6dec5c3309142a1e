# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked about a response goes to the replica that made it, for the key that made it."""

from __future__ import annotations

import json

import openai
import pytest
from router_harness import (
    Message,
    ScriptedBackend,
    Wire,
    backend,
    get,
    model,
    post,
    router,
    run,
)

from onehop_router import responses
from onehop_router.auth import Identity
from onehop_router.config_reader import parse
from onehop_router.errors import Refusal
from onehop_router.responses import Made, ResponseMemory
from onehop_router.urls import parse_upstream_url

CREATE = '{"input": "hi", "model": "m"}'


class Engine(ScriptedBackend):
    """A test double of an engine that keeps its responses in its own memory, as vLLM does."""

    def __init__(self, name: str) -> None:
        super().__init__(self._answer)
        self.name = name
        self.kept: dict[str, dict] = {}

    async def _answer(self, request: Message, wire: Wire) -> None:
        path = request.target.partition("?")[0].split("/")[3:]
        if path:
            found = self.kept.get(path[0])
            if request.method == "DELETE":
                self.kept.pop(path[0], None)
            status = "200 OK" if found else "404 Not Found"
            self._send(wire, status, found or {"error": {"message": f"{self.name} has no such"}})
            return
        asked = json.loads(request.body)
        kept = {
            "id": f"resp_{self.name}{len(self.kept)}",
            "object": "response",
            "created_at": 1,
            "model": "m",
            "output": [],
            "metadata": {"id": "resp_of_someone_else"},
            "previous_response_id": asked.get("previous_response_id"),
        }
        self.kept[str(kept["id"])] = kept
        if not asked.get("stream"):
            self._send(wire, "200 OK", kept)
            return
        wire.send(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            "Transfer-Encoding: chunked\r\n\r\n"
        )
        event = json.dumps({"response": kept, "type": "response.created"})
        text = f"event: response.created\ndata: {event}\n\n"
        # In two pieces, cut in the middle of the id.
        cut = text.index("resp_") + 6
        for piece in (text[:cut], text[cut:]):
            wire.send(f"{len(piece):x}\r\n{piece}\r\n")
            await wire.writer.drain()
        wire.send("0\r\n\r\n")

    @staticmethod
    def _send(wire: Wire, status: str, body: object) -> None:
        text = json.dumps(body)
        wire.send(f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n")
        wire.send(f"Content-Length: {len(text)}\r\n\r\n{text}")


async def engines(*names: str) -> list[Engine]:
    made = [Engine(name) for name in names]
    for one in made:
        await one.start()
    return made


@pytest.mark.parametrize("more", ["", ', "stream": true'])
def test_a_response_is_found_where_it_was_made(more):
    async def work():
        made = await engines("a", "b", "c")
        models = {"m": model(*(one.url for one in made)), "n": model("http://127.0.0.1:1")}
        async with router(models) as front:
            for dummy in range(6):
                answer = await front.ask(post(CREATE[:-1] + more + "}", "/v1/responses"))
                assert answer.status == 200
            for one in made:
                assert len(one.kept) == 2
                for name in list(one.kept):
                    for path in (name, f"{name}/input_items?limit=2", f"{name}/cancel"):
                        asked = post("", f"/v1/responses/{path}")
                        if "cancel" not in path:
                            asked = get(f"/v1/responses/{path}")
                        answer = await front.ask(asked)
                        assert (answer.status, answer.json["id"]) == (200, name)
                        assert one.last.target == f"/v1/responses/{path}"
                    by_route = await front.ask(get(f"/route/m/v1/responses/{name}"))
                    assert by_route.json["id"] == name
                    gone = await front.ask(get(f"/v1/responses/{name}", method="DELETE"))
                    assert gone.status == 200
                assert not one.kept
        for one in made:
            one.stop()

    run(work())


def test_a_conversation_goes_on_where_it_began():
    async def work():
        made = await engines("a", "b", "c")
        async with router({"m": model(*(one.url for one in made))}) as front:
            first = (await front.ask(post(CREATE, "/v1/responses"))).json["id"]
            for dummy in range(5):
                body = json.dumps({"input": "x", "previous_response_id": first, "model": "m"})
                answer = await front.ask(post(body, "/v1/responses"))
                assert answer.json["id"].startswith(first[:6])
                first = answer.json["id"]
        for one in made:
            one.stop()

    run(work())


def test_another_keys_response_looks_unknown():
    async def work():
        (engine,) = await engines("a")
        keys = {
            "one": {"keys": ["k1"]},
            "two": {"keys": ["k2"]},
            "less": {"keys": ["k3"], "models": ["n"]},
        }
        models = {"m": model(engine.url), "n": model(engine.url)}
        async with router(models, client_keys=keys) as front:
            mine = await front.ask(post(CREATE, "/v1/responses", "X-Api-Key: k1"))
            name = mine.json["id"]
            path = f"/v1/responses/{name}"
            assert (await front.ask(get(path, "X-Api-Key: k1"))).json["id"] == name
            seen = len(engine.requests)
            unknown = await front.ask(get("/v1/responses/resp_nope", "X-Api-Key: k2"))
            assert (unknown.status, unknown.code) == (404, "response_not_found")
            for key in ("k2", "k3"):
                for asked in (
                    get(path, f"X-Api-Key: {key}"),
                    post("{}", f"{path}/cancel", f"X-Api-Key: {key}"),
                ):
                    answer = await front.ask(asked)
                    assert answer.status == 404
                    assert answer.body == unknown.body.replace(b"resp_nope", name.encode())
            assert (await front.ask(get(f"/route/m{path}", "X-Api-Key: k2"))).status == 404
            theirs = json.dumps({"previous_response_id": name, "model": "m"})
            # With one replica nothing is looked for, and the engine knows; ids cannot be guessed.
            assert (await front.ask(post(theirs, "/v1/responses", "X-Api-Key: k2"))).status == 200
            assert len(engine.requests) == seen + 1
        engine.stop()

    run(work())


def test_responses_outlive_a_reload():
    async def work():
        made = await engines("a", "b")
        models = {"m": model(*(one.url for one in made)), "n": model("http://127.0.0.1:1")}
        async with router(models) as front:
            name = (await front.ask(post(CREATE, "/v1/responses"))).json["id"]
            front.router.load(parse(json.dumps({"models": models}), {}))
            assert (await front.ask(get(f"/v1/responses/{name}"))).json["id"] == name
            left = [one for one in made if name not in one.kept]
            models["m"] = model(*(one.url for one in left))
            front.router.load(parse(json.dumps({"models": models}), {}))
            answer = await front.ask(get(f"/v1/responses/{name}"))
            assert (answer.status, answer.code) == (404, "response_not_found")
        for one in made:
            one.stop()

    run(work())


def test_an_unknown_response_is_asked_for_where_only_one_engine_can_have_it():
    async def work():
        (engine,) = await engines("a")
        engine.kept["resp_old"] = {"id": "resp_old"}
        path = "/v1/responses/resp_old"
        async with router({"m": model(engine.url)}) as front:
            assert (await front.ask(get(path))).json["id"] == "resp_old"
        async with router({"m": model(engine.url)}, client_keys={"a": {"keys": ["k"]}}) as front:
            assert (await front.ask(get(path, "X-Api-Key: k"))).status == 404
            routed = await front.ask(get(f"/route/m{path}", "X-Api-Key: k"))
            assert routed.json["id"] == "resp_old"
        async with router({"m": model(engine.url), "n": model(engine.url)}) as front:
            assert (await front.ask(get(path))).status == 404
        engine.stop()

    run(work())


def test_an_answer_without_an_id_is_not_searched_for_ever():
    async def script(request: Message, wire: Wire) -> None:
        wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for dummy in range(100):
            wire.send("400\r\n" + "x" * 1024 + "\r\n")
        wire.send("0\r\n\r\n")

    async def work():
        async with backend(script) as engine, router({"m": model(engine.url)}) as front:
            answer = await front.ask(post(CREATE, "/v1/responses"))
            assert len(answer.body) == 102_400
            assert not front.router.responses._made

    run(work())


def test_the_memory_is_bounded_and_the_first_holder_keeps_a_response(monkeypatch):
    monkeypatch.setattr(responses, "MAX_RESPONSES", 3)
    url = parse_upstream_url("http://a")
    one, two = Identity("one", None), Identity("two", None)
    memory = ResponseMemory()
    for name in ("a", "b", "c"):
        memory.remember(name, Made("m", url, "one"))
    memory.remember("a", Made("m", url, "two"))
    assert memory.find("a", one) is not None
    with pytest.raises(Refusal):
        memory.find("a", two)
    memory.remember("d", Made("m", url, "one"))
    assert memory.find("b", one) is None
    assert memory.find("a", one) and memory.find("c", one) and memory.find("d", one)


def test_the_openai_client_comes_back_for_its_response():
    async def work():
        made = await engines("a", "b")
        models = {"m": model(*(one.url for one in made)), "n": model("http://127.0.0.1:1")}
        async with router(models) as front:
            client = openai.AsyncOpenAI(base_url=f"{front.url}/v1", api_key="k", max_retries=0)
            for dummy in range(3):
                answer = await client.responses.create(model="m", input="hi")
                assert (await client.responses.retrieve(answer.id)).id == answer.id
                assert (await client.responses.cancel(answer.id)).id == answer.id
                await client.responses.delete(answer.id)
            with pytest.raises(openai.NotFoundError) as error:
                await client.responses.retrieve("resp_nope")
            assert error.value.code == "response_not_found"
            await client.close()
        for one in made:
            one.stop()

    run(work())
