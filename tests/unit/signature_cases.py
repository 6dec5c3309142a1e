# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What engines really print when they fail, and when nothing is wrong, with where it comes from.

Messages are quoted as facts from public trackers (``repository#number``) or from the sources of
the named release. Long tracebacks are cut by lines, never within a line that a signature reads, and
what ``journalctl`` or a compose file prints before a message is left out. Where no message was
found, its source says so (``NOT_SEEN``).
"""

from __future__ import annotations

from dataclasses import dataclass

NOT_SEEN = "written after the program's format, not seen"
VLLM, SGLANG, LLAMA = "vllm-alpha.service", "sglang-beta.service", "llama-cpp-gamma.service"


@dataclass(frozen=True)
class Case:
    """A journal's tail and the id of the row that it is to be explained by."""

    id: str | None
    source: str
    journal: str
    unit: str = VLLM
    says: str = ""
    """Words that the cause or the mend has to have."""


CORE = "(EngineCore_DP0 pid=17374) ERROR 09-28 15:47:24 [core.py:718] "

CASES = (
    # What was asked for
    Case(
        "flag-unknown",
        "vllm 0.33.0, argparse; engines.md 1.7",
        "usage: vllm serve [model_tag] [options]\nvllm serve: error: unrecognized arguments: --no-such-flag",
        says="--no-such-flag",
    ),
    Case(
        "flag-unknown-llama",
        "llama.cpp 0.7.0, common/arg.cpp",
        "error: invalid argument: --ctx-sise",
        LLAMA,
        "llama-server does not know --ctx-sise",
    ),
    Case(
        "flag-value",
        "argparse of sglang 0.5.9, python -m sglang.launch_server --dtype fp16",
        "usage: launch_server.py [-h] --model-path MODEL_PATH [--tokenizer-path TOKENIZER_PATH]\n"
        "launch_server.py: error: argument --dtype: invalid choice: 'fp16' (choose from 'auto', 'half', "
        "'float16', 'bfloat16', 'float', 'float32')",
        SGLANG,
        "--dtype is set to: invalid choice: 'fp16'",
    ),
    Case(
        "flag-value",
        "llama.cpp 0.7.0, common/arg.cpp:873",
        'error while handling argument "--ctx-size": stoi\n\nusage:\n-c,    --ctx-size N     size of the prompt',
        LLAMA,
        "--ctx-size",
    ),
    Case(
        "tool-parser",
        "vllm 0.33.0, entrypoints/common/cli_args.py:621",
        "KeyError: 'invalid tool call parser: hermes2 (chose from { deepseek_v3,hermes,llama3_json })'",
        says="tool-call-parser",
    ),
    Case(
        "tool-parser",
        "vllm 0.33.0, entrypoints/common/cli_args.py:554",
        "TypeError: Error: --enable-auto-tool-choice requires --tool-call-parser",
    ),
    Case(
        "context-too-long",
        "vllm-project/vllm#3676",
        "ValueError: User-specified max_model_len (131072) is greater than the derived max_model_len "
        "(None=8192 in model's config.json). This may lead to incorrect model outputs or CUDA errors.",
        says="vllm_models.alpha.settings.max-model-len",
    ),
    Case(
        "context-too-long",
        "vllm 0.33.0, config/model.py:2664, as pydantic prints it",
        "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig\n"
        "  Value error, User-specified max_model_len (65536) is greater than the derived max_model_len "
        "(max_position_embeddings=32768 or model_max_length=None in model's config.json). To allow "
        "overriding this maximum, set the env var VLLM_ALLOW_LONG_MAX_MODEL_LEN=1.",
        says="32768",
    ),
    Case(
        "context-too-long",
        "sglang 0.5.23, srt/configs/model_config.py:1299",
        "ValueError: Warning: User-specified context_length (65536) is greater than the derived "
        "context_length (32768). This may lead to incorrect model outputs or CUDA errors. To allow "
        "overriding this maximum, set the env var SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN=1",
        SGLANG,
        "sglang_models.beta.settings.context-length",
    ),
    Case(
        "batch-too-small",
        "vllm 0.11.2, config/scheduler.py:255",
        "ValueError: max_num_batched_tokens (2048) is smaller than max_model_len (32768). This "
        "effectively limits the maximum sequence length to max_num_batched_tokens and makes vLLM reject "
        "longer sequences. Please increase max_num_batched_tokens or decrease max_model_len.",
    ),
    Case(
        "heads-not-divisible",
        "vllm-project/vllm#2652",
        "ValueError: Total number of attention heads (52) must be divisible by tensor parallel size (8).",
        says="tensor-parallel-size",
    ),
    Case(
        "heads-not-divisible",
        "vllm-project/vllm#52435",
        "Value error, Total number of attention heads (64) must be divisible by tensor parallel size (3).",
    ),
    Case(
        "gpus-too-few",
        "vllm 0.33.0, config/parallel.py:1072",
        "  Value error, World size (4) is larger than the number of available GPUs (1) in this node. If "
        "this is intentional and you are using:",
        says="vllm_models.alpha.devices",
    ),
    Case(
        "lora-rank",
        "vllm 0.33.0, lora/peft_helper.py:196",
        "ValueError: LoRA rank 64 is greater than max_lora_rank 16.",
        says="max-lora-rank to 64",
    ),
    Case(
        "quantization-mismatch",
        "vllm-project/vllm#5842",
        "ValueError: Quantization method specified in the model config (gptq) does not match the "
        "quantization method specified in the `quantization` argument (gptq_marlin).",
        says="quantised as gptq, and gptq_marlin",
    ),
    Case(
        "quantization-mismatch",
        "vllm-project/vllm#3331",
        "ValueError: Quantization method specified in the model config (marlin) does not match the "
        "quantization method specified in the quantization argument (gptq).",
    ),
    Case(
        "quantization-unknown",
        "vllm 0.33.0, config/model.py:1467",
        "ValueError: Unknown quantization method: awq_gpu. Must be one of ['awq', 'fp8', 'gptq'].",
    ),
    Case(
        "quantization-card",
        "sglang 0.5.23, srt/model_loader/loader.py:261",
        "ValueError: The quantization method awq is not supported for the current GPU. Minimum "
        "capability: 75. Current capability: 70.",
        SGLANG,
    ),
    Case(
        "quantization-dtype",
        "sglang 0.5.23, srt/model_loader/loader.py:269",
        "ValueError: torch.bfloat16 is not supported for quantization method awq. Supported dtypes: "
        "[torch.float16]",
        SGLANG,
        "sglang_models.beta.settings.dtype to float16",
    ),
    Case(
        "dtype-card",
        "substratusai/vllm-docker#37",
        "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0. Your "
        "Tesla T4 GPU has compute capability 7.5. You can use float16 instead by explicitly setting "
        "the`dtype` flag in CLI, for example: --dtype=half.",
        says="Tesla T4 GPU cannot reckon in bfloat16",
    ),
    Case(
        "fp8-card",
        "vllm-project/vllm#15336",
        'ValueError("type fp8e4nv not supported in this architecture. The supported fp8 dtypes are '
        "('fp8e4b15', 'fp8e5')\")",
    ),
    Case(
        "attention-backend",
        "sglang 0.5.23, srt/layers/attention/attention_registry.py:244",
        "AssertionError: FlashAttention v3 Backend requires SM>=80 and SM<=90. Please use "
        "`--attention-backend flashinfer`.",
        SGLANG,
        "attention-backend to triton",
    ),
    Case(
        "remote-code",
        "OpenGVLab/InternVL#1244",
        "ValueError: The repository `/data1/yyy25/datasets/InternVL3-1B` contains custom code which must "
        "be executed to correctly load the model. You can inspect the repository content at "
        "https://hf.co//data1/yyy25/datasets/InternVL3-1B.\n"
        "Please pass the argument `trust_remote_code=True` to allow custom code to be run.",
        says="trust-remote-code to true",
    ),
    Case(
        "remote-code",
        "vllm-project/vllm#6215",
        "ValueError: Loading microsoft/Phi-3-small-8k-instruct requires you to execute the configuration "
        "file in that repo on your local machine. Make sure you have read the code there",
    ),
    Case(
        "architecture",
        "vllm docs/source/getting_started/troubleshooting.md, vllm-project/vllm#14200",
        "ValueError: Model architectures ['<arch>'] are not supported for now. Supported architectures: "
        "dict_keys(['AquilaModel'])",
    ),
    Case(
        "architecture",
        "vllm-project/vllm#19793",
        "ValueError: The checkpoint you are trying to load has model type qwen3_moe but Transformers does "
        "not recognize this architecture. This could be because of an issue with the checkpoint, or "
        "because your version of Transformers is out of date.",
        says="qwen3_moe",
    ),
    Case(
        "architecture-llama",
        "llama.cpp 0.7.0, src/llama-model.cpp",
        "E llama_model_load: error loading model: unknown model architecture: 'qwen9'",
        LLAMA,
        "the architecture qwen9",
    ),
    Case(
        "architecture-unread",
        "vllm 0.33.0, model_executor/models/registry.py:1227",
        "ValueError: Model architectures ['GptOssForCausalLM'] failed to be inspected. Please check the "
        "logs for more details.",
    ),
    Case(
        "tokenizer-class",
        "agentscope-ai/QwenPaw#3084 (vllm 0.19.0)",
        "(APIServer pid=8919) INFO 04-08 05:31:30 [model.py:549] Resolved architecture: "
        "Qwen3_5ForConditionalGeneration\n"
        "(APIServer pid=8919) ValueError: Tokenizer class TokenizersBackend does not exist or is not "
        "currently imported.",
        says="TokenizersBackend",
    ),
    Case(
        "tokenizer-class",
        "vllm 0.33.0, tokenizers/hf.py:199: the same, with what vLLM says to it",
        "ValueError: Tokenizer class TokenizersBackend does not exist or is not currently imported.\n"
        "The above exception was the direct cause of the following exception:\n"
        "RuntimeError: Failed to load the tokenizer. If the tokenizer is a custom tokenizer not yet "
        "available in the HuggingFace transformers library, consider setting `trust_remote_code=True` in "
        "LLM or using the `--trust-remote-code` flag in the CLI.",
    ),
    Case(
        "chat-template",
        "vllm-project/vllm#29849",
        "ValueError: As of transformers v4.44, default chat template is no longer allowed, so you must "
        "provide a chat template if the tokenizer does not define one.",
    ),
    Case(
        "chat-template",
        "vllm 0.33.0, renderers/chat_utils/chat_template.py:92",
        "vllm.exceptions.VLLMValidationError: The supplied chat template (/srv/t.jinja) looks like a file "
        "path, but it failed to be opened. Tried: /srv/t.jinja",
    ),
    Case(
        "model-path",
        "hiyouga/LlamaFactory#8266",
        "huggingface_hub.errors.HFValidationError: Repo id must be in the form 'repo_name' or "
        "'namespace/repo_name': '/data01/publica/user/projects/llm_models/Qwen/Qwen3-1_7B-Base'. Use "
        "`repo_type` argument if needed.",
        says="/data01/publica/user/projects/llm_models/Qwen/Qwen3-1_7B-Base",
    ),
    Case(
        "model-path",
        "vllm 0.33.0, model_executor/model_loader/default_loader.py:260",
        "RuntimeError: Cannot find any model weights with `/models/qwen`",
    ),
    Case(
        "gguf-unreadable",
        "llama-server 0.7.0, seen on a test host",
        "E gguf_init_from_file: failed to open GGUF file '/home/a/x.gguf' (Permission denied)",
        LLAMA,
        "readable for every user",
    ),
    Case(
        "gguf-broken",
        "llama-server 0.7.0, seen on a test host",
        "E gguf_init_from_reader: invalid magic characters: 'lead', expected 'GGUF'",
        LLAMA,
        "the model file is no GGUF file",
    ),
    Case(
        "gguf-broken",
        "llama.cpp 0.7.0, src/llama-model-loader.h:48",
        "E llama_model_load: error loading model: tensor 'blk.13.ffn_up.weight' data is not within the "
        "file bounds, model is corrupted or incomplete",
        LLAMA,
    ),
    Case(
        "weights-broken",
        "QwenLM/Qwen3-VL#264",
        '  File "/workspace/vllm/vllm-venv/lib/python3.10/site-packages/vllm/model_executor/model_loader/'
        'weight_utils.py", line 406, in safetensors_weights_iterator\n'
        '    with safe_open(st_file, framework="pt") as f:\n'
        "safetensors_rust.SafetensorError: Error while deserializing header: MetadataIncompleteBuffer",
        says="MetadataIncompleteBuffer",
    ),
    Case(
        "module-missing",
        "flox/sglang-runtime README, Troubleshooting: sglang serve crashes on import",
        "ModuleNotFoundError: No module named 'remote_pdb'",
        SGLANG,
        "remote_pdb",
    ),
    # Memory
    Case(
        "gpu-memory-taken",
        "vllm-project/vllm#25837",
        CORE
        + "    raise ValueError(\n"
        + CORE
        + "ValueError: Free memory on device (3.22/4.0 GiB) on "
        "startup is less than desired GPU memory utilization (0.9, 3.6 GiB). Decrease GPU memory "
        "utilization or reduce GPU memory used by other processes.\n"
        "(EngineCore_DP0 pid=17374) Process EngineCore_DP0:\n"
        "(EngineCore_DP0 pid=17374) Traceback (most recent call last):\n"
        "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}",
        says="vllm_models.alpha.settings.gpu-memory-utilization",
    ),
    Case(
        "gpu-memory-taken",
        "sgl-project/sglang#5416",
        "ValueError: The memory capacity is unbalanced. Some GPUs may be occupied by other processes. "
        "min_per_gpu_memory=8.8841552734375, local_gpu_memory=11.901611328125, local_gpu_memory * "
        "0.9=10.7114501953125",
        SGLANG,
        "sglang_models.beta.devices",
    ),
    Case(
        "weights-memory",
        "a public note on Gemma 4 31B and a RTX 5090, April 2026; vllm 0.33.0, "
        "v1/worker/gpu_model_runner.py:5078",
        "(EngineCore pid=36704) ERROR 04-07 15:58:28 [gpu_model_runner.py:4818] Failed to load model - not "
        "enough GPU memory. Try lowering --gpu-memory-utilization to free memory for weights, increasing "
        "--tensor-parallel-size, or using --quantization. See "
        "https://docs.vllm.ai/en/latest/configuration/conserving_memory/ for more tips. (original error: "
        "CUDA out of memory. Tried to allocate 112.00 MiB. GPU 0 has a total capacity of 31.36 GiB of which "
        "53.06 MiB is free. Including non-PyTorch memory, this process has 31.30 GiB memory in use.)",
    ),
    Case(
        "weights-memory-trace",
        "vllm-project/vllm#16343",
        'ERROR 04-09 05:39:54 [core.py:390]   File "/usr/local/lib/python3.12/dist-packages/vllm/'
        'model_executor/models/utils.py", line 610, in make_layers\n'
        'ERROR 04-09 05:39:54 [core.py:390]     maybe_offload_to_cpu(layer_fn(prefix=f"{prefix}.{idx}"))\n'
        "ERROR 04-09 05:39:54 [core.py:390] torch.OutOfMemoryError: CUDA out of memory. Tried to allocate "
        "350.00 MiB. GPU 0 has a total capacity of 23.68 GiB of which 212.81 MiB is free.",
        says="tensor-parallel-size",
    ),
    Case(
        "weights-memory",
        "ggml-org/llama.cpp#20431",
        "load_tensors: loading model tensors, this can take a while... (mmap = true, direct_io = false)\n"
        "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 144817.04 MiB on device 0: cudaMalloc "
        "failed: out of memory\n"
        "alloc_tensor_range: failed to allocate CUDA0 buffer of size 151851674624\n"
        "llama_model_load: error loading model: unable to allocate CUDA0 buffer",
        LLAMA,
        "llama_cpp_models.gamma.settings.n-gpu-layers",
    ),
    Case(
        "kv-cache-memory",
        "vllm-project/vllm#10439",
        'ERROR 11-18 18:07:28 engine.py:366]   File "/usr/local/lib/python3.12/dist-packages/vllm/worker/'
        'worker.py", line 493, in raise_if_cache_size_invalid\n'
        'ERROR 11-18 18:07:28 engine.py:366]     raise ValueError("No available memory for the cache '
        'blocks. "\n'
        "ERROR 11-18 18:07:28 engine.py:366] ValueError: No available memory for the cache blocks. Try "
        "increasing `gpu_memory_utilization` when initializing the engine.",
        says="max-model-len",
    ),
    Case(
        "kv-cache-memory",
        "vllm 0.33.0, v1/core/kv_cache_planning.py:78",
        CORE
        + "ValueError: To serve at least one request with the model's max seq len (131072), (16.0 "
        "GiB KV cache is needed, which is larger than the available KV cache memory (7.4 GiB). Based on "
        "the available memory, the estimated maximum model length is 60544.",
    ),
    Case(
        "kv-cache-memory",
        "sgl-project/sglang#4330",
        "RuntimeError: Not enough memory. Please try to increase --mem-fraction-static.",
        SGLANG,
        "Raise sglang_models.beta.settings.mem-fraction-static",
    ),
    Case(
        "kv-cache-memory",
        "sglang 0.5.23, srt/mem_cache/kv_cache_configurator.py:3051",
        "ValueError: Loaded weights leave no GPU memory for the KV cache under --mem-fraction-static=0.8. "
        "Raise --mem-fraction-static above 0.851 (minimum viable = 1 - available/pre = 0.8504).",
        SGLANG,
    ),
    Case(
        "kv-cache-memory",
        "abetlen/llama-cpp-python#1944",
        "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 204800.00 MiB on device 0: cudaMalloc "
        "failed: out of memory\nllama_kv_cache_init: failed to allocate buffer for kv cache\n"
        "llama_init_from_model: llama_kv_cache_init() failed for self-attention cache",
        LLAMA,
        "ctx-size",
    ),
    Case(
        "kv-cache-memory-trace",
        "sgl-project/sglang#12496",
        '  File "/sgl-workspace/sglang/python/sglang/srt/model_executor/model_runner.py", line 457, in '
        "initialize\n    self.init_memory_pool(\n"
        '  File "/sgl-workspace/sglang/python/sglang/srt/model_executor/model_runner.py", line 1740, in '
        "init_memory_pool\n    self.token_to_kv_pool = MHATokenToKVPool(\n"
        '  File "/sgl-workspace/sglang/python/sglang/srt/mem_cache/memory_pool.py", line 527, in __init__\n'
        "    self._create_buffers()\n"
        '  File "/sgl-workspace/sglang/python/sglang/srt/mem_cache/memory_pool.py", line 600, in '
        "_create_buffers\n    torch.zeros(\n"
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 32.00 MiB. GPU 0 has a total capacity "
        "of 23.52 GiB of which 13.00 MiB is free. Including non-PyTorch memory, this process has 23.48 GiB "
        "memory in use.",
        SGLANG,
        "Lower sglang_models.beta.settings.mem-fraction-static",
    ),
    Case(
        "compute-memory",
        "ollama/ollama#6860 (llama.cpp's own lines)",
        "llama_new_context_with_model: failed to allocate compute buffers",
        LLAMA,
    ),
    Case(
        "profile-memory",
        "vllm-project/vllm#31940, seen as far as its second frame; the third and the last line are "
        f"{NOT_SEEN}",
        '(EngineCore_DP0 pid=65064) ERROR 01-08 11:19:33 [core.py:866]   File "/root/autodl-tmp/data/'
        'miniconda3/envs/vllm_serve/lib/python3.10/site-packages/vllm/v1/engine/core.py", line 109, in '
        "__init__\n"
        "(EngineCore_DP0 pid=65064) ERROR 01-08 11:19:33 [core.py:866]     num_gpu_blocks, num_cpu_blocks, "
        "kv_cache_config = self._initialize_kv_caches(\n"
        '(EngineCore_DP0 pid=65064) ERROR 01-08 11:19:33 [core.py:866]   File "/root/autodl-tmp/data/'
        'miniconda3/envs/vllm_serve/lib/python3.10/site-packages/vllm/v1/engine/core.py", line 240, in '
        "_initialize_kv_caches\n"
        "(EngineCore_DP0 pid=65064) ERROR 01-08 11:19:33 [core.py:866]     available_gpu_memory = "
        "self.model_executor.determine_available_memory()\n"
        '(EngineCore_DP0 pid=65064) ERROR 01-08 11:19:33 [core.py:866]   File "/x/vllm/v1/worker/'
        'gpu_worker.py", line 268, in determine_available_memory\n'
        "(EngineCore_DP0 pid=65064) ERROR 01-08 11:19:33 [core.py:866] torch.OutOfMemoryError: CUDA out of "
        "memory. Tried to allocate 1.16 GiB.",
        says="max-num-batched-tokens",
    ),
    Case(
        "graphs-memory",
        "sgl-project/sglang#5285",
        "[2025-04-11 09:10:11 TP7] Scheduler hit an exception: Traceback (most recent call last):\n"
        '  File "/sgl-workspace/sglang/python/sglang/srt/model_executor/cuda_graph_runner.py", line 269, in '
        "__init__\n    raise Exception(\n"
        "Exception: Capture cuda graph failed: CUDA out of memory. Tried to allocate 448.00 MiB. GPU 7 has "
        "a total capacity of 95.00 GiB\nPossible solutions:\n"
        "1. set --mem-fraction-static to a smaller value (e.g., 0.8 or 0.7)\n"
        "[2025-04-11 09:10:12] Received sigquit from a child process. It usually means the child failed.",
        SGLANG,
        "Lower sglang_models.beta.settings.mem-fraction-static",
    ),
    Case(
        "graphs-memory-trace",
        "vllm-project/vllm#19186",
        '(VllmWorker rank=3 pid=1090) ERROR 06-05 06:18:13 [multiproc_executor.py:470]   File "/usr/local/'
        'lib/python3.10/site-packages/torch/cuda/graphs.py", line 84, in capture_end\n'
        "(VllmWorker rank=3 pid=1090) ERROR 06-05 06:18:13 [multiproc_executor.py:470]     super()."
        "capture_end()\n"
        "(VllmWorker rank=3 pid=1090) ERROR 06-05 06:18:13 [multiproc_executor.py:470] RuntimeError: CUDA "
        "error: out of memory\n"
        "(VllmWorker rank=3 pid=1090) ERROR 06-05 06:18:13 [multiproc_executor.py:470] CUDA kernel errors "
        "might be asynchronously reported at some other API call, so the stacktrace below might be "
        "incorrect.",
        says="cudagraph-capture-sizes",
    ),
    Case(
        "graphs-memory-trace",
        "vllm-project/vllm#39788",
        "(Worker_TP2 pid=99) ERROR 04-09 20:31:10 [multiproc_executor.py:949] WorkerProc hit an exception.\n"
        '(Worker_TP2 pid=99) ERROR 04-09 20:31:10 [multiproc_executor.py:949]   File "/usr/local/lib/'
        'python3.12/dist-packages/vllm/v1/executor/multiproc_executor.py", line 944, in worker_busy_loop\n'
        '(Worker_TP2 pid=99) ERROR 04-09 20:31:10 [multiproc_executor.py:949]   File "/usr/local/lib/'
        'python3.12/dist-packages/vllm/v1/worker/gpu_model_runner.py", line 5684, in capture_model\n'
        "(Worker_TP2 pid=99) ERROR 04-09 20:31:10 [multiproc_executor.py:949] torch.OutOfMemoryError: CUDA "
        "out of memory. Tried to allocate 224.00 MiB.",
    ),
    Case(
        "warm-up-memory",
        "vllm 0.33.0, v1/worker/gpu_model_runner.py:5930",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 594.00 MiB.\n"
        "The above exception was the direct cause of the following exception:\n"
        "RuntimeError: CUDA out of memory occurred when warming up sampler with 1024 dummy requests. "
        "Please try lowering `max_num_seqs` or `gpu_memory_utilization` when initializing the engine.",
        says="max-num-seqs",
    ),
    Case(
        "prefill-memory",
        "sgl-project/sglang#34676",
        "RuntimeError: Prefill out of memory. Try to lower your batch size.\n"
        "Try to allocate 8192 tokens.\n"
        "Available full tokens: 8070656 (full_available_size=7936 + full_evictable_size_=8062720)",
        SGLANG,
        "chunked-prefill-size",
    ),
    Case(
        "serving-memory",
        "noonghunna/club-3090#58 (vllm 0.20.1)",
        "(EngineCore pid=104) ERROR 05-05 12:36:59 [core.py:1131] EngineCore encountered a fatal error.\n"
        "(APIServer pid=1) ERROR 05-05 12:36:59 [serving.py:1173] vllm.v1.engine.exceptions."
        "EngineDeadError: EngineCore encountered an issue. See stack trace (above) for the root cause.\n"
        '(EngineCore pid=104)   File "/usr/local/lib/python3.12/dist-packages/vllm/v1/engine/core.py", line '
        "1170, in run_busy_loop\n(EngineCore pid=104)     self._process_engine_step()\n"
        "(EngineCore pid=104) torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 50.00 MiB. GPU "
        "0 has a total capacity of 23.56 GiB of which 56.88 MiB is free.",
        says="max-num-batched-tokens",
    ),
    Case(
        "serving-memory",
        "sgl-project/sglang#5212",
        "[2025-04-09 17:19:56] Received sigquit from a child process. It usually means the child failed.\n"
        "[2025-04-09 17:19:56 TP5] Scheduler hit an exception: Traceback (most recent call last):\n"
        '  File "/sgl-workspace/sglang/python/sglang/srt/managers/scheduler.py", line 608, in '
        "event_loop_normal\n    result = self.run_batch(batch)\n"
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 31.25 GiB.",
        SGLANG,
        "chunked-prefill-size",
    ),
    Case(
        "gpu-memory",
        "vllm-project/vllm#15598, its title",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 MiB. GPU 6 has a total capacity "
        "of 44.53 GiB of which 448.00 KiB is free.",
        says="gpu-memory-utilization",
    ),
    Case(
        "gpu-memory",
        "noonghunna/club-3090#60 (vllm 0.20), the end of its traceback",
        "(EngineCore pid=77) ERROR 05-05 07:35:19 [core.py:1136]     return torch.ops._C.gptq_marlin_repack(\n"
        "(EngineCore pid=77) ERROR 05-05 07:35:19 [core.py:1136] RuntimeError: CUDA driver error: out of memory",
    ),
    Case(
        "host-memory",
        "bennettoxford/openprescribing#5431",
        "user@1021.service: A process of this unit has been killed by the OOM killer.",
        says="want of memory",
    ),
    Case(
        "killed",
        "vllm 0.33.0, v1/executor/multiproc_executor.py:381; public notes quote it with this code; what "
        f"stands before it is {NOT_SEEN}",
        "(EngineCore pid=104) ERROR 09-01 10:00:00 [multiproc_executor.py:385] Worker proc VllmWorker-0 "
        "died unexpectedly (exit code: -9), shutting down executor.",
    ),
    Case(
        "killed",
        "sgl-project/sglang#15235",
        "[12-16 14:27:08] Rank 0 scheduler is dead. Please check if there are relevant logs.\n"
        "[12-16 14:27:10] Exit code: -9",
        SGLANG,
    ),
    Case(
        "killed",
        "sgl-project/sglang#5096",
        "./entrypoint.sh: line 48: 28 Killed python3 -m sglang.launch_server --host 0.0.0.0 --port ...",
        SGLANG,
    ),
    Case(
        "shared-memory",
        "sgl-project/sglang#5096; hiyouga/EasyR1#228",
        "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:3384, unhandled system "
        "error\nncclSystemError: System call (e.g. socket, malloc) or external library call failed or "
        "device error.\nLast error:\n"
        "Error while creating shared memory segment /dev/shm/nccl-UmqSM9 (size 7340384)\n"
        "[2025-04-05 00:01:19] Received sigquit from a child process. It usually means the child failed.",
        SGLANG,
        "sglang_models.beta.shm_size",
    ),
    Case(
        "shared-memory",
        "llm-d/llm-d#352",
        "[2025-10-13 09:06:25] vllm-deepseek-ep-decode-0:3663:4044 [0] misc/shmutils.cc:129 NCCL WARN Error "
        "while creating shared memory segment /dev/shm/nccl-Ewjreo (size 33030528), error: No space left "
        "on device (28)",
        says="shm_size",
    ),
    Case(
        "shared-memory",
        "pytorch/ci-infra#490",
        "misc/shmutils.cc:88 NCCL WARN Error: failed to extend /dev/shm/nccl-WU88OE to 9637892 bytes, error: "
        "No space left on device (28)",
    ),
    Case(
        "no-memory-word",
        "ollama/ollama#6860 (llama.cpp's own line)",
        "ggml_gallocr_reserve_n: failed to allocate CUDA4 buffer of size 150995968",
        LLAMA,
    ),
    # GPUs and kernels
    Case(
        "no-gpu",
        "vllm-project/vllm#10717",
        "INFO 05-14 04:44:35 [__init__.py:243] No platform detected, vLLM is running on UnspecifiedPlatform\n"
        "RuntimeError: Failed to infer device type",
        says="vllm_devices",
    ),
    Case(
        "no-gpu",
        "sglang 0.5.23, srt/utils/common.py:1125",
        "RuntimeError: No accelerator (CUDA, XPU, HPU, NPU, MUSA, MPS) or platform plugin is available.",
        SGLANG,
    ),
    Case(
        "no-gpu-library",
        "zai-org/GLM-4#510; vllm-project/vllm#7514",
        "WARNING 10-10 10:22:58 _custom_ops.py:18] Failed to import from vllm._C with "
        "ImportError('libcuda.so.1: cannot open shared object file: No such file or directory')",
    ),
    Case(
        "driver-old",
        "lllyasviel/Fooocus#1313 (PyTorch's message)",
        "RuntimeError: The NVIDIA driver on your system is too old (found version 11040). Please update "
        "your GPU driver by downloading and installing a new version from the URL: "
        "http://www.nvidia.com/Download/index.aspx",
        says="Update the host's driver",
    ),
    Case(
        "driver-old",
        "ovg-project/kvcached#74",
        "RuntimeError: CUDA error: CUDA driver version is insufficient for CUDA runtime version",
    ),
    Case(
        "driver-mixed",
        "gpustack/gpustack#4678",
        "RuntimeError: Unexpected error from cudaGetDeviceCount(). Did you run some cuda functions before "
        "calling NumCudaDevices() that might have already set an error? Error 803: system has unsupported "
        "display driver / cuda driver combination",
        says="LD_LIBRARY_PATH",
    ),
    Case(
        "fabric-manager",
        "huggingface/huggingface_hub#4134",
        "RuntimeError: Unexpected error from cudaGetDeviceCount(). Did you run some cuda functions before "
        "calling NumCudaDevices() that might have already set an error? Error 802: system not yet "
        "initialized",
        says="nvidia-fabricmanager",
    ),
    Case(
        "card-not-built-for",
        "vllm-project/vllm#14452",
        "ERROR 07-28 15:07:22 [core.py:632]     _ = torch.zeros(1, device=device)\n"
        "ERROR 07-28 15:07:22 [core.py:632] RuntimeError: CUDA error: no kernel image is available for "
        "execution on the device",
    ),
    Case(
        "card-not-built-for",
        "vllm-project/vllm#1284",
        "RuntimeError: GPUs with compute capability below 7.0 are not supported.",
    ),
    Case(
        "cdi-device",
        "NVIDIA/nvidia-container-toolkit#146",
        "Error: error setting up CDI devices: unresolvable CDI devices nvidia.com/gpu=all",
        says="knows nvidia.com/gpu=all",
    ),
    Case(
        "cdi-stale",
        "NVIDIA/nvidia-container-toolkit#885",
        "Error: setting up CDI devices: failed to inject devices: failed to stat CDI host device "
        '"/dev/dri/renderD129": no such file or directory',
        says="/dev/dri/renderD129",
    ),
    Case(
        "gpu-permission",
        "NVIDIA/nvidia-container-toolkit#210",
        "Failed to initialize NVML: Insufficient Permissions",
        says="container_use_devices",
    ),
    Case(
        "ecc",
        "zai-org/ChatGLM3#681; vllm-project/vllm#5222",
        "RuntimeError: CUDA error: uncorrectable ECC error encountered\n"
        "CUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below "
        "might be incorrect.",
        says="replace the card",
    ),
    Case(
        "ecc",
        "sgl-project/sglang#3204",
        "Exception: Capture cuda graph failed: CUDA error: uncorrectable ECC error encountered",
        SGLANG,
        "disable-cuda-graph",
    ),
    Case(
        "xid",
        "wilicc/gpu-burn#1",
        "[74889.644138] NVRM: Xid (PCI:0000:02:00): 79, GPU has fallen off the bus.",
        says="PCI:0000:02:00 79",
    ),
    Case(
        "gpu-crash",
        "sgl-project/sglang#1467",
        "RuntimeError: CUDA error: an illegal memory access was encountered",
        SGLANG,
        "disable-cuda-graph",
    ),
    Case(
        "nccl-interface",
        "EvolvingLMMs-Lab/open-r1-multimodal#7",
        "[rank0]: torch.distributed.DistBackendError: NCCL error in: /pytorch/torch/csrc/distributed/c10d/"
        "ProcessGroupNCCL.cpp:2588, internal error - please report this issue to the NCCL developers, NCCL "
        "version 2.21.5\n[rank0]: ncclInternalError: Internal check failed.\n[rank0]: Last error:\n"
        "[rank0]: Bootstrap : no socket interface found",
        says="NCCL_SOCKET_IFNAME",
    ),
    Case(
        "peer-access",
        "vLLM's page of troubleshooting, which points to NVIDIA/nccl#1838; SGLang's pages name "
        "--enable-p2p-check for these words",
        "transport/shm.cc:590 NCCL WARN Cuda failure 217 'peer access is not supported between these two "
        "devices'",
        SGLANG,
        "enable-p2p-check",
    ),
    Case(
        "nccl-timeout",
        "vllm-project/vllm#6042",
        "[rank1]:[E ProcessGroupNCCL.cpp:563] [Rank 1] Watchdog caught collective operation timeout: "
        "WorkNCCL(SeqNum=158046, OpType=GATHER, NumelIn=2867200, NumelOut=0, Timeout(ms)=600000) ran for "
        "600027 milliseconds before timing out.\n"
        "[rank1]:[E ProcessGroupNCCL.cpp:583] [Rank 1] To avoid data inconsistency, we are taking the entire "
        "process down.",
        says="GATHER",
    ),
    Case(
        "nccl",
        "vllm-project/vllm#6732",
        "[rank0]: RuntimeError: NCCL error: unhandled cuda error (run with NCCL_DEBUG=INFO for details)",
        says="NCCL_DEBUG=INFO",
    ),
    Case(
        "compiler-missing",
        "flashinfer-ai/flashinfer#1919",
        "(Worker_TP1 pid=3534) ERROR 10-11 22:28:17 [multiproc_executor.py:694] RuntimeError: Could not find "
        "nvcc",
        says="nvcc",
    ),
    Case(
        "compiler-missing",
        "flashinfer-ai/flashinfer#1781",
        "FileNotFoundError: [Errno 2] No such file or directory: 'nvcc'",
    ),
    Case(
        "compiler-missing",
        "vllm-project/vllm#21960",
        "/bin/sh: 1: /usr/local/cuda/bin/nvcc: not found\nninja: build stopped: subcommand failed.",
    ),
    Case(
        "compiler-missing",
        "vllm-project/vllm#2997",
        "RuntimeError: Failed to find C compiler. Please specify via CC environment variable.",
    ),
    Case(
        "compiler-missing",
        "sgl-project/sglang#5389: wrapped in the capture's own error",
        "Exception: Capture cuda graph failed: Could not find nvcc and default cuda_home='/usr/local/cuda' "
        "doesn't exist\nPossible solutions:",
        SGLANG,
    ),
    Case(
        "kernel-cache",
        "vllm-project/vllm#21858",
        "RuntimeError: vLLM failed to compile the model. The most likely reason for this is that a previous "
        "compilation failed, leading to a corrupted compilation artifact. We recommend trying to remove "
        "~/.cache/vllm/torch_compile_cache and try again to see the real issue.",
        says="onehop vllm clear-caches",
    ),
    Case(
        "kernel-cache",
        "vllm-project/vllm#18851",
        "(VllmWorker rank=1 pid=191128) ERROR 05-28 18:58:32 [multiproc_executor.py:522] AssertionError: "
        "failed to get the hash of the compiled graph",
    ),
    Case(
        "kernel-cache",
        "flashinfer-ai/flashinfer#2010",
        "OSError: /.cache/flashinfer/90/cached_ops/sampling/sampling.so: invalid ELF header",
        SGLANG,
        "onehop sglang clear-caches",
    ),
    Case(
        "kernel-cache",
        f"the loader's words for an image of another version; {NOT_SEEN} with this path",
        "ImportError: /root/.cache/flashinfer/0.6.4/89/cached_ops/sampling/sampling.so: undefined symbol: "
        "_ZN5torch3jit17parseSchemaOrNameERKSsb",
        SGLANG,
        "onehop sglang clear-caches",
    ),
    Case(
        "kernel-build",
        "flashinfer-ai/flashinfer#1166",
        "RuntimeError: Ninja build failed. Ninja output:\n"
        "ninja: Entering directory `/home/ubuntu/.cache/flashinfer/100/cached_ops'",
    ),
    Case(
        "graphs-failed",
        "sgl-project/sglang#4205",
        "Exception: Capture cuda graph failed: [../third_party/gloo/gloo/transport/tcp/pair.cc:534] "
        "Connection closed by peer [127.0.1.1]:30519",
        SGLANG,
        "disable-cuda-graph",
    ),
    Case(
        "library-missing",
        "zai-org/GLM-4#510",
        "ImportError: libcudart.so.12: cannot open shared object file: No such file or directory",
    ),
    Case(
        "engine-dead",
        "vllm-project/vllm#44411",
        "(APIServer pid=395085) RuntimeError: Engine core initialization failed. See root cause above. Failed "
        "core proc(s): {}",
        says="onehop vllm logs",
    ),
    Case(
        "engine-dead",
        "vllm-project/vllm#20657",
        "ERROR 07-04 17:35:16 [multiproc_executor.py:140] Worker proc VllmWorker-1 died unexpectedly, shutting "
        "down executor.",
    ),
    Case(
        "engine-dead",
        "sglang 0.5.23, srt/managers/tokenizer_manager.py:4074",
        "[2026-08-13 10:00:00] SIGQUIT received. signum=3, frame=<frame>. It usually means one child failed.",
        SGLANG,
    ),
    # Hub, host and Podman
    Case(
        "gated",
        "sgl-project/sglang#14644",
        "OSError: You are trying to access a gated repo.\n"
        "Make sure to have access to it at https://huggingface.co/meta-llama/Llama-3.2-1B-Instruct.\n"
        "401 Client Error. (Request ID: Root=1-695139c1-20c276683bbfa05022511a7b;379c2def-ca77)\n\n"
        "Cannot access gated repo for url https://huggingface.co/meta-llama/Llama-3.2-1B-Instruct/resolve/"
        "main/config.json.\n"
        "Access to model meta-llama/Llama-3.2-1B-Instruct is restricted. You must have access to it and be "
        "authenticated to access it. Please log in.",
        SGLANG,
        "environment: HF_TOKEN",
    ),
    Case(
        "gated-refused",
        "ariG23498/gemma3-object-detection#5",
        "Make sure to have access to it at https://huggingface.co/google/gemma-3-4b-pt.\n"
        "403 Client Error. (Request ID: Root=1-6824e511-0a1d60376d4eefac56a9c456;85e8458c-a7d7-452d-b8fe-"
        "576bb259b500)\n\n"
        "Cannot access gated repo for url https://huggingface.co/google/gemma-3-4b-pt/resolve/main/"
        "config.json.\n"
        "Access to model google/gemma-3-4b-pt is restricted and you are not in the authorized list. Visit "
        "https://huggingface.co/google/gemma-3-4b-pt to ask for access.",
        says="Accept the licence",
    ),
    Case(
        "repo-missing",
        "huggingface_hub 2.4.0, utils/_http.py:947",
        "huggingface_hub.errors.RepositoryNotFoundError: 401 Client Error. (Request ID: Root=1-66)\n\n"
        "Repository Not Found for url: https://huggingface.co/api/models/org/private-model/revision/main.",
    ),
    Case(
        "hub-unreachable",
        "KyanChen/RSPrompter#78",
        "urllib3.exceptions.MaxRetryError: HTTPSConnectionPool(host='huggingface.co', port=443): Max retries "
        "exceeded with url: /facebook/sam-vit-base/resolve/main/config.json (Caused by ConnectTimeoutError())\n"
        "huggingface_hub.utils._errors.LocalEntryNotFoundError: An error happened while trying to locate the "
        "file on the Hub and we cannot find the requested files in the local cache.\n"
        "OSError: We couldn't connect to 'https://huggingface.co' to load this file, couldn't find it in the "
        "cached files and it looks like facebook/sam-vit-base is not the path to a directory containing a file "
        "named config.json.",
        says="Stage the model",
    ),
    Case(
        "hub-unreachable",
        "llama.cpp 0.7.0, common/download.cpp:402",
        "E common_download_file_single: download failed after 3 attempts",
        LLAMA,
        "Stage the file",
    ),
    Case(
        "hub-offline",
        "huggingface_hub 2.4.0, file_download.py:1945",
        "huggingface_hub.errors.LocalEntryNotFoundError: Cannot find the requested files in the disk cache and "
        "outgoing traffic has been disabled. To enable hf.co look-ups and downloads online, set "
        "'local_files_only' to False.\n"
        "OSError: We couldn't connect to 'https://huggingface.co' to load the files, and couldn't find them in "
        "the cached files.",
    ),
    Case(
        "hub-transfer",
        "meta-pytorch/torchforge#109",
        "[0] [0] RuntimeError: Data processing error: CAS service error : ReqwestMiddleware Error: Request "
        "failed after 5 retries",
        says="HF_HUB_DISABLE_XET=1",
    ),
    Case(
        "hub-transfer",
        "h2oai/h2ogpt#1554",
        "RuntimeError: An error occurred while downloading using `hf_transfer`. Consider disabling "
        "HF_HUB_ENABLE_HF_TRANSFER for better error handling.",
        SGLANG,
        "HF_HUB_ENABLE_HF_TRANSFER=0",
    ),
    Case(
        "hub-busy",
        "deepspeedai/DeepSpeed-MII#186",
        "huggingface_hub.utils._errors.HfHubHTTPError: 429 Client Error: Too Many Requests for url: "
        "https://huggingface.co/api/models",
    ),
    Case(
        "hub-busy",
        "huggingface_hub 2.4.0, utils/_http.py: hf_raise_for_status, as public notes of August 2026 quote it",
        "(Request ID: Root=1-6a875254-0bb52cd14cfc8aeb61737944;ecac8e7a-6975-45dd-bd1f-97ab4c62e2a6)\n\n"
        "429 Too Many Requests: you have reached your 'api' rate limit.\n"
        "Retry after 76 seconds (0/1000 requests remaining in current 300s window).",
    ),
    Case(
        "image-missing",
        "Podman 5.4.2, seen on a test host",
        "Error: docker.io/vllm/vllm-openai:v0.33.0: image not known",
        says="docker.io/vllm/vllm-openai:v0.33.0",
    ),
    Case(
        "image-wrong",
        "containers/crun#1688",
        "Error: crun: executable file `nonexistent` not found in $PATH: No such file or directory: OCI runtime "
        "attempted to invoke a command that was not found",
        says="no program nonexistent",
    ),
    Case(
        "disk-full",
        "huggingface/diffusers#4957",
        "OSError: [Errno 28] No space left on device",
        says="vllm_cache_dir",
    ),
    Case(
        "disk-small",
        "huggingface_hub 2.4.0, file_download.py:774; huggingface/huggingface_hub#2742",
        "UserWarning: Not enough free disk space to download the file. The expected file size is: 4983.51 MB. "
        "The target location /root/.cache/huggingface/hub only has 2.10 MB free disk space.",
        SGLANG,
        "4983.51 MB",
    ),
    Case(
        "permission",
        "tenstorrent/tt-inference-server#37",
        "PermissionError: [Errno 13] Permission denied: '/home/user/cache_root/huggingface'",
        says="/home/user/cache_root/huggingface",
    ),
    Case(
        "selinux",
        "podman-container-tools/podman#25919",
        "Error: lsetxattr(label=system_u:object_r:container_file_t:s0:c27,c424) "
        "/home/barrett/Documents/some_place/some_place: operation not permitted\n"
        "Error: unable to start container "
        '"04960032e3428a32ab30481438f5997d089dbf0008668d4bae17c2ac07c16d59": '
        "lsetxattr(label=system_u:object_r:container_file_t:s0:c27,c424) "
        "/home/barrett/Documents/some_place/some_place: operation not permitted",
        says="container_config: {SecurityLabelDisable: true}",
    ),
    Case(
        "selinux",
        "podman-container-tools/podman#21405",
        "Error: preparing container 0711bab605a0374077dc6feb5b840ee801b39935236836d10b0b57779902c415 for "
        "attach: lsetxattr /mypwdpath/.cargo: operation not supported",
    ),
    Case(
        "mount-missing",
        "podman-container-tools/podman#18444",
        "Error: statfs /Users/doberkofler/ords/doc_root/lj_unittest: no such file or directory",
        says="/Users/doberkofler/ords/doc_root/lj_unittest",
    ),
    Case(
        "read-only",
        "Center-for-AI-Innovation/LLMFlux#124 (vLLM in Apptainer)",
        "OSError: [Errno 30] Read-only file system: "
        "'/projects/bfmz/minum/llmflux-data/.cache/flashinfer'",
        says="/projects/bfmz/minum/llmflux-data/.cache/flashinfer",
    ),
    Case(
        "port-in-use",
        "vllm-project/vllm#7514",
        '  File "/home/users/zoobab/mnt/vllm/entrypoints/openai/api_server.py", line 530, in run_server\n'
        '    temp_socket.bind(("", args.port))\nOSError: [Errno 98] Address already in use',
        says="Write another port",
    ),
    Case(
        "port-in-use",
        "llama.cpp 0.7.0, tools/server/server-http.cpp:517",
        "E srv  llama_server: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 18001",
        LLAMA,
        "Write another port",
    ),
    Case(
        "port-in-use",
        "vllm-project/vllm#11617",
        "RuntimeError: The server socket has failed to listen on any local network address. useIpv6: 0, code: "
        "-98, name: EADDRINUSE, message: address already in use",
    ),
    Case(
        "open-files",
        "mlcommons/endpoints#110; vllm-project/vllm#7920",
        "zmq.error.ZMQError: Too many open files",
        says="vllm_open_files_limit",
    ),
    Case(
        "processes",
        "podman-container-tools/podman#25703",
        "OpenBLAS blas_thread_init: pthread_create failed for thread 22 of 48: Resource temporarily "
        "unavailable\nOpenBLAS blas_thread_init: RLIMIT_NPROC 1048576 current, 1048576 max",
        says="PidsLimit: -1",
    ),
    Case(
        "illegal-instruction",
        "intel/ipex-llm#12922",
        "start-vllm-service.sh: line 18:  1669 Illegal instruction     (core dumped) python -m "
        "vllm.entrypoints.openai.api_server",
        says="portable build",
    ),
    Case(
        "illegal-instruction",
        f"vllm 0.33.0, v1/executor/multiproc_executor.py:381, with SIGILL's code; {NOT_SEEN}",
        "Worker proc VllmWorker-0 died unexpectedly (exit code: -4), shutting down executor.",
    ),
    Case(
        "crash",
        "vllm-project/vllm#44780",
        '!!!!!!! Segfault encountered !!!!!!!\n  File "<unknown>", line 0, in cuMemcpyBatchAsync',
    ),
    Case("crash", "vllm-project/vllm#6252", "Fatal Python error: Segmentation fault"),
    Case(
        "scheduler-hangs",
        "sglang 0.5.23, srt/utils/watchdog.py:154; sglang's own skill on hangs and tests quote it; the time "
        f"is {NOT_SEEN}",
        "[2026-02-01 10:00:00 TP0] Scheduler watchdog timeout (self.watchdog_timeout=300, self.soft=False)\n"
        "[2026-02-01 10:00:05] Received sigquit from a child process. It usually means the child failed.",
        SGLANG,
        "watchdog-timeout",
    ),
    Case(
        "engine-timeout",
        "vllm 0.33.0, v1/engine/core_client.py:764",
        "TimeoutError: Timed out waiting for engine core processes to start. This is often caused by slow "
        "weight loading for large models. Waited 600s (configured by VLLM_ENGINE_READY_TIMEOUT_S). To increase "
        "the timeout, set the environment variable: VLLM_ENGINE_READY_TIMEOUT_S=<seconds>",
        says="vllm_models.alpha.environment",
    ),
    Case(
        "ids-too-few",
        "podman-container-tools/podman#22092",
        "Error: copying system image from manifest list: writing blob: adding layer with blob "
        '"sha256:55c239a204a015f673c4ded573a854b404bc9f90c021aec4b8d321aaea3e151f": processing tar '
        "file(potentially insufficient UIDs or GIDs available in user namespace (requested 172761424:0 for "
        '/opt/app): Check /etc/subuid and /etc/subgid if configured locally and run "podman system '
        'migrate": lchown /opt/app: invalid argument): exit status 1',
        says="vllm_subuid_count",
    ),
    Case(
        "user-namespace",
        "podman-container-tools/podman#20336",
        "running `/usr/bin/newuidmap 16111 0 500 1 1 10000 65536`: newuidmap: open of uid_map failed: "
        "Permission denied\n"
        'Error: cannot set up namespace using "/usr/bin/newuidmap": exit status 1',
    ),
    Case(
        "user-namespace",
        "podman-container-tools/podman#12147 (Podman 3.4)",
        "Error: cannot setup namespace using newuidmap: exit status 1",
    ),
    Case(
        "start-timeout",
        "the known problems of NixBlitz (ExecStartPost=, systemd 257)",
        "clightning.service: start-post operation timed out. Terminating.\n"
        "clightning.service: Control process exited, code=killed, status=15/TERM\n"
        "clightning.service: Failed with result 'timeout'.",
        says="vllm_models.alpha.start_timeout",
    ),
    Case(
        "start-timeout",
        "systemd 239 and older, src/core/service.c: service_dispatch_timer; their other words",
        "lxd.service: Start-post operation timed out. Stopping.",
        says="vllm_models.alpha.start_timeout",
    ),
    Case(
        "start-timeout",
        "systemd 252, /usr/lib/systemd/systemd: '%s operation timed out. Killing.' "
        f"(TimeoutStartFailureMode=kill); {NOT_SEEN}",
        "vllm-alpha.service: start operation timed out. Killing.",
    ),
    Case(
        "restarted-too-often",
        "akamai/akr#29",
        "akr.service: Scheduled restart job, restart counter is at 5.\n"
        "Stopped akr.\n"
        "akr.service: Start request repeated too quickly.\n"
        "akr.service: Failed with result 'exit-code'.\n"
        "Failed to start akr.",
    ),
    Case(
        "watchdog",
        "FRRouting/frr#9778",
        "room-assistant.service: Watchdog timeout (limit 1min)!\n"
        "room-assistant.service: Killing process 9998 (node) with signal SIGABRT.\n"
        "room-assistant.service: Main process exited, code=killed, status=6/ABRT\n"
        "room-assistant.service: Failed with result 'watchdog'.",
    ),
    Case(
        "working-directory",
        "creativeprojects/resticprofile#552",
        "resticprofile-backup@profile-laptop.service: Changing to the requested working directory failed: "
        "No such file or directory\n"
        "resticprofile-backup@profile-laptop.service: Failed at step CHDIR spawning "
        "/home/username/bin/resticprofile: No such file or directory",
    ),
    Case(
        "program-missing",
        "NixOS/nixpkgs#197982",
        "podman.service: Failed to locate executable podman: No such file or directory\n"
        "podman.service: Failed at step EXEC spawning podman: No such file or directory\n"
        "podman.service: Main process exited, code=exited, status=203/EXEC\n"
        "podman.service: Failed with result 'exit-code'.",
    ),
    Case(
        "group-missing",
        "openhab/openhabian#1422",
        "habapp.service: Failed to determine group credentials: No such process\n"
        "habapp.service: Failed at step GROUP spawning /opt/habapp/bin/habapp: No such process\n"
        "habapp.service: Main process exited, code=exited, status=216/GROUP",
    ),
    Case(
        "user-missing",
        "miniflux/v2#873",
        "miniflux.service: Failed to determine user credentials: No such process\n"
        "miniflux.service: Failed at step USER spawning /usr/bin/miniflux: No such process\n"
        "miniflux.service: Main process exited, code=exited, status=217/USER",
    ),
    Case(
        "sandbox",
        "systemd/systemd#10032",
        "systemd-hostnamed.service: Failed to set up mount namespacing: Permission denied\n"
        "systemd-hostnamed.service: Failed at step NAMESPACE spawning "
        "/usr/lib/systemd/systemd-hostnamed: Permission denied\n"
        "systemd-hostnamed.service: Main process exited, code=exited, status=226/NAMESPACE",
        LLAMA,
    ),
    Case(
        "credential",
        "systemd/systemd#33953",
        "my_test.service: Failed to set up credentials: Protocol error\n"
        "my_test.service: Failed at step CREDENTIALS spawning /usr/bin/env: Protocol error",
        LLAMA,
    ),
    Case(
        "credential",
        "systemd/systemd#34809",
        "systemd-sysusers.service: Failed to set up credentials: Invalid argument\n"
        "systemd-sysusers.service: Main process exited, code=exited, status=243/CREDENTIALS",
        LLAMA,
    ),
)

HARMLESS = (
    Case(
        None,
        f"sglang 0.5.9: the dump of its settings at every start, shortened; {NOT_SEEN} in this form",
        "[2025-08-06 20:26:20] server_args=ServerArgs(model_path='Qwen/Qwen3-8B', mem_fraction_static=0.88, "
        "watchdog_timeout=300, quantization=None, attention_backend='fa3', disable_cuda_graph=False)",
        SGLANG,
    ),
    Case(
        None,
        f"uvicorn's access log: vLLM's and a bare one, from public logs; the one of 429 is {NOT_SEEN}",
        '(APIServer pid=1) INFO:     127.0.0.1:50696 - "POST /v1/chat/completions HTTP/1.1" 401 Unauthorized\n'
        'INFO:     10.244.0.82:45411 - "POST /v1/chat/completions HTTP/1.1" 401 Unauthorized\n'
        'INFO:     10.244.0.82:45411 - "POST /v1/chat/completions HTTP/1.1" 429 Too Many Requests',
    ),
    Case(
        None,
        "vllm-project/vllm#7593",
        "(VllmWorkerProcess pid=13109) INFO 08-19 07:51:12 model_runner.py:1028] CUDA graphs can take additional "
        "1~3 GiB memory per GPU. If you are running out of memory, consider decreasing `gpu_memory_utilization`",
    ),
    Case(
        None,
        "vllm-project/vllm#15598",
        "RayWorkerWrapper pid=1861983) INFO 03-27 10:29:03 [model_runner.py:1442] Capturing cudagraphs for "
        "decoding. If out-of-memory error occurs during cudagraph capture, consider decreasing "
        "`gpu_memory_utilization` or switching to eager mode.",
    ),
    Case(
        None,
        "sglang 0.5.23: what stands in its help text",
        "  --mem-fraction-static MEM_FRACTION_STATIC The fraction of the memory used for static allocation (model "
        "weights and KV cache memory pool). Use a smaller value if you see out-of-memory errors.",
        SGLANG,
    ),
    Case(
        None,
        "vllm-project/vllm#35061",
        "(EngineCore_DP0 pid=333) INFO 02-22 23:21:42 [shm_broadcast.py:548] No available shared memory broadcast "
        "block found in 60 seconds. This typically happens when some processes are hanging",
    ),
    Case(
        None,
        f"vllm 0.33.0 with requests logged: a prompt that is about failures; {NOT_SEEN}",
        "INFO 09-01 10:00:00 [logger.py:42] Received request cmpl-1: prompt: 'CUDA error: out of memory. No space "
        "left on device', params: SamplingParams(n=1)",
    ),
    Case(
        None,
        f"sglang with --log-requests: the same; {NOT_SEEN}",
        "[2025-09-01 10:00:00] Receive: obj=GenerateReqInput(text='torch.OutOfMemoryError: CUDA out of memory')",
        SGLANG,
    ),
    Case(
        None,
        "llama.cpp 0.7.0: an ordinary start",
        "0.00.189.952 I load_tensors: loading model tensors, this can take a while... (mmap = true)\n"
        "warning: no usable GPU found, --gpu-layers option will be ignored\n"
        "main: server is listening on http://127.0.0.1:8080",
        LLAMA,
    ),
    Case(
        None,
        "ggml-org/llama.cpp#26297, overcome by a second try; without its error line nothing is said",
        "1.06.520.107 W sched_reserve: compute buffer allocation failed, retrying without pipeline parallelism",
        LLAMA,
    ),
    Case(None, "Podman's own note of an event", "container remove fc343463c401ffeb268aaf30"),
    Case(None, "nothing", ""),
    Case(None, "something that nobody has seen", "something nobody has seen"),
)
