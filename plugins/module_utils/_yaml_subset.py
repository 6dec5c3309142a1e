# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A reader of the part of YAML that machine-made files are written in, for hosts without PyYAML.

Block and flow collections, plain and quoted scalars, literal blocks, comments. What is beyond
that, and what YAML readers disagree about, is an error that names the line: never a guess.

This module util is private to the collection.
"""

from __future__ import annotations

import re
from typing import NoReturn

_NULLS = ("~", "null", "Null", "NULL")
_BOOLEANS = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_OCTAL = re.compile(r"0[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_DISPUTED = re.compile(
    r"(?:y|n|yes|no|on|off|=|<<"
    r"|[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:e[-+]?[0-9]+)?"
    r"|[-+]?0[box][0-9a-f_]+"
    r"|[-+]?\.(?:inf|nan)"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[t\s].*)?)",
    re.IGNORECASE,
)
"""Words and numbers that one reader takes for text and another for a truth value, a number or a
date; and fractions, which no file has that this is for."""
_INDICATORS = ",[]{}#&*!|>'\"%@`"
_NO_KEY = "[]{}|>&*!%@`,"
_LITERAL = re.compile(r"\|([-+]?)([1-9]?)([-+]?)[ \t]*(?:#.*)?")
_ESCAPES = {
    "0": "\0",
    "a": "\a",
    "b": "\b",
    "t": "\t",
    "\t": "\t",
    "n": "\n",
    "v": "\v",
    "f": "\f",
    "r": "\r",
    "e": "\x1b",
    " ": " ",
    '"': '"',
    "/": "/",
    "\\": "\\",
    "N": "\x85",
    "_": "\xa0",
    "L": "\u2028",
    "P": "\u2029",
}
_CODES = {"x": 2, "u": 4, "U": 8}
_BLANK = " \t"


class YamlError(Exception):
    """What is wrong with a document, beginning with its line."""


def read(text):
    """The value of a document."""
    reader = _Reader(text)
    try:
        return reader.document()
    except RecursionError:
        raise YamlError("line %d: is nested too deeply" % (reader.row + 1)) from None


class _Reader(object):
    """A document's lines and the one that is being read."""

    def __init__(self, text):
        self.lines = text.lstrip("\ufeff").replace("\r\n", "\n").split("\n")
        self.unfinished = self.lines[-1] != ""
        if not self.unfinished:
            self.lines.pop()
        self.row = 0

    def fail(self, what) -> NoReturn:
        """Give up on the line that is being read."""
        raise YamlError("line %d: %s" % (min(self.row, len(self.lines) - 1) + 1, what))

    def document(self):
        """The whole text's value."""
        if self._indent() == 0 and re.match(r"---(?:[ \t]|$)", self.lines[self.row]):
            if _uncommented(self.lines[self.row]) != "---":
                self.fail("something stands behind ---; write it on the next line")
            self.row += 1
        value = self._node(0)
        if self._indent() is not None:
            self.fail("is not part of what stands above it; is it indented wrongly?")
        return value

    def _indent(self):
        """The spaces before the next line with something on it; ``None`` at the end."""
        while self.row < len(self.lines):
            line = self.lines[self.row]
            said = line.lstrip(_BLANK)
            if said and said[0] != "#":
                indent = len(line) - len(line.lstrip(" "))
                if line[indent] == "\t":
                    self.fail("is indented with a tab; write spaces")
                return indent
            self.row += 1
        return None

    def _at_item(self, indent):
        return re.match(r"-(?:[ \t]|$)", self.lines[self.row][indent:]) is not None

    def _node(self, minimum):
        """A value that begins on a line of its own, indented by ``minimum`` or more."""
        indent = self._indent()
        if indent is None or indent < minimum:
            return None
        if self._at_item(indent):
            return self._sequence(indent)
        if self._key(indent) is not None:
            return self._mapping(indent)
        return self._value(indent, minimum)

    def _sequence(self, indent):
        found = []
        while self._indent() == indent and self._at_item(indent):
            line = self.lines[self.row]
            # What stands behind the dash is a value whose first line is indented further.
            self.lines[self.row] = "%s %s" % (line[:indent], line[indent + 1 :])
            found.append(self._node(indent + 1))
        self._nothing_deeper(indent)
        return found

    def _mapping(self, indent):
        found: dict = {}
        while self._indent() == indent and not self._at_item(indent):
            pair = self._key(indent)
            if pair is None:
                self.fail("is no key with a colon")
            key, column = pair
            if key in found:
                self.fail("the key %s is there twice" % key)
            found[key] = self._behind_key(indent, column)
        self._nothing_deeper(indent)
        return found

    def _behind_key(self, indent, column):
        rest = self.lines[self.row][column:].lstrip(_BLANK)
        if rest and rest[0] != "#":
            return self._value(len(self.lines[self.row]) - len(rest), indent + 1)
        self.row += 1
        if self._indent() == indent and self._at_item(indent):
            return self._sequence(indent)
        return self._node(indent + 1)

    def _nothing_deeper(self, indent):
        if (self._indent() or 0) > indent:
            self.fail("is indented more than what stands above it")

    def _key(self, column):
        """The key that begins there and the column behind its colon; ``None`` for no key."""
        line = self.lines[self.row]
        if line[column] in _NO_KEY:
            return None
        if line[column] in "'\"":
            row = self.row
            key, end = self._quoted(column)
            colon = re.match(r"[ \t]*:(?=[ \t]|$)", self.lines[self.row][end:])
            if self.row == row and colon:
                return key, end + colon.end()
            self.row = row
            return None
        colon = re.search(r":(?=[ \t]|$)", _uncommented(line[column:]))
        if colon is None:
            return None
        return self._name(line[column : column + colon.start()]), column + colon.end()

    def _name(self, text):
        """A plain key."""
        key = self._resolve(text.rstrip(_BLANK))
        if not isinstance(key, str):
            self.fail("the key %s is no text; write it in quotes" % text)
        return key

    def _value(self, column, minimum):
        """A scalar or a flow collection, with all lines that belong to it."""
        first = self.lines[self.row][column]
        if first == "|":
            return self._literal(column, minimum)
        if first in "'\"":
            value, end = self._quoted(column)
        elif first in "[{":
            value, end = self._flow(column)
        else:
            return self._plain(column, minimum)
        if not re.match(r"[ \t]*(?:[ \t]#.*)?$", self.lines[self.row][end:]):
            self.fail("something stands behind a closing %s" % self.lines[self.row][end - 1])
        self.row += 1
        return value

    def _plain(self, column, minimum):
        text = ""
        part = self.lines[self.row][column:]
        breaks = 0
        while True:
            said = _uncommented(part)
            if re.search(r":(?:[ \t]|$)", said):
                self.fail("a colon in a text; write the text in quotes")
            text += ("\n" * (breaks - 1) or " " if breaks else "") + said
            row = self.row + 1
            while row < len(self.lines) and not self.lines[row].strip(_BLANK):
                row += 1
            part = self.lines[row].strip(_BLANK) if row < len(self.lines) else "#"
            indent = 0 if part[0] == "#" else self.lines[row].index(part)
            if part[0] == "#" or indent < minimum or _has_comment(self.lines[self.row][column:]):
                value = self._resolve(text)
                self.row += 1
                return value
            breaks, self.row, column = row - self.row, row, indent

    def _resolve(self, text):
        """What a plain scalar stands for."""
        if text[:1] in _INDICATORS or re.match(r"[-?:](?:\s|$)", text):
            self.fail(
                "%s is more of YAML than is read here; write values in full, and text in quotes"
                % (text or "a text that is missing")
            )
        if text in _NULLS:
            return None
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        for pattern, base in ((_DECIMAL, 10), (_OCTAL, 8), (_HEXADECIMAL, 16)):
            if pattern.fullmatch(text):
                return int(text, base)
        if _DISPUTED.fullmatch(text):
            self.fail("%s is text to some and none to others; write it in quotes" % text)
        return text

    def _quoted(self, column):
        """A quoted text and the column behind it; the row is the one of the closing quote."""
        quote = self.lines[self.row][column]
        opened = self.row
        column += 1
        text, kept = "", 0  # So much of the text was written so: its spaces stay at a line's end.
        while True:
            line = self.lines[self.row]
            if column >= len(line):
                text = text[:kept] + text[kept:].rstrip(_BLANK)
                breaks, column = self._fold(opened)
                text += "\n" * (breaks - 1) or " "
                kept = len(text)
            elif line[column] == quote and quote == "'" and line[column + 1 : column + 2] == quote:
                text += quote
                column += 2
            elif line[column] == quote:
                return text, column + 1
            elif line[column] == "\\" and quote == '"':
                if column + 1 == len(line):
                    breaks, column = self._fold(opened)
                    text += "\n" * (breaks - 1)
                else:
                    said, column = self._escape(line, column + 1)
                    text += said
                kept = len(text)
            else:
                text += line[column]
                column += 1

    def _fold(self, opened):
        """Go to the next line of a quoted text: how many lines that was, and where it goes on."""
        breaks = 0
        while True:
            self.row += 1
            breaks += 1
            if self.row >= len(self.lines):
                self.row = opened
                self.fail("a quote is opened and never closed")
            said = self.lines[self.row].lstrip(_BLANK)
            if said:
                return breaks, len(self.lines[self.row]) - len(said)

    def _escape(self, line, column):
        letter = line[column]
        if letter in _ESCAPES:
            return _ESCAPES[letter], column + 1
        digits = line[column + 1 : column + 1 + _CODES.get(letter, 0)]
        number = int(digits, 16) if re.fullmatch(r"[0-9a-fA-F]+", digits) else -1
        if len(digits) != _CODES.get(letter) or not _is_character(number):
            self.fail("\\%s%s stands for no character" % (letter, digits))
        return chr(number), column + 1 + len(digits)

    def _flow(self, column):
        """A collection in brackets and the column behind it."""
        closing = "]" if self.lines[self.row][column] == "[" else "}"
        items: list = []
        pairs: dict = {}
        column = self._space(column + 1)
        while self.lines[self.row][column] != closing:
            value, end = self._flow_item(column)
            column = self._space(end)
            if closing == "]":
                items.append(value)
            else:
                if not isinstance(value, str) or self.lines[self.row][column] != ":":
                    self.fail("between { and } is something else than a text with a colon")
                key = value
                column = self._space(column + 1)
                value = None
                if self.lines[self.row][column] not in ",}":
                    value, end = self._flow_item(column)
                    column = self._space(end)
                if key in pairs:
                    self.fail("the key %s is there twice" % key)
                pairs[key] = value
            if self.lines[self.row][column] == ",":
                column = self._space(column + 1)
            elif self.lines[self.row][column] != closing:
                self.fail("a comma or a %s is missing" % closing)
        return (items if closing == "]" else pairs), column + 1

    def _flow_item(self, column):
        line = self.lines[self.row]
        if line[column] in "[{":
            return self._flow(column)
        if line[column] in "'\"":
            return self._quoted(column)
        plain = re.match(
            r"(?:[^,\[\]{}:# \t]|:(?![ \t,\[\]{}]|$)|(?<![ \t])#|[ \t](?![ \t#]))*", line[column:]
        )
        text = plain.group() if plain else ""
        return self._resolve(text.strip(_BLANK)), column + len(text)

    def _space(self, column):
        """The column of what comes next in a flow collection, which may be on another line."""
        while True:
            said = self.lines[self.row][column:].lstrip(_BLANK)
            if said and said[0] != "#":
                return len(self.lines[self.row]) - len(said)
            if self.row + 1 == len(self.lines):
                self.fail("a bracket is opened and never closed")
            self.row += 1
            column = 0

    def _literal(self, column, minimum):
        header = _LITERAL.fullmatch(self.lines[self.row][column:])
        if header is None:
            self.fail("%s begins no block of text" % self.lines[self.row][column:])
        before, digit, after = header.groups()
        self.row += 1
        indent = minimum - 1 + int(digit) if digit else 0
        body: list = []
        while self.row < len(self.lines):
            line = self.lines[self.row]
            if line.strip(" "):
                depth = len(line) - len(line.lstrip(" "))
                indent = indent or depth
                if depth < max(indent, minimum):
                    break
            body.append(line[indent:] if indent else "")
            self.row += 1
        while body and not body[-1] and (before or after) != "+":
            body.pop()
        cut = self.unfinished and self.row == len(self.lines)
        return "\n".join(body) + ("" if (before or after) == "-" or cut or not body else "\n")


def _uncommented(text):
    """A line's rest without a comment and the spaces before it."""
    return re.split(r"(?:^|[ \t])#", text)[0].rstrip(_BLANK)


def _has_comment(text):
    return re.search(r"(?:^|[ \t])#", text) is not None


def _is_character(number):
    return 0 <= number < 0xD800 or 0xE000 <= number < 0x110000
