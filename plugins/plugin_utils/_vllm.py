# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""vLLM's OpenAI server, as a description.

Facts: up to 0.11.0 the image's entry point is the API server's module, from 0.11.1 on ``vllm
serve``; ``vllm serve MODEL`` is in every version since 0.9.2, so the entry point is set here. A
list flag before the positional model would swallow it, so the model comes first. ``/health`` is
answered once the model is loaded, without a key. ``--config=FILE`` is ignored in silence, ``--config
FILE`` is not.

This plugin util is private to the collection.
"""

from __future__ import annotations

from ansible_collections.onehop.llm.plugins.plugin_utils import _container_options as containers
from ansible_collections.onehop.llm.plugins.plugin_utils import _engine_options as shared
from ansible_collections.onehop.llm.plugins.plugin_utils._engines import Container, Engine
from ansible_collections.onehop.llm.plugins.plugin_utils._flags import Dialect
from ansible_collections.onehop.llm.plugins.plugin_utils._vllm_hardware import HARDWARE

ROLE = "vllm"
_IMAGE = "docker.io/vllm/vllm-openai"

_LOOPBACK = "Remove it: a worker listens on loopback or on a unix socket"
_TLS = "Remove it: workers listen on loopback, and TLS ends at the router"

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
        *shared.role_options(ROLE, "vLLM"),
        *containers.role_options(ROLE, "vLLM", _IMAGE),
    ),
    model_keys=containers.model_keys(ROLE, sockets=True),
    dialect=Dialect(joined=True, negate=True, abbreviates=True, apart=frozenset(("config",))),
    health_path="/health",
    words=("{model}",),
    model_flags={"served-model-name": "{name}"},
    port_flags={"host": "0.0.0.0", "port": "8000"},
    socket_flags={"uds": "/run/onehop/http.sock"},
    managed_instead={
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
        "HF_HOME": containers.CACHE,
        "VLLM_CACHE_ROOT": f"{containers.CACHE}/vllm",
        "VLLM_NO_USAGE_STATS": "1",
    },
)
