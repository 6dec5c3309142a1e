# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""LLMhop 2.2.1's behaviour, case by case, beside ours. Data only; the runner is the test file.

An outcome is a status ("404"), or for a relayed request "model target" as the backend saw it.
`why` stands wherever the two differ, and only there.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Case(NamedTuple):
    """One request to the router `config` (a key of CONFIGS)."""

    name: str
    request: bytes
    theirs: str
    ours: str
    why: str = ""
    config: str = "open"


# Every path is open unless a case says otherwise: LLMhop has no allow-list.
# The runner puts a backend's address for BACKEND.
CONFIGS: dict[str, dict[str, Any]] = {
    "open": {
        "allowed_paths": None,
        "models": {
            "m": {"upstreams": [{"url": "BACKEND"}]},
            "org/x": {"upstreams": [{"url": "BACKEND/org"}]},
            "based": {"upstreams": [{"url": "BACKEND/base?backend=1"}]},
            "slashed": {"upstreams": [{"url": "BACKEND/base/"}]},
            "hidden": {"upstreams": [{"url": "BACKEND"}], "unlisted": True},
        },
    },
    "keyed": {
        "allowed_paths": None,
        "client_keys": {"a": {"keys": ["alpha"]}, "b": {"keys": ["beta"]}},
        "models": {"m": {"upstreams": [{"url": "BACKEND"}]}},
    },
    "small": {
        "allowed_paths": None,
        "max_body_bytes": 16,
        "models": {"m": {"upstreams": [{"url": "BACKEND"}]}},
    },
    "endless": {"allowed_paths": None, "max_body_bytes": 0, "models": {}},
    "guarded": {"models": {"m": {"upstreams": [{"url": "BACKEND"}]}}},
}


def ask(line: str, body: bytes | str = b"", *fields: str) -> bytes:
    """A request with a Host and, where there is a body, its length."""
    raw = body.encode() if isinstance(body, str) else body
    lines = [f"{line} HTTP/1.1", "Host: client.example", *fields]
    if raw:
        lines.append(f"Content-Length: {len(raw)}")
    return "\r\n".join([*lines, "", ""]).encode() + raw


M = '{"model":"m"}'
NO_REDIRECTS = "a path that two servers may read differently is refused, not redirected"
OWN_PATHS = "a path that the router serves itself is not relayed; the method is refused"
NO_HTTP_400 = "refused like every other malformed head"

