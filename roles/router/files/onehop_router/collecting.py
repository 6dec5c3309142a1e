# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collects a request's body until it is whole: counted, decompressed, its model's name found."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Protocol

from .body import find_model
from .codings import BodyDecoder, Coding
from .errors import too_large
from .forms import find_in_form
from .framing import RequestHead
from .multipart import MultipartScanner, read_boundary
from .named_body import FormBody, JsonBody, MultipartBody, NamedBody

# Smaller pieces are joined: a client may send its body byte by byte.
_BLOCK_BYTES = 65536
_JSON_OBJECT = re.compile(rb"[ \t\r\n]*+\{")


class Holder(Protocol):
    """Who counts the bytes that are held."""

    def hold(self, size: int) -> None:
        """Count `size` more bytes. Raises Refusal (429)."""

    def let_go(self, size: int) -> None:
        """These bytes are gone."""


class Plain:
    """Joins a body whose model is known already, or that is still compressed."""

    __slots__ = ("body",)

    def __init__(self) -> None:
        self.body: bytes | bytearray = b""

    def add(self, pieces: list[bytes]) -> None:
        """The next pieces, none of them empty."""
        for piece in pieces:
            if not self.body:
                self.body = piece
            else:
                if isinstance(self.body, bytes):
                    self.body = bytearray(self.body)
                self.body += piece

    def finish(self) -> NamedBody:
        """The body is whole. Raises Refusal (400)."""
        return NamedBody([self.body] if self.body else [])


class Json(Plain):
    """Reads the model from JSON, whatever the Content-Type says: clients leave it out."""

    __slots__ = ()

    def finish(self) -> NamedBody:
        name = find_model(self.body) if self.body else None
        return super().finish() if name is None else JsonBody(self.body, name)


class Form(Json):
    """Reads pairs; but curl calls everything a form, so JSON is taken for what it is."""

    __slots__ = ()

    def finish(self) -> NamedBody:
        if _JSON_OBJECT.match(self.body):
            return super().finish()
        value = find_in_form(self.body)
        return Plain.finish(self) if value is None else FormBody(self.body, value)


class Multipart:
    """Reads the field `model` while the pieces come, and never joins them."""

    def __init__(self, boundary: bytes) -> None:
        self._scanner = MultipartScanner(boundary)
        self._pieces: list[bytes | bytearray] = []

    def add(self, pieces: list[bytes]) -> None:
        """See Plain.add. Raises Refusal (400)."""
        for piece in pieces:
            self._scanner.feed(piece)
            last = self._pieces[-1] if self._pieces else b""
            if isinstance(last, bytearray) and len(last) < _BLOCK_BYTES:
                last += piece
            else:
                self._pieces.append(bytearray(piece) if len(piece) < _BLOCK_BYTES else piece)

    def finish(self) -> NamedBody:
        """See Plain.finish."""
        scanner = self._scanner
        scanner.finish()
        if scanner.name is None:
            return NamedBody(self._pieces)
        return MultipartBody(self._pieces, scanner.name, scanner.start, scanner.end)


def reader_for(head: RequestHead) -> Plain | Multipart:
    """What reads the model from a body like this. Raises Refusal (400)."""
    kind = head.first.get(b"content-type")
    if kind is None:
        return Json()
    essence = kind.partition(b";")[0].strip(b" \t").lower()
    if essence == b"multipart/form-data":
        return Multipart(read_boundary(kind))
    return Form() if essence == b"application/x-www-form-urlencoded" else Json()


class BodyCollector:
    """One body on its way. `limit` is how many bytes it may have, compressed or not; 0 is any."""

    __slots__ = ("_coding", "_dropped", "_first", "_holder", "_limit", "_reader", "_size")

    def __init__(
        self, holder: Holder, reader: Plain | Multipart, coding: Coding | None, limit: int
    ) -> None:
        self._holder = holder
        self._reader = reader
        self._coding = coding
        self._limit = limit
        # Where the pieces go as they come.
        self._first = reader if coding is None else Plain()
        self._size = 0
        self._dropped = False

    def add(self, pieces: list[bytes], size: int) -> None:
        """Pieces as they came, and their bytes. Raises Refusal (400, 429)."""
        self._holder.hold(size)
        self._first.add(pieces)

    def drop(self) -> None:
        """The client is gone: whatever is still going on ends here."""
        self._dropped = True

    def finish(self, then: Callable[[NamedBody | Exception], None]) -> None:
        """The body is whole: `then` gets it, or what is wrong with it.

        A large compressed body takes its time, in which other connections have their turns.
        """
        packed = self._first
        if self._coding is None or not isinstance(packed, Plain) or not packed.body:
            self._hand_over(then)
        else:
            # From here on the decoder holds it, and lets go of it when it is done.
            self._first = Plain()
            self._decode(BodyDecoder(self._coding, packed.body), then)

    def _decode(self, decoder: BodyDecoder, then: Callable[[NamedBody | Exception], None]) -> None:
        if self._dropped:
            return
        try:
            pieces = [piece for piece in decoder.step() if piece]
            size = sum(map(len, pieces))
            self._size += size
            if self._limit and self._size > self._limit:
                raise too_large(self._limit)
            self._holder.hold(size)
            self._reader.add(pieces)
        except Exception as error:
            then(error)
            return
        if not decoder.done:
            asyncio.get_running_loop().call_soon(self._decode, decoder, then)
            return
        self._holder.let_go(decoder.size)
        self._hand_over(then)

    def _hand_over(self, then: Callable[[NamedBody | Exception], None]) -> None:
        try:
            body = self._reader.finish()
        except Exception as error:
            then(error)
            return
        then(body)
