# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The decision classes, without a socket."""

from __future__ import annotations

import json
import os
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onehop_router import secrets
from onehop_router.admission import Admission, Answer, admit
from onehop_router.auth import ANYONE, Identity, Keyring
from onehop_router.body import find_model
from onehop_router.config import Config
from onehop_router.config_reader import parse
from onehop_router.config_values import ConfigError
from onehop_router.errors import KINDS, Refusal, render, speaks_anthropic
from onehop_router.framing import RequestHead, parse_head
from onehop_router.headers import AnswerHead, AnswerWriter
from onehop_router.listeners import check_exposure, is_loopback
from onehop_router.paths import DEFAULT_ALLOWED_PATHS, AllowedPaths, pattern_fault, split_path
from onehop_router.pool import Upstream
from onehop_router.routing import Route, Table, build_table
from onehop_router.systemd import Notifier, activated_sockets, watchdog_interval


def head(line: str, *fields: str) -> RequestHead:
    return parse_head("\r\n".join([f"{line} HTTP/1.1", "Host: a", *fields, "", ""]).encode())


def no_tls():
    raise AssertionError("nothing here speaks TLS")


def table(**data) -> Table:
    return build_table(
        parse(json.dumps(data), {}), lambda address, dummy: Upstream(address, no_tls)
    )


def one_model(*urls: str):
    return {"m": {"upstreams": [{"url": url} for url in urls]}}


