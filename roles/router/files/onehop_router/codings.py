# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decompresses request bodies within bounds: slice by slice, whatever a slice may expand to."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import NamedTuple, Protocol

import zstandard

from .errors import Refusal
from .framing import RequestHead

# A body goes on when it has yielded so much, or taken so much in, after others had their turn.
STEP_BYTES = 262144
# RFC 9659: what a sender may ask of a receiver that it does not know.
MAX_ZSTD_WINDOW = 8 * 1024 * 1024
# Frames, or gzip's members, one after the other. Each costs more than its bytes.
MAX_FRAMES = 4096


class _Decompressor(Protocol):
    """What zlib's and zstandard's have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


class Coding(NamedTuple):
    """How bodies of one coding are taken apart.

    `slice_bytes` at a time, which no sender can make expand to more than 8 MiB: 1:1030 is
    deflate's limit, and 4 bytes of zstd can stand for 128 KiB.
    """

    begin: Callable[[], _Decompressor]
    slice_bytes: int


def _begin_zstd() -> _Decompressor:
    return zstandard.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW).decompressobj()


_GZIP = Coding(lambda: zlib.decompressobj(16 + zlib.MAX_WBITS), 8192)
CODINGS = {
    b"gzip": _GZIP,
    b"x-gzip": _GZIP,
    b"deflate": Coding(zlib.decompressobj, 8192),
    b"zstd": Coding(_begin_zstd, 256),
}


def coding_of(head: RequestHead) -> Coding | None:
    """How a request's body is compressed; None where it is not. Raises Refusal (415)."""
    if b"content-encoding" not in head.first:
        return None
    named = [value for lower, dummy, value in head.fields if lower == b"content-encoding"]
    coding = named[0].lower()
    if len(named) == 1 and coding == b"identity":
        return None
    if len(named) > 1 or coding not in CODINGS:
        raise Refusal(
            "unsupported_content_encoding",
            "A compressed body hides its model: send it as one of gzip, deflate, zstd, or plain, "
            "or to /route/{model}/.",
        )
    return CODINGS[coding]


class BodyDecoder:
    """Takes one compressed body apart, step by step."""

    def __init__(self, coding: Coding, body: bytes | bytearray) -> None:
        self._coding = coding
        self._body = body
        self._at = 0
        self._frames = 1
        self._frame = coding.begin()

    @property
    def size(self) -> int:
        """How many bytes it takes apart."""
        return len(self._body)

    @property
    def done(self) -> bool:
        """Whether all has been read."""
        return self._at == len(self._body)

    def step(self) -> list[bytes]:
        """The next pieces of the body. Raises Refusal (400) where it is broken."""
        pieces = []
        size = 0
        stop = self._at + STEP_BYTES
        try:
            while size < STEP_BYTES and self._at < stop and not self.done:
                piece = self._slice()
                size += len(piece)
                pieces.append(piece)
        except (zlib.error, zstandard.ZstdError) as error:
            raise _invalid(str(error)) from None
        if self.done and not self._frame.eof:
            raise _invalid("it ends too early")
        return pieces

    def _slice(self) -> bytes:
        if self._frame.eof:
            self._frames += 1
            if self._frames > MAX_FRAMES:
                raise _invalid(f"it has more than {MAX_FRAMES} frames")
            self._frame = self._coding.begin()
        data = bytes(self._body[self._at : self._at + self._coding.slice_bytes])
        piece = self._frame.decompress(data)
        self._at += len(data) - len(self._frame.unused_data)
        return piece


def _invalid(problem: str) -> Refusal:
    return Refusal("invalid_content_encoding", f"The body cannot be decompressed: {problem}.")
