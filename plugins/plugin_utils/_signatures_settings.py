# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures of what was asked of an engine and cannot be: flags, lengths, models, quantisation.

This plugin util is private to the collection.
"""

from __future__ import annotations

from ansible_collections.onehop.llm.plugins.plugin_utils._signature import (
    EFFECT,
    GENERIC,
    LIKELY,
    Signature,
)

_FLAGS = "Flags are written without the leading dashes, in {settings} or {role}_model_settings"

ROWS = (
    Signature(
        id="flag-unknown",
        example="vllm serve: error: unrecognized arguments: --no-such-flag",
        patterns=(r"error: unrecognized arguments: (.+)",),
        cause="the engine of this version does not know {0}",
        mend=f"Look the flag up for the version of the image. {_FLAGS}.",
    ),
    Signature(
        id="flag-unknown-llama",
        role="llama_cpp",
        example="error: invalid argument: --ctx-sise",
        patterns=(r"error: invalid argument: (\S+)",),
        cause="llama-server does not know {0}",
        mend=f"Look it up in llama-server --help. {_FLAGS}.",
    ),
    Signature(
        id="flag-value",
        example=(
            "launch_server.py: error: argument --dtype: invalid choice: 'fp16' (choose from 'auto', "
            "'half', 'float16', 'bfloat16', 'float', 'float32')"
        ),
        patterns=(
            r"error: argument ([^:\s]+)[^:]*: (.+)",
            r'error while handling argument "([^"]+)": (.+)',
        ),
        cause="the engine refuses what {0} is set to: {1}",
        mend=f"Write another value. {_FLAGS}.",
    ),
    Signature(
        id="tool-parser",
        example="KeyError: 'invalid tool call parser: hermes2 (chose from { hermes,llama3_json })'",
        patterns=(
            r"invalid (?:tool call|reasoning) parser: (\S+)",
            r"(--enable-auto-tool-choice) requires --tool-call-parser",
        ),
        cause="{0} cannot parse tool calls or reasoning in this version",
        mend="Set {settings}.tool-call-parser to one of those that the line names.",
    ),
    Signature(
        id="context-too-long",
        example=(
            "ValueError: User-specified max_model_len (131072) is greater than the derived "
            "max_model_len (max_position_embeddings=32768 or model_max_length=None in model's "
            "config.json). To allow overriding this maximum, set the env var "
            "VLLM_ALLOW_LONG_MAX_MODEL_LEN=1."
        ),
        patterns=(
            r"(?:Error:|Value error,) (?:Warning: )?User-specified (?:max_model_len|context_length) "
            r"\((\d+)\) is greater than the derived (?:max_model_len|context_length) \(([^)]*)",
        ),
        cause="a context of {0} is longer than the model was made for ({1})",
        mend="Lower {settings}.max-model-len, or give the model's rope scaling by hf-overrides.",
        mends={
            "sglang": "Lower {settings}.context-length, or give the model's rope scaling by "
            "json-model-override-args."
        },
    ),
    Signature(
        id="batch-too-small",
        example=(
            "ValueError: max_num_batched_tokens (2048) is smaller than max_model_len (32768). This "
            "effectively limits the maximum sequence length to max_num_batched_tokens and makes vLLM "
            "reject longer sequences."
        ),
        patterns=(r"max_num_batched_tokens \((\d+)\) is smaller than max_model_len \((\d+)\)",),
        cause="a step of {0} tokens is too small for a context of {1} without chunked prefill",
        mend="Raise {settings}.max-num-batched-tokens, lower max-model-len, or leave "
        "enable-chunked-prefill on.",
    ),
    Signature(
        id="heads-not-divisible",
        example=(
            "ValueError: Total number of attention heads (52) must be divisible by tensor parallel "
            "size (8)."
        ),
        patterns=(
            r"Total number of attention heads \((\d+)\) must be divisible by tensor parallel size "
            r"\((\d+)\)",
        ),
        cause="{0} attention heads cannot be shared by {1} GPUs",
        mend="Set {settings}.tensor-parallel-size to a divisor of {0}, and {model}.devices to as "
        "many GPUs; pipeline-parallel-size has no such limit.",
    ),
    Signature(
        id="gpus-too-few",
        example=(
            "ValueError: World size (4) is larger than the number of available GPUs (1) in this node."
        ),
        patterns=(
            r"World size \((\d+)\) is larger than the number of available GPUs \((\d+)\)",
            r"CUDA error: (invalid device ordinal)",
            r"(Duplicate GPU detected)",
        ),
        cause="the model is to be spread over more GPUs than it gets ({0})",
        mend="Give {model}.devices as many GPUs as tensor-parallel-size times "
        "pipeline-parallel-size, or lower these.",
    ),
    Signature(
        id="lora-rank",
        example="ValueError: LoRA rank 64 is greater than max_lora_rank 16.",
        patterns=(r"LoRA rank (\d+) is greater than max_lora_rank (\d+)",),
        cause="an adapter has rank {0}, and only {1} are allowed for",
        mend="Set {settings}.max-lora-rank to {0} or more.",
    ),
    Signature(
        id="quantization-mismatch",
        example=(
            "ValueError: Quantization method specified in the model config (gptq) does not match the "
            "quantization method specified in the `quantization` argument (gptq_marlin)."
        ),
        patterns=(
            r"Quantization method specified in the model config \((\S+)\) does not match the "
            r"quantization method specified in the `?quantization`? argument \((\S+)\)",
        ),
        cause="the weights are quantised as {0}, and {1} was asked for",
        mend="Leave {settings}.quantization out: it is read from the model's config.json.",
    ),
    Signature(
        id="quantization-unknown",
        example="ValueError: Unknown quantization method: awq_gpu. Must be one of ['awq', 'fp8'].",
        patterns=(r"Unknown quantization method: (\S+?)\. Must",),
        cause="this version knows no quantisation {0}",
        mend="Write one of those that the line names into {settings}.quantization, or use another "
        "version of the image: {role}_tag.",
    ),
    Signature(
        id="quantization-card",
        example=(
            "ValueError: The quantization method awq is not supported for the current GPU. Minimum "
            "capability: 75. Current capability: 70."
        ),
        patterns=(
            r"quantization method (\S+) is not supported for the current GPU\. Minimum "
            r"capability: (\d+)\. Current capability: (\d+)",
        ),
        cause="{0} needs a GPU of compute capability {1}, and this one has {2} (in tenths)",
        mend="Serve the model in another quantisation, or give it another GPU: {model}.devices.",
    ),
    Signature(
        id="quantization-dtype",
        example=(
            "ValueError: torch.bfloat16 is not supported for quantization method awq. Supported "
            "dtypes: [torch.float16]"
        ),
        patterns=(
            r"(?<!\S)(\S+) is not supported for quantization method (\S+)\. Supported dtypes: (.+)",
        ),
        cause="{1} cannot reckon in {0}, only in {2}",
        mend="Set {settings}.dtype to float16.",
    ),
    Signature(
        id="dtype-card",
        example=(
            "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0. "
            "Your Tesla T4 GPU has compute capability 7.5. You can use float16 instead by explicitly "
            "setting the `dtype` flag in CLI, for example: --dtype=half."
        ),
        patterns=(
            r"Bfloat16 is only supported on GPUs with compute capability of at least 8\.0\. "
            r"Your (.+? GPU)",
        ),
        cause="{0} cannot reckon in bfloat16",
        mend="Set {settings}.dtype to float16.",
    ),
    Signature(
        id="fp8-card",
        example=(
            'ValueError("type fp8e4nv not supported in this architecture. The supported fp8 dtypes '
            "are ('fp8e4b15', 'fp8e5')\")"
        ),
        patterns=(
            r"type fp8e4nv not supported in this architecture",
            r"native FP8 \(fp8e4nv\) requires SM89",
        ),
        cause="the GPU cannot reckon in this kind of FP8, which takes compute capability 8.9",
        mend="Serve the model in another quantisation, leave {settings}.kv-cache-dtype out, or give "
        "it another GPU: {model}.devices.",
    ),
    Signature(
        id="attention-backend",
        example=(
            "AssertionError: FlashAttention v3 Backend requires SM>=80 and SM<=90. Please use "
            "`--attention-backend flashinfer`."
        ),
        patterns=(
            r"(FlashAttention v3 Backend) requires SM>=80",
            r"(FlashAttention) only supports Ampere GPUs or newer",
            r"No valid attention backend found for (\S+)",
            r"FlashInfer requires GPUs with (sm75) or higher",
        ),
        cause="the GPU cannot run the attention kernels that were chosen ({0})",
        mend="Set {settings}.attention-backend to TRITON_ATTN, or use another image.",
        mends={
            "sglang": "Set {settings}.attention-backend to triton; on a T4 also dtype to float16, and "
            "disable-cuda-graph where capturing fails."
        },
    ),
    Signature(
        id="remote-code",
        example=(
            "ValueError: The repository for microsoft/Phi-3-small-8k-instruct contains custom code "
            "which must be executed to correctly load the model. You can inspect the repository "
            "content at https://hf.co/microsoft/Phi-3-small-8k-instruct."
        ),
        patterns=(
            r"contains custom code which must be executed",
            r"Please pass the argument `trust_remote_code=True`",
            r"requires you to execute the (?:configuration|tokenizer|modeling) file in that repo",
            r"consider setting `trust_remote_code=True`",
        ),
        cause="the model brings code of its own, and nobody allowed it to run",
        mend="Read that code; where it is fine, set {settings}.trust-remote-code to true, and "
        "revision to what was read.",
        rank=LIKELY,
    ),
    Signature(
        id="architecture",
        example=(
            "ValueError: Model architectures ['Qwen9ForCausalLM'] are not supported for now. "
            "Supported architectures: dict_keys(['AquilaModel'])"
        ),
        patterns=(
            r"Model architectures \[([^\]]*)\] are not supported for now",
            r"has model type `?(\w+)`? but Transformers does not recognize this architecture",
            r"\b(\w+) has no (?:vLLM|SGLang|SGlang) implementation and the Transformers "
            r"implementation is not compatible",
        ),
        cause="the engine of this version does not know the architecture {0}",
        mend="Use a newer image: {role}_tag, or tag of the model.",
    ),
    Signature(
        id="architecture-llama",
        role="llama_cpp",
        example="llama_model_load: error loading model: unknown model architecture: 'qwen9'",
        patterns=(r"unknown model architecture: '?(\w+)",),
        cause="this llama.cpp does not know the architecture {0} yet",
        mend="Use a newer build: llama_cpp_archive or llama_cpp_binary.",
    ),
    Signature(
        id="tokenizer-class",
        example=(
            "ValueError: Tokenizer class TokenizersBackend does not exist or is not currently imported."
        ),
        patterns=(r"Tokenizer class (\w+) does not exist or is not currently imported",),
        cause="the image's transformers does not know the tokenizer class {0}",
        mend="Use a newer image ({role}_tag), or stage the model: what is in the cache is served with "
        "a class that the image knows.",
    ),
    Signature(
        id="chat-template",
        example=(
            "As of transformers v4.44, default chat template is no longer allowed, so you must "
            "provide a chat template if the tokenizer does not define one."
        ),
        patterns=(
            r"default chat template is no longer allowed, so you must provide a chat template",
            r"Cannot use chat template functions because tokenizer\.chat_template is not set",
            r"The supplied chat template (?:string )?\(.*\) (?:appears path-like|looks like a file "
            r"path), but",
        ),
        cause="the model has no chat template, or the one that was named cannot be read",
        mend="Set {settings}.chat-template to a file on the host that every user can read.",
        rank=LIKELY,
    ),
    Signature(
        id="model-path",
        example=(
            "huggingface_hub.errors.HFValidationError: Repo id must be in the form 'repo_name' or "
            "'namespace/repo_name': '/models/Qwen3-32b'. Use `repo_type` argument if needed."
        ),
        patterns=(
            r"Repo id must be in the form 'repo_name' or 'namespace/repo_name': '([^']+)'",
            r"Invalid repository ID or local directory specified: '([^']+)'",
            r"(?<!\S)(\S+) does not appear to have a file named config\.json",
            r"Cannot find any (?:safetensors )?model weights with `([^`]+)`",
        ),
        cause="there is no model at {0}",
        mend="{model}.model is a repository of the hub, or a directory on the host with a config.json "
        "and the weights that its index names.",
        rank=LIKELY,
    ),
    Signature(
        id="gguf-unreadable",
        role="llama_cpp",
        example=(
            "E gguf_init_from_file: failed to open GGUF file '/home/a/x.gguf' (Permission denied)"
        ),
        patterns=(
            r"failed to open GGUF file '?([^'\n]+?)'?(?: \(|$)",
            r"failed to open ([^\s:]+\.gguf)",
        ),
        cause="the model file {0} cannot be read by the worker",
        mend="It has to be readable for every user, and outside of /home, /root and /tmp, which the "
        "sandbox hides.",
    ),
    Signature(
        id="gguf-broken",
        role="llama_cpp",
        example="E gguf_init_from_reader: invalid magic characters: 'lead', expected 'GGUF'",
        patterns=(
            r"(?i)invalid magic|not a gguf|wrong magic|failed to read magic",
            r"data is not within the file bounds, model is corrupted or incomplete",
        ),
        cause="the model file is no GGUF file, or only part of one",
        mend="Fetch it again.",
    ),
    Signature(
        id="weights-broken",
        example=(
            "safetensors_rust.SafetensorError: Error while deserializing header: "
            "MetadataIncompleteBuffer"
        ),
        patterns=(
            r"SafetensorError: (.+)",
            r"(invalid load key, 'v')",
        ),
        cause="a file of the weights is damaged, or only part of it is there ({0})",
        mend="Stage the model again, which holds each file against its size and hash, or remove the "
        "file from {role}_cache_dir and let it be fetched again.",
    ),
    Signature(
        id="module-missing",
        example="ModuleNotFoundError: No module named 'remote_pdb'",
        patterns=(r"ModuleNotFoundError: No module named '([\w.]+)'",),
        cause="the image lacks the Python package {0}",
        mend="Use an image that has it: {role}_image and {role}_tag. What only some features need "
        "goes away with their flags.",
        rank=GENERIC,
    ),
    Signature(
        id="architecture-unread",
        example=(
            "ValueError: Model architectures ['GptOssForCausalLM'] failed to be inspected. Please "
            "check the logs for more details."
        ),
        patterns=(r"Model architectures \[([^\]]*)\] failed to be inspected",),
        cause="the engine could not load its own code for {0}",
        mend="Look further up in the journal for the first error, which is often a package that the "
        "image lacks, or a GPU that it does not see.",
        rank=EFFECT,
    ),
)
