# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of the last reload, noted by the one process that reads the file for all of them."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from .shared import Shared

_MAX_PROBLEMS = 20
_MAX_PROBLEM = 400


class LastReload(msgspec.Struct, frozen=True):
    """When it was, in seconds since 1970, what was wrong, and since when the configuration holds."""

    time: float
    problems: tuple[str, ...] = ()
    loaded: float = 0.0


def note_reload(shared: Shared, problems: Sequence[str]) -> None:
    """Note a reload; without problems it went well. A configuration's problems hold no secrets."""
    now = time.time()
    before = last_reload(shared)
    held = before.loaded if before is not None else shared.created
    short = tuple(one[:_MAX_PROBLEM] for one in problems[:_MAX_PROBLEMS])
    note = LastReload(now, short, held if problems else now)
    shared.note = msgspec.json.encode(note)


def last_reload(shared: Shared) -> LastReload | None:
    """The last reload, or None before the first."""
    note = shared.note
    return msgspec.json.decode(note, type=LastReload) if note else None
