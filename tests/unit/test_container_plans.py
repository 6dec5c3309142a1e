# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Engines in containers: what is planned for them."""

from __future__ import annotations

from typing import Any

import pytest

from .container_hosts import DIGEST, OTHER, VLLM, gateway, plan, vllm, worker


def test_an_engine_by_ports_and_by_sockets() -> None:
    models = {
        "c": {"model": "a/b", "port": 8003},
        "a": {"model": "a/b"},
        "b": {"model": "a/b", "port": 8002, "name": "z"},
    }
    made = plan({"vllm_tag": "v1", "vllm_models": models, "vllm_devices": []})
    assert made.problems == []
    workers = made.hosts["gpu1"]["engines"]["vllm"]["workers"]
    assert [(w["unit"], w["url"], w["after"], w["requires"]) for w in workers] == [
        ("vllm-z.service", "http://127.0.0.1:8002", [], []),
        ("vllm-c.service", "http://127.0.0.1:8003", ["vllm-z.service"], []),
        ("vllm-a.service", "unix:///run/onehop/vllm-a/http.sock", ["vllm-c.service"], []),
    ]
    assert sorted(made.routes) == ["a", "c", "z"]
    made = plan({"vllm_tag": "v1", "vllm_models": models, "vllm_startup_ordering": False})
    assert [w["after"] for w in made.hosts["gpu1"]["engines"]["vllm"]["workers"]] == [[], [], []]


@pytest.mark.parametrize(
    ("model", "role", "image"),
    [
        ({}, {}, f"{VLLM}:v1"),
        ({"tag": "v2"}, {}, f"{VLLM}:v2"),
        ({"digest": OTHER}, {}, f"{VLLM}@{OTHER}"),
        ({}, {"vllm_tag": None, "vllm_digest": DIGEST}, f"{VLLM}@{DIGEST}"),
        ({"tag": "v2"}, {"vllm_tag": None, "vllm_digest": DIGEST}, f"{VLLM}:v2"),
        ({"digest": OTHER}, {"vllm_tag": None, "vllm_digest": DIGEST}, f"{VLLM}@{OTHER}"),
        ({}, {"vllm_image": "quay.io/x/y"}, "quay.io/x/y:v1"),
    ],
)
def test_which_image_it_is(model: dict[str, Any], role: dict[str, Any], image: str) -> None:
    assert worker(vllm(model, **role))["image"] == image


@pytest.mark.parametrize(
    ("model", "role", "devices"),
    [
        ({}, {}, None),
        ({}, {"vllm_devices": ["a.b/c=0"]}, ["a.b/c=0"]),
        ({"devices": ["a.b/c=1"]}, {"vllm_devices": ["a.b/c=0"]}, ["a.b/c=1"]),
        ({"devices": []}, {"vllm_devices": ["a.b/c=0"]}, []),
        ({}, {"vllm_devices": []}, []),
    ],
)
def test_which_devices_it_gets(model: Any, role: dict[str, Any], devices: Any) -> None:
    assert worker(vllm(model, **role))["devices"] == devices


def test_which_paths_a_container_is_shown() -> None:
    settings = {
        "lora-modules": ["sql=/srv/lora/sql/", '{"name": "x"}'],
        "chat_template": "/srv/chat.jinja",
        "speculative-config": {"model": "/srv/draft", "more": [{"path": "/srv/deep"}, 3, None]},
        "root-path": "/api",
        "rope_scaling": "/no",
        "config": "${cred:k}",
        "served": "org/name",
        "url": "https://x/y",
        "relative": "a/b=/c",
    }
    model = {"model": "/srv/m", "settings": settings, "credentials": {"k": "/etc/k"}}
    where = "vllm_models.m.settings"
    assert worker(vllm(model, vllm_model_settings={"all": "/srv/all"}))["volumes"] == {
        "/srv/m": "vllm_models.m.model",
        "/srv/all": f"{where}.all",
        "/srv/lora/sql": f"{where}.lora-modules",
        "/srv/chat.jinja": f"{where}.chat_template",
        "/srv/draft": f"{where}.speculative-config",
        "/srv/deep": f"{where}.speculative-config",
    }


def test_an_account_that_is_declared_in_part() -> None:
    variables = {"vllm_uid": 990, "vllm_subuid_start": 500000, "vllm_subuid_count": 70000}
    account = plan(vllm(**variables)).hosts["gpu1"]["engines"]["vllm"]["account"]
    assert account["name"] == account["group"] == "vllm"
    assert account["managed"] is True
    assert (account["uid"], account["gid"]) == (990, 990)
    assert account["subuids"] == account["subgids"] == {"start": 500000, "count": 70000}


