# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What models ask of a host's hardware, and what of it is overruled."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.plugin_utils import (
    _checks,
    _cuda,
    _downloads,
    _hardware,
    _install,
)

from .container_hosts import plan, sglang, vllm


def gpu(name: str, capability: str | None, driver: str | None, index: int = 0) -> dict[str, Any]:
    return {
        "index": index,
        "uuid": f"GPU-{index}",
        "name": name,
        "memory": None,
        "used": None,
        "capability": capability,
        "driver": driver,
        "cuda": None,
        "mig": False,
    }


T4 = gpu("Tesla T4", "7.5", "580.82.07")
L40S = gpu("NVIDIA L40S", "8.9", "580.82.07")
H200 = gpu("NVIDIA H200", "9.0", "580.82.07", 1)
B200 = gpu("NVIDIA B200", "10.0", "580.82.07")


def host(*gpus: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "gpus": list(gpus),
        "gpu": bool(gpus),
        "gpu_fault": None,
        "amd": False,
        "arch": "x86_64",
        "cpu_flags": ["avx2", "avx512f"],
    } | more


def found(variables: dict[str, Any], facts: dict[str, Any]) -> list[tuple[str, str, str]]:
    made = plan(variables)
    assert [str(problem) for problem in made.problems] == []
    seen = _hardware.findings(made.data(), "gpu1", None, facts)
    return [(one.check, one.level, one.said) for one in seen]


def of_vllm(settings: Any, tag: str = "v0.33.0", **more: Any) -> dict[str, Any]:
    return vllm({"settings": settings} | more, vllm_tag=tag)


def of_sglang(settings: Any, tag: str = "v0.5.23", **more: Any) -> dict[str, Any]:
    return sglang({"settings": settings} | more, sglang_tag=tag)


CALM = {"attention-backend": "triton", "dtype": "float16"}
"""What is right for an old card."""


@pytest.mark.parametrize(
    ("variables", "card", "level", "said"),
    [
        (
            of_vllm({"dtype": "bfloat16"}),
            T4,
            "error",
            "vllm_models.m.settings.dtype = bfloat16: needs compute capability 8.0 or more, and GPU 0 "
            "(Tesla T4) has 7.5. Write dtype: float16.",
        ),
        (
            of_vllm({"attention_backend": "FLASH_ATTN"}),
            T4,
            "error",
            "vllm_models.m.settings.attention_backend = FLASH_ATTN: needs compute capability 8.0 or "
            "more, and GPU 0 (Tesla T4) has 7.5. Write attention-backend: TRITON_ATTN, which runs on "
            "every card.",
        ),
        (
            of_vllm({"attention-config": {"backend": "FLASHMLA"}}),
            L40S,
            "error",
            "vllm_models.m.settings.attention-config.backend = FLASHMLA: is for compute capability 9.x "
            "and 10.x, and GPU 0 (NVIDIA L40S) has 8.9. Write attention-backend: TRITON_ATTN, which "
            "runs on every card.",
        ),
        (
            of_vllm({}, extra_args=["--quantization=fp_quant"]),
            H200,
            "error",
            "vllm_models.m.extra_args = fp_quant: needs compute capability 10.0 or more, and GPU 1 "
            "(NVIDIA H200) has 9.0. Serve weights in another format, such as AWQ or GPTQ.",
        ),
        (
            of_vllm({}, "v0.11.0", environment={"VLLM_ATTENTION_BACKEND": "FLASH_ATTN"}),
            T4,
            "error",
            "vllm_models.m.environment.VLLM_ATTENTION_BACKEND = FLASH_ATTN: needs compute capability 8.0 "
            "or more, and GPU 0 (Tesla T4) has 7.5. Write attention-backend: TRITON_ATTN, which runs "
            "on every card.",
        ),
        (
            of_vllm({"quantization": "awq_marlin"}, "v0.12.0"),
            T4,
            "error",
            "vllm_models.m.settings.quantization = awq_marlin: needs compute capability 8.0 or more, and "
            "GPU 0 (Tesla T4) has 7.5. Write quantization: awq or gptq, or a newer version.",
        ),
        (
            of_vllm({"kv-cache-dtype": "fp8"}),
            T4,
            "warn",
            "vllm_models.m.settings.kv-cache-dtype = fp8: needs compute capability 8.9 or more, and GPU "
            "0 (Tesla T4) has 7.5. Write kv-cache-dtype: auto.",
        ),
        (
            of_vllm({}),
            gpu("Tesla V100-SXM2-16GB", "7.0", "580.82.07"),
            "error",
            "vllm_models.m = docker.io/vllm/vllm-openai:v0.33.0: has kernels for compute capability 7.5 "
            "and more, and GPU 0 (Tesla V100-SXM2-16GB) has 7.0. Write an older tag, or other devices.",
        ),
        (
            of_sglang(CALM | {"attention-backend": "fa3"}),
            T4,
            "error",
            "sglang_models.m.settings.attention-backend = fa3: is for compute capability 8.x and 9.x, "
            "and GPU 0 (Tesla T4) has 7.5. Write attention-backend: triton, which runs on every card.",
        ),
        (
            of_sglang({"attention-backend": "fa3"}),
            B200,
            "error",
            "sglang_models.m.settings.attention-backend = fa3: is for compute capability 8.x and 9.x, "
            "and GPU 0 (NVIDIA B200) has 10.0. Write attention-backend: triton, which runs on every "
            "card.",
        ),
        (
            of_sglang(CALM | {"quantization": "awq_marlin"}),
            T4,
            "error",
            "sglang_models.m.settings.quantization = awq_marlin: needs compute capability 8.0 or more, "
            "and GPU 0 (Tesla T4) has 7.5. Write quantization: awq, and dtype: float16.",
        ),
        (
            of_sglang(CALM | {"dtype": "bfloat16"}),
            T4,
            "warn",
            "sglang_models.m.settings.dtype = bfloat16: needs compute capability 8.0 or more, and GPU 0 "
            "(Tesla T4) has 7.5. Write dtype: float16, which it takes then anyhow.",
        ),
    ],
)
def test_what_a_card_cannot_do(
    variables: dict[str, Any], card: dict[str, Any], level: str, said: str
) -> None:
    assert found(variables, host(card)) == [("capability", level, said)]


