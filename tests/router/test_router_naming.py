# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which model a request is for: where its name may stand, what it may be called, what is sent on."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from router_harness import CHAT, Message, Running, Wire, backend, get, model, post, router, run

from onehop_router.body import find_model, find_place
from onehop_router.errors import Refusal
from onehop_router.forms import find_in_form, rename_in_query
from onehop_router.framing import RequestHead, parse_head
from onehop_router.named_body import JsonBody, NamedBody, splice
from onehop_router.naming import HeadNames, names_in_head
from onehop_router.paths import DEFAULT_ALLOWED_PATHS

FORM = "Content-Type: application/x-www-form-urlencoded"


def who(name: str):
    """A script of a backend (a test double) that answers with its name and what it was asked."""

    async def script(request: Message, wire: Wire) -> None:
        body = json.dumps(
            {
                "who": name,
                "target": request.target,
                "fields": request.fields,
                "body": request.body.decode("latin-1"),
            }
        )
        wire.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}")

    return script


def head(line: str, *fields: str) -> RequestHead:
    return parse_head("\r\n".join([f"{line} HTTP/1.1", "Host: a", *fields, "", ""]).encode())


# -- the head


@pytest.mark.parametrize(
    ("pairs", "value"),
    [
        (b"model=m", "m"),
        (b"a=1&model=org%2Fx+y&b", "org/x y"),
        (b"%6dod%65%6C=m", "m"),
        (b"model", ""),
        (b"model=", ""),
        (b"model=a=b", "a=b"),
        (b"model=%ff", "\ufffd"),
        (b"Model=m&amodel=m&model2=m&a=model&a%26model=m", None),
        (b"a=1;model=m", None),
        (b"", None),
    ],
)
def test_a_name_among_pairs(pairs, value):
    found = find_in_form(pairs)
    assert (found.text if found else None) == value


@pytest.mark.parametrize("pairs", [b"model=m&model=m", b"model=a&x=1&mode%6C=b", b"model&model"])
def test_a_name_twice_among_pairs_is_refused(pairs):
    with pytest.raises(Refusal) as refusal:
        find_in_form(pairs)
    assert refusal.value.code == "duplicate_model"


def test_the_rest_of_a_query_survives_a_new_name():
    assert (
        rename_in_query("a=%zz&mode%6c=x&&b=+", "org/ü x") == "a=%zz&mode%6c=org%2F%C3%BC%20x&&b=+"
    )
    assert rename_in_query("a=1", "m") == "a=1"


def test_places_of_the_head_agree_or_are_refused():
    def canonical(name: str) -> str:
        return {"alias": "m"}.get(name, name)

    assert HeadNames(None, None, None).agreed(canonical) is None
    assert HeadNames("alias", "m", "m").agreed(canonical) == "alias"
    assert HeadNames(None, "x", None).agreed(canonical) == "x"
    for names in (("a", "b", None), ("a", None, "b"), (None, "a", "b"), ("m", "alias", "b")):
        with pytest.raises(Refusal) as refusal:
            HeadNames(*names).agreed(canonical)
        assert refusal.value.code == "conflicting_models"
    two = head("GET /x", "x-model: a", "X-Model: a")
    with pytest.raises(Refusal) as refusal:
        names_in_head(two, None)
    assert refusal.value.code == "duplicate_model"
    assert names_in_head(head("GET /x?model=ü".replace("ü", "%C3%BC"), "x-model: \tm "), "p") == (
        "p", "m", "ü",
    )  # fmt: skip


