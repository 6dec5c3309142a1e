# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many tokens an answer says that it took, found in its first and last bytes alone.

Events of a stream pass unread: only references to the last few reads are kept, and looked into
once the answer is over. What engines and providers write there:

- OpenAI's `usage`, with prompt_tokens and completion_tokens, or input_tokens and output_tokens in
  the Responses API, at the end of a JSON answer or in the last events; llama.cpp's embeddings have
  it at the beginning;
- Anthropic's `usage`, in message_start (input) and in message_delta (output), where input_tokens
  leaves out what came from the cache;
- SGLang's `meta_info`, with OpenAI's names;
- llama.cpp's `timings`, where prompt_n leaves out what cache_n counts.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

KEPT_BYTES = 16384
# A read that brings no more than the end of a chunk, "[DONE]", and the event before it.
KEPT_READS = 4
# Nobody's answer has more; what says so is not believed.
MAX_TOKENS = 10**9

# Inside a JSON string the quotes would be escaped, so what was generated is not taken for it.
_KEYS = (b'"usage"', b'"meta_info"', b'"timings"')
_OBJECT = re.compile(rb"\s*:\s*\{")
# In a stream, every event may bring one, and the last few may be null or cut off.
_MAX_TRIES = 8
_DECODER = json.JSONDecoder()
_INPUT = ("prompt_tokens", "input_tokens")
_CACHED = ("cache_creation_input_tokens", "cache_read_input_tokens")
_OUTPUT = ("completion_tokens", "output_tokens")


class Tokens(NamedTuple):
    """Tokens of the prompt and of what was generated; None where the answer does not tell."""

    input: int | None
    output: int | None


class Ends:
    """The first and the last bytes of one answer's body."""

    __slots__ = ("_end", "_events", "_opening", "_reads")

    def __init__(self, *, events: bool) -> None:
        self._events = events
        self._opening = b""
        self._end = b""
        self._reads: deque[list[bytes]] = deque(maxlen=KEPT_READS)

    def begin(self, pieces: list[bytes]) -> Callable[[list[bytes]], None]:
        """Take the first pieces; returns what the next ones are given to."""
        self._opening = _first_bytes(pieces)
        keep = self._reads.append if self._events else self._keep_end
        keep(pieces)
        return keep

    def tokens(self) -> Tokens | None:
        """What the answer tells, or None."""
        if self._events:
            self._keep_end([piece for read in self._reads for piece in read])
        said = _said(self._end)
        if self._events or len(self._end) == KEPT_BYTES:
            # Not all of it is in the end.
            said = _said(self._opening) | said
        return _tokens(said) if said else None

    def _keep_end(self, pieces: list[bytes]) -> None:
        # A read may hold 256 KiB, too much to be kept for each request under way.
        self._end = _last_bytes([self._end, *pieces])


def readable_ends(fields: Iterable[tuple[bytes, bytes]]) -> Ends | None:
    """What to keep of an answer with these header fields, or None where it cannot be read."""
    kind = b""
    for name, value in fields:
        lower = name.lower()
        if lower == b"content-type":
            kind = value.lower()
        elif lower == b"content-encoding" and value.lower() != b"identity":
            return None
    if kind.startswith(b"text/event-stream"):
        return Ends(events=True)
    return Ends(events=False) if kind.startswith(b"application/json") else None


def _first_bytes(pieces: list[bytes]) -> bytes:
    return b"".join(pieces)[:KEPT_BYTES]


def _last_bytes(pieces: list[bytes]) -> bytes:
    taken: list[bytes] = []
    room = KEPT_BYTES
    for piece in reversed(pieces):
        taken.append(piece[-room:])
        room -= len(taken[-1])
        if room <= 0:
            break
    return b"".join(reversed(taken))


def _said(text: bytes) -> dict[str, Any]:
    """The last whole object that counts tokens."""
    for key in _KEYS:
        at = len(text)
        for dummy in range(_MAX_TRIES):
            at = text.rfind(key, 0, at)
            if at < 0:
                break
            begin = _OBJECT.match(text, at + len(key))
            if begin is None:
                continue
            try:
                said, dummy_end = _DECODER.raw_decode(text[begin.end() - 1 :].decode("latin-1"))
            except (ValueError, RecursionError):
                continue
            if isinstance(said, dict):
                return said
    return {}


def _tokens(said: dict[str, Any]) -> Tokens:
    if "predicted_n" in said:
        return Tokens(_sum(said, ("prompt_n", "cache_n")), _sum(said, ("predicted_n",)))
    given = _sum(said, _INPUT)
    cached = _sum(said, _CACHED)
    if given is not None and cached is not None:
        given += cached
    return Tokens(given, _sum(said, _OUTPUT))


def _sum(said: dict[str, Any], names: tuple[str, ...]) -> int | None:
    """The sum of the sane counts among these, or None where there is none."""
    counts = [said.get(name) for name in names]
    sane = [one for one in counts if type(one) is int and 0 <= one <= MAX_TOKENS]
    return sum(sane) if sane else None
