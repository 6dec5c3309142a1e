# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cards and shares of their memory, as the plan alone tells them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .container_hosts import both, plan

UNCHECKED = {f"{role}_flag_check": "off" for role in ("llama_cpp", "sglang", "vllm")}
"""What flags there are in which version is told elsewhere."""
CARDS = [f"nvidia.com/gpu={number}" for number in range(8)]


def models(role: str, *every: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Models a, b, c … of an engine, on ports from 8001 on: keys, of which those unknown are settings."""
    own = ("devices", "environment", "extra_args", "shm_size", "tag")
    declared = {}
    for number, keys in enumerate(every):
        flags = {name.replace("_", "-"): value for name, value in keys.items() if name not in own}
        kept = {name: value for name, value in keys.items() if name in own}
        declared["abcdefgh"[number]] = kept | {
            "model": "a/b",
            "port": 8001 + number,
            "settings": flags,
        }
    return {f"{role}_tag": "v0.33.0", f"{role}_models": declared} | more


def vllm(*every: dict[str, Any], **more: Any) -> dict[str, Any]:
    return models("vllm", *every, **more)


def sglang(*every: dict[str, Any], **more: Any) -> dict[str, Any]:
    return models("sglang", *every, **more)


def share(value: float, **more: Any) -> dict[str, Any]:
    return {"gpu_memory_utilization": value, **more}


def free(value: float, **more: Any) -> dict[str, Any]:
    return {"mem_fraction_static": value, **more}


def said(variables: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Errors and warnings, without the host's name."""
    made = plan(UNCHECKED | variables)
    return [problem.sentence for problem in made.problems], [
        warning.removeprefix("gpu1: ") for warning in made.warnings
    ]


TOO_MUCH = (
    "vllm_models.b.settings.gpu-memory-utilization{}: vllm_models.a ({}) and vllm_models.b ({}) are "
    "promised more than the whole memory of {}, and a worker that finds less than its share free ends "
    "at once. Write shares of at most 0.95 together, or give one other devices, or none at all where "
    "the host has none."
)


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        (vllm({}, {}), TOO_MUCH.format("", *["0.92, its default"] * 2, "GPU 0")),
        (
            vllm({}, {"devices": CARDS[:1]}, vllm_tag="v0.17.1"),
            TOO_MUCH.format("", *["0.9, its default"] * 2, "GPU 0"),
        ),
        (
            vllm(share(0.5), share(0.6)),
            TOO_MUCH.format(" = 0.6", "0.5", "0.6", "GPU 0"),
        ),
        (
            vllm(share(0.5), {"extra_args": ["--gpu-memory-utilization", "0.6"]}),
            TOO_MUCH.format(" = '0.6'", "0.5", "0.6", "GPU 0"),
        ),
        (
            vllm({"device_memory_utilization": 0.7}, share(0.6)),
            TOO_MUCH.format(" = 0.6", "0.7", "0.6", "GPU 0"),
        ),
        (
            vllm(share(0.6, tensor_parallel_size=4), share(0.6, devices=CARDS[2:4], extra_args=["-tp=2"])),
            TOO_MUCH.format(" = 0.6", "0.6", "0.6", "GPUs 2 and 3"),
        ),
        (
            vllm(share(0.6), share(0.6, environment={"CUDA_VISIBLE_DEVICES": "0"})),
            TOO_MUCH.format(" = 0.6", "0.6", "0.6", "GPU 0"),
        ),
        (
            vllm(share(0.6, devices=["/dev/nvidia3"]), share(0.6, devices=CARDS[3:4])),
            TOO_MUCH.format(" = 0.6", "0.6", "0.6", "GPU 3"),
        ),
        (
            vllm(share(0.6, device_ids="1,0"), share(0.6, device_ids="1")),
            TOO_MUCH.format(" = 0.6", "0.6", "0.6", "GPU 1"),
        ),
    ],
)  # fmt: skip
def test_more_than_a_card_has(variables: dict[str, Any], sentence: str) -> None:
    errors, dummy = said(variables)
    assert errors == [sentence]


