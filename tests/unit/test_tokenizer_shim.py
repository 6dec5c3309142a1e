# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shadows of snapshots whose tokenizer an engine does not know: made, kept, made anew and removed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.module_utils import _tokenizer_shim, _weights

CLASSES = {"TokenizersBackend": "PreTrainedTokenizerFast"}
COMMIT = "c" * 40


class Cache:
    """A cache with one snapshot, below ``root``."""

    def __init__(self, tmp_path: Path, tokenizer: Any, bundle: bool = False) -> None:
        self.path = tmp_path / "cache"
        self.bundle = tmp_path / "bundle"
        hub = self.bundle if bundle else self.path / "hub"
        self.place = hub / "models--a--b" / "snapshots" / COMMIT
        self.write("config.json", "{}")
        self.write("model.safetensors", "weights")
        self.write("sub/extra.json", "{}")
        self.write("tokenizer_config.json", json.dumps(tokenizer))
        ref = self.place.parents[1] / "refs" / "main"
        ref.parent.mkdir()
        ref.write_text(COMMIT)
        self.path.mkdir(exist_ok=True)
        self.item = {
            "key": "k",
            "repo": "a/b",
            "revision": "main",
            "kind": "model",
            "choose": [],
            "optional": False,
            "tokenizers": CLASSES,
        }

    def write(self, name: str, text: str) -> None:
        (self.place / name).parent.mkdir(parents=True, exist_ok=True)
        (self.place / name).write_text(text, encoding="utf-8")

    def weights(self, *items: dict[str, Any]) -> _weights.Weights:
        return _weights.Weights(
            None, "o", "no-such-account", "g", str(self.path), [str(self.bundle)], list(items)
        )

    def converge(self, *items: dict[str, Any]) -> tuple[bool, str | None]:
        """Whether anything had to be done, and the first item's shadow."""
        weights = self.weights(*items)
        plan = weights.shadows(weights.look())
        wanted = [one for one in plan["made"].values() if one["differs"]]
        weights.shadow(wanted, plan["stale"])
        shadow = plan["made"][items[0]["key"]]["shadow"] if plan["made"] else None
        return bool(wanted or plan["stale"]), shadow


@pytest.mark.parametrize("bundle", [False, True])
def test_a_class_that_is_not_known_gets_a_shadow(tmp_path: Path, bundle: bool) -> None:
    given = {"tokenizer_class": "TokenizersBackend", "model_max_length": 4096}
    cache = Cache(tmp_path, given, bundle)
    done, shadow = cache.converge(cache.item)
    assert done and shadow == str(cache.path / "onehop" / "tokenizers" / f"models--a--b--{COMMIT}")
    made = Path(shadow)
    text = json.loads((made / "tokenizer_config.json").read_text())
    assert text == given | {"tokenizer_class": "PreTrainedTokenizerFast"}
    assert (made / "sub" / "extra.json").read_text() == "{}"
    assert (made / "model.safetensors").is_symlink()
    # In the cache the links hold wherever it is seen; a bundle is seen where it is.
    moved = tmp_path / "container"
    shutil.move(cache.path, moved)
    seen = moved / made.relative_to(cache.path) / "model.safetensors"
    assert seen.read_text() == "weights"
    shutil.move(moved, cache.path)
    assert cache.converge(cache.item) == (False, shadow)
    assert json.loads((cache.place / "tokenizer_config.json").read_text()) == given


@pytest.mark.parametrize(
    "given", [{"tokenizer_class": "LlamaTokenizer"}, {}, [], "x", {"tokenizer_class": []}]
)
def test_others_get_none(tmp_path: Path, given: Any) -> None:
    cache = Cache(tmp_path, given)
    assert cache.converge(cache.item) == (False, None)


def test_a_tokenizer_alone(tmp_path: Path) -> None:
    cache = Cache(tmp_path, {"tokenizer_class": "TokenizersBackend"})
    for path in cache.place.rglob("*"):
        if path.is_file() and path.name != "tokenizer_config.json":
            path.unlink()
    done, shadow = cache.converge(cache.item | {"kind": "config"})
    assert done and os.listdir(str(shadow)) == ["tokenizer_config.json"]
    assert cache.converge(cache.item | {"kind": "config"})[0] is False


def test_an_engine_that_knows_the_class_gets_none(tmp_path: Path) -> None:
    cache = Cache(tmp_path, {"tokenizer_class": "TokenizersBackend"})
    assert cache.converge(cache.item | {"tokenizers": {}}) == (False, None)


def test_it_is_made_anew_when_the_snapshot_changes(tmp_path: Path) -> None:
    cache = Cache(tmp_path, {"tokenizer_class": "TokenizersBackend"})
    dummy, shadow = cache.converge(cache.item)
    made = Path(str(shadow))
    changes = (
        lambda: cache.write("new.json", "{}"),
        (cache.place / "new.json").unlink,
        lambda: cache.write(
            "tokenizer_config.json", '{"tokenizer_class": "TokenizersBackend", "x": 1}'
        ),
        (made / "config.json").unlink,
        lambda: (made / "tokenizer_config.json").write_text("{}"),
        lambda: shutil.rmtree(made),
    )
    for change in changes:
        change()
        assert cache.converge(cache.item) == (True, shadow)
        assert cache.converge(cache.item) == (False, shadow)


def test_it_goes_when_the_model_goes(tmp_path: Path) -> None:
    cache = Cache(tmp_path, {"tokenizer_class": "TokenizersBackend"})
    cache.converge(cache.item)
    other = cache.item | {"key": "other", "kind": "config", "tokenizers": {}}
    assert cache.converge(other) == (True, None)
    assert not (cache.path / "onehop").exists()
    assert cache.place.is_dir()


def test_a_model_and_its_tokenizer_share_it(tmp_path: Path) -> None:
    cache = Cache(tmp_path, {"tokenizer_class": "TokenizersBackend"})
    same = cache.item | {"key": "t", "kind": "config"}
    assert cache.converge(cache.item, same)[0]
    assert cache.converge(cache.item, same)[0] is False
    assert _tokenizer_shim.stale(str(cache.path), []) != []
