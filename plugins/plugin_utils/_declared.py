# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the settings, words, environment and unit keys that a model declares.

This plugin util is private to the collection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _masks, _schema
from ansible_collections.onehop.llm.plugins.plugin_utils._engines import Container, Engine
from ansible_collections.onehop.llm.plugins.plugin_utils._flag_check import Check
from ansible_collections.onehop.llm.plugins.plugin_utils._flags import arguments
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import Problems
from ansible_collections.onehop.llm.plugins.plugin_utils._unit_text import quoted

_SETTING = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\+?\Z")
_SECTION_KEY = re.compile(r"[A-Za-z][A-Za-z0-9]*\Z")
_LOWEST_PORT = 1024
_SHORTEST = 3
"""Letters of a managed flag that a parser may take for the whole, and that are no flag themselves."""
_LONGEST_WORD = 32 * 4096 - 1
"""MAX_ARG_STRLEN of execve(2), without the NUL; a variable's name and value are one word."""
_LONGEST_LINE = 1024 * 1024 - 1
"""LONG_LINE_MAX of systemd, which loads no unit with a longer one."""
_ROOM = 64 * 1024
"""What of a line is left to the words of the role and of Podman's generator."""
_SHORTER = "Write less, or put it into a file that the engine reads"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ON_SHOW = "a secret, which every user of the host could read in the argument list"


def settings(
    engine: Engine,
    where: str,
    given: Mapping[str, Any],
    checks: Sequence[Check],
    problems: Problems,
) -> None:
    """Note flags that are none, that are the role's, or that would show a secret.

    The others are judged by the ``checks``, one for each version that is to read them.
    """
    others = {}
    for flag, value in given.items():
        plain = _plain(flag)
        names = _names(engine, checks, plain)
        managed = next((name for name in names if name in engine.managed), None)
        secret = next((name for name in names if name in engine.secret_flags), None)
        if not _SETTING.match(flag):
            problems.add(
                f"{where}.{flag}",
                "is not the name of a flag",
                f"Write it without leading dashes: {flag.lstrip('-') or 'ctx-size'}",
            )
        elif managed:
            problems.add(f"{where}.{flag}", "is set by the role", engine.managed_instead[managed])
        elif secret and value not in (None, False):
            problems.add(f"{where}.{flag}", f"is {_ON_SHOW}", engine.secret_flags[secret])
        elif _words(f"{where}.{flag}", _arguments(engine, flag, value), problems):
            others[flag] = value
    for check in checks:
        check.settings(where, others, problems)


def _names(engine: Engine, checks: Sequence[Check], plain: str) -> list[str]:
    """All names of a flag, whatever it is called here, and of secrets that it may be short for."""
    found = [flag for check in checks if (flag := check.flags.find(plain))]
    short = engine.dialect.abbreviates and len(plain) >= _SHORTEST and not found
    return [
        plain,
        *(_plain(name) for flag in found for name in flag.flag.names),
        *(name for name in engine.secret_flags if short and name.startswith(plain)),
    ]


def _arguments(engine: Engine, flag: str, value: Any) -> list[str] | None:
    """The words of one flag; ``None`` where its value has no words, as a date has not."""
    try:
        return arguments({flag: value}, engine.dialect)
    except TypeError:
        return None


def _words(where: str, words: list[str] | None, problems: Problems) -> bool:
    """Note words that a unit or a process cannot be given; whether it can."""
    before = len(problems.found)
    if words is None:
        problems.add(where, "is no text, number, list or dictionary", "Write it in quotes")
    elif any(_schema.NO_TEXT.search(word) for word in words):
        problems.add(where, "contains a character that no unit can hold", _schema.NO_TEXT_MEND)
    else:
        longest = max((len(word.encode()) for word in words), default=0)
        if longest > _LONGEST_WORD:
            problems.add(
                where,
                f"makes a word of {longest} bytes, and Linux starts no program with one of more "
                f"than {_LONGEST_WORD}",
                _SHORTER,
            )
    return len(problems.found) == before


def _plain(flag: str) -> str:
    """A flag as its parser sees it: argparse takes _ for -, and no- is its negation."""
    return flag.replace("_", "-").removeprefix("no-")


