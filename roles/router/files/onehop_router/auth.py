# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Client keys: who may ask, and for which models."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import NamedTuple

# Both headers are taken off before a request goes upstream, whichever one held the key.
KEY_HEADERS = frozenset((b"authorization", b"x-api-key"))


class Identity(NamedTuple):
    """The holder of a key. `models` is None where the key opens every model."""

    name: str
    models: frozenset[str] | None

    def may_use(self, model: str) -> bool:
        """Whether this key opens the model of that name."""
        return self.models is None or model in self.models


ANYONE = Identity("", None)


class Keyring:
    """All client keys of one configuration, kept as SHA-256 digests only."""

    def __init__(self, keys: Iterable[tuple[str, Identity]]) -> None:
        self._keys = [(hashlib.sha256(key.encode()).digest(), who) for key, who in keys]

    def __bool__(self) -> bool:
        return bool(self._keys)

    def identify(self, headers: Mapping[bytes, bytes]) -> Identity | None:
        """The holder of the key that a request brings, or None.

        `headers` maps lower-case names to the first value of that name. Without any key
        configured everyone is let in. `Authorization: Bearer` is tried first, then
        `x-api-key`, which Anthropic's clients send.
        """
        if not self._keys:
            return ANYONE
        authorization = headers.get(b"authorization")
        if authorization is not None:
            scheme, dummy, token = authorization.partition(b" ")
            if scheme.lower() == b"bearer":
                who = self._match(token)
                if who is not None:
                    return who
        token = headers.get(b"x-api-key", b"")
        return self._match(token) if token else None

    def _match(self, token: bytes) -> Identity | None:
        # Every key is compared, found or not, so that time tells nothing about which one fits.
        digest = hashlib.sha256(token).digest()
        found = None
        for known, who in self._keys:
            if hmac.compare_digest(known, digest):
                found = who
        return found
