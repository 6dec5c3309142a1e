# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do what a page of the documentation says: ``follow_page.py PAGE SCENARIO DIRECTORY [OLD=NEW...]``.

Its files are written into the directory, and its commands for the scenario are run there as they are written, in their order;
only OLD, such as an address, is replaced. What a console shows has to come. The first failure ends it with status 1.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from tooling.blocks import Block, blocks, not_shown


def run(block: Block, place: Path, replaced: dict[str, str]) -> str:
    """What went wrong, or nothing."""
    commands, lines = block.commands, block.output
    for old, new in replaced.items():
        commands = commands.replace(old, new)
        lines = [line.replace(old, new) for line in lines]
    print(f"\n== {block.where}\n{commands}", flush=True)
    start = time.monotonic()
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", commands],
        cwd=place,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print(f"{done.stdout}-- {time.monotonic() - start:.1f} s", flush=True)
    if done.returncode:
        return f"{block.where} ended with status {done.returncode}"
    missing = not_shown(lines, done.stdout)
    return f"{block.where} did not print: {missing}" if missing else ""


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("scenario")
    parser.add_argument("directory", type=Path)
    parser.add_argument("replaced", nargs="*", metavar="OLD=NEW")
    given = parser.parse_args()
    replaced = dict(pair.split("=", 1) for pair in given.replaced)
    found = blocks(given.page)
    mine = [block for block in found if block.notes.get("run") == given.scenario]
    if not mine:
        print(f"{given.page} has no commands for {given.scenario}", file=sys.stderr)
        return 1
    for block in found:
        if block.file:
            (given.directory / block.file).write_text(block.text, encoding="utf-8")
    for block in mine:
        problem = run(block, given.directory, replaced)
        if problem:
            print(problem, file=sys.stderr)
            return 1
    print(f"\n{len(mine)} blocks of {given.page} ran as written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
