# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings as command-line arguments, in the dialect of an engine's parser.

The rules are those of LLMhop 2.2.1: values as JSON, strings as they are, names in byte order.

This plugin util is private to the collection.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Dialect:
    """What an engine's parser wants.

    ``repeat``: a list is the flag once an element (llama.cpp); otherwise one flag and all elements
    behind it. ``negate``: ``false`` is ``--no-NAME`` (argparse's BooleanOptionalAction); otherwise
    it is left out. ``joined``: a single value follows its flag in the same word, behind ``=``.
    ``apart`` are flags that are not. ``abbreviates``: the parser takes the beginning of a flag for the flag (argparse).
    """

    repeat: bool = False
    negate: bool = True
    joined: bool = False
    apart: frozenset[str] = frozenset()
    abbreviates: bool = False


def arguments(settings: Mapping[str, Any], dialect: Dialect) -> list[str]:
    """The words of a command line for ``settings``; ``null`` and empty lists say nothing."""
    said: dict[str, Any] = {}
    for name, value in settings.items():
        if value is False and dialect.negate:
            opposite = name[3:] if name.startswith("no-") else f"no-{name}"
            said[opposite] = True
        elif value is not None and value is not False and value != []:
            said[name] = value
    words: list[str] = []
    for name in sorted(said, key=lambda text: text.encode()):
        words += _flag(f"--{name}", said[name], dialect)
    return words


def _flag(flag: str, value: Any, dialect: Dialect) -> list[str]:
    if value is True:
        return [flag]
    if isinstance(value, (list, tuple)):
        if dialect.repeat:
            return [word for item in value for word in (flag, _word(item))]
        return [flag, *(_word(item) for item in value)]
    if dialect.joined and flag[2:] not in dialect.apart:
        return [f"{flag}={_word(value)}"]
    return [flag, _word(value)]


def _word(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
