# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One value of the configuration file: read, or reported with what to write instead."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from . import secrets

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
MISSING: Any = object()


class ConfigError(ValueError):
    """Everything wrong with a configuration; `problems` holds one line each, no secrets."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class JsonObject(dict[str, Any]):
    """A JSON object that remembers which keys were there twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        names = [name for name, dummy in pairs]
        self.repeated = sorted({name for name in names if names.count(name) > 1})


def kind(value: object) -> str:
    """What JSON calls a value."""
    if value is None:
        return "null"
    names: dict[type, str] = {
        bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list",
    }  # fmt: skip
    return names.get(type(value), "an object")


def join(path: str, name: str) -> str:
    """The path of a key below another."""
    plain = re.fullmatch(r"[A-Za-z0-9_-]+", name)
    step = name if plain else json.dumps(name, ensure_ascii=False)
    return f"{path}.{step}" if path else step


def unencodable(text: str) -> bool:
    """Whether a text is no Unicode: JSON can spell half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def uncontrolled(text: str) -> bool:
    """Whether a text holds no control character but tabs, so that it fits into a header."""
    return _CONTROL.search(text) is None


class ValueReader:
    """Reads values of decoded JSON, collecting problems instead of stopping.

    Each method takes the value's path in the file and the value. What is wrong is in `problems`,
    and the result then only keeps the reading going.
    """

    def __init__(self, environ: Mapping[str, str] | None) -> None:
        self.problems: list[str] = []
        self._environ = environ
        self.expands = environ is not None

    def bad(self, path: str, value: object, problem: str) -> None:
        """Note a problem with a value that may be shown."""
        shown = json.dumps(value, ensure_ascii=False)
        self.problems.append(f"{path}: {shown if len(shown) <= 120 else '...'}: {problem}")

    def bad_secret(self, path: str, problem: str) -> None:
        """Note a problem with a value that may not be shown."""
        self.problems.append(f"{path}: {problem}")

    def mapping(self, path: str, data: object, known: tuple[str, ...] | None) -> JsonObject | None:
        """An object whose keys are `known`, or any."""
        if not isinstance(data, JsonObject):
            # The value itself is not shown: it may be a key in the wrong place.
            where = path or "the file"
            self.problems.append(f"{where}: this is {kind(data)}; write an object, {{...}}")
            return None
        for name in data.repeated:
            self.problems.append(f"{join(path, name)}: the key stands more than once; keep one")
        for name in data:
            if known is not None and name not in known:
                near = difflib.get_close_matches(name, known, 1)
                mend = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
                self.problems.append(f"{join(path, name)}: unknown key; {mend}")
        return data

    def fields(
        self, path: str, data: JsonObject, readers: Mapping[str, Callable[[str, object], Any]]
    ) -> dict[str, Any]:
        """The values of those keys that are there, each by its reader."""
        return {
            name: read(join(path, name), data[name])
            for name, read in readers.items()
            if name in data
        }

    def integer(self, path: str, value: object, low: int, high: int | None = None) -> int:
        """A whole number within bounds."""
        if (
            isinstance(value, int)
            and not isinstance(value, bool)  # which is an integer to Python
            and value >= low
            and (high is None or value <= high)
        ):
            return value
        size = f"from {low} to {high}" if high is not None else f"of {low} or more"
        self.bad(path, value, f"write a whole number {size}")
        return low

    def limit(self, path: str, value: object) -> int:
        """A count or a size; 0 is no limit."""
        return self.integer(path, value, 0)

    def seconds(self, path: str, value: object) -> float:
        """A time."""
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1e9:
            return float(value)
        self.bad(path, value, "write a number of seconds, 0 or more")
        return 0

    def flag(self, path: str, value: object) -> bool:
        """A boolean."""
        if not isinstance(value, bool):
            self.bad(path, value, "write true or false")
            return False
        return value

    def text(self, path: str, value: object) -> str:
        """Any text."""
        if not isinstance(value, str) or unencodable(value):
            self.bad(path, value, "write a text")
            return ""
        return value

    def names(self, path: str, value: object) -> tuple[str, ...]:
        """A list of model names."""
        if isinstance(value, list) and all(
            isinstance(one, str) and one and not unencodable(one) for one in value
        ):
            return tuple(value)
        self.bad(path, value, "write a list of model names")
        return ()

    def name(self, path: str, value: object) -> str | None:
        """A model's name, or null."""
        if value is None or (isinstance(value, str) and value and not unencodable(value)):
            return value
        self.bad(path, value, "write a model's name")
        return None

    def secret(self, path: str, value: object) -> str | None:
        """A value that may hold references: expanded, or checked where there is no environment."""
        if value is MISSING:
            self.bad_secret(path, "missing; write a reference such as ${cred:NAME}")
            return None
        if not isinstance(value, str):
            self.bad_secret(path, f"this is {kind(value)}; write a string such as ${{cred:NAME}}")
            return None
        try:
            if self._environ is not None:
                return secrets.expand(value, self._environ)
            secrets.validate(value)
        except secrets.SecretError as error:
            for problem in error.problems:
                self.bad_secret(path, problem)
            return None
        return value

    def file(self, path: str, value: object) -> str | None:
        """An absolute path, or ${cred:NAME} for the file of that credential; null is none."""
        if value is None:
            return None
        mend = "write an absolute path, or ${cred:NAME} for a credential's file"
        if not isinstance(value, str):
            self.bad(path, value, mend)
            return None
        try:
            return secrets.file(value, self._environ)
        except secrets.SecretError as error:
            for problem in error.problems:
                self.bad(path, value, problem)
            return None