def extra_args(
    engine: Engine, where: str, words: list[str], check: Check, problems: Problems
) -> None:
    """Verbatim, and yet no way to put a secret on show or a worker on the network.

    Flags that are neither are judged by the ``check``.
    """
    _words(where, words, problems)
    noted = set()
    for index, word in enumerate(words):
        if not re.match(r"--?[A-Za-z]", word):
            continue
        spelling = word.partition("=")[0]
        flag = _plain(spelling.lstrip("-"))
        # A short flag is one only where the engine has it.
        short = not word.startswith("--")
        names = [] if short and not check.flags.spelt(spelling) else _names(engine, [check], flag)
        whole = [name for name in engine.managed if name.startswith(flag) and not short]
        secret = next((name for name in names if name in engine.secret_flags), None)
        managed = next((name for name in names if name in engine.managed), None)
        noted.add(index)
        if secret:
            problems.add(where, f"gives {flag}, {_ON_SHOW}", engine.secret_flags[secret])
        elif managed:
            problems.add(
                where, f"gives {flag}, which is set by the role", engine.managed_instead[managed]
            )
        elif whole and len(flag) >= _SHORTEST and engine.dialect.abbreviates:
            problems.add(
                where,
                f"gives {flag}, which the engine may take for {whole[0]}, and that is set by the "
                "role",
                f"{engine.managed_instead[whole[0]]}, or write another flag in full",
            )
        else:
            noted.remove(index)
    check.words(where, words, noted, problems)


def port(where: str, given: int | None, problems: Problems) -> None:
    """Note a port that an account cannot have."""
    if given is not None and given < _LOWEST_PORT:
        problems.add(
            where,
            "is a port that only root may listen on, and no worker is root",
            f"Write a port from {_LOWEST_PORT} to 65535",
            given,
        )


def section(where: str, given: Mapping[str, Any], problems: Problems) -> None:
    """Note keys and values that would be other lines of the unit than they look like."""
    for key, value in given.items():
        if not _SECTION_KEY.match(key):
            problems.add(f"{where}.{key}", "is no key of a unit", "Write one such as Nice")
        items = value if isinstance(value, list) else [value]
        lines = [str(item) for item in items]
        if any(isinstance(item, (Mapping, list)) for item in items) or any(
            "\n" in line or "\r" in line for line in lines
        ):
            problems.add(
                f"{where}.{key}",
                "is no text on one line",
                "Write a text, or a list of them",
                _masks.deep(value),
            )
        elif any(line.endswith("\\") for line in lines):
            problems.add(
                f"{where}.{key}",
                "ends in a backslash, which would make the next line a part of it",
                "Remove it",
                _masks.deep(value),
            )
        elif any(_schema.NO_TEXT.search(line) for line in lines):
            problems.add(
                f"{where}.{key}", "contains a character that no unit can hold", _schema.NO_TEXT_MEND
            )
        elif any(len(line.encode()) > _LONGEST_LINE - _ROOM for line in lines):
            problems.add(
                f"{where}.{key}", f"is a line of more than {_LONGEST_LINE - _ROOM} bytes", _SHORTER
            )


def environment(
    engine: Engine,
    where: str,
    given: Mapping[str, str],
    checks: Sequence[Check],
    problems: Problems,
) -> None:
    """Note variables that would show a secret, or that stand for no flag of the ``checks``."""
    for check in checks:
        check.environment(where, given, problems)
    for name, value in given.items():
        if name in engine.secret_environment:
            problems.add(
                f"{where}.{name}",
                "is a secret, which every user of the host could read in the unit",
                engine.secret_environment[name],
            )
        elif name in engine.managed_environment:
            problems.add(f"{where}.{name}", "is set by the role", engine.managed_environment[name])
        _words(f"{where}.{name}", [f"{name}={value}"], problems)


def line(engine: Engine, spec: Mapping[str, Any], problems: Problems) -> None:
    """Note a worker whose words are together more than a line of a unit can hold.

    A container's environment and mounts are words of the same line.
    """
    try:
        words = engine.command_line(spec)
    except TypeError:
        # Such a value has been noted.
        return
    if isinstance(engine.runtime, Container):
        words += [f"--env={name}={text}" for name, text in spec["environment"].items()]
        words += [f"-v={path}:{path}:ro" for path in spec["volumes"]]
    size = sum(map(_written, words))
    if size > _LONGEST_LINE - _ROOM:
        problems.add(
            spec["variable"],
            f"makes a line of {size} bytes in its unit, and {_LONGEST_LINE - _ROOM} are the most",
            _SHORTER,
        )


def _written(word: str) -> int:
    """The bytes of a word in a unit, and of the space behind it; four for a control character."""
    text = quoted(word, command=True)
    return len(text.encode("utf-8", "replace")) + 3 * len(_CONTROL.findall(text)) + 1
