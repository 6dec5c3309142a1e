# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the router remembers to be fast is forgotten where it would be wrong."""

from __future__ import annotations

import asyncio
import json

from router_harness import CHAT, backend, get, model, post, router, run, until

from onehop_router.admission import admit
from onehop_router.client import MAX_TURN_BYTES
from onehop_router.config_reader import parse
from onehop_router.framing import parse_head
from onehop_router.headers import AnswerHead, AnswerWriter

PATH = "/v1/chat/completions"
AUTH = "Authorization: Bearer sk-first-0123456789"
KEYS = {"first": {"keys": ["sk-first-0123456789"]}}


def test_a_key_that_is_gone_opens_nothing_on_a_connection_that_used_it():
    async def work():
        async with backend() as engine, router({"m": model(engine.url)}, client_keys=KEYS) as front:
            wire = await front.connect()
            for dummy in range(2):
                wire.send(post(CHAT, PATH, AUTH))
                assert (await wire.read()).status == 200
            others = {"first": {"keys": ["sk-other-0123456789"]}}
            config = {"models": {"m": model(engine.url)}, "client_keys": others}
            front.router.load(parse(json.dumps(config), {}))
            wire.send(post(CHAT, PATH, AUTH))
            assert (await wire.read()).status == 401
            assert len(engine.requests) == 2

    run(work())


def test_a_head_like_one_that_was_admitted_still_has_its_size_checked():
    async def work():
        async with (
            backend() as engine,
            router({"m": model(engine.url)}, client_keys=KEYS, max_body_bytes=200) as front,
        ):
            wire = await front.connect()
            wire.send(post(CHAT, PATH, AUTH))
            assert (await wire.read()).status == 200
            wire.send(post(CHAT + " " * 200, PATH, AUTH))
            assert (await wire.read()).status == 413
            assert len(engine.requests) == 1

    run(work())


def test_heads_that_are_alike_but_for_the_key_are_told_apart():
    async def work():
        keys = {
            "first": {"keys": ["sk-first-0123456789"], "models": ["m"]},
            "second": {"keys": ["sk-other-0123456789"], "models": ["n"]},
        }
        models = {}
        async with backend() as engine:
            models = {"m": model(engine.url), "n": model(engine.url)}
            async with router(models, client_keys=keys) as front:
                wire = await front.connect()
                for key, status in (("first", 200), ("other", 404), ("wrong", 401), ("first", 200)):
                    auth = f"Authorization: Bearer sk-{key}-0123456789"
                    wire.send(post(CHAT, PATH, auth))
                    assert (await wire.read()).status == status

    run(work())


def test_only_what_a_head_and_a_table_decide_is_remembered():
    async def work():
        async with router({"m": model("http://127.0.0.1:9")}) as front:
            table = front.router.table
            for raw, remembered in (
                (post(CHAT), True),
                (post(CHAT, "/route/m/v1/embeddings"), True),
                (post(b"", PATH, "Content-Encoding: gzip"), False),
                (get("/v1/responses/resp_1"), False),
                (get("/v1/models"), False),
            ):
                head = parse_head(raw[: raw.index(b"\r\n\r\n") + 4])
                first, second = admit(head, table), admit(head, table)
                assert (first is second) is remembered
                assert bool(head.admitted) is remembered

    run(work())


def test_requests_that_are_alike_have_an_id_and_a_length_each():
    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            bodies = [CHAT, CHAT + "  ", CHAT]
            for body in bodies:
                wire.send(post(body))
                assert (await wire.read()).status == 200
            assert [one.body.decode() for one in engine.requests] == bodies
            lengths = [one.all("content-length") for one in engine.requests]
            assert lengths == [[str(len(body))] for body in bodies]
            assert len({one.get("x-request-id") for one in engine.requests}) == 3

    run(work())


def test_the_same_head_goes_to_each_replica_with_what_that_one_gets():
    async def work():
        async with backend() as one, backend() as two:
            replicas = [
                {"url": engine.url + base, "headers": {"X-Engine": name}}
                for engine, base, name in ((one, "/a", "one"), (two, "/b", "two"))
            ]
            async with router({"m": {"upstreams": replicas}}) as front:
                wire = await front.connect()
                for dummy in range(6):
                    wire.send(post(CHAT))
                    assert (await wire.read()).status == 200
            for engine, base, name in ((one, "/a", "one"), (two, "/b", "two")):
                assert {(r.target, r.get("x-engine")) for r in engine.requests} == {
                    (base + PATH, name)
                }

    run(work())


class Turned(asyncio.Transport):
    """A double of a transport: it only remembers whether it is read from."""

    reading = True

    def is_reading(self) -> bool:
        return self.reading

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        pass


def test_a_long_body_is_read_in_turns_with_the_other_connections():
    async def work():
        async with router({"m": model("http://127.0.0.1:9")}) as front:
            client, transport = front.router.connection(), Turned()
            client.connection_made(transport)
            client.data_received(post(b"x" * 9_000_000)[:500])
            assert transport.is_reading()
            client.data_received(b"x" * MAX_TURN_BYTES)
            assert not transport.is_reading()
            await until(transport.is_reading)
            client.data_received(b"x" * 1000)
            assert transport.is_reading()

    run(work())


def test_pieces_are_framed_as_chunks_whatever_their_number_and_size():
    request = parse_head(get("/x"))
    head = AnswerHead(200, b"OK", "1.1", [(b"Transfer-Encoding", b"chunked")], to_head=False)
    writer = AnswerWriter(request)
    writer.head(head, "id")
    for pieces in ([b"abc"], [b"abc", b"defg"], [b"x" * 20000], [b"", b"y"]):
        whole = b"".join(pieces)
        assert b"".join(writer.body(pieces)) == b"%x\r\n%b\r\n" % (len(whole), whole)
    # An empty chunk would be the end.
    assert writer.body([b""]) == []
    assert writer.body([]) == []