ROUTES = [
    Case("models", ask("GET /v1/models"), "200", "200"),
    Case("models with query", ask("GET /v1/models?x=1"), "200", "200"),
    Case("models by HEAD", ask("HEAD /v1/models"), "200", "200"),
    Case("one model", ask("GET /v1/models/m"), "200", "200"),
    Case("escaped slash in id", ask("GET /v1/models/org%2Fx"), "200", "200"),
    Case("unknown id", ask("GET /v1/models/nope"), "404", "404"),
    Case("unlisted id", ask("GET /v1/models/hidden"), "404", "404"),
    Case("two segments of an id", ask("GET /v1/models/org/x"), "400", "200",
         "clients do not escape the slash of a name, and nothing else can be meant"),
    Case("empty id", ask("GET /v1/models/"), "400", "404", "no body is expected here"),
    Case("post to models", ask("POST /v1/models", M), "m /v1/models", "405", OWN_PATHS),
    Case("health", ask("GET /health"), "200", "200"),
    Case("health by HEAD", ask("HEAD /health?x"), "200", "200"),
    Case("post to health", ask("POST /health", M), "m /health", "405", OWN_PATHS),
    Case("healthz", ask("GET /healthz"), "400", "400"),
    Case("by body", ask("POST /v1/chat/completions", M), "m /v1/chat/completions",
         "m /v1/chat/completions"),
    Case("any path by body", ask("PUT /any/thing?q", M), "m /any/thing?q", "m /any/thing?q"),
    Case("by path", ask("POST /route/m/detect?x=1", "no json"), "m /detect?x=1", "m /detect?x=1"),
    Case("path of a route's root", ask("GET /route/m/"), "m /", "m /"),
    Case("route without slash", ask("GET /route/m?x=1"), "307", "m /?x=1",
         "one way less for a client that cannot follow redirects"),
    Case("route without model", ask("GET /route/"), "400", "404", "the prefix is reserved"),
    Case("route with empty model", ask("GET /route//x"), "307", "404", NO_REDIRECTS),
    Case("route with double slash", ask("GET /route/m//x"), "307", "400", NO_REDIRECTS),
    Case("route with dots", ask("GET /route/m/a/../b"), "307", "400", NO_REDIRECTS),
    Case("double slash", ask("POST //v1//chat", M), "307", "400", NO_REDIRECTS),
    Case("dot segment", ask("GET /v1/./models"), "307", "400", NO_REDIRECTS),
    Case("encoded dots", ask("GET /route/m/%2e%2e/x"), "m /%2e%2e/x", "400",
         "an engine decodes them and climbs out of the allowed paths"),
    Case("encoded slash and dots", ask("GET /route/m/a%2F..%2Fb"), "m /a%2F..%2Fb", "400",
         "as above"),
    Case("escaped name", ask("GET /route/org%2Fx/v1/y"), "org/x /org/v1/y", "org/x /org/v1/y"),
    Case("name in two segments", ask("GET /route/org/x/v1"), "404", "404"),
    Case("escaped letter", ask("GET /route/%6d/x"), "m /x", "m /x"),
    Case("escaped prefix", ask("GET /%72oute/m/x"), "m /x", "m /x"),
    Case("route to health", ask("GET /route/m/health"), "m /health", "m /health"),
    Case("route to models", ask("GET /route/m/v1/models"), "m /v1/models", "m /v1/models"),
    Case("R24 unknown route", ask("POST /route/nope/detect", "x"), "404", "404"),
    Case("unlisted by body", ask("POST /v1/x", '{"model":"hidden"}'), "hidden /v1/x",
         "hidden /v1/x"),
    Case("options star", ask("OPTIONS *"), "200", "200"),
    Case("get star", ask("GET *"), "400", "400"),
    Case("connect", ask("CONNECT a:1"), "404", "400", NO_HTTP_400),
    Case("absolute form", ask("GET http://abs.example/health"), "200", "200"),
    Case("unknown method", ask("patch /v1/x", M), "m /v1/x", "400",
         "llhttp knows a fixed list of methods, and engines none beyond it"),
    Case("preflight without body", ask("OPTIONS /v1/chat/completions"), "400", "400"),
    Case("preflight needs a key", ask("OPTIONS /v1/chat/completions"), "401", "401",
         config="keyed"),
    Case("path outside the list", ask("POST /pause", M), "m /pause", "404",
         "engines answer administration on the same port", "guarded"),
    Case("path outside the list, routed", ask("POST /route/m/metrics"), "m /metrics", "404",
         "as above", "guarded"),
    Case("escaped path outside the list", ask("POST /%70ause", M), "m /%70ause", "404",
         "as above", "guarded"),
    Case("path on the list", ask("POST /v1/messages", M), "m /v1/messages", "m /v1/messages",
         config="guarded"),
]  # fmt: skip

PROTOCOL = [
    Case("no Host", b"GET /health HTTP/1.1\r\n\r\n", "400", "400"),
    Case("two lengths",
         b"POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
         "400", "400"),
    Case("gzip coding",
         b"POST /v1/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "501", "400",
         "all unreadable framing has one status"),
    Case("length and coding",
         b"POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 13\r\nTransfer-Encoding: chunked"
         b"\r\n\r\nd\r\n" + M.encode() + b"\r\n0\r\n\r\n", "m /v1/x", "400",
         "ambiguous framing is how requests are smuggled"),
    Case("bad name", b"GET /health HTTP/1.1\r\nHost: a\r\nX(: y\r\n\r\n", "400", "400"),
    Case("long head", b"GET /health HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
         "200", "431", "64 KiB hold every real head"),
    Case("longer head", b"GET /health HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 1_200_000 + b"\r\n\r\n",
         "431", "431"),
    Case("R13 over the cap", ask("POST /v1/x", '{"model": "m", "x": 1}'), "413", "413",
         config="small"),
    Case("R18 cap before model", ask("POST /v1/x", "x" * 17), "413", "413", config="small"),
    Case("R19 over the cap in chunks",
         b"POST /v1/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n11\r\n"
         + b"x" * 17 + b"\r\n0\r\n\r\n", "413", "413", config="small"),
    Case("R20 no cap", ask("POST /v1/x", '{"model":"m"}'), "404", "404", config="endless"),
    Case("path-routed over the cap", ask("POST /route/m/x", "x" * 17), "413", "413",
         config="small"),
]  # fmt: skip

