# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bench's arithmetic: quantiles, spreads over repeats, ratios within one repeat."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

Metrics = Mapping[str, float]
"""What one load measured of one peer in one repeat, by the name of a metric."""

Run = Mapping[str, Metrics]
"""One repeat of one load: the metrics of every peer, by its name."""


class Spread(NamedTuple):
    """The smallest, the middle and the largest of some repeats."""

    low: float
    median: float
    high: float


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of the sorted values do not exceed; 0 of none at all."""
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def spread(values: Sequence[float]) -> Spread:
    """The spread of at least one value."""
    return Spread(min(values), statistics.median(values), max(values))


def values_of(runs: Sequence[Run], peer: str, metric: str) -> list[float]:
    """A peer's values of a metric, one for each repeat that has one."""
    return [run[peer][metric] for run in runs if metric in run.get(peer, {})]


def ratios_of(runs: Sequence[Run], peer: str, base: str, metric: str) -> list[float]:
    """Peer over base, each within its own repeat, so that a slow machine slows both."""
    return [
        run[peer][metric] / run[base][metric]
        for run in runs
        if metric in run.get(peer, {}) and run.get(base, {}).get(metric)
    ]


def add_distance(run: Mapping[str, dict[str, float]], metric: str, name: str, base: str) -> None:
    """Give every peer but `base` the metric `name`: how far its `metric` is above base's."""
    if metric not in run.get(base, {}):
        return
    for peer, metrics in run.items():
        if peer != base and metric in metrics:
            metrics[name] = metrics[metric] - run[base][metric]
