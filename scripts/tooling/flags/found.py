# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an extractor hands over: the rows of one version, and what it could not account for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
"""One flag: ``name``, ``kind`` and what else is known of it."""


@dataclass
class Found:
    rows: list[Row]
    unread: list[str] = field(default_factory=list)
    """Definitions that the extractor saw, and could not read."""
    missing: list[str] = field(default_factory=list)
    """Names that a second, coarser look at the text finds, and the extractor did not."""

    gone: dict[str, str] = field(default_factory=dict)
    """Flags that the parser still knows, only to refuse them: their names, with what to use instead (may be empty)."""
    gone_spellings: set[str] = field(default_factory=set)

    def known(self) -> set[str]:
        """Every way to write a flag that the parser knows, even if only to refuse it."""
        return self.spellings() | self.gone_spellings

    def spellings(self) -> set[str]:
        """Every way to write any of the flags."""
        return {text for row in self.rows for text in spellings(row)}


def spellings(row: Row) -> list[str]:
    own = row["name"] if row["kind"] == "positional" else f"--{row['name']}"
    return [own, *row.get("spellings", []), *row.get("negations", [])]
