# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is shown of values that may hold a secret in spite of all: the rest of them.

A plan holds no credential's content. But an operator may have written a secret into an environment
variable, a header or a section of a unit, and what is shown ends in logs.

This plugin util is private to the collection.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _credentials

MASK = "********"
_SECRET = frozenset(
    "APIKEY AUTH AUTHORIZATION COOKIE CREDENTIAL CREDENTIALS KEY KEYS PASS PASSPHRASE PASSWD PASSWORD "
    "PRIVATE PWD SECRET SECRETS TOKEN".split()
)
"""Words of a name whose value is no one's business. TOKENS and TOKENIZERS are others."""
_ENDS = ("APIKEY", "PASSWD", "PASSWORD", "SECRET", "TOKEN")
"""As in PGPASSWORD."""
_PLACE = frozenset("DIR DIRECTORY FILE HOME PATH URL".split())
"""Last words of a name that says where something is."""
_ASSIGNED = re.compile(r"(?<![A-Za-z0-9_])([A-Z][A-Z0-9_]*)=(\"[^\"]*\"|'[^']*'|[^\s\"']+)")
_MEMBER = re.compile(r"\"([A-Za-z0-9_.-]+)\"(\s*:\s*)\"((?:[^\"\\]|\\.)*)\"")
"""A member of a JSON object, in a text."""
_USERINFO = re.compile(r"(?<=://)[^/\s@\"']+@")


def is_secret(name: str) -> bool:
    """Whether the value of a variable, a header or a key is for nobody to see, by its name."""
    words = [word for word in re.split(r"[^A-Z0-9]+", name.upper()) if word]
    if not words or words[-1] in _PLACE:
        return False
    return any(word in _SECRET or word.endswith(_ENDS) for word in words)


def pair(name: str, value: str) -> str:
    """The value of a name, or the mask; a reference to a credential is none itself."""
    return MASK if _hides(name, value) else text(value)


def text(value: str) -> str:
    """A text without assignments of secrets, and without who logs in to an address."""
    hidden = _ASSIGNED.sub(
        lambda found: f"{found.group(1)}={pair(found.group(1), found.group(2))}", value
    )
    hidden = _MEMBER.sub(
        lambda found: f'"{found[1]}"{found[2]}"{MASK}"' if _hides(found[1], found[3]) else found[0],
        hidden,
    )
    return _USERINFO.sub(f"{MASK}@", hidden)


def _hides(name: str, value: str) -> bool:
    return bool(is_secret(name) and value and not _credentials.any_reference(value))


def pairs(values: Mapping[str, str]) -> dict[str, str]:
    """Environment variables, or headers."""
    return {name: pair(name, value) for name, value in values.items()}


def deep(value: Any) -> Any:
    """A value with every text in it shown so; the keys of dictionaries are names."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, Mapping):
        return {name: _member(name, item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [deep(item) for item in value]
    return value


def _member(name: str, value: Any) -> Any:
    """The value of a name in a dictionary: a password may be digits only, a token's id is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        last = re.split(r"[^A-Z0-9]+", name.upper())[-1]
        return MASK if is_secret(name) and (last in _SECRET or last.endswith(_ENDS)) else value
    return pair(name, value) if isinstance(value, str) else deep(value)


def settings(given: Mapping[str, Any], known: Callable[[str], bool]) -> dict[str, Any]:
    """Settings: those that are ``known`` as flags hold no secret, whatever they are called."""
    return {
        name: deep(value) if known(name) else _member(name, value) for name, value in given.items()
    }


def words(given: Iterable[str], known: Callable[[str], bool]) -> list[str]:
    """Words of a command line, likewise."""
    shown: list[str] = []
    name = ""
    for word in given:
        if word.startswith("-"):
            flag, equals, value = word.partition("=")
            name = "" if known(flag.lstrip("-")) else flag.lstrip("-")
            shown.append(f"{flag}={pair(name, value)}" if equals and name else text(word))
        else:
            shown.append(pair(name, word))
            name = ""
    return shown


def values(given: Mapping[str, Any]) -> dict[str, Any]:
    """A section of a unit: its own keys are no names of secrets."""
    return {name: deep(value) for name, value in given.items()}
