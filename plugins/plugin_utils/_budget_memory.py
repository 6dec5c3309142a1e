# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the workers of a host find the cards and the memory of cards that they are promised.

Workers of one engine start one after the other, in the order given; engines start beside each
other, in any order.

This plugin util is private to the collection.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _cards, _wishes
from ansible_collections.onehop.llm.plugins.plugin_utils._cards import Use
from ansible_collections.onehop.llm.plugins.plugin_utils._catalogue import DESCRIPTIONS
from ansible_collections.onehop.llm.plugins.plugin_utils._model_memory import gib
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import Verdict
from ansible_collections.onehop.llm.plugins.plugin_utils._promises import Given

Uses = Mapping[str, Sequence[Use]]
"""By role, in the order in which they start."""

_FULL = 0.95
"""Shares of a card that leave too little for what is in no share: CUDA's contexts, and its desktop."""
_LITTLE = 0.15
"""What is left of a card where it is hardly enough for a model."""
_EXACT = 6
"""Digits to which shares are added up, so that 0.1 and 0.2 and 0.7 are one."""


def sizes(workers: Iterable[Mapping[str, Any]], verdict: Verdict) -> None:
    """Note parallel sizes of nothing."""
    for worker in workers:
        promises = DESCRIPTIONS[worker["engine"]].promises
        given = Given.of(worker)
        for size in promises.sizes if promises else ():
            value = given.number(size)
            if value is not None and value < 1:
                verdict.cannot(
                    f"{worker['variable']}.settings.{size.name}",
                    "is no number of devices, hosts or replicas",
                    "Write 1 or more",
                    given.get(size),
                )


def devices(found: Uses, verdict: Verdict) -> None:
    """Note workers that need more cards than they are given, and cards that nobody uses."""
    every = [use for group in found.values() for use in group]
    used = {card for use in every for card in use.cards or ()}
    for use in every:
        if use.missing:
            count = len(use.cards or ()) + use.missing
            verdict.cannot(
                f"{use.variable}.devices",
                f"its parallel sizes ask for {_devices(count)}, of which {_are(use.missing)} "
                f"behind the {use.seen or 0} that it sees",
                "Give it as many devices, or write smaller sizes",
                *([use.worker["devices"]] if use.worker.get("devices") else []),
            )
    for use in every:
        idle = [card for card in _given(use) if card not in used]
        if idle and not use.missing:
            verdict.may_not(
                f"{use.variable}.devices",
                f"gives it {_cards_of(idle)}, which neither it nor any other model uses",
                "Write a larger parallel size, or fewer devices",
                use.worker["devices"],
            )


def _are(number: int) -> str:
    return f"{number} {'are' if number > 1 else 'is'}"


def _given(use: Use) -> tuple[str, ...]:
    """The cards that a worker is given by name, where the plan tells which of them it uses."""
    seen = _cards.visible(use.worker)
    if use.cards is None or not use.worker.get("devices") or seen is None or seen.names is None:
        return ()
    return seen.names


def shares(found: Uses, verdict: Verdict) -> None:
    """Note cards of which more is promised than there is, or than may be there."""
    for use in (use for group in found.values() for use in group):
        said = use.given.get(use.promises.share) if use.promises.share else None
        share = said if use.written is None else use.written
        if said is not None and not 0 < (use.written or 0) <= 1:
            verdict.cannot(
                _share_variable(use),
                "is no share of a device's memory",
                "Write a number above 0 and up to 1",
                share,
            )
    for cards, groups in _by_card(found):
        _judge(_cards_of(cards), groups, verdict)


def _by_card(found: Uses) -> Iterator[tuple[list[str], list[list[Use]]]]:
    """Cards that the very same workers share, with these by engine."""
    sharing: dict[str, list[list[Use]]] = {}
    every = {card for group in found.values() for use in group for card in use.cards or ()}
    for card in _cards.in_order(list(every)):
        groups = [[use for use in group if _on(use, card)] for group in found.values()]
        sharing[card] = [group for group in groups if group]
    told: dict[tuple[str, ...], list[str]] = {}
    for card, groups in sharing.items():
        told.setdefault(tuple(use.variable for group in groups for use in group), []).append(card)
    for cards in told.values():
        yield cards, sharing[cards[0]]


def _on(use: Use, card: str) -> bool:
    """Whether a worker is on a card; what takes as it needs of what it sees may be on any."""
    if use.cards is None:
        return use.promises.of == "needed"
    return card in use.cards


