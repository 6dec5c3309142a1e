# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What engines say of their models: read from their `/v1/models`, shown in ours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from .routing import Target

_MODALITIES = ("text", "image", "audio", "video", "file", "embeddings")
_MAX_LENGTH = 1 << 40


class Facts(NamedTuple):
    """What is kept of an engine's card. The length is in tokens; 0 and () are unknown."""

    context_length: int = 0
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


def read_facts(answer: bytes, name: str) -> Facts | None:
    """The facts of a model in an engine's answer, or None where it says nothing of that model.

    An engine with one model may call it by another name. What has an unexpected type is left out.
    """
    try:
        listed = msgspec.json.decode(answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    data = listed.get("data") if isinstance(listed, dict) else None
    cards = [one for one in data if isinstance(one, dict)] if isinstance(data, list) else []
    card = next((one for one in cards if one.get("id") == name), None)
    if card is None and len(cards) == 1:
        card = cards[0]
    if card is None:
        return None
    meta, architecture = card.get("meta"), card.get("architecture")
    if not isinstance(architecture, dict):
        architecture = {}
    return Facts(
        # vLLM and SGLang; hosted providers and other routers; llama.cpp.
        _length(card.get("max_model_len"))
        or _length(card.get("context_length"))
        or (_length(meta.get("n_ctx")) if isinstance(meta, dict) else 0),
        _modalities(architecture.get("input_modalities")),
        _modalities(architecture.get("output_modalities")),
    )


def describe(targets: Iterable[Target]) -> dict[str, object]:
    """What the replicas of a model have in common, as fields of an entry of `/v1/models`.

    Nothing where nothing is known: where no replica has a health path.
    """
    healths = [one.health for one in targets]
    card: dict[str, object] = {}
    facts = [one.facts for one in healths if one.facts is not None]
    # The client does not choose its replica, so what holds for all of them counts.
    lengths = [one.context_length for one in facts if one.context_length]
    if lengths:
        card["max_model_len"] = card["context_length"] = min(lengths)
    architecture = {
        "input_modalities": _common([one.inputs for one in facts]),
        "output_modalities": _common([one.outputs for one in facts]),
    }
    if any(architecture.values()):
        card["architecture"] = architecture
    states = {one.state for one in healths}
    if any(one.checked for one in healths):
        card["state"] = next(one for one in ("up", "loading", "down") if one in states)
    return card


def _length(value: object) -> int:
    number = isinstance(value, int) and not isinstance(value, bool)
    return value if isinstance(value, int) and number and 0 < value < _MAX_LENGTH else 0


def _modalities(value: object) -> tuple[str, ...]:
    return tuple(one for one in _MODALITIES if one in value) if isinstance(value, list) else ()


def _common(lists: list[tuple[str, ...]]) -> list[str]:
    return [one for one in _MODALITIES if lists and all(one in known for known in lists)]
