# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Client keys: how they are kept, where they come in, and what they open."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from passlib.hash import pbkdf2_sha256, scrypt, sha512_crypt
from router_harness import CHAT, backend, get, model, post, router, run, until

from onehop_router import auth, verification
from onehop_router.auth import ANYONE, Identity, Keyring, Unverified, hash_fault
from onehop_router.config_reader import parse
from onehop_router.config_values import ConfigError

SLOW = pbkdf2_sha256.using(rounds=2000).hash("chosen")


def bearer(token: str) -> str:
    return f"Authorization: Bearer {token}"


def keys(**clients: object) -> dict[str, object]:
    """Clients by name, each with a list of keys or whole; a dollar sign is doubled in the file."""
    whole = {name: {"keys": one} if isinstance(one, list) else one for name, one in clients.items()}
    return json.loads(json.dumps(whole).replace("$", "$$"))


# -- how they are kept


def test_a_digest_stands_for_a_key():
    digest = hashlib.sha256(b"random").hexdigest()
    ring = Keyring([(f"sha256:{digest}", Identity("a"))])
    assert ring.identify({b"authorization": b"Bearer random"}) == Identity("a")
    assert ring.identify({b"authorization": f"Bearer sha256:{digest}".encode()}) is None


@pytest.mark.parametrize("hashed", [
    SLOW, scrypt.using(rounds=4).hash("chosen"), sha512_crypt.using(rounds=1000).hash("chosen"),
])  # fmt: skip
def test_a_password_hash_is_looked_at_once(hashed, monkeypatch):
    looks = []
    real = auth.Keyring.verify

    def counted(ring, token):
        looks.append(token)
        return real(ring, token)

    monkeypatch.setattr(auth.Keyring, "verify", counted)

    async def work():
        async with backend() as engine:
            clients = keys(a=["plain"], b=[hashed])
            async with router({"m": model(engine.url)}, client_keys=clients) as front:
                wire = await front.connect()
                for dummy in range(3):
                    wire.send(post(CHAT, "/v1/chat/completions", bearer("chosen")))
                    assert (await wire.read()).status == 200
                assert len(looks) == 1
                for dummy in range(3):
                    refused = await front.ask(get("/v1/models", bearer("wrong")))
                    assert (refused.status, refused.code) == (401, "invalid_api_key")
                assert len(looks) == 2
                assert (await front.ask(get("/v1/models", bearer("plain")))).status == 200
                assert len(looks) == 2

    run(work())


def test_while_a_key_is_looked_at_the_loop_turns_and_the_request_waits(monkeypatch):
    """The look is held until others were served; early bytes of the client wait, unread."""
    opened = asyncio.Event()
    real = auth.Keyring.verify

    async def work():
        loop = asyncio.get_running_loop()

        def slow(ring, token):
            asyncio.run_coroutine_threadsafe(opened.wait(), loop).result()
            return real(ring, token)

        monkeypatch.setattr(auth.Keyring, "verify", slow)
        async with backend() as engine:
            clients = keys(a=["plain"], b=[SLOW])
            async with router({"m": model(engine.url)}, client_keys=clients) as front:
                waiting = await front.connect()
                waiting.send(post(CHAT, "/v1/chat/completions", bearer("chosen")) * 2)
                leaving = await front.connect()
                leaving.send(post(CHAT, "/v1/chat/completions", bearer("chosen")))
                await until(lambda: len(front.router.clients) == 2)
                answer = await front.ask(post(CHAT, "/v1/completions", bearer("plain")))
                assert answer.status == 200
                leaving.reset()
                await until(lambda: len(front.router.clients) == 1)
                opened.set()
                assert (await waiting.read()).status == 200
                assert (await waiting.read()).status == 200
                assert len(engine.requests) == 3

    run(work())


def test_many_wrong_keys_are_turned_away_without_a_look(monkeypatch):
    opened = asyncio.Event()

    async def work():
        loop = asyncio.get_running_loop()

        def slow(ring, token):
            asyncio.run_coroutine_threadsafe(opened.wait(), loop).result()

        monkeypatch.setattr(auth.Keyring, "verify", slow)
        monkeypatch.setattr(verification, "MAX_PENDING", 3)
        async with router({}, client_keys=keys(b=[SLOW])) as front:
            wires = [await front.connect() for dummy in range(5)]
            for number, wire in enumerate(wires):
                wire.send(get("/v1/models", bearer(f"wrong{number}")))
            busy = [await wire.read() for wire in wires[3:]]
            assert [(one.status, one.code) for one in busy] == [(429, "queue_full")] * 2
            opened.set()
            assert [(await wire.read()).status for wire in wires[:3]] == [401] * 3

    run(work())


