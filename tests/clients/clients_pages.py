# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The code in docs/clients, which is run as it stands there.

A page's first block of a language is what every other block of it begins with. A block is named by
the heading above it. A block of ``text`` is what the one before it prints; `...` in it is anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from clients_fleet import ROOT, SHOWN

PAGES = ROOT / "docs" / "clients"


@dataclass
class Block:
    """Code of a page, and what it is to print."""

    heading: str
    language: str
    code: str
    prints: str = ""


@dataclass
class Page:
    """The blocks of a page."""

    name: str
    blocks: list[Block] = field(default_factory=list)

    def of(self, language: str) -> list[Block]:
        """What is to be run, without the beginning that all have in common."""
        return [one for one in self.blocks if one.language == language][1:]

    def first(self, language: str) -> Block:
        return next(one for one in self.blocks if one.language == language)

    def program(self, block: Block, url: str) -> str:
        """The beginning and the block, with the router's real address."""
        return f"{self.first(block.language).code}\n{block.code}".replace(SHOWN, url)


def read(name: str) -> Page:
    page = Page(name)
    heading, fence, lines = "", "", list[str]()
    for line in (PAGES / f"{name}.md").read_text().splitlines():
        if fence and line != "```":
            lines.append(line)
        elif fence:
            code = "\n".join(lines) + "\n"
            if fence == "text":
                page.blocks[-1].prints = code
            else:
                page.blocks.append(Block(heading, fence, code))
            fence, lines = "", []
        elif line.startswith("```"):
            fence = line[3:]
        elif line.startswith("#"):
            heading = line.lstrip("# ")
    return page


def expect(block: Block, printed: str) -> None:
    """What was printed is what the page says, and something in any case."""
    assert printed.strip(), f"{block.heading} printed nothing"
    if block.prints:
        pattern = re.escape(block.prints.strip()).replace(r"\.\.\.", ".*")
        assert re.fullmatch(pattern, printed.strip(), re.DOTALL), printed


def headings(folder: Path = PAGES) -> dict[str, list[str]]:
    """The headings of every page, by its name."""
    return {
        path.stem: [line.lstrip("# ") for line in path.read_text().splitlines() if line[:1] == "#"]
        for path in sorted(folder.glob("*.md"))
    }
