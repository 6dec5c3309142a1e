# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads requests: heads strictly, bodies by length or by chunks, and where each one ends.

No socket here: bytes in, parts out. What two readers could take differently is refused.
"""

from __future__ import annotations

import re
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from .errors import Refusal

MAX_HEAD_BYTES = 65536
_MAX_TRAILER_BYTES = 16384
_MAX_CHUNK_LINE = 256

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([!-~]+) HTTP/([0-9])\.([0-9])\r\n")
# How a request line begins, while the rest of it is still to come. No method is that long.
_FIRST_WORD = re.compile(_TOKEN[:-1] + rb"{1,32}(?: |\Z)")
_FIELD = re.compile(rb"(" + _TOKEN + rb"):([\t -~\x80-\xff]*)\r\n")
_HOST = re.compile(rb"(?:[A-Za-z0-9._~%!$&'()*+,;=-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")
_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?#]*)(.*)")
_EMPTY_LINES = re.compile(rb"(?:\r\n)+")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_LENGTH = re.compile(rb"[0-9]{1,15}")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,12})(?:;" + _TOKEN + rb"(?:=" + _TOKEN + rb")?)*\r\n")
# What a trailer must not change: where messages end, and where they go.
_NO_TRAILER = frozenset((b"content-length", b"transfer-encoding", b"host", b"connection"))


class HeadFinder:
    """Finds where a head ends in bytes that grow, without looking twice at the same ones."""

    __slots__ = ("_line_read", "_seen")

    def __init__(self) -> None:
        self._seen = 0
        self._line_read = False

    def take(self, inbox: bytes) -> tuple[bytes | None, bytes]:
        """The head and what follows it, or None and what is left while it is not whole.

        What is left has to begin the next `inbox`. Raises Refusal (400, 431) once the bytes can
        no longer become a head.
        """
        if not self._seen and inbox.startswith(b"\r"):
            # Line ends too many after the last request; RFC 9112, 2.2 asks for patience.
            empty = _EMPTY_LINES.match(inbox)
            if empty is not None:
                inbox = inbox[empty.end() :]
            if inbox in (b"", b"\r"):
                return None, inbox
        end = inbox.find(b"\r\n\r\n", self._seen - 3 if self._seen > 3 else 0)
        size = end + 4 if end >= 0 else len(inbox)
        if size > MAX_HEAD_BYTES:
            raise Refusal("head_too_large", f"The head is larger than {MAX_HEAD_BYTES} bytes.")
        if end < 0:
            if _BARE_LF.search(inbox, max(0, self._seen - 1)):
                raise Refusal("bad_request", "A line of the head does not end in CRLF.")
            if not self._line_read:
                self._read_line(inbox)
            self._seen = size
            return None, inbox
        self._seen = 0
        self._line_read = False
        return inbox[:size], inbox[size:]

    def _read_line(self, inbox: bytes) -> None:
        # What speaks another protocol (TLS, HTTP/0.9) would wait for more until its time is up.
        self._line_read = inbox.find(b"\r\n", max(0, self._seen - 1)) >= 0
        expected = _REQUEST_LINE.match(inbox) if self._line_read else _FIRST_WORD.match(inbox[:33])
        if expected is None:
            raise Refusal("bad_request", "The request line is malformed.")


class LengthBody:
    """A body of a declared length, in bytes."""

    __slots__ = ("_left",)

    def __init__(self, length: int) -> None:
        self._left = length

    def feed(self, data: bytes) -> tuple[list[bytes], bytes | None]:
        """The pieces of body in `data`, and what follows the body, or None before its end."""
        if len(data) < self._left:
            self._left -= len(data)
            return ([data] if data else []), None
        left, self._left = self._left, 0
        if len(data) == left:
            return ([data] if data else []), b""
        return ([data[:left]] if left else []), data[left:]


class ChunkedBody:
    """A body in chunks. Extensions and trailers are read, checked and dropped."""

    __slots__ = ("_left", "_line", "_trailer")

    def __init__(self) -> None:
        # Bytes of the chunk still to come, its closing CRLF not counted; None between chunks.
        self._left: int | None = None
        self._line = b""
        self._trailer = -1

    def feed(self, data: bytes) -> tuple[list[bytes], bytes | None]:
        """Like LengthBody.feed. Raises Refusal (400) where the framing is not to the letter."""
        pieces: list[bytes] = []
        # A position is kept instead of the rest: one read may hold thousands of tiny chunks.
        at, end = 0, len(data)
        while at < end:
            if self._left:
                piece = data[at : at + self._left]
                pieces.append(piece)
                self._left -= len(piece)
                at += len(piece)
                continue
            stop = data.find(b"\n", at) + 1
            line = self._line + data[at : stop or end]
            limit = _MAX_CHUNK_LINE if self._trailer < 0 else _MAX_TRAILER_BYTES
            if len(line) > limit:
                raise Refusal("bad_request", "A line of the chunked body is too long.")
            if not stop:
                self._line = line
                break
            self._line = b""
            at = stop
            if self._take_line(line):
                return pieces, data[at:]
        return pieces, None

    def _take_line(self, line: bytes) -> bool:
        """Read a whole line of the framing; True at the end of the body."""
        if self._trailer >= 0:
            if line == b"\r\n":
                return True
            self._trailer += len(line)
            field = _FIELD.fullmatch(line)
            if (
                self._trailer > _MAX_TRAILER_BYTES
                or field is None
                or field[1].lower() in _NO_TRAILER
            ):
                raise Refusal("bad_request", "The trailer of the chunked body is malformed.")
        elif self._left == 0:
            if line != b"\r\n":
                raise Refusal("bad_request", "A chunk does not end where its size says.")
            self._left = None
        else:
            size = _CHUNK_LINE.fullmatch(line)
            if size is None:
                raise Refusal("bad_request", "The size of a chunk is malformed.")
            self._left = int(size[1], 16)
            if self._left == 0:
                self._left, self._trailer = None, 0
        return False


class RequestHead:
    """A request head that both parsers accepted. Names in `fields` come as (lower, sent, value).

    `path` and `query` are raw; `query` is None without a '?'. `length` is the declared body
    length, 0 without a body, None for a chunked one; `sized` says whether it was declared in
    figures, and the field that did so is in neither `fields` nor `first`.

    Heads that differ in nothing but their length share `fields`, `first`, `connection`, and what
    others have made of them: `admitted` by admission, for one routing table, and `written` by
    headers, for each target. `client` is the name of its key's holder, once admission knows it.
    """

    __slots__ = (
        "admitted", "client", "connection", "expects_continue", "fields", "first", "host",
        "keep_alive", "length", "method", "path", "query", "sized", "upgrade", "version", "written",
    )  # fmt: skip

    def __init__(self, method: bytes, target: bytes, version: bytes) -> None:
        self.method = method
        self.version = version
        self.fields: list[tuple[bytes, bytes, bytes]] = []
        self.first: dict[bytes, bytes] = {}
        self.connection: frozenset[bytes] = frozenset()
        self.host: bytes | None = None
        self.length: int | None = 0
        self.keep_alive = version == b"1.1"
        self.expects_continue = False
        self.upgrade: bytes | None = None
        self.sized = False
        self.admitted: dict[object, Any] = {}
        self.written: dict[tuple[object, ...], bytes] = {}
        self.client = ""
        path, mark, query = target.decode("ascii").partition("?")
        self.path = path
        self.query = query if mark else None

    def again(self, length: int | None) -> RequestHead:
        """Another head like this one, as it was parsed, but with a body of another length."""
        head = RequestHead.__new__(RequestHead)
        head.client = ""
        head.method = self.method
        head.version = self.version
        head.fields = self.fields
        head.first = self.first
        head.connection = self.connection
        head.host = self.host
        head.length = length
        head.keep_alive = self.keep_alive
        head.expects_continue = self.expects_continue
        head.upgrade = self.upgrade
        head.sized = self.sized
        head.admitted = self.admitted
        head.written = self.written
        head.path = self.path
        head.query = self.query
        return head

    def body(self) -> LengthBody | ChunkedBody | None:
        """A reader for this request's body, or None where there is none."""
        if self.length is None:
            return ChunkedBody()
        return LengthBody(self.length) if self.length else None