def test_an_account_that_is_declared_in_full() -> None:
    variables = {
        "vllm_user": "llm",
        "vllm_group": "staff",
        "vllm_uid": 990,
        "vllm_gid": 991,
        "vllm_subuid_start": 500000,
        "vllm_subgid_start": 600000,
        "vllm_subgid_count": 100000,
        "vllm_data_dir": "/srv/llm",
        "vllm_cache_dir": "/srv/cache",
    }
    made = plan(vllm(**variables))
    account = made.hosts["gpu1"]["engines"]["vllm"]["account"]
    assert (account["name"], account["group"], account["managed"]) == ("llm", "staff", False)
    assert (account["uid"], account["gid"], account["home"]) == (990, 991, "/srv/llm")
    assert account["subuids"] == {"start": 500000, "count": 65536}
    assert account["subgids"] == {"start": 600000, "count": 100000}
    spec = made.hosts["gpu1"]["engines"]["vllm"]["workers"][0]
    assert (spec["account"], spec["group"], spec["cache"]) == ("llm", "staff", "/srv/cache")


def test_an_account_of_which_nothing_is_said() -> None:
    account = plan(vllm()).hosts["gpu1"]["engines"]["vllm"]["account"]
    assert (account["uid"], account["gid"]) == (None, None)
    assert account["subuids"] == account["subgids"] == {"start": None, "count": 65536}


TWO = {"b": {"model": "a/b", "port": 30001}, "a": {"model": "a/b", "port": 30002}}


def test_a_gateway_beside_the_router() -> None:
    made = plan(gateway(sglang_models=TWO))
    assert made.problems == []
    workers = made.hosts["gpu1"]["engines"]["sglang"]["workers"]
    front = workers[-1]
    units = ["sglang-b.service", "sglang-a.service"]
    assert [spec["unit"] for spec in workers] == [*units, "sglang-gateway.service"]
    assert front["after"] == front["requires"] == units
    assert front["settings"] == {
        "host": "127.0.0.1",
        "port": 30000,
        "prometheus-host": "127.0.0.1",
        "prometheus-port": 29000,
        "worker-urls": ["http://127.0.0.1:30001", "http://127.0.0.1:30002"],
    }
    assert front["image"] == "docker.io/lmsysorg/sgl-model-gateway:latest"
    assert front["devices"] == []
    assert made.routes["a"]["replicas"][0]["url"] == "http://127.0.0.1:30002"
    # It serves what its workers serve, and is no model.
    assert sorted(made.routes) == ["a", "b"]


def test_a_gateway_behind_the_router() -> None:
    made = plan(gateway({"route": True}, sglang_models=TWO))
    assert made.problems == []
    for name, unit in (("a", "sglang-a.service"), ("b", "sglang-b.service")):
        (replica,) = made.routes[name]["replicas"]
        assert (replica["url"], replica["unit"]) == ("http://127.0.0.1:30000", unit)
        assert replica["health"] == "/liveness"
    front = made.hosts["gpu1"]["engines"]["sglang"]["workers"][-1]
    assert front["settings"]["worker-urls"] == ["http://127.0.0.1:30001", "http://127.0.0.1:30002"]


@pytest.mark.parametrize(
    ("keys", "url"),
    [
        ({"bind_address": "0.0.0.0"}, "http://127.0.0.1:30000"),
        ({"bind_address": "::"}, "http://[::1]:30000"),
        ({"bind_address": "192.0.2.7"}, "http://192.0.2.7:30000"),
        ({"bind_address": "2001:db8::7"}, "http://[2001:db8::7]:30000"),
        ({"settings": {"tls-cert-path": "/c", "tls-key-path": "/k"}}, "https://127.0.0.1:30000"),
    ],
)
def test_where_a_gateway_is_asked(keys: dict[str, Any], url: str) -> None:
    assert worker(gateway(keys), "sglang", 1)["url"] == url


def test_a_gateway_of_its_own_kind() -> None:
    keys = {
        "digest": DIGEST,
        "enable_metrics": False,
        "settings": {
            "policy": "cache_aware",
            "tokenizer-path": "/srv/t",
            "otlp-traces-endpoint": "/x",
        },
        "credentials": {
            "api_key": {"source": "/etc/k", "flag": "api-key"},
            "redis": {"content": "x", "environment": "REDIS_URL"},
        },
    }
    front = worker(gateway(keys), "sglang", 1)
    assert front["image"] == f"docker.io/lmsysorg/sgl-model-gateway@{DIGEST}"
    assert front["more_ports"] == {}
    assert "prometheus-port" not in front["settings"]
    assert front["settings"]["policy"] == "cache_aware"
    assert front["flags"] == {"api_key": "api-key"}
    assert front["variables"] == {"redis": "REDIS_URL"}
    assert front["sources"] == {"api_key": "/etc/k"}
    assert front["volumes"] == {"/srv/t": "sglang_gateway.settings.tokenizer-path"}