@pytest.mark.parametrize(
    "variables",
    [
        vllm(share(0.4), share(0.5)),
        vllm({}, {"devices": CARDS[1:2]}),
        vllm({}, {}, vllm_devices=[]),
        vllm({}, {"environment": {"CUDA_VISIBLE_DEVICES": "1"}}),
        vllm({}, {}, vllm_image="registry.example.org/vllm/vllm-openai-cpu"),
        sglang({}, {}, sglang_tag="v0.5.9-xeon"),
        vllm(share(0.5, kv_cache_memory_bytes="2G"), share(0.5, kv_cache_memory_bytes="2G"), share(0.9)),
        vllm(share(0.9, data_parallel_size=2, data_parallel_rank=0), {"device_ids": 1}),
        vllm({"distributed_executor_backend": "ray", "tensor_parallel_size": 16}),
        sglang({}, {"base_gpu_id": 1}),
        sglang(free(0.5), free(0.8)),
        sglang({"tp": 2}, {"base_gpu_id": 2}),
        sglang({"tp": 2, "gpu_id_step": 2}, {"base_gpu_id": 1}),
        sglang({"dp_size": 2, "tp_size": 2, "enable_dp_attention": True}, {"base_gpu_id": 2}),
    ],
)  # fmt: skip
def test_what_adds_up(variables: dict[str, Any]) -> None:
    assert said(variables) == ([], [])


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        (
            vllm(share(0.49), share(0.49)),
            "vllm_models.b.settings.gpu-memory-utilization = 0.49: vllm_models.a (0.49) and "
            "vllm_models.b (0.49) leave 2 % of GPU 0 for what is in no share, such as CUDA's own "
            "contexts. Write shares of at most 0.95 together.",
        ),
        (
            sglang({}, {}),
            "sglang_models.a.settings.mem-fraction-static: sglang_models.b starts after "
            "sglang_models.a, which leaves it 12 % of GPU 0; the share is one of what is free then. "
            "Write less, or give one other devices, or a base-gpu-id.",
        ),
        (
            sglang({"tp": 2}, {"base_gpu_id": 1}),
            "which leaves it 12 % of GPU 1",
        ),
        (
            sglang({"dp": 2}, {"base_gpu_id": 1}),
            "which leaves it 12 % of GPU 1",
        ),
        (
            both({"vllm_tag": "v0.33.0"}, {}),
            "sglang_models.n: sglang and vllm both use GPU 0, and no order crosses engines: after a "
            "boot their workers start at the same time, and each may find the memory free that the "
            "other one takes (vllm_models.m (0.92, its default) and sglang_models.n (0.88 of what is "
            "free, its default)). Give them other devices, or fixed shares that fit whoever comes first.",
        ),
        (both({"vllm_devices": CARDS[:1]}, {"sglang_devices": CARDS[:1]}), "both use GPU 0"),
        (both({"vllm_user": "llm"}, {"sglang_user": "llm"}), "both use GPU 0"),
        (
            vllm(share(0.9), llama_cpp_models={"m": {"settings": {"ngl": 99}}}),
            "llama_cpp and vllm both use GPU 0",
        ),
        (
            vllm({"devices": CARDS[:2]}),
            "vllm_models.a.devices = ['nvidia.com/gpu=0', 'nvidia.com/gpu=1']: gives it GPU 1, which "
            "neither it nor any other model uses. Write a larger parallel size, or fewer devices.",
        ),
    ],
)
def test_what_may_not_work(variables: dict[str, Any], sentence: str) -> None:
    errors, warnings = said(variables)
    assert errors == []
    assert len(warnings) == 1
    assert sentence in warnings[0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"vllm_devices": CARDS[:1]}, {"sglang_devices": CARDS[1:2]}),
        ({"vllm_devices": []}, {"sglang_devices": []}),
        ({}, {"sglang_models": {}}),
        (
            {"vllm_model_settings": {"gpu-memory-utilization": 0.4}},
            {"sglang_model_settings": {"mem-fraction-static": 0.5}},
        ),
        ({"vllm_devices": ["/dev/dri/renderD128"]}, {"sglang_devices": ["/dev/dri/renderD129"]}),
        ({"vllm_devices": ["/dev/odd"]}, {"sglang_devices": ["/dev/odd"]}),
    ],
)
def test_engines_side_by_side(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert said(both(one, other)) == ([], [])


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        (
            vllm({"devices": CARDS[:2], "tensor_parallel_size": 4}),
            "vllm_models.a.devices = ['nvidia.com/gpu=0', 'nvidia.com/gpu=1']: its parallel sizes ask "
            "for 4 devices, of which 2 are behind the 2 that it sees. Give it as many devices, or write "
            "smaller sizes.",
        ),
        (vllm({"devices": CARDS[:4], "tensor-parallel-size": 2, "pp": 2, "dp": 2}), "ask for 8 devices"),
        (vllm({"devices": CARDS[:4], "tp": 2, "dp": 4, "data_parallel_size_local": 3}), "ask for 6 devices"),
        (vllm({"devices": CARDS[:3], "tp": 8, "nnodes": 2}), "ask for 4 devices"),
        (vllm({"environment": {"CUDA_VISIBLE_DEVICES": "0"}, "tp": 2}), "ask for 2 devices"),
        (sglang({"devices": CARDS[:2], "tp_size": 4}), "ask for 4 devices"),
        (sglang({"devices": CARDS[:2], "tensor_parallel_size": 2, "dp": 2}), "ask for 4 devices"),
        (sglang({"devices": CARDS[:3], "tp": 8, "nnodes": 2}), "ask for 4 devices"),
        (sglang({"devices": CARDS[:7], "tp": 8, "pp": 2, "nnodes": 2}), "ask for 8 devices"),
        (
            sglang({"devices": CARDS[:2], "base_gpu_id": 2}),
            "ask for 1 device, of which 1 is behind the 2 that it sees",
        ),
    ],
)  # fmt: skip
def test_too_few_devices(variables: dict[str, Any], sentence: str) -> None:
    errors, dummy = said(variables)
    assert len(errors) == 1
    assert sentence in errors[0]


