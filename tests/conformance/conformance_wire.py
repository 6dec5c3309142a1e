# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sections 1.5 to 1.8: header fields, upstream URLs, limits and times, keys. Data only."""

from __future__ import annotations

from conformance_case import Case, M, ask

WHOLE = "an answer is relayed as it was made, never inflated"
SECOND = "a router that serves more than a few streams needs no such limit by default"

# row, the field, the client's lines, what the upstream sees by LLMhop, ours, why, 1.x
_FIELDS: list[tuple[int, str, list[str], str, str, str, str]] = [
    (1, "host", [], "client.example", "client.example", "", ""),
    (2, "connection", ["Connection: keep-alive, X-Gone", "X-Gone: 1"], "absent", "absent", "", ""),
    (2, "x-gone", ["Connection: keep-alive, X-Gone", "X-Gone: 1"], "absent", "absent", "", ""),
    (2, "x-gone", ["Connection: x", "connection: \tX-GONE", "X-Gone: 1"], "absent", "absent", "",
     ""),
    (2, "keep-alive", ["Keep-Alive: 5"], "absent", "absent", "", ""),
    (2, "proxy-connection", ["Proxy-Connection: x"], "absent", "absent", "", ""),
    (2, "proxy-authorization", ["Proxy-Authorization: x"], "absent", "absent", "", ""),
    (2, "proxy-authenticate", ["Proxy-Authenticate: x"], "absent", "absent", "", ""),
    (2, "te", ["TE: gzip"], "absent", "absent", "", ""),
    (2, "te", ["TE: gzip, trailers"], "trailers", "trailers", "", ""),
    (2, "trailer", ["Trailer: X-Check"], "absent", "absent", "", ""),
    (2, "upgrade", ["Upgrade: x"], "absent", "absent", "", ""),
    (2, "transfer-encoding", [], "absent", "absent", "", ""),
    (3, "x-forwarded-for", ["X-Forwarded-For: 203.0.113.9"], "127.0.0.1", "127.0.0.1", "",
     "203.0.113.9, 127.0.0.1"),
    (4, "x-forwarded-host", ["X-Forwarded-Host: evil"], "client.example", "client.example", "",
     "evil"),
    (4, "x-forwarded-proto", ["X-Forwarded-Proto: https"], "http", "http", "", "https"),
    (5, "forwarded", ["Forwarded: for=1"], "absent", "absent", "", "for=1"),
    (6, "via", ["Via: 1.1 a"], "1.1 a", "1.1 a", "", ""),
    (6, "x-real-ip", ["X-Real-IP: 1"], "1", "1", "", ""),
    (6, "cookie", ["Cookie: a=b"], "a=b", "a=b", "", ""),
    (6, "origin", ["Origin: http://x"], "http://x", "http://x", "", ""),
    (6, "x-dup", ["X-Dup: 1", "X-Dup: 2"], "1, 2", "1, 2", "", ""),
    (7, "authorization", ["Authorization: Bearer client"], "Bearer client", "Bearer client", "",
     ""),
    (7, "x-api-key", ["X-Api-Key: client"], "client", "client", "", ""),
    (8, "user-agent", ["User-Agent: x"], "x", "x", "", ""),
    (8, "user-agent", [], "absent", "absent", "", ""),
    (9, "accept-encoding", ["Accept-Encoding: br"], "br", "br", "", ""),
    (9, "accept-encoding", [], "gzip", "absent", WHOLE, ""),
    (10, "expect", ["Expect: 100-continue"], "100-continue", "absent",
     "the router meets the expectation itself, once", ""),
    (12, "content-type", ["Content-Type: \t a/b \t"], "a/b", "a/b", "", ""),
]  # fmt: skip


