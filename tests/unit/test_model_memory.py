# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The estimate of a model's memory, held against what is published of well-known models."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.onehop.llm.plugins.plugin_utils import _model_shape
from ansible_collections.onehop.llm.plugins.plugin_utils._model_memory import (
    GIB,
    Wish,
    estimate,
    quantisation,
)

from .model_facts import KNOWN

PARAMETERS = 0.001
"""How far the number of parameters may be off."""
WEIGHTS = 0.03
"""How far the bytes of all weights may be off: files hold scales and layers of their own."""

LLAMA = KNOWN["meta-llama/Meta-Llama-3-8B"].config
PLAIN = {name: value for name, value in LLAMA.items() if name != "quantization_config"}


def one(
    config: dict[str, Any], wish: Wish | None = None, size: int | None = None
) -> dict[str, Any]:
    found = estimate(config, wish or Wish(), size)
    assert found is not None
    return found


@pytest.mark.parametrize("name", KNOWN)
def test_parameters_and_weights_of_well_known_models(name: str) -> None:
    known = KNOWN[name]
    found = one(known.config)
    assert found["parameters"] == pytest.approx(known.parameters, rel=PARAMETERS)
    assert found["weights"] == pytest.approx(known.bytes, rel=WEIGHTS)
    assert found["kv_cache_per_token"] == known.kv
    assert found["source"] == "config"


@pytest.mark.parametrize(
    ("name", "active"),
    [
        ("meta-llama/Meta-Llama-3-8B", 8.03e9),
        ("mistralai/Mixtral-8x7B-v0.1", 12.9e9),
        ("Qwen/Qwen3-30B-A3B", 3.3e9),
        ("deepseek-ai/DeepSeek-V3", 37e9),
    ],
)
def test_parameters_that_a_token_passes(name: str, active: float) -> None:
    assert one(KNOWN[name].config)["active_parameters"] == pytest.approx(active, rel=0.03)


@pytest.mark.parametrize(
    ("name", "context", "cache"),
    [
        ("meta-llama/Meta-Llama-3-8B", 8192, 8192 * 131072),
        # Every layer looks 4096 tokens back.
        ("mistralai/Mistral-7B-v0.1", 32768, 4096 * 131072),
        ("mistralai/Mistral-7B-v0.1", 1000, 1000 * 131072),
        # Every second layer does.
        ("google/gemma-2-9b", 8192, (21 * 8192 + 21 * 4096) * 8192),
        # Five of six layers look 1024 tokens back, 10 of 62 all the way.
        ("google/gemma-3-27b-it", 131072, (10 * 131072 + 52 * 1024) * 8192),
        ("openai/gpt-oss-20b", 131072, (12 * 131072 + 12 * 128) * 2048),
        ("deepseek-ai/DeepSeek-V3", 4096, 4096 * 70272),
        ("Qwen/Qwen2.5-7B-Instruct", 32768, 32768 * 57344),
    ],
)
def test_keys_and_values_of_a_sequence(name: str, context: int, cache: int) -> None:
    assert one(KNOWN[name].config, Wish(context=context))["kv_cache"] == cache
    assert one(KNOWN[name].config, Wish(context=context, sequences=3))["kv_cache"] == 3 * cache


@pytest.mark.parametrize(
    ("kind", "element"),
    [
        ("auto", 2),
        ("bfloat16", 2),
        ("fp8", 1),
        ("fp8_e4m3", 1),
        ("fp8_e5m2", 1),
        ("q8_0", 34 / 32),
        ("q4_0", 18 / 32),
        ("f32", 4),
    ],
)
def test_formats_of_keys_and_values(kind: str, element: float) -> None:
    found = one(PLAIN, Wish(context=100, kv_dtype=kind))
    assert found["kv_cache"] == round(100 * 65536 * element)


