# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model's ``config.json`` says of its size: parameters by kind, and what its layers remember.

The names are those of Hugging Face's transformers; what a configuration leaves out has the default
of its model type there. A GGUF file's header is read as if it were one.

This plugin util is private to the collection.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Config = Mapping[str, Any]

_NAMES = {
    "hidden_size": ("n_embd", "d_model", "dim"),
    "num_hidden_layers": ("n_layer", "n_layers", "num_layers"),
    "num_attention_heads": ("n_head", "n_heads"),
    "num_key_value_heads": ("n_head_kv", "num_kv_heads", "multi_query_group_num"),
    "intermediate_size": ("ffn_hidden_size", "n_inner", "ffn_dim"),
    "vocab_size": ("padded_vocab_size",),
    "max_position_embeddings": ("n_positions", "seq_length", "max_seq_len", "n_ctx"),
    "head_dim": ("kv_channels", "attention_head_dim"),
    "num_experts": ("num_local_experts", "n_routed_experts", "moe_num_experts"),
    "num_experts_per_tok": ("moe_topk", "num_experts_per_token", "experts_per_token", "top_k"),
}
"""What older and remote model types call the same."""
_TIED = frozenset(
    ("gemma", "gpt2", "falcon", "bloom", "opt", "cohere", "starcoder2", "gpt_bigcode")
)
"""Model types, or what they begin with, whose head is their embedding unless they say otherwise."""
_UNGATED = frozenset(
    ("gpt2", "gpt_neox", "falcon", "bloom", "opt", "phi", "starcoder2", "nemotron")
)
"""Model types whose layers have two matrices behind the attention, not three."""
_QKV_BIAS = frozenset(
    ("qwen2", "qwen2_moe", "qwen2_vl", "qwen2_5_vl", "glm4", "glm4_moe", "gpt_oss")
)
_QK_NORM = ("qwen3", "gemma3")
_STATES = frozenset(("linear_attention", "mamba", "mamba2", "recurrent", "conv"))


@dataclass(frozen=True)
class Shape:
    """Parameters by kind, and the layers."""

    attention: int
    """Of all attentions, and of what stands in their place."""
    dense: int
    """Of all layers behind them that are no experts."""
    experts: int
    embedding: int
    """The table of tokens, and the head where it is one of its own."""
    rest: int
    """Norms, routers, biases, and what sees pictures."""
    active: int
    """What one token passes through."""
    windows: tuple[int | None, ...]
    """By layer that keeps keys and values: how many tokens back it looks; ``None`` is all."""
    per_token: int
    """Elements that such a layer keeps of a token."""
    latent: bool
    """Whether these are the compressed ones of a multi-head latent attention."""
    kv_heads: int
    state: int
    """Elements that all other layers keep of a sequence, however long."""
    context: int
    """The longest sequence that the model was made for."""
    hidden: int
    widest: int
    """The widest layer behind an attention."""
    vocabulary: int

    @property
    def parameters(self) -> int:
        """All of them."""
        return self.attention + self.dense + self.experts + self.embedding + self.rest


