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
    request_id: str,
    strip_keys: bool,
) -> bytes:
    """The head of the request as the upstream gets it.

    `target` is the joined path and query; `host` the Host to send; `length` the
    body's bytes, None for a chunked body; `peer` the client's address.
    """
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
    own = configured.names
    if peer is not None and b"x-forwarded-for" not in own:
        lines.append(b"X-Forwarded-For: %b\r\n" % peer.encode())
    if head.host and b"x-forwarded-host" not in own:
        lines.append(b"X-Forwarded-Host: %b\r\n" % head.host)
    if b"x-forwarded-proto" not in own:
        lines.append(b"X-Forwarded-Proto: http\r\n")
    if b"x-request-id" not in own:
        lines.append(b"X-Request-Id: %b\r\n" % request_id.encode())
    if head.upgrade is not None:
        lines.append(b"Connection: Upgrade\r\nUpgrade: %b\r\n" % head.upgrade)
    elif b"trailers" in head.first.get(b"te", b"").lower():
        lines.append(b"Connection: TE\r\nTE: trailers\r\n")
    if length is None:
        lines.append(b"Transfer-Encoding: chunked\r\n")
    elif length or head.length is None or _wants_length(head):
        lines.append(b"Content-Length: %d\r\n" % length)
    lines.append(configured.rendered)
    lines.append(b"\r\n")
    return b"".join(lines)


def _wants_length(head: RequestHead) -> bool:
    return b"content-length" in head.first or head.method in _WITH_BODY


class AnswerHead:
    """The head of an upstream's final answer.

    `framing` says how its body ends: 'none', 'length', 'chunked', or 'close'.
    """

    __slots__ = ("fields", "framing", "identified", "keep_alive", "reason", "status")

    def __init__(
        self,
        status: int,
        reason: bytes,
        version: str,
        fields: list[tuple[bytes, bytes]],
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
        lowered = [(name.lower(), name, value) for name, value in fields]
        listed = _listed(lowered)
        codings = [value for lower, dummy, value in lowered if lower == b"transfer-encoding"]
        if codings and (len(codings) > 1 or codings[0].lower() != b"chunked"):
            raise ValueError("a Transfer-Encoding other than chunked")
        if to_head or status in (101, 204, 304):
            self.framing = "none"
        elif codings:
            self.framing = "chunked"
        elif any(lower == b"content-length" for lower, dummy, dummy_value in lowered):
            self.framing = "length"
        else:
            self.framing = "close"
        self.keep_alive = version == "1.1" and b"close" not in listed and self.framing != "close"
        dropped = HOP_BY_HOP | listed
        if self.framing == "chunked" or status == 204:
            dropped |= {b"content-length"}
        self.fields = [(name, value) for lower, name, value in lowered if lower not in dropped]
        self.identified = any(lower == b"x-request-id" for lower, dummy, dummy_value in lowered)


def _listed(fields: list[tuple[bytes, bytes, bytes]]) -> frozenset[bytes]:
    for lower, dummy, dummy_value in fields:
        if lower == b"connection":
            break
    else:
        return frozenset()
    return frozenset(
        one.strip(b" \t")
        for lower, dummy, value in fields
        if lower == b"connection"
        for one in value.lower().split(b",")
    )


class AnswerWriter:
    """Writes one answer to one client in the framing that this client understands."""

    __slots__ = ("_chunked", "_request", "closes")

    def __init__(self, request: RequestHead) -> None:
        self._request = request
        self._chunked = False
        # Whether the client's connection has to end with this answer.
        self.closes = False

    def head(self, answer: AnswerHead, request_id: str) -> bytes:
        """The head as the client gets it; decides whether its body goes in chunks."""
        old = self._request.version == b"1.0"
        self._chunked = answer.framing in ("chunked", "close") and not old
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
        if self._chunked:
            lines.append(b"Transfer-Encoding: chunked\r\n")
        lines.append(b"\r\n")
        return b"".join(lines)

    def body(self, pieces: list[bytes]) -> list[bytes]:
        """What to write for the pieces of body that came in together."""
        if not self._chunked:
            return pieces
        size = sum(map(len, pieces))
        return [b"%x\r\n" % size, *pieces, b"\r\n"] if size else []

    def end(self, trailers: list[tuple[bytes, bytes]]) -> list[bytes]:
        """What to write after the last piece."""
        if not self._chunked:
            return []
        kept = [b"%b: %b\r\n" % field for field in trailers if _may_trail(field[0].lower())]
        return [b"0\r\n", *kept, b"\r\n"]


def _may_trail(lower: bytes) -> bool:
    return lower not in HOP_BY_HOP and lower not in (b"content-length", b"host")


def write_informational(status: int, reason: bytes, fields: list[tuple[bytes, bytes]]) -> bytes:
    """A 1xx answer of the upstream as the client gets it."""
    lowered = [(name.lower(), name, value) for name, value in fields]
    dropped = HOP_BY_HOP | _listed(lowered) | {b"content-length"}
    lines = [b"HTTP/1.1 %d %b\r\n" % (status, reason)]
    lines += [b"%b: %b\r\n" % one[1:] for one in lowered if one[0] not in dropped]
    lines.append(b"\r\n")
    return b"".join(lines)