DUPLICATE = "last wins differs between parsers: the key would be checked for another model"
EXACT = "engines match the key exactly; another spelling is another key"
DEPTH = "msgspec nests as deep as Python does, a thousand levels"

# body, what LLMhop makes of it, ours, why
BODIES: list[tuple[bytes, str, str, str]] = [
    (b'{"model":"m"}', "m", "m", ""),
    (b'{"model":"nope","model":"m"}', "m", "400", DUPLICATE),
    (b'{"model":"m","model":"nope"}', "404", "400", DUPLICATE),
    (b'{"model":"m","mod\\u0065l":"m"}', "m", "400", DUPLICATE),
    (b'{"Model":"m"}', "m", "400", EXACT),
    (b'{"MODEL":"m"}', "m", "400", EXACT),
    (b'{"model":"m","MODEL":"nope"}', "404", "m", EXACT),
    (b'{"mod\\u0065l":"m"}', "m", "m", ""),
    (b'{"model":"\\u006d"}', "m", "m", ""),
    (b'{"model":null}', "400", "400", ""),
    (b"{}", "400", "400", ""),
    (b"null", "400", "400", ""),
    (b'{"a":{"model":"m"}}', "400", "400", ""),
    (b'{"model":"m","model":null}', "400", "400", ""),
    (b'{"model":1,"model":"m"}', "400", "400", ""),
    (b'{"model":1}', "400", "400", ""),
    (b'{"model":true}', "400", "400", ""),
    (b'{"model":["m"]}', "400", "400", ""),
    (b'{"model":{"a":1}}', "400", "400", ""),
    (b'{"model":1e999}', "400", "400", ""),
    (b'{"model":""}', "404", "404", ""),
    (b'{"model":" m"}', "404", "404", ""),
    (b'{"model":"m","prompt":{"model":"based"}}', "m", "m", ""),
    (b"[]", "400", "400", ""),
    (b'[{"model":"m"}]', "400", "400", ""),
    (b'"m"', "400", "400", ""),
    (b"1", "400", "400", ""),
    (b"", "400", "400", ""),
    (b"   ", "400", "400", ""),
    (b'{"model":', "400", "400", ""),
    (b'{"model":"m"} x', "400", "400", ""),
    (b'{"model":"m"}{}', "400", "400", ""),
    (b'{"model":"m"} \r\n\t', "m", "m", ""),
    (b'\xef\xbb\xbf{"model":"m"}', "400", "400", ""),
    (b'{"model":"m","x":NaN}', "400", "400", ""),
    (b'{"model":"m",}', "400", "400", ""),
    (b'{"model":"m"/**/}', "400", "400", ""),
    (b"{'model':'m'}", "400", "400", ""),
    (b'{"model":"m","x":"\x01"}', "400", "400", ""),
    (b'{"model":"m","x":01}', "400", "400", ""),
    (b"model=m", "400", "400", ""),
    (b"\x1f\x8b\x08\x00", "400", "400", ""),
    (b'{"model":"m","x":' + b"[" * 900 + b"]" * 900 + b"}", "m", "m", ""),
    (b'{"model":"m","x":' + b"[" * 9_990 + b"]" * 9_990 + b"}", "m", "400", DEPTH),
    (b'{"model":"m","x":' + b"[" * 10_001 + b"]" * 10_001 + b"}", "400", "400", ""),
    (b'{"model":"m","x":"\xff"}', "m", "m", ""),
    (b'{"model":"\xff"}', "404", "400", "no model can have this name, and it is no JSON"),
    (b'{"model":"m","x":"\\ud800"}', "m", "m", ""),
    (b'{"x":"\\\\\\ud83d","model":"m"}', "m", "m", ""),
    (b'{"model":"\\ud800"}', "404", "404", ""),
    (b'{"model":"m","a":1,"a":2}', "m", "m", ""),
]

