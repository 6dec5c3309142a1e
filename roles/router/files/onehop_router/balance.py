# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of several replicas a request goes to."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .routing import Target

# How far above the average a replica is loaded for the sake of a session.
HEADROOM = 1.25
# Header fields in which clients name their session; the underscore is Codex's.
SESSION_FIELDS = (b"x-session-id", b"session-id", b"session_id")
SESSION_KEYS = (b'"prompt_cache_key"', b'"user"')
_TEXT = re.compile(rb'\s*:\s*"([^"]{1,512})"')


def session_of(headers: Mapping[bytes, bytes], body: bytes | bytearray) -> bytes | None:
    """The session that a request names: in its header, whose names are lower case, or its body.

    The body is not parsed for this. A key that stands deeper in it may be taken for the one on top,
    which is as good: what counts is that the requests of a session say the same.
    """
    for name in SESSION_FIELDS:
        value = headers.get(name)
        if value:
            return value
    for key in SESSION_KEYS:
        at = body.find(key)
        while at >= 0:
            found = _TEXT.match(body, at + len(key))
            if found is not None:
                return found[1]
            at = body.find(key, at + 1)
    return None


def least_outstanding(targets: Sequence[Target], turn: int) -> Target:
    """The replica with the fewest requests under way for its weight; equals take turns.

    `turn` is a number that grows with each call.
    """
    least = math.inf
    equals: list[Target] = []
    for one in targets:
        load = one.upstream.outstanding / one.weight
        if load < least:
            least, equals = load, [one]
        elif load == least:
            equals.append(one)
    if len(equals) == 1:
        return equals[0]
    # The heavier of two equals has more turns.
    turn %= sum(one.weight for one in equals)
    for one in equals:
        turn -= one.weight
        if turn < 0:
            break
    return one


def by_session(targets: Sequence[Target], session: bytes) -> Target:
    """The session's own replica, or the next in its order while that one is too busy.

    Rendezvous hashing: the order depends on nothing but the session and the replicas, so a replica
    that comes or goes moves no other session, and every router process finds the same one.
    """
    outstanding = 1 + sum(one.upstream.outstanding for one in targets)
    share = HEADROOM * outstanding / sum(one.weight for one in targets)
    ranked = sorted(targets, key=lambda one: _rank(one, session), reverse=True)
    for one in ranked:
        if one.upstream.outstanding < math.ceil(share * one.weight):
            return one
    return ranked[0]


def _rank(target: Target, session: bytes) -> float:
    digest = hashlib.blake2b(session, digest_size=8, salt=target.salt).digest()
    chance = (int.from_bytes(digest, "big") + 0.5) / 2.0**64
    return target.weight / -math.log(chance)
