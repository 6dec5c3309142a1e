# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""vLLM's OpenAI server, as a description.

Facts: up to 0.11.0 the image's entry point is the API server's module, from 0.11.1 on ``vllm
serve``; ``vllm serve MODEL`` is in every version since 0.9.2, so the entry point is set here. A
list flag before the positional model would swallow it, so the model comes first. ``/health`` is
answered once the model is loaded, without a key. ``--config=FILE`` is ignored in silence, ``--config
FILE`` is not. ``gpu-memory-utilization`` is a share of all memory of each device, and a worker that
finds less of it free ends at once; it was 0.9 up to 0.17.1 and is 0.92 in 0.20.2 and later.

This plugin util is private to the collection.
"""

from __future__ import annotations

import re

from ansible_collections.onehop.llm.plugins.plugin_utils import _container_options as containers
from ansible_collections.onehop.llm.plugins.plugin_utils import _engine_options as shared
from ansible_collections.onehop.llm.plugins.plugin_utils._engines import Container, Engine, Naming
from ansible_collections.onehop.llm.plugins.plugin_utils._flags import Dialect
from ansible_collections.onehop.llm.plugins.plugin_utils._promises import (
    GIB,
    MOST,
    Given,
    Layout,
    Memory,
    Promises,
    setting,
)
from ansible_collections.onehop.llm.plugins.plugin_utils._vllm_hardware import HARDWARE

ROLE = "vllm"
_IMAGE = "docker.io/vllm/vllm-openai"
_EXAMPLES = shared.Examples("0.33.0", {"max-model-len": 32768}, ("--seed", "7"))

_LOOPBACK = "Remove it: a worker listens on loopback or on a unix socket"
_TLS = "Remove it: workers listen on loopback, and TLS ends at the router"

_TENSOR = setting("tensor-parallel-size", "tp")
_PIPELINE = setting("pipeline-parallel-size", "pp")
_CONTEXT = setting("prefill-context-parallel-size", "pcp")
_DATA = setting("data-parallel-size", "dp")
_DATA_HERE = setting("data-parallel-size-local", "dpl")
_RANK = setting("data-parallel-rank", "dpn")
_NODES = setting("nnodes", "n")
_DEVICES = setting("device-ids")
_BACKENDS = (setting("distributed-executor-backend"), setting("data-parallel-backend", "dpb"))


def layout(given: Given) -> Layout:
    """Replicas stand side by side from the first device on. With Ray only Ray knows where.

    A number of nodes divides what all replicas take; a rank of its own is one replica.
    """
    tensor, pipeline = given.whole(_TENSOR), given.whole(_PIPELINE)
    named = given.get(_DEVICES)
    if any(given.get(backend) == "ray" for backend in _BACKENDS):
        return Layout(None, tensor, pipeline)
    if named is not None:
        ids = [part.strip() for part in str(named).split(",")]
        numbers = tuple(int(part) for part in ids if re.fullmatch("[0-9]{1,9}", part))
        return Layout(numbers if len(numbers) == len(ids) else None, tensor, pipeline)
    replicas = 1 if given.get(_RANK) is not None else given.whole(_DATA)
    nodes = max(given.whole(_NODES), 1)
    if given.get(_DATA_HERE) is not None:
        replicas, nodes = given.whole(_DATA_HERE), 1
    count = tensor * pipeline * given.whole(_CONTEXT) * replicas // nodes
    return Layout(tuple(range(min(count, MOST))), tensor, pipeline)


VLLM = Engine(
    role=ROLE,
    title="vLLM",
    prefix="vllm",
    runtime=Container(
        image=_IMAGE,
        entrypoint=("vllm", "serve"),
        port=8000,
        liveness_path="/health",
        not_paths=frozenset(("fastapi-root-path", "root-path", "rope-scaling")),
    ),
    role_options=(
        *shared.role_options(ROLE, "vLLM", "the image's tag", _EXAMPLES),
        *containers.role_options(ROLE, _IMAGE, _EXAMPLES.version),
    ),
    model_keys=containers.model_keys(ROLE, _EXAMPLES, sockets=True),
    dialect=Dialect(
        joined=True,
        negate=True,
        abbreviates=True,
        dotted=True,
        apart=frozenset(("config",)),
        prefixes=("-O",),
    ),
    flag_table=ROLE,
    example={"model": "Qwen/Qwen3-8B", "port": 18001},
    health_path="/health",
    words=("{model}",),
    model_flags={"served-model-name": "{name}"},
    port_flags={"host": "0.0.0.0", "port": "8000"},
    socket_flags={"uds": "/run/onehop/http.sock"},
    managed_instead={
        "download-dir": containers.KEPT,
        "host": _LOOPBACK,
        "model": "Use the model's model",
        "port": "Use the model's port",
        "served-model-name": "Use the model's name",
        "ssl-ca-certs": _TLS,
        "ssl-certfile": _TLS,
        "ssl-keyfile": _TLS,
        "uds": "Leave out the model's port, and it listens on a socket",
    },
    secret_flags={
        "api-key": containers.by_environment("api_key", "VLLM_API_KEY"),
        "hf-token": containers.by_environment("hf_token", "HF_TOKEN"),
    },
    secret_environment={
        "HF_TOKEN": containers.by_environment("hf_token", "HF_TOKEN"),
        "HUGGING_FACE_HUB_TOKEN": containers.by_environment("hf_token", "HF_TOKEN"),
        "VLLM_API_KEY": containers.by_environment("api_key", "VLLM_API_KEY"),
    },
    hardware=HARDWARE,
    environment={
        **containers.COMPILED,
        "HF_HOME": containers.CACHE,
        "VLLM_CACHE_ROOT": f"{containers.JIT}/vllm",
        "VLLM_NO_USAGE_STATS": "1",
    },
    promises=Promises(
        of="all",
        layout=layout,
        share=setting("gpu-memory-utilization", "device-memory-utilization"),
        shares=(((0,), 0.9), ((0, 18), 0.92)),
        sizes=(_TENSOR, _PIPELINE, _CONTEXT, _DATA, _NODES),
        pinned=setting("kv-cache-memory-bytes"),
        ports=(
            setting("master-port"),
            setting("data-parallel-rpc-port", "dpp"),
            setting("data-parallel-supervisor-port"),
            setting("grpc-port"),
        ),
        memory=(
            Memory(setting("cpu-offload-gb"), GIB, each=True),
            Memory(setting("swap-space"), GIB, each=True),
            Memory(setting("kv-offloading-size"), GIB),
            Memory(setting(variable="VLLM_CPU_KVCACHE_SPACE"), GIB),
        ),
        context=setting("max-model-len"),
    ),
    managed_environment=containers.MANAGED_ENVIRONMENT,
    offline_environment=containers.OFFLINE,
    # The class is of transformers 5, which 0.19.1 is the first to want; 0.19.0 refuses it.
    tokenizers={"TokenizersBackend": ("PreTrainedTokenizerFast", "0.19.1")},
    naming=(
        Naming(None, revision="revision"),
        Naming("tokenizer", "config", "tokenizer-revision"),
        Naming("hf-config-path", "config"),
        Naming("speculative-config", form="draft"),
        Naming("lora-modules", "adapter", form="adapters"),
    ),
)