# What was read of heads before, by what stood before and behind the figures of their length: a
# client's heads are alike but for these. Heads hold keys, so they are neither kept for long nor
# told apart byte by byte; nothing is kept of those that were refused.
_known: dict[tuple[bytes, bytes], RequestHead] = {}
_MAX_KNOWN = 128
_MAX_KNOWN_BYTES = 4096
_LENGTH_FIELDS = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")
# Whether these are met depends on the length.
_UNLIKE = (b"expect", b"upgrade")


def parse_head(raw: bytes) -> RequestHead:
    """Read a head that ends with its empty line. Raises Refusal; the connection then closes."""
    if len(raw) > _MAX_KNOWN_BYTES:
        return _parse(raw)
    before, figures, behind = _around_length(raw)
    known = _known.get((before, behind))
    if known is not None:
        return known.again(int(figures) if figures else known.length)
    head = _parse(raw)
    if not any(name in head.first for name in _UNLIKE):
        if len(_known) >= _MAX_KNOWN:
            _known.clear()
        _known[before, behind] = head.again(head.length)
    return head


def forget_heads() -> None:
    """Remember nothing of earlier heads: another routing table may have other keys."""
    _known.clear()


def _around_length(raw: bytes) -> tuple[bytes, bytes, bytes]:
    """What is before the figures of a Content-Length, they themselves, and what is behind.

    Without one, or where it looks unusual, all is before. Any other figures would be accepted or
    refused as these are.
    """
    for name in _LENGTH_FIELDS:
        start = raw.find(name)
        if start >= 0:
            start += len(name)
            end = raw.find(b"\r", start)
            figures = raw[start:end]
            if len(figures) <= 15 and figures.isdigit():
                return raw[:start], figures, raw[end:]
            break
    return raw, b"", b""


