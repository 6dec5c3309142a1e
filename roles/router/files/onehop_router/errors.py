# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the router answers when it refuses: one table of codes, two wire shapes.

The shape follows the path: Anthropic's object under /v1/messages, OpenAI's everywhere else.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec


class Kind(NamedTuple):
    """How one error code looks on the wire."""

    status: int
    openai_type: str
    anthropic_type: str
    headers: tuple[tuple[str, str], ...] = ()


_ANTHROPIC = re.compile(r"(?:/route/[^/]+)?/v1/messages(?:/|$)")
_MAX_NAME = 256
_BAD = ("invalid_request_error", "invalid_request_error")
_RETRY = (("Retry-After", "1"),)
# OpenAI's and Anthropic's clients try a 5xx again unless they are told that it will stay.
_NO_RETRY = (("x-should-retry", "false"),)
# An engine that loads its weights takes a while.
_LATER = (("Retry-After", "5"),)

KINDS: dict[str, Kind] = {
    "bad_request": Kind(400, *_BAD),
    "invalid_path": Kind(400, *_BAD),
    "invalid_json": Kind(400, *_BAD),
    "missing_model": Kind(400, *_BAD),
    "duplicate_model": Kind(400, *_BAD),
    "conflicting_models": Kind(400, *_BAD),
    "invalid_form": Kind(400, *_BAD),
    "invalid_content_encoding": Kind(400, *_BAD),
    "invalid_api_key": Kind(
        401, "authentication_error", "authentication_error", (("WWW-Authenticate", "Bearer"),)
    ),
    "model_not_found": Kind(404, "invalid_request_error", "not_found_error"),
    "response_not_found": Kind(404, "invalid_request_error", "not_found_error"),
    "unknown_path": Kind(404, "invalid_request_error", "not_found_error"),
    "method_not_allowed": Kind(405, *_BAD, (("Allow", "GET, HEAD"),)),
    "request_timeout": Kind(408, *_BAD),
    "request_too_large": Kind(413, "invalid_request_error", "request_too_large"),
    "unsupported_content_encoding": Kind(415, *_BAD, (("Accept-Encoding", "gzip, deflate, zstd"),)),
    "expectation_failed": Kind(417, *_BAD),
    "concurrency_limit": Kind(429, "rate_limit_error", "rate_limit_error", _RETRY),
    "queue_full": Kind(429, "rate_limit_error", "rate_limit_error", _RETRY),
    "buffer_limit": Kind(429, "rate_limit_error", "rate_limit_error", _RETRY),
    "head_too_large": Kind(431, *_BAD),
    "internal_error": Kind(500, "server_error", "api_error", _NO_RETRY),
    "backend_unreachable": Kind(502, "server_error", "api_error"),
    "bad_backend_answer": Kind(502, "server_error", "api_error", _NO_RETRY),
    "model_unavailable": Kind(503, "server_error", "api_error", _LATER),
    "model_loading": Kind(503, "server_error", "api_error", _LATER),
    "backend_timeout": Kind(504, "server_error", "api_error"),
    "version_not_supported": Kind(505, *_BAD, _NO_RETRY),
}


class Refusal(Exception):
    """A request that the router answers itself with an error.

    `code` is a key of KINDS; `message` is shown to the client, so it never holds a secret;
    `param` is the request's field at fault, as OpenAI's error object names it. `more_headers` are
    header fields beside those of every refusal with that code.
    """

    def __init__(
        self,
        code: str,
        message: str,
        param: str | None = None,
        more_headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.more_headers = more_headers

    @property
    def status(self) -> int:
        """The HTTP status of this refusal."""
        return KINDS[self.code].status

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Header fields that this refusal brings beside the marker of its code."""
        return (*KINDS[self.code].headers, *self.more_headers, ("x-onehop-error", self.code))


def unknown_model(name: str) -> Refusal:
    """The one answer for a model that does not exist and for one that the key may not use."""
    # What is no text in a path came as lone surrogates, which JSON cannot hold.
    name = name.encode("utf-8", "replace").decode()
    if len(name) > _MAX_NAME:
        name = name[:_MAX_NAME] + "..."
    return Refusal(
        "model_not_found",
        f"The model `{name}` does not exist or you do not have access to it.",
        "model",
    )


def missing_model() -> Refusal:
    """The answer where a request names no model and there is no default."""
    return Refusal(
        "missing_model",
        "The request names no model: send `model` in its body, ?model= or the header x-model, or "
        "call /route/{model}/.",
        "model",
    )


def too_large(limit: int) -> Refusal:
    """The refusal of a body over `limit` bytes."""
    return Refusal("request_too_large", f"The request body is larger than {limit} bytes.")


def conflicting_models(place: str) -> Refusal:
    """The refusal of a request that names two models, the second in `place`."""
    return Refusal(
        "conflicting_models",
        f"The {place} names another model than the request does elsewhere.",
        "model",
    )


def speaks_anthropic(path: str) -> bool:
    """Whether a client of this path (without query) expects Anthropic's error object."""
    return _ANTHROPIC.match(path) is not None


def fields(refusal: Refusal, path: str, request_id: str) -> tuple[tuple[str, str], ...]:
    """The header fields of a refusal beside its framing, as clients of `path` look for them."""
    both = (("Content-Type", "application/json"), *refusal.headers)
    # Every answer has X-Request-Id; Anthropic's clients read this one.
    return (*both, ("request-id", request_id)) if speaks_anthropic(path) else both


def render(refusal: Refusal, path: str, request_id: str) -> bytes:
    """The JSON body of a refusal, in the shape that clients of `path` parse."""
    kind = KINDS[refusal.code]
    body: dict[str, object]
    if speaks_anthropic(path):
        body = {
            "type": "error",
            "error": {
                "type": kind.anthropic_type,
                "message": refusal.message,
                "details": {"error_code": refusal.code},
            },
            "request_id": request_id,
        }
    else:
        body = {
            "error": {
                "message": refusal.message,
                "type": kind.openai_type,
                "param": refusal.param,
                "code": refusal.code,
            }
        }
    return msgspec.json.encode(body) + b"\n"


def render_event(refusal: Refusal, path: str, request_id: str) -> bytes:
    """A refusal as the last event of a stream of server-sent events that is broken off."""
    # What came before may have ended in the middle of an event.
    name = b"event: error\n" if speaks_anthropic(path) else b""
    return b"\n\n%bdata: %b\n" % (name, render(refusal, path, request_id))
