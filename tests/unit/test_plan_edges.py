# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Edges in the plan: who gets one, how fronts reach it, and what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.action import router_config
from ansible_collections.onehop.llm.plugins.plugin_utils import (
    _catalogue,
    _edges,
    _gateway,
    _install,
    _plan,
)
from onehop_router import config_reader, paths

GOLDEN = Path(__file__).parent / "golden"
MODEL = {"llama_cpp_models": {"m": {"port": 18001}}}
REPLICA = {"health": "/health", "weight": 1}
KEYS = {"front": ["sha256:" + "a" * 64], "gpu2": ["sha256:" + "b" * 64]}


def gpu(name: str = "gpu1", **more: Any) -> _plan.Host:
    variables = {**MODEL, **more}
    return _plan.Host(name, variables, list(variables), router=False, address="192.0.2.11")


def front(name: str = "front", **variables: Any) -> _plan.Host:
    return _plan.Host(name, variables, list(variables), worker=False, front=True)


def both(name: str, **more: Any) -> _plan.Host:
    return _plan.Host(name, {**MODEL, **more}, front=True, address=f"{name}.internal")


def made(*hosts: _plan.Host) -> dict[str, Any]:
    plan = _plan.make(hosts)
    assert plan.problems == []
    return plan.data()


def upstreams(plan: dict[str, Any], host: str, model: str = "m") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _plan.table(plan, host)[0][model]["upstreams"]
    return found


def test_a_front_reaches_a_model_of_another_host_by_its_edge() -> None:
    plan = made(gpu(), front())
    assert plan["hosts"]["gpu1"]["router"] is None
    edge = plan["hosts"]["gpu1"]["edge"]
    assert (edge["fronts"], edge["made"]) == (["front"], True)
    assert (edge["router"]["router_host"], edge["router"]["router_port"]) == ("0.0.0.0", 8443)
    assert upstreams(plan, "front") == [
        {
            "url": "https://192.0.2.11:8443/route/m",
            "headers": {"Authorization": "Bearer ${cred:edge_gpu1}"},
            "tls": {"ca": "${cred:edge_gpu1.pem}", "server_name": "onehop-edge"},
            "health": "/health",
        }
    ]
    assert _plan.table(plan, "front")[1] == []


def test_replicas_on_two_hosts_are_one_route() -> None:
    big = {"m": {"port": 18001, "route": {"weight": 3, "aliases": ["small"]}}}
    small = {"m": {"port": 18001, "route": {"aliases": ["small"]}}}
    plan = made(
        gpu("gpu1", llama_cpp_models=small),
        gpu("gpu2", llama_cpp_models=big, router_edge_address="gpu2.internal"),
        front(),
    )
    assert [(item["url"], item.get("weight")) for item in upstreams(plan, "front")] == [
        ("https://192.0.2.11:8443/route/m", None),
        ("https://gpu2.internal:8443/route/m", 3),
    ]
    assert _plan.table(plan, "front")[0]["m"]["aliases"] == ["small"]
    assert "aliases" not in _plan.edge_table(plan, "gpu1")["m"]


def test_hosts_that_serve_and_route_have_both() -> None:
    plan = made(both("gpu1"), both("gpu2"), front())
    assert plan["hosts"]["gpu1"]["edge"]["fronts"] == ["front", "gpu2"]
    assert list(plan["hosts"]["gpu1"]["router"]["edges"]) == ["gpu2"]
    assert [item["url"] for item in upstreams(plan, "gpu1")] == [
        "http://127.0.0.1:18001",
        "https://gpu2.internal:8443/route/m",
    ]
    assert [item["url"] for item in _plan.edge_table(plan, "gpu1")["m"]["upstreams"]] == [
        "http://127.0.0.1:18001"
    ]


