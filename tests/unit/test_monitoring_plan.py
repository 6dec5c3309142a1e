# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Prometheus is to ask, out of the plan: how it gets there, and what it cannot get to."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.onehop.llm.plugins.action import model_specs
from ansible_collections.onehop.llm.plugins.plugin_utils import (
    _install,
    _monitoring,
    _plan,
    _scraping,
)
from onehop_router import config_reader
from tooling import promtool

MODEL = {
    "llama_cpp_version": "0.6.0",
    "llama_cpp_models": {"m": {"port": 18001, "settings": {"metrics": True}}},
}
KEYS = {
    "router_client_keys": {
        "alice": {"credential": "alice"},
        "prometheus": {"credential": "watching", "paths": ["/metrics"]},
    },
    "router_credentials": {"alice": {"source": "/a"}, "watching": {"source": "/w"}},
}
GIVEN = {"key": "secret-of-the-edge", "certificate": "PEM"}


def host(name: str = "gpu1", *, monitor: bool = False, **more: Any) -> _plan.Host:
    variables = {**MODEL, **more}
    return _plan.Host(
        name,
        variables,
        list(variables),
        router=not name.startswith("gpu") or monitor,
        front=name.startswith("front"),
        worker=not name.startswith(("front", "watch")),
        address=f"{name}.internal",
        monitor=monitor,
    )


def watch(**variables: Any) -> _plan.Host:
    return _plan.Host("watch", variables, list(variables), worker=False, router=False, monitor=True)


def front(**variables: Any) -> _plan.Host:
    return _plan.Host(
        "front", variables, list(variables), worker=False, front=True, address="front.internal"
    )


def made(*hosts: _plan.Host) -> tuple[dict[str, Any], list[str]]:
    plan = _plan.make(hosts)
    assert plan.problems == []
    return plan.data(), plan.warnings


def asked(plan: dict[str, Any], monitor: str = "watch") -> dict[str, list[tuple[str, str]]]:
    """By what Prometheus calls it, address and path."""
    return {
        job["name"]: [(target["address"], target["path"]) for target in job["targets"]]
        for job in _monitoring.jobs(plan, monitor)[0]
    }


def test_engines_of_other_hosts_are_asked_through_their_edges() -> None:
    plan, warnings = made(host(), watch())
    assert warnings == []
    assert asked(plan) == {
        "onehop-edge-gpu1": [
            ("gpu1.internal:8443", "/metrics"),
            ("gpu1.internal:8443", "/route/m/metrics"),
        ]
    }
    edge = plan["hosts"]["gpu1"]["edge"]
    assert (edge["fronts"], edge["clients"]) == ([], ["monitor:watch"])
    labels = [one["labels"] for one in _monitoring.jobs(plan, "watch")[0][0]["targets"]]
    assert labels == [
        {"job": "onehop_edge", "host": "gpu1"},
        {"job": "onehop_llama_cpp", "host": "gpu1", "model": "m"},
    ]


def test_its_key_opens_metrics_and_nothing_else() -> None:
    plan, _warnings = made(host(), front(), watch())
    hashes = {"front": ["sha256:" + "a" * 64], "monitor:watch": ["sha256:" + "b" * 64]}
    text = _install.edge(plan, "gpu1", "/e", hashes).rendered["files"][0]["content"]
    # As the router itself reads it.
    clients = config_reader.parse(text, None).client_keys
    assert {name: one.paths for name, one in clients.items()} == {
        "front": None,
        "monitor:watch": ("/metrics",),
    }


def test_on_its_own_host_ports_are_asked_and_sockets_through_the_router() -> None:
    models = {
        "ported": {"port": 18001, "settings": {"metrics": True}},
        "socketed": {"settings": {"metrics": True}},
    }
    key = {"monitoring_router_key": "/etc/key"}
    plan, warnings = made(host(monitor=True, llama_cpp_models=models, **KEYS, **key))
    assert warnings == []
    assert asked(plan, "gpu1") == {
        "onehop-router-gpu1": [("127.0.0.1:8080", "/metrics")],
        "onehop-workers-gpu1": [("127.0.0.1:18001", "/metrics")],
        "onehop-routed-gpu1": [("127.0.0.1:8080", "/route/socketed/metrics")],
    }


@pytest.mark.parametrize(
    ("hosts", "said"),
    [
        (
            [host(llama_cpp_models={"m": {"port": 1025}}), watch()],
            "gpu1: llama_cpp_models.m.settings: does not let the engine tell its metrics",
        ),
        ([host(router_edge_enable=False), watch()], "gpu1: router_edge_enable: is false"),
        ([front(), watch()], "front: router_host: is this host's loopback"),
        (
            [front(router_host="::", router_allow_anonymous=True), watch()],
            "",
        ),
        (
            [
                front(
                    router_host="0.0.0.0",
                    router_client_keys={"a": {"credential": "a"}},
                    router_credentials={"a": "/a"},
                ),
                watch(),
            ],
            "front: router_client_keys: has no client that may read metrics",
        ),
        (
            [front(router_host="0.0.0.0", **KEYS), watch()],
            "watch: monitoring_router_key: is missing",
        ),
        (
            [host(monitor=True, llama_cpp_models={"m": {"settings": {"metrics": True}}})],
            "gpu1: llama_cpp_models.m.port: is missing, and Prometheus cannot ask",
        ),
    ],
)
def test_what_cannot_be_asked_is_said(hosts: list[_plan.Host], said: str) -> None:
    warnings = made(*hosts)[1]
    if said:
        assert any(warning.startswith(said) for warning in warnings), warnings
    else:
        assert warnings == []


