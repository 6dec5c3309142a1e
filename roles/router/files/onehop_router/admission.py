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
from .metrics import METRICS_PATH, may_read_metrics
from .naming import NO_NAMES, names_in_head
from .page_access import PATHS as STATUS_PATHS
from .page_access import reader as status_reader
from .paths import RoutedPath, split_path
from .responses import CREATE, find_response
from .routing import Route, Table

_JSON = "application/json"


class Answer(NamedTuple):
    """An answer from memory: status, body, and header fields beside the framing."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class Admission(NamedTuple):
    """A request to be relayed. `route` is None where the body has yet to name the model.

    `reads` says whether the body has to be read for the model that it names, and `coding` how it is
    compressed then. `query_model` is the name in the query, if there is one.
    """

    identity: Identity
    path: RoutedPath
    route: Route | None
    reads: bool
    coding: Coding | None
    query_model: str | None = None

    def query_for(self, query: str | None, model: str) -> str | None:
        """The query to send to a target that calls the model so."""
        if query is None or self.query_model in (None, model):
            return query
        return rename_in_query(query, model)


def admit(head: RequestHead, table: Table) -> Answer | Admission:
    """Whether a request may go on, and as whose; of heads that are alike, the first is judged.

    Raises Refusal and auth.Unverified. The limits come after this, the body after that.
    """
    known: Admission | None = head.admitted.get(table)
    if known is not None:
        head.client = known.identity.name
        _check_size(head, table)
        return known
    admission = _judge(head, table)
    if isinstance(admission, Admission) and _holds(admission, head):
        head.admitted.clear()
        head.admitted[table] = admission
    return admission


def _judge(head: RequestHead, table: Table) -> Answer | Admission:
    # The order of checks: open paths, key, own paths, path, size, the model that the head names.
    path = head.path
    if path == "/health":
        _read_only(head)
        return Answer(200, table.health, (("Content-Type", _JSON),))
    if path == "*":
        return Answer(200, b"")
    if path in STATUS_PATHS:
        return _status(head, table)
    who = table.keys.identify(head.first) if table.keys else ANYONE
    if who is None:
        raise Refusal("invalid_api_key", "The API key is missing or wrong.")
    head.client = who.name
    if path == METRICS_PATH:
        return _metrics(head, table, who)
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
    _check_size(head, table)
    names = names_in_head(head, split.model)
    model = None if names is NO_NAMES else names.agreed(table.canonical)
    route = find_response(table, split, model, who)
    if route is None and model is not None:
        route = table.route(model, who)
    # Behind one upstream may be many models: a key that is bound to some of them cannot name one
    # of these in the head and another in the body.
    reads = route is None or who.models is not None
    coding = coding_of(head) if reads and head.length != 0 else None
    return Admission(who, split, route, reads, coding, names.query)


def _check_size(head: RequestHead, table: Table) -> None:
    limit = table.config.max_body_bytes
    if limit and head.length is not None and head.length > limit:
        raise too_large(limit)


def _holds(admission: Admission, head: RequestHead) -> bool:
    """Whether heads like this one will be admitted alike for as long as the table is in force.

    Whose a response is may change, and a coding only counts where there is a body.
    """
    named = admission.path.segments[:2] == CREATE and len(admission.path.segments) > 2
    return not named and b"content-encoding" not in head.first


def _metrics(head: RequestHead, table: Table, who: Identity) -> Answer:
    if not may_read_metrics(who, table.config):
        raise Refusal("unknown_path", "This path is not served here.")
    _read_only(head)
    text, kind = table.metrics(head.first.get(b"accept", b"").decode("latin-1"))
    return Answer(200, text, (("Content-Type", kind),))


def _status(head: RequestHead, table: Table) -> Answer:
    head.client = status_reader(head.first, table.keys, table.config).name
    _read_only(head)
    return Answer(200, *table.status(head.path))


def _read_only(head: RequestHead) -> None:
    if head.method not in (b"GET", b"HEAD"):
        raise Refusal("method_not_allowed", "This path is only read: GET or HEAD.")
