# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the field `model` in multipart/form-data (RFC 7578, RFC 2046) as its pieces come.

What two parsers could take differently is refused: a preamble, an epilogue, padding behind a
boundary, bare line ends, folded fields, a name that is written with escapes or twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from .errors import Refusal

MAX_PARTS = 1000
MAX_PART_HEAD_BYTES = 16384
MAX_NAME_BYTES = 4096

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_VALUE = rb'(?:"(?:[^"\\\r\n\x00]|\\[^\r\n\x00])*"|' + _TOKEN + rb")"
_PARAMETERS = rb"((?:[ \t]*;[ \t]*" + _TOKEN + rb"=" + _VALUE + rb")*)[ \t]*"
_PARAMETER = re.compile(rb";[ \t]*(" + _TOKEN + rb")=(" + _VALUE + rb")")
_TYPE = re.compile(rb"multipart/form-data" + _PARAMETERS, re.IGNORECASE)
_DISPOSITION = re.compile(rb"form-data" + _PARAMETERS, re.IGNORECASE)
_FIELD = re.compile(rb"(" + _TOKEN + rb"):[ \t]*([^\r\n\x00]*)\r\n")
_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_PLAIN_ENCODINGS = (b"7bit", b"8bit", b"binary")


def read_boundary(content_type: bytes) -> bytes:
    """The boundary of a Content-Type multipart/form-data. Raises Refusal (400)."""
    match = _TYPE.fullmatch(content_type)
    found = _parameters(match[1]) if match is not None else {}
    boundary = found.get(b"boundary")
    if boundary is None or not _BOUNDARY.fullmatch(boundary):
        raise _invalid("the Content-Type has no boundary that can be read")
    return boundary


def _parameters(text: bytes) -> dict[bytes, bytes]:
    """Parameters by their names in lower case; escapes in values are kept."""
    found: dict[bytes, bytes] = {}
    for name, value in _PARAMETER.findall(text):
        if name.lower() in found:
            raise _invalid(f"the parameter {name.decode()} stands more than once")
        found[name.lower()] = value[1:-1] if value.startswith(b'"') else value
    return found


def _invalid(problem: str) -> Refusal:
    return Refusal("invalid_form", f"The multipart body cannot be read: {problem}.")


class MultipartScanner:
    """Reads a body piece by piece, and keeps of it no more than one boundary or part head.

    `name` is the model's, once it has been found, and `start` and `end` where it stands.
    """

    def __init__(self, boundary: bytes) -> None:
        self.name: str | None = None
        self.start = 0
        self.end = 0
        self._boundary = b"--" + boundary
        # A boundary behind a bare line feed is one to some parsers, so it is looked for as well.
        self._needle = b"\n--" + boundary
        self._text = b""
        self._at = 0
        # Where in the body the text begins.
        self._base = 0
        self._parts = 0
        self._head_bytes = 0
        self._disposition: dict[bytes, bytes] | None = None
        self._encoded = False
        # The bytes of the model's name, while its part is being read.
        self._value: bytes | None = None
        self._step: Callable[[], bool] = self._read_first_boundary

    def feed(self, piece: bytes | bytearray) -> None:
        """The next bytes of the body. Raises Refusal (400)."""
        self._text += piece
        while self._step():
            pass
        self._base += self._at
        self._text = self._text[self._at :]
        self._at = 0

    def finish(self) -> None:
        """The body is whole. Raises Refusal (400) if it is not."""
        if self._step != self._read_end or self._text not in (b"", b"\r\n"):
            raise _invalid("it ends before its last boundary")

    # -- steps: each takes something from the text, or returns False when it needs more of it

    def _read_first_boundary(self) -> bool:
        if not self._boundary.startswith(self._text[: len(self._boundary)]):
            raise _invalid("it does not begin with its boundary")
        if len(self._text) < len(self._boundary):
            return False
        self._at = len(self._boundary)
        self._step = self._read_after_boundary
        return True

    def _read_after_boundary(self) -> bool:
        follows = self._text[self._at : self._at + 2]
        if len(follows) < 2:
            return False
        self._at += 2
        if follows == b"--":
            self._step = self._read_end
            return True
        self._parts += 1
        if follows != b"\r\n":
            raise _invalid("a boundary is followed by neither CRLF nor --")
        if self._parts > MAX_PARTS:
            raise _invalid(f"it has more than {MAX_PARTS} parts")
        self._head_bytes = 0
        self._disposition = None
        self._encoded = False
        self._step = self._read_field
        return True

    def _read_field(self) -> bool:
        stop = self._text.find(b"\n", self._at) + 1
        line = self._text[self._at : stop or len(self._text)]
        if self._head_bytes + len(line) > MAX_PART_HEAD_BYTES:
            raise _invalid(f"the head of a part is larger than {MAX_PART_HEAD_BYTES} bytes")
        if not stop:
            return False
        self._head_bytes += len(line)
        self._at = stop
        if line == b"\r\n":
            self._begin_content()
        else:
            self._take_field(line)
        return True

    def _take_field(self, line: bytes) -> None:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise _invalid("a line in the head of a part is malformed")
        name, value = field[1].lower(), field[2].strip(b" \t")
        if name == b"content-disposition":
            match = _DISPOSITION.fullmatch(value)
            if match is None or self._disposition is not None:
                raise _invalid("a part needs one Content-Disposition: form-data")
            self._disposition = _parameters(match[1])
        elif name == b"content-transfer-encoding":
            self._encoded = value.lower() not in _PLAIN_ENCODINGS

    def _begin_content(self) -> None:
        known = self._disposition
        if known is None or b"name" not in known or b"name*" in known or b"\\" in known[b"name"]:
            raise _invalid("a part needs one plain name in its Content-Disposition")
        if known[b"name"] == b"model":
            if self.name is not None:
                raise Refusal(
                    "duplicate_model", "The field `model` stands more than once.", "model"
                )
            if self._encoded or b"filename" in known or b"filename*" in known:
                raise Refusal("invalid_form", "The field `model` is no plain text.", "model")
            self._value = b""
            self.start = self._base + self._at
        self._step = self._read_content

    def _read_content(self) -> bool:
        hit = self._text.find(self._needle, self._at)
        # What may be the beginning of a boundary, and the byte before it, stay for the next time.
        stop = hit - 1 if hit >= 0 else max(self._at, len(self._text) - len(self._needle))
        if hit >= 0 and (stop < self._at or self._text[stop] != 0x0D):
            raise _invalid("a line before a boundary does not end in CRLF")
        if self._value is not None:
            self._value += self._text[self._at : stop]
            if len(self._value) > MAX_NAME_BYTES:
                raise Refusal("invalid_form", "The field `model` is too long for a name.", "model")
        self._at = stop
        if hit < 0:
            return False
        if self._value is not None:
            self.name = self._value.decode("utf-8", "replace")
            self.end = self._base + stop
            self._value = None
        self._at = hit + len(self._needle)
        self._step = self._read_after_boundary
        return True

    def _read_end(self) -> bool:
        if len(self._text) - self._at > 2:
            raise _invalid("something follows its last boundary")
        return False