@pytest.mark.parametrize(
    "hosts",
    [
        [gpu()],
        [gpu(), front(router_enable=False)],
        [gpu(router_edge_enable=False), front()],
        [gpu(llama_cpp_models={}), front()],
        [both("gpu1")],
        # An inventory without the group llm_routers: each host routes for itself.
        [_plan.Host("gpu1", MODEL), _plan.Host("gpu2", MODEL)],
    ],
)
def test_nobody_asks_for_an_edge(hosts: list[_plan.Host]) -> None:
    plan = made(*hosts)
    assert [planned["edge"] for planned in plan["hosts"].values()] == [None] * len(hosts)
    routers = [planned["router"] for planned in plan["hosts"].values() if planned["router"]]
    assert all(router["edges"] == {} for router in routers)


def test_without_an_edge_a_model_is_out_of_reach() -> None:
    plan = made(gpu(router_edge_enable=False), front())
    assert _plan.table(plan, "front") == ({}, ["m"])


@pytest.mark.parametrize(
    ("address", "url", "listener"),
    [
        ("192.0.2.11", "https://192.0.2.11:8443/route/m", "0.0.0.0"),
        ("2001:DB8::11", "https://[2001:db8::11]:8443/route/m", "::"),
        ("[2001:db8::11]", "https://[2001:db8::11]:8443/route/m", "::"),
        ("gpu1.internal", "https://gpu1.internal:8443/route/m", "0.0.0.0"),
    ],
)
def test_addresses(address: str, url: str, listener: str) -> None:
    plan = made(gpu(router_edge_address=address), front())
    assert upstreams(plan, "front")[0]["url"] == url
    assert plan["hosts"]["gpu1"]["edge"]["router"]["router_host"] == listener


def test_a_host_without_an_address_is_reached_by_its_name() -> None:
    plan = made(_plan.Host("gpu1", MODEL, router=False), front())
    assert upstreams(plan, "front")[0]["url"] == "https://gpu1:8443/route/m"


def test_a_models_name_is_one_segment_of_the_path() -> None:
    edge = made(gpu(), front())["hosts"]["front"]["router"]["edges"]["gpu1"]
    found = _edges.upstream(edge, "org/a model?ü", REPLICA)["url"]
    assert found == "https://192.0.2.11:8443/route/org%2Fa%20model%3F%C3%BC"


def test_every_engines_health_path_is_let_through() -> None:
    for engine in (*_catalogue.ENGINES.values(), _gateway.GATEWAY):
        assert engine.liveness_path in paths.DEFAULT_ALLOWED_PATHS


def test_a_given_certificate_is_checked_by_authorities() -> None:
    given = {"certificate": "/etc/ssl/c.pem", "key": "/etc/ssl/k.pem"}
    plan = made(gpu(router_edge_certificate=given), front())
    edge = plan["hosts"]["gpu1"]["edge"]
    assert edge["made"] is False
    assert edge["router"]["router_credentials"] == {
        "tls_certificate": "/etc/ssl/c.pem",
        "tls_key": "/etc/ssl/k.pem",
    }
    assert upstreams(plan, "front")[0]["tls"] == {"server_name": "192.0.2.11"}
    named = {**given, "authorities": "/etc/ssl/ca.pem", "name": "gpu1.internal"}
    plan = made(gpu(router_edge_certificate=named), front())
    assert upstreams(plan, "front")[0]["tls"] == {
        "ca": "/etc/ssl/ca.pem",
        "server_name": "gpu1.internal",
    }
    needs = _install.needs(plan, "gpu1", None)["files"]
    assert [(need["path"], need["variable"]) for need in needs] == [
        ("/etc/ssl/c.pem", "router_edge_certificate.certificate"),
        ("/etc/ssl/k.pem", "router_edge_certificate.key"),
    ]
    (need,) = _install.needs(plan, "front", None)["files"]
    assert (need["path"], need["reader"]) == ("/etc/ssl/ca.pem", "onehop-router")