def _judge(where: str, groups: list[list[Use]], verdict: Verdict) -> None:
    every = [use for group in groups for use in group]
    if len(every) < 2 or any(not 0 < use.share <= 1 for use in every if use.share is not None):
        return
    first = _overdrawn(groups)
    if first:
        fixed = [use for use in every if use.promises.of == "all"]
        verdict.cannot(
            _share_variable(first),
            f"{_names(fixed)} are promised more than the whole memory of {where}, and a worker that "
            "finds less than its share free ends at once",
            f"Write shares of at most {_FULL} together, or give one {first.promises.placed_by}, or "
            "none at all where the host has none",
            *_shown(first),
        )
    elif len(groups) > 1:
        _judge_engines(where, groups, verdict)
    else:
        _judge_order(where, every, verdict)


def _overdrawn(groups: list[list[Use]]) -> Use | None:
    """The first worker that cannot find its share of all memory, whatever starts first."""
    taken = 0.0
    for use in (use for group in groups for use in group if use.promises.of == "all"):
        share = use.share or 0.0
        if round(taken + share, _EXACT) > 1:
            return use
        taken += 0.0 if _is_pinned(use) else share
    return None


def _fixed(uses: Sequence[Use]) -> float:
    """The sum of the shares of all memory."""
    return round(
        sum(use.share or 0.0 for use in uses if use.promises.of == "all" and not _is_pinned(use)),
        _EXACT,
    )


def _is_pinned(use: Use) -> bool:
    """Whether its cache has a size of its own: it wants its share free, and then takes less."""
    return use.promises.pinned is not None and use.given.number(use.promises.pinned) is not None


def _of_free(uses: Sequence[Use], free: float) -> float:
    """What is left of ``free`` once those have started that take a share of what is free."""
    for use in uses:
        if use.promises.of == "free":
            free *= 1 - (use.share or 0.0)
    return free


def _judge_order(where: str, uses: Sequence[Use], verdict: Verdict) -> None:
    """Workers of one engine."""
    fixed = _fixed(uses)
    if fixed > _FULL:
        verdict.may_not(
            _share_variable(uses[-1]),
            f"{_names(uses)} leave {_percent(1 - fixed)} of {where} for what is in no share, such as "
            "CUDA's own contexts",
            f"Write shares of at most {_FULL} together",
            *_shown(uses[-1]),
        )
    free = 1 - fixed
    for before, use in zip([None, *uses], uses, strict=False):
        if use.promises.of == "free":
            if before and free < _LITTLE:
                verdict.may_not(
                    _share_variable(before),
                    f"{use.variable} starts after {before.variable}, which leaves it {_percent(free)} "
                    f"of {where}; the share is one of what is free then",
                    f"Write less, or give one {use.promises.placed_by}",
                    *_shown(before),
                )
                return
            free *= 1 - (use.share or 0.0)


def _judge_engines(where: str, groups: list[list[Use]], verdict: Verdict) -> None:
    """Workers of engines that start beside each other."""
    every = [use for group in groups for use in group]
    fixed = _fixed(every)
    left = _of_free(every, 1.0)
    short = fixed > left or (1 - fixed) < _LITTLE
    if not short and all(use.written is not None for use in every) and fixed <= left * _FULL:
        return
    roles = " and ".join(sorted(group[0].worker["engine"] for group in groups))
    verdict.may_not(
        every[-1].variable,
        f"{roles} both use {where}, and no order crosses engines: after a boot their workers start at "
        f"the same time, and each may find the memory free that the other one takes ({_names(every)})",
        "Give them other devices, or fixed shares that fit whoever comes first",
    )


def _share_variable(use: Use) -> str:
    flag = use.promises.share
    return f"{use.variable}.settings.{flag.name}" if flag else use.variable


def _shown(use: Use) -> list[Any]:
    return (
        [] if use.written is None else [use.given.get(use.promises.share or use.promises.context)]
    )


def _names(uses: Sequence[Use]) -> str:
    """Who takes what."""
    return _and([f"{use.variable} ({_taking(use)})" for use in uses])


def _taking(use: Use) -> str:
    if use.share is None:
        return "what it needs"
    of = " of what is free" if use.promises.of == "free" else ""
    return f"{use.share:g}{of}{', its default' if use.written is None else ''}"


def _and(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]


def _cards_of(cards: Sequence[str]) -> str:
    return f"GPU{'s' if len(cards) > 1 else ''} {_and(list(cards))}"


def _devices(count: int) -> str:
    return f"{count} device{'s' if count > 1 else ''}"


def _percent(part: float) -> str:
    return f"{max(part, 0) * 100:.0f} %"


