# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a replica takes requests, as learnt from the requests that it got and from checks.

No socket and no clock here: `now` is the loop's time in seconds.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .cards import Facts

log = logging.getLogger("onehop_router")

# Requests lost one after the other until a replica is left alone. A refused connect is enough.
MAX_LOSSES = 3
# For how long it is left alone: twice as long each time, until a request is answered again.
FIRST_PAUSE = 1.0
MAX_PAUSE = 30.0
# Checks that fail one after the other until a replica is down. One that is silent may be busy.
MAX_MISSES = 2
MAX_SILENCES = 6


def _nothing() -> None:
    return


class Health:
    """What is known of one replica. While `up` is false it gets no requests.

    Two things take a replica out. Requests that fail do it for a pause, after which a check may
    end it; checks that fail do it until one passes. `rose` is called when it is up again; `hurry`
    asks whoever checks it to look at once.
    """

    __slots__ = (
        "_ill", "_lift", "_misses", "_outs", "_pause_ends", "_silences", "checked", "facts",
        "failures", "hurry", "loading", "name", "reason", "rose", "up",
    )  # fmt: skip

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.up = True
        self.loading = False
        # Why it is down, as the log has it.
        self.reason = ""
        # Whether a check has ever told something, and what the engine says of its model.
        self.checked = False
        self.facts: Facts | None = None
        # Failures since the last answer.
        self.failures = 0
        self.rose: Callable[[], None] = _nothing
        self.hurry: Callable[[], None] = _nothing
        self._ill = False
        self._misses = 0
        self._silences = 0
        self._outs = 0
        self._pause_ends = 0.0
        # Whether a check that passes ends the pause before its time.
        self._lift = False

    @property
    def state(self) -> str:
        """In one word, for clients."""
        if self.up:
            return "up"
        return "loading" if self.loading else "down"

    @property
    def doubted(self) -> bool:
        """Whether it is up, and the last check failed."""
        return self.up and bool(self._misses)

    @property
    def ill(self) -> bool:
        """Whether checks say that it is down: then no request needs to find out."""
        return self._ill

    # -- what requests tell

    def answered(self) -> None:
        """A request got an answer, whatever it was."""
        self.failures = 0
        self._outs = 0
        if not self.up and not self._ill:
            self._rise()

    def refused(self, now: float, reason: str) -> None:
        """It could not be connected to."""
        self._take_out(now, reason, lift=True)

    def unavailable(self, now: float, reason: str, *, loading: bool = False) -> None:
        """It said itself that it cannot answer now."""
        self._take_out(now, reason, lift=False)
        self.loading = loading

    def lost(self, now: float, reason: str) -> None:
        """A request was lost on it."""
        if self.failures + 1 >= MAX_LOSSES or not self.up:
            self._take_out(now, reason, lift=False)
        else:
            self.failures += 1

    def pause_left(self, now: float) -> float:
        """The time until it is worth a look."""
        return max(0.0, self._pause_ends - now)

    # -- what checks tell

    def passed(self, now: float) -> None:
        """A check went well."""
        self.checked = True
        self._misses = self._silences = 0
        if self.up:
            return
        if self._ill or self._lift or now >= self._pause_ends:
            self._rise()

    def missed(self, reason: str, *, silent: bool = False, loading: bool = False) -> None:
        """A check failed; `silent` where the replica took the question and gave no answer."""
        self.checked = True
        self.loading = loading
        if silent:
            self._silences += 1
        else:
            self._misses += 1
        if self._misses >= MAX_MISSES or self._silences >= MAX_SILENCES:
            self._ill = True
            self._fall(reason)

    def still_down(self, now: float) -> None:
        """The look after the pause found what was there before: the next pause is longer."""
        self._outs += 1
        self._pause_ends = now + self._pause()

    # -- both

    def _pause(self) -> float:
        # Jitter, so that several routers do not look in step.
        return min(MAX_PAUSE, FIRST_PAUSE * 2.0 ** min(self._outs - 1, 9)) * random.uniform(
            0.8, 1.2
        )

    def _take_out(self, now: float, reason: str, *, lift: bool) -> None:
        self.failures += 1
        if not self.up:
            # Requests that were under way at the time tell nothing new.
            return
        self._outs += 1
        self._lift = lift
        self._pause_ends = now + self._pause()
        self._fall(reason)
        self.hurry()

    def _fall(self, reason: str) -> None:
        if self.up:
            self.up = False
            self.reason = reason
            log.warning("%s is down: %s", self.name, reason)

    def _rise(self) -> None:
        self.up = True
        self.reason = ""
        self.loading = self._ill = False
        self._misses = self._silences = 0
        log.info("%s is up again", self.name)
        self.rose()
