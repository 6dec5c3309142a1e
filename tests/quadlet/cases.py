# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is declared: every option and key that a Quadlet says, each alone, and whole inventories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .harness import FACTS, quadlets

DIGEST = "sha256:" + "0123456789abcdef" * 4
OTHER = "sha256:" + "fedcba9876543210" * 4
SECRET = "hunter2-never-in-a-unit"
"""The text of every secret that is given by content."""


@dataclass(frozen=True)
class Case:
    """A host's variables, and what preflight saw of the host."""

    name: str
    variables: Mapping[str, Any]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def quadlets(self, **facts: Any) -> dict[str, str]:
        """Its Quadlets, by the unit's name."""
        return quadlets(self.variables, {**FACTS, **self.facts, **facts})

    def golden(self) -> dict[str, str]:
        """Its Quadlets, by the name of the file that they are compared with."""
        made = self.quadlets()
        whole = len(made) > 1
        return {(f"{self.name}.{unit}" if whole else self.name): made[unit] for unit in made}


def _model(case: str, facts: Mapping[str, Any] | None = None, /, **keys: Any) -> tuple[Case, Case]:
    """A key of a model, for both engines."""
    return _vllm(case, facts, **keys), _sglang(case, facts, **keys)


def _vllm(case: str, facts: Mapping[str, Any] | None = None, /, **keys: Any) -> Case:
    return _of("vllm", case, facts, {}, keys)


def _sglang(case: str, facts: Mapping[str, Any] | None = None, /, **keys: Any) -> Case:
    return _of("sglang", case, facts, {}, keys)


def _role(name: str, /, **variables: Any) -> tuple[Case, Case]:
    """Variables of a role, for both."""
    return _of("vllm", name, None, variables, {}), _of("sglang", name, None, variables, {})


def _of(
    role: str,
    name: str,
    facts: Mapping[str, Any] | None,
    variables: Mapping[str, Any],
    keys: Mapping[str, Any],
) -> Case:
    model = {"model": "Qwen/Qwen3-8B", "port": 18001, **keys}
    own = {"tag": "v1.2.3", **variables, "models": {"m": model}}
    return Case(
        f"{role}-{name}", {f"{role}_{key}": value for key, value in own.items()}, facts or {}
    )


def _gateway(name: str, models: int = 0, /, **keys: Any) -> Case:
    declared = {
        f"m{number}": {"model": "Qwen/Qwen3-8B", "port": 18001 + number} for number in range(models)
    }
    gateway = {"enable": True, "port": 30000, **keys}
    return Case(
        f"gateway-{name}",
        {"sglang_tag": "v1.2.3", "sglang_models": declared, "sglang_gateway": gateway},
    )