# client's header lines, what the backend sees of `name` by LLMhop (None: nothing), ours, why
HEADERS: list[tuple[str, list[str], str | None, str | None, str]] = [
    ("host", [], "client.example", "client.example", ""),
    ("connection", ["Connection: keep-alive, X-Gone", "X-Gone: 1"], None, None, ""),
    ("x-gone", ["Connection: keep-alive, X-Gone", "X-Gone: 1"], None, None, ""),
    ("keep-alive", ["Keep-Alive: 5"], None, None, ""),
    ("proxy-connection", ["Proxy-Connection: x"], None, None, ""),
    ("proxy-authorization", ["Proxy-Authorization: x"], None, None, ""),
    ("proxy-authenticate", ["Proxy-Authenticate: x"], None, None, ""),
    ("te", ["TE: gzip"], None, None, ""),
    ("te", ["TE: gzip, trailers"], "trailers", "trailers", ""),
    ("trailer", ["Trailer: X-Check"], None, None, ""),
    ("upgrade", ["Upgrade: x"], None, None, ""),
    ("x-forwarded-for", ["X-Forwarded-For: 203.0.113.9"], "127.0.0.1", "127.0.0.1", ""),
    ("x-forwarded-host", ["X-Forwarded-Host: evil"], "client.example", "client.example", ""),
    ("x-forwarded-proto", ["X-Forwarded-Proto: https"], "http", "http", ""),
    ("forwarded", ["Forwarded: for=1"], None, None, ""),
    ("via", ["Via: 1.1 a"], "1.1 a", "1.1 a", ""),
    ("x-real-ip", ["X-Real-IP: 1"], "1", "1", ""),
    ("cookie", ["Cookie: a=b"], "a=b", "a=b", ""),
    ("origin", ["Origin: http://x"], "http://x", "http://x", ""),
    ("x-dup", ["X-Dup: 1", "X-Dup: 2"], "1, 2", "1, 2", ""),
    ("authorization", ["Authorization: Bearer client"], "Bearer client", "Bearer client", ""),
    ("x-api-key", ["X-Api-Key: client"], "client", "client", ""),
    ("user-agent", ["User-Agent: x"], "x", "x", ""),
    ("user-agent", [], None, None, ""),
    ("accept-encoding", ["Accept-Encoding: br"], "br", "br", ""),
    ("accept-encoding", [], "gzip", None, "an answer is relayed as it was made, never inflated"),
    ("expect", ["Expect: 100-continue"], "100-continue", None,
     "the router meets the expectation itself, once"),
    ("content-type", ["Content-Type: \t a/b \t"], "a/b", "a/b", ""),
]  # fmt: skip

# Authorization lines (or x-api-key), LLMhop's status, ours, why; the keys are alpha and beta
AUTH: list[tuple[list[str], int, int, str]] = [
    (["Authorization: Bearer alpha"], 200, 200, ""),
    (["Authorization: Bearer beta"], 200, 200, ""),
    (["Authorization: Bearer gamma"], 401, 401, ""),
    (["Authorization: bearer alpha"], 200, 200, ""),
    (["Authorization: BEARER beta"], 200, 200, ""),
    (["Authorization: alpha"], 401, 401, ""),
    (["Authorization: Basic alpha"], 401, 401, ""),
    (["Authorization: "], 401, 401, ""),
    (["Authorization: Bearer "], 401, 401, ""),
    (["Authorization: Bearer  alpha"], 401, 401, ""),
    (["Authorization: Bearer\talpha"], 401, 401, ""),
    (["Authorization: Bearer alph"], 401, 401, ""),
    (["Authorization: Bearer alphaa"], 401, 401, ""),
    (["Authorization: Bearer alpha "], 200, 200, ""),
    (["Authorization: Bearer nope", "Authorization: Bearer alpha"], 401, 401, ""),
    (["Authorization: Bearer alpha", "Authorization: Bearer nope"], 200, 200, ""),
    (["Proxy-Authorization: Bearer alpha"], 401, 401, ""),
    ([], 401, 401, ""),
    (["x-api-key: alpha"], 401, 200, "Anthropic's clients send their key there"),
    (["x-api-key: nope"], 401, 401, ""),
    (["Authorization: Bearer nope", "x-api-key: beta"], 401, 200, "either place will do"),
]

SHOWN = "a port is 1 to 65535"

