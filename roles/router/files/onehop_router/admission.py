# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides from a request's head alone what becomes of it, before any of its body is read."""

from __future__ import annotations

from typing import NamedTuple

from .auth import ANYONE, Identity
from .codings import Coding, coding_of
from .errors import Refusal, too_large
from .forms import rename_in_query
from .framing import RequestHead
from .naming import NO_NAMES, names_in_head
from .paths import RoutedPath, split_path
from .routing import Route, Table

_JSON = "application/json"


class Answer(NamedTuple):
    """An answer from memory: status, body, and header fields beside the framing."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class Admission(NamedTuple):
    """A request to be relayed. `route` is None where the body has yet to name the model.

    `query_model` is the name in the query, if there is one. `coding` is how a body is compressed
    that has to be read.
    """

    identity: Identity
    path: RoutedPath
    route: Route | None
    query_model: str | None = None
    coding: Coding | None = None

    def query_for(self, query: str | None, model: str) -> str | None:
        """The query to send to a target that calls the model so."""
        if query is None or self.query_model in (None, model):
            return query
        return rename_in_query(query, model)


def admit(head: RequestHead, table: Table) -> Answer | Admission:
    """The order of checks: open paths, key, own paths, path, size, the model that the head names.

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
    names = names_in_head(head, split.model)
    model = None if names is NO_NAMES else names.agreed(table.canonical)
    if model is not None:
        return Admission(who, split, table.route(model, who), names.query)
    return Admission(who, split, None, coding=coding_of(head) if head.length != 0 else None)


def _read_only(head: RequestHead) -> None:
    if head.method not in (b"GET", b"HEAD"):
        raise Refusal("method_not_allowed", "This path is only read: GET or HEAD.")
