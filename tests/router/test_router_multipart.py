# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Multipart forms: the model is found after any file, and what is sent on is what came."""

from __future__ import annotations

import io
import json
import os

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from router_harness import Message, Wire, backend, get, model, post, router, run, until

from onehop_router.errors import Refusal
from onehop_router.multipart import MAX_NAME_BYTES, MAX_PARTS, MultipartScanner, read_boundary

TYPE = "Content-Type: multipart/form-data; boundary=xYzZY"
FILE = b'Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav'
MODEL = b'Content-Disposition: form-data; name="model"'
PATH = "/v1/audio/transcriptions"


def form(*parts: tuple[bytes, bytes]) -> bytes:
    """A body of heads and contents, as clients write it."""
    body = b"".join(b"--xYzZY\r\n%b\r\n\r\n%b\r\n" % part for part in parts)
    return body + b"--xYzZY--\r\n"


def scan(body: bytes, *sizes: int) -> MultipartScanner:
    """Feed a body in pieces of these sizes, over and over; whole without any."""
    scanner = MultipartScanner(b"xYzZY")
    at = count = 0
    while at < len(body):
        size = sizes[count % len(sizes)] if sizes else len(body)
        scanner.feed(body[at : at + size])
        at += size
        count += 1
    scanner.finish()
    return scanner


def code(body: bytes, *sizes: int) -> str:
    with pytest.raises(Refusal) as refusal:
        scan(body, *sizes)
    assert refusal.value.status == 400
    return refusal.value.code


# -- the scanner


# What a file may hold that looks like a boundary and is none.
LOOKALIKES = (
    b"--xYzZY", b"\r\n", b"\r\n--xYz", b"\r\n-", b"x--xYzZY\r\n", b"\r", b"-", b"\r\n--XyZzy",
    b"xYzZY--\r\n", b'\r\nContent-Disposition: form-data; name="model"\r\n\r\nno\r\n',
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.sampled_from(LOOKALIKES) | st.binary(max_size=4), max_size=6),
    st.booleans(),
    st.lists(st.integers(1, 40), min_size=1, max_size=4),
)
def test_the_model_is_found_however_the_body_is_cut(texts, first, sizes):
    content = b"".join(texts)
    if b"\n--xYzZY" in b"\r\n" + content + b"\r\n":
        return
    parts = [(FILE, content), (MODEL, "größe".encode())]
    body = form(*(reversed(parts) if first else parts))
    found = scan(body, *sizes)
    assert found.name == "größe"
    assert body[found.start : found.end] == "größe".encode()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60), st.lists(st.integers(1, 30), min_size=1, max_size=3))
def test_any_bytes_are_read_or_refused_alike_however_they_are_cut(junk, sizes):
    for body in (junk, b"--xYzZY" + junk, form((MODEL, b"m"), (FILE, junk))):
        outcomes = []
        for cut in ((), sizes):
            try:
                outcomes.append(scan(body, *cut).name)
            except Refusal as refusal:
                outcomes.append(refusal.code)
        assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize(
    "head",
    [
        b"content-disposition:FORM-DATA; NAME=model",
        b'X-Part: 1\r\nContent-Disposition: form-data ;name="model" \r\nContent-Type: text/plain',
        b'Content-Disposition: form-data; name="model"\r\nContent-Transfer-Encoding: 8bit',
    ],
)
def test_spellings_of_the_field(head):
    assert scan(form((head, b"m"))).name == "m"


