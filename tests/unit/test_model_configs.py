# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host finds of models: in a hub's cache, in directories and in GGUF files."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from ansible_collections.onehop.llm.plugins.module_utils import _model_configs
from ansible_collections.onehop.llm.plugins.plugin_utils import _install, _model_shape
from ansible_collections.onehop.llm.plugins.plugin_utils._model_memory import Wish, estimate

from .container_hosts import plan, vllm
from .model_facts import KNOWN

CONFIG = {"model_type": "llama", "hidden_size": 64}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def snapshot(path: Path, sizes: dict[str, int], index: list[str] | None = None) -> None:
    """A model's directory with shards of these sizes."""
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(CONFIG))
    for name, size in sizes.items():
        (path / name).write_bytes(bytes(size))
    if index is not None:
        shards = {f"layer.{number}": name for number, name in enumerate(index)}
        (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))


def hub(cache: Path, repository: str, ref: str = "main") -> Path:
    """Where a repository's snapshot goes in the hub's own layout."""
    home = cache / "hub" / f"models--{repository.replace('/', '--')}"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / ref).write_text(COMMIT)
    return home / "snapshots" / COMMIT


def found(cache: Path, model: str, revision: str = "main") -> Any:
    need = {"model": model, "caches": [str(cache)], "revision": revision, "variable": "x"}
    return _model_configs.found([need]).get(model)


def test_a_repository_in_the_cache(tmp_path: Path) -> None:
    sizes = {"model-1.safetensors": 100, "model-2.safetensors": 50, "consolidated.safetensors": 150}
    snapshot(hub(tmp_path, "org/one"), sizes, ["model-1.safetensors", "model-2.safetensors"] * 3)
    assert found(tmp_path, "org/one") == {"config": CONFIG, "bytes": 150}
    assert found(tmp_path, "org/one", COMMIT) == {"config": CONFIG, "bytes": 150}
    assert found(tmp_path, "org/one", "other") is None
    assert found(tmp_path, "org/two") is None


