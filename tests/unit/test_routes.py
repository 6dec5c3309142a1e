# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What declarations say of routes: aliases, fallbacks, weights, other people's models, clients."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.plugin_utils import _plan, _router
from onehop_router.config_reader import parse


def plan(*hosts: dict[str, Any]) -> _plan.Plan:
    return _plan.make(
        _plan.Host(f"gpu{number}", variables, list(variables))
        for number, variables in enumerate(hosts, 1)
    )


def wrong(*hosts: dict[str, Any]) -> list[str]:
    return [str(problem) for problem in plan(*hosts).problems]


def config_of(made: _plan.Plan, host: str = "gpu1") -> dict[str, Any]:
    assert made.problems == []
    routes, dummy = _plan.table(made.data(), host)
    config = _router.config(made.hosts[host]["router"], routes)
    # The router itself has to agree with whatever is planned for it.
    parse(json.dumps(config), None)
    return config


def local(**routes: dict[str, Any]) -> dict[str, Any]:
    return {
        "llama_cpp_models": {
            name: {"port": 18001 + number, "route": route}
            for number, (name, route) in enumerate(routes.items())
        }
    }


def far(**keys: Any) -> dict[str, Any]:
    return {"router_models": {"far": keys}}


def client(**keys: Any) -> dict[str, Any]:
    return {
        "router_client_keys": {"a": {"credential": "k", **keys}},
        "router_credentials": {"k": "/etc/k"},
    }


EVERYTHING = {
    "llama_cpp_models": {
        "m": {
            "port": 18001,
            "route": {
                "aliases": ["small", "org/m"],
                "list_aliases": True,
                "balance": "affinity",
                "fallbacks": ["far", "n"],
                "max_concurrent_requests": 4,
                "card": {"context_length": 8192, "modalities": ["text"]},
                "weight": 3,
            },
        },
        "n": {"port": 18002},
    },
    "router_default_model": "small",
    "router_max_concurrent_requests": 64,
    "router_max_queued_requests": 32,
    "router_queue_seconds": 5,
    "router_hold_seconds": 60,
    "router_max_held_requests": 10,
    "router_health_seconds": 2,
    "router_answer_seconds": 600,
    "router_idle_stream_seconds": 180,
    "router_access_log": False,
    "router_max_buffered_bytes": 1048576,
    "router_credentials": {"a": "/etc/a", "b": "/etc/b", "ca": "/etc/ca", "key": "/etc/key"},
    "router_client_keys": {
        "alice": {
            "credential": "a",
            "next_credential": "b",
            "models": ["small", "far"],
            "paths": ["/v1/**"],
            "max_concurrent_requests": 2,
        }
    },
    "router_models": {
        "far": {
            "aliases": ["gpt"],
            "unlisted": True,
            "upstreams": [
                {
                    "url": "https://one.example",
                    "model": "far-2",
                    "weight": 2,
                    "health": "/health",
                    "headers": {"Authorization": "Bearer ${cred:a}"},
                    "ca": "${cred:ca}",
                    "certificate": "/etc/onehop/router.pem",
                    "key": "${cred:key}",
                    "server_name": "one",
                },
                {"url": "http://two.example:8000"},
            ],
        },
        "plain": {"url": "https://three.example", "model": "other"},
    },
}


def test_everything_that_can_be_said_reaches_the_router() -> None:
    config = config_of(plan(EVERYTHING))
    m = config["models"]["m"]
    assert m.pop("upstreams")[0]["weight"] == 3
    assert m == {
        "unlisted": False,
        "aliases": ["small", "org/m"],
        "list_aliases": True,
        "balance": "affinity",
        "fallbacks": ["far", "n"],
        "max_concurrent_requests": 4,
        "card": {"context_length": 8192, "modalities": ["text"]},
    }
    assert config["models"]["n"].keys() == {"unlisted", "upstreams"}
    one, two = config["models"]["far"]["upstreams"]
    assert one == {
        "url": "https://one.example",
        "headers": {"Authorization": "Bearer ${cred:a}"},
        "model": "far-2",
        "weight": 2,
        "health": "/health",
        "tls": {
            "ca": "${cred:ca}",
            "certificate": "/etc/onehop/router.pem",
            "key": "${cred:key}",
            "server_name": "one",
        },
    }
    assert two == {"url": "http://two.example:8000", "headers": {}}
    assert config["models"]["plain"]["upstreams"][0]["model"] == "other"
    assert config["client_keys"]["alice"] == {
        "keys": ["${cred:a}", "${cred:b}"],
        "models": ["small", "far"],
        "paths": ["/v1/**"],
        "max_concurrent_requests": 2,
    }
    assert config["default_model"] == "small"
    assert (config["queue_seconds"], config["hold_seconds"], config["access_log"]) == (5, 60, False)


