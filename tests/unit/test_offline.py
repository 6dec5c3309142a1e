# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workers that have all their weights on the host: what they are started with, and what is said."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.plugin_utils import _install, _offline

from . import container_hosts as hosts

COMMIT = "c" * 40
FACTS = {
    "podman": "5.4.2",
    "devices": [],
    "selinux": False,
    "python": "/usr/bin/python3",
    "systemd": 257,
    "gpu": False,
    "groups": [],
}
PROGRAMS = _install.Programs(wait_ready="", operator="", with_secrets="")


def found(root: str, repo: str, kind: str = "cache", **more: Any) -> dict[str, Any]:
    path = f"{root}/models--{repo.replace('/', '--')}/snapshots/{COMMIT}"
    return {"from": kind, "path": path, "commit": COMMIT, "file": None, "lacks": ""} | more


def unit(variables: dict[str, Any], weights: dict[str, Any], role: str = "vllm") -> str:
    made = hosts.plan(variables)
    assert made.problems == []
    facts = FACTS | {"weights": weights}
    (one,) = _install.workers(made.data(), "gpu1", role, facts, {}, PROGRAMS)["units"]
    return str(one["content"])


def line(text: str, key: str) -> str:
    return next(item for item in text.splitlines() if item.startswith(f"{key}="))


CACHE = "/root/.cache/huggingface"
SNAPSHOT = f"{CACHE}/hub/models--a--b/snapshots/{COMMIT}"


def test_a_model_in_the_cache_is_started_without_the_hub() -> None:
    variables = hosts.vllm({"settings": {"revision": "v2", "max-model-len": 256}})
    text = unit(variables, {"a/b@v2:model": found("/var/cache/vllm/hub", "a/b")})
    command = line(text, "Exec")
    assert f'"{SNAPSHOT}"' in command and "--served-model-name=m" in command
    assert "revision" not in command and "--max-model-len=256" in command
    assert '"HF_HUB_OFFLINE=1"' in text and '"TRANSFORMERS_OFFLINE=1"' in text


def test_sglang_too() -> None:
    text = unit(hosts.sglang(), {"a/b@main:model": found("/var/cache/sglang/hub", "a/b")}, "sglang")
    assert f"--model-path={SNAPSHOT}" in line(text, "Exec")


def test_a_model_in_a_bundle_is_shown_to_the_container() -> None:
    variables = hosts.vllm(vllm_weights_bundles=["/srv/models"])
    one = found("/srv/models/hub", "a/b", "bundle")
    text = unit(variables, {"a/b@main:model": one})
    assert "Volume=/srv/models/hub/models--a--b:/srv/models/hub/models--a--b:ro" in text
    assert one["path"] in line(text, "Exec")


def test_one_thing_that_is_missing_leaves_all_to_the_engine() -> None:
    variables = hosts.vllm({"settings": {"tokenizer": "a/t"}, "weights": "found"})
    there = {"a/b@main:model": found("/var/cache/vllm/hub", "a/b")}
    missing = {"a/t@main:config": {"from": None, "path": None, "commit": None, "file": None}}
    for weights in ({}, there, there | missing):
        text = unit(variables, weights)
        assert '"a/b"' in line(text, "Exec") and "OFFLINE" not in text
    whole = there | {"a/t@main:config": found("/var/cache/vllm/hub", "a/t")}
    assert f"--tokenizer={CACHE}/hub/models--a--t" in unit(variables, whole)


def test_what_the_operator_says_of_the_hub_wins() -> None:
    variables = hosts.vllm({"environment": {"HF_HUB_OFFLINE": "0"}})
    text = unit(variables, {"a/b@main:model": found("/var/cache/vllm/hub", "a/b")})
    assert '"HF_HUB_OFFLINE=0"' in text


def test_a_shadow_is_taken_for_the_snapshot() -> None:
    shadow = f"/var/cache/vllm/onehop/tokenizers/models--a--b--{COMMIT}"
    text = unit(hosts.vllm(), {"a/b@main:model": found("", "a/b", path=shadow)})
    assert f"{CACHE}/onehop/tokenizers/models--a--b--{COMMIT}" in line(text, "Exec")


def test_a_shadow_of_a_bundle_leads_to_the_bundle() -> None:
    variables = hosts.vllm(vllm_weights_bundles=["/srv/models"])
    one = found("/srv/models/hub", "a/b", "bundle")
    shadow = f"/var/cache/vllm/onehop/tokenizers/models--a--b--{COMMIT}"
    one.update(path=shadow, snapshot=one["path"])
    text = unit(variables, {"a/b@main:model": one})
    assert "Volume=/srv/models/hub/models--a--b:/srv/models/hub/models--a--b:ro" in text
    assert f"{CACHE}/onehop/tokenizers/models--a--b--{COMMIT}" in line(text, "Exec")
    assert "models--a--b--" not in "".join(
        item for item in text.splitlines() if item.startswith("Volume=")
    )