@pytest.mark.parametrize(
    ("variables", "card"),
    [
        (of_vllm({"dtype": "bfloat16", "attention-backend": "FLASH_ATTN"}), L40S),
        (of_vllm({"dtype": "float16", "quantization": "awq_marlin"}), T4),
        (of_vllm({"dtype": "bfloat16"}), gpu("unknown", None, None)),
        (of_sglang(CALM), T4),
        (of_sglang({"attention-backend": "fa3"}), H200),
    ],
)
def test_what_a_card_can_do(variables: dict[str, Any], card: dict[str, Any]) -> None:
    assert found(variables, host(card)) == []


def test_what_to_write_for_a_t4() -> None:
    """As the runtime that Flox makes of SGLang says."""
    assert found(of_sglang({}), host(T4)) == [
        (
            "capability",
            "warn",
            "sglang_models.m.settings.attention-backend: is not given, GPU 0 (Tesla T4) has compute "
            "capability 7.5, and the one that it picks may not run there. Write attention-backend: "
            "triton, and disable-cuda-graph: true where that is not enough.",
        ),
        (
            "capability",
            "warn",
            "sglang_models.m.settings.dtype: is not given, GPU 0 (Tesla T4) has compute capability 7.5, "
            "and weights in bfloat16 are computed in float16 there. Write dtype: float16.",
        ),
    ]


def test_the_cards_that_a_worker_gets_are_judged() -> None:
    facts = host(T4, H200)
    wanted = {"dtype": "bfloat16"}
    for devices in (
        ["nvidia.com/gpu=1"],
        ["nvidia.com/gpu=GPU-1"],
        ["/dev/nvidia1", "/dev/nvidiactl"],
    ):
        assert found(of_vllm(wanted, devices=devices), facts) == [], devices
    for devices in (["nvidia.com/gpu=all"], ["nvidia.com/gpu=0:1"], ["/dev/nvidia0"]):
        assert len(found(of_vllm(wanted, devices=devices), facts)) == 1, devices


