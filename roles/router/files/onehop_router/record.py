# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is remembered of one request while it is under way, for its line in the log and the metrics.

Whoever ends a request calls `finish`, and the first one to do so is right: the line is written and
the counters are brought into balance exactly once.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from .access_log import AccessLog, Line
from .config import Config
from .metrics import Key, Metrics, PathLabels
from .shared import Shared
from .usage import Ends, Tokens, readable_ends

if TYPE_CHECKING:
    from .framing import RequestHead
    from .headers import AnswerHead

METHODS = {
    one.encode(): one for one in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
}
MAX_LOGGED_METHOD = 16
MAX_LOGGED_PATH = 256
_RETRY_COUNT = re.compile(rb"[0-9]{1,4}")
# W3C Trace Context: version, trace id, parent id, flags; neither id is all zeros.
_TRACEPARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)

# Takes the pieces of an answer that nobody will look at.
_nobody: deque[list[bytes]] = deque(maxlen=0)
_nowhere: Callable[[list[bytes]], None] = _nobody.append


class Record:
    """One request. Its fields are set by whoever learns them; `keep` is given an answer's body.

    `end` is how it ended: "complete", "refused:CODE" with an error of ours, "client_gone",
    "upstream_failed" in the middle of its answer, "aborted" by our own end, "internal_error".
    """

    __slots__ = (
        "_ends", "_first_byte", "_watch", "begun", "bytes_in", "bytes_out", "end", "entered", "head",
        "id", "keep", "model", "peer", "status", "tries", "upstream",
    )  # fmt: skip

    def __init__(self, watch: Watch, head: RequestHead | None, id: str, peer: str | None) -> None:
        self.head = head
        self.id = id
        self.peer = peer
        self.model = ""
        self.entered = False
        self.upstream: object = ""
        self.status = 0
        self.end = ""
        self.bytes_in = 0
        self.bytes_out = 0
        self.keep: Callable[[list[bytes]], None] = _nowhere
        self._watch = watch
        self.begun = time.perf_counter()
        self.tries = 0
        self._first_byte = 0.0
        self._ends: Ends | None = None

    def enter(self) -> None:
        """The request has passed the limits: from here on it counts as one of its model's."""
        self.entered = True
        self._watch.metrics.add(("inflight_requests", self.model))

    def tried(self, upstream: object) -> None:
        """The request is about to go to this upstream address, or once more."""
        self.upstream = upstream
        self.tries += 1

    def upstream_error(self, kind: str) -> None:
        """The upstream has failed this request. `kind` is a short word of ours, not its message."""
        self._watch.metrics.add(("upstream_errors", self.model, str(self.upstream), kind))

    def answered(self, head: AnswerHead) -> None:
        """The head of the upstream's answer came."""
        self.status = head.status
        self._first_byte = time.perf_counter()
        self._ends = readable_ends(head.fields) if 200 <= head.status < 300 else None
        self.keep = self._keep_first

    def finish(self, end: str) -> None:
        """The request is over. Does nothing where it was already."""
        if self.end:
            return
        self.end = end
        # It may be the record's own method: a circle that only the garbage collector would find.
        self.keep = _nowhere
        self._watch.finished(self, time.perf_counter())
        self.head = None

    def _keep_first(self, pieces: list[bytes]) -> None:
        self._first_byte = time.perf_counter()
        self.keep = _nowhere if self._ends is None else self._ends.begin(pieces)

    def first_byte(self) -> float | None:
        """Seconds until the first byte of the answer's body, or its head where it has none."""
        return self._first_byte - self.begun if self._first_byte else None

    def tokens(self) -> Tokens | None:
        """What the answer says of its tokens."""
        return self._ends.tokens() if self._ends is not None else None


class Watch:
    """Sees every request of this process begin and end."""

    def __init__(self, shared: Shared | None = None) -> None:
        self.metrics = Metrics(shared or Shared())
        self.log = AccessLog(2)
        self._logging = False
        self._dropped = 0
        self._paths = PathLabels(Config())
        self._second = 0
        self._stamp = ""

    def load(self, config: Config) -> None:
        """Follow a new configuration."""
        self._logging = config.access_log
        self._paths = PathLabels(config)

    def begin(self, head: RequestHead | None, request_id: str, peer: str | None) -> Record:
        """A request has come; `head` is None where it could not be read."""
        method = path = ""
        if head is not None:
            method = METHODS.get(head.method, "")
            path = self._paths.label(head.path)
        self.metrics.add(("requests", method, path))
        return Record(self, head, request_id, peer)

    def finished(self, record: Record, now: float) -> None:
        """Count a request that is over, and log it. Only its record calls this, once."""
        metrics = self.metrics
        model = record.model
        seconds = now - record.begun
        tokens = record.tokens()
        first = record.first_byte()
        client = record.head.client if record.head is not None else ""
        if record.status:
            metrics.add(("responses", model, client, str(record.status)))
        if record.entered:
            metrics.add(("inflight_requests", model), -1.0)
            metrics.observe(("request_duration_seconds", model), seconds)
            if first is not None:
                metrics.observe(("time_to_first_byte_seconds", model), first)
            if tokens is not None:
                metrics.add(("tokens", model, "input"), float(tokens.input or 0))
                metrics.add(("tokens", model, "output"), float(tokens.output or 0))
        if record.end == "client_gone":
            metrics.add(("client_disconnects", model))
        if self._logging:
            self.log.write(self._line(record, seconds, first, client, tokens))

    def sample(self, gauges: Iterable[tuple[Key, float]]) -> None:
        """Note what only this process knows, so that the others can show it too."""
        for key, value in gauges:
            self.metrics.put(key, value)
        self.metrics.sample_process()
        dropped, self._dropped = self._dropped, self.log.dropped
        self.metrics.add(("access_log_dropped_lines",), self._dropped - dropped)

    def reloaded(self, result: str) -> None:
        """Count a reload: "success" or "failure"."""
        self.metrics.add(("config_reloads", result))

    def close(self) -> None:
        """Write out the log."""
        self.log.close()

    def _line(
        self,
        record: Record,
        seconds: float,
        first: float | None,
        client: str,
        tokens: Tokens | None,
    ) -> Line:
        head = record.head
        method = path = ""
        retries = trace = None
        if head is not None:
            method = head.method[:MAX_LOGGED_METHOD].decode()
            path = head.path[:MAX_LOGGED_PATH]
            count = _RETRY_COUNT.fullmatch(head.first.get(b"x-stainless-retry-count", b""))
            retries = int(count[0]) if count is not None else None
            parent = _TRACEPARENT.fullmatch(head.first.get(b"traceparent", b""))
            trace = parent[1].decode() if parent is not None else None
        return Line(
            ts=self._time(time.time() - seconds),
            id=record.id,
            method=method,
            path=path,
            end=record.end,
            seconds=round(seconds, 6),
            peer=record.peer,
            client=client,
            model=record.model,
            upstream=str(record.upstream),
            status=record.status,
            ttfb=round(first, 6) if first is not None else None,
            bytes_in=record.bytes_in,
            bytes_out=record.bytes_out,
            tokens_in=tokens.input if tokens is not None else None,
            tokens_out=tokens.output if tokens is not None else None,
            retries=max(0, record.tries - 1),
            sdk_retries=retries,
            trace=trace,
        )

    def _time(self, moment: float) -> str:
        second = int(moment)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._stamp}.{int(moment * 1000) % 1000:03d}Z"
