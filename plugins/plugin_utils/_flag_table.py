# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every command-line flag of an engine, by version, and which version a name stands for.

The tables in ``_flag_tables`` are package data, and reading them, once each, is the only look that
this folder takes at a file. A table is ``{"engine", "versions", "flags"}``: versions ascend, and a
row holds from the version ``since`` to the version ``until``, with both; a flag that changed has
several rows.

This plugin util is private to the collection.
"""

from __future__ import annotations

import functools
import json
import pathlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_FOLDER = pathlib.Path(__file__).parent / "_flag_tables"

_TAG = re.compile(r"v?([0-9]+(?:\.[0-9]+)+(?:\.?(?:rc|post|dev)[0-9]+)?)(?:[-+_.].*)?\Z")
"""An image's tag that begins with a version: ``v0.5.19-cu129``, ``0.5.6.post2``."""
_BUILD = re.compile(r"(?:\A|[^A-Za-z0-9])(b[0-9]{3,})(?:[^A-Za-z0-9]|\Z)")
"""A build of llama.cpp in a path or an address: ``/srv/llama-b9000-bin-ubuntu-x64.tar.gz``."""
_ORDER = re.compile(r"[vb]?([0-9]+(?:\.[0-9]+)*)(?:\.?(rc|post|dev)([0-9]*))?")
_PHASES = {"dev": -2, "rc": -1, None: 0, "post": 1}

NO_DEFAULT = object()
"""Stands where a table does not know a flag's default."""


@dataclass(frozen=True)
class Flag:
    """A row of a table.

    ``kind``: ``flag`` (a switch that cannot be negated), ``bool`` (one that can), ``value``,
    ``optional`` (its value may be left out), ``list`` (values behind one flag), ``repeat`` (the flag
    once a value), ``json``, ``json_or_str`` or ``positional``. ``type``: ``int``, ``float``, ``str``,
    ``human_int`` or ``json``; ``None`` where anything goes. Spellings have their dashes, the flag's
    name first.
    """

    name: str
    kind: str
    since: str
    until: str | None
    type: str | None = None
    spellings: tuple[str, ...] = ()
    negations: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    choices: tuple[Any, ...] = ()
    default: Any = NO_DEFAULT
    env: str | None = None
    replaced_by: str | None = None

    @property
    def negation(self) -> str | None:
        """The spelling that switches it off; the plainest where there are several."""
        plain = f"--no-{self.name}"
        return plain if plain in self.negations else next(iter(sorted(self.negations)), None)

    @property
    def names(self) -> tuple[str, ...]:
        """All spellings, without their dashes."""
        return tuple(word.lstrip("-") for word in (*self.spellings, *self.negations))


@dataclass(frozen=True)
class Found:
    """A flag as it was spelt, and whether this spelling switches it off."""

    flag: Flag
    spelling: str
    negative: bool


class Flags:
    """The flags of one version."""

    def __init__(self, version: str, flags: tuple[Flag, ...]) -> None:
        self.version = version
        self.flags = flags
        self._words: dict[str, Found] = {}
        for flag in flags:
            for word in flag.spellings:
                self._words[word] = Found(flag, word, False)
            for word in flag.negations:
                self._words[word] = Found(flag, word, True)
        self._names = {word.lstrip("-"): found for word, found in self._words.items()}
        self.variables = {flag.env: flag for flag in flags if flag.env}

    def find(self, name: str) -> Found | None:
        """The flag of a name without dashes, in which ``_`` may stand for ``-``."""
        return self._names.get(name) or self._names.get(name.replace("_", "-"))

    def spelt(self, word: str) -> Found | None:
        """The flag of a word with its dashes."""
        return self._words.get(word)

    def names(self) -> Iterator[str]:
        """All names, without dashes."""
        return iter(self._names)


class Table:
    """The flags of an engine in all versions that are known."""

    def __init__(self, engine: str, versions: tuple[str, ...], flags: tuple[Flag, ...]) -> None:
        self.engine = engine
        self.versions = versions
        self.flags = flags
        self._made: dict[str, Flags] = {}
        self._rows: dict[str, list[Flag]] = {}
        for flag in flags:
            for name in dict.fromkeys(flag.names):
                self._rows.setdefault(name, []).append(flag)

    def at(self, version: str) -> Flags:
        """The flags of a version of the table."""
        if version not in self._made:
            place = {known: index for index, known in enumerate(self.versions)}
            last = len(self.versions)
            rows = (
                flag
                for flag in self.flags
                if place[flag.since]
                <= place[version]
                <= (last if flag.until is None else place[flag.until])
            )
            self._made[version] = Flags(version, tuple(rows))
        return self._made[version]

    def rows(self, name: str) -> list[Flag]:
        """What a name means or meant, in the order of versions."""
        return self._rows.get(name.replace("_", "-"), [])

    def after(self, version: str) -> str | None:
        """The version of the table behind one of it."""
        index = self.versions.index(version) + 1
        return self.versions[index] if index < len(self.versions) else None


@functools.cache
def table(engine: str) -> Table:
    """The table of this name: a role's, or ``gateway``."""
    data = json.loads((_FOLDER / f"{engine}.json").read_text(encoding="utf-8"))
    return Table(engine, tuple(data["versions"]), tuple(_flag(row) for row in data["flags"]))


def _flag(row: dict[str, Any]) -> Flag:
    said = {key: value for key, value in row.items() if key in Flag.__dataclass_fields__}
    for key in ("spellings", "negations", "also", "choices"):
        said[key] = tuple(row.get(key, ()))
    if row["kind"] != "positional":
        said["spellings"] = (f"--{row['name']}", *said["spellings"])
    return Flag(**said)


@dataclass(frozen=True)
class Version:
    """Which version of a table stands for the one that runs.

    ``said`` is what was said of it, ``known`` the version of the table, ``upper`` the next one, where
    the said one is between both. ``guess`` is why it may be another: ``untold``, ``older`` or
    ``newer``.
    """

    said: str | None
    known: str
    upper: str | None = None
    guess: str | None = None

    @property
    def name(self) -> str:
        """As it is called in a sentence."""
        return self.known if self.said is None or self.guess else self.said


def told(text: str | None) -> str | None:
    """The version that a tag, an archive, a program's path or an operator names, if any."""
    if text is None:
        return None
    build = _BUILD.search(text)
    if build:
        return build[1]
    tag = _TAG.match(text)
    return tag[1] if tag else None


def order(version: str) -> tuple[tuple[int, ...], int, int]:
    """A key to compare versions: release candidates come before, post releases behind."""
    match = _ORDER.match(version)
    if match is None:
        raise ValueError(f"{version!r} is no version")
    release = [int(part) for part in match[1].split(".")]
    while release and not release[-1]:
        release.pop()
    return tuple(release), _PHASES[match[2]], int(match[3] or 0)


def choose(known: Table, said: str | None) -> Version:
    """The newest version of a table that is not newer than ``said``, or else the nearest.

    A table may hold builds (``b9000``) and, behind them, versions: they cannot be compared, and a
    build behind the last one of the table is taken for the newest version.
    """
    newest = known.versions[-1]
    like = [one for one in known.versions if said and (one[0] == "b") == (said[0] == "b")]
    if said is None or not like:
        return Version(said, newest, guess="untold")
    below = [version for version in like if order(version) <= order(said)]
    if not below:
        return Version(said, like[0], guess="older")
    lower = below[-1]
    if order(lower) == order(said):
        return Version(said, lower)
    if lower == like[-1]:
        return Version(said, newest, guess="newer")
    return Version(said, lower, like[len(below)])
