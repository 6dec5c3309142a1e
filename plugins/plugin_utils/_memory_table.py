# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who takes what of which device, as a table for a terminal.

This plugin util is private to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils._model_memory import gib

_HEAD = ("DEVICE", "MODEL", "ENGINE", "SHARE", "WEIGHTS", "KV CACHE", "TOTAL", "OF")
_NUMBERS = frozenset((4, 5, 6, 7))
"""Columns that are read from the right."""
_OF = {"all": "", "free": " of free", "needed": "as needed"}


def text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Lines, a row a device and model; what is not known is a dash. Empty without rows."""
    if not rows:
        return ""
    cells = [_HEAD, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEAD))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in _NUMBERS else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    )


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    share = "" if row["share"] is None else f"{row['share']:g}"
    return (
        str(row["device"]),
        str(row["model"]),
        str(row["engine"]),
        f"{share}{_OF[row['of']]}",
        _size(row["weights"]),
        _size(row["kv_cache"]),
        _size(row["total"]),
        _size(row["promised"] if row["promised"] is not None else row["memory"]),
    )


def _size(value: int | None) -> str:
    return "-" if value is None else gib(value)