def layers(config: dict[str, Any]) -> list[int]:
    """Which layers keep keys and values."""
    kinds = _model_shape.layer_kinds(config, config["num_hidden_layers"])
    return [number for number, kind in enumerate(kinds) if kind.endswith("attention")
            and not kind.startswith("linear")]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "attending"),
    [
        ({"full_attention_interval": 4, "linear_num_value_heads": 32}, [3, 7]),
        ({"attn_layer_period": 8, "attn_layer_offset": 4, "mamba_d_state": 16}, [4]),
        ({"hybrid_override_pattern": "M-M*-M-*"}, [3, 7]),
        ({"attn_type_list": [0, 0, 0, 1, 0, 0, 0, 1]}, [3, 7]),
        ({"full_attn_idxs": [2, 5]}, [2, 5]),
        ({"layer_types": ["mamba", "attention"] * 4}, [1, 3, 5, 7]),
        ({"layer_types": ["linear_attention", "full_attention"] * 4}, [1, 3, 5, 7]),
    ],
)
def test_layers_that_keep_a_state_need_no_cache(more: dict[str, Any], attending: list[int]) -> None:
    config = PLAIN | {"num_hidden_layers": 8} | more
    assert layers(config) == attending
    long, short = (one(config, Wish(context=context))["kv_cache"] for context in (2000, 1000))
    assert long - short == 1000 * len(attending) * 2 * 8 * 128 * 2


def test_a_hybrid_of_linear_attention() -> None:
    """Qwen3-Next-80B-A3B: 79.7 billion parameters of its language model, 48 layers, 12 with a cache."""
    config = {
        "model_type": "qwen3_next",
        "hidden_size": 2048,
        "num_hidden_layers": 48,
        "num_attention_heads": 16,
        "num_key_value_heads": 2,
        "head_dim": 256,
        "intermediate_size": 5120,
        "moe_intermediate_size": 512,
        "shared_expert_intermediate_size": 512,
        "num_experts": 512,
        "num_experts_per_tok": 10,
        "full_attention_interval": 4,
        "linear_num_key_heads": 16,
        "linear_num_value_heads": 32,
        "linear_key_head_dim": 128,
        "linear_value_head_dim": 128,
        "linear_conv_kernel_dim": 4,
        "decoder_sparse_step": 1,
        "vocab_size": 151936,
        "max_position_embeddings": 262144,
    }
    found = one(config)
    assert found["parameters"] == pytest.approx(79.67e9, rel=PARAMETERS)
    assert found["active_parameters"] == pytest.approx(3.9e9, rel=0.05)
    assert found["kv_cache_per_token"] == 12 * 2 * 2 * 256 * 2


@pytest.mark.parametrize(
    ("given", "packed"),
    [
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, 0.5 + 2.5 / 128),
        ({"quant_method": "awq", "w_bit": 4, "q_group_size": 64}, 0.5 + 2.5 / 64),
        ({"quant_method": "gptq", "bits": 4, "group_size": -1}, 0.5),
        ({"quant_method": "gptq", "bits": 8, "group_size": 32}, 1.0),
        ({"quant_method": "gptq", "bits": 3, "group_size": 128}, 0.375 + 2.375 / 128),
        ({"quant_method": "fp8"}, 1.0),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, 1 + 4 / 16384),
        ({"quant_method": "fbgemm_fp8"}, 1.0),
        ({"quant_method": "modelopt", "quant_algo": "FP8"}, 1.0),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4", "config_groups": {}}, 0.5625),
        ({"quant_method": "mxfp4"}, 0.5 + 1 / 32),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, 0.5625),
        (
            {
                "quant_method": "bitsandbytes",
                "load_in_4bit": True,
                "bnb_4bit_use_double_quant": True,
            },
            0.5 + 1 / 64,
        ),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, 1.0),
        ({"quant_method": "torchao", "quant_type": "int4_weight_only"}, 0.5 + 2.5 / 128),
        ({"quant_method": "torchao", "quant_type": "int8_weight_only"}, 1.0),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {
                    "group_0": {"weights": {"num_bits": 4, "type": "int", "group_size": 128}}
                },
            },
            0.5 + 2.5 / 128,
        ),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 8, "type": "float"}}},
            },
            1.0,
        ),
        (
            {
                "quant_method": "compressed-tensors",
                "format": "nvfp4-pack-quantized",
                "config_groups": {
                    "group_0": {"weights": {"num_bits": 4, "type": "float", "group_size": 16}}
                },
            },
            0.5625,
        ),
        ({"quant_method": "never-heard-of"}, 2.0),
    ],
)
def test_bytes_of_a_quantised_weight(given: dict[str, Any], packed: float) -> None:
    assert quantisation(PLAIN | {"quantization_config": given}, Wish()).packed == packed
    found = one(PLAIN | {"quantization_config": given})
    outside = 2 * 128256 * 4096 + 65 * 4096
    assert found["weights"] == round((found["parameters"] - outside) * packed + outside * 2)