# url, whether LLMhop takes it, whether we do, why
URLS: list[tuple[str, bool, bool, str]] = [
    ("http://x", True, True, ""),
    ("https://x/v1", True, True, ""),
    ("https://api.example/v1", True, True, ""),
    ("HTTP://x", True, True, ""),
    ("http://x?q=1", True, True, ""),
    ("http://x#", True, False, "an empty fragment is a slip"),
    ("http://x:99999", True, False, SHOWN),
    ("http://[::1]:80", True, True, ""),
    ("http://127.0.0.1:8000", True, True, ""),
    ("unix:///run/x.sock", True, True, ""),
    ("unix:/run/x.sock", True, True, ""),
    ("unix:///", True, False, "a folder is no socket"),
    ("unix:///run/a%20b.sock", True, True, ""),
    ("UNIX:///run/x.sock", True, True, ""),
    ("unix://u@/x", True, False, "a socket has no user"),
    ("unix:///run/../x.sock", True, True, ""),
    ("", False, False, ""),
    ("http://", False, False, ""),
    ("http:///p", False, False, ""),
    ("http:x", False, False, ""),
    ("//x", False, False, ""),
    ("x", False, False, ""),
    ("://not a url", False, False, ""),
    ("localhost:8000", False, False, ""),
    ("127.0.0.1:8000", False, False, ""),
    ("ftp://x", False, False, ""),
    ("ws://x", False, False, ""),
    ("h2c://x", False, False, ""),
    ("http://u:p@x", False, False, ""),
    ("http://u@x", False, False, ""),
    ("http://x#f", False, False, ""),
    ("http://x:abc", False, False, ""),
    ("http://[::1", False, False, ""),
    ("http://x y", False, False, ""),
    ("http://x/%zz", False, False, ""),
    ("unix://run/x.sock", False, False, ""),
    ("unix://", False, False, ""),
    ("unix:relative", False, False, ""),
    ("unix:///x?q", False, False, ""),
    ("unix:///x#f", False, False, ""),
]

# base path, path, the joined target
JOINS: list[tuple[str, str, str]] = [
    ("/base", "/v1/x", "/base/v1/x"),
    ("/base/", "/v1/x", "/base/v1/x"),
    ("/base", "/", "/base/"),
    ("", "/v1/x", "/v1/x"),
    ("/", "/v1/x", "/v1/x"),
    ("/a%2Fb", "/v1/a%2Fb%20c", "/a%2Fb/v1/a%2Fb%20c"),
    ("/base?backend=1", "/v1/x?valid=1&semi=one;two", "/base/v1/x?backend=1&valid=1&semi=one;two"),
    ("", "/x?q=1&a=1;b=2&c=%zz", "/x?q=1&a=1;b=2&c=%zz"),
    ("", "/x?", "/x?"),
    ("/b?k", "/x?", "/b/x?k"),
]

NAMED = "camelCase is LLMhop's; ours is snake_case, matched exactly"

# JSON text, part of LLMhop's error or None, part of ours or None, why
CONFIG: list[tuple[str, str | None, str | None, str]] = [
    ("{not json", "invalid character", "not one JSON value", ""),
    ("", "EOF", "not one JSON value", ""),
    ('{"port":8080}', "no models configured", None, "a router may start before its first model"),
    ('{"models":{}} {}', "multiple JSON values", "not one JSON value", ""),
    ('{"models":{}}\n\n', None, None, ""),
    ("[]", "cannot unmarshal", "write an object", ""),
    ('{"max_body_byes":1}', "unknown field", "did you mean max_body_bytes?", ""),
    ('{"Models":{}}', None, "unknown key", NAMED),
    ('{"models":{},"models":{}}', None, "more than once", "one of the two was not meant"),
    ('{"port":65536}', "port 65536 is outside", "port: 65536: ", ""),
    ('{"port":-1}', "port -1 is outside", "port: -1: ", ""),
    ('{"port":80.5}', "cannot unmarshal", "port: 80.5: ", ""),
    ('{"port":8e1}', "cannot unmarshal", "port: 80.0: ", ""),
    ('{"port":"80"}', "cannot unmarshal", 'port: "80": ', ""),
    ('{"port":true}', "cannot unmarshal", "port: true: ", ""),
    ('{"port":null}', None, "port: null: ", "null is written where a value was forgotten"),
    ('{"max_body_bytes":-1}', "must not be negative", "max_body_bytes: -1: ", ""),
    ('{"max_concurrent_requests":-1}', "must not be negative", "max_concurrent_requests: -1", ""),
    ('{"max_body_bytes":0,"max_concurrent_requests":0}', None, None, ""),
    ('{"models":{"":{"upstreams":[{"url":"http://x"}]}}}', "model name must not be empty",
     "needs a name", ""),
    ('{"models":{"a b\\n/ü":{"upstreams":[{"url":"http://x"}]}}}', None, None, ""),
    ('{"client_keys":{"a":{"keys":[""]}}}', "empty token", "client_keys.a.keys[0]: the key is empty", ""),
    ('{"client_keys":{"a":{"keys":["x\\ny"]}}}', "invalid token", "control character", ""),
    ('{"client_keys":{"a":{"keys":["${env:X}"]}}}', None, None, ""),
    ('{"client_keys":{"a":{"keys":["${nope:x}"]}}}', "is not a cred:", "not a cred:, env: or", ""),
    ('{"client_keys":{"a":{"keys":["${"]}}}', None, "begins no cred:", "a dropped reference "
     "leaves an empty or a wrong key"),
    ('{"models":{"m":{"upstreams":[{"url":"http://x","headers":{"Authorization":"a",'
     '"authorization":"b"}}]}}}', "duplicate header", "duplicate header", ""),
    ('{"models":{"m":{"upstreams":[{"url":"http://x","headers":{"Bad Header":"a"}}]}}}',
     "invalid header name", "invalid header name", ""),
    ('{"models":{"m":{"upstreams":[{"url":"http://x","headers":{"A":"a\\nb"}}]}}}',
     "invalid header value", "control character", ""),
    ('{"models":{"m":{"upstreams":[{"url":"http://x","headers":{"Content-Length":"1"}}]}}}',
     None, "writes this header itself", "ignored there, so better said"),
    ('{"models":{"m":{"upstreams":[{"url":"localhost:8000"}]}}}',
     "must be an absolute http(s) or unix URL", "not an absolute http(s) or unix URL", ""),
    ('{"models":{"m":{"upstreams":[]}}}', "must be an absolute", "at least one upstream", ""),
    ('{"models":{"m":{}}}', "must be an absolute", "models.m.upstreams: missing", ""),
    ('{"models":{"m":{"upstreams":[{"url":"http://x"}],"unlisted":1}}}', "cannot unmarshal",
     "models.m.unlisted: 1: ", ""),
]  # fmt: skip

