# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cards of a host a worker uses: what it sees, and what its engine takes of that.

A card is named by its number on the host (``"0"``), or by its UUID where that is all that is known.

This plugin util is private to the collection.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _hardware
from ansible_collections.onehop.llm.plugins.plugin_utils._catalogue import DESCRIPTIONS
from ansible_collections.onehop.llm.plugins.plugin_utils._promises import Given, Layout, Promises

_NODE = re.compile(r"-?/dev/nvidia([0-9]+)(?::.*)?\Z")
_RENDER = re.compile(r"-?/dev/dri/(renderD[0-9]+)(?::.*)?\Z")
_CDI = re.compile(r"[A-Za-z][^/=]*/[A-Za-z][^/=]*=(.+)\Z")
_NUMBER = re.compile(r"[0-9]{1,9}\Z")
_CHOSEN = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")


@dataclass(frozen=True)
class Visible:
    """The cards that a worker sees, in order; ``names`` is ``None`` where it sees all of the host."""

    names: tuple[str, ...] | None

    def at(self, position: int) -> str | None:
        """The card at a position; ``None`` where there is none."""
        if self.names is None:
            return str(position)
        return self.names[position] if 0 <= position < len(self.names) else None


@dataclass(frozen=True)
class Use:
    """A worker's promise on the cards that it uses."""

    worker: Mapping[str, Any]
    promises: Promises
    given: Given
    layout: Layout
    cards: tuple[str, ...] | None
    """``None`` where only the engine knows which it will use."""
    missing: int = 0
    """How many cards more it would need to see."""
    seen: int | None = None
    """How many it sees, where that is known."""

    @property
    def variable(self) -> str:
        """The variable that declares it."""
        return str(self.worker["variable"])

    @property
    def written(self) -> float | None:
        """The share that is given."""
        return self.given.number(self.promises.share) if self.promises.share else None

    @property
    def share(self) -> float | None:
        """The share that it will take; ``None`` where its engine has none."""
        if self.written is not None:
            return self.written
        return self.promises.default_share(self.worker.get("flag_version"))


def visible(worker: Mapping[str, Any], gpus: Sequence[Mapping[str, Any]] = ()) -> Visible | None:
    """The cards that a worker sees; ``None`` where its devices do not tell.

    ``gpus`` are the host's, as its facts have them, which tell numbers by UUID and how many are all.
    """
    known = {str(gpu["uuid"]): str(gpu["index"]) for gpu in gpus}
    everything = Visible(tuple(str(gpu["index"]) for gpu in gpus) if gpus else None)
    devices = worker.get("devices")
    if devices is None:
        seen: Visible | None = Visible(()) if worker.get("gpu") == "never" else everything
    else:
        names = [name for device in devices for name in _names(device)]
        if "all" in names:
            seen = everything
        elif names or not devices:
            cards = dict.fromkeys(known.get(name, name) for name in names)
            seen = Visible(tuple(sorted(cards, key=_order)))
        else:
            seen = None
    chosen = next(
        (worker["environment"][name] for name in _CHOSEN if name in worker["environment"]), None
    )
    if seen is None or chosen is None:
        return seen
    parts = [part.strip() for part in chosen.split(",") if part.strip()]
    found = [seen.at(int(part)) if _NUMBER.match(part) else known.get(part, part) for part in parts]
    return Visible(tuple(card for card in found if card is not None))


def _names(device: str) -> Iterator[str]:
    if device.lstrip("-") == "/dev/dri":
        yield "all"
    for pattern in (_NODE, _RENDER, _CDI):
        found = pattern.match(device)
        if found:
            yield found[1]
            return


def _order(card: str) -> tuple[int, int, str]:
    """Numbers first, as they count; others as texts."""
    return (0, int(card), "") if _NUMBER.match(card) else (1, 0, card)


def in_order(cards: Sequence[str]) -> list[str]:
    """Cards as a reader counts them."""
    return sorted(cards, key=_order)


def use(worker: Mapping[str, Any], gpus: Sequence[Mapping[str, Any]] = ()) -> Use | None:
    """What a worker takes of which cards; ``None`` where it takes none."""
    promises = DESCRIPTIONS[worker["engine"]].promises
    seen = visible(worker, gpus)
    if promises is None or _hardware.computes_on(worker) == "cpu":
        return None
    if seen is not None and seen.names == () and worker.get("devices") == []:
        return None
    given = Given.of(worker)
    layout = promises.layout(given)
    if layout.positions == () or not (promises.wants(given) or worker.get("gpu") == "always"):
        return None
    if seen is None:
        return Use(worker, promises, given, layout, None)
    count = None if seen.names is None else len(seen.names)
    if layout.positions is None:
        return Use(worker, promises, given, layout, seen.names, seen=count)
    cards = [seen.at(position) for position in layout.positions]
    found = tuple(card for card in cards if card is not None)
    return Use(worker, promises, given, layout, found, len(cards) - len(found), count)
