# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference pages: one for each engine and version, and an index that says what changed. Made from the tables alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tooling.flags import tables
from tooling.flags.engines import ENGINES, Engine
from tooling.flags.found import Row
from tooling.flags.order import order
from tooling.flags.tables import Table
from tooling.steps import ROOT

FOLDER = ROOT / "docs" / "flags"
_MADE = "<!-- Made by scripts/generate from plugins/plugin_utils/_flag_tables; scripts/flags changes the tables. -->\n"
_KINDS = {
    "flag": "flag",
    "bool": "yes or no",
    "value": "",
    "optional": "optional",
    "list": "list of",
    "repeat": "repeated",
    "json": "JSON",
    "json_or_str": "JSON or text",
    "positional": "positional",
}
_TYPES = {
    "str": "text",
    "int": "int",
    "float": "float",
    "human_int": "int or 25.6k",
    "json": "JSON",
}


def write() -> int:
    """Writes all pages, and removes those of versions that are gone. Gives how many there are."""
    made = files()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in FOLDER.glob("*.md"):
        if path not in made:
            path.unlink()
    for path, text in made.items():
        path.write_text(text, encoding="utf-8")
    return len(made)


def files() -> dict[Path, str]:
    """Each page with its text."""
    loaded = {engine.name: tables.load(engine.name) for engine in ENGINES.values()}
    made = {FOLDER / "README.md": index(loaded)}
    for engine in ENGINES.values():
        table = loaded[engine.name]
        for version in table.versions:
            made[FOLDER / name(engine, version)] = page(engine, table, version)
    return made


def name(engine: Engine, version: str) -> str:
    return f"{engine.name}-{version}.md"


def page(engine: Engine, table: Table, version: str) -> str:
    rows = table.versions[version]
    versions = sorted(table.versions, key=order)
    lines = [
        _MADE,
        f"# Flags of {engine.title} {version}\n",
        f"{len(rows)} flags{_build(table, version)}. [All versions](README.md), "
        "[what the columns mean](../flags.md#reference-pages).\n",
        "| flag | other spellings | takes | choices | default | since | until |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [line(row, table, versions) for dummy, row in sorted(rows.items())]
    return "\n".join(lines) + "\n"


def _build(table: Table, version: str) -> str:
    build = table.builds.get(version)
    return f", read from build {build}" if build and version != f"b{build}" else ""


def line(row: Row, table: Table, versions: list[str]) -> str:
    known = [version for version in versions if row["name"] in table.versions[version]]
    own = row["name"] if row["kind"] == "positional" else f"--{row['name']}"
    others = [*row.get("spellings", []), *row.get("negations", [])]
    cells = [
        _code(own),
        " ".join(_code(other) for other in others),
        takes(row),
        " ".join(_code(choice) for choice in row.get("choices", [])),
        _code(_value(row["default"])) if row.get("default") is not None else "",
        known[0] if known[0] != versions[0] else "",
        known[-1] if known[-1] != versions[-1] else "",
    ]
    return "| " + " | ".join(cells) + " |"


def takes(row: Row) -> str:
    """What stands behind the flag, in words."""
    words = [_KINDS[row["kind"]]]
    if row["kind"] not in ("flag", "bool", "json", "json_or_str"):
        words.append(_TYPES.get(row.get("type", ""), "value"))
    words += ["or " + _code(word) for word in row.get("also", [])]
    return " ".join(word for word in words if word)


def _value(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _code(value: Any) -> str:
    text = str(value).replace("|", "\\|").replace("\n", "\\n")
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def index(loaded: dict[str, Table]) -> str:
    lines = [_MADE, "# Flags by engine and version\n"]
    lines += ["How these tables are made: [flags.md](../flags.md).\n"]
    for engine in ENGINES.values():
        lines += _section(engine, loaded[engine.name])
    return "\n".join(lines) + "\n"


def _section(engine: Engine, table: Table) -> Iterator[str]:
    yield f"## {engine.title}\n"
    yield "| version | flags | new | gone |"
    yield "| --- | --- | --- | --- |"
    before: dict[str, Row] | None = None
    lines = []
    for version in sorted(table.versions, key=order):
        rows = table.versions[version]
        new = sorted(set(rows) - set(before)) if before is not None else []
        gone = sorted(set(before) - set(rows)) if before is not None else []
        cells = [
            f"[{version}]({name(engine, version)})",
            str(len(rows)),
            " ".join(_code(one) for one in new),
            " ".join(_code(one) for one in gone),
        ]
        lines.append("| " + " | ".join(cells) + " |")
        before = rows
    yield from reversed(lines)
    yield ""
