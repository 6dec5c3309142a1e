# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units as rows of a fleet's status, and what they come to.

A row is a dictionary: ``host``, ``kind`` (``worker``, ``gateway``, ``router``, ``edge`` or
``host``), ``engine``, ``model``, ``unit``, ``account``, ``state``, ``detail``, ``ready``,
``listens``, ``devices``, ``uptime``, ``since``, ``restarts``, ``runs``, ``wanted``, ``current``,
``declared``, ``error``, ``told`` and ``notes``. What cannot be told is ``None``.

This file also goes to hosts, for ``onehop status``. So it needs no more than Python 3.8 and its
standard library.

This plugin util is private to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _finding

KINDS = ("worker", "gateway", "router", "edge")
"""Of units, in the order in which they are shown."""
UNKNOWN = "unknown"
"""Stands for an error that no signature explains, and for a state that could not be asked for."""
ABSENT = "absent"
UNREACHABLE = "unreachable"

_SERVING = " serving "
_STATES = {
    "failed": "failed",
    "activating": "starting",
    "deactivating": "stopping",
    "inactive": "stopped",
    ABSENT: ABSENT,
    UNREACHABLE: UNREACHABLE,
    UNKNOWN: UNKNOWN,
}
"""Words of a summary for the states of units."""
_SILENT = "not answering"
"""The word for a unit that is active and not ready."""


def empty(host: str, kind: str, state: str) -> dict[str, Any]:
    """A row of which nothing else is known."""
    return {
        "host": host,
        "kind": kind,
        "engine": None,
        "model": None,
        "unit": None,
        "account": None,
        "state": state,
        "detail": "",
        "ready": None,
        "listens": [],
        "devices": [],
        "uptime": None,
        "since": None,
        "restarts": None,
        "runs": None,
        "wanted": None,
        "current": None,
        "declared": None,
        "error": None,
        "told": None,
        "notes": [],
    }


def of_units(
    host: str, units: Sequence[Mapping[str, Any]], table: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Rows of what a host said of its units; ``table`` is that of the signatures, as hosts have it."""
    sockets = {_stem(unit): unit for unit in units if unit["unit"].endswith(".socket")}
    services = [unit for unit in units if not unit["unit"].endswith(".socket")]
    return [_row(host, unit, sockets.get(_stem(unit)), table) for unit in services]


def _stem(unit: Mapping[str, Any]) -> str:
    name: str = unit["unit"]
    return name.rpartition(".")[0]


def _row(
    host: str,
    unit: Mapping[str, Any],
    socket: Mapping[str, Any] | None,
    table: Mapping[str, Any],
) -> dict[str, Any]:
    engine, serving, model = unit["title"].partition(_SERVING)
    kind = "worker" if serving else _stem(unit).rpartition("-")[2]
    if _stem(unit) in table["variables"]:
        kind = "gateway"
    row = empty(host, kind if kind in KINDS else "worker", unit["state"])
    row.update((name, unit[name]) for name in row if name in unit)
    row.update(engine=engine if serving else row["kind"], model=model or None, notes=[])
    if socket:
        row["listens"] = socket["listens"]
        if socket["state"] not in ("active", UNKNOWN):
            row.update(ready=False, notes=["its socket is " + socket["state"]])
    if not unit["installed"]:
        row["notes"].append("its file is gone")
    if unit["current"] is False and unit["main_pid"]:
        row["notes"].append("older settings")
    if unit["unknown"]:
        row["notes"].append(unit["unknown"])
    row["error"], row["told"] = error(unit, table)
    return row


def error(unit: Mapping[str, Any], table: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The name of what ended a unit last, and its explanation; ``None`` where nothing did."""
    if unit["result"] == "success" and not unit["journal"]:
        return None, None
    found = _finding.finding(table["rows"], unit)
    if found:
        words = _finding.names(unit["owner"], unit["unit"], table["variables"])
        why = f"likely {_finding.cause(found, words)}. {_finding.mend(found, words)}"
        return found["row"]["id"], why
    last = _finding.excerpt(unit["journal"], 1)
    return UNKNOWN, last[0] if last else f"result {unit['result']}"


def order(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """A key to sort rows by: hosts, on each its workers, then what is in front of them."""
    kind = KINDS.index(row["kind"]) if row["kind"] in KINDS else -1
    return row["host"], kind, row["engine"] or "", row["model"] or "", row["unit"] or ""


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """``text`` for people; the numbers of it by kind of unit; and whether ``all_well``."""
    told: dict[str, Any] = {}
    parts = []
    for kind in KINDS:
        counts = _counts([row for row in rows if row["kind"] == kind])
        told[kind + "s"] = counts
        if counts["all"] or kind == "worker":
            parts.append(_sentence(kind, counts))
    unreached = len({row["host"] for row in rows if row["state"] == UNREACHABLE})
    told["unreachable_hosts"] = unreached
    if unreached:
        parts.append(f"{_number(unreached, 'host')} out of reach")
    told["all_well"] = not unreached and all(_well(row) for row in rows)
    return dict(told, text="; ".join(parts))


def _well(row: Mapping[str, Any]) -> bool:
    return bool(row["ready"]) and row["declared"] is not False and not row["notes"]


def _counts(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    counts = {"all": len(rows), "ready": sum(row["ready"] is True for row in rows)}
    counts.update((word, 0) for word in _STATES.values())
    counts[_SILENT] = 0
    for row in rows:
        word = _word(row)
        if word:
            counts[word] += 1
    counts["not declared"] = sum(row["declared"] is False for row in rows)
    return counts


def _word(row: Mapping[str, Any]) -> str:
    """Why a unit is not ready; empty where it is."""
    if row["detail"] == "auto-restart":
        return "failed"
    return _STATES.get(row["state"]) or ("" if row["ready"] is not False else _SILENT)


def _sentence(kind: str, counts: Mapping[str, int]) -> str:
    first = _number(counts["all"], kind)
    if not counts["all"]:
        return "no workers"
    others = [f"{count} {word}" for word, count in counts.items() if word != "all"]
    kept = [text for text in others if not text.startswith("0 ") or text == "0 ready"]
    return ", ".join([first, *kept])


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
