# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compressed request bodies: decompressed within bounds where the model stands in them."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import struct
import zlib
from collections.abc import Callable

import pytest
import zstandard
from router_harness import CHAT, Message, Wire, backend, model, post, router, run, until

from onehop_router.codings import CODINGS, MAX_FRAMES, STEP_BYTES, BodyDecoder
from onehop_router.errors import Refusal


def zstd(data: bytes, level: int = 3) -> bytes:
    return zstandard.ZstdCompressor(level=level).compress(data)


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstd,
}


def decode(coding: str, body: bytes) -> bytes:
    decoder = BodyDecoder(CODINGS[coding.encode()], body)
    whole = b""
    while not decoder.done:
        pieces = decoder.step()
        assert sum(map(len, pieces)) < STEP_BYTES + 8 * 1024 * 1024 + 1
        whole += b"".join(pieces)
    return whole


def code(coding: str, body: bytes) -> str:
    with pytest.raises(Refusal) as refusal:
        decode(coding, body)
    assert refusal.value.status == 400
    return refusal.value.code


# -- the decoder


@pytest.mark.parametrize("coding", ENCODERS)
def test_what_was_compressed_comes_back(coding):
    for data in (b"x", os.urandom(700_000), b"ab" * 3_000_000):
        assert decode(coding, ENCODERS[coding](data)) == data
    two = ENCODERS[coding](b"one") + ENCODERS[coding](b"two" * 200_000)
    assert decode(coding, two) == b"one" + b"two" * 200_000


@pytest.mark.parametrize("coding", ENCODERS)
def test_broken_bodies_are_refused(coding):
    good = ENCODERS[coding](os.urandom(20_000))
    for bad in (good[:-1], good[:100], good[:3], good + b"x", good + bytes(9), CHAT.encode()):
        assert code(coding, bad) == "invalid_content_encoding"
    if coding != "zstd":
        changed = bytearray(good)
        changed[-6] ^= 1
        assert code(coding, bytes(changed)) == "invalid_content_encoding"
    empty = ENCODERS[coding](b"")
    assert decode(coding, empty * MAX_FRAMES) == b""
    assert code(coding, empty * (MAX_FRAMES + 1)) == "invalid_content_encoding"


def test_zstd_frames_of_every_kind():
    skippable = struct.pack("<II", 0x184D2A5F, 5) + b"hello"
    assert decode("zstd", skippable + zstd(b"x") + skippable) == b"x"
    for level in (1, 3, 19):
        assert decode("zstd", zstd(b"a" * 20_000_000, level)) == b"a" * 20_000_000
    # A window beyond what may be asked of anyone.
    assert code("zstd", zstd(b"a" * 20_000_000, 22)) == "invalid_content_encoding"
    dictionary = zstandard.ZstdCompressionDict(b"some words to know" * 10)
    framed = zstandard.ZstdCompressor(dict_data=dictionary).compress(b"some words to know")
    assert code("zstd", framed) == "invalid_content_encoding"


def rle_frame(blocks: int) -> bytes:
    """The worst zstd there is: every 4 bytes stand for 128 KiB."""
    block = struct.pack("<I", 2 | (128 * 1024) << 3)[:3] + b"a"
    last = struct.pack("<I", 3 | (128 * 1024) << 3)[:3] + b"a"
    return b"\x28\xb5\x2f\xfd\x00\x68" + block * (blocks - 1) + last


def test_no_slice_of_a_bomb_expands_beyond_bounds():
    assert decode("zstd", rle_frame(300)) == b"a" * (300 * 128 * 1024)
    assert decode("gzip", gzip.compress(bytes(30_000_000))) == bytes(30_000_000)


# -- through the router


@pytest.mark.parametrize("coding", ENCODERS)
def test_a_compressed_body_is_routed_and_goes_on_plain(coding):
    body = json.dumps({"input": "é" * 400_000, "model": "m"}).encode()
    packed = ENCODERS[coding](body)

    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            kind = "Content-Type: application/json"
            answer = await front.ask(
                post(packed, "/v1/responses", f"Content-Encoding: {coding}", kind)
            )
            assert answer.json["body"].encode() == body
            assert engine.last.get("content-length") == str(len(body))
            assert engine.last.get("content-encoding") is None
            assert engine.last.get("content-type") == "application/json"
            # And in chunks, with an early request behind it.
            wire = await front.connect()
            head = (
                "POST /v1/responses HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                f"Content-Encoding: {coding.upper()}\r\n\r\n{len(packed):x}\r\n"
            )
            wire.send(head.encode() + packed + b"\r\n0\r\n\r\n" + post(CHAT))
            assert (await wire.read()).json["body"].encode() == body
            assert (await wire.read()).json["body"] == CHAT
            wire.close()
            assert front.router.limits.held_bytes == 0

    run(work())


def test_a_compressed_form_and_a_name_in_the_head():
    form = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
        + os.urandom(500_000)
        + b'\r\n--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nn\r\n--b--\r\n'
    )

    async def work():
        async with backend() as engine:
            async with router({"m": model(engine.url, aliases=["n"])}) as front:
                fields = ("Content-Encoding: gzip", "Content-Type: multipart/form-data; boundary=b")
                path = "/v1/audio/transcriptions"
                answer = await front.ask(post(gzip.compress(form), path, *fields))
                want = form.replace(b"\r\nn\r\n", b"\r\nm\r\n")
                assert answer.json["body"].encode("latin-1") == want
                packed = gzip.compress(b'{"model":"x"}')
                answer = await front.ask(
                    post(packed, "/tokenize?model=n", "Content-Encoding: gzip")
                )
                assert answer.json["body"].encode("latin-1") == packed
                assert engine.last.get("content-encoding") == "gzip"

    run(work())