@pytest.mark.parametrize(
    ("hosts", "said"),
    [
        (
            [gpu(router_edge_address="127.0.0.1"), front()],
            "gpu1: router_edge_address = '127.0.0.1': leads front to itself and not to this host",
        ),
        (
            [_plan.Host("gpu1", MODEL, router=False, address="localhost"), front(), front("f2")],
            "gpu1: router_edge_address = 'localhost': leads front and others to itself",
        ),
        ([gpu(router_edge_address="::"), front()], "router_edge_address = '::': leads front"),
        (
            [gpu(router_edge_address="my host"), front()],
            "router_edge_address = 'my host': is neither an IP address nor a name",
        ),
        (
            [gpu(router_edge_address="fe80::1%eth0"), front()],
            "router_edge_address = 'fe80::1%eth0': is neither an IP address nor a name",
        ),
        (
            [gpu(router_edge_host="127.0.0.1"), front()],
            "router_edge_host = '127.0.0.1': is this host's loopback, which front cannot reach",
        ),
        (
            [gpu(router_edge_host="eth0"), front()],
            "router_edge_host = 'eth0': is not an IP address",
        ),
        (
            [gpu(router_edge_port=18001), front()],
            "llama_cpp_models.m.port = 18001: is used by router_edge_port too",
        ),
        (
            [both("gpu1", router_edge_port=8080), front()],
            "router_edge_port = 8080: is used by router_port too",
        ),
        (
            [gpu(router_edge_certificate={"certificate": "/c"}), front()],
            "router_edge_certificate.key: is missing",
        ),
        (
            [gpu(), front(router_credentials={"edge_gpu1": "/k"})],
            "front: router_credentials.edge_gpu1: is the name under which the key of gpu1 comes",
        ),
        (
            [gpu("gpu 1"), gpu("gpu_1"), front()],
            "router_credentials.edge_gpu_1: is the name under which the key of gpu_1 comes, and of "
            "gpu 1",
        ),
        ([gpu(router_edge_prot=1), front()], "router_edge_prot: is not a known variable"),
    ],
)
def test_mistakes(hosts: list[_plan.Host], said: str) -> None:
    found = [str(problem) for problem in _plan.make(hosts).problems]
    assert len(found) == 1, found
    assert said in found[0]


def test_a_mistake_of_a_router_variable_is_told_once() -> None:
    plan = _plan.make([both("gpu1", router_port="web"), both("gpu2")])
    assert [(problem.host, problem.variable) for problem in plan.problems] == [
        ("gpu1", "router_port")
    ]
    plan = _plan.make([gpu(router_drain_seconds="long"), front()])
    assert [problem.variable for problem in plan.problems] == ["router_drain_seconds"]


def test_golden_edge() -> None:
    """A change here is a change for users: read the difference, then write the file anew."""
    plan = made(both("gpu1", router_allowed_paths=["/v1/completions"]), gpu("gpu2"), front())
    got = _install.edge(plan, "gpu1", "/opt/onehop/router/x", KEYS)
    texts = {item["name"]: item["content"] for item in got.rendered["units"]}
    for name, text in (*texts.items(), ("edge.json", got.rendered["files"][0]["content"])):
        assert text == (GOLDEN / name).read_text()


def test_the_router_itself_takes_the_configurations() -> None:
    plan = made(gpu(), front(), both("gpu2"))
    for host in ("gpu1", "gpu2"):
        keys = dict.fromkeys(plan["hosts"][host]["edge"]["fronts"], KEYS["front"])
        keys[plan["hosts"][host]["edge"]["fronts"][-1]] = KEYS["gpu2"]
        text = _install.edge(plan, host, "/e", keys).rendered["files"][0]["content"]
        config = config_reader.parse(text, None)
        assert config.tls is not None
        assert config.max_body_bytes == 0
    given = {name: {"key": "k", "certificate": "c"} for name in ("gpu1", "gpu2")}
    text = _install.router(plan, "front", "/e", {}, {}, given).rendered["files"][0]["content"]
    config = config_reader.parse(text, None)
    assert [upstream.url.base_path for upstream in config.models["m"].upstreams] == [
        "/route/m",
        "/route/m",
    ]


