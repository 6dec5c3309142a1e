# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second reader of requests, for comparison: slow, strict, and written without regular expressions.

It reads RFC 9112 as narrowly as the router means to, byte by byte, and shares no code with it.
"""

from __future__ import annotations

import string
from typing import NamedTuple

TOKEN = frozenset(b"!#$%&'*+-.^_`|~" + string.ascii_letters.encode() + string.digits.encode())
VALUE = frozenset(range(0x20, 0x7F)) | frozenset(range(0x80, 0x100)) | {0x09}
HOST = frozenset(b"._~%!$&'()*+,;=-" + string.ascii_letters.encode() + string.digits.encode())
DIGITS = frozenset(string.digits.encode())
HEX = frozenset(string.hexdigits.encode())


class Bad(Exception):
    """Not a request."""


class More(Exception):
    """Not a whole request yet."""


class Request(NamedTuple):
    """A whole request. Names of fields in lower case; `end` is where the next one begins."""

    method: bytes
    target: bytes
    version: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes
    end: int

    def all(self, name: bytes) -> list[bytes]:
        """The values of a field."""
        return [value for key, value in self.fields if key == name]


def read(data: bytes, at: int = 0) -> Request:
    """The request that begins at this byte. Raises Bad or More."""
    while data.startswith(b"\r\n", at):
        at += 2
    if at >= len(data) or data[at:] == b"\r":
        raise More
    end = data.find(b"\r\n\r\n", at)
    if end < 0:
        raise More
    lines = data[at:end].split(b"\r\n")
    at = end + 4
    method, target, version = _request_line(lines[0])
    fields = tuple(_field(one) for one in lines[1:])
    _check_target(method, target)
    _check_host(fields, version)
    head = Request(method, target, version, fields, b"", at)
    expect = head.all(b"expect")
    if len(expect) > 1 or any(one.lower() != b"100-continue" for one in expect):
        raise Bad("expect")
    lengths, codings = head.all(b"content-length"), head.all(b"transfer-encoding")
    if len(lengths) + len(codings) > 1:
        raise Bad("framing")
    if codings:
        if codings[0].lower() != b"chunked" or version == b"HTTP/1.0":
            raise Bad("coding")
        body, at = _chunks(data, at)
    elif lengths:
        if not lengths[0] or len(lengths[0]) > 15 or not DIGITS.issuperset(lengths[0]):
            raise Bad("length")
        size = int(lengths[0])
        body, at = data[at : at + size], at + size
        if len(body) < size:
            raise More
    else:
        body = b""
    return head._replace(body=body, end=at)


def read_all(data: bytes) -> tuple[list[Request], str]:
    """The requests in a stream, and what comes behind them: "nothing", "more" or "bad"."""
    found: list[Request] = []
    at = 0
    while True:
        try:
            request = read(data, at)
        except Bad:
            return found, "bad"
        except More:
            while data.startswith(b"\r\n", at):
                at += 2
            return found, "nothing" if data[at:] in (b"", b"\r") else "more"
        found.append(request)
        at = request.end


def _request_line(line: bytes) -> tuple[bytes, bytes, bytes]:
    words = line.split(b" ")
    if len(words) != 3:
        raise Bad("request line")
    method, target, version = words
    if not method or not TOKEN.issuperset(method) or version not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise Bad("request line")
    if not target or any(not 0x21 <= one <= 0x7E for one in target):
        raise Bad("target")
    return method, target, version


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    if not colon or not name or not TOKEN.issuperset(name) or not VALUE.issuperset(value):
        raise Bad("field")
    return name.lower(), value.strip(b" \t")


def _check_target(method: bytes, target: bytes) -> None:
    if b"#" in target:
        raise Bad("fragment")
    if target.startswith(b"/") or (method, target) == (b"OPTIONS", b"*"):
        return
    scheme, colon, rest = target.partition(b"://")
    if not colon or scheme.lower() not in (b"http", b"https") or method == b"CONNECT":
        raise Bad("target")
    authority = rest.split(b"/")[0].split(b"?")[0]
    if not _is_host(authority):
        raise Bad("authority")


def _check_host(fields: tuple[tuple[bytes, bytes], ...], version: bytes) -> None:
    hosts = [value for name, value in fields if name == b"host"]
    if len(hosts) > 1 or (not hosts and version == b"HTTP/1.1"):
        raise Bad("hosts")
    if hosts and hosts[0] and not _is_host(hosts[0]):
        raise Bad("host")


def _is_host(text: bytes) -> bool:
    if text.startswith(b"["):
        inner, bracket, rest = text[1:].partition(b"]")
        fine = bool(bracket) and bool(inner) and (HEX | frozenset(b":.")).issuperset(inner)
    else:
        name, colon, port = text.partition(b":")
        rest = colon + port
        fine = bool(name) and HOST.issuperset(name)
    return fine and (not rest or (rest[:1] == b":" and DIGITS.issuperset(rest[1:])))


def _chunks(data: bytes, at: int) -> tuple[bytes, int]:
    body = b""
    while True:
        line, at = _line(data, at, 256)
        size, *extensions = line.split(b";")
        if not 1 <= len(size) <= 12 or not HEX.issuperset(size):
            raise Bad("size of a chunk")
        for one in extensions:
            name, equals, value = one.partition(b"=")
            if not name or not TOKEN.issuperset(name) or not TOKEN.issuperset(value):
                raise Bad("extension of a chunk")
            if equals and not value:
                raise Bad("extension of a chunk")
        count = int(size, 16)
        if count == 0:
            return body, _trailers(data, at)
        piece = data[at : at + count]
        at += count
        if len(piece) < count:
            raise More
        body += piece
        line, at = _line(data, at, 256)
        if line:
            raise Bad("end of a chunk")


def _trailers(data: bytes, at: int) -> int:
    begin = at
    while True:
        line, at = _line(data, at, 16384)
        if not line:
            return at
        name, dummy = _field(line)
        if name in (b"content-length", b"transfer-encoding", b"host", b"connection"):
            raise Bad("trailer")
        if at - begin > 16384:
            raise Bad("trailers")


def _line(data: bytes, at: int, most: int) -> tuple[bytes, int]:
    """A line without its end, and what is behind it."""
    end = data.find(b"\n", at)
    if end < 0:
        if len(data) - at > most:
            raise Bad("long line")
        raise More
    if data[end - 1 : end] != b"\r" or end == at or end + 1 - at > most:
        raise Bad("line end")
    return data[at : end - 1], end + 1
