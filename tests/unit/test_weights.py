# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a worker's settings name on the hub, in every form in which engines take it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.onehop.llm.plugins.plugin_utils import _plan, _weights
from ansible_collections.onehop.llm.plugins.plugin_utils._catalogue import ENGINES

from . import container_hosts as hosts


def named(variables: dict[str, Any], role: str = "vllm") -> list[str]:
    return [item["key"] for item in hosts.worker(variables, role)["weights"]]


def llama(settings: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"llama_cpp_models": {"m": {"settings": settings}}} | more


def complaint(variables: dict[str, Any]) -> str:
    (problem,) = hosts.plan(variables).problems
    return str(problem)


def test_a_model_and_its_revision() -> None:
    assert named(hosts.vllm()) == ["a/b@main:model"]
    assert named(hosts.vllm({"settings": {"revision": "v2"}})) == ["a/b@v2:model"]
    assert named(hosts.sglang({"settings": {"revision": "v2"}}), "sglang") == ["a/b@v2:model"]
    assert named(hosts.vllm({"model": "gpt2"})) == ["gpt2@main:model"]
    (item,) = hosts.worker(hosts.vllm())["weights"]
    assert item["variable"] == "vllm_models.m.model" and item["stage"]


@pytest.mark.parametrize(
    "model", ["/srv/models/x", "s3://bucket/x", "a/b/c", "a--b/c", "./x", "a/b:Q8"]
)
def test_what_is_no_repository(model: str) -> None:
    assert named(hosts.vllm({"model": model})) == []


@pytest.mark.parametrize(
    ("settings", "keys"),
    [
        ({"tokenizer": "a/t"}, ["a/t@main:config"]),
        ({"tokenizer": "a/t", "tokenizer_revision": "v1"}, ["a/t@v1:config"]),
        ({"tokenizer": "/srv/t"}, []),
        ({"hf-config-path": "a/c"}, ["a/c@main:config"]),
        ({"speculative-config": {"model": "a/d", "revision": "v3"}}, ["a/d@v3:model"]),
        ({"speculative-config": '{"model": "a/d"}'}, ["a/d@main:model"]),
        ({"speculative-config": {"method": "ngram"}}, []),
        ({"lora-modules": ["x=a/l", "y=/srv/l"]}, ["a/l@main:adapter"]),
        ({"lora-modules": "x=a/l"}, ["a/l@main:adapter"]),
        ({"lora-modules": ['{"name": "x", "path": "a/l"}']}, ["a/l@main:adapter"]),
        ({"lora-modules": [{"name": "x", "path": "a/l"}]}, ["a/l@main:adapter"]),
        ({"lora-modules": ["{no json", 7]}, []),
    ],
)
def test_what_vllm_names(settings: dict[str, Any], keys: list[str]) -> None:
    assert named(hosts.vllm({"settings": settings})) == ["a/b@main:model", *keys]


@pytest.mark.parametrize(
    ("settings", "keys"),
    [
        ({"tokenizer-path": "a/t"}, ["a/t@main:config"]),
        (
            {"speculative-draft-model-path": "a/d", "speculative-draft-model-revision": "v1"},
            ["a/d@v1:model"],
        ),
        ({"lora-paths": ["a/l", "x=a/k"]}, ["a/l@main:adapter", "a/k@main:adapter"]),
        ({"lora-paths": [{"lora_name": "x", "lora_path": "a/l"}]}, ["a/l@main:adapter"]),
    ],
)
def test_what_sglang_names(settings: dict[str, Any], keys: list[str]) -> None:
    assert named(hosts.sglang({"settings": settings}), "sglang") == ["a/b@main:model", *keys]


def test_what_llama_cpp_names() -> None:
    projector = "a/g@main:gguf#*mmproj*.gguf"
    assert named(llama({"hf-repo": "a/g"}), "llama_cpp") == [
        "a/g@main:gguf#*Q4_K_M[.-]*",
        projector,
    ]
    assert named(llama({"hf_repo": "a/g:Q8_0", "no-mmproj": True}), "llama_cpp") == [
        "a/g@main:gguf#*Q8_0[.-]*"
    ]
    file = {"hf-repo": "a/g", "hf-file": "x/y.gguf", "mmproj": "/srv/m.gguf"}
    assert named(llama(file), "llama_cpp") == ["a/g@main:gguf#x/y.gguf"]
    draft = {"model": "/srv/m.gguf", "hf-repo-draft": "a/d:Q4_0"}
    assert named(llama(draft), "llama_cpp") == ["a/d@main:gguf#*Q4_0[.-]*"]
    assert named(llama({"model": "/srv/m.gguf"}), "llama_cpp") == []


def test_paths_take_the_names_places() -> None:
    """And revisions go with the names, for a path has none."""
    spec = hosts.worker(
        hosts.vllm(
            {
                "settings": {
                    "revision": "v2",
                    "tokenizer": "a/t",
                    "tokenizer_revision": "v1",
                    "lora-modules": ["x=a/l", '{"name": "y", "path": "a/k"}'],
                    "speculative-config": '{"model": "a/d", "revision": "v3", "num": 2}',
                }
            }
        )
    )
    changed = _weights.replaced(ENGINES["vllm"], spec, lambda repo: f"/hub/{repo.name}")
    assert changed["model"] == "/hub/a/b"
    assert changed["settings"] == {
        "tokenizer": "/hub/a/t",
        "lora-modules": ["x=/hub/a/l", {"name": "y", "path": "/hub/a/k"}],
        "speculative-config": {"model": "/hub/a/d", "num": 2},
    }
    assert spec["settings"]["revision"] == "v2"
    kept = _weights.replaced(ENGINES["vllm"], spec, lambda dummy: None)
    assert kept == spec


