# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: specs, routes and every mistake of every host."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.plugin_utils import _plan
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import sentences

FILE = {"model": "/srv/x.gguf"}


def plan(variables: dict[str, Any], **more: Any) -> _plan.Plan:
    return _plan.make([_plan.Host("gpu1", variables, list(variables), **more)])


def problems(variables: dict[str, Any], **more: Any) -> list[str]:
    return [str(problem) for problem in plan(variables, **more).problems]


def workers(made: _plan.Plan, host: str = "gpu1") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = made.hosts[host]["engines"]["llama_cpp"]["workers"]
    return found


def test_an_empty_inventory_is_right() -> None:
    made = plan({})
    assert made.problems == []
    assert workers(made) == []
    assert made.routes == {}


def test_a_worker_by_port_and_one_by_socket() -> None:
    made = plan({"llama_cpp_models": {"b": {"port": "18002"}, "a": {}, "c": {"port": 18001}}})
    assert made.problems == []
    assert [(w["unit"], w["url"], w["after"]) for w in workers(made)] == [
        ("llama-cpp-c.service", "http://127.0.0.1:18001", []),
        ("llama-cpp-b.service", "http://127.0.0.1:18002", ["llama-cpp-c.service"]),
        (
            "llama-cpp-a.service",
            "unix:///run/onehop/llama-cpp-a/http.sock",
            ["llama-cpp-b.service"],
        ),
    ]


def test_no_order_where_none_is_wanted() -> None:
    models = {"a": {"port": 18001}, "b": {"port": 18002}}
    made = plan({"llama_cpp_models": models, "llama_cpp_startup_ordering": False})
    assert [w["after"] for w in workers(made)] == [[], []]


def test_the_route_has_the_models_name_and_not_its_key() -> None:
    made = plan({"llama_cpp_models": {"key": {"name": "served", "port": 18001}}})
    assert list(made.routes) == ["served"]
    assert workers(made)[0]["unit"] == "llama-cpp-served.service"


def test_disabled_models_and_engines_have_no_worker() -> None:
    models = {"a": {"enable": False}, "b": {}}
    assert [w["name"] for w in workers(plan({"llama_cpp_models": models}))] == ["b"]
    assert workers(plan({"llama_cpp_models": models, "llama_cpp_enable": "no"})) == []


def test_a_models_own_words_win() -> None:
    made = plan(
        {
            "llama_cpp_model_settings": {"ctx-size": 1, "mlock": True},
            "llama_cpp_environment": {"A": "1", "B": "1"},
            "llama_cpp_environment_file": "/etc/all.env",
            "llama_cpp_models": {
                "a": {
                    "settings": {"ctx-size": 2},
                    "environment": {"B": "2"},
                    "environment_file": "/etc/a.env",
                }
            },
        }
    )
    worker = workers(made)[0]
    assert worker["settings"] == {"ctx-size": 2, "mlock": True}
    assert worker["environment"] == {"A": "1", "B": "2"}
    assert worker["environment_files"] == ["/etc/all.env", "/etc/a.env"]


def test_a_router_role_takes_the_workers_that_another_role_planned() -> None:
    planned = plan({"llama_cpp_models": {"m": {"port": 8080}}}, router=False)
    assert planned.problems == []
    engines = planned.hosts["gpu1"]["engines"]
    made = plan({"router_port": 8090, "llama_cpp_models": {}}, planned=engines)
    assert made.problems == []
    assert _plan.table(made.data(), "gpu1")[0]["m"]["upstreams"] == [
        {"url": "http://127.0.0.1:8080", "health": "/health"}
    ]
    assert "is used by router_port too" in str(plan({}, planned=engines).problems[0])


def test_replicas_of_one_route() -> None:
    hosts = [
        _plan.Host(name, {"llama_cpp_models": {"m": {"port": 18001}}}) for name in ("gpu1", "gpu2")
    ]
    made = _plan.make(hosts)
    assert made.problems == []
    assert [replica["host"] for replica in made.routes["m"]["replicas"]] == ["gpu1", "gpu2"]
    routes, elsewhere = _plan.table(made.data(), "gpu1")
    assert [item["url"] for item in routes["m"]["upstreams"]] == ["http://127.0.0.1:18001"]
    assert elsewhere == []


def test_a_router_that_is_no_front_reaches_the_workers_of_its_host() -> None:
    made = _plan.make(
        [
            _plan.Host("gpu1", {"llama_cpp_models": {"m": {"port": 18001}}}, router=False),
            _plan.Host("front", {}, worker=False),
        ]
    )
    assert _plan.table(made.data(), "front") == ({}, ["m"])


