# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Well-known models: what their config.json says of their size, and the size that is published.

``parameters`` are those of the model card's safetensors figures or of the sum of its tensors,
``bytes`` the ``total_size`` of its ``model.safetensors.index.json`` or the size of its one file; of
the AWQ and the FP8 checkpoint as engines log it while they load them, to three digits.
``kv`` is the bytes of keys and values of a token in all layers, at two bytes an element.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Known:
    """A published model."""

    config: dict[str, Any]
    parameters: int
    bytes: int
    kv: int


def _model(
    kind: str,
    hidden: int,
    layers: int,
    heads: tuple[int, int],
    wide: int,
    vocabulary: int,
    **more: Any,
) -> dict[str, Any]:
    return {
        "model_type": kind,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads[0],
        "num_key_value_heads": heads[1],
        "intermediate_size": wide,
        "vocab_size": vocabulary,
        "torch_dtype": "bfloat16",
    } | more


_LLAMA_3_8B = _model("llama", 4096, 32, (32, 8), 14336, 128256, max_position_embeddings=8192)
_MISTRAL_7B = _model(
    "mistral", 4096, 32, (32, 8), 14336, 32000, sliding_window=4096, max_position_embeddings=32768
)
_QWEN_25_7B = _model(
    "qwen2",
    3584,
    28,
    (28, 4),
    18944,
    152064,
    max_position_embeddings=32768,
    sliding_window=131072,
    use_sliding_window=False,
    max_window_layers=28,
)