def test_of_wrong_tokens_only_so_many_are_remembered(monkeypatch):
    monkeypatch.setattr(auth, "_REMEMBERED", 3)
    ring = Keyring([(SLOW, Identity("b"))])
    ring.remember(b"chosen", Identity("b"))
    for number in range(10):
        ring.remember(b"wrong%d" % number, None)
    assert ring.identify({b"x-api-key": b"chosen"}) == Identity("b")
    assert ring.identify({b"x-api-key": b"wrong9"}) is None
    with pytest.raises(Unverified):
        ring.identify({b"x-api-key": b"wrong0"})


@pytest.mark.parametrize(("key", "problem"), [
    ("sha256:12", "64 hex digits"), ("sha256:" + "A" * 64, "lower case"),
    ("$2b$12$abcdefghijklmnopqrstuv", "not a hash of one of the kinds"),
    ("$pbkdf2-sha256$x$y$z", "malformed"), ("$1$2$3", "not a hash of one of the kinds"),
])  # fmt: skip
def test_a_broken_hash_is_an_error_that_does_not_repeat_it(key, problem):
    text = json.dumps({"client_keys": {"a": {"keys": [key.replace("$", "$$")]}}})
    with pytest.raises(ConfigError) as error:
        parse(text, {})
    (line,) = error.value.problems
    assert line.startswith("client_keys.a.keys[0]: ")
    assert problem in line
    assert key not in line


@given(st.text(max_size=40))
def test_any_text_is_judged_without_a_crash(text):
    fault = hash_fault(text)
    assert fault is None or (text.startswith(("sha256:", "$")))


# -- where they come in


def test_a_websocket_brings_its_key_as_a_protocol_which_goes_no_further():
    async def upgrade(request, wire):
        wire.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n")
        wire.send("Connection: Upgrade\r\nSec-WebSocket-Protocol: realtime\r\n\r\n")
        wire.send(await wire.reader.readexactly(4))

    async def work():
        async with backend(upgrade) as engine:
            models = {"m": model(engine.url)}
            async with router(models, client_keys=keys(a=["s3cret"])) as front:
                accept = base64.b64encode(bytes(16)).decode()
                fields = (
                    "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                    f"Sec-WebSocket-Key: {accept}",
                )  # fmt: skip
                path = "/route/m/v1/realtime"
                protocol = "Sec-WebSocket-Protocol: realtime, openai-insecure-api-key."
                refused = await front.ask(get(path, *fields, protocol + "wrong"))
                assert (refused.status, refused.code) == (401, "invalid_api_key")
                wire = await front.connect()
                wire.send(get(path, *fields, protocol + "s3cret, openai-beta.realtime-v1"))
                head = await wire.read_head()
                assert head.status == 101
                assert head.get("sec-websocket-protocol") == "realtime"
                wire.send(b"ping")
                assert await wire.reader.readexactly(4) == b"ping"
                sent = engine.last.all("sec-websocket-protocol")
                assert sent == ["realtime, openai-beta.realtime-v1"]
                wire.close()

    run(work())


@pytest.mark.parametrize(("fields", "who"), [
    ({b"authorization": b"Bearer one"}, "a"), ({b"authorization": b"bearer one"}, "a"),
    ({b"authorization": b"Basic one"}, None), ({b"authorization": b"Bearer  one"}, None),
    ({b"x-api-key": b"two"}, "b"), ({b"authorization": b"Bearer no", b"x-api-key": b"two"}, "b"),
    ({b"sec-websocket-protocol": b"openai-insecure-api-key.one"}, "a"),
    ({b"sec-websocket-protocol": b"x-openai-insecure-api-key.one"}, None), ({}, None),
])  # fmt: skip
def test_where_a_key_is_looked_for(fields, who):
    ring = Keyring([("one", Identity("a")), ("two", Identity("b"))])
    found = ring.identify(fields)
    assert (found.name if found else None) == who
    assert Keyring([]).identify(fields) is ANYONE


# -- what they open


def test_a_key_with_paths_of_its_own_and_two_keys_of_one_client():
    async def work():
        async with backend() as engine:
            clients = keys(
                wide={"keys": ["w", "next"], "paths": ["/slots", "/v1/completions"]}, usual=["u"]
            )
            async with router({"m": model(engine.url)}, client_keys=clients) as front:
                for token, path, status in (
                    ("w", "/route/m/slots", 200), ("next", "/route/m/slots", 200),
                    ("w", "/v1/completions", 200), ("w", "/v1/embeddings", 404),
                    ("u", "/route/m/slots", 404), ("u", "/v1/embeddings", 200),
                ):  # fmt: skip
                    assert (await front.ask(post(CHAT, path, bearer(token)))).status == status
                assert len(engine.requests) == 4

    run(work())
