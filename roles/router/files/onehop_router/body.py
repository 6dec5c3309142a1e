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


def find_model(body: bytes | bytearray) -> str:
    """The value of the top-level key `model` of a JSON object.

    The key is matched exactly, in any JSON spelling. Raises Refusal (400) where the body is no
    JSON object, or `model` is absent, null, no string, or there more than once.
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
        raise Refusal(
            "missing_model",
            "The body has no `model`; name one, or call /route/{model}/ for requests without it.",
            "model",
        )
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
