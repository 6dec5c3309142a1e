# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the table of conformance_cases: what LLMhop 2.2.1 does, and what we do."""

from __future__ import annotations

import json

import conformance_cases as table
import pytest
from router_harness import Message, Running, Wire, backend, model, post, router, run

from onehop_router import secrets
from onehop_router.body import find_model
from onehop_router.config_reader import parse
from onehop_router.config_values import ConfigError
from onehop_router.errors import Refusal
from onehop_router.urls import parse_upstream_url


def explained(theirs: object, ours: object, why: str) -> bool:
    """A difference has a reason, and a reason has a difference."""
    return (theirs != ours) == bool(why)


def served(name: str, url: str):
    settings = json.loads(json.dumps(table.CONFIGS[name]).replace("BACKEND", url))
    # All models share one backend, so each request says which one it came for.
    for key, one in settings["models"].items():
        one["upstreams"][0]["headers"] = {"X-Model": key}
    return settings


async def which(request: Message, wire: Wire) -> None:
    body = f"{request.get('x-model')} {request.target}".encode()
    wire.send(f"HTTP/1.1 200 OK\r\nX-Backend: yes\r\nContent-Length: {len(body)}\r\n\r\n")
    wire.send(b"" if request.method == "HEAD" else body)


async def outcome(front: Running, case: table.Case) -> str:
    answer = await front.ask(case.request)
    return answer.body.decode() if answer.get("x-backend") else str(answer.status)


@pytest.mark.parametrize("config", table.CONFIGS)
def test_requests(config):
    cases = [one for one in table.ROUTES + table.PROTOCOL if one.config == config]
    assert cases

    async def work():
        async with backend(which) as engine:
            settings = served(config, engine.url)
            async with router(**settings) as front:
                got = {case.name: await outcome(front, case) for case in cases}
                assert got == {case.name: case.ours for case in cases}

    run(work())
    for case in cases:
        assert explained(case.theirs, case.ours, case.why), case.name


def test_names_of_cases_are_unique():
    names = [case.name for case in table.ROUTES + table.PROTOCOL]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("body", "theirs", "ours", "why"), table.BODIES)
def test_bodies(body, theirs, ours, why):
    assert explained(theirs, ours, why)
    try:
        found = find_model(body)
        # Nothing else names a model here, and there is no default.
        got = "400" if found is None else found
    except Refusal as refusal:
        got = str(refusal.status)
    if ours == "404":
        assert got not in ("m", "400")
    else:
        assert got == ours


def test_bodies_reach_the_backend_verbatim():
    good = [body for body, dummy, ours, dummy_theirs in table.BODIES if ours == "m"]

    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            for body in good:
                answer = await front.ask(post(body))
                assert answer.json["body"].encode("latin-1") == body
            for body in (b'{"model":"\xff\\ud800"}', b'{"model":" m"}', b'{"model":""}'):
                assert (await front.ask(post(body))).status in (400, 404)
            unicode_name = await front.ask(post('{"model":"\\ud800\u2028\\""}'))
            assert unicode_name.code == "model_not_found"

    run(work())


@pytest.mark.parametrize(("name", "lines", "theirs", "ours", "why"), table.HEADERS)
def test_headers_to_the_upstream(name, lines, theirs, ours, why):
    assert explained(theirs, ours, why)

    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            answer = await front.ask(post('{"model":"m"}', "/v1/completions", *lines))
            assert answer.status == 200
            assert engine.last.get(name) == ours

    run(work())


@pytest.mark.parametrize(("lines", "theirs", "ours", "why"), table.AUTH)
def test_keys(lines, theirs, ours, why):
    assert explained(theirs, ours, why)

    async def work():
        async with backend() as engine:
            settings = served("keyed", engine.url)
            async with router(**settings) as front:
                body = '{"model":"m"}'
                for path in ("/v1/completions", "/route/m/v1/x"):
                    answer = await front.ask(post(body, path, *lines))
                    assert answer.status == ours
                unknown = await front.ask(post('{"model":"nope"}', "/v1/completions", *lines))
                assert unknown.status == (404 if ours == 200 else 401)
                if ours == 200:
                    # R11: what opened our door is not the backend's business.
                    assert engine.last.get("authorization") is None
                    assert engine.last.get("x-api-key") is None
                else:
                    assert engine.connections == 0

    run(work())


def test_r12_configured_headers_replace_the_clients():
    async def work():
        async with backend() as engine:
            headers = {"Authorization": "Bearer up", "Host": "backend.example", "X-Injected": " y "}
            headers |= {"X-Forwarded-For": "9.9.9.9", "X-Empty": ""}
            models = {"m": {"upstreams": [{"url": engine.url, "headers": headers}]}}
            async with router(models) as front:
                sent = ("authorization: Bearer client", "x-injected: a", "X-INJECTED: b")
                await front.ask(post('{"model":"m"}', "/v1/completions", *sent))
                seen = engine.last
                assert seen.all("authorization") == ["Bearer up"]
                assert seen.all("host") == ["backend.example"]
                assert seen.all("x-injected") == ["y"]
                assert seen.all("x-forwarded-for") == ["9.9.9.9"]
                assert seen.all("x-empty") == [""]
                assert seen.get("x-forwarded-host") == "client.example"

    run(work())