@pytest.mark.parametrize(
    ("variables", "driver", "level", "parts"),
    [
        (of_vllm({}), "580.65.06", None, ()),
        (of_vllm({}), "580.00", "warn", ("CUDA 13.0, which came with driver 580.65.06",)),
        (
            of_vllm({}),
            "570.86.15",
            "error",
            (
                "vllm_models.m = docker.io/vllm/vllm-openai:v0.33.0: is built with CUDA 13.0, which "
                "needs driver 580.00 or newer, and GPU 0 (NVIDIA L40S) has 570.86.15.",
                "or set VLLM_ENABLE_CUDA_COMPATIBILITY: '1' on a card for data centres.",
            ),
        ),
        (
            of_vllm({}, environment={"VLLM_ENABLE_CUDA_COMPATIBILITY": "1"}),
            "570.86.15",
            "warn",
            ("CUDA 13.0",),
        ),
        (of_vllm({}, "v0.12.0"), "575.51.03", None, ()),
        (
            of_vllm({}, "v0.12.0"),
            "535.183.01",
            "warn",
            ("is built with CUDA 12.9, which came with driver 575.51.03", "minor version"),
        ),
        (of_vllm({}, "v0.10.2"), "470.82.01", "error", ("CUDA 12.8", "525.60.13")),
        (of_sglang({}, "v0.5.19-cu129"), "575.57.08", None, ()),
        (of_sglang({}, "v0.5.19-cu130"), "575.57.08", "error", ("CUDA 13.0",)),
        (of_sglang({}), "575.57.08", "error", ("CUDA 13.0",)),
        (of_sglang({}, "latest"), "575.57.08", "error", ("CUDA 13.0",)),
        (of_sglang({}, "mine"), "470.82.01", None, ()),
    ],
)
def test_a_driver(
    variables: dict[str, Any], driver: str, level: str | None, parts: tuple[str, ...]
) -> None:
    seen = found(variables, host(gpu("NVIDIA L40S", "8.9", driver)))
    assert [(check, how) for check, how, dummy in seen] == [("driver", level)] * (level is not None)
    for part in parts:
        assert part in seen[0][2]


@pytest.mark.parametrize(
    ("tag", "cuda"),
    [
        ("v0.5.19-cu129", "12.9"),
        ("v0.5.0rc0-cu126", "12.6"),
        ("cu130-nightly", "13.0"),
        ("v1-cuda12.8", "12.8"),
        ("v0.33.0", None),
        ("document1234", None),
        ("v1-cu1290", None),
    ],
)
def test_the_cuda_of_a_tag(tag: str, cuda: str | None) -> None:
    assert _cuda.of_tag(tag) == cuda


def test_versions_are_compared_as_numbers() -> None:
    assert _cuda.version("580.65.06") > _cuda.version("580.9")
    assert _cuda.version("v0.33.0rc1") == (0, 33, 0)
    assert _cuda.version("main") == ()


def test_a_host_without_what_an_image_wants() -> None:
    assert found(of_vllm({}), host()) == [
        (
            "gpu",
            "warn",
            "vllm_models.m = docker.io/vllm/vllm-openai:v0.33.0: is built for an NVIDIA GPU, and the host "
            "shows none. Install its driver, or write an image for what the host has.",
        )
    ]
    ((check, level, said),) = found(of_vllm({}, devices=[]), host(H200))
    assert (check, level) == ("gpu", "warn")
    assert "devices gives it none. Name one, or write an image" in said
    rocm = vllm(vllm_image="docker.io/vllm/vllm-openai-rocm")
    ((check, level, said),) = found(rocm, host())
    assert "is built for an AMD GPU, and the host has no /dev/kfd. Load amdgpu" in said
    assert found(rocm, host(amd=True)) == []
    # Whose image it is cannot be told, and so nothing of what it wants.
    assert found(vllm(vllm_image="registry.example/own"), host()) == []


@pytest.mark.parametrize(
    ("fault", "mend"),
    [
        ("Failed to initialize NVML: Driver/library version mismatch", "Reboot it"),
        (
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.",
            "modprobe",
        ),
        ("No devices were found", "lspci"),
        ("nvidia-smi gave no answer within 30 s", "hangs"),
        ("something else", "Mend what nvidia-smi says"),
    ],
)
def test_a_driver_that_does_not_answer(fault: str, mend: str) -> None:
    for devices in (None, ["nvidia.com/gpu=0"]):
        ((check, level, said),) = found(of_vllm({}, devices=devices), host(gpu_fault=fault))
        assert (check, level) == ("gpu", "error")
        assert f"the host's driver does not answer ({fault})" in said
        assert mend in said
    # What gets none does not care.
    assert found(of_vllm({}, devices=["/dev/dri"]), host(gpu_fault=fault)) == []


def test_a_processor() -> None:
    cpu = {"vllm_image": "public.ecr.aws/q9t5s3a7/vllm-cpu-release-repo"}
    facts = host(cpu_flags=["avx2"])
    ((check, level, said),) = found(of_vllm({}, "v0.33.0", devices=[]) | cpu, facts)
    assert (check, level) == ("cpu", "warn")
    assert "and the host's has no avx512f" in said
    ((check, level, said),) = found(of_vllm({}, "v0.11.0", devices=[]) | cpu, facts)
    assert (check, level) == ("cpu", "error")
    assert "Write a tag from v0.17.0 on" in said
    assert len(found(of_vllm({}) | cpu, host(cpu_flags=["sse2"]))) == 2
    assert found(of_vllm({}) | cpu, host(cpu_flags=[])) == []
    assert found(of_vllm({}) | cpu, host(arch="aarch64", cpu_flags=["asimd"])) == []