# -- body


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["model", "Model", "messages", 'a"model', "x", "model "]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=8),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["model", "y"]), inner, max_size=2)
            ),
            max_leaves=8,
        ),
    ),
    st.booleans(),
)
def test_the_model_is_what_a_full_parse_finds(data, ascii_only):
    body = json.dumps(data, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    model = data.get("model")
    if isinstance(model, str) and not any("\ud800" <= char <= "\udfff" for char in model):
        assert find_model(body) == model
    elif isinstance(model, str):
        assert "\ufffd" in (find_model(body) or "")
    elif model is None:
        assert find_model(body) is None
    else:
        with pytest.raises(Refusal) as refusal:
            find_model(body)
        assert refusal.value.code == "invalid_json"


@given(
    st.lists(st.sampled_from(['"model":"m"', '"mod\\u0065l":"m"', '"x":{"model":1}']), max_size=4)
)
def test_every_duplicate_of_model_is_seen(members):
    body = ("{" + ",".join(members) + "}").encode()
    count = sum("x" not in one for one in members)
    if count < 2:
        assert find_model(body) == ("m" if count else None)
        return
    with pytest.raises(Refusal) as refusal:
        find_model(body)
    assert refusal.value.code == "duplicate_model"


@settings(max_examples=300)
@given(st.binary(max_size=40))
def test_any_bytes_are_a_name_or_a_refusal(junk):
    for body in (junk, b'{"model":"m","x":"' + junk + b'"}', b'{"model":"' + junk):
        try:
            assert isinstance(find_model(body), str | None)
        except Refusal as refusal:
            assert refusal.status == 400


# -- paths


@pytest.mark.parametrize(
    ("path", "model", "rest", "segments"),
    [
        ("/v1/x", None, "/v1/x", ("v1", "x")),
        ("/", None, "/", ("",)),
        ("/route/m/", "m", "/", ("",)),
        ("/route/m", "m", "/", ("",)),
        ("/route/a%2Fb/v1%20/x/", "a/b", "/v1%20/x/", ("v1 ", "x", "")),
        ("/v1/a%2Fb", None, "/v1/a%2Fb", ("v1", "a", "b")),
        ("/route/route/route/x", "route", "/route/x", ("route", "x")),
        ("/...", None, "/...", ("...",)),
    ],
)
def test_split_path(path, model, rest, segments):
    assert split_path(path) == (model, rest, segments)


@pytest.mark.parametrize(
    "path",
    ["//", "/a//b", "/./a", "/a/..", "/%2e%2E/a", "/a%2f%2fb", "/a/%2e", "/a%2F..%2Fb", "/..%5Ca",
     "/a\\..\\b", "/%zz", "/%", "/a/./", "/route/m//x", "/route/m/%2e%2e/x", "/a//"],
)  # fmt: skip
def test_paths_that_can_be_read_in_two_ways_are_refused(path):
    with pytest.raises(Refusal) as refusal:
        split_path(path)
    assert refusal.value.code == "invalid_path"


@pytest.mark.parametrize(
    ("pattern", "path", "allowed"),
    [
        ("/v1/x", "/v1/x", True),
        ("/v1/x", "/v1/x/", False),
        ("/v1/x", "/v1/xy", False),
        ("/v1/*", "/v1/x", True),
        ("/v1/*", "/v1", False),
        ("/v1/*", "/v1/", False),
        ("/v1/*", "/v1/x/y", False),
        ("/v1/*", "/v1/x%2Fy", False),
        ("/v1/*/y", "/v1/x/y", True),
        ("/v1/**", "/v1", True),
        ("/v1/**", "/v1/x/y", True),
        ("/v1/**", "/v2/x", False),
        ("/*/x/**", "/a/x/b", True),
        ("/**", "/", True),
        ("/**", "/a/b", True),
        ("/", "/", True),
        ("/a b", "/a%20b", True),
    ],
)
def test_allowed_paths(pattern, path, allowed):
    assert AllowedPaths([pattern]).match(split_path(path).segments) is allowed
    assert pattern_fault(pattern) is None


def test_faulty_patterns_are_named():
    for pattern in ("v1", "/v1/x*", "/**/x", "/v1/../x", "/v1//x", "/route/*/x"):
        assert pattern_fault(pattern), pattern


def test_the_default_paths_serve_inference_and_nothing_else():
    allowed = AllowedPaths(DEFAULT_ALLOWED_PATHS)
    for path in (
        "/v1/chat/completions", "/v1/messages/count_tokens", "/v1/responses/r1/cancel",
        "/generate", "/get_model_info", "/tokenize", "/rerank", "/score", "/pooling",
    ):  # fmt: skip
        assert allowed.match(split_path(path).segments), path
    for path in (
        "/invocations", "/pause", "/resume", "/abort_requests", "/abort_request", "/slots",
        "/update_weights", "/update_weights_from_disk", "/metrics", "/props", "/models/load",
        "/start_profile", "/flush_cache", "/sleep", "/reset_prefix_cache", "/server_info", "/",
        "/collective_rpc", "/lora-adapters", "/v1/load_lora_adapter", "/docs", "/openapi.json",
        "/get_server_info", "/v1/chat/completions/control", "/tools", "/cors-proxy", "/load",
        "/open_session", "/vertex_generate", "/configure_logging", "/v1/stream", "/api/tags",
    ):  # fmt: skip
        assert not allowed.match(split_path(path).segments), path
    assert not any(pattern_fault(one) for one in DEFAULT_ALLOWED_PATHS)


# -- keys


def test_keyring():
    ring = Keyring([("one", Identity("a")), ("zwei ü", Identity("b", frozenset({"m"})))])
    assert ring.identify({b"authorization": b"Bearer one"}) == Identity("a")
    who = ring.identify({b"x-api-key": "zwei ü".encode()})
    assert who and who.name == "b"
    assert who.may_use("m") and not who.may_use("n")
    assert ring.identify({}) is None
    assert ring.identify({b"authorization": b"Bearer", b"x-api-key": b""}) is None
    assert Keyring([]).identify({}) is ANYONE
    assert "zwei" not in repr(vars(ring))


# -- admission


def test_the_order_of_checks():
    keyed = table(
        client_keys={"a": {"keys": ["k"]}}, models=one_model("http://x"), max_body_bytes=10
    )
    auth = "Authorization: Bearer k"

    def code(line: str, *fields: str) -> str:
        try:
            found = admit(head(line, *fields), keyed)
        except Refusal as refusal:
            return refusal.code
        return str(found.status) if isinstance(found, Answer) else "admitted"

    big = "Content-Length: 11"
    assert code("GET /health") == "200"
    assert code("POST /a//b", big) == "invalid_api_key"
    assert code("POST /a//b", big, auth) == "invalid_path"
    assert code("POST /pause", big, auth) == "unknown_path"
    assert code("POST /route/nope/v1/completions", big, auth) == "request_too_large"
    assert code("POST /route/nope/v1/completions", auth) == "model_not_found"
    assert code("POST /v1/completions", auth) == "admitted"
    br = ("Content-Encoding: br", "Content-Length: 9")
    assert code("POST /v1/completions", auth, *br) == "unsupported_content_encoding"
    assert code("POST /route/m/v1/completions", auth, *br) == "admitted"
    assert code("DELETE /v1/models/m", auth) == "method_not_allowed"
    routed = admit(head("POST /route/m/v1/completions", auth), keyed)
    assert isinstance(routed, Admission)
    assert routed.route is keyed.routes["m"]


# -- routing


def test_least_outstanding_first_among_equals_in_rotation():
    route = table(models=one_model("http://a", "http://b", "http://c")).routes["m"]
    assert isinstance(route, Route)
    names = []
    for dummy in range(6):
        target = route.pick()
        assert target is not None
        names.append(target.url.address.host)
    assert names == ["a", "b", "c"] * 2
    a, b, c = route.targets
    a.upstream.outstanding, b.upstream.outstanding, c.upstream.outstanding = 2, 1, 2
    assert {route.pick() for dummy in range(3)} == {b}
    assert {route.pick([b]) for dummy in range(4)} == {a, c}
    assert route.pick([a, b, c]) is None


def test_https_upstreams_are_called_by_their_own_name():
    models = {
        "own": {"upstreams": [{"url": "https://api.example"}]},
        "set": {"upstreams": [{"url": "https://api.example", "headers": {"host": "other"}}]},
        "plain": {"upstreams": [{"url": "http://worker:1"}]},
    }
    routes = table(models=models).routes
    assert routes["own"].targets[0].host == b"api.example"
    assert routes["set"].targets[0].host == b"other"
    assert routes["plain"].targets[0].host is None


# -- answers


@pytest.mark.parametrize(
    ("version", "fields", "framing", "closes", "written"),
    [
        ("1.1", [(b"Content-Length", b"3")], "length", False, b"abc"),
        ("1.1", [(b"Transfer-Encoding", b"chunked")], "chunked", False, b"3\r\nabc\r\n0\r\n\r\n"),
        ("1.1", [], "close", False, b"3\r\nabc\r\n0\r\n\r\n"),
        ("1.0", [(b"Content-Length", b"3")], "length", True, b"abc"),
        ("1.0", [(b"Transfer-Encoding", b"chunked")], "chunked", True, b"abc"),
        ("1.0", [], "close", True, b"abc"),
    ],
)
def test_framing_towards_the_client(version, fields, framing, closes, written):
    request = parse_head(f"GET / HTTP/{version}\r\nHost: a\r\n\r\n".encode())
    answer = AnswerHead(200, b"OK", "1.1", fields, to_head=False)
    assert answer.framing == framing
    writer = AnswerWriter(request)
    sent = writer.head(answer, "id")
    assert writer.closes is closes
    assert (b"Connection: close" in sent) is closes
    assert b"".join(writer.body([b"a", b"bc"]) + writer.end([])) == written


def test_answer_fields_lose_what_belongs_to_the_connection():
    fields = [
        (b"Server", b"x"), (b"Keep-Alive", b"5"), (b"Connection", b"X-Hop"), (b"X-Hop", b"1"),
        (b"Upgrade", b"h2c"), (b"Retry-After", b"7"), (b"x-should-retry", b"false"),
        (b"Set-Cookie", b"a"), (b"Set-Cookie", b"b"), (b"Content-Encoding", b"gzip"),
    ]  # fmt: skip
    answer = AnswerHead(200, b"OK", "1.1", fields, to_head=False)
    assert [name for name, dummy in answer.fields] == [
        b"Server", b"Retry-After", b"x-should-retry", b"Set-Cookie", b"Set-Cookie",
        b"Content-Encoding",
    ]  # fmt: skip


# -- errors


@pytest.mark.parametrize("code", KINDS)
def test_error_shapes(code):
    refusal = Refusal(code, "why", "model")
    mine = json.loads(render(refusal, "/v1/chat/completions", "id"))["error"]
    assert (mine["code"], mine["message"], mine["param"]) == (code, "why", "model")
    theirs = json.loads(render(refusal, "/v1/messages", "id"))
    assert theirs["type"] == "error"
    assert theirs["error"]["message"] == "why"
    assert theirs["request_id"] == "id"
    assert ("x-onehop-error", code) in refusal.headers
    assert (("Retry-After", "1") in refusal.headers) is (refusal.status == 429)
    assert (("Retry-After", "5") in refusal.headers) is (refusal.status == 503)


def test_anthropics_paths():
    assert speaks_anthropic("/v1/messages/count_tokens")
    assert speaks_anthropic("/route/m/v1/messages")
    assert not speaks_anthropic("/v1/chat/completions")
    assert not speaks_anthropic("/v1/messages_of_others")


# -- configuration


def test_all_errors_come_at_once_with_path_value_and_mend():
    text = json.dumps(
        {
            "port": 99999,
            "allow_anonymous": "yes",
            "allowed_paths": ["/v1/*", "v1", 7],
            "drain_seconds": -1,
            "client_keys": {
                "a": {"keys": ["k"], "modles": []},
                "b": {"keys": ["k"]},
                "c": ["s3cret"],
            },
            "models": {
                "qwen 3": {"upstreams": [{"url": "http://x"}, {"url": "http://u:s3cret@x"}]},
                "n": {"upstreams": [{"url": 5, "headers": {"A": "s3cret$x", "Connection": "x"}}]},
            },
        }
    )
    with pytest.raises(ConfigError) as error:
        parse(text, None)
    problems = error.value.problems
    starts = [
        "port: 99999: ", 'allow_anonymous: "yes": write true or false', 'allowed_paths[1]: "v1": ',
        "allowed_paths[2]: 7: ", "drain_seconds: -1: ",
        "client_keys.a.modles: unknown key; did you mean models?",
        "client_keys.b.keys[0]: this is also the key of 'a'", "client_keys.c: this is a list",
        'models."qwen 3".upstreams[1].url: ', "models.n.upstreams[0].url: 5: ",
        "models.n.upstreams[0].headers.A: ", "models.n.upstreams[0].headers.Connection: ",
    ]  # fmt: skip
    for start in starts:
        assert any(one.startswith(start) for one in problems), (start, problems)
    assert len(problems) == len(starts)
    assert "s3cret" not in str(error.value)


def test_defaults():
    config = parse("{}", {})
    assert (config.host, config.port, config.drain_seconds) == ("127.0.0.1", 8080, 300)
    assert (config.max_body_bytes, config.max_concurrent_requests) == (104857600, 0)
    assert config.max_buffered_bytes == 1073741824
    assert config.allowed_paths == DEFAULT_ALLOWED_PATHS
    assert parse('{"allowed_paths": null}', {}).allowed_paths is None
    assert parse('{"client_keys": {"a": {"keys": ["k"], "models": null}}}', {}).client_keys["a"]


def test_a_key_may_name_a_model_that_is_not_there_now():
    config = parse('{"client_keys": {"a": {"keys": ["k"], "models": ["gone"]}}}', {})
    assert config.warnings() == ["client_keys.a.models: there is no model 'gone' at the moment"]


def test_every_bad_reference_is_reported_and_no_value_shown():
    with pytest.raises(secrets.SecretError) as error:
        secrets.expand("hunter2 ${env:A} ${cred:b} ${file:/nowhere}", {})
    assert len(error.value.problems) == 3
    assert "hunter2" not in str(error.value)
    with pytest.raises(secrets.SecretError) as error:
        secrets.validate("pa$sword ${hunter2} ${")
    assert len(error.value.problems) == 3
    assert "sword" not in str(error.value)
    assert "hunter2" not in str(error.value)


@settings(max_examples=300)
@given(st.text(alphabet="${}:aenvcrdfil/", max_size=20))
def test_a_value_that_passes_the_check_expands_or_names_what_is_missing(text):
    try:
        secrets.validate(text)
    except secrets.SecretError as error:
        assert error.problems
        return
    try:
        assert isinstance(secrets.expand(text, {}), str)
    except secrets.SecretError as error:
        assert all("not set" in one or "cannot read" in one for one in error.problems)


# -- who may listen where


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("", False),
     ("0.0.0.0", False), ("::", False), ("192.0.2.1", False), ("example", False),
     ("::ffff:127.0.0.1", True)],
)  # fmt: skip
def test_loopback(host, loopback):
    mapped = host == "::ffff:127.0.0.1"
    # Before 3.13 the standard library does not take a mapped address for loopback: safe, too.
    assert is_loopback(host) is loopback or mapped


def test_exposure():
    check_exposure(Config(), ["127.0.0.1"])
    check_exposure(Config(), [])
    check_exposure(Config(allow_anonymous=True), ["0.0.0.0"])
    with pytest.raises(ConfigError, match="allow_anonymous"):
        check_exposure(Config(), ["127.0.0.1", "0.0.0.0"])


# -- systemd


def test_no_activation_and_no_notification_are_no_error():
    assert activated_sockets({}, os.getpid()) == []
    assert activated_sockets({"LISTEN_PID": "1", "LISTEN_FDS": "1"}, os.getpid()) == []
    assert activated_sockets({"LISTEN_PID": "7", "LISTEN_FDS": "0"}, 7) == []
    Notifier({}).ready("nobody hears this")
    assert watchdog_interval({}, 7) is None
    assert watchdog_interval({"WATCHDOG_USEC": "3000000"}, 7) == 1.5
    assert watchdog_interval({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "8"}, 7) is None


def test_an_abstract_notify_socket():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        name = f"onehop-test-{os.getpid()}"
        sock.bind("\0" + name)
        Notifier({"NOTIFY_SOCKET": "@" + name}).ready("a\nb")
        assert sock.recv(100) == b"READY=1\nSTATUS=a b"