class _Read:
    """A configuration by the usual names."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def get(self, name: str, default: Any = None) -> Any:
        """A value under any of its names."""
        for one in (name, *_NAMES.get(name, ())):
            if self.config.get(one) is not None:
                return self.config[one]
        return default

    def number(self, name: str, default: int = 0) -> int:
        """A whole number; of a list, which newer types have by layer, its first."""
        value = self.get(name, default)
        if isinstance(value, list):
            value = value[0] if value else default
        return int(value) if isinstance(value, (int, float)) else default


def text_part(config: Config) -> Config:
    """What is said of the language model, where pictures or sounds are beside it."""
    for name in ("text_config", "llm_config", "language_config", "thinker_config"):
        if isinstance(config.get(name), Mapping):
            return text_part({"model_type": config.get("model_type"), **config[name]})
    return config


def shape(config: Config) -> Shape | None:
    """The shape of a model; ``None`` where its configuration does not tell it."""
    whole, read = config, _Read(text_part(config))
    hidden, layers = read.number("hidden_size"), read.number("num_hidden_layers")
    heads = read.number("num_attention_heads")
    if not (hidden and layers and heads):
        return None
    kind = str(read.get("model_type", ""))
    kv_heads = min(read.number("num_key_value_heads") or _few_heads(read) or heads, heads)
    head = read.number("head_dim") or hidden // heads
    kinds = layer_kinds(read.config, layers)
    attention, bias = _attention(read, kind, hidden, heads, kv_heads, head)
    stateful = sum(1 for one in kinds if one in _STATES)
    attending = [one for one in kinds if one not in _STATES and one != "none"]
    recurrent, state = _recurrent(read, hidden)
    sparse = _sparse_layers(read, layers)
    dense_layers = layers - sparse - (kinds.count("none") if sparse else 0)
    wide = read.number("intermediate_size") or 4 * hidden
    dense = dense_layers * _matrices(kind) * hidden * wide
    experts, shared, router = _experts(read, kind, hidden, wide)
    tied = whole.get("tie_word_embeddings", read.get("tie_word_embeddings", _is(kind, _TIED)))
    vocabulary = read.number("vocab_size")
    norms = (4 if kind.startswith(("gemma2", "gemma3")) else 2) * hidden * layers + hidden
    if kind.startswith(_QK_NORM):
        norms += 2 * head * len(attending)
    every = read.number("num_experts") or 1
    routed = sparse * experts
    attentions = attention * len(attending) + recurrent * stateful
    rest = norms + bias * len(attending) + sparse * router + _vision(whole, hidden)
    embedding = vocabulary * hidden * (1 if tied else 2)
    active = attentions + dense + sparse * shared + rest + embedding
    latent = bool(read.get("kv_lora_rank"))
    return Shape(
        attention=attentions,
        dense=dense + sparse * shared,
        experts=routed,
        embedding=embedding,
        rest=rest,
        active=active + routed * (read.number("num_experts_per_tok") or every) // every,
        windows=tuple(_window(read, one) for one in attending),
        per_token=read.number("kv_lora_rank") + read.number("qk_rope_head_dim")
        if latent
        else 2 * kv_heads * head,
        latent=latent,
        kv_heads=kv_heads,
        state=state * stateful,
        context=read.number("max_position_embeddings") or 4096,
        hidden=hidden,
        widest=max(wide if dense_layers else 0, read.number("moe_intermediate_size")) or wide,
        vocabulary=vocabulary,
    )


def _is(kind: str, beginnings: frozenset[str]) -> bool:
    return kind.startswith(tuple(beginnings))


def _few_heads(read: _Read) -> int:
    return 1 if read.get("multi_query") and not read.get("new_decoder_architecture") else 0


def _matrices(kind: str) -> int:
    return 2 if kind in _UNGATED or kind == "nemotron_h" else 3


def _attention(
    read: _Read, kind: str, hidden: int, heads: int, kv_heads: int, head: int
) -> tuple[int, int]:
    """Parameters of one attention, and of its biases and sinks."""
    if read.get("kv_lora_rank"):
        latent, rope = read.number("kv_lora_rank"), read.number("qk_rope_head_dim")
        plain, value = read.number("qk_nope_head_dim"), read.number("v_head_dim")
        query, low = heads * (plain + rope), read.number("q_lora_rank")
        asked = hidden * low + low * query if low else hidden * query
        kept = hidden * (latent + rope) + latent * heads * (plain + value)
        return asked + kept + heads * value * hidden, low + latent
    gate = 2 if kind.startswith("qwen3_next") else 1
    matrices = hidden * head * (heads * (gate + 1) + 2 * kv_heads)
    bias = 0
    if read.get("attention_bias") or kind in _QKV_BIAS:
        bias += head * (heads + 2 * kv_heads)
    if kind == "gpt_oss":
        bias += hidden + heads
    return matrices, bias


def _recurrent(read: _Read, hidden: int) -> tuple[int, int]:
    """Parameters of a layer that keeps a state, and the elements of that state."""
    if read.get("linear_num_value_heads"):
        keys = read.number("linear_num_key_heads") * read.number("linear_key_head_dim", 128)
        value_heads = read.number("linear_num_value_heads")
        values = value_heads * read.number("linear_value_head_dim", 128)
        kernel = read.number("linear_conv_kernel_dim", 4)
        matrices = hidden * (2 * keys + 3 * values + 2 * value_heads)
        return matrices + kernel * (2 * keys + values), (
            values * read.number("linear_key_head_dim", 128) + (kernel - 1) * (2 * keys + values)
        )
    inner = (
        read.number("mamba_num_heads") * read.number("mamba_head_dim")
        or (read.number("mamba_expand") or read.number("expand") or 2) * hidden
    )
    size = (
        read.number("mamba_d_state") or read.number("ssm_state_size") or read.number("state_size")
    )
    return 3 * hidden * inner + 2 * hidden * size, inner * ((size or 16) + 3)


def _sparse_layers(read: _Read, layers: int) -> int:
    """How many layers have experts."""
    if not read.number("num_experts") > 1:
        return 0
    pattern = read.get("hybrid_override_pattern")
    if isinstance(pattern, str):
        return pattern.count("E")
    listed = read.get("moe_layers")
    if isinstance(listed, list):
        return len(listed)
    steps = read.number("decoder_sparse_step", 1) or read.number("interleave_moe_layer_step", 1)
    steps = max(steps, read.number("interleave_moe_layer_step", 1), 1)
    steps = max(steps, read.number("expert_layer_period", 1), read.number("moe_layer_freq", 1))
    excepted = read.get("mlp_only_layers") or []
    first = read.number("first_k_dense_replace")
    return sum(
        1
        for layer in range(layers)
        if layer >= first and (layer + 1) % steps == 0 and layer not in excepted
    )


def _experts(read: _Read, kind: str, hidden: int, wide: int) -> tuple[int, int, int]:
    """Of one layer: its experts, those that every token passes, and what chooses."""
    count = read.number("num_experts")
    width = read.number("moe_intermediate_size") or read.number("expert_ffn_hidden_size") or wide
    one = _matrices(kind) * hidden * width
    shared = read.number("n_shared_experts") * one
    beside = read.number("shared_expert_intermediate_size") or read.number(
        "shared_intermediate_size"
    )
    shared += 3 * hidden * beside
    router = count * hidden + (hidden if read.get("shared_expert_intermediate_size") else 0)
    if kind == "gpt_oss":
        router += count + count * (2 * width + hidden)
    return count * one, shared, router


def layer_kinds(config: Config, layers: int) -> list[str]:
    """What each layer is: ``full_attention``, ``sliding_attention``, a state's name, or ``none``."""
    read = _Read(config)
    listed = read.get("layer_types") or read.get("layers_block_type")
    if isinstance(listed, list):
        return ["full_attention" if one == "attention" else str(one) for one in listed]
    pattern = read.get("hybrid_override_pattern")
    if isinstance(pattern, str):
        return [{"M": "mamba", "*": "full_attention"}.get(one, "none") for one in pattern]
    full = _attending(read, layers)
    if full is not None:
        return ["full_attention" if layer in full else "mamba" for layer in range(layers)]
    if not read.get("sliding_window") or read.get("use_sliding_window") is False:
        return ["full_attention"] * layers
    every = read.number("sliding_window_pattern") or read.number("_sliding_window_pattern")
    kind = str(read.get("model_type", ""))
    if not every:
        every = 2 if kind.startswith("gemma2") else 6 if kind.startswith("gemma3") else 0
    first = read.number("max_window_layers") if read.get("use_sliding_window") else 0
    return [
        "full_attention" if (every and (layer + 1) % every == 0) or layer < first else
        "sliding_attention"
        for layer in range(layers)
    ]  # fmt: skip


