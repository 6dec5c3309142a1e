# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What vLLM's images ask of a host.

Facts, read in the sources of 0.10.2, 0.11.2, 0.12.0, 0.17.1, 0.20.2 and 0.33.0; what lies between two
of them is taken for the older one. CUDA and the capabilities that are compiled for: CUDA_VERSION
and torch_cuda_arch_list of docker/Dockerfile. Quantisation: get_min_capability of
model_executor/layers/quantization. Attention: supports_compute_capability of v1/attention/backends.
bfloat16: check_if_supports_dtype of platforms/cuda.py. FP8 in the cache: native types of
v1/attention/backends/triton_attn.py. Forward compatibility: until 0.12 the image has it for every
card, from 0.17 on where VLLM_ENABLE_CUDA_COMPATIBILITY is set. Processors: the installation page for
x86 says AVX-512 recommended, AVX2 with limited features, both in one build since 0.17.

This plugin util is private to the collection.
"""

from __future__ import annotations

from ansible_collections.onehop.llm.plugins.plugin_utils._demands import (
    Hardware,
    Limit,
    Processor,
)

_QUANTIZATION = ("quantization", "q")
_ATTENTION = ("attention-backend", "attention-config.backend")
_TRITON = "Write attention-backend: TRITON_ATTN, which runs on every card"
_OTHER_WEIGHTS = "Serve weights in another format, such as AWQ or GPTQ"
_MARLIN = "Write quantization: awq or gptq, or a newer version"


def _quantization(
    values: tuple[str, ...], capability: tuple[int, int], instead: str, until: str | None = None
) -> Limit:
    return Limit(_QUANTIZATION, values, capability, instead, until=until)


def _attention(
    values: tuple[str, ...], capability: tuple[int, int], only: tuple[int, ...] = ()
) -> Limit:
    return Limit(_ATTENTION, values, capability, _TRITON, only=only)


HARDWARE = Hardware(
    images={
        "vllm-openai": "cuda",
        "vllm-openai-cpu": "cpu",
        "vllm-openai-rocm": "rocm",
        "vllm-openai-xpu": "xpu",
        "vllm-cpu-release-repo": "cpu",
    },
    cuda=(("0.9", "12.8"), ("0.11.1", "12.9"), ("0.20", "13.0")),
    kernels=(("0.9", (7, 0)), ("0.20", (7, 5))),
    limits=(
        Limit(
            ("dtype",),
            ("bfloat16",),
            (8, 0),
            "Write dtype: float16",
        ),
        Limit(
            ("kv-cache-dtype",),
            ("fp8", "fp8_e4m3"),
            (8, 9),
            "Write kv-cache-dtype: auto",
            level="warn",
        ),
        _quantization(("awq",), (7, 5), _OTHER_WEIGHTS),
        _quantization(("awq_marlin", "gptq_marlin", "fp8"), (8, 0), _MARLIN, until="0.17"),
        _quantization(("awq_marlin", "gptq_marlin", "fp8"), (7, 5), _OTHER_WEIGHTS),
        _quantization(("gptq_bitblas", "gptq_marlin_24", "hqq_marlin"), (8, 0), _OTHER_WEIGHTS),
        _quantization(("experts_int8", "fbgemm_fp8", "mxfp4"), (8, 0), _OTHER_WEIGHTS),
        _quantization(("bitsandbytes", "moe_wna16", "compressed-tensors"), (7, 0), _OTHER_WEIGHTS),
        _quantization(("torchao",), (7, 5), _OTHER_WEIGHTS),
        _quantization(("modelopt",), (8, 9), _OTHER_WEIGHTS, until="0.33"),
        _quantization(("modelopt", "modelopt_mxfp8"), (8, 0), _OTHER_WEIGHTS),
        _quantization(("modelopt_fp4",), (7, 5), _OTHER_WEIGHTS),
        _quantization(("fp_quant",), (10, 0), _OTHER_WEIGHTS),
        _attention(("flash_attn",), (8, 0)),
        _attention(("flashinfer",), (7, 5)),
        _attention(("flash_attn_mla",), (9, 0), only=(9,)),
        _attention(("flashmla", "flashmla_sparse"), (9, 0), only=(9, 10)),
        _attention(("cutlass_mla", "flashinfer_mla", "tokenspeed_mla"), (10, 0), only=(10,)),
    ),
    processors=(
        Processor(
            "cpu",
            "x86_64",
            "avx2",
            "AVX2",
            "Serve it on a host with a newer processor, or with llama.cpp",
        ),
        Processor(
            "cpu",
            "x86_64",
            "avx512f",
            "AVX-512",
            "Write a tag from v0.17.0 on, or serve it with llama.cpp",
            until="0.17",
        ),
        Processor(
            "cpu",
            "x86_64",
            "avx512f",
            "AVX-512, and does only a part of what it can without it",
            "Serve it on a host with a newer processor, or with llama.cpp",
            level="warn",
            since="0.17",
        ),
    ),
    environment={"VLLM_ATTENTION_BACKEND": "attention-backend"},
    forward="VLLM_ENABLE_CUDA_COMPATIBILITY",
)
