# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of what was measured: for a terminal, and in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bench.figures import Run, Spread, ratios_of, spread, values_of

DIRECT = "direct"
"""The name of what is no proxy: the load talks to the backend itself."""

# Shares of a core are no ratio's business, and a distance may be nothing, or less.
_NO_RATIO = ("busy %", "others %", "added p50 us")
_DISTURBED = 5.0
_SATURATED = 90.0


class Goal(NamedTuple):
    """What is aimed at: our metric of a load, at most so many times the base's."""

    load: str
    metric: str
    base: str
    at_most: float


# Rates are compared by CPU time, which holds as well where the load was too slow for a peer.
GOALS = (
    Goal("small requests, 32 connections", "CPU us per request", "nginx-bare", at_most=2.0),
    Goal("small requests, 32 connections", "CPU us per request", "llmhop", at_most=0.2),
    Goal("100 kB bodies, 32 connections", "CPU us per request", "llmhop", at_most=1 / 6),
    Goal("1 MB bodies, 16 connections", "CPU us per request", "llmhop", at_most=1 / 6),
    Goal("200 streams, 100 events/s each", "CPU us per event", "nginx-bare", at_most=1.0),
    Goal("200 streams, 100 events/s each", "CPU us per event", "llmhop", at_most=0.6),
    Goal("5000 idle streams", "PSS KiB per stream", "llmhop", at_most=1.0),
    Goal("500 idle streams", "PSS KiB per stream", "llmhop", at_most=1.0),
)


def number(value: float) -> str:
    """Three figures that count, thousands apart."""
    if abs(value) >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def cell(values: Sequence[float], ratios: Sequence[float]) -> str:
    """A median, and its ratio to the base with the smallest and the largest of the repeats."""
    if not values:
        return ""
    text = number(spread(values).median)
    return f"{text} ({_ratio(spread(ratios))})" if ratios else text


def _ratio(one: Spread) -> str:
    if one.low == one.high:
        return f"x{one.median:.2f}"
    return f"x{one.median:.2f}, {one.low:.2f} to {one.high:.2f}"


def table(runs: Sequence[Run], peers: Sequence[str], base: str) -> list[list[str]]:
    """Rows of cells, the header first: a metric a row, a peer a column."""
    metrics = dict.fromkeys(name for run in runs for one in run.values() for name in one)
    rows = [["", *peers]]
    for metric in metrics:
        row = [metric]
        for peer in peers:
            compared = peer not in (base, DIRECT) and metric not in _NO_RATIO
            ratios = ratios_of(runs, peer, base, metric) if compared else []
            row.append(cell(values_of(runs, peer, metric), ratios))
        rows.append(row)
    return rows


def notes(runs: Sequence[Run], peers: Sequence[str]) -> list[str]:
    """What a reader has to know before believing a table."""
    said = []
    disturbed = [
        peer for peer in peers if max(values_of(runs, peer, "others %"), default=0) > _DISTURBED
    ]
    if disturbed:
        said.append(f"others worked on the proxy's core: {', '.join(disturbed)}")
    waited = [
        peer
        for peer in peers
        if values_of(runs, peer, "requests per s")
        and 0 < spread(values_of(runs, peer, "busy %") or [0]).median < _SATURATED
    ]
    if waited:
        said.append(
            f"the load, not the proxy, set the rate of {', '.join(waited)}: compare the CPU time"
        )
    return said


def goals(results: Mapping[str, Sequence[Run]], peer: str) -> list[str]:
    """One line for each goal that this run can say something about."""
    lines = []
    for goal in GOALS:
        ratios = ratios_of(results.get(goal.load, ()), peer, goal.base, goal.metric)
        if not ratios:
            continue
        median = spread(ratios).median
        word = "met" if median <= goal.at_most else "MISSED"
        lines.append(
            f"{word}: {goal.load}, {goal.metric}: {median:.2f} of {goal.base}'s"
            f" (at most {goal.at_most:.3g})"
        )
    return lines


def plain(rows: Sequence[Sequence[str]]) -> str:
    """A table for a terminal."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            text.ljust(width) if column == 0 else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join(lines)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """The same table in Markdown."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines)


def document(
    title: Sequence[str],
    results: Mapping[str, Sequence[Run]],
    peers: Sequence[str],
    base: str,
    ours: str,
) -> str:
    """The whole report in Markdown."""
    parts = ["# What the bench measured", "\n".join(f"- {line}" for line in title)]
    for load, runs in results.items():
        parts += [f"## {load}", markdown(table(runs, _present(runs, peers), base))]
        parts += [f"Note: {note}." for note in notes(runs, peers)]
    reached = goals(results, ours)
    if reached:
        parts += ["## Goals", "\n".join(f"- {line}" for line in reached)]
    return "\n\n".join(parts) + "\n"


def _present(runs: Sequence[Run], peers: Sequence[str]) -> list[str]:
    return [peer for peer in peers if any(peer in run for run in runs)]
