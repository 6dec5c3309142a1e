# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What SGLang's images ask of a host.

Facts: its documentation has CUDA 13 only after v0.5.19, of which v0.5.19-cu129 is the last tag for
CUDA 12; the tags of older versions say which CUDA they are for, and else are taken for 12.6 until
0.5.4. In 0.5.23: load_model_utils.py has float16 stand in for bfloat16 below capability 8.0, and
fails below 7.5; attention_registry.py has fa3 for 8.x and 9.x; quantisation is get_min_capability of
srt/layers/quantization. The runtime that Flox makes of it serves a T4 with triton and float16, and
some models without CUDA graphs (seen in its README); its builds for CUDA want AVX2.

This plugin util is private to the collection.
"""

from __future__ import annotations

from ansible_collections.onehop.llm.plugins.plugin_utils._demands import (
    Advice,
    Hardware,
    Limit,
    Processor,
)

_ATTENTION = ("attention-backend", "prefill-attention-backend", "decode-attention-backend")
_TRITON = "Write attention-backend: triton, which runs on every card"
_OTHER_WEIGHTS = "Serve weights in another format, such as AWQ or GPTQ"


def _quantization(
    values: tuple[str, ...], capability: tuple[int, int], instead: str = _OTHER_WEIGHTS
) -> Limit:
    return Limit(("quantization",), values, capability, instead)


HARDWARE = Hardware(
    images={"sglang": "cuda"},
    tags={"cpu": "cpu", "npu": "npu", "rocm": "rocm", "xeon": "cpu", "xpu": "xpu"},
    cuda=(("0.4", "12.6"), ("0.5.4", "12.9"), ("0.5.20", "13.0")),
    kernels=(("0.4", (7, 5)),),
    limits=(
        Limit(
            ("dtype",),
            ("bfloat16",),
            (8, 0),
            "Write dtype: float16, which it takes then anyhow",
            level="warn",
        ),
        Limit(
            ("kv-cache-dtype",),
            ("fp8_e4m3",),
            (8, 9),
            "Write kv-cache-dtype: auto",
            level="warn",
        ),
        _quantization(("awq",), (7, 5)),
        _quantization(("awq_marlin",), (8, 0), "Write quantization: awq, and dtype: float16"),
        _quantization(("gptq_marlin", "marlin"), (8, 0), "Write quantization: gptq"),
        _quantization(("fp8", "blockwise_int8", "mxfp4", "modelopt_fp4"), (8, 0)),
        _quantization(("w8a8_int8",), (7, 5)),
        _quantization(("w8a8_fp8", "modelopt", "modelopt_fp8"), (8, 9)),
        _quantization(("w4afp8", "petit_nvfp4"), (9, 0)),
        _quantization(("mxfp8", "nvfp4_online"), (10, 0)),
        _quantization(("bitsandbytes", "moe_wna16", "compressed-tensors"), (7, 0)),
        Limit(_ATTENTION, ("fa3",), (8, 0), _TRITON, only=(8, 9)),
        Limit(_ATTENTION, ("fa4",), (9, 0), _TRITON),
        Limit(_ATTENTION, ("flashinfer",), (7, 5), _TRITON),
        Limit(_ATTENTION, ("flashmla",), (9, 0), _TRITON),
        Limit(
            _ATTENTION,
            ("trtllm_mla", "trtllm_mha", "cutlass_mla", "cutedsl_mla", "tokenspeed_mla"),
            (9, 0),
            _TRITON,
        ),
    ),
    advice=(
        Advice(
            (8, 0),
            "attention-backend",
            "the one that it picks may not run there",
            "Write attention-backend: triton, and disable-cuda-graph: true where that is not enough",
        ),
        Advice(
            (8, 0),
            "dtype",
            "weights in bfloat16 are computed in float16 there",
            "Write dtype: float16",
        ),
    ),
    processors=(
        Processor(
            "cuda",
            "x86_64",
            "avx2",
            "AVX2 in parts",
            "Serve it on a host with a newer processor, or with llama.cpp",
            level="warn",
        ),
    ),
)
