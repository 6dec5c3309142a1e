# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How systemd reads a unit and splits its command, written anew and stricter.

After config_parse(), config_parse_exec(), extract_first_word() and cunescape_one() of systemd 257,
replace_env_argv() of what starts it. What systemd would leave out with a warning is refused here.
``tests/e2e/hostile_quadlets.py`` asks a real systemd the same questions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

LONGEST_LINE = 1024 * 1024
"""LONG_LINE_MAX: a unit with a longer line is not loaded."""
_BLANK = b" \t\n\r"
_SIMPLE = {
    b"a"[0]: 7,
    b"b"[0]: 8,
    b"f"[0]: 12,
    b"n"[0]: 10,
    b"r"[0]: 13,
    b"t"[0]: 9,
    b"v"[0]: 11,
    **{letter: letter for letter in b"\\\"'"},
    b"s"[0]: 32,
}
_HEX = {b"x"[0]: 2, b"u"[0]: 4, b"U"[0]: 8}


class Refused(ValueError):
    """systemd would not take it, or not as a whole."""


def is_text(text: str) -> bool:
    """utf8_is_valid(): no surrogates, and none of Unicode's noncharacters."""
    return not any(
        0xD800 <= point < 0xE000 or 0xFDD0 <= point <= 0xFDEF or point & 0xFFFE == 0xFFFE
        for point in map(ord, text)
    )


def assignments(text: str) -> Iterator[tuple[str, str, str]]:
    """Section, key and value of each line, read as a unit."""
    section, held = "", ""
    for raw in re.split(r"\r\n|\n\r|[\r\n\0]", text):
        if len(raw.encode()) >= LONGEST_LINE:
            raise Refused("a line is too long")
        if not is_text(raw):
            raise Refused(f"not UTF-8 as systemd has it: {raw!r}")
        line = raw.lstrip(" \t\n\r") if not held else raw
        if line.startswith(("#", ";")):
            continue
        line = held + line
        if (len(line) - len(line.rstrip("\\"))) % 2:
            held = line[:-1] + " "
            continue
        held, line = "", line.strip(" \t\n\r")
        if line.startswith("["):
            if not line.endswith("]"):
                raise Refused(f"no section: {line!r}")
            section = line[1:-1]
        elif line:
            key, equals, value = line.partition("=")
            if not equals or not section:
                raise Refused(f"no assignment: {line!r}")
            yield section, key.rstrip(" \t\n\r"), value.strip(" \t\n\r")
    if held:
        raise Refused("the last line goes on")


def words(text: str) -> list[str]:
    """A list that is split like a command, without what only commands have."""
    left, found = text.encode(), []
    while True:
        word, left = _first_word(left)
        if word is None:
            return found
        found.append(_decoded(word))


def command(text: str, specifiers: Mapping[str, str]) -> list[str]:
    """The argument list that ExecStart= starts, where no variable is meant to be expanded."""
    left, found = text.encode(), []
    while True:
        left = left.lstrip(_BLANK)
        if found and re.match(rb"\\?;([ \t\n\r]|\Z)", left):
            raise Refused("a command ends at ;")
        word, left = _first_word(left)
        if word is None:
            break
        plain = _decoded(word)
        if not found and plain[:1] in set("@-:+!|"):
            raise Refused(f"a program with a prefix: {plain}")
        found.append(_expanded(plain, specifiers))
    return [*found[:1], *map(_without_variables, found[1:])]


def _decoded(word: bytes) -> str:
    try:
        text = word.decode()
    except UnicodeDecodeError as error:
        raise Refused(f"no UTF-8: {word!r}") from error
    if not is_text(text):
        raise Refused(f"not UTF-8 as systemd has it: {word!r}")
    return text


def _first_word(left: bytes) -> tuple[bytes | None, bytes]:
    """EXTRACT_UNQUOTE | EXTRACT_CUNESCAPE: the word, and what is behind it."""
    left = left.lstrip(_BLANK)
    if not left:
        return None, b""
    word, quote, at = bytearray(), 0, 0
    while at < len(left):
        letter = left[at]
        at += 1
        if letter == b"\\"[0]:
            made, used = _unescaped(left[at:])
            word += made
            at += used
        elif quote:
            if letter == quote:
                quote = 0
            else:
                word.append(letter)
        elif letter in b"\"'":
            quote = letter
        elif letter in _BLANK:
            return bytes(word), left[at:]
        else:
            word.append(letter)
    if quote:
        raise Refused("a quote is open")
    return bytes(word), b""


def _unescaped(text: bytes) -> tuple[bytes, int]:
    """cunescape_one(): the bytes behind a backslash stand for, and how many of them do."""
    if not text:
        raise Refused("a backslash at the end")
    kind = text[0]
    if kind in _SIMPLE:
        return bytes([_SIMPLE[kind]]), 1
    if kind in _HEX:
        digits = text[1 : 1 + _HEX[kind]]
        if not re.fullmatch(rb"[0-9A-Fa-f]{%d}" % _HEX[kind], digits) or int(digits, 16) == 0:
            raise Refused(f"no escape: {text[:9]!r}")
        number = int(digits, 16)
        return (bytes([number]) if kind == b"x"[0] else chr(number).encode()), 1 + len(digits)
    octal = re.match(rb"[0-7]{3}", text)
    if octal and 0 < int(octal.group(), 8) < 256:
        return bytes([int(octal.group(), 8)]), 3
    raise Refused(f"no escape: {text[:4]!r}")


def _expanded(word: str, specifiers: Mapping[str, str]) -> str:
    """unit_full_printf(); a specifier that is not among ``specifiers`` was not meant to be one."""

    def value(found: re.Match[str]) -> str:
        letter = found.group(1)
        if letter == "%":
            return "%"
        if letter not in specifiers:
            raise Refused(f"a specifier: %{letter} in {word!r}")
        return specifiers[letter]

    return re.sub(r"%(.?)", value, word, flags=re.DOTALL)


def _without_variables(word: str) -> str:
    """replace_env_argv(), where no variable was meant to be one."""
    if word.startswith("$") and word[1:2] != "$":
        raise Refused(f"a variable: {word!r}")

    def value(found: re.Match[str]) -> str:
        if found.group() == "${":
            raise Refused(f"a variable: {word!r}")
        return "$"

    return re.sub(r"\$[${]?", value, word)