def test_a_gpu_that_llama_cpp_shall_have() -> None:
    model = {"port": 18001, "settings": {"model": "/m.gguf"}, "gpu": "always"}
    variables = {"llama_cpp_models": {"m": model}}
    ((check, level, said),) = found(variables, host())
    assert (check, level) == ("gpu", "warn")
    assert said.startswith("llama_cpp_models.m.gpu: is always, and the host has no device node")
    assert found(variables, host(H200)) == []


def test_an_operator_overrules() -> None:
    findings = [
        _checks.Finding("driver", "error", "old"),
        _checks.Finding("driver", "error", "old"),
        _checks.Finding("clock", "warn", "late"),
        _checks.Finding("network", "error", "cut"),
    ]
    assert _checks.judged(findings, {}) == (["old"], ["late", "cut"])
    assert _checks.judged(findings, {"driver": "warn", "clock": "off", "network": "error"}) == (
        ["cut"],
        ["old"],
    )


def test_what_an_operator_says_is_read() -> None:
    variables = vllm(gpu_host_checks={"driver": "warn", "clock": False})
    read = plan(variables).hosts["gpu1"]["gpu_host"]["gpu_host_checks"]
    assert read == _checks.DEFAULTS | {"driver": "warn", "clock": "off"}
    assert plan(vllm()).hosts["gpu1"]["gpu_host"]["gpu_host_checks"] == _checks.DEFAULTS
    wrong = plan(vllm(gpu_host_checks={"drivers": "warn", "gpu": "on"}))
    assert [problem.sentence for problem in wrong.problems] == [
        "gpu_host_checks.drivers: is not a known key. Did you mean driver.",
        "gpu_host_checks.gpu = 'on': is not one of the choices. Write one of error, warn, off.",
    ]


# What has to be fetched.


def downloads(variables: dict[str, Any]) -> list[tuple[str, str, str]]:
    made = plan(variables)
    assert [str(problem) for problem in made.problems] == []
    needs = _install.needs(made.data(), "gpu1", None)
    return [(need["variable"], need["what"], need["where"]) for need in needs["downloads"]]


IMAGE = ("vllm_models.m", "docker.io/vllm/vllm-openai:v1", "docker.io")


def test_what_has_to_be_fetched() -> None:
    hub = ("vllm_models.m.model", "a/b", "https://huggingface.co")
    assert downloads(vllm()) == [IMAGE, hub]
    archives = {"docker.io/vllm/vllm-openai:v1": "/srv/v1.tar"}
    assert downloads(vllm(vllm_image_archives=archives)) == [hub]
    sources = {"a/b@main": "/srv/b.tar", "a/other": "/srv/c.tar"}
    assert downloads(vllm(vllm_weights_sources=sources)) == [IMAGE]
    assert downloads(vllm(vllm_weights_sources={"a/b@v2": "/srv/b.tar"})) == [IMAGE, hub]
    broken = {"environment": {"HTTPS_PROXY": "http://me:hunt#er2@proxy.example"}}
    assert downloads(vllm(broken)) == [IMAGE, hub]
    own = {"environment": {"HF_ENDPOINT": "http://hub.example"}}
    assert downloads(vllm(own)) == [IMAGE, (hub[0], "a/b", "http://hub.example")]
    for more in (
        {"model": "/srv/m"},
        {"model": "s3://bucket/m"},
        {"environment": {"HF_HUB_OFFLINE": "1"}},
        {"environment": {"VLLM_USE_MODELSCOPE": "True"}},
    ):
        assert downloads(vllm(more)) == [IMAGE], more
    llama = {"m": {"port": 18001, "settings": {"hf-repo": "a/b:Q4_K_M"}}}
    assert downloads({"llama_cpp_models": llama}) == [
        ("llama_cpp_models.m.settings.hf-repo", "a/b", "https://huggingface.co")
    ]


def test_where_a_fetched_repository_is_and_through_what() -> None:
    environment = {"HTTPS_PROXY": "http://ann:secret@proxy.example:3128"}
    engine = plan(vllm({"environment": environment})).hosts["gpu1"]["engines"]["vllm"]
    (need,) = _downloads.of_worker("vllm", engine, engine["workers"][0])
    assert need["places"] == [
        "/var/cache/vllm/hub/models--a--b/snapshots",
        "/var/cache/vllm/models--a--b/snapshots",
    ]
    assert need["proxy"] == "http://proxy.example:3128"
    assert "secret" not in str(need)