def _attending(read: _Read, layers: int) -> set[int] | None:
    """The layers with attention, where the others keep a state."""
    for name in ("attn_layer_indices", "full_attn_idxs"):
        if isinstance(read.get(name), list):
            return set(read.get(name))
    kinds = read.get("attn_type_list")
    if isinstance(kinds, list):
        return {layer for layer, one in enumerate(kinds) if one == 1}
    for name in ("full_attention_interval", "attn_layer_period"):
        every = read.number(name)
        if every:
            at = read.number("attn_layer_offset", every - 1)
            return {layer for layer in range(layers) if layer % every == at}
    return None


def _window(read: _Read, kind: str) -> int | None:
    if kind == "sliding_attention":
        return read.number("sliding_window") or None
    if kind == "chunked_attention":
        return read.number("attention_chunk_size") or None
    return None


def _vision(config: Config, hidden: int) -> int:
    """What turns pictures into tokens: a tower of plain layers, and the way from it to the model."""
    if not isinstance(config.get("vision_config"), Mapping):
        return 0
    read = _Read(config["vision_config"])
    size = read.number("hidden_size") or read.number("embed_dim")
    layers = read.number("num_hidden_layers") or read.number("depth")
    wide, patch = read.number("intermediate_size") or 4 * size, read.number("patch_size", 14)
    layer = 4 * (size * size + size) + 2 * size * wide + wide + size + 4 * size
    places = (read.number("image_size", 448) // patch) ** 2
    return layers * layer + 3 * patch * patch * size + places * size + size * hidden


def from_gguf(header: Mapping[str, Any]) -> dict[str, Any]:
    """A GGUF file's header as a configuration."""
    kind = str(header.get("general.architecture", ""))

    def said(name: str) -> Any:
        return header.get(f"{kind}.{name}")

    found = {
        "model_type": kind,
        "hidden_size": said("embedding_length"),
        "num_hidden_layers": said("block_count"),
        "num_attention_heads": said("attention.head_count"),
        "num_key_value_heads": said("attention.head_count_kv"),
        "head_dim": said("attention.key_length"),
        "intermediate_size": said("feed_forward_length"),
        "vocab_size": said("vocab_size"),
        "max_position_embeddings": said("context_length"),
        "sliding_window": said("attention.sliding_window"),
        "num_experts": said("expert_count"),
        "num_experts_per_tok": said("expert_used_count"),
        "moe_intermediate_size": said("expert_feed_forward_length"),
        "kv_lora_rank": said("attention.kv_lora_rank"),
        "qk_rope_head_dim": said("rope.dimension_count")
        if said("attention.kv_lora_rank")
        else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def kinds_of(config: Config) -> Counter[str]:
    """How many layers of each kind, to be told."""
    part = text_part(config)
    return Counter(layer_kinds(part, _Read(part).number("num_hidden_layers")))