def test_a_router_leaves_out_fallbacks_that_it_has_no_way_to() -> None:
    hosts = [
        {**local(m={"fallbacks": ["n", "far"]}), "router_models": {"far": {"url": "http://x"}}},
        {"llama_cpp_models": {"n": {"port": 18009}}},
    ]
    routes, dummy = _plan.table(plan(*hosts).data(), "gpu1")
    del routes["far"]
    made = plan(*hosts)
    assert made.problems == []
    config = _router.config(made.hosts["gpu1"]["router"], routes)
    assert "far" not in config["models"]["m"]["fallbacks"]


@pytest.mark.parametrize(("variables", "sentence"), [
    (local(m={"aliases": ["n"]}, n={}), "gpu1: llama_cpp_models.m.route.aliases = 'n': names a model of its own"),
    (local(m={"aliases": ["x"]}, n={"aliases": ["x"]}), "llama_cpp_models.m.route.aliases = 'x': is an alias of 'n' too"),
    (local(m={"fallbacks": ["m"]}), "llama_cpp_models.m.route.fallbacks = 'm': is not the name of another model"),
    (local(m={"fallbacks": ["gone"]}), "llama_cpp_models.m.route.fallbacks = 'gone': is not the name of another model"),
    (local(m={"card": {"id": "x"}}), "llama_cpp_models.m.route.card.id: is a field that the router writes itself"),
    (local(m={"balance": "random"}), "llama_cpp_models.m.route.balance = 'random': is not one of the choices"),
    (local(m={"weight": 0}), "llama_cpp_models.m.route.weight = 0: is out of range"),
    (local(m={"alias": ["x"]}), "llama_cpp_models.m.route.alias: is not a known key. Did you mean aliases"),
    ({"router_default_model": "x"}, "router_default_model = 'x': is a model that nobody serves"),
    ({"router_models": {"far": {}}}, "router_models.far.url: is missing"),
    ({"router_models": {"far": {"url": "http://x", "upstreams": [{"url": "http://y"}]}}}, "router_models.far.url: stands beside upstreams"),
    ({"router_models": {"far": {"upstreams": [{"url": "http://x/v1"}]}}}, "router_models.far.upstreams[0].url = 'http://x/v1': ends in /v1"),
    ({"router_models": {"far": {"upstreams": ["http://x"]}}}, "router_models.far.upstreams[0]: is a text, not a dictionary"),
    ({"router_models": {"far": {"url": "http://x", "ca": "/etc/ca"}}}, "router_models.far.ca = 'http://x': is for https, and the url is not"),
    ({"router_models": {"far": {"url": "https://x", "key": "/etc/k"}}}, "router_models.far.certificate: is missing"),
    ({"router_models": {"far": {"url": "https://x", "ca": "${cred:no}"}}}, "router_models.far.ca: refers to"),
    ({"router_models": {"far": {"url": "https://x", "ca": "relative"}}}, "router_models.far.ca = 'relative': is neither an absolute path nor a credential"),
    (far(upstreams=[{"url": "http://x", "headers": {"Authorization": "Bearer s3cret"}}]), "upstreams[0].headers.Authorization: holds a secret in plain text"),
    ({"router_models": {"far": {"url": "http://x", "aliases": ["far"]}}}, "router_models.far.aliases = 'far': names a model of its own"),
    (client(next_credential="l"), "router_client_keys.a.next_credential = 'l': is not one of router_credentials"),
])  # fmt: skip
def test_a_mistake_is_named(variables: dict[str, Any], sentence: str) -> None:
    found = wrong(variables)
    assert any(sentence in one for one in found), found
    assert not any("s3cret" in one for one in found)


def test_hosts_that_serve_one_model_say_the_same_of_it_but_for_the_weight() -> None:
    first = local(m={"aliases": ["small"], "weight": 1})
    assert plan(first, local(m={"aliases": ["small"], "weight": 2})).problems == []
    (problem,) = wrong(first, local(m={"aliases": ["tiny"]}))
    assert problem.startswith(
        "gpu2: llama_cpp_models.m.route.aliases = ['tiny']: is not what host gpu1 says of the same "
        "model, ['small']."
    )


@pytest.mark.parametrize("path", ["/metrics", "/status"])
def test_own_pages_are_not_opened_for_everybody(path):
    made = plan({**client(), "router_allowed_paths": ["/v1/*", path]})
    (warning,) = made.warnings
    assert path in str(warning)
    assert "router_client_keys.NAME.paths" in str(warning)
    config = config_of(plan({**client(paths=[path])}))
    assert config["client_keys"]["a"]["paths"] == [path]
    assert plan({**client(paths=[path])}).warnings == []