KEYS = (
    *_model("plain"),
    *_role("digest", tag=None, digest=DIGEST),
    *_model("model-tag", tag="v2.0.0"),
    *_model("model-digest", digest=OTHER),
    *_role("image", image="registry.example.com:5000/mirror/engine"),
    *_model("devices-none", devices=[]),
    *_model("devices-list", devices=["nvidia.com/gpu=0", "nvidia.com/gpu=1"]),
    *_model("devices-raw", devices=["/dev/dri/renderD128", "-/dev/kfd"]),
    *_role("devices-of-role", devices=["amd.com/gpu=all"]),
    *_model("devices-none-seen", {"devices": []}),
    *_model("shm-size", shm_size="512m"),
    *_model(
        "environment", environment={"B": '50% "x" $HOME', "A": "", "TRITON_CACHE_DIR": "/elsewhere"}
    ),
    *_role("environment-of-role", environment={"A": "1", "VLLM_NO_USAGE_STATS": "0"}),
    *_model("environment-file", environment_file="/etc/my keys/m.env"),
    *_role("environment-file-of-role", environment_file="/etc/all.env"),
    *_model(
        "settings",
        settings={
            "on": True,
            "off": False,
            "no-negated": False,
            "nothing": None,
            "whole": 8192,
            "part": 0.6,
            "text": "a 'b' \"c\" 100% $HOME \\n",
            "list": ["a", ";", 1, True],
            "empty-list": [],
            "object": {"b": [1, "c d"], "a": None},
            "config": "in-words-of-its-own",
        },
    ),
    *_role("model-settings", model_settings={"seed": 7, "max-running": 4}),
    *_model("extra-args", extra_args=["--verbose", "a b", ";", "$PATH", "%h"]),
    *_model("path", model="/srv/models/qwen 3"),
    *_model("paths", settings={"lora-paths": ["a=/srv/lora/a", "/srv/lora/b"], "x": "/srv/x.yml"}),
    *_model(
        "credentials",
        credentials={"k": {"source": "/etc/k"}, "c": {"content": SECRET}},
        settings={"some-file": "${cred:k}"},
        environment={"KEYS": "${cred:c}"},
    ),
    *_model(
        "credentials-environment",
        credentials={"hf": {"content": SECRET, "environment": "HF_TOKEN"}},
    ),
    *_model("unit-config", unit_config={"Wants": ["a.service", "b.service"]}),
    *_model(
        "container-config",
        container_config={
            "Memory": "64g",
            "Volume": ["/srv/a:/a:ro", "/srv/b:/b:ro"],
            "PodmanArgs": "--group-add keep-groups",
        },
    ),
    *_model("service-config", service_config={"Nice": 5, "Restart": "on-failure"}),
    *_role("liveness", liveness_interval=30, liveness_timeout=20, liveness_retries=2),
    *_model("start-timeout", start_timeout=7200),
    *_role("start-timeout-of-role", start_timeout=60),
    *_role("open-files-limit", open_files_limit=4096),
    *_role("cache-dir", cache_dir="/srv/weights of all"),
    *_model("name", name="Qwen3-8B.Q4"),
    *_model("selinux", {"selinux": True}),
    *_model("podman-4.6", {"podman": "4.6.1"}, container_config={"Memory": "64g"}),
    _vllm("socket", port=None),
    _of("vllm", "socket-directory", None, {"socket_directory": "/run/llm"}, {"port": None}),
)
GATEWAYS = (
    _gateway("plain"),
    _gateway("workers", 2),
    _gateway(
        "tls",
        settings={"tls-cert-path": "/etc/ssl/gw.pem", "tls-key-path": "/etc/ssl/private/gw.key"},
    ),
    _gateway("api-key", credentials={"api_key": {"content": SECRET, "flag": "api-key"}}),
    _gateway(
        "credentials",
        credentials={"redis": {"content": SECRET, "environment": "REDIS_URL"}, "f": "/etc/f"},
        settings={"some-file": "${cred:f}"},
    ),
    _gateway("no-metrics", enable_metrics=False),
    _gateway("metrics-port", metrics_port=29999),
    _gateway("all-addresses", bind_address="0.0.0.0"),
    _gateway("v6", bind_address="fd00::1"),
    _gateway("all-addresses-v6", bind_address="::"),
    _gateway("zone", bind_address="fe80::1%eth0"),
    _gateway("digest", digest=DIGEST),
    _gateway("tag", tag="v0.3.2"),
    _gateway("settings", settings={"policy": "cache_aware", "off": False, "list": ["a", "b"]}),
    _gateway("extra-args", extra_args=["--log-level", "debug"]),
    _gateway("environment", environment={"RUST_LOG": "info"}, environment_file="/etc/gw.env"),
    _gateway("start-timeout", start_timeout=60),
    _gateway("sections", unit_config={"Wants": "a.service"}, service_config={"Nice": 1}),
)
_TWO = {"a": {"model": "org/a", "port": 18002}, "b": {"model": "org/b", "port": 18001}}
ORDERS = tuple(
    Case(
        f"{role}-{name}",
        {
            "gpu_host_checks": {"memory": "off"},
            f"{role}_tag": "v1",
            f"{role}_models": _TWO,
            f"{role}_startup_ordering": ordered,
        },
    )
    for role in ("vllm", "sglang")
    for name, ordered in (("in-order", True), ("in-no-order", False))
)
INVENTORIES = (
    Case(
        "lab",
        {
            "vllm_tag": "v0.33.0",
            "vllm_models": {"qwen3-8b": {"model": "Qwen/Qwen3-8B", "tag": "v0.33.0"}},
        },
    ),
    Case(
        "company",
        {
            "vllm_tag": "v0.33.0",
            "vllm_environment_file": "/etc/llm/vllm.env",
            "vllm_model_settings": {"gpu-memory-utilization": 0.45},
            "vllm_models": {
                "qwen2-5-7b": {
                    "model": "Qwen/Qwen2.5-7B-Instruct",
                    "port": 18001,
                    "devices": ["nvidia.com/gpu=0"],
                    "settings": {"max-model-len": 8192, "enable-prefix-caching": True},
                },
                "embed": {
                    "model": "BAAI/bge-m3",
                    "devices": ["nvidia.com/gpu=0"],
                    "credentials": {"hf": {"content": SECRET, "environment": "HF_TOKEN"}},
                },
            },
            "sglang_tag": "v0.5.9",
            "sglang_models": {
                "qwen3-32b": {
                    "model": "Qwen/Qwen3-32B",
                    "port": 19001,
                    "devices": [f"nvidia.com/gpu={number}" for number in (1, 2)],
                    "settings": {"tp-size": 2, "reasoning-parser": "qwen3"},
                    "service_config": {"MemoryMax": "256G"},
                },
                "qwen3-8b": {
                    "model": "Qwen/Qwen3-8B",
                    "port": 19002,
                    "devices": ["nvidia.com/gpu=3"],
                },
            },
            "sglang_gateway": {
                "enable": True,
                "port": 30000,
                "tag": "v0.3.2",
                "route": True,
                "settings": {"policy": "cache_aware"},
                "credentials": {"api_key": {"content": SECRET, "flag": "api-key"}},
            },
        },
    ),
    Case(
        "air-gapped",
        {
            "vllm_image": "registry.corp.example/llm/vllm-openai",
            "vllm_digest": DIGEST,
            "vllm_image_archives": {
                f"registry.corp.example/llm/vllm-openai@{DIGEST}": "/srv/images/vllm.tar"
            },
            "vllm_environment": {"HF_HUB_OFFLINE": "1"},
            "vllm_models": {
                "llama": {
                    "model": "/srv/models/Llama-3.3-70B",
                    "port": 18001,
                    "settings": {"tensor-parallel-size": 4, "lora-modules": ["fr=/srv/lora/fr"]},
                }
            },
            "sglang_image": "registry.corp.example/llm/sglang",
            "sglang_digest": OTHER,
            "sglang_environment": {"HF_HUB_OFFLINE": "1"},
            "sglang_models": {"qwen": {"model": "/srv/models/Qwen3-8B", "port": 19001}},
            "sglang_gateway": {
                "enable": True,
                "image": "registry.corp.example/llm/sgl-model-gateway",
                "digest": DIGEST,
                "port": 30000,
            },
        },
        {"selinux": True},
    ),
)
CASES = (*KEYS, *GATEWAYS, *ORDERS, *INVENTORIES)
