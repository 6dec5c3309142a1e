# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a tiny random Llama model that llama-server loads at once: ``tiny_gguf.py OUT.gguf``.

It knows every byte, answers with words of its own small vocabulary, and ends an answer now and then
(at temperature 0 it goes on to max_tokens). With ``--tools`` it also calls a function, some function,
whenever a user speaks and functions are there; llama-server's grammar sees to the arguments.
The same seed gives the same file, byte for byte. Needs the Python packages gguf and numpy.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray
from tiny_words import (
    CHAT_TEMPLATE,
    CONTEXT,
    END_BIAS,
    INNER,
    LAYERS,
    SILENT_BIAS,
    TOOL_TEMPLATE,
    WIDTH,
    WORD_BIAS,
    WORDS,
)

HEADS = 4

LETTERS = "abcdefghijklmnopqrstuvwxyz"
MARKS = ".,"


class Vocabulary:
    """A SentencePiece vocabulary: special tokens, the 256 bytes, and some words to answer with."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.scores: list[float] = []
        self.types: list[int] = []
        self.biases: list[float] = []
        self.unknown = self.add("<unk>", gguf.TokenType.UNKNOWN)
        self.begin = self.add("<s>", gguf.TokenType.CONTROL)
        self.end = self.add("</s>", gguf.TokenType.CONTROL)
        self.turn = self.add("<|im_start|>", gguf.TokenType.CONTROL)
        self.turn_end = self.add("<|im_end|>", gguf.TokenType.CONTROL, END_BIAS)
        for byte in range(256):
            self.add(f"<0x{byte:02X}>", gguf.TokenType.BYTE)
        # The tokenizer joins pairs of neighbours only, so each word needs its beginnings as pieces.
        for letter in "\N{LOWER ONE EIGHTH BLOCK}" + LETTERS + MARKS:
            self.add(letter, gguf.TokenType.NORMAL, score=-100.0)
        for word in WORDS:
            for length in range(1, len(word) + 1):
                piece = "\N{LOWER ONE EIGHTH BLOCK}" + word[:length]
                whole = length == len(word)
                if piece in self.pieces:
                    if whole:
                        self.biases[self.pieces.index(piece)] = WORD_BIAS
                    continue
                bias = WORD_BIAS if whole else SILENT_BIAS
                self.add(piece, gguf.TokenType.NORMAL, bias, score=float(length))

    def add(
        self, piece: str, kind: gguf.TokenType, bias: float = SILENT_BIAS, score: float = 0.0
    ) -> int:
        self.pieces.append(piece)
        self.scores.append(score)
        self.types.append(int(kind))
        self.biases.append(bias)
        return len(self.pieces) - 1


def biased(
    random: np.random.Generator, biases: list[float]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Embeddings and output weights of a model that prefers some tokens whatever it has read."""
    embeddings = random.normal(0, 0.2, (len(biases), WIDTH)).astype(np.float32)
    embeddings[:, 0] = 2.0
    output = random.normal(0, 0.25, (len(biases), WIDTH)).astype(np.float32)
    output[:, 0] = np.array(biases, dtype=np.float32)
    return embeddings, output


def write_model(path: Path, seed: int, name: str, *, tools: bool = False) -> None:
    """Write the file; a few hundred kilobytes."""
    words = Vocabulary()
    if tools:
        words.biases[words.turn_end] = 1.3 * END_BIAS
        act = words.add("<|act|>", gguf.TokenType.CONTROL)
        call = words.add("<tool_call>", gguf.TokenType.USER_DEFINED)
        # No blanks and no further items where a grammar lets it choose: they would use up max_tokens.
        for piece in ("<0x09>", "<0x0A>", "<0x20>", "<0x2C>", ",", "\N{LOWER ONE EIGHTH BLOCK}"):
            words.biases[words.pieces.index(piece)] = 2 * SILENT_BIAS
    random = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(name)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(words.pieces))

    writer.add_tokenizer_model("llama")
    writer.add_token_list(words.pieces)
    writer.add_token_scores(words.scores)
    writer.add_token_types(words.types)
    writer.add_unk_token_id(words.unknown)
    writer.add_bos_token_id(words.begin)
    writer.add_eos_token_id(words.turn_end)
    writer.add_add_bos_token(True)
    writer.add_chat_template(TOOL_TEMPLATE if tools else CHAT_TEMPLATE)

    embeddings, output = biased(random, words.biases)
    if tools:
        # A grammar compares letters, so none may be put before a word.
        writer.add_add_space_prefix(False)
        # What the template ends a prompt with leads to a call, and that to its newline, whatever was read.
        embeddings[:, 1:4] = 0.0
        newline = words.pieces.index("<0x0A>")
        embeddings[act, 1] = embeddings[call, 2] = 40.0
        output[call, 1] = output[newline, 2] = 6.0
        # Every prompt ends with a newline: no answer is to be empty, and few are to be cut off.
        embeddings[newline, 3], output[words.turn_end, 3] = 2.0, -2.0
    ones = np.ones(WIDTH, dtype=np.float32)

    def matrix(rows: int, columns: int) -> NDArray[np.float32]:
        return random.normal(0, 0.05, (rows, columns)).astype(np.float32)

    writer.add_tensor("token_embd.weight", embeddings)
    writer.add_tensor("output_norm.weight", ones)
    writer.add_tensor("output.weight", output)
    for layer in range(LAYERS):
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.add_tensor(f"blk.{layer}.{part}.weight", matrix(WIDTH, WIDTH))
        for part in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{part}.weight", ones)
        for part in ("ffn_gate", "ffn_up"):
            writer.add_tensor(f"blk.{layer}.{part}.weight", matrix(INNER, WIDTH))
        writer.add_tensor(f"blk.{layer}.ffn_down.weight", matrix(WIDTH, INNER))

    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a tiny random Llama model as a GGUF file.")
    parser.add_argument("out", type=Path, metavar="OUT.gguf")
    parser.add_argument("--seed", type=int, default=1, help="of the weights (default: 1)")
    parser.add_argument("--name", default="tiny", help="the model's name in the file")
    parser.add_argument("--tools", action="store_true", help="a model that calls functions")
    args = parser.parse_args()
    write_model(args.out, args.seed, args.name, tools=args.tools)
    print(f"{args.out}: {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
