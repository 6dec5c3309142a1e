# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shipped tables: flags of many versions of an engine, each row for the versions in which it says the same.

A table and the list of rows of each version are two forms of the same thing; a version is added to the second.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tooling.flags.found import Row, spellings
from tooling.flags.order import order
from tooling.steps import ROOT

FOLDER = ROOT / "plugins" / "plugin_utils" / "_flag_tables"
REPLACED = Path(__file__).with_name("replaced.json")
"""By engine and flag: what to use instead of one that is gone. Kept by hand, from release notes and deprecations."""
_SPAN = ("since", "until", "replaced_by")


@dataclass
class Table:
    engine: str
    versions: dict[str, dict[str, Row]] = field(default_factory=dict)
    """By version, its rows by name."""
    builds: dict[str, int] = field(default_factory=dict)
    """llama.cpp: the number of the build that a version was read from."""
    replaced: dict[str, str] = field(default_factory=dict)
    """What is used instead of flags that are gone, as far as it is known."""


def load(engine: str, folder: Path = FOLDER) -> Table:
    """An empty table where there is none yet."""
    path = folder / f"{engine}.json"
    by_hand = json.loads(REPLACED.read_text(encoding="utf-8")).get(engine, {})
    if not path.exists():
        return Table(engine, replaced=by_hand)
    said = json.loads(path.read_text(encoding="utf-8"))
    table = Table(engine, {version: {} for version in said["versions"]}, said.get("builds", {}))
    table.replaced = {
        row["name"]: row["replaced_by"] for row in said["flags"] if "replaced_by" in row
    } | by_hand
    for row in said["flags"]:
        plain = {key: value for key, value in row.items() if key not in _SPAN}
        for version in span(row, said["versions"]):
            table.versions[version][row["name"]] = plain
    return table


def span(row: Mapping[str, Any], versions: list[str]) -> list[str]:
    """The versions that a row is for."""
    last = versions.index(row["until"]) if row["until"] else len(versions) - 1
    return versions[versions.index(row["since"]) : last + 1]


def text(table: Table) -> str:
    """The table as it is shipped: one row a line, by name, then by version."""
    versions = sorted(table.versions, key=order)
    lines = [json.dumps(row, ensure_ascii=False) for row in merged(table)]
    head: dict[str, Any] = {"engine": table.engine, "versions": versions}
    if table.builds:
        head["builds"] = {version: table.builds[version] for version in versions}
    inner = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head.items())
    return "{" + inner + ',\n"flags": [\n' + ",\n".join(lines) + "\n]}\n"


def merged(table: Table) -> list[Row]:
    versions = sorted(table.versions, key=order)
    names = sorted({name for rows in table.versions.values() for name in rows})
    return [row for name in names for row in _intervals(name, table, versions)]


def _intervals(name: str, table: Table, versions: list[str]) -> list[Row]:
    found: list[Row] = []
    before: Row | None = None
    for index, version in enumerate(versions):
        row = table.versions[version].get(name)
        if before is not None and row != before:
            found[-1]["until"] = versions[index - 1]
            if row is None:
                instead = _instead(name, table.versions[version], table.replaced)
                if instead:
                    found[-1]["replaced_by"] = instead
        if row is not None and row != before:
            rest = {key: value for key, value in row.items() if key != "name"}
            found.append({"name": name, "since": version, "until": None} | rest)
        before = row
    return found


def _instead(name: str, rows: Mapping[str, Row], replaced: Mapping[str, str]) -> str | None:
    """The flag that has taken over the name as another spelling, or what is known."""
    for row in rows.values():
        if f"--{name}" in spellings(row):
            return str(row["name"])
    return replaced.get(name)