@pytest.mark.parametrize(
    ("wish", "weights"),
    [
        (Wish(dtype="float32"), 32.1e9),
        (Wish(dtype="half"), 16.06e9),
        (Wish(quantization="fp8"), 9.08e9),
        (Wish(quantization="bitsandbytes"), 6.03e9),
    ],
)
def test_weights_as_the_engine_makes_them(wish: Wish, weights: float) -> None:
    """The size of files says nothing of weights that the engine converts."""
    found = one(PLAIN, wish)
    assert found["weights"] == pytest.approx(weights, rel=0.01)
    size = one(PLAIN, wish, 16_060_522_496)["weights"]
    assert size == pytest.approx(16.06e9 if wish.dtype == "half" else weights, rel=0.01)


def test_auto_makes_two_bytes_of_four() -> None:
    assert one(PLAIN | {"torch_dtype": "float32"})["weights"] == 16_060_522_496


def test_the_size_of_files_is_what_weights_need() -> None:
    found = one(PLAIN, size=16_060_556_616)
    assert (found["weights"], found["source"]) == (16_060_556_616, "files")


def test_without_a_known_shape() -> None:
    assert estimate(None, Wish()) is None
    assert estimate({"model_type": "odd"}, Wish()) is None
    found = estimate({"model_type": "odd"}, Wish(tensor=2), 10 * GIB)
    assert found is not None
    assert found["per_device"]["weights"] == 5 * GIB
    assert found["summary"] == "10.0 GiB of weights; what its cache needs is not known"


def test_devices_divide() -> None:
    whole = one(PLAIN, Wish(context=8192))
    four = one(PLAIN, Wish(context=8192, tensor=4))
    assert four["per_device"]["weights"] == whole["weights"] // 4
    assert four["per_device"]["kv_cache"] == whole["kv_cache"] // 4
    sixteen = one(PLAIN, Wish(context=8192, tensor=16))
    assert sixteen["per_device"]["kv_cache"] == whole["kv_cache"] // 8, "each has a head at least"
    stages = one(PLAIN, Wish(context=8192, tensor=2, pipeline=2))
    assert stages["per_device"]["kv_cache"] == whole["kv_cache"] // 4
    latent = KNOWN["deepseek-ai/DeepSeek-V3"].config
    assert one(latent, Wish(tensor=8))["per_device"]["kv_cache"] == one(latent)["kv_cache"]


def test_a_summary() -> None:
    wish = Wish(context=4096, sequences=2, tensor=2)
    assert one(PLAIN, wish)["summary"] == (
        "8.03 B parameters, 15.0 GiB of weights (bfloat16), 1.0 GiB of KV cache for 2 x 4096 tokens, "
        "9.0 GiB in all on each of 2 devices"
    )


def test_a_header_of_a_gguf_file() -> None:
    header = {
        "general.architecture": "llama",
        "llama.embedding_length": 4096,
        "llama.block_count": 32,
        "llama.attention.head_count": 32,
        "llama.attention.head_count_kv": 8,
        "llama.feed_forward_length": 14336,
        "llama.vocab_size": 128256,
        "llama.context_length": 8192,
    }
    found = one(_model_shape.from_gguf(header), Wish(context=4096, kv_dtype="q8_0"), 4_920_000_000)
    assert found["parameters"] == pytest.approx(8.03e9, rel=PARAMETERS)
    assert (found["weights"], found["source"]) == (4_920_000_000, "files")
    assert found["kv_cache"] == round(4096 * 65536 * 34 / 32)


WHOLE = st.integers(1, 64)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(KNOWN)), st.integers(1, 200000), st.integers(1, 64), WHOLE, WHOLE)
def test_more_is_never_less(name: str, context: int, more: int, tensor: int, pipeline: int) -> None:
    """A longer context needs no less, more devices no more of each, and the parts are the whole."""
    config = KNOWN[name].config
    base = one(config, Wish(context=context, tensor=tensor, pipeline=pipeline))
    longer = one(config, Wish(context=context + more, tensor=tensor, pipeline=pipeline))
    wider = one(config, Wish(context=context, tensor=2 * tensor, pipeline=pipeline))
    assert longer["kv_cache"] >= base["kv_cache"]
    assert wider["per_device"]["total"] <= base["per_device"]["total"]
    assert base["per_device"]["weights"] * tensor * pipeline >= base["weights"]
    parts = base["per_device"]
    assert parts["total"] == parts["weights"] + parts["kv_cache"] + parts["reserve"]
