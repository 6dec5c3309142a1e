# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where one request goes: which replica next, and whether an answer sends it on to another.

No socket here. What a request may cost a second replica is decided here alone: only what reached
no engine is sent on freely, and what an engine lost only where an answer is all that it makes.
"""

from __future__ import annotations

import enum

from .auth import Identity
from .headers import AnswerHead
from .paths import DEFAULT_ALLOWED_PATHS, AllowedPaths
from .routing import Route, Target

# Asking twice for these costs time and nothing else: no engine keeps anything of them.
_COMPUTED = AllowedPaths(one for one in DEFAULT_ALLOWED_PATHS if "/responses" not in one)
# Codes of a router behind us which say that the request reached no engine.
LOADING = b"model_loading"
_AWAY = (b"model_unavailable", LOADING)
_FULL = (b"concurrency_limit", b"queue_full", b"buffer_limit")
_LOST = (b"backend_unreachable", b"bad_backend_answer")


class Verdict(enum.Enum):
    """What an answer says about its replica."""

    ANSWER = enum.auto()
    # It has reached its limits, as the router there says.
    FULL = enum.auto()
    # Its model is down or starts, as the router there says.
    AWAY = enum.auto()
    # Its engine failed under the request, as the router there says.
    LOST = enum.auto()
    # A 503 of the engine itself: it starts, or it is overloaded.
    NOT_NOW = enum.auto()


def judge(head: AnswerHead) -> Verdict:
    """What an answer says about its replica."""
    if head.status not in (429, 502, 503):
        return Verdict.ANSWER
    code = head.error_code()
    if code is None:
        return Verdict.NOT_NOW if head.status == 503 else Verdict.ANSWER
    if code in _AWAY:
        return Verdict.AWAY
    if code in _FULL:
        return Verdict.FULL
    return Verdict.LOST if code in _LOST else Verdict.ANSWER


def repeatable(method: bytes, segments: tuple[str, ...]) -> bool:
    """Whether an engine that has had this request may be asked again: it keeps nothing of it."""
    return method in (b"GET", b"HEAD") or (method == b"POST" and _COMPUTED.match(segments))


class Course:
    """The replicas of a request, one after the other: its model's, then its fallbacks'."""

    __slots__ = ("_home", "_session", "_who", "first", "route", "tried")

    def __init__(self, route: Route, who: Identity, session: bytes | None) -> None:
        # The route of the replica that was given last.
        self.route = route
        self.tried: list[Target] = []
        # A replica that is asked before all others, if it is up.
        self.first: Target | None = None
        self._home = route
        self._who = who
        self._session = session

    @property
    def name(self) -> str:
        """The model that was asked for."""
        return self._home.name

    @property
    def waits(self) -> bool:
        """Whether the request may wait for a replica."""
        return self._home.waits

    @property
    def loading(self) -> bool:
        """Whether a replica is on its way up."""
        return any(one.health.loading for one in self._home.targets)

    @property
    def fallback(self) -> str | None:
        """The model that answers in place of the one that was asked for, if one does."""
        return None if self.route is self._home else self.route.name

    def next(self) -> Target | None:
        """The replica to ask, or None where none is left."""
        first = self.first
        if first is not None:
            self.first = None
            if first.health.up:
                return first
        target = self.route.pick(self.tried, self._session)
        return target if target is not None else self._elsewhere()

    def go_home(self, route: Route) -> None:
        """Begin anew with the model's own replicas, which may be others since a reload."""
        self.route = self._home = route
        self.tried.clear()

    def _elsewhere(self) -> Target | None:
        for other in self._home.fallbacks:
            # A key that may not use a model does not get its answers either.
            if self._who.may_use(other.name):
                target = other.pick(self.tried, self._session)
                if target is not None:
                    self.route = other
                    return target
        self.route = self._home
        # Where nothing is waited for, one more try is better than none.
        return None if self._home.waits else self._home.pick_down(self.tried)