def test_forms_without_a_model():
    assert scan(b"--xYzZY--").name is None
    other = b'Content-Disposition: form-data; name="Model"'
    quoted = b'Content-Disposition: form-data; name="f"; filename="a\\"; name=\\"model"'
    assert scan(form((FILE, b""), (other, b"x"), (quoted, b"x"))).name is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--xYzZ",
        b"preamble\r\n" + form((MODEL, b"m")),
        b"\r\n" + form((MODEL, b"m")),
        form((MODEL, b"m")) + b"x",
        form((MODEL, b"m")) + b"\r\n",
        form((MODEL, b"m"))[:-4],
        form((MODEL, b"m"))[:-9],
        form((MODEL, b"m"), (FILE, b"x" * 99))[:-60],
        b"--xYzZY \r\n" + form((MODEL, b"m"))[9:],
        form((MODEL, b"m")).replace(b"\r\n", b"\n"),
        form((FILE, b"x\n--xYzZY\r\n" + MODEL + b"\r\n\r\nn"), (MODEL, b"m")),
        form((FILE, b"x\r\n--xYzZYx"), (MODEL, b"m")),
        form((b"", b"m")),
        form((b"Content-Type: text/plain", b"m")),
        form((MODEL + b"\r\n folded", b"m")),
        form((MODEL + b"\r\nbroken", b"m")),
        form((MODEL + b"\r\n" + MODEL, b"m")),
        form((MODEL + b'; filename="m"', b"m")),
        form((MODEL + b"; filename*=utf-8''m", b"m")),
        form((MODEL + b'; name="x"', b"m")),
        form((b"Content-Disposition: form-data; name*=utf-8''model", b"m")),
        form((b'Content-Disposition: form-data; name="x"; name*=model', b"m")),
        form((b'Content-Disposition: form-data; name="mod\\el"', b"m")),
        form((b"Content-Disposition: form-data", b"m")),
        form((b'Content-Disposition: attachment; name="model"', b"m")),
        form((b'Content-Disposition: form-data; name="model', b"m")),
        form((b'Content-Disposition: form-data; x y; name="model"', b"m")),
        form((MODEL + b"\r\nContent-Transfer-Encoding: base64", b"bQ==")),
        form((MODEL, b"m" * (MAX_NAME_BYTES + 1))),
        form((MODEL + b"\r\nX: " + b"y" * 20000, b"m")),
        form(*[(FILE, b"")] * MAX_PARTS, (MODEL, b"m")),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(body):
    assert code(body) == "invalid_form"
    if len(body) < 1000:
        assert code(body, 1) == "invalid_form"


def test_a_second_model_is_refused():
    assert code(form((MODEL, b"m"), (FILE, b"x"), (MODEL, b"m"))) == "duplicate_model"
    assert scan(form(*[(FILE, b"")] * (MAX_PARTS - 1), (MODEL, b"m"))).name == "m"


def test_a_scanner_keeps_little_of_what_it_reads():
    scanner = MultipartScanner(b"xYzZY")
    scanner.feed(form((FILE, b"x"))[:-12])
    for size in (1, 100, 1_000_000):
        scanner.feed(b"\r\n--xYzZ"[:7] * size)
        assert len(scanner._text) < 20


@pytest.mark.parametrize(
    ("kind", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('Multipart/Form-Data;charset=utf-8 ; BOUNDARY="a b:c"', b"a b:c"),
        ("multipart/form-data; boundary=" + "x" * 70, b"x" * 70),
        ("multipart/form-data", None),
        ("multipart/form-data; boundary=", None),
        ('multipart/form-data; boundary=""', None),
        ('multipart/form-data; boundary="a "', None),
        ('multipart/form-data; boundary="a\\b"', None),
        ("multipart/form-data; boundary=a; boundary=a", None),
        ("multipart/form-data; boundary=" + "x" * 71, None),
        ("multipart/form-data; boundary=a b", None),
        ("multipart/form-data, text/plain; boundary=a", None),
    ],
)
def test_boundaries(kind, boundary):
    if boundary is not None:
        assert read_boundary(kind.encode()) == boundary
        return
    with pytest.raises(Refusal) as refusal:
        read_boundary(kind.encode())
    assert refusal.value.code == "invalid_form"


# -- through the router


def test_a_model_after_a_file_of_25_megabytes():
    body = form((FILE, os.urandom(25 * 1024 * 1024)), (MODEL, b"alias"))
    seen = []

    async def script(request: Message, wire: Wire) -> None:
        seen.append(request)
        held.append(front_limits[0].held_bytes)
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    held: list[int] = []
    front_limits = []

    async def work():
        async with backend(script) as engine:
            models = {"m": model(engine.url, aliases=["alias"]), "alias2": model(engine.url)}
            async with router(models) as front:
                front_limits.append(front.router.limits)
                for name in (b"alias", b"alias2"):
                    sent = body.replace(b"\r\nalias\r\n", b"\r\n%b\r\n" % name)
                    assert (await front.ask(post(sent, PATH, TYPE))).status == 200
                    assert held.pop() == len(sent)
                    assert front.router.limits.held_bytes == 0
                assert seen[0].body == body.replace(b"\r\nalias\r\n", b"\r\nm\r\n")
                assert seen[1].body == body.replace(b"\r\nalias\r\n", b"\r\nalias2\r\n")
                assert seen[0].get("content-type") == TYPE.partition(" ")[2]

    run(work())


