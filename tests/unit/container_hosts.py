# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables of hosts that run engines in containers, and the plans made of them."""

from __future__ import annotations

from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _plan

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
VLLM = "docker.io/vllm/vllm-openai"


def host(variables: dict[str, Any]) -> _plan.Host:
    return _plan.Host("gpu1", variables, list(variables))


def plan(variables: dict[str, Any]) -> _plan.Plan:
    return _plan.make([host(variables)])


def vllm(models: Any = None, **more: Any) -> dict[str, Any]:
    """A host with one model of vLLM: ``models`` are more keys of it, or other models."""
    model = {"model": "a/b"} | (models or {})
    return {"vllm_tag": "v1", "vllm_models": {"m": model}} | more


def sglang(models: Any = None, **more: Any) -> dict[str, Any]:
    model = {"model": "a/b", "port": 30001} | (models or {})
    return {"sglang_tag": "v1", "sglang_models": {"m": model}} | more


def gateway(keys: Any = None, **more: Any) -> dict[str, Any]:
    return sglang(**({"sglang_gateway": {"enable": True, "port": 30000} | (keys or {})} | more))


def both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    models = {"n": {"model": "a/b", "port": 30001}}
    return vllm() | sglang(sglang_models=models) | one | other


def worker(variables: dict[str, Any], role: str = "vllm", number: int = 0) -> dict[str, Any]:
    made = plan(variables)
    assert [str(problem) for problem in made.problems] == []
    found: dict[str, Any] = made.hosts["gpu1"]["engines"][role]["workers"][number]
    return found