def test_each_place_of_the_head_chooses_and_its_body_is_not_read():
    big = b"\x00not json" * 20_000
    ways = (
        ("/route/n/v1/completions?x=1", (), "/v1/completions?x=1"),
        ("/v1/completions?x=1", ("x-model: n",), "/v1/completions?x=1"),
        ("/v1/completions?x=1&model=n", (), "/v1/completions?x=1&model=n"),
        ("/route/n/v1/completions?model=n", ("X-MODEL: n",), "/v1/completions?model=n"),
    )

    async def work():
        async with backend(who("m")) as first, backend(who("n")) as second:
            models = {"m": model(first.url), "n": model(second.url)}
            async with router(models) as front:
                for path, fields, target in ways:
                    for body in (b'{"model":"m"}', big):
                        coded = "Content-Encoding: br"
                        answer = await front.ask(post(body, path, coded, *fields))
                        seen = answer.json
                        assert seen["who"] == "n", path
                        assert seen["target"] == target
                        assert seen["body"].encode("latin-1") == body
                        names = [name.lower() for name, value in seen["fields"]]
                        assert "x-model" not in names
                        assert "content-encoding" in names
                for path, fields in (
                    ("/route/n/v1/completions", ("x-model: m",)),
                    ("/v1/completions?model=m", ("x-model: n",)),
                    ("/route/n/v1/completions?model=m", ()),
                ):
                    answer = await front.ask(post(CHAT, path, *fields))
                    assert (answer.status, answer.code) == (400, "conflicting_models")
                    assert answer.get("x-onehop-error") == "conflicting_models"
                answer = await front.ask(get("/v1/realtime?model=m&model=m"))
                assert (answer.status, answer.code) == (400, "duplicate_model")
                answer = await front.ask(get("/v1/realtime?model=nope"))
                assert (answer.status, answer.code) == (404, "model_not_found")

    run(work())


