# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sections 1.9 and 1.10: the configuration file, the command line, secrets. Data only.

A text of configuration is "taken" or "refused", and what we say about it is in `says`. Keys of
LLMhop's are written in our spelling: camelCase is its, snake_case ours.
"""

from __future__ import annotations

from conformance_case import Case

NAMED = "camelCase is LLMhop's; ours is snake_case, matched exactly"
PORTS = "a port is 1 to 65535"
NULL = "null is written where a value was forgotten"


def _model(text: str) -> str:
    return '{"models":{"m":{"upstreams":[' + text + "]}}}"


# row, name, JSON text, LLMhop's verdict, ours, why, what we say, 1.x
_TEXTS: list[tuple[int, str, str, str, str, str, str, str]] = [
    (1, "any address", '{"host":""}', "taken", "taken", "", "", ""),
    (1, "no address", '{"host":"a b"}', "taken", "refused", "it fails at the start anyway",
     'host: "a b": ', ""),
    (2, "port too high", '{"port":65536}', "refused", "refused", "", "port: 65536: ", "taken"),
    (2, "port below", '{"port":-1}', "refused", "refused", "", "port: -1: ", "taken"),
    (2, "half a port", '{"port":80.5}', "refused", "refused", "", "port: 80.5: ", "taken"),
    (2, "port with exponent", '{"port":8e1}', "refused", "refused", "", "port: 80.0: ", "taken"),
    (2, "port as text", '{"port":"80"}', "refused", "refused", "", 'port: "80": ', "taken"),
    (2, "port as truth", '{"port":true}', "refused", "refused", "", "port: true: ", "taken"),
    (2, "port null", '{"port":null}', "taken", "refused", NULL, "port: null: ", ""),
    (3, "cap below", '{"max_body_bytes":-1}', "refused", "refused", "", "max_body_bytes: -1: ",
     "taken"),
    (4, "requests at once below", '{"max_concurrent_requests":-1}', "refused", "refused", "",
     "max_concurrent_requests: -1", "taken"),
    (4, "no limits", '{"max_body_bytes":0,"max_concurrent_requests":0}', "taken", "taken", "", "",
     ""),
    (5, "empty key", '{"client_keys":{"a":{"keys":[""]}}}', "refused", "refused", "",
     "client_keys.a.keys[0]: the key is empty", "taken"),
    (5, "key with line end", '{"client_keys":{"a":{"keys":["x\\ny"]}}}', "refused", "refused", "",
     "control character", "taken"),
    (5, "key with DEL", '{"client_keys":{"a":{"keys":["x\\u007f"]}}}', "refused", "refused", "",
     "control character", "taken"),
    (5, "key with tab and letters", '{"client_keys":{"a":{"keys":["x\\ty\\u00e9"]}}}', "taken",
     "taken", "", "", ""),
    (5, "key by reference", '{"client_keys":{"a":{"keys":["${env:X}"]}}}', "taken", "taken", "",
     "", ""),
    (5, "key by unknown reference", '{"client_keys":{"a":{"keys":["${nope:x}"]}}}', "refused",
     "refused", "", "not a cred:, env: or", "taken"),
    (5, "key by half a reference", '{"client_keys":{"a":{"keys":["${"]}}}', "taken", "refused",
     "a dropped reference leaves an empty or a wrong key", "begins no cred:", ""),
    (6, "no models", '{"port":8080}', "refused", "taken",
     "a router may start before its first model", "", ""),
    (6, "model without a name", '{"models":{"":{"upstreams":[{"url":"http://x"}]}}}', "refused",
     "refused", "", "needs a name", "taken"),
    (6, "any other name", '{"models":{"a b\\n/ü":{"upstreams":[{"url":"http://x"}]}}}', "taken",
     "taken", "", "", ""),
    (7, "no scheme", _model('{"url":"localhost:8000"}'), "refused", "refused", "",
     "not an absolute http(s) or unix URL", "taken"),
    (7, "credentials in a URL", _model('{"url":"http://u:hunter2@x"}'), "refused", "refused", "",
     "holds no credentials", "taken"),
    (7, "no upstream", _model(""), "refused", "refused", "", "at least one upstream", ""),
    (7, "no upstreams", '{"models":{"m":{}}}', "refused", "refused", "",
     "models.m.upstreams: missing", "taken"),
    (8, "header twice", _model('{"url":"http://x","headers":{"Via":"a","via":"b"}}'),
     "refused", "refused", "", "duplicate header", "taken"),
    (8, "name of a header", _model('{"url":"http://x","headers":{"Bad Header":"a"}}'),
     "refused", "refused", "", "invalid header name", "taken"),
    (8, "value of a header", _model('{"url":"http://x","headers":{"A":"a\\nb"}}'),
     "refused", "refused", "", "control character", "taken"),
    (8, "framing", _model('{"url":"http://x","headers":{"Content-Length":"1"}}'), "taken",
     "refused", "ignored there, so better said", "writes this header itself", ""),
    (8, "connection", _model('{"url":"http://x","headers":{"Connection":"close"}}'), "taken",
     "refused", "connections are the router's to keep", "writes this header itself", ""),
    (9, "unlisted as number",
     '{"models":{"m":{"upstreams":[{"url":"http://x"}],"unlisted":1}}}', "refused", "refused", "",
     "models.m.unlisted: 1: ", "taken"),
    (9, "unlisted",
     '{"models":{"m":{"upstreams":[{"url":"http://x"}],"unlisted":true}}}', "taken", "taken", "",
     "", ""),
    (10, "unknown key", '{"max_body_byes":1}', "refused", "refused", "",
     "did you mean max_body_bytes?", "taken"),
    (10, "unknown key of an upstream", _model('{"url":"http://x","uri":""}'), "refused", "refused",
     "", "models.m.upstreams[0].uri: unknown key", "taken"),
    (11, "two values", '{"models":{}} {}', "refused", "refused", "", "not one JSON value", ""),
    (11, "line ends after it", '{"models":{}}\n\n', "taken", "taken", "", "", ""),
    (12, "empty file", "", "refused", "refused", "", "not one JSON value", ""),
    (12, "no JSON", "{not json", "refused", "refused", "", "not one JSON value", ""),
    (12, "a list", "[]", "refused", "refused", "", "write an object", ""),
    (13, "case of keys", '{"Models":{}}', "taken", "refused", NAMED, "unknown key", ""),
    (13, "models twice", '{"models":{},"models":{}}', "taken", "refused",
     "one of the two was not meant", "more than once", ""),
    (13, "a model twice", '{"models":{"m":{"upstreams":[{"url":"http://x"}]},'
     '"m":{"upstreams":[{"url":"http://x"}]}}}', "taken", "refused", "one of the two was not meant",
     "models.m: the key stands more than once", ""),
    (15, "address of 1.x", '{"listen":":8080"}', "refused", "refused", "", "listen: unknown key",
     "taken"),
]  # fmt: skip

# url, LLMhop's verdict, ours, why
_URLS: list[tuple[str, str, str, str]] = [
    ("http://x", "taken", "taken", ""),
    ("https://x/v1", "taken", "taken", ""),
    ("https://api.example/v1", "taken", "taken", ""),
    ("HTTP://x", "taken", "taken", ""),
    ("http://x?q=1", "taken", "taken", ""),
    ("http://x#", "taken", "refused", "an empty fragment is a slip"),
    ("http://x:99999", "taken", "refused", PORTS),
    ("http://[::1]:80", "taken", "taken", ""),
    ("http://127.0.0.1:8000", "taken", "taken", ""),
    ("unix:///run/x.sock", "taken", "taken", ""),
    ("unix:/run/x.sock", "taken", "taken", ""),
    ("unix:///", "taken", "refused", "a folder is no socket"),
    ("unix:///run/a%20b.sock", "taken", "taken", ""),
    ("UNIX:///run/x.sock", "taken", "taken", ""),
    ("unix://u@/x", "taken", "refused", "a socket has no user"),
    ("unix:///run/../x.sock", "taken", "taken", ""),
    ("", "refused", "refused", ""),
    ("http://", "refused", "refused", ""),
    ("http:///p", "refused", "refused", ""),
    ("http:x", "refused", "refused", ""),
    ("//x", "refused", "refused", ""),
    ("x", "refused", "refused", ""),
    ("://not a url", "refused", "refused", ""),
    ("localhost:8000", "refused", "refused", ""),
    ("127.0.0.1:8000", "refused", "refused", ""),
    ("ftp://x", "refused", "refused", ""),
    ("ws://x", "refused", "refused", ""),
    ("h2c://x", "refused", "refused", ""),
    ("http://u:p@x", "refused", "refused", ""),
    ("http://u@x", "refused", "refused", ""),
    ("http://x#f", "refused", "refused", ""),
    ("http://x:abc", "refused", "refused", ""),
    ("http://[::1", "refused", "refused", ""),
    ("http://x y", "refused", "refused", ""),
    ("http://x/%zz", "refused", "refused", ""),
    ("unix://run/x.sock", "refused", "refused", ""),
    ("unix://", "refused", "refused", ""),
    ("unix:relative", "refused", "refused", ""),
    ("unix:///x?q", "refused", "refused", ""),
    ("unix:///x#f", "refused", "refused", ""),
]


def _files() -> list[Case]:
    return [
        *(
            Case("1.9", row, name, text, theirs, ours, why, says, old, how="config")
            for row, name, text, theirs, ours, why, says, old in _TEXTS
        ),
        *(
            Case("1.9", 14, url or "empty", url, theirs, ours, why, how="url")
            for url, theirs, ours, why in _URLS
        ),
        Case("1.9", 1, "address unless told", ("host", "{}"), "", "127.0.0.1",
             "who listens for everyone says so", how="setting"),
        Case("1.9", 1, "IPv6", "ipv6", "[::1]", "[::1]", how="scenario", old="none"),
        Case("1.9", 2, "port unless told", ("port", "{}"), "8080", "8080", how="setting"),
        Case("1.9", 2, "port 0", ("port", '{"port":0}'), "8080", "0",
             "0 is any free port, as everywhere", how="setting"),
        Case("1.9", 16, "help", ("--help",), "0", "0", how="command"),
        Case("1.9", 16, "unknown flag", ("--config", "CONFIG", "--nope"), "2", "2", how="command"),
        Case("1.9", 16, "version", ("--version",), "2", "0", "support begins with a version",
             how="command"),
        Case("1.9", 16, "no file named", (), "1", "2",
             "a file that happens to lie in the folder is not meant", how="command"),
        Case("1.9", 16, "no such file", ("--config", "/nowhere.json", "--check"), "1", "1",
             says="/nowhere.json", how="command"),
        Case("1.9", 16, "words after it", ("--config", "CONFIG", "extra", "--check"), "served",
             "2", "a check that is forgotten is worse than an error", how="command"),
        Case("1.9", 16, "one dash", ("-config", "CONFIG", "-check"), "0", "2",
             "one dash is for letters", how="command"),
        Case("1.9", 16, "check", ("--config", "CONFIG", "--check"), "0", "0", how="command",
             old="2"),
        Case("1.9", 16, "check is silent", "check_is_silent", "silent", "silent", how="scenario",
             old="none"),
        Case("1.9", 16, "check reads no secret", '{"client_keys":{"a":{"keys":["${env:NO}"]}}}',
             "0", "0", how="check", old="2"),
        Case("1.9", 16, "check of half a reference",
             '{"client_keys":{"a":{"keys":["${"]}}}', "0", "1",
             "it would fail at the start", says="client_keys.a.keys[0]: ", how="check", old="2"),
        Case("1.9", 16, "all errors at once", '{"prot":1,"max_body_bytes":-1}', "1", "1",
             says="max_body_bytes: -1", how="check", old="2"),
    ]  # fmt: skip


DROPPED = "a dropped reference leaves a wrong secret behind"

# row, value, LLMhop's result, ours, why, 1.x.
# E=secret X=one Y=two F="a\nb", the credential tok=v, and files named by what they hold.
_SECRETS: list[tuple[int, str, str, str, str, str]] = [
    (1, "${cred:tok}", "v", "v", "", "refused"),
    (1, "${cred:sub/tok}", "refused", "refused", "", ""),
    (1, "${cred:..}", "refused", "refused", "", ""),
    (1, "${cred:.}", "refused", "refused", "", ""),
    (1, "${cred:/tok}", "refused", "refused", "", ""),
    (1, "${cred:tok/}", "refused", "refused", "", ""),
    (1, "${cred:}", "refused", "refused", "", ""),
    (1, "${cred:nobody}", "refused", "refused", "", ""),
    (2, "Bearer ${env:E}", "Bearer secret", "Bearer secret", "", "refused"),
    (2, "${env:EMPTY}", "", "", "", "refused"),
    (2, "${env:MISSING}", "refused", "refused", "", ""),
    (2, "${env:}", "refused", "refused", "", ""),
    (2, "${env: E}", "refused", "refused", "", ""),
    (2, "${env:E:x}", "odd", "odd", "", "refused"),
    (3, "${file:FOLDER/tok}", "v", "v", "", ""),
    (3, "${file:tok}", "refused", "refused", "", "v"),
    (3, "${file:/nowhere/x}", "refused", "refused", "", ""),
    (4, "${cred:one-line-end}", "x", "x", "", "refused"),
    (4, "${cred:two-line-ends}", "refused", "refused", "", ""),
    (4, "${cred:crlf}", "x", "x", "", "refused"),
    (4, "${cred:cr}", "refused", "refused", "", ""),
    (4, "${cred:cr-crlf}", "refused", "refused", "", ""),
    (4, "${cred:line-end}", "", "", "", "refused"),
    (5, "pa$sword", "refused", "refused", "", ""),
    (5, "$X", "refused", "refused", "", "one"),
    (5, "${X}", "refused", "refused", "", "one"),
    (5, "$1", "refused", "refused", "", ""),
    (5, "$*", "refused", "refused", "", ""),
    (5, "$#", "refused", "refused", "", ""),
    (5, "$@", "refused", "refused", "", ""),
    (5, "$!", "refused", "refused", "", ""),
    (5, "$?", "refused", "refused", "", ""),
    (5, "$-", "refused", "refused", "", ""),
    (6, "$$", "$", "$", "", "refused"),
    (7, "$$${env:E}", "$secret", "$secret", "", "refused"),
    (7, "$${env:E}", "${env:E}", "${env:E}", "", "refused"),
    (7, "a$${env:E}", "a${env:E}", "a${env:E}", "", "refused"),
    (7, "$$$$${env:E}", "$$secret", "$$secret", "", "refused"),
    (7, "$$$${env:E}", "$${env:E}", "$${env:E}", "", "refused"),
    (7, "$$$", "$$", "$$", "", "refused"),
    (7, "$$$$", "$$", "$$", "", "refused"),
    (7, "${$}", "$", "refused", DROPPED, "refused"),
    (8, "no refs here", "no refs here", "no refs here", "", ""),
    (8, "", "", "", "", ""),
    (8, "a $ b $", "a $ b $", "a $ b $", "", ""),
    (8, "$(x)", "$(x)", "$(x)", "", ""),
    (8, "$é", "$é", "$é", "", ""),
    (9, "${}", "", "refused", DROPPED, ""),
    (9, "${", "", "refused", DROPPED, ""),
    (9, "a${b", "ab", "refused", DROPPED, ""),
    (9, "${unclosed", "unclosed", "refused", DROPPED, ""),
    (10, "${env:NESTED}", "${env:E}", "${env:E}", "", "refused"),
    (10, "${cred:nested}", "${env:E}", "${env:E}", "", "refused"),
    (12, "${ENV:E}", "refused", "refused", "", ""),
    (12, "${Cred:tok}", "refused", "refused", "", ""),
    (13, "${env:F}", "refused", "refused", "", ""),
    (13, "${cred:nul}", "refused", "refused", "", ""),
]


def _secrets() -> list[Case]:
    return [
        *(
            Case("1.10", row, value or "empty", value, theirs, ours, why, old=old, how="secret")
            for row, value, theirs, ours, why, old in _SECRETS
        ),
        Case("1.10", 1, "no folder of credentials", "no_credentials_directory", "refused",
             "refused", how="scenario"),
        Case("1.10", 2, "two references", "${env:X}-${env:Y}", "one-two", "one-two",
             old="refused", how="secret"),
        Case("1.10", 11, "several bad references", "every_bad_reference", "all", "all",
             old="first", how="scenario"),
        Case("1.10", 13, "an empty key from a secret", "empty_key_from_a_secret", "refused",
             "refused", old="taken", how="scenario"),
        Case("1.10", 14, "a reference in a URL", _model('{"url":"http://${env:X}"}'), "refused",
             "refused", how="config"),
        Case("1.10", 14, "a reference in a name",
             '{"models":{"${env:X}":{"upstreams":[{"url":"http://x"}]}}}', "taken", "taken",
             how="config"),
    ]  # fmt: skip


CASES = [*_files(), *_secrets()]
