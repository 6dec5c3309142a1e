# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a tiny random Llama model as Hugging Face folders have it: ``tiny_llm.py OUT_DIR``.

vLLM and transformers load it at once. It reads bytes, one token each, answers with words of its own
small vocabulary, and ends an answer now and then (at temperature 0 it goes on to max_tokens). The
same seed gives the same files, byte for byte: half a megabyte, from the standard library alone.
"""

from __future__ import annotations

import argparse
import array
import json
import random
import struct
import sys
from pathlib import Path
from typing import Any, TypeAlias

from tiny_words import (
    CHAT_TEMPLATE,
    CONTEXT,
    END_BIAS,
    INNER,
    LAYERS,
    SILENT_BIAS,
    WIDTH,
    WORD_BIAS,
    WORDS,
)

HEADS = 2
"""Of 32 numbers each: vLLM's attention for processors takes no smaller ones."""

END, BEGIN, TURN, TURN_END = "</s>", "<s>", "<|im_start|>", "<|im_end|>"
SPECIAL = (END, BEGIN, TURN, TURN_END)
"""In the order of their numbers, before the 256 bytes and the words."""

Tensor: TypeAlias = "tuple[list[int], array.array[float]]"
"""Its shape, and its numbers row by row."""


def signs() -> dict[int, str]:
    """The visible character that stands for each byte in the vocabulary of a byte-level tokenizer.

    Latin-1's printable characters stand for themselves, the others follow from U+0100 on: GPT-2's
    table, which the ByteLevel parts of the tokenizers package have built in.
    """
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in visible]
    found = {byte: chr(byte) for byte in visible}
    return found | {byte: chr(256 + number) for number, byte in enumerate(hidden)}


def vocabulary() -> list[str]:
    """Every token in the order of its number.

    A text becomes bytes only: there are no merges that would lead to a word. The model may say one
    nevertheless.
    """
    byte_signs = signs()
    return [*SPECIAL, *(byte_signs[byte] for byte in range(256)), *(signs()[32] + w for w in WORDS)]


def tokenizer() -> dict[str, Any]:
    """tokenizer.json."""
    level = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": False,
    }
    added = [
        {"id": number, "content": token, "special": True}
        | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        for number, token in enumerate(SPECIAL)
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": level,
        "post_processor": None,
        "decoder": level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: number for number, token in enumerate(vocabulary())},
            "merges": [],
        },
    }


def documents() -> dict[str, dict[str, Any]]:
    """Every JSON file of the model, by its name."""
    ends = [SPECIAL.index(TURN_END), SPECIAL.index(END)]
    numbers = {"bos_token_id": SPECIAL.index(BEGIN), "eos_token_id": ends}
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": WIDTH,
        "initializer_range": 0.02,
        "intermediate_size": INNER,
        "max_position_embeddings": CONTEXT,
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        "num_key_value_heads": HEADS,
        "head_dim": WIDTH // HEADS,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "vocab_size": len(vocabulary()),
    }
    return {
        "config.json": config | numbers,
        "generation_config.json": numbers,
        "tokenizer.json": tokenizer(),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": BEGIN,
            "eos_token": TURN_END,
            "pad_token": END,
            "clean_up_tokenization_spaces": False,
            "model_max_length": CONTEXT,
            "chat_template": CHAT_TEMPLATE,
        },
    }


def biases() -> list[float]:
    """How likely each token is, whatever was read."""
    ends = {END: SILENT_BIAS, TURN_END: END_BIAS}
    first = [ends.get(token, SILENT_BIAS) for token in SPECIAL]
    return [*first, *[SILENT_BIAS] * 256, *[WORD_BIAS] * len(WORDS)]


def tensors(seed: int) -> dict[str, Tensor]:
    """The weights of a model that prefers some tokens whatever it has read."""
    # Even, not normal: sums and products alone, so the numbers are the same on every machine.
    dice = random.Random(seed)
    found: dict[str, Tensor] = {}

    def matrix(name: str, rows: int, columns: int, spread: float) -> array.array[float]:
        numbers = (dice.uniform(-spread, spread) for dummy in range(rows * columns))
        found[name] = ([rows, columns], array.array("f", numbers))
        return found[name][1]

    def norm(name: str) -> None:
        found[name] = ([WIDTH], array.array("f", [1.0] * WIDTH))

    size = len(vocabulary())
    embeddings = matrix("model.embed_tokens.weight", size, WIDTH, 0.35)
    output = matrix("lm_head.weight", size, WIDTH, 0.43)
    for token, bias in enumerate(biases()):
        embeddings[token * WIDTH] = 2.0
        output[token * WIDTH] = bias
    norm("model.norm.weight")
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}"
        for part in ("q_proj", "k_proj", "v_proj", "o_proj"):
            matrix(f"{prefix}.self_attn.{part}.weight", WIDTH, WIDTH, 0.09)
        for part in ("gate_proj", "up_proj"):
            matrix(f"{prefix}.mlp.{part}.weight", INNER, WIDTH, 0.09)
        matrix(f"{prefix}.mlp.down_proj.weight", WIDTH, INNER, 0.09)
        for part in ("input_layernorm", "post_attention_layernorm"):
            norm(f"{prefix}.{part}.weight")
    return found


def safetensors(weights: dict[str, Tensor]) -> bytes:
    """A safetensors file: the length of a JSON header, the header, all numbers little-endian."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    body = bytearray()
    for name, (shape, numbers) in sorted(weights.items()):
        if sys.byteorder == "big":
            numbers.byteswap()
        start = len(body)
        body += numbers.tobytes()
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, len(body)]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes(body)


def write_model(folder: Path, seed: int) -> int:
    """Write the folder; how many bytes its files have."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        name: (json.dumps(document, indent=1) + "\n").encode()
        for name, document in documents().items()
    }
    files["model.safetensors"] = safetensors(tensors(seed))
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return sum(len(content) for content in files.values())


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a tiny random Llama model for vLLM.")
    parser.add_argument("out", type=Path, metavar="OUT_DIR")
    parser.add_argument("--seed", type=int, default=1, help="of the weights (default: 1)")
    args = parser.parse_args()
    print(f"{args.out}: {write_model(args.out, args.seed)} bytes")


if __name__ == "__main__":
    main()
