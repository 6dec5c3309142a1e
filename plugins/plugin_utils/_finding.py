# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds what is behind a failure: signatures, which are data, held against a journal's lines.

The rows are those of ``_signature_table.py``. This file and they also go to hosts, to
``/opt/onehop/lib``, where ``onehop ENGINE why`` and ``onehop status`` read them. So it needs no more than Python 3.8 and
its standard library.

A report is a dictionary with ``journal`` (lines), ``result`` (systemd's word for how the unit
ended) and ``exit_status`` (the status of its main process, or its signal where the result is
``signal`` or ``core-dump``).

This plugin util is private to the collection.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

READ = 4000
"""Characters of a line that are looked at: engines print all their settings in one."""
SHOWN = 300
"""Characters of a line that are shown."""
REACH = 150
"""Lines before a match in which its ``near`` is looked for: a traceback and what led to it."""
SIGNALLED = ("signal", "core-dump")
WARNED = 40
"""The most that a row counts on a line that its program calls a warning, or goes on after."""

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Both sets of control characters, and those that turn the direction of a line."""
_BAR = re.compile(r"^(.*?):?\s*\d{1,3}%(?:\||\s*Completed\b| )")
_PREFIX = re.compile(
    r"^(?:\([\w ]+(?:rank=\d+ )?pid=\d+(?:, [^)]*)?\) ?)?"
    r"(?:ERROR \d\d-\d\d \d\d:\d\d:\d\d \[?[\w./]+:\d+\] ?)?(?:\[rank\d+\]: ?)?"
)
_FRAME = re.compile(r'^\s+File "[^"]*", line \d+, in ')
_MARKS = re.compile(r"^\s*[~^]+\s*$")
_QUIET = re.compile(
    r"^(?:\(\w+(?: \w+=\d+)*\) ?)*(?:INFO|DEBUG)\b"  # vLLM's and uvicorn's level
    r"|^\d+\.\d+\.\d+\.\d+ [IDT] "  # llama.cpp's
    r'|"(?:GET|POST|HEAD|PUT|DELETE|OPTIONS) \S+ HTTP/\d'  # a request that was answered
    r"|\bserver_args=|\bServerArgs\(|non-default args: |\bNamespace\("  # all settings
    r"|\bobj=\w+ReqInput\(|Received request |prompt: ['\"]|\bDumping (?:input data|scheduler)"
    r"|^usage: |^\s{2,}-{1,2}[a-z][\w-]+[ ,=]"  # help texts
)

_MILD = re.compile(
    r"^(?:\([\w ]+(?: \w+=\d+)*\) ?)*WARN(?:ING)?\b| - WARNING - |^\[?W\d{4} "
    r"|^\d+\.\d+\.\d+\.\d+ W |\b[Rr]etrying\b|\btrying (?:another|next|the next)? ?port\b"
)


def plain(text: str) -> str:
    """A text without what moves a cursor, changes a colour or turns a line's direction."""
    return _CONTROL.sub("", _ESCAPE.sub("", text))


def tidy(lines: Iterable[str]) -> list[str]:
    """Journal lines without control characters, and of a progress bar only its last state.

    tqdm repaints with a carriage return, which a journal keeps within a line.
    """
    kept: list[str] = []
    for line in lines:
        for part in re.split(r"[\r\n]+", line):
            part = plain(part).rstrip()[:READ]
            if not part.strip():
                continue
            gauge = _BAR.match(part)
            last = _BAR.match(kept[-1]) if kept and gauge else None
            if gauge and last and gauge.group(1) == last.group(1):
                kept[-1] = part
            else:
                kept.append(part)
    return kept


def excerpt(lines: Iterable[str], count: int) -> list[str]:
    """The last ``count`` lines that tell something: without frames of tracebacks, and bounded."""
    kept: list[str] = []
    code = False
    for line in tidy(lines):
        text = _PREFIX.sub("", line, count=1)
        if _FRAME.match(text):
            code = True
            continue
        if code and (text.startswith("    ") or not text.strip()):
            continue
        code = False
        if not text.strip() or _MARKS.match(text):
            continue
        short = line if len(line) <= SHOWN else line[: SHOWN - 4] + " ..."
        if not kept or kept[-1] != short:
            kept.append(short)
    return kept[-count:]


def finding(rows: Sequence[Mapping[str, Any]], report: Mapping[str, Any]) -> dict[str, Any] | None:
    """The row that tells most of a report, with what it matched; ``None`` where none does.

    The highest rank wins; of the same rank the later line, since the earlier one may have been
    overcome.
    """
    best: dict[str, Any] | None = None
    reached = 0
    lines = tidy(report["journal"])
    for index, line in enumerate(lines):
        if _QUIET.search(line):
            continue
        warned = _MILD.search(line)
        for row in rows:
            rank = min(row["rank"], WARNED) if warned else row["rank"]
            if best and rank < reached:
                continue
            found = _match(row, line)
            if found and _is_near(row, lines, index):
                best, reached = {"row": row, "groups": found.groups(""), "line": line}, rank
    for row in rows:
        if (not best or row["rank"] > reached) and _ended_so(row, report):
            best, reached = {"row": row, "groups": (), "line": ""}, row["rank"]
    return best


def _match(row: Mapping[str, Any], line: str) -> re.Match[str] | None:
    for pattern in row["patterns"]:
        found = re.search(pattern, line)
        if found:
            return found
    return None


def _is_near(row: Mapping[str, Any], lines: Sequence[str], index: int) -> bool:
    if not row["near"]:
        return True
    return any(re.search(row["near"], line) for line in lines[max(0, index - REACH) : index + 1])


def _ended_so(row: Mapping[str, Any], report: Mapping[str, Any]) -> bool:
    if report["result"] in row["results"]:
        return True
    ends = row["signals" if report["result"] in SIGNALLED else "statuses"]
    return bool(report["exit_status"] in ends)


def names(role: str | None, unit: str, known: Mapping[str, str]) -> dict[str, str]:
    """How an inventory calls what a unit serves: words for :func:`cause` and :func:`mend`.

    ``role`` is the engine's, or ``None``; ``known`` are variables of units that serve no model.
    """
    stem = unit.rpartition(".")[0] or unit
    prefix = (role or "").replace("_", "-") + "-"
    if not role or not stem.startswith(prefix):
        return {"role": role or "ROLE", "model": "the model", "settings": "its settings"}
    model = known.get(stem) or f"{role}_models.{stem[len(prefix) :]}"
    return {"role": role, "model": model, "settings": model + ".settings"}


def cause(found: Mapping[str, Any], words: Mapping[str, str]) -> str:
    """What is wrong, a sentence without its end."""
    return _filled(found["row"]["cause"], found, words)


def mend(found: Mapping[str, Any], words: Mapping[str, str]) -> str:
    """What to do about it."""
    row = found["row"]
    return _filled(row["mends"].get(words["role"], row["mend"]), found, words)


def _filled(text: str, found: Mapping[str, Any], words: Mapping[str, str]) -> str:
    groups = [group[:200] for group in found["groups"]] + [""] * 4
    return re.sub(r" \(\s*\)", "", text.format(*groups, **words))
