# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status of a fleet: what hosts said of their units, beside what the plan declares.

This plugin util is private to the collection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import (
    _finding,
    _fleet_rows,
    _service,
    _signature_table,
)
from ansible_collections.onehop.llm.plugins.plugin_utils._catalogue import DESCRIPTIONS, ENGINES

_SHORT = 100
"""Characters of why a host could not be asked."""


def status(
    answers: Mapping[str, Mapping[str, Any]], plan: Mapping[str, Any] | None
) -> dict[str, Any]:
    """``rows`` of all units, and their ``summary``.

    ``answers`` are what the module worker_info said by host; one without ``units`` says why in its
    ``msg``. Without a ``plan`` nothing is known of what is declared.
    """
    rows = [row for host, answer in answers.items() for row in _host(host, answer, plan)]
    rows.sort(key=_fleet_rows.order)
    return {"rows": rows, "summary": _fleet_rows.summary(rows)}


@cache
def _table() -> dict[str, Any]:
    return {"rows": _signature_table.rows(), "variables": _signature_table.VARIABLES}


def _host(
    host: str, answer: Mapping[str, Any], plan: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    found = (plan or {"hosts": {}})["hosts"].get(host)
    declared = list(_declared(found)) if found else []
    if "units" not in answer:
        return _unasked(host, answer, declared)
    rows = _fleet_rows.of_units(host, answer["units"], _table())
    if found is None:
        return rows
    by_unit = {(row["account"], row["unit"]): row for row in rows}
    for row in rows:
        row["declared"] = False
    for one in declared:
        known = by_unit.get((one["account"], one["unit"]))
        if known is None:
            absent = _fleet_rows.empty(host, one["kind"], _fleet_rows.ABSENT)
            rows.append({**absent, **one, "ready": False, "declared": True})
        else:
            known.update(_given(one, known), declared=True)
    return rows


def _given(declared: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """What a plan adds to a host's words; where it listens is the host's to say, if it does."""
    return {
        name: value
        for name, value in declared.items()
        if value not in (None, []) and not (name in ("listens", "devices") and known[name])
    }


def _unasked(
    host: str, answer: Mapping[str, Any], declared: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Rows of a host that gave no answer: what it should have, or else itself."""
    state = _fleet_rows.UNREACHABLE if answer.get("unreachable") else _fleet_rows.UNKNOWN
    said = _finding.tidy(str(answer.get("msg") or "it gave no answer").split("\n"))
    why = " ".join(said)
    rows = [
        {**_fleet_rows.empty(host, one["kind"], state), **one, "declared": True} for one in declared
    ] or [_fleet_rows.empty(host, "host", state)]
    rows[0]["told"] = why
    rows[0]["notes"] = [] if state == _fleet_rows.UNREACHABLE else [why[:_SHORT]]
    return rows


def _declared(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What the plan has for a host, in the words of rows."""
    for engine in found["engines"].values():
        for worker in engine["workers"]:
            yield {
                "kind": "worker" if worker["engine"] in ENGINES else "gateway",
                "engine": DESCRIPTIONS[worker["engine"]].title,
                "model": worker["name"],
                "unit": worker["unit"],
                "account": worker.get("account"),
                "listens": [worker["url"].partition("://")[2]],
                "devices": list(worker.get("devices") or []),
                "wanted": worker.get("image") or worker.get("binary"),
            }
    router = found["router"]
    if router and router["router_enable"]:
        yield _instance(_service.ROUTER, router)
    if found["edge"]:
        yield _instance(_service.EDGE, found["edge"]["router"])


def _instance(instance: str, router: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "kind": instance,
        "engine": instance,
        "model": None,
        "unit": _service.router_unit(instance),
        "account": None,
        "listens": [f"{router['router_host']}:{router['router_port']}"],
        "devices": [],
        "wanted": None,
    }
