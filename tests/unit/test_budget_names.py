# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports and sockets that two want, beside those of a model's own keys."""

from __future__ import annotations

from typing import Any

import pytest

from .container_hosts import gateway, plan, sglang, vllm
from .test_budget_shares import UNCHECKED


def said(variables: dict[str, Any]) -> list[str]:
    made = plan(UNCHECKED | variables)
    assert made.warnings == []
    return [problem.sentence for problem in made.problems]


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        (
            vllm({"settings": {"master_port": 8000}}),
            "vllm_models.m.settings.master-port = 8000: is used by vllm_models.m's own server in its "
            "container too. Write a free port.",
        ),
        (
            vllm({"settings": {"master-port": 29501, "data-parallel-rpc-port": 29501}}),
            "vllm_models.m.settings.data-parallel-rpc-port = 29501: is used by "
            "vllm_models.m.settings.master-port too. Write a free port.",
        ),
        (
            vllm({"extra_args": ["-dpp", "8000"]}),
            "vllm_models.m.settings.data-parallel-rpc-port = 8000: is used by",
        ),
        (
            sglang({"settings": {"dist-init-addr": "127.0.0.1:20000", "nccl-port": 20000}}),
            "sglang_models.m.settings.nccl-port = 20000: is used by "
            "sglang_models.m.settings.dist-init-addr too",
        ),
        (
            sglang({"settings": {"nccl_init_addr": "[::1]:30000"}}),
            "sglang_models.m.settings.dist-init-addr = 30000: is used by sglang_models.m's own server",
        ),
        (
            sglang({"settings": {"nccl-port": 70000}}),
            "sglang_models.m.settings.nccl-port = 70000: is no port. Write one from 1024 to 65535.",
        ),
        (
            gateway({"settings": {"health-check-port": 30001}}),
            "sglang_gateway.settings.health-check-port = 30001: is used by sglang_models.m.port too",
        ),
        (
            vllm(router_socket="/run/onehop/vllm-m/http.sock"),
            "vllm_models.m: listens on the socket /run/onehop/vllm-m/http.sock, and so does "
            "router_socket. Give the model a port or another name.",
        ),
    ],
)
def test_what_two_want(variables: dict[str, Any], sentence: str) -> None:
    found = said(variables)
    assert len(found) == 1
    assert sentence in found[0]


@pytest.mark.parametrize(
    "variables",
    [
        # Each container has a network of its own.
        vllm(
            vllm_models={
                name: {"model": "a/b", "settings": {"master-port": 29501}} for name in ("m", "n")
            },
            vllm_model_settings={"gpu-memory-utilization": 0.4},
        ),
        vllm({"port": 29501, "settings": {"master-port": 29501}}),
        sglang({"settings": {"grpc-port": 0, "nccl-port": None, "dist-init-addr": "head"}}),
    ],
)
def test_what_each_has_for_itself(variables: dict[str, Any]) -> None:
    assert said(variables) == []


def test_the_check_is_switched() -> None:
    variables = vllm({"settings": {"master-port": 8000}, "port": 8080})
    assert len(said(variables)) == 2
    made = plan(UNCHECKED | variables | {"gpu_host_checks": {"ports": "warn"}})
    assert made.problems == []
    assert len(made.warnings) == 2
    assert said(variables | {"gpu_host_checks": {"ports": "off"}}) == []
