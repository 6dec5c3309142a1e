# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small plots of the last minutes, as SVG: one line, the area under it, and nothing that moves."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

# Whole numbers are written quickly; the page scales them.
WIDTH = 1200
HEIGHT = 240
# Room for the line's own width.
_EDGE = 20


def plot(values: Sequence[float | None], places: Sequence[str], label: str) -> str:
    """A plot. `places` are where values stand, as `along` gives them; `label` is for who cannot see."""
    most = max((one for one in values if one), default=0.0)
    lines = []
    areas = []
    for run in _runs(values, most) if most else ():
        points = [f"{places[at]} {y}" for at, y in run]
        line = "L".join(points)
        # A line without length is drawn as a dot, by its round ends.
        lines.append(f"M{line}" + ("h0" if len(run) == 1 else ""))
        areas.append(f"M{places[run[0][0]]} {HEIGHT}L{line}V{HEIGHT}Z")
    return (
        f'<svg class="plot" role="img" aria-label="{escape(label)}" viewBox="0 0 {WIDTH} {HEIGHT}"'
        f' preserveAspectRatio="none"><path class="area" d="{"".join(areas)}"/>'
        f'<path class="base" d="M0 {HEIGHT}H{WIDTH}" vector-effect="non-scaling-stroke"/>'
        f'<path class="line" d="{"".join(lines)}" vector-effect="non-scaling-stroke"/></svg>'
    )


def along(ages: Sequence[float], longest: float) -> list[str]:
    """Where values of these ages stand, the last one at the right edge; what is older, at the left."""
    youngest = ages[-1] if ages else 0.0
    return [str(round(max(0.0, 1 - (one - youngest) / longest) * WIDTH)) for one in ages]


def _runs(values: Sequence[float | None], most: float) -> list[list[tuple[int, int]]]:
    """Between gaps: the number of each value, and its height."""
    runs: list[list[tuple[int, int]]] = []
    gap = True
    scale = (HEIGHT - 2 * _EDGE) / most
    low = HEIGHT - _EDGE
    for at, value in enumerate(values):
        if value is None:
            gap = True
            continue
        if gap:
            runs.append([])
            gap = False
        runs[-1].append((at, int(low - value * scale)))
    return runs
