# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which replica made which response: for the requests of the Responses API that name no model.

An engine keeps the responses that it made in its own memory, so what is asked about one later has
to go to the same replica, and only for the key that made it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from .auth import Identity
from .errors import Refusal
from .paths import RoutedPath
from .urls import UpstreamUrl

if TYPE_CHECKING:
    from .routing import Route, Table, Target

MAX_RESPONSES = 16384
_MAX_SHOWN = 256
CREATE = ("v1", "responses")
# What stands in the place of an id, and is none.
_NO_IDS = ("input_tokens", "compact")


class Made(NamedTuple):
    """Where a response is, and whose it is."""

    model: str
    url: UpstreamUrl
    holder: str


class ResponseMemory:
    """The responses that were made last, by id. Outlives tables."""

    def __init__(self) -> None:
        self._made: OrderedDict[str, Made] = OrderedDict()

    def remember(self, name: str, made: Made) -> None:
        """Note who made a response. The first one who did keeps it."""
        known = self._made.setdefault(name, made)
        if known.holder == made.holder:
            self._made[name] = made
            self._made.move_to_end(name)
        while len(self._made) > MAX_RESPONSES:
            self._made.popitem(last=False)

    def find(self, name: str, who: Identity) -> Made | None:
        """Where a response is. Raises Refusal (404) where somebody else made it."""
        made = self._made.get(name)
        if made is None:
            return None
        if made.holder != who.name or not who.may_use(made.model):
            raise unknown_response(name)
        self._made.move_to_end(name)
        return made


def find_response(table: Table, path: RoutedPath, model: str | None, who: Identity) -> Route | None:
    """The way to the replica that made the response in a path; None where the path names none.

    `model` is what the request's head names. Raises Refusal (404). An unknown id may still be a
    response's, from before this router began: where the head names the model, or there is but one
    replica and no keys to mix up, that is asked.
    """
    segments = path.segments
    if segments[:2] != CREATE or len(segments) < 3 or segments[2] in ("", *_NO_IDS):
        return None
    made = table.responses.find(segments[2], who)
    if made is not None and (model is None or table.canonical(model) == made.model):
        route = table.routes.get(made.model)
        target = replica_of(route, made)
        if route is not None and target is not None:
            return route.only(target)
    if model is not None:
        return None
    if made is None and not table.keys and len(table.routes) == 1:
        route = next(iter(table.routes.values()))
        if len(route.targets) == 1:
            return route.only(route.targets[0])
    raise unknown_response(segments[2])


def replica_of(route: Route | None, made: Made) -> Target | None:
    """The replica that made a response, if the model still has it."""
    targets = route.targets if route is not None else ()
    return next((one for one in targets if one.url == made.url), None)


def unknown_response(name: str) -> Refusal:
    """The one answer for a response that does not exist and for one that another key made."""
    shown = name.encode("utf-8", "replace").decode()[:_MAX_SHOWN]
    return Refusal("response_not_found", f"Response with id '{shown}' not found.")
