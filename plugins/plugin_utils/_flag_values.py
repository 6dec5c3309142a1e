# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a value is one that a flag of an engine takes.

This plugin util is private to the collection.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils._flag_table import Flag, Found
from ansible_collections.onehop.llm.plugins.plugin_utils._flags import Dialect, switch_words, word

_INT = re.compile(r"[+-]?[0-9]+\Z")
_HUMAN = re.compile(r"[+-]?[0-9]+\Z|[0-9]+[kKmMgGtT]\Z|[0-9]+\.[0-9]+[kmgt]\Z")
_TAKEN_FOR_FLAG = re.compile(r"-(?![0-9.]+\Z)")
"""What argparse takes for a flag where it looks for one more value."""
_SHOWN = 12
"""Choices that a mend names."""
_TYPES = {
    "int": ("is not a whole number", "Write digits only"),
    "float": ("is not a number", "Write one such as 0.9"),
    "human_int": ("is not a whole number", "Write one such as 8192, 8k or 25.6k"),
}


class Unfit(ValueError):
    """A value that a flag refuses; ``doubtful`` where another version may well take it."""

    def __init__(self, wrong: str, mend: str, *, doubtful: bool = False) -> None:
        super().__init__(wrong, mend)
        self.wrong = wrong
        self.mend = mend
        self.doubtful = doubtful


def check(found: Found, value: Any, dialect: Dialect) -> None:
    """Raise what is wrong with a flag's value; ``null`` and empty lists are none."""
    flag = found.flag
    if flag.kind in ("flag", "bool"):
        _switch(found, value)
    elif isinstance(value, bool):
        _boolean(flag, value)
    elif flag.kind in ("list", "repeat"):
        _several(flag, value, dialect)
    elif flag.kind in ("json", "json_or_str"):
        # vLLM reads -O=3 apart, as a level.
        if not (isinstance(value, int) and found.spelling in dialect.prefixes):
            _json(flag, value)
    elif isinstance(value, (list, tuple)):
        if flag.type not in (None, "json"):
            raise Unfit("is a list, and this flag takes one value", _one_of(flag))
    else:
        _single(flag, value)


def _switch(found: Found, value: Any) -> None:
    flag = found.flag
    if not isinstance(value, bool):
        raise Unfit("is a switch, which takes no value", "Write true or false, without quotes")
    if not value and flag.default is True and not flag.negations:
        raise Unfit("is on by itself, and cannot be switched off", "Remove it")


def _boolean(flag: Flag, value: bool) -> None:
    if flag.kind == "optional" or switch_words(flag):
        return
    if not value:
        raise Unfit("needs a value, and false is none", "Leave it out, or write null")
    if flag.type is None and not flag.choices and flag.kind in ("value", "json_or_str"):
        raise Unfit("needs a value, and true is none", "Write it in quotes if the word is meant")
    raise Unfit("needs a value, and true is none", _one_of(flag))


def _several(flag: Flag, value: Any, dialect: Dialect) -> None:
    for item in value if isinstance(value, (list, tuple)) else [value]:
        if isinstance(item, bool) and flag.type == "str" and not flag.choices:
            raise Unfit(f"holds {str(item).lower()}, which is no text", "Write it in quotes")
        _single(flag, item)
        if flag.kind == "list" and dialect.joined and _TAKEN_FOR_FLAG.match(word(item)):
            raise Unfit(
                f"holds {word(item)!r}, which the engine would take for a flag",
                "Write a value that does not begin with -",
            )


def _json(flag: Flag, value: Any) -> None:
    if isinstance(value, str):
        if flag.kind == "json" and not _is_json(value):
            raise Unfit(
                "is no JSON object", "Write a dictionary, or a list where the flag wants one"
            )
    elif not isinstance(value, (Mapping, list, tuple)):
        raise Unfit("is a number, and this flag takes JSON", "Write a dictionary")


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), (dict, list))
    except ValueError:
        return False


def _single(flag: Flag, value: Any) -> None:
    text = word(value)
    if text in flag.also:
        return
    if flag.type in _TYPES and not _is(flag.type, value):
        raise Unfit(_TYPES[flag.type][0], _one_of(flag))
    if flag.choices and text not in [_choice(choice) for choice in flag.choices]:
        raise Unfit("is not one of the choices", _one_of(flag), doubtful=True)


def _choice(choice: Any) -> str:
    """``None`` is the word that vLLM reads as null."""
    return "None" if choice is None else word(choice)


def _is(name: str, value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return False
    if name == "float":
        try:
            float(value)
        except ValueError:
            return False
        return True
    # As it is written: 8.0 is no whole number for a parser.
    return bool((_INT if name == "int" else _HUMAN).match(word(value)))


def _one_of(flag: Flag) -> str:
    """What to write."""
    choices = [_choice(choice) for choice in flag.choices if choice is not None]
    if choices:
        more = len(choices) - _SHOWN
        return f"Write one of {', '.join(choices[:_SHOWN])}" + (
            f" or {more} others" if more > 0 else ""
        )
    mend = _TYPES[flag.type][1] if flag.type in _TYPES else "Write one text, in quotes"
    return mend + (f"; {', '.join(flag.also)} will do as well" if flag.also else "")