def on_host(found: Uses, gpus: Sequence[Mapping[str, Any]], verdict: Verdict) -> None:
    """Note workers that are to use cards which the host has not."""
    there = {str(gpu["index"]) for gpu in gpus}
    for use in (use for group in found.values() for use in group):
        absent = [card for card in use.cards or () if card.isdigit() and card not in there]
        if use.missing or absent:
            count = len(use.cards or ()) + use.missing
            behind = use.missing and count <= len(gpus)
            verdict.cannot(
                use.variable,
                f"asks for {_devices(count)}"
                + (f", of which {_cards_of(absent)} is not there" if absent else "")
                + (f", of which {_are(use.missing)} behind those that it sees" if behind else "")
                + f", and this host has {_devices(len(gpus))}",
                "Write smaller parallel sizes, or other devices",
            )


@dataclass(frozen=True)
class _Room:
    """What a worker gets of a card, and what it needs there."""

    use: Use
    card: str
    size: int
    budget: float
    """What its share lets it have."""
    free: float
    needs: Mapping[str, int] | None


def _needs(use: Use, facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """The estimate for a worker, where the host has its model's configuration."""
    known = (facts.get("configs") or {}).get(_wishes.model_of(use.worker))
    if not known:
        return None
    return _wishes.needs(use.promises, use.given, use.layout, len(use.cards or ()), known)


def _rooms(found: Uses, facts: Mapping[str, Any]) -> Iterator[_Room]:
    """What each worker finds on each card, where shares of all memory are taken first."""
    # A card that shares the host's memory, as on a DGX Spark, has none that nvidia-smi tells.
    sizes = {
        str(gpu["index"]): int(gpu["memory"]) for gpu in facts.get("gpus") or [] if gpu["memory"]
    }
    for card in _cards.in_order(list(sizes)):
        here = [use for group in found.values() for use in group if card in (use.cards or ())]
        here.sort(key=lambda use: use.promises.of != "all")
        free = float(sizes[card])
        for use in here:
            needs = _needs(use, facts)
            one = needs["per_device"] if needs else None
            share = use.share if use.promises.share else None
            of = sizes[card] if use.promises.of == "all" else free
            budget = free if share is None else of * share
            yield _Room(use, card, sizes[card], budget, free, one)
            free -= (one["total"] if one else 0) if share is None else budget


def fits(found: Uses, facts: Mapping[str, Any], verdict: Verdict) -> None:
    """Note models whose weights or whose cache do not fit into what they get of their cards."""
    told = set()
    for room in _rooms(found, facts):
        needs, use = room.needs, room.use
        if needs is None or use.variable in told:
            continue
        whole, budget = needs["total"], max(room.budget, 0)
        gets = f"{gib(budget)} of the {gib(room.size)} of GPU {room.card}"
        if needs["weights"] > budget:
            told.add(use.variable)
            verdict.cannot(
                use.variable,
                f"its weights need {gib(needs['weights'])} there, and it gets {gets}",
                "Spread it over more devices, give it a larger share, or serve a smaller or quantised "
                "model",
            )
        elif whole > budget:
            told.add(use.variable)
            verdict.may_not(
                use.variable,
                f"needs about {gib(whole)} there, {gib(needs['weights'])} for weights and "
                f"{gib(needs['kv_cache'])} for one sequence of its whole length, and it gets {gets}",
                f"Write a smaller {use.promises.context.name}, or a larger share",
            )


def table(found: Uses, facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows as :func:`_budget.table` has them."""
    names = {
        str(gpu["index"]): f"{gpu['index']} ({gpu['name']})" for gpu in facts.get("gpus") or []
    }
    rooms = {(room.card, room.use.variable): room for room in _rooms(found, facts)}
    rows = []
    every = [use for group in found.values() for use in group]
    cards = _cards.in_order(list({card for use in every for card in use.cards or ()}))
    for card in [*cards, None]:
        for use in every:
            if (card in (use.cards or ())) if card is not None else use.cards is None:
                room = rooms.get((card or "", use.variable))
                rows.append(_row(names.get(card or "", card or "?"), use, room))
    return rows


def _row(device: str, use: Use, room: _Room | None) -> dict[str, Any]:
    needs = (room.needs if room else None) or {}
    return {
        "device": device,
        "model": use.worker["name"],
        "engine": use.worker["engine"],
        "share": use.share if use.promises.share else None,
        "of": use.promises.of,
        "weights": needs.get("weights"),
        "kv_cache": needs.get("kv_cache"),
        "total": needs.get("total"),
        "promised": round(room.budget) if room and use.promises.share else None,
        "memory": room.size if room else None,
    }
