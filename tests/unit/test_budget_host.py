# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What does not add up on a host whose cards, memory, disks and models are known, and the table of it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.plugin_utils import _budget, _memory_table

from .container_hosts import plan
from .model_facts import KNOWN
from .test_budget_shares import CARDS, UNCHECKED, free, sglang, share, vllm

GIB = 1024**3
LLAMA = KNOWN["meta-llama/Meta-Llama-3-8B"]


def facts(cards: int = 1, size: int = 48, **more: Any) -> dict[str, Any]:
    """A host with cards of so many GiB, which has the model a/b: Llama 3 8B."""
    gpus = [
        {"index": number, "uuid": f"GPU-{number}", "name": "NVIDIA L40S", "memory": size * GIB}
        for number in range(cards)
    ]
    models = {"a/b": {"config": LLAMA.config, "bytes": LLAMA.bytes}}
    return {"gpus": gpus, "memory": 512 * GIB, "free": {}, "configs": models} | more


def said(
    variables: dict[str, Any], known: dict[str, Any], roles: list[str] | None = None
) -> tuple[list[str], list[str]]:
    made = plan(UNCHECKED | variables)
    assert [str(problem) for problem in made.problems] == []
    return _budget.complaints(made.data(), "gpu1", roles, known)


def rows(variables: dict[str, Any], known: dict[str, Any] | None) -> list[dict[str, Any]]:
    return _budget.table(plan(UNCHECKED | variables).data(), "gpu1", known)


@pytest.mark.parametrize(
    ("variables", "known"),
    [
        (vllm({}), facts()),
        (vllm({}), facts(size=16, configs={})),
        (vllm({}), {}),
        (vllm({}), facts(gpus=[])),
        (vllm({}), facts(memory=16 * GIB)),
        (vllm(share(0.45), share(0.45)), facts()),
        (vllm({"tp": 2}), facts(2, 16)),
        (sglang({}), facts(1, 24)),
        (vllm({"devices": ["nvidia.com/gpu=GPU-1"]}), facts(2)),
        # As nvidia-smi tells of a DGX Spark.
        (vllm({}), facts(gpus=[{"index": 0, "uuid": "GPU-0", "name": "GB10", "memory": None}])),
    ],
)
def test_what_fits(variables: dict[str, Any], known: dict[str, Any]) -> None:
    assert said(variables, known) == ([], [])


@pytest.mark.parametrize(
    ("variables", "known", "sentence"),
    [
        (
            vllm({"tp": 2}),
            facts(1),
            "vllm_models.a: asks for 2 devices, and this host has 1 device. Write smaller parallel "
            "sizes, or other devices.",
        ),
        (
            vllm({"devices": CARDS[3:4]}),
            facts(2),
            "vllm_models.a: asks for 1 device, of which GPU 3 is not there, and this host has 2 "
            "devices. Write smaller parallel sizes, or other devices.",
        ),
        (
            sglang({"base_gpu_id": 4}),
            facts(4),
            "asks for 1 device, of which 1 is behind those that it sees, and this host has 4 devices",
        ),
        (
            vllm({}),
            facts(1, 16),
            "vllm_models.a: its weights need 15.0 GiB there, and it gets 14.7 GiB of the 16.0 GiB of "
            "GPU 0. Spread it over more devices, give it a larger share, or serve a smaller or "
            "quantised model.",
        ),
        (
            vllm(share(0.6), share(0.3)),
            facts(),
            "vllm_models.b: its weights need 15.0 GiB there, and it gets 14.4 GiB of the 48.0 GiB",
        ),
        (
            sglang(free(0.6), free(0.9)),
            facts(1, 40),
            "sglang_models.b: its weights need 15.0 GiB there, and it gets 14.4 GiB of the 40.0 GiB",
        ),
        (
            vllm({}, {"cpu_offload_gb": 300, "tp": 2, "devices": CARDS[1:3]}),
            facts(3),
            "vllm_models.b: the models of this host set 600.0 GiB of its memory aside for what is not on "
            "a device, and it has 512.0 GiB. Write smaller sizes for offloading and for caches in "
            "memory.",
        ),
        (
            vllm({"devices": [], "environment": {"VLLM_CPU_KVCACHE_SPACE": "600"}}),
            facts(gpus=[]),
            "set 600.0 GiB of its memory aside",
        ),
    ],
)
def test_what_cannot_work(variables: dict[str, Any], known: dict[str, Any], sentence: str) -> None:
    errors, warnings = said(variables, known)
    assert (len(errors), warnings) == (1, [])
    assert sentence in errors[0]
    checks = dict.fromkeys(("devices", "memory", "shared_memory"), "warn")
    assert said(variables | {"gpu_host_checks": checks}, known) == ([], errors)
    checks = dict.fromkeys(checks, "off")
    assert said(variables | {"gpu_host_checks": checks}, known) == ([], [])


