# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole request body: which model it names, and how it is written for a target's own name."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from .body import find_place
from .forms import FormValue, write_form_value

Piece = bytes | bytearray | memoryview


class NamedBody:
    """A body that names no model, or whose model was not looked for."""

    __slots__ = ("name", "pieces")

    def __init__(self, pieces: Sequence[Piece], name: str | None = None) -> None:
        self.pieces: Sequence[Piece] = pieces
        self.name: str | None = name

    @property
    def whole(self) -> bytes | bytearray:
        """The body where it is in one piece; empty where it is not."""
        first = self.pieces[0] if len(self.pieces) == 1 else b""
        return b"" if isinstance(first, memoryview) else first

    def for_target(self, model: str) -> Sequence[Piece]:
        """The pieces to send to a target that calls the model so; verbatim but for the name."""
        if self.name is None or self.name == model:
            return self.pieces
        start, end = self._place()
        return splice(self.pieces, start, end, self._written(model))

    def _place(self) -> tuple[int, int]:
        raise NotImplementedError

    def _written(self, model: str) -> bytes:
        raise NotImplementedError


class JsonBody(NamedBody):
    """A JSON object. Where its name stands is looked for only once another must take its place."""

    __slots__ = ("_body", "_span")

    def __init__(self, body: bytes | bytearray, name: str) -> None:
        self.pieces = (body,)
        self.name = name
        self._body = body
        self._span: tuple[int, int] | None = None

    def _place(self) -> tuple[int, int]:
        if self._span is None:
            self._span = find_place(self._body)
        return self._span

    def _written(self, model: str) -> bytes:
        return msgspec.json.encode(model)


class FormBody(NamedBody):
    """Pairs in the form of a query."""

    __slots__ = ("_value",)

    def __init__(self, body: bytes | bytearray, value: FormValue) -> None:
        super().__init__([body], value.text)
        self._value = value

    def _place(self) -> tuple[int, int]:
        return self._value.start, self._value.end

    def _written(self, model: str) -> bytes:
        return write_form_value(model)


class MultipartBody(NamedBody):
    """Parts between boundaries. `start` and `end` are where the model's value stands."""

    __slots__ = ("_span",)

    def __init__(self, pieces: Sequence[Piece], name: str, start: int, end: int) -> None:
        super().__init__(pieces, name)
        self._span = (start, end)

    def _place(self) -> tuple[int, int]:
        return self._span

    def _written(self, model: str) -> bytes:
        return model.encode()


def splice(pieces: Sequence[Piece], start: int, end: int, new: bytes) -> list[Piece]:
    """Pieces with `new` in the place of the bytes from `start` to `end`. Copies nothing."""
    before: list[Piece] = []
    after: list[Piece] = []
    at = 0
    for piece in pieces:
        stop = at + len(piece)
        if at < start:
            before.append(memoryview(piece)[: start - at])
        if stop > end:
            after.append(memoryview(piece)[max(0, end - at) :])
        at = stop
    return [*before, new, *after]
