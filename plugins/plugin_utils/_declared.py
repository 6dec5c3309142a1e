# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the settings, words, environment and unit keys that a model declares.

This plugin util is private to the collection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils._engines import Engine
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import Problems

_SETTING = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_SECTION_KEY = re.compile(r"[A-Za-z][A-Za-z0-9]*\Z")
_LOWEST_PORT = 1024
_SHORTEST = 3
"""Letters of a managed flag that a parser may take for the whole, and that are no flag themselves."""
_ON_SHOW = "a secret, which every user of the host could read in the argument list"


def settings(engine: Engine, where: str, given: Mapping[str, Any], problems: Problems) -> None:
    """Note flags that are none, that are the role's, or that would show a secret."""
    for flag, value in given.items():
        plain = _plain(flag)
        if not _SETTING.match(flag):
            problems.add(
                f"{where}.{flag}",
                "is not the name of a flag",
                f"Write it without leading dashes: {flag.lstrip('-') or 'ctx-size'}",
            )
        elif plain in engine.managed:
            problems.add(f"{where}.{flag}", "is set by the role", engine.managed_instead[plain])
        elif plain in engine.secret_flags and value not in (None, False):
            problems.add(f"{where}.{flag}", f"is {_ON_SHOW}", engine.secret_flags[plain])
        elif engine.dialect.joined and isinstance(value, list) and "" in value:
            _empty_word(f"{where}.{flag}", problems)


def _plain(flag: str) -> str:
    """A flag as its parser sees it: argparse takes _ for -, and no- is its negation."""
    return flag.replace("_", "-").removeprefix("no-")


def extra_args(engine: Engine, where: str, words: list[str], problems: Problems) -> None:
    """Verbatim, and yet no way to put a secret on show or a worker on the network."""
    for word in words:
        if not word and engine.dialect.joined:
            _empty_word(where, problems)
        if not word.startswith("--"):
            continue
        flag = _plain(word.removeprefix("--").partition("=")[0])
        whole = [name for name in engine.managed if name.startswith(flag)]
        if flag in engine.secret_flags:
            problems.add(where, f"gives {flag}, {_ON_SHOW}", engine.secret_flags[flag])
        elif flag in engine.managed:
            problems.add(
                where, f"gives {flag}, which is set by the role", engine.managed_instead[flag]
            )
        elif whole and len(flag) >= _SHORTEST and engine.dialect.abbreviates:
            problems.add(
                where,
                f"gives {flag}, which the engine may take for {whole[0]}, and that is set by the "
                "role",
                f"{engine.managed_instead[whole[0]]}, or write another flag in full",
            )


def _empty_word(where: str, problems: Problems) -> None:
    # Seen with Quadlet 5.4 and 5.8: an empty word, and all words behind it, are lost.
    problems.add(
        where,
        "holds an empty word, which Quadlet cannot pass on",
        "Write settings with a single text, which is joined to its flag: chat-template: ''",
    )


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
        if any(isinstance(item, Mapping) or "\n" in str(item) for item in items):
            problems.add(
                f"{where}.{key}", "is no text on one line", "Write a text, or a list of them", value
            )


def environment(engine: Engine, where: str, given: Mapping[str, str], problems: Problems) -> None:
    """Note variables that would show a secret."""
    for name in given:
        if name in engine.secret_environment:
            problems.add(
                f"{where}.{name}",
                "is a secret, which every user of the host could read in the unit",
                engine.secret_environment[name],
            )