@pytest.mark.parametrize(
    ("variables", "known", "sentence"),
    [
        (
            vllm({"max_model_len": "80k"}),
            facts(1, 24),
            "vllm_models.a: needs about 26.0 GiB there, 15.0 GiB for weights and 9.8 GiB for one "
            "sequence of its whole length, and it gets 22.1 GiB of the 24.0 GiB of GPU 0. Write a "
            "smaller max-model-len, or a larger share.",
        ),
        (sglang({"context_length": 80000}), facts(1, 24), "Write a smaller context-length"),
        (
            vllm(share(0.4, shm_size="30g"), share(0.4, devices=CARDS[1:2], shm_size="30g")),
            facts(2, memory=48 * GIB),
            "vllm_models.a.shm_size: the models of this host may use 60.0 GiB of shared memory "
            "together, and it has 48.0 GiB. Write smaller sizes; a model on one device needs little.",
        ),
        (
            vllm({"cpu_offload_gb": 20, "shm_size": "30g"}),
            facts(memory=48 * GIB),
            "may use 30.0 GiB of shared memory together beside 20.0 GiB that they set aside, and",
        ),
        (
            vllm({}),
            facts(free={"/var/lib/vllm": 12 * GIB, "/var/lib/sglang": 0}),
            "vllm_data_dir = '/var/lib/vllm': has 12.0 GiB free, and an image of an engine may want up "
            "to 40.0 GiB. Make room, write another directory, or a smaller gpu_host_image_space.",
        ),
    ],
)
def test_what_may_not_work(variables: dict[str, Any], known: dict[str, Any], sentence: str) -> None:
    errors, warnings = said(variables, known)
    assert (errors, len(warnings)) == ([], 1)
    assert sentence in warnings[0]


def test_only_the_roles_that_are_looked_at() -> None:
    variables = vllm({"tp": 2})
    assert said(variables, facts(), ["llama_cpp"]) == ([], [])
    assert len(said(variables, facts(), ["vllm"])[0]) == 1


def test_room_for_images_is_what_is_said() -> None:
    known = facts(free={"/var/lib/vllm": 12 * GIB})
    assert said(vllm({}, gpu_host_image_space="10g"), known) == ([], [])
    assert said(vllm({}, gpu_host_checks={"disk": "off"}), known) == ([], [])


def test_rows() -> None:
    variables = vllm(share(0.6, max_model_len=4096))
    (row,) = rows(variables, facts())
    assert row == {
        "device": "0 (NVIDIA L40S)",
        "model": "a",
        "engine": "vllm",
        "share": 0.6,
        "of": "all",
        "weights": LLAMA.bytes,
        "kv_cache": 4096 * LLAMA.kv,
        "total": row["total"],
        "promised": round(0.6 * 48 * GIB),
        "memory": 48 * GIB,
    }
    assert row["total"] > row["weights"] + row["kv_cache"]


def test_rows_of_the_roles_that_are_looked_at() -> None:
    made = plan(vllm(share(0.4)) | sglang(free(0.4))).data()
    assert len(_budget.table(made, "gpu1", facts())) == 2
    (row,) = _budget.table(made, "gpu1", facts(), ["sglang"])
    assert (row["engine"], row["promised"]) == ("sglang", round(0.4 * 0.6 * 48 * GIB))


def test_rows_without_facts() -> None:
    (row,) = rows(vllm({"max_model_len": 4096}), None)
    assert {key: row[key] for key in ("device", "share", "weights", "memory")} == {
        "device": "0",
        "share": 0.92,
        "weights": None,
        "memory": None,
    }


def test_a_program_of_the_host_takes_what_it_needs() -> None:
    config = {
        "general.architecture": "llama",
        "llama.embedding_length": 4096,
        "llama.block_count": 32,
        "llama.attention.head_count": 32,
        "llama.attention.head_count_kv": 8,
        "llama.feed_forward_length": 14336,
        "llama.vocab_size": 128256,
        "llama.context_length": 8192,
    }
    known = facts(2, 16, configs={"/srv/x.gguf": {"config": config, "bytes": 8 * GIB}})

    def models(**flags: Any) -> dict[str, Any]:
        flags = {name.replace("_", "-"): value for name, value in flags.items()}
        return {"llama_cpp_models": {"m": {"settings": {"model": "/srv/x.gguf"} | flags}}}

    both = rows(models(n_gpu_layers=99), known)
    assert [row["weights"] for row in both] == [4 * GIB] * 2
    assert {(row["of"], row["share"]) for row in both} == {("needed", None)}
    half = rows(models(n_gpu_layers=16, split_mode="none"), known)
    assert [row["weights"] for row in half] == [4 * GIB]
    assert half[0]["kv_cache"] == 8192 * LLAMA.kv // 2
    assert rows(models(n_gpu_layers=0), known) == []
    assert rows(models(), known) == []
    small = facts(1, 6, configs=known["configs"])
    errors, dummy = said(models(ngl="all"), small)
    assert "llama_cpp_models.m: its weights need 8.0 GiB there, and it gets 6.0 GiB" in errors[0]


def test_the_table_as_text() -> None:
    variables = vllm(share(0.6, max_model_len=4096), {"devices": CARDS[1:2], "max_model_len": "8k"})
    assert _memory_table.text(rows(variables, facts(2))).splitlines() == [
        "DEVICE           MODEL  ENGINE  SHARE   WEIGHTS  KV CACHE     TOTAL        OF",
        "0 (NVIDIA L40S)  a      vllm    0.6    15.0 GiB   512 MiB  16.4 GiB  28.8 GiB",
        "1 (NVIDIA L40S)  b      vllm    0.92   15.0 GiB  1000 MiB  17.2 GiB  44.2 GiB",
    ]
    assert _memory_table.text([]) == ""


def test_the_table_of_engines_on_one_card() -> None:
    variables = vllm(share(0.4)) | {
        "sglang_tag": "v1.0.0",
        "sglang_models": {
            "s": {"model": "c/d", "port": 30001, "settings": {"mem-fraction-static": 0.5}}
        },
    }
    lines = _memory_table.text(rows(variables, facts(configs={}))).splitlines()
    assert lines == [
        "DEVICE           MODEL  ENGINE  SHARE        WEIGHTS  KV CACHE  TOTAL        OF",
        "0 (NVIDIA L40S)  a      vllm    0.4                -         -      -  19.2 GiB",
        "0 (NVIDIA L40S)  s      sglang  0.5 of free        -         -      -  14.4 GiB",
    ]