def _fields() -> list[Case]:
    cases = [
        Case("1.5", row, f"{field} of {' '.join(lines) or 'none'}",
             (field, ask("POST /v1/x", M, *lines)), theirs, ours, why, old=old, how="sent")
        for row, field, lines, theirs, ours, why, old in _FIELDS
    ]  # fmt: skip
    old_client = f"POST /v1/x HTTP/1.0\r\nContent-Length: {len(M)}\r\n\r\n{M}".encode()
    replaced = ask("POST /v1/x", M, "authorization: Bearer client", "x-injected: a",
                   "X-INJECTED: b")  # fmt: skip
    key = "Authorization: Bearer alpha"
    return [
        *cases,
        Case("1.5", 1, "Host for HTTP/1.0 without one", ("host", old_client), "its own",
             "its own", how="sent"),
        Case("1.5", 4, "X-Forwarded-Host for HTTP/1.0 without Host",
             ("x-forwarded-host", old_client), "", "absent", "an empty field says nothing",
             old="absent", how="sent"),
        Case("1.5", 3, "a client of a unix listener", "unix_client", "absent", "absent",
             how="scenario"),
        Case("1.5", 7, "Authorization that opened our door",
             ("authorization", ask("POST /v1/x", M, key)), "absent", "absent", how="sent",
             config="keyed"),
        Case("1.5", 7, "x-api-key beside it",
             ("x-api-key", ask("POST /v1/x", M, key, "x-api-key: z")), "z", "absent",
             "both places may hold our keys", how="sent", config="keyed"),
        Case("1.5", 9, "an answer in gzip", ("content-encoding", "200 OK",
             ("Content-Encoding: gzip",)), "absent", "gzip", WHOLE, how="answer"),
        Case("1.5", 10, "continuations", "continuations", "two", "one",
             "the router meets the expectation itself, once", how="scenario"),
        Case("1.5", 11, "configured field", ("authorization", replaced), "Bearer up", "Bearer up",
             how="sent", config="headed"),
        Case("1.5", 11, "its spaces", ("x-injected", replaced), "y", "y", how="sent",
             config="headed"),
        Case("1.5", 11, "configured Host", ("host", replaced), "backend.example",
             "backend.example", old="client.example", how="sent", config="headed"),
        Case("1.5", 11, "configured X-Forwarded-For", ("x-forwarded-for", replaced), "9.9.9.9",
             "9.9.9.9", old="9.9.9.9, 127.0.0.1", how="sent", config="headed"),
        Case("1.5", 11, "configured empty", ("x-empty", replaced), "", "", how="sent",
             config="headed"),
        Case("1.5", 12, "case of names", ("names", ask("POST /v1/x", M, "x-a: 1", "X-B: 2")),
             "X-A X-B", "x-a X-B", "names mean the same in any case, so they stay as they came",
             how="sent"),
        Case("1.5", 12, "case of configured names", ("names", ask("POST /v1/x", M)),
             "X-Empty X-Injected X-Lower", "X-Injected X-Empty x-lower",
             "names mean the same in any case, so they stay as they were written", how="sent",
             config="headed"),
        Case("1.5", 13, "hop by hop", ("x-gone", "200 OK", ("Connection: x-gone", "X-Gone: 1")),
             "absent", "absent", how="answer"),
        Case("1.5", 13, "keep-alive", ("keep-alive", "200 OK", ("Keep-Alive: 5",)), "absent",
             "absent", how="answer"),
        Case("1.5", 13, "server", ("server", "200 OK", ("Server: uvicorn",)), "uvicorn",
             "uvicorn", how="answer"),
        Case("1.5", 13, "date", ("date", "200 OK", ("Date: x",)), "x", "x", how="answer"),
        Case("1.5", 13, "no date", ("date", "200 OK", ()), "now", "absent",
             "the answer is the engine's, and so is what it leaves out", how="answer"),
        Case("1.5", 13, "no type", ("content-type", "200 OK", ()), "text/plain; charset=utf-8",
             "absent", "a type that was guessed may be wrong", how="answer"),
        Case("1.5", 13, "request id", ("x-request-id", "200 OK", ()), "absent", "some",
             "support begins with an id", how="answer"),
        Case("1.5", 13, "trailers", "trailers_of_an_answer", "relayed", "relayed",
             how="scenario"),
        Case("1.5", 13, "early hints", "early_hints", "relayed", "relayed", how="scenario"),
        Case("1.5", 13, "upgrade by path", "upgrade", "tunnel", "tunnel", how="scenario",
             old="404"),
    ]  # fmt: skip


