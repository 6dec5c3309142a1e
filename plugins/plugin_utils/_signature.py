# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a signature of a failure is: how it shows itself, what is behind it, and the mend.

This plugin util is private to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

EFFECT = 10
"""What follows from any failure, such as an engine that says that its child died."""
GENERIC = 30
"""A cause with many faces: it is told only where nothing tells more."""
LIKELY = 50
"""Nearly always the cause; engines also get over it at times."""
CERTAIN = 70
"""Ends an engine, and says why."""
CLOSE = 90
"""A cause of which also the moment is known."""


@dataclass(frozen=True)
class Signature:
    """One row of the table.

    ``cause`` and ``mend`` are texts with places: ``{0}`` and so on for what a pattern caught,
    ``{role}``, ``{model}`` (the variable that declares it) and ``{settings}``.
    """

    id: str
    example: str
    """A line as its program prints it. The row's own patterns match it."""
    cause: str
    """Follows "Likely", as a clause."""
    mend: str
    """A sentence or more, in the inventory's words."""
    patterns: tuple[str, ...] = ()
    """Regular expressions, each searched for in a line of the journal."""
    mends: Mapping[str, str] = field(default_factory=dict)
    """What to do instead with an engine, by its role."""
    rank: int = CERTAIN
    near: str = ""
    """A regular expression that a line not far before the match has to have as well."""
    results: tuple[str, ...] = ()
    """How systemd says that the unit ended, where that is the sign."""
    statuses: tuple[int, ...] = ()
    """Exit statuses of the main process that are the sign."""
    signals: tuple[int, ...] = ()
    """Signals that ended the main process, where that is the sign."""
    role: str = "vllm"
    """The role in whose words the mend is written down for all to read."""