KNOWN = {
    "meta-llama/Meta-Llama-3-8B": Known(_LLAMA_3_8B, 8_030_261_248, 16_060_522_496, 131072),
    "meta-llama/Meta-Llama-3-70B": Known(
        _model("llama", 8192, 80, (64, 8), 28672, 128256, max_position_embeddings=8192),
        70_553_706_496,
        141_107_412_992,
        327680,
    ),
    "meta-llama/Llama-3.1-405B": Known(
        _model("llama", 16384, 126, (128, 8), 53248, 128256, max_position_embeddings=131072),
        405_853_388_800,
        811_706_777_600,
        516096,
    ),
    "meta-llama/Llama-3.2-1B": Known(
        _model(
            "llama",
            2048,
            16,
            (32, 8),
            8192,
            128256,
            head_dim=64,
            tie_word_embeddings=True,
            max_position_embeddings=131072,
        ),
        1_235_814_400,
        2_471_645_608,
        32768,
    ),
    "Qwen/Qwen2.5-7B-Instruct": Known(_QWEN_25_7B, 7_615_616_512, 15_231_233_024, 57344),
    "Qwen/Qwen3-8B": Known(
        _model(
            "qwen3", 4096, 36, (32, 8), 12288, 151936, head_dim=128, max_position_embeddings=40960
        ),
        8_190_735_360,
        16_381_470_720,
        147456,
    ),
    "Qwen/Qwen3-30B-A3B": Known(
        _model(
            "qwen3_moe",
            2048,
            48,
            (32, 4),
            6144,
            151936,
            head_dim=128,
            decoder_sparse_step=1,
            mlp_only_layers=[],
            moe_intermediate_size=768,
            num_experts=128,
            num_experts_per_tok=8,
            max_position_embeddings=40960,
        ),
        30_532_122_624,
        61_064_245_248,
        98304,
    ),
    "mistralai/Mistral-7B-v0.1": Known(_MISTRAL_7B, 7_241_732_096, 14_483_464_192, 131072),
    "mistralai/Mixtral-8x7B-v0.1": Known(
        _model(
            "mixtral",
            4096,
            32,
            (32, 8),
            14336,
            32000,
            num_local_experts=8,
            num_experts_per_tok=2,
            sliding_window=None,
            max_position_embeddings=32768,
        ),
        46_702_792_704,
        93_405_585_408,
        131072,
    ),
    "google/gemma-2-9b": Known(
        _model(
            "gemma2",
            3584,
            42,
            (16, 8),
            14336,
            256000,
            head_dim=256,
            sliding_window=4096,
            max_position_embeddings=8192,
        ),
        9_241_705_984,
        18_483_411_968,
        344064,
    ),
    "google/gemma-3-27b-it": Known(
        {
            "model_type": "gemma3",
            "torch_dtype": "bfloat16",
            "text_config": {
                "model_type": "gemma3_text",
                "hidden_size": 5376,
                "num_hidden_layers": 62,
                "num_attention_heads": 32,
                "num_key_value_heads": 16,
                "head_dim": 128,
                "intermediate_size": 21504,
                "sliding_window": 1024,
                "vocab_size": 262208,
                "max_position_embeddings": 131072,
            },
            "vision_config": {
                "model_type": "siglip_vision_model",
                "hidden_size": 1152,
                "image_size": 896,
                "intermediate_size": 4304,
                "num_attention_heads": 16,
                "num_hidden_layers": 27,
                "patch_size": 14,
            },
        },
        27_432_406_640,
        54_864_813_280,
        507904,
    ),
    "microsoft/Phi-3-mini-4k-instruct": Known(
        _model(
            "phi3",
            3072,
            32,
            (32, 32),
            8192,
            32064,
            sliding_window=2047,
            max_position_embeddings=4096,
        ),
        3_821_079_552,
        7_642_159_104,
        393216,
    ),
    "deepseek-ai/DeepSeek-V3": Known(
        _model(
            "deepseek_v3",
            7168,
            61,
            (128, 128),
            18432,
            129280,
            first_k_dense_replace=3,
            kv_lora_rank=512,
            moe_intermediate_size=2048,
            moe_layer_freq=1,
            n_routed_experts=256,
            n_shared_experts=1,
            num_experts_per_tok=8,
            num_nextn_predict_layers=1,
            q_lora_rank=1536,
            qk_nope_head_dim=128,
            qk_rope_head_dim=64,
            v_head_dim=128,
            max_position_embeddings=163840,
            quantization_config={
                "quant_method": "fp8",
                "fmt": "e4m3",
                "weight_block_size": [128, 128],
            },
        ),
        671_026_419_200,
        # With 13.5 billion more parameters of a layer that foretells a further token, which engines
        # load for speculation only.
        688_586_727_753,
        70272,
    ),
    "openai/gpt-oss-20b": Known(
        _model(
            "gpt_oss",
            2880,
            24,
            (64, 8),
            2880,
            201088,
            head_dim=64,
            attention_bias=True,
            layer_types=["sliding_attention", "full_attention"] * 12,
            num_local_experts=32,
            num_experts_per_tok=4,
            experts_per_token=4,
            sliding_window=128,
            max_position_embeddings=131072,
            quantization_config={
                "quant_method": "mxfp4",
                "modules_to_not_convert": [
                    "model.layers.*.self_attn",
                    "model.layers.*.mlp.router",
                    "model.embed_tokens",
                    "lm_head",
                ],
            },
        ),
        20_914_757_184,
        13_761_264_768,
        49152,
    ),
    "Qwen/Qwen2.5-7B-Instruct-AWQ": Known(
        _QWEN_25_7B
        | {
            "torch_dtype": "float16",
            "quantization_config": {
                "quant_method": "awq",
                "bits": 4,
                "group_size": 128,
                "modules_to_not_convert": None,
                "version": "gemm",
                "zero_point": True,
            },
        },
        7_615_616_512,
        5_570_000_000,
        57344,
    ),
    "neuralmagic/Meta-Llama-3-8B-Instruct-FP8": Known(
        _LLAMA_3_8B
        | {
            "quantization_config": {
                "quant_method": "fp8",
                "activation_scheme": "static",
                "ignored_layers": ["lm_head"],
            }
        },
        8_030_261_248,
        9_080_000_000,
        131072,
    ),
}