def test_a_file_takes_the_place_of_a_gguf_repository() -> None:
    spec = hosts.worker(llama({"hf-repo": "a/g:Q8_0", "hf-repo-draft": "a/d"}), "llama_cpp")
    paths = {"*Q8_0[.-]*": "/m/g.gguf", "*Q4_K_M[.-]*": "/m/d.gguf"}
    changed = _weights.replaced(ENGINES["llama_cpp"], spec, lambda repo: paths.get(repo.choose[0]))
    assert changed["settings"] == {"model": "/m/g.gguf", "model-draft": "/m/d.gguf"}
    seeing = _weights.replaced(ENGINES["llama_cpp"], spec, lambda repo: f"/m/{repo.choose[0]}")
    assert seeing["settings"]["mmproj"] == "/m/*mmproj*.gguf"


def test_the_way_of_a_role_and_of_a_model() -> None:
    assert named(hosts.vllm(vllm_weights="engine")) == []
    (found,) = hosts.worker(hosts.vllm({"weights": "found"}))["weights"]
    assert not found["stage"]
    models = {"a": {"model": "a/b"}, "b": {"model": "a/b", "weights": "found"}}
    made = hosts.plan(hosts.vllm(vllm_models=models)).hosts["gpu1"]["engines"]["vllm"]
    assert [item["stage"] for item in _weights.union(made["workers"])] == [True]


def test_workers_of_several_versions_share_what_the_oldest_knows() -> None:
    models = {"a": {"model": "a/b"}, "b": {"model": "a/b", "tag": "v0.19.0"}}
    made = hosts.plan(hosts.vllm(vllm_models=models, vllm_tag="v0.33.0")).hosts["gpu1"]
    (item,) = _weights.union(made["engines"]["vllm"]["workers"])
    assert item["tokenizers"] == {"TokenizersBackend": "PreTrainedTokenizerFast"}


def test_what_fights_the_cache_is_refused() -> None:
    for settings in ({"download-dir": "/x"}, {"download_dir": "/x"}):
        assert "for the next start too" in complaint(hosts.vllm({"settings": settings}))
    keep = hosts.sglang({"settings": {"delete-ckpt-after-loading": True}})
    assert "delete-ckpt-after-loading: is set by the role. Remove it" in complaint(keep)
    assert "HF_HOME: is set by the role" in complaint(
        hosts.vllm({"environment": {"HF_HOME": "/x"}})
    )
    said = complaint({"llama_cpp_environment": {"LLAMA_CACHE": "/x"}})
    assert "llama_cpp_weights_dir" in said


def test_a_token_is_no_part_of_the_plan() -> None:
    made = hosts.plan(hosts.vllm(vllm_hub_token={"content": "hf_secret"}))
    assert made.problems == [] and "hf_secret" not in str(made.data())
    weights = made.hosts["gpu1"]["engines"]["vllm"]["weights"]
    assert weights["token_content"] and weights["token_source"] is None
    both = hosts.vllm(vllm_hub_token={"content": "hf_secret", "source": "/x"})
    assert "vllm_hub_token: has both source and content" in complaint(both)
    assert "hf_secret" not in complaint(both)


def test_where_weights_come_from() -> None:
    sources = {"a/b": "/srv/a.tar", "a/b@v1": "/srv/b"}
    more = {"vllm_weights_sources": sources, "vllm_weights_bundles": ["/srv/models/"]}
    made = hosts.plan(hosts.vllm(**more)).hosts["gpu1"]["engines"]["vllm"]["weights"]
    assert made["sources"] == sources and made["bundles"] == ["/srv/models"]
    assert "is not a repository" in complaint(hosts.vllm(vllm_weights_sources={"a b": "/srv/x"}))
    assert "Podman cannot mount" in complaint(hosts.vllm(vllm_weights_bundles=["/srv/a:b"]))


@pytest.mark.parametrize("revision", ["../../x", "/etc", "", "a\nb"])
def test_a_revision_that_can_be_none(revision: str) -> None:
    keys = named(hosts.vllm({"settings": {"revision": revision}}))
    assert keys == ([] if revision else ["a/b@main:model"])


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["a/b", "x=a/l", "{"]),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["path", "model"]), inner)
    ),
    max_leaves=5,
)


@given(data=st.data(), role=st.sampled_from(sorted(ENGINES)))
def test_whatever_settings_hold_they_can_be_looked_through(data: st.DataObject, role: str) -> None:
    engine = ENGINES[role]
    flags = [naming.flag for naming in engine.naming if naming.flag] + ["revision", "hf-file"]
    settings = data.draw(st.dictionaries(st.sampled_from(flags), _VALUES))
    spec = {"model": data.draw(st.text()), "settings": settings, "variable": "v", "image": "x:v1"}
    keys = [item["key"] for item in _weights.named(engine, spec, "stage")]
    assert len(keys) == len(set(keys))
    assert _weights.replaced(engine, spec, lambda dummy: None) == spec
    # Of what has become paths nothing is named any more.
    paths = _weights.replaced(engine, spec, lambda repo: f"/hub/{repo.name}")
    assert _weights.named(engine, paths, "stage") == []


def test_known_variables() -> None:
    assert "vllm_weights_bundles" in _plan.known_variables()
