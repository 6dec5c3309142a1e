# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers in few signs, for the status page."""

from __future__ import annotations

import time

NONE = "–"
# Groups of three digits, not to be broken: a narrow no-break space.
_GROUP = "\u202f"


def count(number: float | None) -> str:
    """A whole number."""
    return NONE if number is None else f"{round(number):,}".replace(",", _GROUP)


def rate(number: float | None) -> str:
    """A number of something in a time."""
    if number is None:
        return NONE
    if 0 < number < 0.05:
        return "<0.1"
    return count(number) if number >= 9.95 or number == 0 else f"{number:.1f}"


def share(part: float) -> str:
    """A part of one."""
    percent = min(part, 1.0) * 100
    return "<0.1 %" if 0 < percent < 0.05 else f"{percent:.3g} %"


def duration(seconds: float | None) -> str:
    """A time that is measured."""
    if seconds is None:
        return NONE
    if seconds < 0.9995:
        return f"{round(seconds * 1000)} ms"
    if seconds < 99.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{round(seconds)} s"
    return f"{seconds / 60:.1f} min"


def span(seconds: float) -> str:
    """A time that has gone by, in its two largest units."""
    minutes = int(seconds) // 60
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{int(seconds)} s"


def moment(seconds: float) -> str:
    """A moment in seconds since 1970, UTC; of today without its date."""
    then = time.gmtime(seconds)
    today = time.gmtime()[:3] == then[:3]
    return time.strftime("%H:%M:%S UTC" if today else "%Y-%m-%d %H:%M UTC", then)