def test_a_websocket_is_routed_by_its_query():
    async def script(request: Message, wire: Wire) -> None:
        wire.send("HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        wire.send(request.target.encode() + b"|" + await wire.reader.readexactly(4))
        wire.close()

    async def work():
        async with backend(script) as engine:
            url = {"url": engine.url, "model": "whisper/large"}
            async with router({"m": {"upstreams": [url], "aliases": ["w"]}}) as front:
                wire = await front.connect()
                upgrade = ("Connection: Upgrade", "Upgrade: websocket")
                wire.send(get("/v1/realtime?intent=transcription&model=w", *upgrade))
                assert (await wire.read_head()).status == 101
                wire.send(b"ping")
                want = b"/v1/realtime?intent=transcription&model=whisper%2Flarge|ping"
                assert await wire.read_to_end() == want

    run(work())


# -- forms


def test_a_form_names_its_model():
    async def work():
        async with backend(who("m")) as engine:
            up = {"url": engine.url, "model": "real name"}
            async with router({"m": model(engine.url), "n": {"upstreams": [up]}}) as front:
                body = "a=%zz&mode%6C=m&b=+"
                assert (await front.ask(post(body, "/v1/x", FORM))).code == "unknown_path"
                answer = await front.ask(post(body, "/v1/completions", FORM))
                assert answer.json["body"] == body
                answer = await front.ask(post("a=%zz&mode%6C=n&b=+", "/v1/completions", FORM))
                assert answer.json["body"] == "a=%zz&mode%6C=real%20name&b=+"
                answer = await front.ask(post("model=m&model=m", "/v1/completions", FORM))
                assert answer.code == "duplicate_model"
                answer = await front.ask(post("a=1", "/v1/completions", FORM))
                assert answer.code == "missing_model"
                # What curl -d sends without a Content-Type of its own.
                answer = await front.ask(post(CHAT, "/v1/chat/completions", FORM))
                assert answer.json["body"] == CHAT

    run(work())


# -- no name


def test_what_names_no_model_goes_to_the_default():
    nameless = (
        get("/generate"),
        get("/pooling", method="DELETE"),
        post("", "/generate"),
        post("{}", "/tokenize"),
        post('{"model": null}', "/generate"),
        post("a=1", "/generate", FORM),
        b"POST /generate HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    )

    async def work():
        async with backend(who("m")) as first, backend(who("n")) as second:
            models = {"m": model(first.url, aliases=["other"]), "n": model(second.url)}
            keys = {"all": {"keys": ["k"]}, "n": {"keys": ["l"], "models": ["n"]}}
            async with router(models, client_keys=keys, default_model="other") as front:
                for request in nameless:
                    mine = request.replace(b"\r\n", b"\r\nAuthorization: Bearer k\r\n", 1)
                    assert (await front.ask(mine)).json["who"] == "m"
                    # Whose key does not open the default learns nothing of it.
                    theirs = request.replace(b"\r\n", b"\r\nAuthorization: Bearer l\r\n", 1)
                    answer = await front.ask(theirs)
                    assert (answer.status, answer.code) == (400, "missing_model")
                key = "Authorization: Bearer k"
                answer = await front.ask(post('{"model":"n"}', "/tokenize", key))
                assert answer.json["who"] == "n"
                for body in ("[]", '{"model":1}', "x"):
                    answer = await front.ask(post(body, "/tokenize", key))
                    assert (answer.status, answer.code) == (400, "invalid_json")
            async with router(models) as front:
                for request in nameless:
                    answer = await front.ask(request)
                    assert (answer.status, answer.code) == (400, "missing_model")

    run(work())


def test_a_key_bound_to_models_cannot_name_one_in_the_head_and_another_in_the_body():
    async def work():
        async with backend(who("m")) as engine:
            models = {"m": model(engine.url), "n": model(engine.url)}
            clients = {"a": {"keys": ["bound"], "models": ["m"]}, "b": {"keys": ["free"]}}
            async with router(models, client_keys=clients) as front:
                long = json.dumps({"prompt": "x" * 200_000, "model": "n"})
                for path, *fields in (
                    ("/route/m/v1/completions",), ("/v1/completions?model=m",),
                    ("/v1/completions", "x-model: m"),
                ):  # fmt: skip
                    for body in ('{"model":"n"}', long):
                        request = post(body, path, "Authorization: Bearer bound", *fields)
                        answer = await front.ask(request)
                        assert (answer.status, answer.code) == (400, "conflicting_models")
                    assert engine.requests == []
                    packed = gzip.compress(long.encode())
                    fields += ["Content-Encoding: gzip", "Authorization: Bearer bound"]
                    assert (await front.ask(post(packed, path, *fields))).status == 400
                    for body in ('{"model":"m"}', "{}", long.replace('"n"', '"m"')):
                        request = post(body, path, "Authorization: Bearer bound", *fields[:-2])
                        assert (await front.ask(request)).status == 200
                    assert engine.last.body == body.encode()
                    engine.requests.clear()
                request = post(long, "/route/m/v1/completions", "Authorization: Bearer free")
                assert (await front.ask(request)).status == 200

    run(work())


# -- aliases


async def ids(front: Running, *fields: str) -> list[str]:
    return [one["id"] for one in (await front.ask(get("/v1/models", *fields))).json["data"]]


def test_aliases_are_routed_and_listed_where_wanted():
    async def work():
        async with backend() as engine:
            models = {
                "m": model(engine.url, aliases=["z", "a"], list_aliases=True, card={"x": [1]}),
                "n": model(engine.url, aliases=["quiet"]),
                "u": model(engine.url, aliases=["v"], list_aliases=True, unlisted=True),
            }
            keys = {
                "all": {"keys": ["k"]},
                "alias": {"keys": ["l"], "models": ["z"]},
                "model": {"keys": ["o"], "models": ["m"]},
            }
            async with router(models, client_keys=keys) as front:
                everyone = "Authorization: Bearer k"
                assert await ids(front, everyone) == ["a", "m", "n", "z"]
                assert (await front.ask(get("/health"))).json["models"] == 2
                entry = (await front.ask(get("/v1/models/a", everyone))).json
                assert (entry["id"], entry["x"], entry["owned_by"]) == ("a", [1], "onehop")
                assert (await front.ask(get("/v1/models/quiet", everyone))).json["id"] == "quiet"
                for name in ("u", "v", "nope"):
                    answer = await front.ask(get(f"/v1/models/{name}", everyone))
                    assert (answer.status, answer.code) == (404, "model_not_found")
                for name in ("m", "a", "z", "n", "quiet", "u", "v"):
                    answer = await front.ask(
                        post(json.dumps({"model": name}), "/tokenize", everyone)
                    )
                    assert answer.status == 200, name
                for key in ("l", "o"):
                    mine = f"Authorization: Bearer {key}"
                    assert await ids(front, mine) == ["a", "m", "z"]
                    for name, status in (("m", 200), ("a", 200), ("z", 200), ("quiet", 404)):
                        ask = post(json.dumps({"model": name}), "/tokenize", mine)
                        assert (await front.ask(ask)).status == status
                        path = f"/route/{name}/tokenize"
                        assert (await front.ask(post("{}", path, mine))).status == status

    run(work())


# -- the name upstream


def test_the_name_is_what_the_target_calls_it_and_nothing_else_changes():
    asked = (
        '{"messages": [{"model": "m"}], "model": %s}',
        '{"mod\\u0065l" :\t%s,"x":"\\ud800 \\"model\\": "}',
        '{"a":[[{"model":"other"}],"model",{"model":"m"}],"model":%s,"b":1e400}',
    )

    async def work():
        async with backend(who("e")) as engine:
            models = {
                "m": model(engine.url, aliases=["other"]),
                "n": {"upstreams": [{"url": engine.url, "model": 'org/"ü"'}], "aliases": ["p"]},
            }
            async with router(models) as front:
                for template in asked:
                    for name, sent in (
                        ("m", "m"), ("other", "m"), ("n", 'org/"ü"'), ("p", 'org/"ü"'),
                    ):  # fmt: skip
                        answer = await front.ask(post(template % f'"{name}"'))
                        got = answer.json["body"].encode("latin-1").decode()
                        assert got == template % json.dumps(sent, ensure_ascii=False)
                        length = dict(map(tuple, answer.json["fields"]))["Content-Length"]
                        assert int(length) == len(got.encode())
                # An escaped spelling of the very name needs no other one.
                body = '{"model":"\\u006d"}'
                assert (await front.ask(post(body))).json["body"] == body

    run(work())


def test_replicas_may_call_a_model_differently():
    async def work():
        async with backend(who("a")) as first, backend(who("b")) as second:
            upstreams = [{"url": first.url}, {"url": second.url, "model": "x"}]
            async with router({"m": {"upstreams": upstreams, "aliases": ["n"]}}) as front:
                bodies = {}
                for dummy in range(4):
                    answer = (await front.ask(post('{"model":"n"}', "/tokenize?model2=n"))).json
                    bodies[answer["who"]] = answer["body"]
                assert bodies == {"a": '{"model":"m"}', "b": '{"model":"x"}'}

    run(work())


def test_a_request_that_is_sent_again_gets_the_second_target_s_name():
    async def work():
        async with backend() as gone, backend(who("b")) as second:
            gone.stop()
            upstreams = [{"url": gone.url, "model": "dead"}, {"url": second.url, "model": "x"}]
            async with router({"m": {"upstreams": upstreams}}) as front:
                body = '{"a":"' + "y" * 300_000 + '","model":"%s"}'
                for dummy in range(2):
                    answer = (await front.ask(post(body % "m"))).json
                    assert answer["body"] == body % "x"
                assert front.router.limits.held_bytes == 0

    run(work())


def test_streamed_bodies_keep_their_name():
    async def work():
        async with backend(who("e")) as engine:
            async with router({"m": {"upstreams": [{"url": engine.url, "model": "x"}]}}) as front:
                for path in ("/route/m/tokenize", "/tokenize?model=m"):
                    answer = (await front.ask(post('{"model":"m"}', path))).json
                    assert answer["body"] == '{"model":"m"}'

    run(work())


# -- places in JSON

# Members that look like the one that is meant.
DECOYS = (
    '"a":{"model":"x"}', '"a" : [ {"model" : "x"} , "model" , [[{}]] ]', r'"a":"\"model\": \"x\""',
    r'"a\\":"\\"', r'"model\\":"x"', r'"\"model":"x"', '"Model":"x"', '"models":["model","x"]',
    '"a":"}]{["', r'"a":{"b":{"model":"x"},"model":"\\\"}"}', '"":{}', r'"a":"\ud800"', '"é":1e400',
)  # fmt: skip
KEYS = ('"model":', '"model" \n:\t', r'"\u006dodel":', r'"mo\u0064\u0065\u006C":')
NAMES = ('"m"', '""', r'"\""', r'"\\"', r'"\"model\":\"x\""', '"ü\U0001f600"', r'"\u00fc\n"')


def members(raw: str) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = json.loads(raw, object_pairs_hook=list)
    return found


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.sampled_from(DECOYS), max_size=3),
    st.lists(st.sampled_from(DECOYS), max_size=3),
    st.sampled_from(KEYS),
    st.sampled_from(NAMES),
)
def test_the_place_of_the_name_is_what_a_full_parse_says(before, after, key, name):
    raw = "{" + ",".join([*before, key + name, *after]) + "}"
    body = raw.encode()
    assert find_model(body) == json.loads(name)
    start, end = find_place(body)
    assert body[start:end].decode() == name
    new = body[:start] + b'"new"' + body[end:]
    wanted = members(raw)
    wanted[len(before)] = ("model", "new")
    assert members(new.decode()) == wanted


