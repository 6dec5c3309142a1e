# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the model's name in a JSON request body without building the body."""

from __future__ import annotations

import re

import msgspec

from .errors import Refusal


class _Name:
    """The value of one top-level `model` key, as msgspec met it."""


_NAME = _Name()
_met: list[object] = []


def _meet(_type: type, value: object) -> _Name:
    # msgspec calls this once for every top-level key that spells "model", escaped or not, so
    # duplicates are seen although the decoder itself would let the last one win.
    _met.append(value)
    return _NAME


class _Body(msgspec.Struct):
    model: _Name = _NAME


_decode = msgspec.json.Decoder(_Body, dec_hook=_meet).decode

# An unpaired surrogate escape in some string: engines take it, and JavaScript clients that cut
# a text inside an emoji send it, but msgspec refuses it even where it only skips.
_SURROGATE = re.compile(rb"(?<!\\)((?:\\\\)*)\\u[dD][89a-fA-F][0-9a-fA-F]{2}")

# A member `model`, at any depth, whose value is a string. The quote that opens a key never follows
# a backslash: one that does stands inside a string.
_MEMBER = re.compile(
    rb'"(?<!\\")'
    rb"(?:m|\\u006[dD])(?:o|\\u006[fF])(?:d|\\u0064)(?:e|\\u0065)(?:l|\\u006[cC])"
    rb'"[ \t\r\n]*+:[ \t\r\n]*+("(?:[^"\\]++|\\.)*+")',
    re.DOTALL,
)
_DEPTH_BYTES = 65536


def find_model(body: bytes | bytearray) -> str | None:
    """The value of the top-level key `model` of a JSON object; None where it is absent or null.

    The key is matched exactly, in any JSON spelling. Raises Refusal (400) where the body is no
    JSON object, or `model` is no string, or there more than once.
    """
    try:
        found = _scan(body)
    except msgspec.DecodeError as error:
        if b"\\u" not in body:
            raise _invalid(error) from None
        try:
            found = _scan(_SURROGATE.sub(rb"\1\\ufffd", body))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as again:
            raise _invalid(again) from None
    except (UnicodeDecodeError, RecursionError) as error:
        raise _invalid(error) from None
    if len(found) > 1:
        raise Refusal("duplicate_model", "The key `model` stands more than once.", "model")
    if not found or found[0] is None:
        return None
    name = found[0]
    if not isinstance(name, str):
        raise Refusal("invalid_json", "The value of `model` is not a string.", "model")
    return name


def _scan(body: bytes | bytearray) -> list[object]:
    _met.clear()
    try:
        _decode(body)
        return _met.copy()
    finally:
        _met.clear()


def _invalid(error: Exception) -> Refusal:
    detail = {
        RecursionError: "nested too deeply",
        UnicodeDecodeError: "`model` is not UTF-8",
    }.get(type(error), str(error))
    return Refusal("invalid_json", f"The body is not one JSON object with a `model`: {detail}.")


def find_place(body: bytes | bytearray) -> tuple[int, int]:
    """Where the value of the top-level `model` begins and ends, its quotes included.

    Only for a body in which `find_model` has found a name: nothing is checked again.
    """
    members = _MEMBER.finditer(body)
    first = next(members)
    if next(members, None) is None:
        return first.span(1)
    depth = at = 0
    for member in _MEMBER.finditer(body):
        depth += _depth(body, at, member.start())
        if depth == 1:
            return member.span(1)
        at = member.end()
    raise AssertionError("find_model has found a name in this body")


def _depth(body: bytes | bytearray, start: int, end: int) -> int:
    """How many more brackets open than close between two places that are in no string."""
    depth = 0
    inside = False
    while start < end:
        stop = min(start + _DEPTH_BYTES, end)
        # No piece ends in the middle of an escape.
        while stop < end and body[stop - 1] == 0x5C:
            stop += 1
        piece = body[start:stop].replace(rb"\\", b"").replace(rb"\"", b"")
        texts = piece.split(b'"')
        bare = b"".join(texts[inside::2])
        depth += bare.count(b"{") + bare.count(b"[") - bare.count(b"}") - bare.count(b"]")
        inside ^= len(texts) % 2 == 0
        start = stop
    return depth
