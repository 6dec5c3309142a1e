# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One request's answer: from a replica's connection back to the client.

What an answer may be relayed, what sends the request to another replica instead, and how one that
breaks off is ended so that nobody takes it for whole.
"""

from __future__ import annotations

import logging
import time

from .admission import Admission
from .course import LOADING, Verdict, judge, repeatable
from .dispatch import Client, Dispatch
from .errors import Refusal, render_event
from .framing import RequestHead
from .headers import AnswerHead, AnswerWriter, Fields, write_informational
from .limits import Limits
from .record import Record
from .routing import Table

log = logging.getLogger("onehop_router")


class Exchange(Dispatch):
    """A Receiver for the upstream, and through Dispatch the client's counterpart."""

    def __init__(
        self,
        client: Client,
        limits: Limits,
        table: Table,
        head: RequestHead,
        admission: Admission,
        record: Record,
    ) -> None:
        super().__init__(client, limits, table, head, admission, record)
        # Whether an answer is on its way to the client.
        self.begun = False
        self._answer: AnswerHead | None = None
        self._writer = AnswerWriter(head)
        # Bytes for the client that the current read of the upstream has brought.
        self._out: list[bytes] = []
        # Whether it was sent on already because of what an engine did with it.
        self._lost = False
        self._not_now = False

    # -- from the upstream (upstream.Receiver)

    def informational(self, status: int, reason: bytes, fields: Fields) -> None:
        """Relay a 1xx, but 100: the client's own expectation is met here already."""
        if status != 100 and self._request.version == b"1.1":
            self._out.append(write_informational(status, reason, fields))

    def answer(self, head: AnswerHead) -> None:
        """Send the head on; from here on nothing can be replayed, so the body is let go."""
        if head.status == 101 and self._request.upgrade is None:
            self._drop_connection()
            self.failed("bad_backend_answer", "it changed protocols unasked")
            return
        if head.status >= 429 and self._sent_on(head):
            return
        target, course = self._target, self._course
        assert target is not None and course is not None
        if target.health.failures:
            target.health.answered()
        if course.fallback is not None:
            head.fields.append((b"x-onehop-model", course.fallback.encode()))
        self._answer = head
        self.begun = True
        self.record.answered(head)
        self._let_go_of_body()
        if not self._sent_all:
            # An answer before the request's end: the rest of the request will not be read.
            self._writer.closes = True
        self._out.append(self._writer.head(head, self.request_id))
        if head.status == 101:
            self.flush()
            self._client.upgraded()

    def pieces(self, pieces: list[bytes]) -> None:
        """Send body on."""
        self.record.keep(pieces)
        self._out += self._writer.body(pieces)

    def flush(self) -> None:
        """Write what one read of the upstream has brought, in one go."""
        if self._out:
            out, self._out = self._out, []
            self._client.send(out)

    def tunnelled(self, data: bytes) -> None:
        """Send bytes on as they are."""
        self._writer.sent += len(data)
        self._client.send([data])

    def complete(self, trailers: Fields) -> None:
        """The answer has ended well."""
        connection, self._connection = self._connection, None
        if connection is not None and not self._sent_all:
            connection.abort()
        answer = self._answer
        self._settle()
        self.record.finish("complete")
        if answer is not None and answer.status == 101:
            self._client.answered(False)
            return
        self._out += self._writer.end(trailers)
        self.flush()
        self._client.answered(not self._writer.closes)

    def failed(self, code: str, reason: str) -> None:
        """The upstream went away: send the request again if that is safe, else say so."""
        connection, self._connection = self._connection, None
        target = self._target
        assert target is not None
        stale = self._pooled and connection is not None and not connection.answered
        if stale and self._body is not None and not self._replayed and self._answer is None:
            self._replayed = True
            self.record.tried(target.upstream.name)
            target.upstream.connect(self._connected)
            return
        log.warning("%s: %s failed: %s", self._who(), target.url.address, reason)
        self.record.upstream_error("answer" if code == "bad_backend_answer" else "closed")
        target.health.lost(time.monotonic(), f"a request was lost: {reason}")
        if self.begun:
            self._break_off(Refusal(code, "The model's backend broke off its answer."))
        elif code != "backend_unreachable":
            self._refuse(Refusal(code, "The model's backend gave an answer that is not HTTP."))
        elif not self._retry_lost():
            self._refuse(Refusal(code, self._unreachable()))

    def writable(self, now: bool) -> None:
        """Hold the client's upload, or its side of a tunnel, while the upstream is full."""
        connection = self._connection
        if not self._sent_all or (connection is not None and connection.tunnel):
            self._client.hold_upload(not now)

    # -- elsewhere

    def _sent_on(self, head: AnswerHead) -> bool:
        """Whether an answer only says that this replica cannot now, and another one will."""
        verdict = judge(head)
        target = self._target
        if verdict is Verdict.ANSWER or target is None:
            return False
        self.record.upstream_error("unavailable")
        now = time.monotonic()
        said = f"it answers {head.status}"
        if verdict is Verdict.AWAY:
            target.health.unavailable(now, said, loading=head.error_code() == LOADING)
            return self._leave(wait=True)
        if verdict is Verdict.FULL:
            return self._leave(wait=False)
        if verdict is Verdict.LOST:
            target.health.lost(now, said)
            return self._retry_lost()
        if self._not_now or target.health_path is None:
            # An engine that says so twice means it, and one that is not asked never says more.
            return self._leave(wait=False)
        self._not_now = True
        target.health.unavailable(now, said, loading=True)
        return self._leave(wait=True)

    def _retry_lost(self) -> bool:
        """Ask another replica for what an engine has lost: once, and where that does no harm."""
        target = self._target
        method, segments = self._request.method, self._admission.path.segments
        if self._lost or target is None or not target.ours or not repeatable(method, segments):
            return False
        # Whatever that was may have killed idle connections, too.
        self._lost = self._replayed = True
        return self._leave(wait=False)

    # -- ends

    def sweep(self, now: float) -> None:
        """End a request whose upstream has been silent for too long. `now` is the loop's time."""
        config = self._table.config
        limit = config.idle_stream_seconds if self.begun else config.answer_seconds
        connection = self._connection
        if not limit or connection is None or connection.tunnel:
            return
        if self.begun:
            # Where we do not read, it is the client that is slow.
            moved = connection.paused or connection.reads != self._progress
        else:
            moved = not self._sent_all
        if moved or not self._progress_at:
            self._progress_at, self._progress = now, connection.reads
            return
        if now - self._progress_at < limit or connection.has_news():
            return
        self._drop_connection()
        what = "gone on with its answer" if self.begun else "answered"
        refusal = Refusal(
            "backend_timeout", f"The model's backend has not {what} within {limit:g} s."
        )
        log.warning("%s: no word within %g s", self._who(), limit)
        self.record.upstream_error("timeout")
        if self.begun:
            self._break_off(refusal)
        else:
            self._refuse(refusal)

    def _break_off(self, refusal: Refusal) -> None:
        """End an answer in the middle, so that nobody takes it for whole."""
        answer, request = self._answer, self._request
        length_known = answer is not None and answer.framing == "length"
        clean = request.version == b"1.1" or length_known
        if answer is not None and self._writer.chunked and answer.is_event_stream():
            self._out += self._writer.body([render_event(refusal, request.path, self.request_id)])
        self._settle()
        self.record.finish("upstream_failed")
        self.flush()
        self._client.cut(clean)

    def _settle(self) -> None:
        self.record.bytes_out = self._writer.sent
        super()._settle()
