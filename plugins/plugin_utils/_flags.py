# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings as command-line arguments, as the table of an engine's flags wants them.

What no table knows follows the rules of LLMhop 2.2.1, in the dialect of the engine's parser: values
as JSON, strings as they are, names in byte order.

This plugin util is private to the collection.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils._flag_table import Flag, Flags, Found

_SWITCHES = ("flag", "bool", "optional")
"""Kinds of flags that may stand without a value."""
_WORD_PAIRS = (("on", "off"), ("true", "false"), ("yes", "no"), ("enabled", "disabled"))
"""Choices that YAML may have read as true and false."""


@dataclass(frozen=True)
class Dialect:
    """What an engine's parser wants.

    ``repeat``: a list is the flag once an element (llama.cpp); otherwise one flag and all elements
    behind it. ``negate``: ``false`` is ``--no-NAME`` (argparse's BooleanOptionalAction); otherwise
    it is left out. ``joined``: a single value follows its flag in the same word, behind ``=``.
    ``apart`` are flags that are not. ``abbreviates``: the parser takes the beginning of a flag for the
    flag (argparse). ``dotted``: a part of a JSON value can be a flag of its own, ``--x.key=VALUE``.
    ``underscores``: the parser takes ``_`` in a flag for ``-``. ``prefixes``: words that begin so are
    read apart from the flags. ``short``: abbreviations that the engine's own documentation writes, and
    the flags that they have stood for in every version.
    """

    repeat: bool = False
    negate: bool = True
    joined: bool = False
    apart: frozenset[str] = frozenset()
    abbreviates: bool = False
    dotted: bool = False
    underscores: bool = True
    prefixes: tuple[str, ...] = ()
    short: Mapping[str, str] = field(default_factory=dict)


def arguments(
    settings: Mapping[str, Any], dialect: Dialect, flags: Flags | None = None
) -> list[str]:
    """The words of a command line for ``settings``; ``null`` and empty lists say nothing.

    ``flags`` are those of the version that reads them.
    """
    said: dict[str, list[str]] = {}
    for name, value in settings.items():
        if value is not None and value != []:
            found = find(name, dialect, flags)
            said.update(
                _unknown(name, value, dialect)
                if found is None
                else _known(found, part(name, dialect), value, dialect)
            )
    return [word for name in sorted(said, key=_order) for word in said[name]]


def find(name: str, dialect: Dialect, flags: Flags | None) -> Found | None:
    """The flag that a setting's name stands for: its own, or the one that it is a part of."""
    if flags is None:
        return None
    found = flags.find(dialect.short.get(name, name))
    if found is None and part(name, dialect):
        found = flags.find(name.partition(".")[0])
    return found


def part(name: str, dialect: Dialect) -> str:
    """Which part of a flag's value a name is: ``.mode`` of ``compilation-config.mode``."""
    whole, dot, rest = name.partition(".")
    return dot + rest if dialect.dotted and whole and rest else ""


def identity(name: str, dialect: Dialect, flags: Flags | None) -> str:
    """What is the same for all spellings of a flag, its negations among them."""
    found = find(name, dialect, flags)
    if found is not None and flags is not None:
        return found.flag.name + ("" if flags.find(name) else part(name, dialect))
    return name.replace("_", "-").removeprefix("no-")


def merged(
    common: Mapping[str, Any], own: Mapping[str, Any], dialect: Dialect, flags: Flags | None
) -> dict[str, Any]:
    """Settings for all models and those of one, which win however they spell a flag."""
    mine = {identity(name, dialect, flags) for name in own}
    kept = {
        name: value
        for name, value in common.items()
        if not mine & {identity(name, dialect, flags), whole(name, dialect, flags)}
    }
    return kept | dict(own)


def whole(name: str, dialect: Dialect, flags: Flags | None) -> str:
    """The flag that a name is a part of, as :func:`identity` calls it; the name's own otherwise."""
    made = identity(name, dialect, flags)
    return made.removesuffix(part(name, dialect))


def word(value: Any) -> str:
    """A value as one word of a command line."""
    if isinstance(value, str):
        return str(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def switch_words(flag: Flag) -> tuple[str, str] | None:
    """The words of a flag's value that mean on and off, where it is no switch and yet has them."""
    return next((pair for pair in _WORD_PAIRS if all(one in flag.choices for one in pair)), None)


def _order(spelling: str) -> bytes:
    return spelling.lstrip("-").encode()


def _known(found: Found, inner: str, value: Any, dialect: Dialect) -> dict[str, list[str]]:
    """The words of a flag of the table, by its spelling."""
    flag, spelling = found.flag, found.spelling
    if inner and flag.kind in ("json", "json_or_str"):
        if inner.endswith("+") and isinstance(value, (list, tuple)):
            value = ",".join(map(word, value))
        return {spelling + inner: [f"{spelling}{inner}={word(value)}"]}
    if isinstance(value, bool):
        if flag.kind in _SWITCHES:
            wanted = spelling if value else _opposite(found)
            return {wanted: [wanted]} if wanted else {}
        pair = switch_words(flag)
        if pair:
            value = pair[0] if value else pair[1]
    if isinstance(value, (list, tuple)) and flag.kind in ("list", "repeat", "json"):
        if flag.kind == "json":
            return {spelling: _single(spelling, value, dialect)}
        words = [word(item) for item in value]
        if flag.kind == "list":
            return {spelling: [spelling, *words]}
        return {spelling: [each for item in words for each in _single(spelling, item, dialect)]}
    if value is False:
        return {}
    return {spelling: _flag(spelling, value, dialect)}


def _opposite(found: Found) -> str | None:
    """What a switch that is ``false`` says; ``None`` where leaving it out is all that can be said."""
    return found.flag.spellings[0] if found.negative else found.flag.negation


def _unknown(name: str, value: Any, dialect: Dialect) -> dict[str, list[str]]:
    """The words of a flag that no table knows."""
    if value is False:
        if not dialect.negate:
            return {}
        name = name[3:] if name.startswith("no-") else f"no-{name}"
        value = True
    return {f"--{name}": _flag(f"--{name}", value, dialect)}


def _flag(spelling: str, value: Any, dialect: Dialect) -> list[str]:
    if value is True:
        return [spelling]
    if isinstance(value, (list, tuple)):
        if dialect.repeat:
            return [each for item in value for each in (spelling, word(item))]
        return [spelling, *(word(item) for item in value)]
    return _single(spelling, value, dialect)


def _single(spelling: str, value: Any, dialect: Dialect) -> list[str]:
    if dialect.joined and spelling.lstrip("-") not in dialect.apart:
        return [f"{spelling}={word(value)}"]
    return [spelling, word(value)]
