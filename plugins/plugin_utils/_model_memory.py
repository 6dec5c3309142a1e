# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An estimate of the memory that a model needs: weights, keys and values, and what engines keep back.

It follows from the model's configuration; where the size of its files is known, that is what its
weights need. The rules stand in ``docs/budget.md``.

This plugin util is private to the collection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _model_shape
from ansible_collections.onehop.llm.plugins.plugin_utils._model_shape import Shape

GIB = 1024**3
_DTYPES = {
    "float64": 8.0,
    "float32": 4.0,
    "float": 4.0,
    "bfloat16": 2.0,
    "float16": 2.0,
    "half": 2.0,
}
_KV = {
    "f32": 4.0,
    "f16": 2.0,
    "bf16": 2.0,
    "q8_0": 34 / 32,
    "q5_1": 24 / 32,
    "q5_0": 22 / 32,
    "q4_1": 20 / 32,
    "q4_0": 18 / 32,
    "iq4_nl": 18 / 32,
}
"""Bytes of an element in llama.cpp's caches: blocks of 32 with their scales."""
_SCALED = {"mxfp4": 0.5 + 1 / 32, "nvfp4": 0.5 + 1 / 16, "fp4": 0.5 + 1 / 16}
"""Bytes of a weight in formats of four bits: with a scale of a byte for 32, or for 16."""
_BLOCK = 64
"""Weights that share a scale of four bytes in bitsandbytes' four bits."""
_GROUP = 128
_ANSWERS = 256
"""Answers whose next tokens are chosen at once."""
_CONTEXT = GIB // 2
"""What CUDA's context, its libraries and the captured graphs keep on a device."""


@dataclass(frozen=True)
class Wish:
    """How a model shall be served."""

    context: int | None = None
    """Tokens of a sequence; the model's own longest unless given."""
    sequences: int = 1
    dtype: str = "auto"
    kv_dtype: str = "auto"
    quantization: str | None = None
    """What the engine makes of weights that are not quantised yet."""
    tensor: int = 1
    pipeline: int = 1
    batch: int = 8192
    """Tokens that the engine works through at once while it reserves memory."""