# row, base path, path, the joined target
_JOINS: list[tuple[int, str, str, str]] = [
    (1, "/base", "/v1/x", "/base/v1/x"),
    (1, "/base/", "/v1/x", "/base/v1/x"),
    (1, "/base", "/", "/base/"),
    (1, "", "/v1/x", "/v1/x"),
    (1, "/", "/v1/x", "/v1/x"),
    (2, "/a%2Fb", "/v1/a%2Fb%20c", "/a%2Fb/v1/a%2Fb%20c"),
    (3, "/base?backend=1", "/v1/x?valid=1&semi=one;two",
     "/base/v1/x?backend=1&valid=1&semi=one;two"),
    (3, "", "/x?q=1&a=1;b=2&c=%zz", "/x?q=1&a=1;b=2&c=%zz"),
    (4, "", "/x?", "/x?"),
    (4, "/b?k", "/x?", "/b/x?k"),
]  # fmt: skip


def _joins() -> list[Case]:
    return [
        Case("1.6", row, f"{base or 'nothing'} + {asked}", (base, asked), target, target,
             how="join")
        for row, base, asked, target in _JOINS
    ]  # fmt: skip


def _limits() -> list[Case]:
    return [
        Case("1.7", 1, "cap unless told", ("max_body_bytes", "{}"), "104857600", "104857600",
             how="setting"),
        Case("1.7", 1, "cap of 0", ("max_body_bytes", '{"max_body_bytes":0}'), "0", "0",
             how="setting", old="104857600"),
        Case("1.7", 1, "no cap", ask("POST /v1/x", M), "404", "404", config="endless", old="413"),
        Case("1.7", 1, "at the cap", ask("POST /v1/x", M + "   "), "m /v1/x", "m /v1/x",
             config="small"),
        Case("1.7", 1, "negative cap", '{"max_body_bytes":-1}', "refused", "refused",
             says="max_body_bytes: -1: ", how="config", old="taken"),
        Case("1.7", 1, "null cap", '{"max_body_bytes":null}', "taken", "refused",
             "null is written where a value was forgotten", says="max_body_bytes: null: ",
             how="config"),
        Case("1.7", 2, "requests at once unless told", ("max_concurrent_requests", "{}"), "8", "0",
             SECOND, how="setting", old="0"),
        Case("1.7", 2, "a place is taken until the answer ends", ask("POST /v1/x", M), "503",
             "429", "limits reached are 429", config="busy", old="m /v1/x"),
        Case("1.7", 2, "a place of a client that left", "place_given_back", "given back",
             "given back", how="scenario"),
        Case("1.7", 3, "path-routed over the cap", ask("POST /route/m/x", "x" * 17), "413", "413",
             config="small"),
        Case("1.7", 3, "path-routed body", "path_routed_body_streams", "streamed", "streamed",
             how="scenario", old="404"),
        Case("1.7", 3, "path-routed over the cap in chunks", "path_routed_over_the_cap",
             "413, truncated upstream", "413, truncated upstream", how="scenario", old="404"),
        Case("1.7", 4, "slow head", "slow_head", "closed after 10 s", "408 after 10 s",
             "a client that is told why can be mended", how="scenario"),
        Case("1.7", 4, "idle client", "idle_client", "kept", "closed after 120 s",
             "each one costs memory and a descriptor", how="scenario"),
        Case("1.7", 4, "stalled body", "stalled_body", "waited for", "408 after 60 s",
             "it holds a place and memory", how="scenario"),
        Case("1.7", 5, "stuck connect", "stuck_connect", "502 after 30 s", "502 after 5 s",
             "another replica may be well", how="scenario"),
        Case("1.7", 5, "idle upstream connection", "idle_upstream", "90 s", "3 s",
             "engines close after 5 s, and a request would meet it dead", how="scenario"),
        Case("1.7", 5, "silent backend", "late_answer", "waited for", "waited for",
             how="scenario"),
        Case("1.7", 5, "HTTP_PROXY", "proxy_variable", "honoured", "ignored",
             "one hop: a variable of the environment adds none", how="scenario"),
        Case("1.7", 5, "protocol offered to https upstreams", "offered_protocols", "h2 http/1.1",
             "http/1.1", "one protocol on both sides, relayed as it comes", how="scenario"),
        Case("1.7", 6, "events", "events_pass", "as they come", "as they come", how="scenario"),
        Case("1.7", 6, "a sized body", "sized_body_passes", "together", "as it comes",
             "nobody gains from waiting", how="scenario"),
        Case("1.7", 7, "two replicas, one dead", "replica_passed_over", "one URL a model",
             "the other answers", "nobody loses a request", how="scenario"),
        Case("1.7", 7, "a dead pooled connection", "replayed", "502", "replayed",
             "nobody loses a request", how="scenario"),
        Case("1.7", 8, "TLS on the plain port", bytes.fromhex("160301003a010000360303"), "400",
             "400"),
        Case("1.7", 8, "HTTP/2 on the plain port", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400",
             "505", "the version has a status of its own"),
    ]  # fmt: skip


