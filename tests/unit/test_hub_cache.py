# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts as whole in a cache, and what is pruned from it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.module_utils import _hub_cache

COMMIT = "c" * 40
SHARDS = {"weight_map": {"x": "m-1.safetensors", "y": "m-2.safetensors"}}


def item(
    kind: str = "model", *choose: str, revision: str = "main", optional: bool = False
) -> dict[str, Any]:
    return {
        "repo": "a/b",
        "revision": revision,
        "kind": kind,
        "choose": choose,
        "optional": optional,
    }


def snapshot(hub: Path, *names: str, repo: str = "a/b", commit: str = COMMIT, **texts: str) -> Path:
    """A snapshot with these files, as links to blobs of their own."""
    place = hub / _hub_cache.folder(repo)
    for name in (*names, *texts):
        blob = place / "blobs" / f"{commit[:4]}-{name.replace('/', '-')}"
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_text(texts.get(name, "{}"), encoding="utf-8")
        link = place / "snapshots" / commit / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(blob)
    ref = place / "refs" / "main"
    ref.parent.mkdir(exist_ok=True)
    ref.write_text(commit, encoding="utf-8")
    return place / "snapshots" / commit


def lacks(hub: Path, *arguments: Any, **more: Any) -> str:
    return str(_hub_cache.look(str(hub), item(*arguments, **more))["lacks"])


def test_a_model_needs_its_configuration_and_weights(tmp_path: Path) -> None:
    assert lacks(tmp_path) == "it is not in the cache"
    place = snapshot(tmp_path, "model.safetensors")
    assert lacks(tmp_path) == "config.json"
    snapshot(tmp_path, "config.json")
    assert lacks(tmp_path) == ""
    (place / "model.safetensors").unlink()
    assert lacks(tmp_path) == "a file with weights"


def test_a_model_needs_every_shard_of_its_index(tmp_path: Path) -> None:
    index = {"model.safetensors.index.json": json.dumps(SHARDS)}
    place = snapshot(tmp_path, "config.json", "m-1.safetensors", **index)
    assert lacks(tmp_path) == "m-2.safetensors"
    snapshot(tmp_path, "m-2.safetensors")
    assert lacks(tmp_path) == ""
    (place / "m-2.safetensors").resolve().unlink()
    assert lacks(tmp_path) == "m-2.safetensors leads nowhere"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight_map": 1}'])
def test_an_index_that_is_none(tmp_path: Path, text: str) -> None:
    index = {"model.safetensors.index.json": text}
    snapshot(tmp_path, "config.json", "m-1.safetensors", **index)
    assert lacks(tmp_path) == "model.safetensors.index.json cannot be read"


def test_one_of_two_formats_is_enough(tmp_path: Path) -> None:
    other = {"weight_map": {"x": "pytorch_model-1.bin"}}
    indexes = {
        "model.safetensors.index.json": json.dumps(SHARDS),
        "pytorch_model.bin.index.json": json.dumps(other),
    }
    snapshot(tmp_path, "config.json", "m-1.safetensors", "m-2.safetensors", **indexes)
    assert lacks(tmp_path) == ""


def test_revisions(tmp_path: Path) -> None:
    snapshot(tmp_path, "config.json", "model.safetensors")
    assert lacks(tmp_path, revision=COMMIT) == ""
    for revision in ("v1", "..", "../snapshots/" + COMMIT, "/etc", "", "a/../b"):
        assert lacks(tmp_path, revision=revision) == "it is not in the cache"
    ref = tmp_path / "models--a--b" / "refs" / "main"
    for text in ("../../other", "..", "", "a/b"):
        ref.write_text(text, encoding="utf-8")
        assert _hub_cache.commit_of(str(tmp_path), "a/b", "main") is None


def test_a_bundle_may_have_the_repositories_below_hub(tmp_path: Path) -> None:
    assert _hub_cache.hub_of(str(tmp_path)) == str(tmp_path)
    (tmp_path / "hub").mkdir()
    assert _hub_cache.hub_of(str(tmp_path)) == str(tmp_path / "hub")


def test_what_is_fetched_of_a_repository() -> None:
    names = ["config.json", "x.gguf", "model.onnx", "original/a.pth", "a.bin", "tokenizer.json"]
    assert _hub_cache.wanted(names, item()) == ["config.json", "a.bin", "tokenizer.json"]
    assert _hub_cache.wanted([*names, "m.safetensors"], item()) == [
        "config.json",
        "tokenizer.json",
        "m.safetensors",
    ]
    assert _hub_cache.wanted(names, item("config")) == ["config.json", "tokenizer.json"]


def test_which_gguf_file() -> None:
    names = ["a-Q4_K_M.gguf", "a-Q4_K_S.gguf", "sub/a-Q8_0.gguf", "mmproj-a-Q8_0.gguf", "README"]
    assert _hub_cache.choose(names, ["*q4_k_m[.-]*"]) == ["a-Q4_K_M.gguf"]
    assert _hub_cache.choose(names, ["*Q8_0[.-]*"]) == ["sub/a-Q8_0.gguf"]
    assert _hub_cache.choose(names, ["*mmproj*.gguf"]) == ["mmproj-a-Q8_0.gguf"]
    assert _hub_cache.choose(names, ["sub/a-Q8_0.gguf"]) == ["sub/a-Q8_0.gguf"]
    assert _hub_cache.choose(names, ["*IQ2[.-]*", "*.gguf"]) == ["a-Q4_K_M.gguf"]
    assert _hub_cache.choose(["x-00001-of-00002.gguf"], ["*.gguf"]) == []


def test_pruning_removes_what_nobody_names(tmp_path: Path) -> None:
    snapshot(tmp_path, "config.json")
    snapshot(tmp_path, "config.json", commit="d" * 40)
    snapshot(tmp_path, "config.json", repo="old/er")
    gone = ["models--a--b/snapshots/" + "d" * 40, "models--old--er"]
    keep = [("a/b", COMMIT)]
    assert _hub_cache.prune(str(tmp_path), keep, True) == (gone, _size(tmp_path, keep))
    assert (tmp_path / "models--old--er").is_dir()
    assert _hub_cache.prune(str(tmp_path), keep, False)[0] == gone
    assert [path.name for path in tmp_path.iterdir()] == ["models--a--b"]
    assert lacks(tmp_path, revision=COMMIT) == "a file with weights"
    assert len(list((tmp_path / "models--a--b" / "blobs").iterdir())) == 1
    assert _hub_cache.prune(str(tmp_path), keep, False) == ([], 0)
    assert _hub_cache.prune(str(tmp_path / "none"), [], False) == ([], 0)


def _size(tmp_path: Path, keep: list[tuple[str, str]]) -> int:
    return int(_hub_cache.prune(str(tmp_path), keep, True)[1])


def test_pruning_leaves_a_repository_whose_commit_is_not_known(tmp_path: Path) -> None:
    snapshot(tmp_path, "config.json")
    assert _hub_cache.prune(str(tmp_path), [("a/b", None)], False) == ([], 0)


def test_a_pipe_in_the_cache_holds_nobody_up(tmp_path: Path) -> None:
    place = tmp_path / "models--a--b"
    (place / "refs").mkdir(parents=True)
    os.mkfifo(place / "refs" / "main")
    (place / "refs" / "bytes").write_bytes(b"\xff" * 40)
    for revision in ("main", "bytes"):
        assert _hub_cache.commit_of(str(tmp_path), "a/b", revision) is None