DROPPED = "a dropped reference leaves a wrong secret behind"

# value, LLMhop's result (None: an error), ours, why; E=secret X=one Y=two, credential tok=v
SECRETS: list[tuple[str, str | None, str | None, str]] = [
    ("no refs here", "no refs here", "no refs here", ""),
    ("", "", "", ""),
    ("a $ b $", "a $ b $", "a $ b $", ""),
    ("$(x)", "$(x)", "$(x)", ""),
    ("$é", "$é", "$é", ""),
    ("Bearer ${env:E}", "Bearer secret", "Bearer secret", ""),
    ("${env:X}-${env:Y}", "one-two", "one-two", ""),
    ("pa$sword", None, None, ""),
    ("${X}", None, None, ""),
    ("$1", None, None, ""),
    ("$*", None, None, ""),
    ("$?", None, None, ""),
    ("${env:MISSING}", None, None, ""),
    ("${env:}", None, None, ""),
    ("${env: E}", None, None, ""),
    ("${ENV:E}", None, None, ""),
    ("${cred:tok}", "v", "v", ""),
    ("${cred:sub/tok}", None, None, ""),
    ("${cred:..}", None, None, ""),
    ("${cred:.}", None, None, ""),
    ("${cred:}", None, None, ""),
    ("${cred:nobody}", None, None, ""),
    ("${file:tok}", None, None, ""),
    ("${file:/nowhere/x}", None, None, ""),
    ("$$", "$", "$", ""),
    ("$$$$", "$$", "$$", ""),
    ("a$${env:E}", "a${env:E}", "a${env:E}", ""),
    ("$$$$${env:E}", "$$secret", "$$secret", ""),
    ("$$$", "$$", "$$", ""),
    ("${env:NESTED}", "${env:E}", "${env:E}", ""),
    ("${}", "", None, DROPPED),
    ("${", "", None, DROPPED),
    ("a${b", "ab", None, DROPPED),
    ("${unclosed", "unclosed", None, DROPPED),
    ("${$}", "$", None, DROPPED),
]

# what a file holds, what a reference to it yields
FILES: list[tuple[bytes, str]] = [
    (b"secret\n", "secret"),
    (b"a b\nc\r\n", "a b\nc"),
    (b"secret\n\n", "secret\n"),
    (b"secret\n\r\n", "secret\n"),
    (b"x\r", "x\r"),
    (b"x\r\r\n", "x\r"),
    (b"\n", ""),
    (b"", ""),
    (b"${env:E}", "${env:E}"),
]
