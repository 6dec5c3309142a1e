# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a model shall be served, as its engine's settings say it, and what it needs then.

This plugin util is private to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _model_memory, _model_shape
from ansible_collections.onehop.llm.plugins.plugin_utils._engines import Engine
from ansible_collections.onehop.llm.plugins.plugin_utils._model_memory import Wish
from ansible_collections.onehop.llm.plugins.plugin_utils._promises import Given, Layout, Promises


def of_settings(engine: Engine, settings: Mapping[str, Any], sequences: int = 1) -> Wish:
    """The wish that settings of an engine are."""
    if engine.promises is None:
        return Wish(sequences=sequences)
    given = Given.of({"settings": settings, "extra_args": [], "environment": {}})
    return wish(engine.promises, given, engine.promises.layout(given), sequences)


def wish(promises: Promises, given: Given, layout: Layout, sequences: int = 1) -> Wish:
    """The wish that a worker's words are."""
    context = given.number(promises.context)
    quantization = given.get(promises.quantization)
    return Wish(
        context=int(context) if context and context > 0 else None,
        sequences=sequences,
        dtype=str(given.get(promises.dtype) or "auto"),
        kv_dtype=str(given.get(promises.kv_dtype) or "auto"),
        quantization=quantization if isinstance(quantization, str) else None,
        tensor=max(layout.tensor, 1),
        pipeline=max(layout.pipeline, 1),
        batch=promises.batch,
    )


def needs(
    promises: Promises, given: Given, layout: Layout, cards: int, known: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The estimate for a worker on so many cards, of what its host knows of its model.

    ``known`` is ``config``, a ``config.json`` or a GGUF file's header, and the ``bytes`` of files.
    """
    config = known.get("config") or {}
    if "general.architecture" in config:
        config = _model_shape.from_gguf(config)
    found = _model_memory.estimate(config, wish(promises, given, layout), known.get("bytes"))
    if found is None or (layout.positions is not None and promises.of != "needed"):
        return found
    return _spread(found, max(cards, 1), promises.offloaded(given), config)


def _spread(
    found: dict[str, Any], cards: int, layers: int | None, config: Mapping[str, Any]
) -> dict[str, Any]:
    """What comes to each of some cards, where an engine puts so many layers on them."""
    whole = config.get("num_hidden_layers")
    part = min(layers / whole, 1) if layers is not None and layers >= 0 and whole else 1
    one = {
        "weights": round(found["weights"] * part / cards),
        "kv_cache": round((found["kv_cache"] or 0) * part / cards),
        "reserve": found["reserve"],
    }
    return {**found, "per_device": {**one, "total": sum(one.values())}}


def model_of(worker: Mapping[str, Any]) -> str | None:
    """What a worker serves: a repository of the hub, or a path of the host."""
    model = worker.get("model") or worker["settings"].get("model")
    return model if isinstance(model, str) else None
