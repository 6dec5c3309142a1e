# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SGLang's server, as a description.

Facts: its image has no entry point of its own, and ``sglang serve`` is missing from older versions;
``python3 -m sglang.launch_server`` is in all of them. ``/health_generate`` generates a token;
``/health`` does so too in newer versions, unless its environment variable is 0. It cannot listen on
a unix socket, and takes its API key from the command line or from a file given by ``--config``.
``mem-fraction-static`` is a share of what is free on a device when it starts, for weights and KV cache;
left out it is reckoned from the device, and is 0.88 or near it on large ones.

This plugin util is private to the collection.
"""

from __future__ import annotations

from ansible_collections.onehop.llm.plugins.plugin_utils import _container_options as containers
from ansible_collections.onehop.llm.plugins.plugin_utils import _engine_options as shared
from ansible_collections.onehop.llm.plugins.plugin_utils import _gateway
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
from ansible_collections.onehop.llm.plugins.plugin_utils._sglang_hardware import HARDWARE

ROLE = "sglang"
_IMAGE = "docker.io/lmsysorg/sglang"
_EXAMPLES = shared.Examples("0.5.23", {"context-length": 32768}, ("--random-seed", "7"))

_LOOPBACK = "Remove it: a worker listens on loopback"
_TLS = "Remove it: workers listen on loopback, and TLS ends at the router"
_BY_CONFIG = (
    "Put the line {0}: SECRET into a credential and have it read as configuration: credentials: "
    "{{config: {{source: /path}}}} and settings: {{config: '${{cred:config}}'}}"
)

_TENSOR = setting("tp-size", "tensor-parallel-size", "tp")
_PIPELINE = setting("pp-size", "pipeline-parallel-size", "pp")
_DATA = setting("dp-size", "data-parallel-size", "dp")
_DP_ATTENTION = setting("enable-dp-attention")
_NODES = setting("nnodes")
_FIRST = setting("base-gpu-id")
_STEP = setting("gpu-id-step")


def layout(given: Given) -> Layout:
    """Ranks from ``base-gpu-id`` on, ``gpu-id-step`` apart; replicas stand behind one another.

    With DP attention the replicas share the tensor-parallel devices. Nodes divide the pipeline's
    stages, and what is left of them the ranks of a stage.
    """
    tensor, pipeline = given.whole(_TENSOR), given.whole(_PIPELINE)
    first, step = given.whole(_FIRST, 0), given.whole(_STEP)
    nodes = max(given.whole(_NODES), 1)
    stages = max(pipeline // nodes, 1)
    ranks = tensor // max(nodes // max(pipeline, 1), 1)
    replicas = 1 if given.on(_DP_ATTENTION) else given.whole(_DATA)
    if replicas * stages * ranks > MOST:
        return Layout(tuple(range(MOST)), tensor, pipeline)
    positions = sorted(
        {
            first + replica * tensor * pipeline * step + stage * ranks + rank * step
            for replica in range(replicas)
            for stage in range(stages)
            for rank in range(ranks)
        }
    )
    return Layout(tuple(positions), tensor, pipeline)


SGLANG = Engine(
    role=ROLE,
    title="SGLang",
    prefix="sglang",
    runtime=Container(
        image=_IMAGE,
        entrypoint=("python3", "-m", "sglang.launch_server"),
        port=30000,
        liveness_path="/health",
        not_paths=frozenset(("fastapi-root-path",)),
    ),
    role_options=(
        *shared.role_options(ROLE, "SGLang", "the image's tag", _EXAMPLES, sockets=False),
        *containers.role_options(ROLE, _IMAGE, _EXAMPLES.version),
        _gateway.OPTION,
    ),
    front=_gateway,
    model_keys=containers.model_keys(ROLE, _EXAMPLES, sockets=False),
    dialect=Dialect(
        joined=True,
        negate=False,
        abbreviates=True,
        underscores=False,
        apart=frozenset(("config",)),
        short={"dp": "dp-size", "tp": "tp-size"},
    ),
    flag_table=ROLE,
    example={"model": "Qwen/Qwen3-8B", "port": 19001},
    health_path="/health_generate",
    model_flags={"model-path": "{model}", "served-model-name": "{name}"},
    port_flags={"host": "0.0.0.0", "port": "30000"},
    socket_flags={},
    managed_instead={
        "delete-ckpt-after-loading": containers.KEPT,
        "download-dir": containers.KEPT,
        "host": _LOOPBACK,
        "model": "Use the model's model",
        "model-path": "Use the model's model",
        "port": "Use the model's port",
        "served-model-name": "Use the model's name",
        "ssl-ca-certs": _TLS,
        "ssl-certfile": _TLS,
        "ssl-keyfile": _TLS,
        "ssl-keyfile-password": _TLS,
    },
    secret_flags={
        "admin-api-key": _BY_CONFIG.format("admin-api-key"),
        "api-key": _BY_CONFIG.format("api-key"),
    },
    secret_environment={
        "HF_TOKEN": containers.by_environment("hf_token", "HF_TOKEN"),
        "HUGGING_FACE_HUB_TOKEN": containers.by_environment("hf_token", "HF_TOKEN"),
    },
    hardware=HARDWARE,
    environment={
        **containers.COMPILED,
        "HF_HOME": containers.CACHE,
        "SGLANG_CACHE_DIR": f"{containers.JIT}/sglang",
        "SGLANG_DG_CACHE_DIR": f"{containers.JIT}/deep-gemm",
        "SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION": "0",
    },
    metrics=setting("enable-metrics"),
    promises=Promises(
        of="free",
        layout=layout,
        share=setting("mem-fraction-static"),
        shares=(((0,), 0.88),),
        sizes=(_TENSOR, _PIPELINE, _DATA, _NODES, _STEP),
        placed_by="other devices, or a base-gpu-id",
        ports=(
            setting("dist-init-addr", "nccl-init-addr"),
            setting("nccl-port"),
            setting("gated-launch-port"),
            setting("grpc-port"),
            setting("smg-http-sidecar-port", "grpc-http-sidecar-port"),
            setting("disaggregation-bootstrap-port"),
            setting("encoder-bootstrap-port"),
            setting("engine-info-bootstrap-port"),
        ),
        memory=(
            Memory(setting("cpu-offload-gb"), GIB, each=True),
            Memory(setting("hicache-size"), 10**9, each=True),
        ),
        context=setting("context-length"),
        quantization=setting("quantization"),
    ),
    managed_environment=containers.MANAGED_ENVIRONMENT,
    offline_environment=containers.OFFLINE,
    # The class is of transformers 5, which 0.5.10 is the first to want; 0.5.9 wants 4.57.1.
    tokenizers={"TokenizersBackend": ("PreTrainedTokenizerFast", "0.5.10")},
    naming=(
        Naming(None, revision="revision"),
        Naming("tokenizer-path", "config"),
        Naming("speculative-draft-model", revision="speculative-draft-model-revision"),
        Naming("speculative-draft-model-path", revision="speculative-draft-model-revision"),
        Naming("lora-paths", "adapter", form="adapters"),
    ),
)
