# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures of memory that is not enough: the GPU's in each phase, the host's, and shared memory.

vLLM's gpu-memory-utilization is a share of all memory, and holds for all that it does. SGLang's
mem-fraction-static is for weights and KV cache: more of it for a cache that does not fit, less of
it for all that comes later.

This plugin util is private to the collection.
"""

from __future__ import annotations

from ansible_collections.onehop.llm.plugins.plugin_utils._signature import (
    CLOSE,
    EFFECT,
    GENERIC,
    LIKELY,
    Signature,
)

_OOM = (
    r"OutOfMemoryError: (?:CUDA|HIP|XPU) out of memory",
    r"(?:CUDA|HIP)(?: driver)? error: out of memory",
    r"cudaMalloc failed: out of memory",
    r"CUDA_ERROR_OUT_OF_MEMORY",
)
_TORCH = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 350.00 MiB. GPU 0 has a total "
    "capacity of 23.68 GiB of which 212.81 MiB is free."
)
_SHARE = "{settings}.gpu-memory-utilization"
_STATIC = "{settings}.mem-fraction-static"

ROWS = (
    Signature(
        id="gpu-memory-taken",
        example=(
            "ValueError: Free memory on device (3.22/4.0 GiB) on startup is less than desired GPU "
            "memory utilization (0.9, 3.6 GiB). Decrease GPU memory utilization or reduce GPU memory "
            "used by other processes."
        ),
        patterns=(
            r"Free memory on device .* on startup is less than",
            r"Error: The memory capacity is unbalanced\. Some GPUs may be occupied by other processes",
        ),
        cause="other processes hold memory of the GPU",
        mend=f"Lower {_SHARE}, or give the model another GPU: {{model}}.devices. nvidia-smi shows who "
        "holds what.",
        mends={
            "sglang": "End the processes that nvidia-smi shows, or give the model other GPUs: "
            "{model}.devices. They have to be alike."
        },
    ),
    Signature(
        id="weights-memory",
        example=(
            "Failed to load model - not enough GPU memory. Try lowering --gpu-memory-utilization to "
            "free memory for weights, increasing --tensor-parallel-size, or using --quantization."
        ),
        patterns=(
            r"Failed to load model - not enough GPU memory",
            r"error loading model: unable to allocate (?:\S+) buffer",
        ),
        cause="the GPU's memory does not hold the weights",
        mend="Spread the model over more GPUs ({settings}.tensor-parallel-size and {model}.devices), "
        "serve it in a smaller quantisation, or keep part of it in RAM (cpu-offload-gb).",
        mends={
            "llama_cpp": "Lower {settings}.n-gpu-layers, so that part of it stays in RAM, or use a "
            "smaller quantisation."
        },
        rank=CLOSE,
    ),
    Signature(
        id="weights-memory-trace",
        example=_TORCH,
        patterns=_OOM,
        near=r"in (?:load_model|initialize_model|_initialize_model|make_layers|create_weights|"
        r"process_weights_after_loading)\b|Load weight begin",
        cause="the GPU's memory does not hold the weights",
        mend="Spread the model over more GPUs ({settings}.tensor-parallel-size and {model}.devices), "
        "serve it in a smaller quantisation, or keep part of it in RAM (cpu-offload-gb).",
        rank=CLOSE - 12,
    ),
    Signature(
        id="kv-cache-memory",
        example=(
            "ValueError: No available memory for the cache blocks. Try increasing "
            "`gpu_memory_utilization` when initializing the engine."
        ),
        patterns=(
            r"No available memory for the cache blocks",
            r"KV cache is needed, which is larger than the available KV cache memory",
            r"The model's max seq len \(\d+\) is larger than the maximum number of tokens that can be "
            r"stored in KV cache",
            r"Not enough memory\. Please try to increase --mem-fraction-static",
            r"Loaded weights leave no GPU memory for the KV cache",
            r"failed to allocate buffer for kv cache",
        ),
        cause="the weights leave too little memory for the KV cache of this context",
        mend=f"Lower {{settings}}.max-model-len, or raise {_SHARE}; kv-cache-dtype fp8 halves the "
        "cache where the GPU knows it.",
        mends={
            "sglang": f"Raise {_STATIC} (where the GPU has room for it), or lower "
            "{settings}.context-length; kv-cache-dtype fp8_e5m2 halves the cache.",
            "llama_cpp": "Lower {settings}.ctx-size, or n-gpu-layers; cache-type-k q8_0 and "
            "cache-type-v q8_0 halve the cache.",
        },
        rank=CLOSE,
    ),
    Signature(
        id="kv-cache-memory-trace",
        example=_TORCH,
        patterns=_OOM,
        near=r"in (?:init_memory_pool|_create_buffers|initialize_kv_cache|_allocate_kv_cache_tensors|"
        r"allocate_gpu_cache|_allocate_kv_cache)\b",
        cause="the KV cache does not fit beside the weights",
        mend=f"Lower {_SHARE}: it holds for more than there is, as others use the GPU as well.",
        mends={"sglang": f"Lower {_STATIC}: less of the GPU is free than it reckons with."},
        rank=CLOSE - 7,
    ),
    Signature(
        id="compute-memory",
        role="llama_cpp",
        example="E graph_reserve: failed to allocate compute pp buffers",
        patterns=(r"failed to allocate compute (?:pp |tg )?buffers",),
        cause="weights and KV cache leave too little memory to reckon in",
        mend="Lower {settings}.ctx-size, ubatch-size or n-gpu-layers.",
        rank=LIKELY,
    ),
    Signature(
        id="profile-memory",
        example=_TORCH,
        patterns=_OOM,
        near=r"in (?:profile_run|determine_available_memory|determine_num_available_blocks)\b",
        cause="the largest step that the settings allow does not fit beside the weights",
        mend=f"Lower {{settings}}.max-num-batched-tokens, max-num-seqs or max-model-len; lower {_SHARE} "
        "only where others use the GPU as well.",
        rank=CLOSE - 8,
    ),
    Signature(
        id="graphs-memory",
        example=(
            "Exception: Capture cuda graph failed: CUDA out of memory. Tried to allocate 448.00 MiB. "
            "GPU 7 has a total capacity of 95.00 GiB"
        ),
        patterns=(r"(?i)Capture cuda graph failed: .*out of memory",),
        cause="there is no memory left for CUDA graphs",
        mend=f"Lower {_SHARE}, or capture fewer sizes ({{settings}}.cudagraph-capture-sizes), or do "
        "without (enforce-eager: true), which is slower.",
        mends={
            "sglang": f"Lower {_STATIC} (to 0.8 or 0.7), or {{settings}}.cuda-graph-max-bs; without "
            "graphs (disable-cuda-graph: true) it is slower."
        },
        rank=CLOSE,
    ),
    Signature(
        id="graphs-memory-trace",
        example=_TORCH,
        patterns=_OOM,
        near=r"in (?:capture_model|_capture_cudagraphs|_warmup_and_capture|capture_one_batch_size|"
        r"init_cuda_graphs|capture_graph|capture_end)\b|Capturing CUDA graphs|Capturing batches",
        cause="there is no memory left for CUDA graphs",
        mend=f"Lower {_SHARE}, or capture fewer sizes ({{settings}}.cudagraph-capture-sizes), or do "
        "without (enforce-eager: true), which is slower.",
        mends={
            "sglang": f"Lower {_STATIC} (to 0.8 or 0.7), or {{settings}}.cuda-graph-max-bs; without "
            "graphs (disable-cuda-graph: true) it is slower."
        },
        rank=CLOSE - 6,
    ),
    Signature(
        id="warm-up-memory",
        example=(
            "RuntimeError: CUDA out of memory occurred when warming up sampler with 1024 dummy "
            "requests. Please try lowering `max_num_seqs` or `gpu_memory_utilization` when "
            "initializing the engine."
        ),
        patterns=(r"CUDA out of memory occurred when warming up (?:sampler|pooler)",),
        cause="there is no memory left for as many requests at once as the settings allow",
        mend=f"Lower {{settings}}.max-num-seqs, or {_SHARE}.",
        rank=CLOSE,
    ),
    Signature(
        id="prefill-memory",
        role="sglang",
        example=(
            "RuntimeError: Prefill out of memory. Try to lower your batch size.\n"
            "Try to allocate 8192 tokens."
        ),
        patterns=(r"(?:Prefill|Decode) out of memory\. Try to lower your batch size",),
        cause="requests needed more KV cache than there is, while it served",
        mend="Lower {settings}.max-num-batched-tokens and max-num-seqs.",
        mends={
            "sglang": "Lower {settings}.chunked-prefill-size (4096, 2048) and max-running-requests, or "
            "raise schedule-conservativeness."
        },
        rank=CLOSE,
    ),
    Signature(
        id="serving-memory",
        example=_TORCH,
        patterns=_OOM,
        near=r"in (?:run_busy_loop|_process_engine_step|event_loop_normal|event_loop_overlap|"
        r"execute_model|forward_batch_generation|forward_extend)\b|EngineCore encountered a fatal",
        cause="the GPU's memory ran out while it served, mostly in the prefill of a long prompt",
        mend=f"Lower {{settings}}.max-num-batched-tokens, or {_SHARE}, so that more is left for it.",
        mends={
            "sglang": "Lower {settings}.chunked-prefill-size (4096, 2048), or mem-fraction-static, so "
            "that more is left for it."
        },
        rank=CLOSE - 4,
    ),
    Signature(
        id="gpu-memory",
        example=_TORCH,
        patterns=_OOM,
        cause="there is not enough memory on the GPU",
        mend=f"Lower {_SHARE}, max-model-len or max-num-seqs, or spread the model over more GPUs.",
        mends={
            "sglang": f"Lower {_STATIC}, context-length or max-running-requests, or spread the model "
            "over more GPUs (tp-size and {model}.devices).",
            "llama_cpp": "Lower {settings}.ctx-size or n-gpu-layers, or use a smaller quantisation.",
        },
        rank=LIKELY,
    ),
    Signature(
        id="host-memory",
        example="vllm-alpha.service: A process of this unit has been killed by the OOM killer.",
        patterns=(
            r"has been killed by the OOM killer",
            r"Out of memory: Killed process \d+ \(([^)]+)\)",
            r"DefaultCPUAllocator: (?:can't|not enough memory)",
            r"terminate called after throwing an instance of '(std::bad_alloc)'",
        ),
        cause="the host's RAM ran out, and the kernel ended it for want of memory",
        mend="Give the host more RAM or swap, or lower what the model keeps there: {settings}.swap-space "
        "and cpu-offload-gb, and {model}.shm_size.",
        mends={"llama_cpp": "Lower {settings}.ctx-size, or leave mlock and no-mmap out."},
        results=("oom-kill",),
    ),
    Signature(
        id="killed",
        example="Worker proc VllmWorker-0 died unexpectedly (exit code: -9), shutting down executor.",
        patterns=(
            r"(?i)exit ?code:? ?(?:is )?-9\b",
            r"status=9/KILL",
            r"\b\d+ Killed\s+\S*python",
        ),
        cause="the kernel or somebody else killed it, mostly for want of memory",
        mend="Look in the kernel's journal (journalctl -k) for who it was. With the out-of-memory "
        "killer: more RAM, or less of it for the model. Without: Podman kills without a word what does "
        "not answer; under load, raise {role}_liveness_timeout or {role}_liveness_retries.",
        mends={
            "llama_cpp": "Look in the kernel's journal (journalctl -k) for who it was. With the "
            "out-of-memory killer: more RAM, or less of it for the model."
        },
        rank=GENERIC,
        statuses=(137,),
        signals=(9,),
    ),
    Signature(
        id="shared-memory",
        example=("Error while creating shared memory segment /dev/shm/nccl-UmqSM9 (size 7340384)"),
        patterns=(
            r"Error while (?:creating|attaching to) shared memory segment /dev/shm",
            r"failed to extend /dev/shm/\S+ to \d+ bytes",
            r"might be out of shared memory|are out of shared memory",
            r"No space left on device.*/dev/shm|/dev/shm.*No space left on device",
            r"\bBus error\b",
            r"(?i)exit ?code:? ?-7\b",
        ),
        cause="the container's shared memory is too small for what its processes share",
        mend="Raise {model}.shm_size.",
        statuses=(135,),
        signals=(7,),
    ),
    Signature(
        id="no-memory-word",
        role="llama_cpp",
        example="E ggml_gallocr_reserve_n: failed to allocate CUDA0 buffer of size 9332334592",
        patterns=(r"failed to allocate \S+ buffer of size (\d+)",),
        cause="a buffer of {0} bytes found no memory",
        mend="Lower {settings}.ctx-size or n-gpu-layers.",
        rank=EFFECT + 5,
    ),
)
