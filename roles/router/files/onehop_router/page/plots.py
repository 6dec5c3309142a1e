# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small plots of the last minutes, as SVG: one line, the area under it, and nothing that moves."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH = 120
HEIGHT = 24
# Room for the line's own width.
_EDGE = 2


def plot(values: Sequence[float | None], places: Sequence[float], label: str) -> str:
    """A plot. `places` are where values stand, from 0 to 1; `label` is for who cannot see it."""
    most = max((one for one in values if one), default=0.0)
    lines = []
    areas = []
    for run in _runs(values, places, most):
        line = "L".join(f"{x:g} {y:g}" for x, y in run)
        # A line without length is drawn as a dot, by its round ends.
        lines.append(f"M{line}" + ("h0" if len(run) == 1 else ""))
        areas.append(f"M{run[0][0]:g} {HEIGHT}L{line}L{run[-1][0]:g} {HEIGHT}Z")
    return (
        f'<svg class="plot" role="img" aria-label="{escape(label)}" viewBox="0 0 {WIDTH} {HEIGHT}"'
        f' preserveAspectRatio="none"><path class="area" d="{"".join(areas)}"/>'
        f'<path class="base" d="M0 {HEIGHT - 0.5:g}H{WIDTH}" vector-effect="non-scaling-stroke"/>'
        f'<path class="line" d="{"".join(lines)}" vector-effect="non-scaling-stroke"/></svg>'
    )


def _runs(
    values: Sequence[float | None], places: Sequence[float], most: float
) -> list[list[tuple[float, float]]]:
    """The points between gaps."""
    runs: list[list[tuple[float, float]]] = []
    gap = True
    for value, place in zip(values, places, strict=True):
        if value is None:
            gap = True
            continue
        if gap:
            runs.append([])
        gap = False
        share = value / most if most else 0.0
        y = HEIGHT - _EDGE - share * (HEIGHT - 2 * _EDGE)
        runs[-1].append((round(place * WIDTH, 1), round(y, 1)))
    return runs
