# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of the engines' command-line flags: adds versions, says which there are, writes the reference pages."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tooling.flags import fetch, pages, tables
from tooling.flags.engines import ENGINES, Engine
from tooling.flags.found import Found
from tooling.flags.tables import Table
from tooling.steps import Failed


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="scripts/flags", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("add", help="fetch versions, read their flags, write the table")
    add.add_argument("engine", choices=sorted(ENGINES))
    add.add_argument(
        "versions", nargs="+", metavar="VERSION", help="of llama_cpp, the number of a build"
    )
    add.add_argument("--again", action="store_true", help="read versions that are there anew")
    add.add_argument("--source", type=Path, help="read this folder instead of fetching the package")
    add.add_argument("--tables", type=Path, default=tables.FOLDER, help=argparse.SUPPRESS)
    commands.add_parser("list", help="say which versions there are")
    commands.add_parser("pages", help="write docs/flags from the tables")
    chosen = parser.parse_args(words)
    try:
        if chosen.command == "add":
            engine = ENGINES[chosen.engine]
            _add(engine, chosen.versions, chosen.again, chosen.source, chosen.tables)
        elif chosen.command == "list":
            _list()
        else:
            print(f"{pages.write()} pages written in docs/flags")
    except Failed as failure:
        print(f"scripts/flags: {failure}", file=sys.stderr)
        return 1
    return 0


def _add(
    engine: Engine, versions: list[str], again: bool, source: Path | None, folder: Path
) -> None:
    """One version after the other; each that can be read is kept, also where a later one cannot."""
    for asked in versions:
        table = tables.load(engine.name, folder)
        if not again and _has(engine, table, asked):
            print(f"{engine.title} {asked} is there already")
            continue
        if source is None:
            package, release = engine.package(asked)
            root = fetch.source(package, release)
        else:
            root = source
        version = engine.version(root, asked)
        if not again and version in table.versions:
            known = table.builds[version]
            raise Failed(f"{version} is there, from build {known}; --again takes build {asked}")
        found = read(engine, version, root)
        table.versions[version] = {row["name"]: row for row in found.rows}
        if engine.builds:
            table.builds[version] = int(asked)
        # The hand-kept list knows better than a message.
        table.replaced = {k: v for k, v in found.gone.items() if v} | table.replaced
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{engine.name}.json").write_text(tables.text(table), "utf-8")
        print(f"{engine.title} {version}: {len(found.rows)} flags")


def _has(engine: Engine, table: Table, asked: str) -> bool:
    if engine.builds:
        return asked.isdigit() and int(asked) in table.builds.values()
    return asked in table.versions


def read(engine: Engine, version: str, root: Path) -> Found:
    """The flags of one version; refused unless all that its source defines are among them."""
    found = engine.extract(root)
    names = [row["name"] for row in found.rows]
    wrong = [f"cannot be read: {one}" for one in found.unread]
    wrong += [f"not found: {one}" for one in found.missing]
    wrong += [f"twice: {name}" for name in sorted({n for n in names if names.count(n) > 1})]
    if not names:
        wrong.append("no flags at all")
    if wrong:
        said = "\n  ".join(wrong[:20])
        raise Failed(
            f"{engine.title} {version} is not written, as the table would be incomplete:\n  {said}"
        )
    return found


def _list() -> None:
    for engine in ENGINES.values():
        table = tables.load(engine.name)
        print(f"{engine.name}: {', '.join(table.versions)}")


if __name__ == "__main__":
    sys.exit(main())
