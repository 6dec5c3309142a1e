# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exchange of a request that creates a response, which is remembered with its replica."""

from __future__ import annotations

import re

from .course import Course
from .exchange import Exchange
from .headers import AnswerHead
from .named_body import NamedBody
from .responses import CREATE, Made, replica_of
from .routing import Route

# How far into an answer its id is looked for.
_MAX_LOOK = 8192
_ID = re.compile(rb'"id"\s*:\s*"(resp_[A-Za-z0-9_-]{1,200})"')
_PREVIOUS = re.compile(rb'"previous_response_id"\s*:\s*"(resp_[A-Za-z0-9_-]{1,200})"')


class ResponseExchange(Exchange):
    """Creates a response, and remembers where."""

    _look = b""
    _looking = False

    @staticmethod
    def fits(method: bytes, segments: tuple[str, ...]) -> bool:
        """Whether this is a request that creates a response."""
        return segments == CREATE and method == b"POST"

    def _plan(self, route: Route, body: NamedBody | None) -> Course:
        course = super()._plan(route, body)
        # What goes on from a response goes to where that one is.
        found = None
        if body is not None and len(route.targets) > 1:
            found = _PREVIOUS.search(body.whole)
        if found is not None:
            made = self._table.responses.find(found[1].decode(), self._admission.identity)
            if made is not None:
                course.first = replica_of(route, made)
        return course

    def answer(self, head: AnswerHead) -> None:
        """Look for the id in what follows."""
        self._looking = head.status == 200
        super().answer(head)

    def pieces(self, pieces: list[bytes]) -> None:
        """Look for the id in the first bytes, and send them on as they are."""
        if self._looking:
            self._look += b"".join(pieces)[:_MAX_LOOK]
            found = _ID.search(self._look)
            target, course = self._target, self._course
            if found is not None and target is not None and course is not None:
                made = Made(course.route.name, target.url, self._admission.identity.name)
                self._table.responses.remember(found[1].decode(), made)
            if found is not None or len(self._look) >= _MAX_LOOK:
                self._looking, self._look = False, b""
        super().pieces(pieces)
