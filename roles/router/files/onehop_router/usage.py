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

from collections import deque
from collections.abc import Callable
from typing import Annotated, NamedTuple

import msgspec

KEPT_BYTES = 16384
# A read that brings no more than the end of a chunk, "[DONE]", and the event before it.
KEPT_READS = 4
# Nobody's answer has more; what says so is not believed.
MAX_TOKENS = 10**9

# Inside a JSON string the quotes would be escaped, so what was generated is not taken for it.
_KEYS = (b'"usage"', b'"meta_info"', b'"timings"')
# In a stream, every event may bring one, and the last few may be null or cut off.
_MAX_TRIES = 8
# Braces that may be closed inside of one.
_MAX_BRACES = 32

_Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_TOKENS)] | None


class _Said(msgspec.Struct):
    """What counts tokens in any of these objects."""

    prompt_tokens: _Count = None
    completion_tokens: _Count = None
    input_tokens: _Count = None
    cache_creation_input_tokens: _Count = None
    cache_read_input_tokens: _Count = None
    output_tokens: _Count = None
    prompt_n: _Count = None
    cache_n: _Count = None
    predicted_n: _Count = None


_decode = msgspec.json.Decoder(_Said).decode


class Tokens(NamedTuple):
    """Tokens of the prompt and of what was generated; None where the answer does not tell."""

    input: int | None
    output: int | None


class Ends:
    """The first and the last bytes of one answer's body."""

    __slots__ = ("_end", "_opening", "_reads")

    def __init__(self, *, events: bool) -> None:
        self._opening = b""
        self._end = b""
        # Of a stream, the last reads as they came.
        self._reads: deque[list[bytes]] | None = deque(maxlen=KEPT_READS) if events else None

    def begin(self, pieces: list[bytes]) -> Callable[[list[bytes]], None]:
        """Take the first pieces; returns what the next ones are given to."""
        text = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._opening = text[:KEPT_BYTES]
        if self._reads is not None:
            self._reads.append(pieces)
            return self._reads.append
        self._end = text[-KEPT_BYTES:]
        return self._keep_end

    def tokens(self) -> Tokens | None:
        """What the answer tells, or None."""
        if self._reads is not None:
            for read in self._reads:
                self._keep_end(read)
        last = _last_told(self._end)
        if self._reads is None and len(self._end) < KEPT_BYTES:
            return last
        # Not all of it is in the end.
        first = _first_told(self._opening)
        if first is None or last is None:
            return first or last
        return Tokens(
            first.input if last.input is None else last.input,
            first.output if last.output is None else last.output,
        )

    def _keep_end(self, pieces: list[bytes]) -> None:
        # A read may hold 256 KiB, too much to be kept for each request under way.
        self._end = b"".join((self._end, *pieces))[-KEPT_BYTES:]


def readable_ends(kind: bytes, *, coded: bool) -> Ends | None:
    """What to keep of an answer of this Content-Type, or None where it cannot be read."""
    if coded:
        return None
    if kind.startswith(b"application/json"):
        return Ends(events=False)
    return Ends(events=True) if kind.startswith(b"text/event-stream") else None


def _first_told(text: bytes) -> Tokens | None:
    """What the first object that counts tokens says."""
    for key in _KEYS:
        at = text.find(key)
        if at >= 0:
            return _read(text, at + len(key))
    return None


def _last_told(text: bytes) -> Tokens | None:
    """What the last whole object that counts tokens says."""
    for key in _KEYS:
        at = len(text)
        for dummy in range(_MAX_TRIES):
            at = text.rfind(key, 0, at)
            if at < 0:
                break
            told = _read(text, at + len(key))
            if told is not None:
                return told
    return None


def _read(text: bytes, at: int) -> Tokens | None:
    """The object behind a key; None where there is none, or it is not whole."""
    begin = text.find(b"{", at)
    if begin < 0 or text[at:begin].strip() != b":":
        return None
    end = begin
    for dummy in range(_MAX_BRACES):
        end = text.find(b"}", end) + 1
        if not end:
            return None
        try:
            return _tokens(_decode(text[begin:end]))
        except msgspec.ValidationError:
            return None
        except (msgspec.DecodeError, RecursionError):
            # That brace closed something inside of it.
            continue
    return None


def _tokens(said: _Said) -> Tokens:
    if said.prompt_tokens is not None:
        return Tokens(said.prompt_tokens, said.completion_tokens)
    if said.predicted_n is not None:
        return Tokens((said.prompt_n or 0) + (said.cache_n or 0), said.predicted_n)
    given = said.input_tokens
    if given is not None:
        given += (said.cache_creation_input_tokens or 0) + (said.cache_read_input_tokens or 0)
    return Tokens(given, said.output_tokens)
