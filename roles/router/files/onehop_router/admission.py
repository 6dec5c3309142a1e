# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides from a request's head alone what becomes of it, before any of its body is read."""

from __future__ import annotations

from typing import NamedTuple

from .auth import ANYONE, Identity
from .errors import Refusal
from .framing import RequestHead
from .paths import RoutedPath, split_path
from .routing import Route, Table

_JSON = "application/json"


class Answer(NamedTuple):
    """An answer from memory: status, body, and header fields beside the framing."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class Admission(NamedTuple):
    """A request to be relayed. `route` is None where the body has yet to name the model."""

    identity: Identity
    path: RoutedPath
    route: Route | None


def admit(head: RequestHead, table: Table) -> Answer | Admission:
    """The order of checks: open paths, key, own paths, path, size, model in the path.

    Raises Refusal and auth.Unverified. The limits come after this, the body after that.
    """
    path = head.path
    if path == "/health":
        _read_only(head)
        return Answer(200, table.health, (("Content-Type", _JSON),))
    if path == "*":
        return Answer(200, b"")
    who = table.keys.identify(head.first) if table.keys else ANYONE
    if who is None:
        raise Refusal("invalid_api_key", "The API key is missing or wrong.")
    if path == "/v1/models":
        _read_only(head)
        return Answer(200, table.list_models(who), (("Content-Type", _JSON),))
    split = split_path(path)
    if split.model is None and split.segments[:2] == ("v1", "models"):
        _read_only(head)
        body = table.show_model("/".join(split.segments[2:]), who)
        return Answer(200, body, (("Content-Type", _JSON),))
    allowed = table.allowed if who.paths is None else who.paths
    if allowed is not None and not allowed.match(split.segments):
        raise Refusal("unknown_path", "This path is not served here.")
    limit = table.config.max_body_bytes
    if limit and head.length is not None and head.length > limit:
        raise too_large(limit)
    if split.model is not None:
        return Admission(who, split, table.route(split.model, who))
    coding = head.first.get(b"content-encoding", b"identity")
    if coding.lower() != b"identity":
        raise Refusal(
            "unsupported_content_encoding",
            "A compressed body hides its model; send it plain or to /route/{model}/.",
        )
    return Admission(who, split, None)


def too_large(limit: int) -> Refusal:
    """The refusal of a body over `limit` bytes."""
    return Refusal("request_too_large", f"The request body is larger than {limit} bytes.")


def _read_only(head: RequestHead) -> None:
    if head.method not in (b"GET", b"HEAD"):
        raise Refusal("method_not_allowed", "This path is only read: GET or HEAD.")