def test_the_plan_holds_no_secret() -> None:
    made = plan(
        {
            "llama_cpp_models": {
                "m": {
                    "credentials": {"k": {"content": "hunter2"}, "f": "/etc/f"},
                    "settings": {"api-key-file": "${cred:k}"},
                }
            },
            "router_credentials": {"a": {"content": "hunter3"}},
            "router_client_keys": {"alice": {"credential": "a"}},
        }
    )
    assert made.problems == []
    assert "hunter" not in json.dumps(made.data())
    worker = workers(made)[0]
    kept = "/etc/onehop/credentials/llama-cpp-m.service/k"
    assert worker["credentials"] == {"k": kept, "f": "/etc/f"}
    assert worker["contents"] == {"k": kept}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (
            {"llama_cpp_models": {"a": {"port": 18001}, "b": {"port": 18001}}},
            "llama_cpp_models.b.port = 18001: is used by llama_cpp_models.a.port too. "
            "Write a free port",
        ),
        (
            {"llama_cpp_models": {"a": {"port": 8080}}},
            "llama_cpp_models.a.port = 8080: is used by router_port too",
        ),
        (
            {"llama_cpp_models": {"a": {"port": 80}}},
            "is a port that only root may listen on",
        ),
        (
            {"llama_cpp_models": {"a": {"name": "x"}, "b": {"name": "x"}}},
            "is served as 'x', and so is llama_cpp_models.a on this host",
        ),
        (
            {"llama_cpp_models": {"a/b": {}}},
            "llama_cpp_models.a/b = 'a/b': is not a name that a unit, a route and a file",
        ),
        (
            {"llama_cpp_models": {"a": {"prot": 1}}},
            "llama_cpp_models.a.prot: is not a known key. Did you mean port",
        ),
        (
            {"llama_cpp_models": ["a"]},
            "llama_cpp_models: is a list, not a dictionary",
        ),
        (
            {"llama_cpp_socket_directory": "/var/run/x"},
            "llama_cpp_socket_directory = '/var/run/x': is not a directory below /run",
        ),
        (
            {"llama_cpp_socket_directory": "/run/" + "d" * 100, "llama_cpp_models": {"a": {}}},
            "and 107 is the longest",
        ),
        (
            {"llama_cpp_models": {"a": {"settings": {"port": 1}}}},
            "llama_cpp_models.a.settings.port: is set by the role. Use the model's port",
        ),
        (
            {"llama_cpp_model_settings": {"host": "0.0.0.0"}},
            "llama_cpp_model_settings.host: is set by the role",
        ),
        (
            {"llama_cpp_models": {"a": {"settings": {"--ctx-size": 1}}}},
            "is not the name of a flag. Write it without leading dashes: ctx-size",
        ),
        (
            {"llama_cpp_models": {"a": {"settings": {"api-key": "k"}}}},
            "is a secret, which every user of the host could read in the argument list",
        ),
        (
            {"llama_cpp_models": {"a": {"environment": {"HF_TOKEN": "k"}}}},
            "is a secret, which every user of the host could read in the unit",
        ),
        (
            {"llama_cpp_models": {"a": {"settings": {"api-key-file": "${cred:k}"}}}},
            "refers to the credential 'k', which is not declared",
        ),
        (
            {"llama_cpp_models": {"a": {"credentials": {"k": {}}}}},
            "has neither source nor content",
        ),
        (
            {"llama_cpp_models": {"a": {"credentials": {"k": "/etc/my keys"}}}},
            "credentials.k.source = '/etc/my keys': holds a space",
        ),
        (
            {"llama_cpp_models": {"a": {"credentials": {"k": {"source": "/k", "content": "c"}}}}},
            "has both source and content",
        ),
        (
            {"llama_cpp_models": {"a": {"service_config": {"User": "root"}}}},
            "service_config.User: is set by the role",
        ),
        (
            {"llama_cpp_models": {"a": {"service_config": {"Nice": "1\nUser=root"}}}},
            "service_config.Nice = '1\\nUser=root': is no text on one line",
        ),
        (
            {"llama_cpp_models": {"a": {"unit_config": {"[Service] ": "x"}}}},
            "unit_config.[Service] : is no key of a unit",
        ),
        (
            {"llama_cpp_models": {"a": {"extra_args": ["--api-key=k"]}}},
            "llama_cpp_models.a.extra_args: gives api-key, a secret",
        ),
        (
            {"llama_cpp_models": {"a": {"settings": {"model": "/home/ann/x.gguf"}}}},
            "settings.model = '/home/ann/x.gguf': is in a place that the worker's sandbox hides",
        ),
        (
            {"llama_cpp_models": {"a": {"settings": {"lora": ["/srv/a", "/tmp/b"]}}}},
            "settings.lora = '/tmp/b': is in a place that the worker's sandbox hides",
        ),
        (
            {"llama_cpp_models": {"a": {}, "b": {}}, "llama_cpp_binary": "/root/llama-server"},
            "llama_cpp_binary = '/root/llama-server': is in a place that the worker's sandbox",
        ),
        (
            {"llama_cpp_models": {"a": {"model": "/srv/x.gguf"}}},
            "start_timeout, unit_config, weights. Flags of the engine belong into settings",
        ),
        (
            {"llama_cpp_models": {"a": {"extra_args": ["--host", "0.0.0.0"]}}},
            "extra_args: gives host, which is set by the role",
        ),
        ({"llama_cpp_user": "root"}, "llama_cpp_user = 'root': is root"),
        (
            {
                "llama_cpp_binary": "/usr/bin/x",
                "llama_cpp_archive": {"source": "/a", "checksum": "sha256:" + "0" * 64},
            },
            "is given beside llama_cpp_archive",
        ),
        ({"router_host": "0.0.0.0"}, "lets everybody in reach use the models"),
        ({"router_host": "localhost"}, "is not an IP address"),
        ({"router_socket": "/tmp/x.sock"}, "is not a socket path below /run"),
        (
            {"router_client_keys": {"alice": {"credential": "k"}}},
            "is not one of router_credentials. Declare router_credentials.k",
        ),
        (
            {
                "router_credentials": {"k": "/k"},
                "router_client_keys": {"alice": {"credential": "k", "models": ["x"]}},
            },
            "names 'x', which nobody serves",
        ),
        (
            {"llama_cpp_models": {"m": {}}, "router_models": {"m": {"url": "https://x"}}},
            "is served by our own host gpu1 under that name",
        ),
        (
            {"router_models": {"m": {"url": "https://api.example.com/v1/"}}},
            "router_models.m.url = 'https://api.example.com/v1/': ends in /v1, and so does",
        ),
        (
            {
                "router_models": {
                    "m": {"url": "https://x", "headers": {"authorization": "Bearer s"}}
                }
            },
            "holds a secret in plain text",
        ),
        (
            {
                "router_models": {
                    "m": {"url": "https://x", "headers": {"Authorization": "Bearer ${cred:k}"}}
                }
            },
            "refers to the credential 'k', which is not declared",
        ),
    ],
)
def test_mistakes(variables: dict[str, Any], said: str) -> None:
    found = problems(variables)
    assert len(found) == 1, found
    assert said in found[0]
    assert found[0].startswith("gpu1: ")


