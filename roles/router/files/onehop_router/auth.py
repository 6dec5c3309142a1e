# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Client keys: who sends a request, and what that key opens."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from passlib.context import CryptContext

from .paths import AllowedPaths

# Taken off before a request goes upstream, whichever one held the key.
KEY_HEADERS = frozenset((b"authorization", b"x-api-key"))
# How OpenAI's clients send a key from a browser, whose websockets have no header fields.
KEY_PROTOCOL = b"openai-insecure-api-key."
# Of passlib's formats those that need nothing but the standard library.
_SLOW_SCHEMES = ("pbkdf2_sha256", "pbkdf2_sha512", "scrypt", "sha256_crypt", "sha512_crypt")
_PLAIN_HASH = "sha256:"
_REMEMBERED = 4096
# Longer ones are no keys, and not worth a slow look.
_MAX_SLOW_TOKEN = 1024


class Identity(NamedTuple):
    """The holder of a key. `models` and `paths` are None where the key is not bound by them."""

    name: str
    models: frozenset[str] | None = None
    paths: AllowedPaths | None = None

    def may_use(self, model: str) -> bool:
        """Whether this key opens the model of that name."""
        return self.models is None or model in self.models


ANYONE = Identity("")


class Unverified(Exception):
    """A key whose holder takes a slow look to tell: `Keyring.verify`, in a thread."""

    def __init__(self, token: bytes) -> None:
        super().__init__()
        self.token = token


def hash_fault(key: str) -> str | None:
    """What is wrong with a key that is written as a hash, or None. The key is not repeated."""
    if key.startswith(_PLAIN_HASH):
        digits = key.removeprefix(_PLAIN_HASH)
        if len(digits) != 64 or not set(digits) <= set("0123456789abcdef"):
            return "sha256: is followed by 64 hex digits in lower case, as sha256sum prints them"
    elif is_slow(key):
        if _context.identify(key) is None:
            return f"not a hash of one of the kinds {', '.join(_SLOW_SCHEMES)}"
        try:
            _context.verify(b"", key)
        except ValueError:
            return "the hash is incomplete or malformed"
    return None


def is_slow(key: str) -> bool:
    """Whether a key is written as a password hash: $kind$..."""
    return key.startswith("$") and key.count("$") > 2


_context = CryptContext(_SLOW_SCHEMES)


class Keyring:
    """All client keys of one configuration; plain ones are kept as SHA-256 digests only."""

    def __init__(self, keys: Iterable[tuple[str, Identity]]) -> None:
        # A look into a dictionary takes a time that tells about digests, and so not about keys.
        self._known: dict[bytes, Identity] = {}
        self._slow: list[tuple[str, Identity]] = []
        # Digests of tokens that were looked at slowly, with what came of it.
        self._verified: OrderedDict[bytes, Identity | None] = OrderedDict()
        for key, who in keys:
            if key.startswith(_PLAIN_HASH):
                self._known[bytes.fromhex(key.removeprefix(_PLAIN_HASH))] = who
            elif is_slow(key):
                self._slow.append((key, who))
            else:
                self._known[_digest(key.encode())] = who

    def __bool__(self) -> bool:
        return bool(self._known or self._slow)

    def identify(self, headers: Mapping[bytes, bytes]) -> Identity | None:
        """The holder of the key that a request brings, or None.

        `headers` maps lower-case names to the first value of that name. Without any key
        configured everyone is let in. `Authorization: Bearer` is tried first, then `x-api-key`,
        which Anthropic's clients send, then a websocket's sub-protocol. Raises Unverified.
        """
        if not self:
            return ANYONE
        unverified = None
        for token in _tokens(headers):
            digest = _digest(token)
            who = self._known.get(digest) or self._verified.get(digest)
            if who is not None:
                return who
            if self._slow and digest not in self._verified and len(token) <= _MAX_SLOW_TOKEN:
                unverified = unverified or token
        if unverified is not None:
            raise Unverified(unverified)
        return None

    def verify(self, token: bytes) -> Identity | None:
        """The holder by the slow hashes: each takes milliseconds, so this belongs in a thread."""
        for key, who in self._slow:
            if _context.verify(token, key):
                return who
        return None

    def remember(self, token: bytes, who: Identity | None) -> None:
        """What `verify` found, for the next time; of many wrong tokens only the last ones."""
        self._verified[_digest(token)] = who
        if len(self._verified) > _REMEMBERED:
            oldest = next((one for one, held in self._verified.items() if held is None), None)
            self._verified.pop(oldest if oldest is not None else next(iter(self._verified)))


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _tokens(headers: Mapping[bytes, bytes]) -> Iterable[bytes]:
    scheme, dummy, token = headers.get(b"authorization", b"").partition(b" ")
    if token and scheme.lower() == b"bearer":
        yield token
    token = headers.get(b"x-api-key", b"")
    if token:
        yield token
    protocols = headers.get(b"sec-websocket-protocol", b"")
    if KEY_PROTOCOL in protocols:
        for one in protocols.split(b","):
            one = one.strip(b" \t")
            if one.startswith(KEY_PROTOCOL):
                yield one.removeprefix(KEY_PROTOCOL)


def without_key_protocol(protocols: bytes) -> bytes:
    """A Sec-WebSocket-Protocol without the key in it; empty where nothing else is left."""
    kept = (one.strip(b" \t") for one in protocols.split(b","))
    return b", ".join(one for one in kept if one and not one.startswith(KEY_PROTOCOL))
