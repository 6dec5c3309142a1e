# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of a fleet's status as text for a terminal.

This file also goes to hosts, for ``onehop status``. So it needs no more than Python 3.8 and its
standard library.

This plugin util is private to the collection.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _finding, _fleet_rows

GAP = "  "
CUT = "..."
NARROWEST = 10
"""To which a column is cut, at the most."""
WIDEST = 60
"""Characters of a cell, also where the width is not known."""
_TELLING = ("running", "listening", "exited", "dead", "failed", "")
"""What systemd says beside a state and what the state says as well."""
DROPPED = ("DEVICE", "UPTIME", "RESTARTS", "LISTENS", "NOTE")
"""Columns that go, in this order, where there is no room for all even when they are cut."""
_VERSION = re.compile(r"(?:^|[^A-Za-z0-9])(b\d{3,}|v?\d+\.\d+[\w.]*)")
_ANY = re.compile(r"^(?:0\.0\.0\.0|\[::\]):")
_LOOPBACK = re.compile(r"^(?:127\.0\.0\.1|localhost|\[::1\]):(\d+)$")


def lines(rows: Sequence[Mapping[str, Any]], width: int = 0) -> list[str]:
    """A table, what it says of errors, and a summary; ``width`` is in columns, 0 for any."""
    found = [_cells(row) for row in rows]
    table = _table(found, width) if found else []
    below = [_clean(_explained(row)) for row in rows if row["told"]]
    wrapped = [line for text in below for line in _wrapped(text, width)]
    summary = _wrapped(_fleet_rows.summary(rows)["text"], width)
    return table + [""] * bool(table) + wrapped + [""] * bool(wrapped) + summary


def _explained(row: Mapping[str, Any]) -> str:
    return ": ".join([" ".join(filter(None, (row["host"], row["unit"]))), row["told"]])


def _clean(text: str) -> str:
    """In one line, and without what a terminal would obey."""
    return " ".join(_finding.plain(text).split())


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(width, 40), subsequent_indent="    ") if width else [text]


def _cells(row: Mapping[str, Any]) -> dict[str, str]:
    """What stands in each column, cleaned: units, images and errors are strangers' words."""
    notes = list(row["notes"])
    if row["declared"] is False:
        notes.insert(0, "not declared")
    restarts = row["restarts"]
    cells = {
        "HOST": row["host"],
        "ENGINE": row["engine"] or "",
        "MODEL": row["model"] or "",
        "STATE": state(row["state"], row["detail"]),
        "READY": {True: "yes", False: "no", None: ""}[row["ready"]],
        "LISTENS": ", ".join(listens(place) for place in row["listens"]),
        "DEVICE": devices(row["devices"]),
        "UPTIME": "" if row["uptime"] is None else span(row["uptime"]),
        "RESTARTS": str(restarts) if restarts else "",
        "VERSION": versions(row["runs"], row["wanted"]),
        "LAST ERROR": row["error"] or "",
        "NOTE": "; ".join(notes),
        "UNIT": row["unit"] or "",
    }
    return {name: _cut(_clean(text), WIDEST) for name, text in cells.items()}


def _table(rows: Sequence[Mapping[str, str]], width: int) -> list[str]:
    names = [name for name in rows[0] if name == "HOST" or any(row[name] for row in rows)]
    widths = {name: max([len(name)] + [columns(row[name]) for row in rows]) for name in names}
    if width:
        _fit(widths, width - len(GAP) * (len(widths) - 1))
    made = [{name: name for name in widths}] + [dict(row) for row in rows]
    return [
        GAP.join(_padded(_cut(row[name], widths[name]), widths[name]) for name in widths).rstrip()
        for row in made
    ]


def _fit(widths: dict[str, int], room: int) -> None:
    """Take columns away, and cut the widest, until all fit."""
    if sum(widths.values()) > room and widths.pop("UNIT", 0):
        room += len(GAP)
    for name in DROPPED:
        least = sum(min(one, NARROWEST) for one in widths.values())
        if least > room and widths.pop(name, 0):
            room += len(GAP)
    while sum(widths.values()) > room and max(widths.values()) > NARROWEST:
        widest = max(widths, key=lambda name: widths[name])
        widths[widest] -= 1


def columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) != 0 for letter in text)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - columns(text))


def _cut(text: str, width: int) -> str:
    if columns(text) <= width:
        return text
    while text and columns(text) > width - len(CUT):
        text = text[:-1]
    return text + CUT


def state(name: str, detail: str) -> str:
    """A unit's state, with the detail where that says more."""
    if detail == "auto-restart":
        return "restarting"
    return name if detail in _TELLING else f"{name} ({detail})"


def listens(place: str) -> str:
    """The port where it listens on this host alone, otherwise also the address; ``*`` is any."""
    found = _LOOPBACK.match(place)
    return found.group(1) if found else _ANY.sub("*:", place)


def devices(names: Sequence[str]) -> str:
    """Devices, without the vendor: ``gpu=0,1``."""
    kinds: dict[str, list[str]] = {}
    for name in names:
        kind, dummy, number = name.rpartition("/")[2].rpartition("=")
        kinds.setdefault(kind, []).append(number)
    return " ".join(
        (kind + "=" if kind else "") + ",".join(numbers) for kind, numbers in kinds.items()
    )


def versions(runs: str | None, wanted: str | None) -> str:
    """What runs, as a version, and behind an arrow what is wanted where that is another."""
    if not wanted and not runs:
        return ""
    if not runs or runs == wanted:
        return version(runs or wanted or "")
    if not wanted:
        return version(runs)
    old, new = version(runs), version(wanted)
    if old == new:
        old, new = runs.rpartition("/")[2], wanted.rpartition("/")[2]
    if old == new:
        old, new = runs, wanted
    return f"{old} -> {new}"


def version(name: str) -> str:
    """The tag or the digest of an image, or the version in a program's path, if it has one."""
    if name.startswith("/"):
        found = _VERSION.findall(name)
        return found[-1] if found else ""
    image, dummy, digest = name.partition("@")
    tag = image.rpartition("/")[2].partition(":")[2]
    return tag or (digest[:19] if digest else image.rpartition("/")[2])


def span(seconds: int) -> str:
    """A time in two units at the most: ``45s``, ``2m``, ``1h 5m``, ``3d 4h``."""
    if seconds < 60:
        return f"{seconds}s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes}m"
    if minutes < 1440:
        return f"{minutes // 60}h {minutes % 60}m"
    return f"{minutes // 1440}d {minutes // 60 % 24}h"
