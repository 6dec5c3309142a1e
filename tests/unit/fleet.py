# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet that nobody reaches, with a secret in every place where one may be written."""

from __future__ import annotations

from typing import Any

SECRET = "hunter2"
"""Is part of every secret of the fleet."""
UNREACHABLE = {
    "ansible_host": "192.0.2.1",
    "ansible_connection": "ssh",
    "ansible_ssh_executable": "/nonexistent/ssh",
    "ansible_become": True,
}
"""An address for documentation, by a program that is not there: a connection would fail at once."""

GPU1: dict[str, Any] = {
    "llama_cpp_models": {
        "small": {
            "port": 18001,
            "settings": {
                "model": "/srv/models/small.gguf",
                "ctx-size": 8192,
                "api-key-file": "${cred:api-key}",
            },
            "credentials": {"api-key": {"content": f"{SECRET}-1"}},
        },
    },
    "vllm_tag": "v0.33.0",
    "vllm_environment": {"HTTPS_PROXY": f"http://ann:{SECRET}-2@proxy.example:3128"},
    "vllm_models": {
        "qwen": {
            "name": "qwen3-8b",
            "model": "Qwen/Qwen3-8B",
            "port": 8001,
            "devices": ["nvidia.com/gpu=0"],
            "settings": {
                "max-model-len": 32768,
                "enable-prefix-caching": True,
                "limit-mm-per-prompt": {"image": 2},
                "otlp-traces-endpoint": f"http://bob:{SECRET}-3@otel.example",
            },
            "credentials": {
                "hf_token": {"source": "/etc/llm/hf.env", "environment": "HF_TOKEN"},
            },
            "environment": {"S3_SECRET_ACCESS_KEY": f"{SECRET}-4", "OMP_NUM_THREADS": "8"},
            "environment_file": "/etc/llm/qwen.env",
            "container_config": {"Annotation": f"DEPLOY_TOKEN={SECRET}-5"},
            "route": {"aliases": ["default"]},
        },
    },
}
FRONT: dict[str, Any] = {
    "router_models": {
        "gpt-4o": {
            "url": "https://api.openai.com",
            "headers": {"Authorization": "Bearer ${cred:openai_key}"},
        },
    },
    "router_credentials": {"openai_key": {"content": f"{SECRET}-6"}},
    "router_environment": {"UPSTREAM_TOKEN": f"{SECRET}-7"},
}


def inventory() -> dict[str, Any]:
    """A host that serves and one that routes, for Ansible."""
    return {
        "all": {
            "children": {
                "gpu_hosts": {"hosts": {"gpu1": UNREACHABLE | GPU1}},
                "llm_routers": {"hosts": {"front1": UNREACHABLE | FRONT}},
            }
        }
    }
