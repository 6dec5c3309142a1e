# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SGLang's server, as a description.

Facts: its image has no entry point of its own, and ``sglang serve`` is missing from older versions;
``python3 -m sglang.launch_server`` is in all of them. ``/health_generate`` generates a token;
``/health`` does so too in newer versions, unless its environment variable is 0. It cannot listen on
a unix socket, and takes its API key from the command line or from a file given by ``--config``.

This plugin util is private to the collection.
"""

from __future__ import annotations

from ansible_collections.onehop.llm.plugins.plugin_utils import _container_options as containers
from ansible_collections.onehop.llm.plugins.plugin_utils import _engine_options as shared
from ansible_collections.onehop.llm.plugins.plugin_utils import _gateway
from ansible_collections.onehop.llm.plugins.plugin_utils._engines import Container, Engine
from ansible_collections.onehop.llm.plugins.plugin_utils._flags import Dialect
from ansible_collections.onehop.llm.plugins.plugin_utils._sglang_hardware import HARDWARE

ROLE = "sglang"
_IMAGE = "docker.io/lmsysorg/sglang"

_LOOPBACK = "Remove it: a worker listens on loopback"
_TLS = "Remove it: workers listen on loopback, and TLS ends at the router"
_BY_CONFIG = (
    "Put the line {0}: SECRET into a credential and have it read as configuration: credentials: "
    "{{config: {{source: /path}}}} and settings: {{config: '${{cred:config}}'}}"
)

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
        *shared.role_options(ROLE, "SGLang", sockets=False),
        *containers.role_options(ROLE, "SGLang", _IMAGE),
        _gateway.OPTION,
    ),
    front=_gateway,
    model_keys=containers.model_keys(ROLE, sockets=False),
    dialect=Dialect(joined=True, negate=False, abbreviates=True, apart=frozenset(("config",))),
    health_path="/health_generate",
    model_flags={"model-path": "{model}", "served-model-name": "{name}"},
    port_flags={"host": "0.0.0.0", "port": "30000"},
    socket_flags={},
    managed_instead={
        "host": _LOOPBACK,
        "model": "Use the model's model",
        "model-path": "Use the model's model",
        "port": "Use the model's port",
        "served-model-name": "Use the model's name",
        "ssl-ca-certs": _TLS,
        "ssl-certfile": _TLS,
        "ssl-keyfile": _TLS,
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
        "HF_HOME": containers.CACHE,
        "SGLANG_CACHE_DIR": f"{containers.CACHE}/sglang",
        "SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION": "0",
    },
)
