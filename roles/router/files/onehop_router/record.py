# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is remembered of one request while it is under way, for its line in the log and the metrics."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from .usage import Ends, Tokens, readable_ends

if TYPE_CHECKING:
    from .framing import RequestHead
    from .headers import AnswerHead

# Takes the pieces of an answer that nobody will look at.
_nobody: deque[list[bytes]] = deque(maxlen=0)
_nowhere: Callable[[list[bytes]], None] = _nobody.append


class Ledger(Protocol):
    """Where what becomes of a request is counted."""

    def entered(self, record: Record) -> None:
        """It has passed the limits."""

    def upstream_failed(self, record: Record, kind: str) -> None:
        """An upstream has failed it."""

    def finished(self, record: Record) -> None:
        """It is over."""


class Record:
    """One request. Its fields are set by whoever learns them; `keep` is given an answer's body.

    `end` is how it ended: "complete", "refused:CODE" with an error of ours, "client_gone",
    "upstream_failed" in the middle of its answer, "aborted" by our own end, "internal_error".
    `begun`, `ended` and `first_byte`, of the answer's body, are by time.perf_counter; 0 is never.
    `head` is None where it could not be read.
    """

    __slots__ = (
        "_answer", "_ends", "_ledger", "begun", "bytes_in", "bytes_out", "end", "ended", "entered",
        "first_byte", "head", "id", "keep", "model", "peer", "status", "tries", "upstream",
    )  # fmt: skip

    def __init__(
        self, ledger: Ledger, head: RequestHead | None, request_id: str, peer: str | None
    ) -> None:
        self.head = head
        self.id = request_id
        self.peer = peer
        self.model = ""
        self.entered = False
        self.upstream = ""
        self.status = 0
        self.end = ""
        self.bytes_in = 0
        self.bytes_out = 0
        self.begun = time.perf_counter()
        self.ended = 0.0
        self.first_byte = 0.0
        self.tries = 0
        self.keep: Callable[[list[bytes]], None] = _nowhere
        self._ledger = ledger
        self._answer: AnswerHead | None = None
        self._ends: Ends | None = None

    @property
    def client(self) -> str:
        """The name of the key's holder, "" where there is none."""
        return self.head.client if self.head is not None else ""

    def enter(self) -> None:
        """The request has passed the limits: from here on it counts as one of its model's."""
        self.entered = True
        self._ledger.entered(self)

    def tried(self, upstream: str) -> None:
        """The request is about to go to this upstream address, or once more."""
        self.upstream = upstream
        self.tries += 1

    def upstream_error(self, kind: str) -> None:
        """The upstream has failed this request. `kind` is a short word of ours, not its message."""
        self._ledger.upstream_failed(self, kind)

    def answered(self, head: AnswerHead) -> None:
        """The head of the upstream's answer came."""
        self.status = head.status
        self._answer = head
        self.keep = self._keep_first

    def finish(self, end: str) -> None:
        """The request is over. The first to say so is right; then nothing happens any more."""
        if self.end:
            return
        self.end = end
        self.ended = time.perf_counter()
        # It may be the record's own method: a circle that only the garbage collector would find.
        self.keep = _nowhere
        self._ledger.finished(self)

    def tokens(self) -> Tokens | None:
        """What the answer says of its tokens."""
        return self._ends.tokens() if self._ends is not None else None

    def _keep_first(self, pieces: list[bytes]) -> None:
        self.first_byte = time.perf_counter()
        answer = self._answer
        if answer is not None and 200 <= answer.status < 300:
            self._ends = readable_ends(answer.kind, coded=answer.coded)
        self.keep = self._ends.begin(pieces) if self._ends is not None else _nowhere