def test_what_fetching_said_has_no_control_characters() -> None:
    said = _offline.failure({"said": ["a/b: the hub names a file \x1b]0;x\x07\x9b2J\u202ex"]})
    assert said.endswith("a/b: the hub names a file ]0;x2Jx")


def test_a_dry_run_does_not_know_every_commit() -> None:
    text = unit(hosts.vllm(), {"a/b@main:model": found("", "a/b", "hub", path=None, commit=None)})
    assert f"{CACHE}/hub/models--a--b/snapshots/(known once it is fetched)" in line(text, "Exec")
    text = unit(hosts.vllm(), {"a/b@main:model": found("", "a/b", "hub", path=None)})
    assert SNAPSHOT in line(text, "Exec")


def test_llama_cpp_gets_a_file() -> None:
    settings = {"hf-repo": "a/g:Q8_0", "ctx-size": 512}
    variables = {"llama_cpp_models": {"m": {"settings": settings, "gpu": "never"}}}
    root = "/var/cache/onehop-models/hub"
    weights = {
        "a/g@main:gguf#*Q8_0[.-]*": found(root, "a/g", file="x-Q8_0.gguf"),
        "a/g@main:gguf#*mmproj*.gguf": found(root, "a/g"),
    }
    command = line(unit(variables, weights, "llama_cpp"), "ExecStart")
    place = f"{root}/models--a--g/snapshots/{COMMIT}"
    assert f'"--model" "{place}/x-Q8_0.gguf"' in command
    assert "hf-repo" not in command and "mmproj" not in command
    weights["a/g@main:gguf#*mmproj*.gguf"]["file"] = "mmproj-x.gguf"
    command = line(unit(variables, weights, "llama_cpp"), "ExecStart")
    assert f'"--mmproj" "{place}/mmproj-x.gguf"' in command


@pytest.mark.parametrize(
    ("role", "tag", "helped"),
    [
        ("vllm", "v0.19.0", True),
        ("vllm", "v0.19.1", False),
        ("vllm", "v0.33.0-cu129", False),
        ("sglang", "v0.5.9-cu129", True),
        ("sglang", "v0.5.10", False),
        ("sglang", "latest", True),
    ],
)
def test_which_engines_need_help_with_tokenizers(role: str, tag: str, helped: bool) -> None:
    variables = getattr(hosts, role)() | {f"{role}_tag": tag}
    (item,) = hosts.worker(variables, role)["weights"]
    wanted = {"TokenizersBackend": "PreTrainedTokenizerFast"} if helped else {}
    assert item["tokenizers"] == wanted


def test_what_a_dry_run_says() -> None:
    weights = {
        "a": found("/x", "a/b"),
        "b": found("/x", "a/b", "bundle"),
        "c": found("/x", "a/b", "hub", bytes=14_200_000_000),
        "d": found("/x", "a/b", "hub", commit=None, error="the hub answers 500"),
        "e": found("/x", "a/b", "source", commit=None),
        "f": found("/x", "a/b", "", commit=None, lacks="config.json"),
    }
    assert list(_offline.lines(weights)) == [
        "a: from the cache, snapshot cccccccccccc",
        "b: from a bundle, snapshot cccccccccccc",
        "c: to be fetched, 14.2 GB, snapshot cccccccccccc",
        "d: to be fetched (the hub answers 500)",
        "e: to be taken from its source",
        "f: left to the engine: config.json",
    ]
    none = {"a/g@main:gguf#*mmproj*.gguf": found("/x", "a/g")}
    (said,) = _offline.lines(none)
    assert said == "a/g@main:gguf#*mmproj*.gguf: the repository has none, snapshot cccccccccccc"


def test_what_is_said_while_it_goes_on() -> None:
    report = {"done": 6_100_000_000, "total": 14_200_000_000, "repo": "a/b"}
    assert _offline.progress(report, 7) == "downloading 6.1 of 14.2 GB after 7 s; a/b"
    assert "asking the hub" in _offline.progress({"done": 0, "total": 0, "repo": ""}, 7)
    assert "is gated" in _offline.failure({"said": ["a/b: is gated."]})
    assert _offline.failure({"msg": "no host"}) == "no host"
    assert "lacks a configuration" in _offline.incomplete(["a/b@main:model"])


def test_what_the_host_has_to_have() -> None:
    more = {
        "vllm_weights_bundles": ["/srv/models"],
        "vllm_weights_sources": {"a/b": "/srv/a.tar"},
        "vllm_hub_token": "/root/token",
    }
    made = hosts.plan(hosts.vllm(**more))
    needs = _install.needs(made.data(), "gpu1", ["vllm"])["files"]
    told = {need["path"]: (need["variable"], need.get("reader")) for need in needs}
    assert told["/srv/models"] == ("vllm_weights_bundles", "vllm")
    assert told["/srv/a.tar"] == ("vllm_weights_sources.a/b", "vllm")
    assert told["/root/token"] == ("vllm_hub_token.source", None)
    none = hosts.plan(hosts.vllm(**more, vllm_weights="engine"))
    assert not _install.needs(none.data(), "gpu1", ["vllm"])["files"]
