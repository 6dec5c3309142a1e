# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unit files as text: sections, and words quoted so that systemd reads back what went in.

This plugin util is private to the collection.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _credentials

Section = dict[str, Any]

HEAD = "# Made by the Ansible collection onehop.llm: change the inventory, not this file."

MAIN_PID = "$MAINPID"
"""The one word that systemd expands; known by identity, since an argument may read the same."""

_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


class Line:
    """What stands behind a key, where it is more than a text."""

    def text(self) -> str:
        """As the unit has it."""
        raise NotImplementedError


class Command(Line):
    """Words of an Exec line."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = words

    def text(self) -> str:
        """The program first: systemd looks for no variable in its path, so $$ would stay two."""
        program = [quoted(word, command=False) for word in self.words[:1]]
        rest = [word if word is MAIN_PID else quoted(word, command=True) for word in self.words[1:]]
        return " ".join([*program, *rest])


class Assignment(Line):
    """A word of an Environment line."""

    def __init__(self, name: str, value: str) -> None:
        self.name = name
        self.value = value

    def text(self) -> str:
        """Quoted; no variable is looked for."""
        return quoted(f"{self.name}={self.value}", command=False)


def render(
    sections: Mapping[str, Mapping[str, Any]],
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
) -> str:
    """A unit's text: a list repeats its key, ``None`` says nothing, an empty text resets a list.

    ``overrides`` come behind, as a drop-in's lines do: systemd lets the last word win, and adds to
    lists.
    """
    lines = [HEAD]
    for part in (sections, overrides or {}):
        for name, section in part.items():
            if section:
                lines += ["", f"[{name}]"]
            for key, value in section.items():
                lines += [f"{key}={text}" for text in _values(value)]
    return "\n".join([*lines, ""])


def _values(value: Any) -> Iterable[str]:
    if value is None:
        return []
    if isinstance(value, Line):
        return [value.text()]
    if isinstance(value, (list, tuple)):
        return [text for item in value for text in _values(item)]
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    return [str(value)]


def literal(text: str) -> str:
    """A text in which systemd finds no specifier."""
    return text.replace("%", "%%")


def pattern(path: str) -> str:
    """A path where systemd wants a glob(7) pattern: one that matches the path alone."""
    return re.sub(r"[*?[]", r"[\g<0>]", literal(path).replace("\\", "\\\\"))


def quoted(text: str, *, command: bool) -> str:
    """One word as systemd reads it, in double quotes with C escapes, specifiers and all.

    ``%`` starts a specifier everywhere, ``$`` a variable in commands only (systemd.service(5)). A
    reference to a credential becomes its path in the unit's directory of credentials.
    """

    def escape(part: str) -> str:
        escaped = literal("".join(_ESCAPES.get(letter, letter) for letter in part))
        return escaped.replace("$", "$$") if command else escaped

    return f'"{_credentials.replace(text, escape, lambda name: f"%d/{name}")}"'