def test_what_only_follows_from_another_mistake_is_not_told() -> None:
    variables = {"router_client_keys": {"a": {"credential": "k"}}, "router_port": "web"}
    made = _plan.make([_plan.Host("gpu1", variables)], complete=False)
    assert [problem.variable for problem in made.problems] == ["router_port"]


def test_an_operator_may_show_what_the_sandbox_hides() -> None:
    model = {
        "settings": {"model": "/home/ann/x.gguf"},
        "service_config": {"ProtectHome": "read-only"},
    }
    assert problems({"llama_cpp_models": {"a": model}, "llama_cpp_binary": "/home/ann/bin/x"}) == []


def test_all_mistakes_of_all_hosts_at_once() -> None:
    made = _plan.make(
        [
            _plan.Host("a", {"llama_cpp_models": {"x": {"port": 0}}}),
            _plan.Host("b", {"router_port": "web"}, others=["router_prot"]),
            _plan.Host("c", {"llama_cpp_models": {"y": {}}}, worker=False),
        ]
    )
    assert [(problem.host, problem.variable) for problem in made.problems] == [
        ("a", "llama_cpp_models.x.port"),
        ("b", "router_port"),
        ("b", "router_prot"),
        ("c", "llama_cpp_models"),
    ]


def test_open_with_keys_or_on_purpose() -> None:
    keys = {
        "router_credentials": {"k": "/k"},
        "router_client_keys": {"alice": {"credential": "k"}},
    }
    assert problems({"router_host": "0.0.0.0", **keys}) == []
    assert problems({"router_host": "::", "router_allow_anonymous": True}) == []
    assert problems({"router_host": "::1"}) == []


def test_a_mistake_of_many_hosts_is_told_once() -> None:
    hosts = [_plan.Host(f"gpu{number}", {"llama_cpp_user": "root"}) for number in range(5)]
    assert sentences(_plan.make(hosts).problems) == [
        "gpu0, gpu1, gpu2 and 2 more: llama_cpp_user = 'root': is root. "
        "Name an account of its own, or none."
    ]


@pytest.mark.parametrize(
    "variables",
    [
        {"router_credentials": {"alice": "hunter2"}},
        {"router_credentials": {"alice": ["hunter2"]}},
        {"router_credentials": ["hunter2"]},
        {"router_credentials": {"alice": {"content": ["hunter2"]}}},
        {"llama_cpp_models": {"m": {"credentials": "hunter2"}}},
        {"llama_cpp_models": [{"m": {"credentials": {"k": {"content": "hunter2"}}}}]},
        {"llama_cpp_models": {"m": {"environment": {"TOKEN": "hunter2\n"}}}},
        {"router_models": {"m": {"url": "https://x", "headers": "Authorization: hunter2"}}},
    ],
)
def test_a_secret_in_the_wrong_place_is_not_shown(variables: dict[str, Any]) -> None:
    found = problems(variables)
    assert found
    assert "hunter2" not in "\n".join(found)