def test_a_body_byte_by_byte_is_kept_in_few_pieces():
    body = form((FILE, b"y" * 3000), (MODEL, b"m"))

    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            head = (
                f"POST {PATH} HTTP/1.1\r\nHost: a\r\n{TYPE}\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
            answer = await front.ask(head.encode() + chunks + b"0\r\n\r\n")
            assert answer.json["body"].encode() == body
            assert engine.last.get("content-length") == str(len(body))

    run(work())


def test_hostile_forms_are_refused_early_and_leave_nothing_held():
    async def work():
        async with backend() as engine:
            async with router({"m": model(engine.url)}, max_body_bytes=10_000_000) as front:
                head = (
                    f"POST {PATH} HTTP/1.1\r\nHost: a\r\n{TYPE}\r\nContent-Length: 9000000\r\n\r\n"
                )
                for begin, wanted in (
                    (b"no form at all", "invalid_form"),
                    (form(*[(FILE, b"")] * 10_000), "invalid_form"),
                    (form((MODEL, b"m"), (MODEL, b"n")), "duplicate_model"),
                ):
                    wire = await front.connect()
                    # Far from whole, and answered already.
                    wire.send(head.encode() + begin)
                    answer = await wire.read()
                    assert (answer.status, answer.code) == (400, wanted)
                    wire.close()
                await until(lambda: front.router.limits.held_bytes == 0)
                whole = form((FILE, b"x"))
                for body, kind, wanted in (
                    (whole[:-9], TYPE, "invalid_form"),
                    (whole, TYPE, "missing_model"),
                    (whole, "Content-Type: multipart/form-data", "invalid_form"),
                    (whole, "Content-Type: multipart/mixed; boundary=xYzZY", "invalid_json"),
                ):
                    answer = await front.ask(post(body, PATH, kind))
                    assert (answer.status, answer.code) == (400, wanted)
                # Without a body nothing is read, so nothing is wrong with it.
                answer = await front.ask(get("/generate", "Content-Type: multipart/form-data"))
                assert answer.code == "missing_model"
                assert engine.requests == []

    run(work())


def test_a_form_whose_model_the_head_names_is_streamed_unread():
    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            body = b"no form" * 20_000
            answer = await front.ask(post(body, f"/route/m{PATH}", TYPE))
            assert answer.json["body"].encode() == body

    run(work())


# -- the official client


def test_the_openai_client_sends_audio_and_images():
    def field(request: Message, name: str) -> bytes:
        return request.body.split(f'name="{name}"'.encode(), 1)[1].split(b"\r\n")[2]

    async def script(request: Message, wire: Wire) -> None:
        if "transcriptions" in request.target:
            answer: dict[str, object] = {"text": field(request, "model").decode()}
        else:
            answer = {"created": 1, "data": [{"b64_json": field(request, "model").decode()}]}
        body = json.dumps(answer)
        wire.send(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )

    async def work():
        async with backend(script) as engine:
            models = {
                "whisper": {"upstreams": [{"url": engine.url, "model": "org/whisper"}]},
                "draw": model(engine.url),
            }
            async with router(models) as front:
                client = openai.AsyncOpenAI(base_url=f"{front.url}/v1", api_key="k", max_retries=0)
                async with client:
                    audio = io.BytesIO(os.urandom(300_000))
                    audio.name = 'a "quoted" näme.wav'
                    text = await client.audio.transcriptions.create(file=audio, model="whisper")
                    assert text.text == "org/whisper"
                    images = [("a.png", b"\x89PNG" * 1000), ("b.png", b"\x89PNG")]
                    drawn = await client.images.edit(image=images, prompt="x", model="draw")
                    assert drawn.data and drawn.data[0].b64_json == "draw"
                    with pytest.raises(openai.NotFoundError) as unknown:
                        await client.audio.transcriptions.create(file=("a.wav", b"x"), model="nope")
                    assert unknown.value.code == "model_not_found"

    run(work())
