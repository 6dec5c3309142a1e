# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the answers that the router gives by itself: from memory, and errors."""

from __future__ import annotations

import time
from email.utils import formatdate

_REASONS = {
    200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found",
    405: "Method Not Allowed", 408: "Request Timeout", 413: "Content Too Large",
    415: "Unsupported Media Type", 417: "Expectation Failed", 429: "Too Many Requests",
    431: "Request Header Fields Too Large", 500: "Internal Server Error", 502: "Bad Gateway",
    503: "Service Unavailable", 504: "Gateway Timeout", 505: "HTTP Version Not Supported",
}  # fmt: skip


def write_answer(
    status: int,
    headers: tuple[tuple[str, str], ...],
    body: bytes,
    request_id: str,
    *,
    keep_alive: bool,
    to_head: bool,
) -> bytes:
    """A whole answer. `headers` come beside the framing; a HEAD request gets no body."""
    lines = [f"HTTP/1.1 {status} {_REASONS[status]}\r\n"]
    lines += [f"{name}: {value}\r\n" for name, value in headers]
    lines.append(f"Date: {formatdate(time.time(), usegmt=True)}\r\n")
    lines.append(f"Content-Length: {len(body)}\r\nX-Request-Id: {request_id}\r\n")
    lines.append("\r\n" if keep_alive else "Connection: close\r\n\r\n")
    return "".join(lines).encode() + (b"" if to_head else body)