def test_a_bundle_of_repositories(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    hub(bundle, "org/one")
    (bundle / "hub").rename(tmp_path / "plain")
    snapshot(
        tmp_path / "plain" / "models--org--one" / "snapshots" / COMMIT, {"model.safetensors": 7}
    )
    need = {
        "model": "org/one",
        "caches": [str(tmp_path / "nowhere"), str(tmp_path / "plain")],
        "revision": "main",
    }
    assert _model_configs.found([need]) == {"org/one": {"config": CONFIG, "bytes": 7}}


def test_a_branch_of_a_repository(tmp_path: Path) -> None:
    snapshot(hub(tmp_path, "org/one", "awq"), {"model.safetensors": 7})
    assert found(tmp_path, "org/one", "awq") == {"config": CONFIG, "bytes": 7}


@pytest.mark.parametrize(
    ("sizes", "index", "size"),
    [
        ({"model.safetensors": 7, "extra.safetensors": 9}, None, 7),
        ({"weights.safetensors": 7}, None, 7),
        ({"pytorch_model-1.bin": 3, "pytorch_model-2.bin": 4}, None, 7),
        ({}, None, None),
        # A shard that its index names is not there yet.
        ({"model-1.safetensors": 7}, ["model-1.safetensors", "model-2.safetensors"], None),
    ],
)
def test_a_directory(
    tmp_path: Path, sizes: dict[str, int], index: list[str] | None, size: int | None
) -> None:
    snapshot(tmp_path / "model", sizes, index)
    assert found(tmp_path, str(tmp_path / "model")) == {"config": CONFIG, "bytes": size}


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"'])
def test_a_configuration_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    assert found(tmp_path, str(tmp_path)) is None


def test_only_what_says_something_of_a_size_leaves_the_host(tmp_path: Path) -> None:
    """A worker's account could link its configuration to a file that only root may read."""
    config = {
        "model_type": "llama",
        "hidden_size": 64,
        "tie_word_embeddings": False,
        "auths": {"registry": {"auth": "hunter2"}},
        "architectures": ["LlamaForCausalLM"],
        "layer_types": ["full_attention"] * 3,
        "head_dim": None,
        "quantization_config": {
            "quant_method": "compressed-tensors",
            "config_groups": {
                "g": {"targets": ["Linear"], "weights": {"num_bits": 4, "type": "int"}}
            },
        },
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    known = found(tmp_path, str(tmp_path))["config"]
    assert "hunter" not in json.dumps(known)
    assert known["layer_types"] == ["full_attention"] * 3
    assert known["tie_word_embeddings"] is False
    quantised = known["quantization_config"]
    assert quantised["config_groups"]["g"]["weights"] == {"num_bits": 4, "type": "int"}


@pytest.mark.parametrize("name", KNOWN)
def test_what_leaves_the_host_is_enough_for_the_estimate(name: str) -> None:
    config = KNOWN[name].config
    assert estimate(_model_configs.plain(config), Wish()) == estimate(config, Wish())


def header(path: Path) -> None:
    """A GGUF file as its own library writes it, without what a model needs to run."""
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_block_count(2)
    writer.add_embedding_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv([2, 2])
    writer.add_context_length(512)
    writer.add_feed_forward_length(256)
    writer.add_bool("odd.bool", True)
    writer.add_float32("odd.float", 0.5)
    writer.add_token_list([f"token {number}" for number in range(1000)])
    writer.add_token_scores([0.0] * 1000)
    writer.add_tensor("x", np.zeros(8, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_a_gguf_file(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    header(path)
    known = found(tmp_path, str(path))
    assert known["bytes"] == path.stat().st_size
    assert known["config"]["odd.bool"] is True
    assert known["config"]["llama.attention.head_count_kv"] == [2, 2]
    assert known["config"]["tokenizer.ggml.scores"] == 1000
    shape = _model_shape.shape(_model_shape.from_gguf(known["config"]))
    assert shape is not None
    assert (shape.vocabulary, shape.context, shape.per_token) == (1000, 512, 2 * 2 * 16)
    assert len(shape.windows) == 2


def test_a_split_gguf_file(tmp_path: Path) -> None:
    for number in (1, 2):
        header(tmp_path / f"x-0000{number}-of-00002.gguf")
    one = (tmp_path / "x-00001-of-00002.gguf").stat().st_size
    assert found(tmp_path, str(tmp_path / "x-00001-of-00002.gguf"))["bytes"] == 2 * one


# One value, a list of 2^62 numbers, which are not there.
ENDLESS = b"GGUF" + struct.pack("<IQQQ1sIIQ", 3, 0, 1, 1, b"x", 9, 4, 2**62)


@pytest.mark.parametrize(
    "content", [b"", b"GGUF", b"GGUF\3\0\0\0" + b"\xff" * 40, b"lead", ENDLESS]
)
def test_a_broken_gguf_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.gguf").write_bytes(content)
    known = found(tmp_path, str(tmp_path / "x.gguf"))
    assert known is None or known["config"] == {}


def test_what_is_asked_of_a_host() -> None:
    made = plan(
        vllm({"settings": {"revision": "v2"}}, vllm_weights_bundles=["/srv/bundle"])
        | {"llama_cpp_models": {"l": {"settings": {"model": "/srv/x.gguf"}}, "n": {}}}
    )
    wanted = _install.needs(made.data(), "gpu1", None)["models"]
    assert wanted == [
        {
            "model": "/srv/x.gguf",
            "variable": "llama_cpp_models.l",
            "caches": ["/var/cache/onehop-models"],
            "revision": "main",
        },
        {
            "model": "a/b",
            "variable": "vllm_models.m",
            "caches": ["/var/cache/vllm", "/srv/bundle"],
            "revision": "v2",
        },
    ]


@pytest.mark.parametrize("kind", ["pipe", "/dev/zero", "/dev/tty", "directory"])
def test_what_is_no_file_is_not_read(tmp_path: Path, kind: str) -> None:
    """Root reads here what a worker's account may have put."""
    for name in ("config.json", "model.safetensors.index.json"):
        if kind == "pipe":
            os.mkfifo(tmp_path / name)
        elif kind == "directory":
            (tmp_path / name).mkdir()
        else:
            (tmp_path / name).symlink_to(kind)
        assert _model_configs.read(str(tmp_path / name)) == ""
    assert found(tmp_path, str(tmp_path)) is None


@pytest.mark.parametrize(
    "index", ['{"weight_map": {"a": 5}}', '{"weight_map": {"a": [1]}}', "[" * 100_000]
)
def test_an_index_that_is_none(tmp_path: Path, index: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "model.safetensors.index.json").write_text(index)
    assert found(tmp_path, str(tmp_path)) in (None, {"config": CONFIG, "bytes": None})


def test_numbers_that_no_size_has(tmp_path: Path) -> None:
    text = f'{json.dumps(CONFIG)[:-1]}, "a": 1e999, "b": NaN, "c": {10**300}}}'
    (tmp_path / "config.json").write_text(text)
    assert found(tmp_path, str(tmp_path)) == {"config": CONFIG, "bytes": None}


@pytest.mark.parametrize("lists", [False, True])
def test_a_header_without_an_end(tmp_path: Path, lists: bool) -> None:
    path = tmp_path / "x.gguf"
    header = struct.pack("<4sIQQ", b"GGUF", 3, 0, 1 if lists else 2**60)
    if lists:
        header += struct.pack("<Q1sIIQ", 1, b"x", 9, 8, 2**60)
    path.write_bytes(header)
    with path.open("r+b") as file:
        file.truncate(2**40)
    assert found(tmp_path, str(path)) is None
