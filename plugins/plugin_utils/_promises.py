# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an engine says what it takes of a host, as data, and how a worker's words are read for it.

This plugin util is private to the collection.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

GIB = 1024**3
MOST = 1024
"""More devices than any host has: larger sizes are taken for it."""
_HUMAN = re.compile(r"(-?[0-9]+(?:\.[0-9]+)?)([kmgtKMGT]?)\Z")
_STEPS = "kmgt"
_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


@dataclass(frozen=True)
class Setting:
    """A flag by all its spellings without dashes, the one to write first, or a variable, or both."""

    spellings: tuple[str, ...]
    variable: str | None = None

    @property
    def name(self) -> str:
        """The spelling to write."""
        return self.spellings[0]


def setting(*spellings: str, variable: str | None = None) -> Setting:
    """A :class:`Setting`."""
    return Setting(spellings, variable)


@dataclass(frozen=True)
class Given:
    """What a worker's command line and environment say."""

    flags: Mapping[str, Any]
    environment: Mapping[str, str]

    @classmethod
    def of(cls, worker: Mapping[str, Any]) -> Given:
        """Its settings, and its verbatim words, which stand behind them and so win."""
        flags = {_plain(name): value for name, value in worker["settings"].items()}
        words = list(worker["extra_args"])
        for word, following in itertools.zip_longest(words, words[1:], fillvalue="--"):
            if not word.startswith("-") or word in ("-", "--"):
                continue
            name, separator, value = word.partition("=")
            bare = following.startswith("--") or _is_short(following)
            flags[_plain(name.lstrip("-"))] = value if separator else True if bare else following
        return cls(flags, worker["environment"])

    def get(self, which: Setting) -> Any:
        """What is said, or ``None``; a flag wins over a variable."""
        for spelling in which.spellings:
            if self.flags.get(spelling) is not None:
                return self.flags[spelling]
        return self.environment.get(which.variable) if which.variable else None

    def number(self, which: Setting) -> float | None:
        """A number, also one such as 4k (4000) or 4K (4096); ``None`` where it is none."""
        value = self.get(which)
        if isinstance(value, bool) or value is None:
            return None
        text = str(value).strip()
        found = _HUMAN.match(text)
        step = 1000 if found and found[2].islower() else 1024
        power = _STEPS.index(found[2].lower()) + 1 if found and found[2] else 0
        try:
            number = float(found[1] if found else text) * float(step**power)
        except ValueError:
            return None
        return number if math.isfinite(number) else None

    def whole(self, which: Setting, default: int = 1) -> int:
        """A whole number, at most :data:`MOST`; the default where nothing readable is said."""
        value = self.number(which)
        return default if value is None else int(min(value, MOST))

    def on(self, which: Setting) -> bool:
        """Whether a flag is set."""
        return str(self.get(which)).lower() in ("true", "1", "on", "yes")


def _plain(name: str) -> str:
    return name.replace("_", "-")


def _is_short(word: str) -> bool:
    """Whether a word is a short flag; -1 is a value."""
    return bool(re.match(r"-[A-Za-z]", word))


@dataclass(frozen=True)
class Layout:
    """Where a worker puts its model among the devices that it sees.

    ``positions`` are counted from 0; ``None`` is each device that it sees, where that is left to
    the engine. ``tensor`` and ``pipeline`` are what the weights are divided by.
    """

    positions: tuple[int, ...] | None
    tensor: int = 1
    pipeline: int = 1


@dataclass(frozen=True)
class Memory:
    """A setting that promises memory of the host: ``unit`` bytes, for ``each`` device or once."""

    setting: Setting
    unit: int
    each: bool = False


@dataclass(frozen=True)
class Promises:
    """What an engine takes of a host, and which settings say how much.

    ``of`` says of what its share is one: ``all`` memory of a device, what is ``free`` when it
    starts, or ``needed``, where it has no share and takes what its model needs.
    """

    of: str
    layout: Callable[[Given], Layout]
    share: Setting | None = None
    shares: tuple[tuple[tuple[int, ...], float], ...] = ()
    """The share unless given, by the first version that has it, ascending."""
    pinned: Setting | None = None
    """Bytes of KV cache, which take the share's place once it has started."""
    wants: Callable[[Given], bool] = lambda given: True
    """Whether it is sure to use a device."""
    sizes: tuple[Setting, ...] = ()
    """Sizes that are at least 1."""
    placed_by: str = "other devices"
    """What moves it to another device."""
    ports: tuple[Setting, ...] = ()
    """Ports beside the one that it answers on; an address with its port counts too."""
    memory: tuple[Memory, ...] = ()
    context: Setting = field(default_factory=lambda: setting("max-model-len"))
    kv_dtype: Setting = field(default_factory=lambda: setting("kv-cache-dtype"))
    dtype: Setting = field(default_factory=lambda: setting("dtype"))
    quantization: Setting = field(default_factory=lambda: setting("quantization", "q"))
    batch: int = 8192
    """Tokens that it works through at once while it reserves memory."""
    offloaded: Callable[[Given], int | None] = lambda given: None
    """How many layers go to the devices; ``None`` is all."""

    def default_share(self, text: str | None) -> float | None:
        """The share that a version takes unless told; the newest where it is not known."""
        version = version_of(text or "")
        known = [share for since, share in self.shares if version is None or since <= version]
        return known[-1] if known else None


def version_of(text: str) -> tuple[int, ...] | None:
    """A version as numbers."""
    found = _VERSION.match(text)
    return tuple(int(part or 0) for part in found.groups()) if found else None