# row, Authorization (or x-api-key) lines, LLMhop's status, ours, why, 1.x; keys alpha and beta
_KEYS: list[tuple[int, list[str], str, str, str, str]] = [
    (1, ["Authorization: Bearer alpha"], "200", "200", "", ""),
    (1, ["Authorization: Bearer beta"], "200", "200", "", ""),
    (2, ["Authorization: bearer alpha"], "200", "200", "", "401"),
    (2, ["Authorization: BEARER beta"], "200", "200", "", "401"),
    (3, ["Authorization: Bearer gamma"], "401", "401", "", ""),
    (3, ["Authorization: alpha"], "401", "401", "", ""),
    (3, ["Authorization: Basic alpha"], "401", "401", "", ""),
    (3, ["Authorization: "], "401", "401", "", ""),
    (3, ["Authorization: Bearer "], "401", "401", "", ""),
    (3, ["Authorization: Bearer  alpha"], "401", "401", "", ""),
    (3, ["Authorization: Bearer\talpha"], "401", "401", "", ""),
    (3, ["Authorization: Bearer alph"], "401", "401", "", ""),
    (3, ["Authorization: Bearer alphaa"], "401", "401", "", ""),
    (3, ["Proxy-Authorization: Bearer alpha"], "401", "401", "", ""),
    (3, [], "401", "401", "", ""),
    (3, ["x-api-key: alpha"], "401", "200", "Anthropic's clients send their key there", ""),
    (3, ["x-api-key: nope"], "401", "401", "", ""),
    (3, ["Authorization: Bearer nope", "x-api-key: beta"], "401", "200", "either place will do",
     ""),
    (4, ["Authorization: Bearer alpha "], "200", "200", "", ""),
    (5, ["Authorization: Bearer nope", "Authorization: Bearer alpha"], "401", "401", "", ""),
    (5, ["Authorization: Bearer alpha", "Authorization: Bearer nope"], "200", "200", "", ""),
]  # fmt: skip


def _keys() -> list[Case]:
    cases = []
    for row, lines, theirs, ours, why, old in _KEYS:
        for way, request in (
            ("body", ask("POST /v1/x", M, *lines)),
            ("path", ask("POST /route/m/v1/x", M, *lines)),
        ):
            asked = {"200": "m /v1/x"}
            name = f"{' + '.join(lines) or 'nothing'}, by {way}"
            if way == "path" and not old and theirs == "200":
                # 1.x knows no routes by path: the body names the model there as well.
                old = "m /route/m/v1/x"
            cases.append(Case("1.8", row, name, request, asked.get(theirs, theirs),
                              asked.get(ours, ours), why, old=old, config="keyed"))  # fmt: skip
    return [
        *cases,
        Case("1.8", 6, "no keys, no door", ask("POST /v1/x", M, "Authorization: Bearer any"),
             "m /v1/x", "m /v1/x"),
        Case("1.8", 6, "no keys beyond loopback", '{"host":"0.0.0.0"}', "0", "1",
             "who can connect could use every model: said, or meant (allow_anonymous)",
             says="allow_anonymous", how="check"),
        Case("1.8", 6, "an empty list of keys", '{"client_keys":{}}', "taken", "taken",
             how="config"),
        Case("1.8", 6, "unknown model without a key", ask("POST /v1/x", '{"model":"?"}'), "401",
             "401", config="keyed"),
    ]  # fmt: skip


CASES = [*_fields(), *_joins(), *_limits(), *_keys()]
