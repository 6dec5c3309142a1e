# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Upstream addresses: what a `url` of the configuration may be, and how paths join it."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

_ESCAPES = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNPRINTABLE = re.compile(r"[^!-~]")
_HOST = re.compile(r"[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\]")
_SHAPES = "write http://HOST:PORT, https://HOST, or unix:///PATH/OF/SOCKET"


class Address(NamedTuple):
    """Where connections go. For a unix socket `host` is its path and `port` is 0."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        if self.scheme == "unix":
            return f"unix://{self.host}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


class UpstreamUrl(NamedTuple):
    """One upstream: its address, the Host it goes by, and what is put before path and query."""

    address: Address
    authority: str
    base_path: str
    base_query: str

    def join(self, path: str, query: str | None) -> str:
        """The request target for a path that begins with '/' and a raw query without its '?'.

        Escapes and the client's query survive verbatim; the base query goes first.
        """
        target = self.base_path.removesuffix("/") + path
        if self.base_query:
            return f"{target}?{self.base_query}" + (f"&{query}" if query else "")
        return target if query is None else f"{target}?{query}"


def parse_upstream_url(text: str) -> UpstreamUrl:
    """Read an upstream's URL. Raises ValueError with what is wrong and what to write instead."""
    if not text or _UNPRINTABLE.search(text):
        raise ValueError(f"not an absolute http(s) or unix URL; {_SHAPES}")
    if _ESCAPES.search(text):
        raise ValueError("a % that begins no escape; write %25 for a literal %")
    if "#" in text:
        raise ValueError("an upstream URL has no fragment; leave out the # and what follows")
    scheme = text.partition(":")[0].lower()
    if scheme == "unix":
        return _parse_unix(text)
    if scheme not in ("http", "https") or not text[len(scheme) :].startswith("://"):
        raise ValueError(f"not an absolute http(s) or unix URL; {_SHAPES}")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("the host or port cannot be read; a port is 1 to 65535") from None
    if "@" in parts.netloc:
        raise ValueError(
            "an upstream URL holds no credentials; send them as a header, "
            'like "Authorization": "Bearer ${cred:NAME}"'
        )
    bare = re.sub(r":[0-9]*$", "", parts.netloc)
    if not _HOST.fullmatch(bare) or port == 0:
        raise ValueError(f"not an absolute http(s) or unix URL: the host is missing; {_SHAPES}")
    address = Address(scheme, bare.strip("[]"), port or (443 if scheme == "https" else 80))
    return UpstreamUrl(address, parts.netloc.removesuffix(":"), parts.path, parts.query)


def _parse_unix(text: str) -> UpstreamUrl:
    rest = text[len("unix:") :]
    path = rest.removeprefix("//")
    if not path.startswith("/") or "?" in path:
        raise ValueError(
            "a unix URL is unix:// and an absolute socket path, like unix:///run/x.sock"
        )
    path = unquote(path)
    if "\0" in path or path.endswith("/"):
        raise ValueError("not the path of a socket")
    return UpstreamUrl(Address("unix", path, 0), "localhost", "", "")