def test_without_a_monitor_nothing_is_said_and_nobody_gets_an_edge() -> None:
    plan, warnings = made(host(llama_cpp_models={"m": {"port": 1025}}))
    assert (warnings, plan["hosts"]["gpu1"]["edge"]) == ([], None)
    off = made(host(), watch(monitoring_enable=False))[0]
    assert off["hosts"]["gpu1"]["edge"] is None


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("monitoring_interval", "15", "is no time as Prometheus writes it"),
        ("monitoring_gpu_exporter", "gpu1", "is not HOST:PORT"),
        ("monitoring_alertmanagers", ["http://a:9093"], "is not HOST:PORT"),
        ("monitoring_router_key", {}, "has neither source nor content"),
        ("monitoring_grafana_provisioning", "/etc/grafana", "leads there"),
    ],
)
def test_mistakes_are_named(name: str, value: Any, said: str) -> None:
    problems = _plan.make([watch(**{name: value})]).problems
    assert [said in str(problem) for problem in problems] == [True]


def files(plan: dict[str, Any], given: dict[str, Any] | None = None) -> dict[str, Any]:
    rules = "groups: []\n"
    made = _scraping.files(plan, "watch", given or {}, "secret-of-the-router", rules)
    return {file["path"]: file for file in made["files"]}


def whole(tmp_path: Path, **more: Any) -> Path:
    """A whole configuration with everything in it, as files."""
    watching = watch(
        monitoring_config="whole",
        monitoring_router_key={"content": "secret-of-the-router"},
        monitoring_alertmanagers=["127.0.0.1:9093"],
        **more,
    )
    exporters = {"monitoring_gpu_exporter": "gpu1:9400", "monitoring_node_exporter": "[::1]:9100"}
    plan = made(host(**exporters), host("gpu2"), front(router_host="0.0.0.0", **KEYS), watching)[0]
    found = files(plan, {"gpu1": GIVEN, "gpu2": GIVEN})
    for path, file in found.items():
        place = tmp_path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(file["content"])
    return tmp_path / "prometheus.yml"


def test_promtool_takes_the_whole_configuration(tmp_path: Path) -> None:
    config = whole(tmp_path)
    # The name of a certificate's content is another matter; promtool reads the keys' files.
    done = subprocess.run(
        [promtool.find(), "check", "config", "--syntax-only", config],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    text = config.read_text()
    assert "secret" not in text
    data = json.loads(text.partition("\n")[2])
    jobs = {one["job_name"]: one for one in data["scrape_configs"]}
    assert list(jobs) == [
        "onehop-router-front",
        "onehop-edge-gpu1",
        "onehop-edge-gpu2",
        "onehop-exporters",
    ]
    assert jobs["onehop-edge-gpu1"]["tls_config"] == {
        "ca_file": "onehop/keys/edge_gpu1.pem",
        "server_name": "onehop-edge",
    }
    assert jobs["onehop-router-front"]["authorization"] == {
        "credentials_file": "onehop/keys/router_key"
    }


def test_secrets_are_files_of_their_own_and_edges_out_of_reach_keep_theirs() -> None:
    plan = made(host(), host("gpu2"), watch())[0]
    found = files(plan, {"gpu1": GIVEN})
    assert found["onehop/keys/edge_gpu1"]["content"] == "secret-of-the-edge"
    assert found["onehop/keys/edge_gpu1"]["secret"] is True
    assert found["onehop/keys/edge_gpu2"]["content"] is None
    assert "secret" not in found["onehop/scrape.yml"]["content"]
    made_of = _scraping.files(plan, "watch", {"gpu1": {"key": "", "certificate": ""}}, None, "")
    assert made_of["keyless"] == ["gpu1"]


def test_who_watches_is_planned_for_and_does_nothing_else_by_that() -> None:
    groups = {"all": ["a", "b", "w"], "gpu_hosts": ["a"], "llm_routers": ["b"]}
    watching = {**groups, "llm_monitors": ["w"]}
    assert model_specs.members(watching) == {"a", "b", "w"}
    for group in (model_specs.WORKERS, model_specs.ROUTERS):
        assert model_specs.role_of(watching, group) == model_specs.role_of(groups, group)
    with pytest.raises(AnsibleActionFail, match="Call it llm_monitors"):
        model_specs.refuse_misspelt({**groups, "llm_monitor": ["w"]})
