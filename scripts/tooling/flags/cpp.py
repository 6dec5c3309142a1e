# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""C++ as tokens: enough to take calls apart into their arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|//[^\n]*|/\*.*?\*/|^[ \t]*\#(?:\\\n|[^\n])*)
    |(?P<raw>R"(?P<mark>[^(\s]*)\((?P<inner>.*?)\)(?P=mark)")
    |(?P<string>"(?:\\.|[^"\\\n])*")
    |(?P<char>'(?:\\.|[^'\\\n])+')
    |(?P<word>[A-Za-z_]\w*)
    |(?P<number>\.?\d(?:[eE][+-]|[\w.'])*)
    |(?P<sign>::|->|\|\||&&|==|!=|.)
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", '"': '"', "'": "'", "r": "\r", "0": "\0"}
_OPEN = {"(": ")", "{": "}", "[": "]"}


@dataclass(frozen=True)
class Token:
    """``kind``: string (``text`` is what it says), char, word, number or sign."""

    kind: str
    text: str
    line: int


def tokens(text: str) -> list[Token]:
    """All tokens but white space, comments and preprocessor lines; strings side by side are one."""
    found: list[Token] = []
    line = 1
    for match in _TOKEN.finditer(text):
        kind, word = match.lastgroup or "", match.group()
        if match["raw"]:
            kind, word = "string", match["inner"]
        elif kind == "string":
            word = re.sub(r"\\(.)", lambda one: _ESCAPES.get(one[1], one[0]), word[1:-1])
        if kind != "space":
            if kind == "string" and found and found[-1].kind == "string":
                found[-1] = Token("string", found[-1].text + word, found[-1].line)
            else:
                found.append(Token(kind, word, line))
        line += match.group().count("\n")
    return found


def closing(found: list[Token], start: int) -> int:
    """Where the bracket at ``start`` is closed."""
    depth = 0
    for index in range(start, len(found)):
        token = found[index]
        if token.kind == "sign" and token.text in _OPEN:
            depth += 1
        elif token.kind == "sign" and token.text in _OPEN.values():
            depth -= 1
            if depth == 0:
                return index
    raise ValueError(f"line {found[start].line}: the bracket is never closed")


def arguments(found: list[Token], start: int) -> list[list[Token]]:
    """What stands between the commas inside of the bracket at ``start``."""
    end = closing(found, start)
    parts: list[list[Token]] = [[]]
    index = start + 1
    while index < end:
        token = found[index]
        if token.kind == "sign" and token.text in _OPEN:
            inner = closing(found, index)
            parts[-1] += found[index : inner + 1]
            index = inner + 1
            continue
        if token.kind == "sign" and token.text == ",":
            parts.append([])
        else:
            parts[-1].append(token)
        index += 1
    return [part for part in parts if part]


def calls(found: list[Token], name: str) -> Iterator[int]:
    """Where the bracket of each call of ``name`` opens."""
    for index, token in enumerate(found[:-1]):
        if token.kind == "word" and token.text == name and found[index + 1].text == "(":
            yield index + 1
