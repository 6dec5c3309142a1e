# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a case of the comparison with LLMhop is, and which rows there are to compare.

The rows are those of LLMhop's behaviour, section by section: routes, order of checks, statuses,
the model in the body, header fields, upstream URLs, limits, keys, configuration and command line,
secrets, listening and signals, the readiness wrapper.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Case(NamedTuple):
    """One thing asked, LLMhop 2.2.1's outcome, and ours.

    `row` is the row's number in its section; `request` is what `how` (a runner of the test file)
    reads. `why` stands where the outcomes differ, and only there. `says` has to be part of what we
    answer. `old` is the outcome of LLMhop 1.x where that is another than 2.2.1's. `config` is a key
    of CONFIGS.
    """

    section: str
    row: int
    name: str
    request: Any
    theirs: str
    ours: str
    why: str = ""
    says: str = ""
    old: str = ""
    how: str = "ask"
    config: str = "open"


# How many rows each section has; every one of them needs a case.
ROWS = {
    "1.1": 18, "1.2": 9, "1.3": 12, "1.4": 20, "1.5": 13, "1.6": 4, "1.7": 8, "1.8": 6,
    "1.9": 16, "1.10": 14, "1.11": 7, "1.12": 8,
}  # fmt: skip

# Every path is open unless a case says otherwise: LLMhop has no allow-list.
# The runner puts a backend's address for BACKEND, and one where nobody listens for DEAD.
CONFIGS: dict[str, dict[str, Any]] = {
    "open": {
        "allowed_paths": None,
        "models": {
            "m": {"upstreams": [{"url": "BACKEND"}]},
            "org/x": {"upstreams": [{"url": "BACKEND/org"}]},
            "based": {"upstreams": [{"url": "BACKEND/base?backend=1"}]},
            "hidden": {"upstreams": [{"url": "BACKEND"}], "unlisted": True},
            "dead": {"upstreams": [{"url": "DEAD"}]},
        },
    },
    "keyed": {
        "allowed_paths": None,
        "client_keys": {"a": {"keys": ["alpha"]}, "b": {"keys": ["beta"]}},
        "max_body_bytes": 16,
        "models": {"m": {"upstreams": [{"url": "BACKEND"}]}},
    },
    "small": {
        "allowed_paths": None,
        "max_body_bytes": 16,
        "models": {"m": {"upstreams": [{"url": "BACKEND"}]}},
    },
    # One request takes the only place before the case begins.
    "busy": {
        "allowed_paths": None,
        "max_body_bytes": 16,
        "max_concurrent_requests": 1,
        "models": {"m": {"upstreams": [{"url": "BACKEND"}]}},
    },
    "endless": {"allowed_paths": None, "max_body_bytes": 0, "models": {}},
    "guarded": {"models": {"m": {"upstreams": [{"url": "BACKEND"}]}}},
    "headed": {
        "allowed_paths": None,
        "models": {
            "m": {
                "upstreams": [
                    {
                        "url": "BACKEND",
                        "headers": {
                            "Authorization": "Bearer up", "Host": "backend.example",
                            "X-Injected": " y ", "X-Forwarded-For": "9.9.9.9", "X-Empty": "",
                            "x-lower": "1",
                        },
                    }
                ]
            }
        },
    },
}  # fmt: skip


def ask(line: str, body: bytes | str = b"", *fields: str) -> bytes:
    """A request with a Host and, where there is a body, its length."""
    raw = body.encode() if isinstance(body, str) else body
    lines = [f"{line} HTTP/1.1", "Host: client.example", *fields]
    if raw:
        lines.append(f"Content-Length: {len(raw)}")
    return "\r\n".join([*lines, "", ""]).encode() + raw


def chunked(line: str, *chunks: bytes, end: bytes = b"0\r\n\r\n", fields: str = "") -> bytes:
    """A request whose body comes in these chunks."""
    head = f"{line} HTTP/1.1\r\nHost: client.example\r\nTransfer-Encoding: chunked\r\n{fields}\r\n"
    return head.encode() + b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in chunks) + end


M = '{"model":"m"}'