def test_codings_that_are_not_known_or_several():
    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            for fields in (
                ("Content-Encoding: br",),
                ("Content-Encoding: gzip, zstd",),
                ("Content-Encoding: gzip", "Content-Encoding: gzip"),
                ("Content-Encoding: identity", "Content-Encoding: gzip"),
                ("Content-Encoding:",),
            ):
                answer = await front.ask(post(CHAT, "/tokenize", *fields))
                assert (answer.status, answer.code) == (415, "unsupported_content_encoding")
                assert answer.get("accept-encoding") == "gzip, deflate, zstd"
            answer = await front.ask(post(CHAT, "/tokenize", "Content-Encoding: Identity"))
            assert answer.status == 200
            answer = await front.ask(post(b"", "/tokenize", "Content-Encoding: gzip"))
            assert answer.code == "missing_model"

    run(work())


def test_bombs_are_refused_and_nothing_stays_held():
    gigabyte = rle_frame(8192)
    bombs = {
        "zstd": gigabyte,
        "gzip": gzip.compress(bytes(60_000_000)),
        "deflate": zlib.compress(bytes(60_000_000)),
    }

    async def work():
        async with backend() as engine:
            models = {"m": model(engine.url)}
            async with router(models, max_body_bytes=20_000_000) as front:
                for coding, bomb in bombs.items():
                    wire = await front.connect()
                    wire.send(post(bomb, "/tokenize", f"Content-Encoding: {coding}"))
                    answer = await wire.read()
                    assert (answer.status, answer.code) == (413, "request_too_large")
                    # The body itself was read whole: the connection is still good.
                    wire.send(post(CHAT))
                    assert (await wire.read()).status == 200
                    wire.close()
                    assert front.router.limits.held_bytes == 0
            async with router(models, max_body_bytes=0, max_buffered_bytes=20_000_000) as front:
                ask = post(gigabyte, "/tokenize", "Content-Encoding: zstd")
                answer = await front.ask(ask)
                assert (answer.status, answer.code) == (429, "buffer_limit")
                assert front.router.limits.held_bytes == 0
                answer = await front.ask(post(gigabyte[:-2], "/tokenize", "Content-Encoding: gzip"))
                assert (answer.status, answer.code) == (400, "invalid_content_encoding")
            assert len(engine.requests) == len(bombs)

    run(work())


def test_others_have_their_turns_while_a_large_body_is_decompressed():
    body = b'{"a":"' + b"x" * 60_000_000 + b'","model":"m"}'
    packed = gzip.compress(body)

    async def script(request: Message, wire: Wire) -> None:
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async def work():
        async with backend(script) as engine, router({"m": model(engine.url)}) as front:
            limits = front.router.limits
            turns = []

            async def watch() -> None:
                while True:
                    turns.append(limits.held_bytes)
                    await asyncio.sleep(0)

            watcher = asyncio.create_task(watch())
            answer = await front.ask(post(packed, "/tokenize", "Content-Encoding: gzip"))
            watcher.cancel()
            assert answer.status == 200
            assert engine.last.body == body
            # What is decompressed is counted as it comes, many turns apart.
            growing = {held for held in turns if len(packed) < held <= len(packed) + len(body)}
            assert len(growing) > 5
            assert limits.held_bytes == 0

    run(work())


def test_a_client_that_leaves_while_its_body_is_decompressed():
    packed = gzip.compress(bytes(80_000_000))

    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            limits = front.router.limits
            wire = await front.connect()
            wire.send(post(packed, "/tokenize", "Content-Encoding: gzip"))
            await until(lambda: limits.held_bytes > len(packed) + 1_000_000)
            wire.reset()
            await until(lambda: limits.held_bytes == 0)
            assert engine.requests == []
            assert (await front.ask(post(CHAT))).status == 200

    run(work())


def test_a_fault_of_our_own_while_decompressing(monkeypatch):
    def broken(*dummy_args):
        raise RuntimeError("a bug")

    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            with monkeypatch.context() as patch:
                patch.setattr("onehop_router.codings.BodyDecoder.step", broken)
                wire = await front.connect()
                wire.send(post(gzip.compress(CHAT.encode()), "/tokenize", "Content-Encoding: gzip"))
                assert await wire.ended()
            await until(lambda: front.router.limits.held_bytes == 0)
            assert (await front.ask(post(CHAT))).status == 200

    run(work())


def test_a_body_as_codex_sends_it():
    # zstd by default, to a Responses API, with a name that this router's engine does not know.
    body = {"instructions": "You are an agent", "input": [], "stream": True, "model": "gpt-codex"}

    async def script(request: Message, wire: Wire) -> None:
        assert json.loads(request.body) == body | {"model": "org/coder"}
        event = 'event: response.completed\ndata: {"type":"response.completed"}\n\n'
        wire.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
        wire.send(f"Content-Length: {len(event)}\r\n\r\n{event}")

    async def work():
        async with backend(script) as engine:
            upstream = {"url": engine.url, "model": "org/coder"}
            models = {"coder": {"upstreams": [upstream], "aliases": ["gpt-codex"]}}
            async with router(models) as front:
                packed = zstd(json.dumps(body).encode())
                fields = ("Content-Type: application/json", "Content-Encoding: zstd")
                answer = await front.ask(post(packed, "/v1/responses", *fields))
                assert answer.status == 200
                assert b"response.completed" in answer.body

    run(work())
