# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a value is while code is read and not run: plain Python values where they are known, and these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tooling.flags.modules import Class, Module


class Unknown:
    """A value that only running the code would tell."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = Unknown()


@dataclass(frozen=True)
class External:
    """Something outside of the tree, or built in: ``argparse.BooleanOptionalAction``, ``str``."""

    name: str


@dataclass(frozen=True)
class Member:
    """A member of an enumeration."""

    name: str
    value: Any


@dataclass(frozen=True)
class Alternatives:
    """``Literal[...]``."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Calling:
    """A call that is kept as it is, such as ``optional_type(json.loads)``."""

    function: Any
    arguments: tuple[Any, ...]


@dataclass
class Object:
    """An instance of a class of the tree, of which only the class is known; ``self`` and ``cls`` too."""

    cls: Class


class Parser:
    """An argument parser, a group of one, or the sub-parsers of one."""


@dataclass
class Argument:
    """One ``add_argument``: its names, and the keyword arguments as far as they are known."""

    names: list[str]
    options: dict[str, Any]


@dataclass
class Frame:
    """The names of one running function."""

    module: Module
    names: dict[str, Any]
    owner: Class | None = None
    sure: bool = True
    """False inside of a condition that cannot be decided: what changes there becomes unknown."""


class Returned(Exception):
    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value