def secrets(plan: dict[str, Any], **more: Any) -> tuple[list[dict[str, str]], _install.Router]:
    got = _install.router(plan, "front", "/e", more.get("facts", {}), {}, more.get("fetched"))
    return got.rendered["secrets"], got


def test_what_an_edge_gave_comes_as_credentials() -> None:
    given = {"gpu1": {"key": "hunter2", "certificate": "PEM"}}
    found, got = secrets(made(gpu(), front()), fetched=given)
    home = "/etc/onehop/credentials/onehop-router.service"
    assert found == [
        {"path": f"{home}/edge_gpu1", "content": "hunter2"},
        {"path": f"{home}/edge_gpu1.pem", "content": "PEM"},
    ]
    service = got.rendered["units"][1]
    assert f"LoadCredential=edge_gpu1:{home}/edge_gpu1\n" in service["content"]
    assert f"{home}/edge_gpu1" in got.rendered["files"][0]["secrets"]
    assert "hunter2" not in json.dumps([got.rendered["units"], got.rendered["files"]])


def test_a_limited_run_uses_the_copies_that_the_host_has() -> None:
    found, got = secrets(made(gpu(), front()), facts={"copies": ["gpu1"]})
    assert [item["source"] == item["path"] for item in found] == [True, True]
    assert (got.keyless, got.elsewhere) == ([], [])


def test_an_edge_without_a_key_for_a_front_is_left_out() -> None:
    plan = made(gpu("gpu1"), gpu("gpu2"), front())
    fetched = {"gpu1": {"key": "k", "certificate": "c"}, "gpu2": {"key": "", "certificate": ""}}
    found, got = secrets(plan, fetched=fetched)
    assert len(found) == 2
    assert got.keyless == ["gpu2"]
    config = json.loads(got.rendered["files"][0]["content"])
    assert len(config["models"]["m"]["upstreams"]) == 1


def test_what_is_said_of_models_out_of_reach() -> None:
    gone = made(gpu(router_edge_enable=False), front())
    (said,) = router_config._warnings("front", secrets(gone)[1])
    assert said.startswith("front: the router has no route to m: ")
    (said,) = router_config._warnings("front", secrets(made(gpu(), front()))[1])
    assert said.endswith("Let a run reach both: --limit front,gpu1.")
    given = {"gpu1": {"key": "k", "certificate": "c"}}
    assert router_config._warnings("front", secrets(made(gpu(), front()), fetched=given)[1]) == []


def test_what_may_stay_while_routes_are_withdrawn() -> None:
    plan = made(both("gpu1"), gpu("gpu2"), front())
    assert router_config._urls(router_config._routes(plan, "gpu1", "edge")) == {
        "m": ["http://127.0.0.1:18001"]
    }
    assert router_config._urls(router_config._routes(plan, "gpu1", "router")) == {
        "m": ["http://127.0.0.1:18001", "https://192.0.2.11:8443/route/m"]
    }
    assert router_config._routes(plan, "gpu2", "router") == {}


def test_what_an_edge_needs_of_its_host() -> None:
    plan = made(gpu(), front())
    needs = _install.needs(plan, "gpu1", ["router"])
    assert needs["ports"] == [
        {
            "port": 8443,
            "unit": "onehop-edge.socket",
            "variable": "router_edge_port",
            "address": "0.0.0.0",
        }
    ]
    assert needs["files"] == []
    assert needs["pythons"] == [{"path": None, "variable": "router_python"}]
    assert [need["variable"] for need in _install.needs(plan, "front", None)["copies"]] == [
        "gpu1",
        "gpu1",
    ]
    assert _install.needs(plan, "gpu1", ["llama_cpp"])["pythons"] == []


def test_other_models_are_no_reason_to_restart_the_edge() -> None:
    texts = set()
    for models in ({"a": {}}, {"a": {}, "b": {"port": 18002}}):
        plan = made(gpu(llama_cpp_models=models), front())
        texts.add(str(_install.edge(plan, "gpu1", "/e", KEYS).rendered["units"]))
    assert len(texts) == 1
