# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the bench's clients send and its backend answers, as bytes."""

from __future__ import annotations

import json

MODEL = "bench"
KEY = "sk-onehop-bench-0123456789abcdef0123456789abcdef"
PATH = "/v1/chat/completions"

STAMP_DIGITS = 20
"""Every event holds the time it left the backend: CLOCK_MONOTONIC in ns, filled up with zeros."""

# The head of the official Python SDK, beside what every request has.
SDK_FIELDS = (
    "Accept-Encoding: gzip, deflate",
    "Connection: keep-alive",
    "Accept: application/json",
    "User-Agent: OpenAI/Python 2.8.0",
    "X-Stainless-Lang: python",
    "X-Stainless-Package-Version: 2.8.0",
    "X-Stainless-OS: Linux",
    "X-Stainless-Arch: x64",
    "X-Stainless-Runtime: CPython",
    "X-Stainless-Runtime-Version: 3.13.5",
    "X-Stainless-Async: false",
    "x-stainless-retry-count: 0",
    "x-stainless-read-timeout: 600",
)


def fields(*, sdk: bool = False) -> dict[str, str]:
    """The header fields of a request, without Host and framing."""
    lines = ["Content-Type: application/json", f"Authorization: Bearer {KEY}"]
    if sdk:
        lines += SDK_FIELDS
    return dict(line.split(": ", 1) for line in lines)


def small_body() -> bytes:
    """A chat of one word."""
    return json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}).encode()


def body_of(size: int) -> bytes:
    """A chat of exactly `size` bytes, in words like a prompt's."""
    before = b'{"model": "%b", "messages": [{"role": "user", "content": "' % MODEL.encode()
    after = b'"}]}'
    words = b"The quick brown fox jumps over the lazy dog. "
    room = size - len(before) - len(after)
    if room < 0:
        raise ValueError(f"{size} bytes are too few for a chat")
    return before + (words * (room // len(words) + 1))[:room] + after


def stream_body(rate: float) -> bytes:
    """Asks for a stream of `rate` events a second until the client hangs up; 0: one event."""
    chat = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        # The backend reads its orders here: proxies that rewrite the body keep this field.
        "user": f"rate={rate:g}",
    }
    return json.dumps(chat).encode()


def request(body: bytes, *, sdk: bool = False) -> bytes:
    """A whole request."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields(sdk=sdk).items())
    head = f"POST {PATH} HTTP/1.1\r\nHost: router.example\r\n{lines}Content-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body
