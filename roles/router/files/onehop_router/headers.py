# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes heads anew: the request for the upstream, the answer for the client.

Nothing is copied without having been read: names and values come from parsed fields, framing
and the connection's own fields are written here.
"""

from __future__ import annotations

from .auth import KEY_HEADERS, without_key_protocol
from .framing import RequestHead
from .naming import MODEL_HEADER

# Fields of one connection, not of the message (RFC 9110, 7.6.1, and two from habit).
HOP_BY_HOP = frozenset(
    (
        b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate",
        b"proxy-authorization", b"te", b"trailer", b"transfer-encoding", b"upgrade",
    )
)  # fmt: skip

# Fields of a request that the router writes itself or has already acted on.
_OWN = HOP_BY_HOP | {
    b"host", b"content-length", b"expect", b"forwarded", b"x-forwarded-for",
    b"x-forwarded-host", b"x-forwarded-proto", b"x-request-id", MODEL_HEADER,
}  # fmt: skip

# Fields that a configuration cannot set, because the router's framing depends on them.
NOT_CONFIGURABLE = frozenset(
    one.decode() for one in (HOP_BY_HOP | {b"content-length", b"expect"}) - {b"proxy-authorization"}
)


Fields = list[tuple[bytes, bytes]]

# For so many targets the start of one head is kept.
_MAX_WRITTEN = 16

# Up to here a piece of a body is copied rather than written with others by one system call.
_SMALL = 16384
# By which a router marks its own refusals, for those in front of it.
ERROR_FIELD = b"x-onehop-error"

# Without a length, some servers wait for a body of these until the connection ends.
_WITH_BODY = frozenset((b"POST", b"PUT", b"PATCH"))


class ConfiguredHeaders:
    """The header fields that one upstream gets on every request, rendered once.

    `fields` are (name, value) with secrets already in place.
    """

    __slots__ = ("host", "names", "rendered")

    def __init__(self, fields: tuple[tuple[str, str], ...]) -> None:
        self.host: bytes | None = None
        rendered = []
        for name, value in fields:
            if name.lower() == "host":
                # An empty Host leaves the client's, it does not send an empty one.
                self.host = value.strip(" \t").encode() or None
            else:
                rendered.append(_line(name, value))
        self.names = frozenset(name.lower().encode() for name, dummy in fields)
        self.rendered = b"".join(rendered)


def _line(name: str, value: str) -> bytes:
    return b"%b: %b\r\n" % (name.encode(), value.strip(" \t").encode())


def write_request(
    head: RequestHead,
    target: str,
    host: bytes,
    configured: ConfiguredHeaders,
    *,
    length: int | None,
    peer: str | None,
    secure: bool,
    request_id: str,
    strip_keys: bool,
) -> bytes:
    """The head of the request as the upstream gets it.

    `target` is the joined path and query; `host` the Host to send; `length` the
    body's bytes, None for a chunked body; `peer` the client's address; `secure` whether it came
    by TLS.
    """
    # All that another request of this client would bring as well is written once.
    key = (configured, target, host, strip_keys, secure)
    start = head.written.get(key)
    if start is None:
        start = _write_start(head, target, host, configured, strip_keys, secure)
        if len(head.written) >= _MAX_WRITTEN:
            head.written.clear()
        head.written[key] = start
    own = configured.names
    lines = [start]
    if peer is not None and b"x-forwarded-for" not in own:
        lines.append(b"X-Forwarded-For: %b\r\n" % peer.encode())
    if b"x-request-id" not in own:
        lines.append(b"X-Request-Id: %b\r\n" % request_id.encode())
    if length is None:
        lines.append(b"Transfer-Encoding: chunked\r\n\r\n")
    elif length or head.length is None or head.sized or head.method in _WITH_BODY:
        lines.append(b"Content-Length: %d\r\n\r\n" % length)
    else:
        lines.append(b"\r\n")
    return b"".join(lines)


def _write_start(
    head: RequestHead,
    target: str,
    host: bytes,
    configured: ConfiguredHeaders,
    strip_keys: bool,
    secure: bool,
) -> bytes:
    lines = [b"%b %b HTTP/1.1\r\nHost: %b\r\n" % (head.method, target.encode(), host)]
    dropped = configured.names
    if strip_keys:
        dropped = dropped | KEY_HEADERS
    if head.connection:
        dropped = dropped | head.connection
    if strip_keys and head.upgrade is not None:
        dropped = dropped | {b"sec-websocket-protocol"}
        protocols = without_key_protocol(head.first.get(b"sec-websocket-protocol", b""))
        if protocols:
            lines.append(b"Sec-WebSocket-Protocol: %b\r\n" % protocols)
    for lower, name, value in head.fields:
        if lower not in _OWN and lower not in dropped:
            lines.append(b"%b: %b\r\n" % (name, value))
    if head.host and b"x-forwarded-host" not in configured.names:
        lines.append(b"X-Forwarded-Host: %b\r\n" % head.host)
    if b"x-forwarded-proto" not in configured.names:
        lines.append(b"X-Forwarded-Proto: %b\r\n" % (b"https" if secure else b"http"))
    if head.upgrade is not None:
        lines.append(b"Connection: Upgrade\r\nUpgrade: %b\r\n" % head.upgrade)
    elif b"trailers" in head.first.get(b"te", b"").lower():
        lines.append(b"Connection: TE\r\nTE: trailers\r\n")
    lines.append(configured.rendered)
    return b"".join(lines)


class AnswerHead:
    """The head of an upstream's final answer.

    `framing` says how its body ends: 'none', 'length', 'chunked', or 'close'. `kind` is the Content-Type
    in lower case, `coded` whether there is a Content-Encoding.
    """

    __slots__ = (
        "coded", "fields", "framing", "identified", "keep_alive", "kind", "reason", "status",
    )  # fmt: skip

    def __init__(
        self,
        status: int,
        reason: bytes,
        version: str,
        fields: Fields,
        *,
        to_head: bool,
    ) -> None:
        """Raises ValueError where no framing, or none that can be trusted, is given."""
        if version not in ("1.1", "1.0"):
            raise ValueError(f"HTTP/{version}")
        if not 200 <= status <= 599 and status != 101:
            raise ValueError(f"status {status}")
        self.status = status
        self.reason = reason
        self.identified = False
        self.kind = b""
        self.coded = False
        listed: frozenset[bytes] = frozenset()
        coding: bytes | None = None
        sized = False
        kept: Fields = []
        for field in fields:
            lower = field[0].lower()
            if lower in HOP_BY_HOP:
                if lower == b"connection":
                    listed |= _listed(field[1])
                elif lower == b"transfer-encoding":
                    if coding is not None or field[1].lower() != b"chunked":
                        raise ValueError("a Transfer-Encoding other than chunked")
                    coding = field[1]
                continue
            if lower == b"content-length":
                sized = True
            elif lower == b"content-type":
                self.kind = field[1].lower()
            elif lower == b"content-encoding":
                self.coded = field[1].lower() != b"identity"
            elif lower == b"x-request-id":
                self.identified = True
            kept.append(field)
        if to_head or status in (101, 204, 304):
            self.framing = "none"
        elif coding is not None:
            self.framing = "chunked"
        elif sized:
            self.framing = "length"
        else:
            self.framing = "close"
        self.keep_alive = version == "1.1" and b"close" not in listed and self.framing != "close"
        if sized and (self.framing == "chunked" or status == 204):
            listed |= {b"content-length"}
        if listed:
            kept = [field for field in kept if field[0].lower() not in listed]
        self.fields = kept

    def error_code(self) -> bytes | None:
        """By which code a router has refused, where it was one that refused."""
        return next((value for name, value in self.fields if name.lower() == ERROR_FIELD), None)

    def is_event_stream(self) -> bool:
        """Whether the body is server-sent events, in plain text."""
        return self.kind.startswith(b"text/event-stream") and not self.coded


def _listed(value: bytes) -> frozenset[bytes]:
    """The names that a Connection field lists: they belong to the connection as well."""
    return frozenset(one.strip(b" \t") for one in value.lower().split(b","))


class AnswerWriter:
    """Writes one answer to one client in the framing that this client understands."""

    __slots__ = ("_request", "chunked", "closes", "sent")

    def __init__(self, request: RequestHead) -> None:
        self._request = request
        # Whether the body goes in chunks.
        self.chunked = False
        # Whether the client's connection has to end with this answer.
        self.closes = False
        # Bytes of body so far.
        self.sent = 0

    def head(self, answer: AnswerHead, request_id: str) -> bytes:
        """The head as the client gets it; decides whether its body goes in chunks."""
        old = self._request.version == b"1.0"
        self.chunked = answer.framing in ("chunked", "close") and not old
        if not self._request.keep_alive or (old and answer.framing in ("chunked", "close")):
            self.closes = True
        lines = [b"HTTP/1.1 %d %b\r\n" % (answer.status, answer.reason)]
        lines += [b"%b: %b\r\n" % field for field in answer.fields]
        if not answer.identified:
            lines.append(b"X-Request-Id: %b\r\n" % request_id.encode())
        if answer.status == 101:
            lines.append(b"Connection: Upgrade\r\nUpgrade: %b\r\n" % (self._request.upgrade or b""))
        elif self.closes:
            lines.append(b"Connection: close\r\n")
        if self.chunked:
            lines.append(b"Transfer-Encoding: chunked\r\n")
        lines.append(b"\r\n")
        return b"".join(lines)

    def body(self, pieces: list[bytes]) -> list[bytes]:
        """What to write for the pieces of body that came in together."""
        # Nearly every read brings one piece: a faster way for it pays for the counting.
        size = len(pieces[0]) if len(pieces) == 1 else sum(map(len, pieces))
        self.sent += size
        if not self.chunked:
            return pieces
        if len(pieces) == 1 and 0 < size < _SMALL:
            # An event, mostly. What follows copies small parts into one anyway.
            return [b"%x\r\n%b\r\n" % (size, pieces[0])]
        return [b"%x\r\n" % size, *pieces, b"\r\n"] if size else []

    def end(self, trailers: Fields) -> list[bytes]:
        """What to write after the last piece."""
        if not self.chunked:
            return []
        kept = [b"%b: %b\r\n" % field for field in trailers if _may_trail(field[0].lower())]
        return [b"0\r\n", *kept, b"\r\n"]


def _may_trail(lower: bytes) -> bool:
    return lower not in HOP_BY_HOP and lower not in (b"content-length", b"host")


def write_informational(status: int, reason: bytes, fields: Fields) -> bytes:
    """A 1xx answer of the upstream as the client gets it."""
    dropped = HOP_BY_HOP | {b"content-length"}
    for name, value in fields:
        if name.lower() == b"connection":
            dropped |= _listed(value)
    lines = [b"HTTP/1.1 %d %b\r\n" % (status, reason)]
    lines += [b"%b: %b\r\n" % field for field in fields if field[0].lower() not in dropped]
    lines.append(b"\r\n")
    return b"".join(lines)