def _parse(raw: bytes) -> RequestHead:
    line = _REQUEST_LINE.match(raw)
    if line is None:
        raise Refusal("bad_request", "The request line is malformed.")
    method, target, major, minor = line.groups()
    if major != b"1" or minor not in b"01":
        raise Refusal("version_not_supported", "This server speaks HTTP/1.1 and HTTP/1.0.")
    fields = _FIELD.findall(raw, line.end())
    # The matches cover the head only if their lengths add up: a colon and CRLF each.
    covered = sum(len(name) + len(value) + 3 for name, value in fields)
    if line.end() + covered + 2 != len(raw):
        raise Refusal("bad_request", "A header field is malformed.")
    target, authority = _origin_form(method, target)
    head = RequestHead(method, target, b"1." + minor)
    first = head.first
    for name, value in fields:
        lower = name.lower()
        value = value.strip(b" \t")
        if lower not in first:
            first[lower] = value
        elif lower in _SINGLE:
            raise Refusal("bad_request", f"The header {lower.decode()} stands more than once.")
        elif lower == b"connection":
            first[lower] += b"," + value
        if lower != b"content-length":
            head.fields.append((lower, name, value))
    _second_opinion(raw)
    _read_host(head, authority)
    _read_framing(head)
    _read_connection(head)
    return head


_SINGLE = frozenset((b"host", b"content-length", b"transfer-encoding", b"expect"))


def _origin_form(method: bytes, target: bytes) -> tuple[bytes, bytes | None]:
    if b"#" in target:
        raise Refusal("bad_request", "The request target holds a fragment.")
    if target.startswith(b"/") or (target == b"*" and method == b"OPTIONS"):
        return target, None
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None or method == b"CONNECT" or not _HOST.fullmatch(absolute[1]):
        raise Refusal("bad_request", "The request target is no path.")
    rest = absolute[2]
    return (rest if rest.startswith(b"/") else b"/" + rest), absolute[1]


def _second_opinion(raw: bytes) -> None:
    # llhttp reads the same bytes and must agree. It alone is not enough: it takes "a, chunked",
    # several spaces before the target, other protocols' versions, and fragments.
    try:
        HttpRequestParser(None).feed_data(raw)
    except HttpParserUpgrade:
        pass
    except HttpParserError as error:
        raise Refusal("bad_request", f"Malformed request: {error}.") from None


def _read_host(head: RequestHead, authority: bytes | None) -> None:
    host = head.first.get(b"host")
    if host is None and head.version == b"1.1":
        raise Refusal("bad_request", "The Host header is missing.")
    if host and not _HOST.fullmatch(host):
        raise Refusal("bad_request", "The Host header is malformed.")
    head.host = authority if authority is not None else host


def _read_framing(head: RequestHead) -> None:
    length = head.first.pop(b"content-length", None)
    coding = head.first.get(b"transfer-encoding")
    if coding is not None:
        if length is not None:
            raise Refusal("bad_request", "Content-Length and Transfer-Encoding exclude each other.")
        if coding.lower() != b"chunked" or head.version == b"1.0":
            raise Refusal("bad_request", "The only Transfer-Encoding is chunked, in HTTP/1.1.")
        head.length = None
    elif length is not None:
        if not _LENGTH.fullmatch(length):
            raise Refusal("bad_request", "The Content-Length is malformed.")
        head.length = int(length)
        head.sized = True


def _read_connection(head: RequestHead) -> None:
    connection = head.first.get(b"connection")
    if connection is not None:
        head.connection = frozenset(one.strip(b" \t") for one in connection.lower().split(b","))
        if b"close" in head.connection:
            head.keep_alive = False
        upgrade = head.first.get(b"upgrade", b"")
        # Only this one: through a tunnel to h2c, requests would pass every check unseen.
        if (
            b"upgrade" in head.connection
            and upgrade.lower() == b"websocket"
            and head.length == 0
            and head.version == b"1.1"
        ):
            head.upgrade = upgrade
    expect = head.first.get(b"expect")
    if expect is not None:
        if expect.lower() != b"100-continue":
            raise Refusal("expectation_failed", "The only expectation met is 100-continue.")
        # A 1.0 client would not understand the interim answer.
        head.expects_continue = head.version == b"1.1" and head.length != 0
