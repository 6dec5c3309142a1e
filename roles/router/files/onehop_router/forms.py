# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds `model` among pairs such as `a=1&model=m`: in a query, or in a form that is sent so."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

from .errors import Refusal

# The key as it is, or with any of its letters as an escape.
_PAIR = re.compile(
    rb"(?:\A|&)(?:m|%6[dD])(?:o|%6[fF])(?:d|%64)(?:e|%65)(?:l|%6[cC])(?:=([^&]*))?(?=&|\Z)"
)


class FormValue(NamedTuple):
    """A value, decoded, and where it stands."""

    text: str
    start: int
    end: int


def find_in_form(pairs: bytes | bytearray) -> FormValue | None:
    """The value of the only `model` among the pairs, or None.

    What is no UTF-8 becomes U+FFFD, and so no model's name. Raises Refusal (400) where the key
    stands more than once.
    """
    matches = _PAIR.finditer(pairs)
    found = next(matches, None)
    if found is None:
        return None
    if next(matches, None) is not None:
        raise Refusal("duplicate_model", "`model` stands more than once.", "model")
    start, end = found.span(1) if found[1] is not None else (found.end(), found.end())
    value = bytes(pairs[start:end]).replace(b"+", b" ")
    return FormValue(unquote_to_bytes(value).decode("utf-8", "replace"), start, end)


def write_form_value(text: str) -> bytes:
    """A value as it stands among pairs."""
    return quote(text, safe="").encode()


def rename_in_query(query: str, model: str) -> str:
    """A query with another model in the place of the one it names; the rest as it was."""
    found = find_in_form(query.encode())
    if found is None:
        return query
    return query[: found.start] + write_form_value(model).decode() + query[found.end :]