def estimate(
    config: Mapping[str, Any] | None, wish: Wish, file_bytes: int | None = None
) -> dict[str, Any] | None:
    """The memory of a model in bytes; ``None`` where neither its shape nor its size is known.

    ``parameters``, ``active_parameters`` (of mixtures of experts fewer), ``weights``,
    ``kv_cache_per_token``, ``kv_cache``, ``reserve`` (of one device), ``per_device`` of each
    of these on one device and their ``total``, ``context``, ``source`` (``files`` or ``config``),
    and a ``summary``.
    """
    shape = _model_shape.shape(config) if config else None
    if shape is None:
        return _by_files(file_bytes, wish) if file_bytes else None
    quantised = quantisation(config or {}, wish)
    weights, source = round(_weights(shape, quantised)), "config"
    if file_bytes and not wish.quantization and quantised.plain <= 2:
        weights, source = file_bytes, "files"
    element = _kv_bytes(wish.kv_dtype, quantised.plain)
    context = wish.context or shape.context
    cache = round(_kv_cache(shape, context, element) * wish.sequences)
    devices = wish.tensor * wish.pipeline
    split = wish.pipeline * (1 if shape.latent else min(wish.tensor, shape.kv_heads))
    reserve = _reserve(shape, wish)
    one = {"weights": -(-weights // devices), "kv_cache": -(-cache // split), "reserve": reserve}
    found = {
        "parameters": shape.parameters,
        "active_parameters": shape.active,
        "weights": weights,
        "kv_cache_per_token": round(shape.per_token * len(shape.windows) * element),
        "kv_cache": cache,
        "reserve": reserve,
        "per_device": {**one, "total": sum(one.values())},
        "context": context,
        "source": source,
    }
    return found | {"summary": _summary(found, wish, quantised.name)}


def _by_files(size: int, wish: Wish) -> dict[str, Any]:
    """What the size of its files alone tells."""
    weights = -(-size // (wish.tensor * wish.pipeline))
    one = {"weights": weights, "kv_cache": 0, "reserve": _CONTEXT}
    return {
        "parameters": None,
        "active_parameters": None,
        "weights": size,
        "kv_cache_per_token": None,
        "kv_cache": None,
        "reserve": _CONTEXT,
        "per_device": {**one, "total": sum(one.values())},
        "context": wish.context,
        "source": "files",
        "summary": f"{gib(size)} of weights; what its cache needs is not known",
    }


def gib(size: float) -> str:
    """Bytes for a reader."""
    if size < GIB:
        return f"{size / 1024**2:.0f} MiB"
    return f"{size / GIB:.1f} GiB"


def _summary(found: Mapping[str, Any], wish: Wish, name: str) -> str:
    devices = wish.tensor * wish.pipeline
    sequences = f"{wish.sequences} x " if wish.sequences > 1 else ""
    spread = f" on each of {devices} devices" if devices > 1 else ""
    parameters = found["parameters"] / 1e9
    return (
        f"{parameters:.3g} B parameters, {gib(found['weights'])} of weights ({name}), "
        f"{gib(found['kv_cache'])} of KV cache for {sequences}{found['context']} tokens, "
        f"{gib(found['per_device']['total'])} in all{spread}"
    )


@dataclass(frozen=True)
class Quantisation:
    """Bytes of a weight: of what is quantised, and of the rest."""

    name: str
    plain: float
    packed: float
    experts_alone: bool = False


def quantisation(config: Mapping[str, Any], wish: Wish) -> Quantisation:
    """How the weights lie in memory: as the configuration says, or as the engine makes them."""
    text = _model_shape.text_part(config)
    plain, name = _dtype(config, text, wish.dtype)
    given = config.get("quantization_config") or text.get("quantization_config")
    if isinstance(given, Mapping):
        label, packed = _packed(given, plain)
        kept = given.get("modules_to_not_convert") or given.get("ignored_layers") or []
        alone = label == "mxfp4" and any("self_attn" in str(module) for module in kept)
        return Quantisation(label, plain, packed, alone)
    if wish.quantization:
        label, packed = _packed({"quant_method": wish.quantization, "load_in_4bit": True}, plain)
        return Quantisation(label, plain, packed)
    return Quantisation(name, plain, plain)


def _dtype(
    config: Mapping[str, Any], text: Mapping[str, Any], wanted: str
) -> tuple[float, str]:  # fmt: skip
    """Bytes of a weight that is not quantised. ``auto`` takes weights of four bytes as two."""
    if wanted in _DTYPES:
        return _DTYPES[wanted], wanted
    stored = next(
        (
            part[name]
            for part in (config, text)
            for name in ("torch_dtype", "dtype")
            if part.get(name)
        ),
        "bfloat16",
    )
    stored = str(stored).removeprefix("torch.")
    return (2.0, "float16") if _DTYPES.get(stored, 2.0) > 2 else (2.0, stored)


def _packed(given: Mapping[str, Any], plain: float) -> tuple[str, float]:
    """The method's name and the bytes of a weight by it, with its share of scales and zeros."""
    method = str(given.get("quant_method", "")).lower().replace("_", "-")
    algorithm = str(given.get("quant_algo", "")).lower()
    if isinstance(given.get("config_groups"), Mapping) and method != "modelopt":
        return _compressed(given)
    for name, packed in _SCALED.items():
        if name in method or name in algorithm or name in str(given.get("format", "")):
            return name, packed
    if method in ("bitsandbytes", "bnb"):
        if given.get("load_in_8bit"):
            return "bitsandbytes int8", 1.0
        scales = 4 / _BLOCK if not given.get("bnb_4bit_use_double_quant") else 1 / _BLOCK
        return "bitsandbytes 4 bit", 0.5 + scales
    if method in ("torchao", "int4wo", "int8wo", "int8dq", "fp8wo"):
        said = f"{method} {given.get('quant_type', '')}".lower()
        found = re.search(r"(?:u?int|float|fp)(\d)", said)
        return _by_bits("torchao", int(found[1]) if found else 8, _GROUP)
    if "fp8" in method or "fp8" in algorithm or "float8" in method:
        block = given.get("weight_block_size")
        scales = 4 / (block[0] * block[1]) if isinstance(block, list) and len(block) == 2 else 0
        return "fp8", 1.0 + scales
    if "int8" in method or method == "w8a8":
        return "int8", 1.0
    bits = given.get("bits") or given.get("w_bit") or given.get("nbits")
    if bits is None and method.startswith(("awq", "gptq")):
        bits = 4
    if isinstance(bits, int):
        group = given.get("group_size") or given.get("q_group_size") or _GROUP
        return _by_bits(method, bits, int(group))
    return method or "unknown", plain


def _by_bits(name: str, bits: int, group: int) -> tuple[str, float]:
    """Whole numbers with a scale of two bytes and a zero for each group; -1 is a whole row."""
    around = (2 + bits / 8) / group if group > 0 and bits < 8 else 0
    return f"{name} {bits} bit", bits / 8 + around


def _compressed(given: Mapping[str, Any]) -> tuple[str, float]:
    """The format of compressed-tensors: by groups of modules, of which the first is most."""
    weights = next((group.get("weights") for group in given["config_groups"].values()), None) or {}
    bits, group = int(weights.get("num_bits") or 16), weights.get("group_size")
    if bits == 4 and weights.get("type") == "float":
        return "compressed-tensors fp4", 0.5 + 1 / int(group or 16)
    kind = "fp" if weights.get("type") == "float" else "int"
    return f"compressed-tensors {kind}{bits}", _by_bits("", bits, int(group or 0))[1]


def _weights(shape: Shape, how: Quantisation) -> float:
    """Bytes of all weights. Embeddings, head, norms and routers stay as they were."""
    layers = shape.attention + shape.dense
    plain = (shape.embedding + shape.rest) * how.plain
    return plain + shape.experts * how.packed + layers * (
        how.plain if how.experts_alone else how.packed
    )  # fmt: skip


def _kv_bytes(kind: str, plain: float) -> float:
    """Bytes of an element of the cache."""
    name = kind.lower()
    if name in _KV:
        return _KV[name]
    if "fp4" in name or "int4" in name:
        return 0.5 + 1 / 16
    if "fp8" in name or "int8" in name:
        return 1.0
    return _DTYPES.get(name, plain)


def _kv_cache(shape: Shape, context: int, element: float) -> float:
    """Bytes of one sequence. A layer with a window keeps no more than that; a state is of 4 bytes."""
    tokens = sum(min(context, window or context) for window in shape.windows)
    return shape.per_token * tokens * element + shape.state * 4


def _reserve(shape: Shape, wish: Wish) -> int:
    """What one device needs beside weights and cache: its context, and the widest step of a batch.

    A layer's input, output and the two wide rows between them, of two bytes; then the chances of
    all next tokens, of four.
    """
    batch = min(wish.batch, (wish.context or shape.context) * max(wish.sequences, 1))
    step = batch * (4 * shape.hidden + 2 * shape.widest // wish.tensor) * 2
    return _CONTEXT + step + 4 * min(_ANSWERS, batch) * shape.vocabulary // wish.tensor
