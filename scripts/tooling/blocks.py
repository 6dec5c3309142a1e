# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fenced blocks of our Markdown, and what is to be done with each: CONTRIBUTING.md tells the notation.

Lines of comments right above a fence say what its language does not:

``run``              its commands are run by a unit test, in a directory with the page's files
``run: SCENARIO``    they are run as written by the Molecule scenario of this name, or by the tests in this folder
``not run: REASON``  it is only read
``file: NAME``       the page's commands find it under this name; a first line ``# NAME.yml`` says it as well
``with: VARIABLES``  variables, as YAML, that a fragment leans on and readers need not see

``page run: …`` and ``page not run: …`` say it for all commands of the page below that say nothing themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tooling.steps import ROOT

SHELLS = ("sh", "bash", "console")
"""Languages of commands; in a console those behind a prompt, among what they print."""
ELLIPSIS = "…"
"""Stands in what a console prints for whatever is left out."""
_FENCE = re.compile(r"^(?P<indent> *)(?P<marks>`{3,}|~{3,}) *(?P<language>[^\s`]*)[^`]*$")
_NOTE = re.compile(
    r"^ *<!-- (?P<page>page )?(?P<verb>run|not run|file|with)(?:: (?P<word>.+?))? -->$"
)
_NAMED = re.compile(r"# (?P<name>[\w./-]+\.\w+)\n")
_PROMPT = re.compile(r"^[$#] ")


class Unclosed(Exception):
    """A page ends within a block."""


@dataclass(frozen=True)
class Block:
    page: Path
    """The file it stands in, relative to the checkout."""
    line: int
    """Where its fence opens, from 1."""
    language: str
    text: str
    notes: dict[str, str] = field(default_factory=dict)
    """What the comments above it say, by their verb; empty where a verb has nothing behind it."""

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str | None:
        """The name under which the page's commands find it."""
        named = _NAMED.match(self.text)
        return self.notes.get("file") or (named["name"] if named else None)

    @property
    def commands(self) -> str:
        """What a reader would type: the block itself, or the lines behind prompts and their continuations."""
        if self.language != "console":
            return self.text
        kept: list[str] = []
        for line in self.text.split("\n"):
            if _PROMPT.match(line):
                kept.append(line[2:])
            elif kept and kept[-1].endswith("\\"):
                kept.append(line)
        return "".join(f"{line}\n" for line in kept)

    @property
    def output(self) -> list[str]:
        """The lines of a console that are no commands."""
        typed = self.commands.split("\n")
        lines = [_PROMPT.sub("", line) for line in self.text.split("\n")]
        return [line for line in lines if line and line not in typed]


def pages() -> list[Path]:
    """All Markdown that is written for readers, relative to the checkout; the tables of flags have no blocks."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    found += [
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "roles").glob("*/README.md"),
        *(ROOT / "extensions").rglob("*.md"),
    ]
    return sorted(
        path.relative_to(ROOT) for path in found if path.parent != ROOT / "docs" / "flags"
    )


def blocks(page: Path) -> list[Block]:
    """The blocks of one page, in their order; ``page`` is relative to the checkout. Raises Unclosed."""
    return list(read(page, (ROOT / page).read_text(encoding="utf-8")))


def read(page: Path, text: str) -> Iterator[Block]:
    lines = text.split("\n")
    notes: dict[str, str] = {}
    whole: dict[str, str] = {}
    at = 0
    while at < len(lines):
        fence, note = _FENCE.match(lines[at]), _NOTE.match(lines[at])
        if fence is None:
            said = {note["verb"]: note["word"] or ""} if note else {}
            if note and note["page"]:
                whole = said
            else:
                notes = notes | said if said else {}
            at += 1
            continue
        end = _end(lines, at, fence["marks"])
        if end is None:
            raise Unclosed(f"{page}:{at + 1}: this block has no end")
        indent = len(fence["indent"])
        inside = [
            line[indent:] if line[:indent].isspace() else line for line in lines[at + 1 : end]
        ]
        # A name in braces is a directive to Sphinx.
        if not fence["language"].startswith("{"):
            body = "".join(f"{line}\n" for line in inside)
            own = {"run", "not run"} & set(notes) or fence["language"] not in SHELLS
            yield Block(page, at + 1, fence["language"], body, notes if own else whole | notes)
        notes = {}
        at = end + 1


def _end(lines: list[str], start: int, marks: str) -> int | None:
    """The line that closes a block: at least as many of the same marks, and nothing else."""
    for number in range(start + 1, len(lines)):
        line = lines[number].strip()
        if len(line) >= len(marks) and set(line) == {marks[0]}:
            return number
    return None


def not_shown(lines: list[str], printed: str) -> str:
    """The first of these lines that was not printed, in that order; where all were it is empty.

    ELLIPSIS stands for any text of a line, and alone for any lines. Blanks at the ends do not count.
    """
    rest = iter(line.strip() for line in printed.split("\n"))
    for line in lines:
        parts = [re.escape(part) for part in line.strip().split(ELLIPSIS)]
        wanted = re.compile(".*".join(parts))
        if any(parts) and not any(wanted.fullmatch(one) for one in rest):
            return line
    return ""