def test_http_1_0_without_host_gets_the_upstreams_own():
    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            body = '{"model":"m"}'
            text = f"POST /v1/completions HTTP/1.0\r\nContent-Length: {len(body)}\r\n\r\n{body}"
            assert (await front.ask(text)).status == 200
            assert engine.last.get("host") == engine.url.removeprefix("http://")
            assert engine.last.get("x-forwarded-host") is None

    run(work())


@pytest.mark.parametrize(("url", "theirs", "ours", "why"), table.URLS)
def test_urls(url, theirs, ours, why):
    assert explained(theirs, ours, why)
    if ours:
        assert parse_upstream_url(url).address.host
    else:
        with pytest.raises(ValueError, match=r"."):
            parse_upstream_url(url)


@pytest.mark.parametrize(("base", "asked", "target"), table.JOINS)
def test_joins(base, asked, target):
    path, mark, query = asked.partition("?")
    url = parse_upstream_url("http://x" + base)
    assert url.join(path, query if mark else None) == target


@pytest.mark.parametrize(("text", "theirs", "ours", "why"), table.CONFIG)
def test_config(text, theirs, ours, why):
    assert explained(theirs is None, ours is None, why)
    if ours is None:
        assert parse(text, None)
    else:
        with pytest.raises(ConfigError) as error:
            parse(text, None)
        assert ours in str(error.value)


@pytest.mark.parametrize(("value", "theirs", "ours", "why"), table.SECRETS)
def test_secrets(value, theirs, ours, why, tmp_path):
    assert explained(theirs, ours, why)
    (tmp_path / "tok").write_text("v\n")
    environ = {
        "E": "secret", "X": "one", "Y": "two", "NESTED": "${env:E}",
        "CREDENTIALS_DIRECTORY": str(tmp_path),
    }  # fmt: skip
    if ours is None:
        with pytest.raises(secrets.SecretError):
            secrets.expand(value, environ)
    else:
        assert secrets.expand(value, environ) == ours


@pytest.mark.parametrize(("content", "value"), table.FILES)
def test_secret_files(content, value, tmp_path):
    (tmp_path / "x").write_bytes(content)
    assert secrets.expand(f"${{file:{tmp_path}/x}}", {}) == value
    assert secrets.expand("${cred:x}", {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == value


def test_lists_as_in_r2_to_r5_and_r22():
    async def work():
        async with backend() as engine:
            models = {
                "b": model(engine.url),
                "a": model(engine.url),
                "z": model(engine.url, unlisted=True),
            }
            keys = {"all": {"keys": ["secret"]}, "some": {"keys": ["few"], "models": ["b", "z"]}}
            async with router(models, client_keys=keys) as front:
                health = await front.ask(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
                assert health.body == b'{"status":"ok","models":2}\n'
                assert health.get("content-type") == "application/json"

                def listing(key: str, path: str = "/v1/models") -> bytes:
                    return (
                        f"GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n\r\n"
                    ).encode()

                full = (await front.ask(listing("secret"))).json
                assert full["object"] == "list"
                assert [one["id"] for one in full["data"]] == ["a", "b"]
                assert {one["owned_by"] for one in full["data"]} == {"onehop"}
                assert {one["object"] for one in full["data"]} == {"model"}
                few = (await front.ask(listing("few"))).json
                assert [one["id"] for one in few["data"]] == ["b"]
                assert (await front.ask(listing("nope"))).status == 401
                assert (await front.ask(listing("few", "/v1/models/b"))).json["id"] == "b"

                # A model that the key may not use looks exactly like one that is not there.
                auth = "Authorization: Bearer few"
                hidden = await front.ask(post('{"model":"a"}', "/v1/completions", auth))
                absent = await front.ask(post('{"model":"q"}', "/v1/completions", auth))
                assert hidden.status == absent.status == 404
                assert hidden.body.replace(b"`a`", b"`q`") == absent.body
                routed = await front.ask(post("x", "/route/a/v1/embeddings", auth))
                assert routed.body == hidden.body
                assert (
                    await front.ask(post('{"model":"z"}', "/v1/completions", auth))
                ).status == 200

    run(work())


def test_r21_busy_is_429_here_and_503_there():
    async def stall(request: Message, wire: Wire) -> None:
        await wire.reader.read()

    async def work():
        async with backend(stall) as engine:
            async with router({"m": model(engine.url)}, max_concurrent_requests=1) as front:
                first = await front.connect()
                first.send(post('{"model":"m"}'))
                while not front.router.limits.active:
                    await front.ask(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
                for path in ("/v1/completions", "/route/m/v1/embeddings"):
                    second = await front.ask(post("{", path))
                    assert second.status == 429
                first.close()

    run(work())