def test_escapes_across_the_pieces_that_are_counted():
    # Depth is counted by pieces of 64 KiB, and none may end within an escape.
    for size in range(65536 - 40, 65536 + 8):
        body = b'{"x":{"model":"m"},"y":"%b\\\\\\"}]","model":"n"}' % (
            b"\\\\" * (size // 2) + b"." * (size % 2)
        )
        start, end = find_place(body)
        assert body[start:end] == b'"n"'


@given(st.lists(st.binary(min_size=1, max_size=5), max_size=6), st.data())
def test_splicing(pieces, data):
    whole = b"".join(pieces)
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    assert b"".join(splice(pieces, start, end, b"NEW")) == whole[:start] + b"NEW" + whole[end:]


def test_a_body_is_not_copied_for_its_own_name():
    body = b'{"model":"m"}'
    assert JsonBody(body, "m").for_target("m")[0] is body
    assert NamedBody([body]).for_target("x")[0] is body
    named = JsonBody(body, "m")
    assert b"".join(named.for_target("x")) == b'{"model":"x"}'
    assert b"".join(named.for_target("yy")) == b'{"model":"yy"}'


# -- paths


def test_the_documented_paths_are_the_allowed_ones():
    text = (Path(__file__).parents[2] / "docs" / "router.md").read_text()
    table = text.partition("\n## Paths\n")[2].partition("\nLeft out")[0]
    rows = [line.split("|")[2] for line in table.splitlines() if line.startswith("|")]
    documented = re.findall(r"`(/[^`]*)`", "".join(rows))
    assert sorted(documented) == sorted(DEFAULT_ALLOWED_PATHS)


def test_native_paths_are_reached_by_route_header_query_or_default():
    async def work():
        async with (
            backend() as engine,
            router({"m": model(engine.url)}, default_model="m") as front,
        ):
            for path in ("/get_model_info", "/generate", "/tokenize", "/score", "/pooling"):
                for ask in (f"/route/m{path}", f"{path}?model=m", path):
                    assert (await front.ask(get(ask))).json["target"] == ask.removeprefix(
                        "/route/m"
                    )
                answer = await front.ask(post('{"text":"x"}', path, "x-model: m"))
                assert answer.json["target"] == path
            for path in ("/get_server_info", "/abort_request", "/flush_cache"):
                for ask in (f"/route/m{path}", f"{path}?model=m", path):
                    assert (await front.ask(get(ask))).code == "unknown_path"

    run(work())