@pytest.mark.parametrize("value", [0, -1, 1.5, 92])
def test_no_share(value: float) -> None:
    errors, dummy = said(vllm(share(value), share(0.5)))
    assert errors == [
        f"vllm_models.a.settings.gpu-memory-utilization = {float(value)}: is no share of a device's "
        "memory. Write a number above 0 and up to 1."
    ]


@pytest.mark.parametrize("word", ["off", False])
def test_a_check_is_switched(word: object) -> None:
    variables = vllm({}, {"devices": CARDS[:1], "tp": 2})
    errors, warnings = said(variables)
    assert (len(errors), len(warnings)) == (2, 0)
    errors, warnings = said(variables | {"gpu_host_checks": {"memory": "warn"}})
    assert (len(errors), len(warnings)) == (1, 1)
    checks = {"memory": word, "devices": word}
    assert said(variables | {"gpu_host_checks": checks}) == ([], [])


def test_a_wrong_word_for_a_check() -> None:
    errors, dummy = said({"gpu_host_checks": {"memory": "maybe", "memroy": "off"}})
    assert errors == [
        "gpu_host_checks.memory = 'maybe': is not one of the choices. Write one of error, warn, off.",
        "gpu_host_checks.memroy: is not a known key. Did you mean memory.",
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 100), min_size=2, max_size=6))
def test_shares_of_all_memory_add_up(percents: list[int]) -> None:
    errors, warnings = said(vllm(*(share(percent / 100) for percent in percents)))
    assert len(errors) == (1 if sum(percents) > 100 else 0)
    assert len(warnings) == (1 if 95 < sum(percents) <= 100 else 0)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 7), st.integers(1, 2), st.sampled_from([0.3, 0.5, 0.9])),
        min_size=1,
        max_size=6,
    )
)
def test_each_card_is_judged_for_itself(placed: list[tuple[int, int, float]]) -> None:
    """A plan is refused if and only if one of the cards is promised more than once over."""
    wanted = [
        share(part, devices=CARDS[first : first + count], tensor_parallel_size=count)
        for first, count, part in placed
        if first + count <= len(CARDS)
    ]
    promised = [0.0] * len(CARDS)
    for first, count, part in placed:
        if first + count <= len(CARDS):
            for card in range(first, first + count):
                promised[card] += part
    errors, dummy = said(vllm(*wanted))
    assert bool(errors) == any(round(total, 6) > 1 for total in promised)


def test_the_version_of_an_image_by_digest() -> None:
    digest = {"vllm_tag": None, "vllm_digest": "sha256:" + "a" * 64}
    errors, dummy = said(vllm({}, {}, **digest, vllm_version="0.17.1"))
    assert "vllm_models.a (0.9, its default)" in errors[0]
    errors, dummy = said(vllm({}, {}, **digest))
    assert "vllm_models.a (0.92, its default)" in errors[0]


@pytest.mark.parametrize(
    "variables",
    [
        vllm({"tensor_parallel_size": "9999t", "data_parallel_size": 10**12}),
        vllm({"data_parallel_size": 10**12, "environment": {"CUDA_VISIBLE_DEVICES": "-1,²,,x"}}),
        vllm({"pipeline_parallel_size": "9" * 400, "device_ids": "²"}),
        vllm({"devices": ["nvidia.com/gpu=²", "nvidia.com/gpu=" + "9" * 5000]}),
        sglang({"base_gpu_id": 10**14, "dp_size": 10**10, "tp_size": 10**10, "nnodes": -1}),
        models("llama_cpp", {"ngl": 99, "main_gpu": "9" * 400, "split_mode": "none"}),
        models("llama_cpp", {"ngl": "9" * 400, "device": "CUDA" + "9" * 5000}),
    ],
)  # fmt: skip
def test_sizes_beyond_all_measure_are_reckoned_with(variables: dict[str, Any]) -> None:
    """They would be a traceback, or all memory of the controller."""
    for model in variables.get("llama_cpp_models", {}).values():
        del model["model"]
    said(variables)


@pytest.mark.parametrize("value", [0, -4, "-1"])
def test_sizes_of_nothing(value: object) -> None:
    (error,), dummy = said(vllm({"tensor_parallel_size": value}))
    assert "settings.tensor-parallel-size" in error
    assert "is no number of devices, hosts or replicas. Write 1 or more" in error
    (error,), dummy = said(sglang({"tp": value}))
    assert "settings.tp-size" in error


@pytest.mark.parametrize("value", ["nan", float("inf"), "9e1"])
def test_shares_that_are_no_number_of_a_share(value: object) -> None:
    (error,), dummy = said(vllm({"gpu_memory_utilization": value}))
    assert "is no share of a device's memory" in error


def test_a_share_of_hundreds_of_devices_is_too_much() -> None:
    (error,), dummy = said(vllm({"data_parallel_size": 10**12, "devices": CARDS[:2]}))
    assert "ask for 1024 devices, of which 1022 are behind the 2 that it sees" in error
