# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The router's variables, and its configuration file as plain data.

This plugin util is private to the collection.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _engine_options as shared
from ansible_collections.onehop.llm.plugins.plugin_utils._schema import Option

OPTIONS: tuple[Option, ...] = (
    Option(
        "router_enable",
        "bool",
        "Whether this host runs a router. When false, it is removed.",
        default=True,
    ),
    Option(
        "router_host",
        "str",
        "Address that the router listens on. Beyond loopback it wants O(router_client_keys).",
        default="127.0.0.1",
    ),
    Option("router_port", "port", "TCP port that the router listens on.", default=8080),
    Option(
        "router_socket",
        "path",
        "A unix socket below /run that the router listens on as well.",
        default=None,
        example="/run/onehop/router.sock",
    ),
    Option(
        "router_socket_group",
        "account",
        "Group that may use O(router_socket).",
        default="root",
    ),
    Option(
        "router_models",
        "map",
        "Models that others serve, such as hosted providers, beside our own, by name. Models of "
        "this inventory need no entry.",
        default={},
        key_type="route_name",
        keys=(
            Option("url", "url", "Where the model is served: an absolute http, https or unix URL."),
            Option(
                "headers",
                "map",
                "Headers set on each request. Secrets by C(${cred:NAME}).",
                default={},
                key_type="header_name",
                elements="str",
                secret=True,
            ),
            Option("unlisted", "bool", "Whether C(/v1/models) leaves it out.", default=False),
        ),
        example={
            "gpt-4o": {
                "url": "https://api.openai.com",
                "headers": {"Authorization": "Bearer ${cred:openai_key}"},
            }
        },
    ),
    Option(
        "router_client_keys",
        "map",
        "Who may use the router, by name.",
        default={},
        keys=(
            Option(
                "credential",
                "credential_name",
                "Which of O(router_credentials) holds the client's key.",
            ),
            Option(
                "models",
                "list",
                "Models that the client may use; all of them unless given.",
                default=None,
                elements="route_name",
            ),
        ),
        example={"alice": {"credential": "alice_key"}},
    ),
    shared.credentials("router_credentials", "Secrets that the router reads."),
    Option(
        "router_allow_anonymous",
        "bool",
        "Whether the router may listen beyond loopback without client keys.",
        default=False,
    ),
    Option(
        "router_allowed_paths",
        "list",
        "Paths that clients may ask for; C(*) is one segment, a trailing C(/**) any number. The "
        "inference paths of OpenAI and Anthropic unless given, [/**] for every path.",
        default=None,
        elements="str",
    ),
    Option(
        "router_max_body_bytes",
        "count",
        "Largest request body in bytes; 0 for no limit.",
        default=104857600,
    ),
    Option(
        "router_max_concurrent_requests",
        "count",
        "Requests under way at a time over all models, after which the answer is 429; 0 for no "
        "limit.",
        default=0,
    ),
    Option(
        "router_drain_seconds",
        "count",
        "How long the streams under way may take to finish when the router stops.",
        default=60,
    ),
    Option(
        "router_python",
        "path",
        "Python 3.11 or newer on the host to run the router with; the newest that is found unless "
        "given.",
        default=None,
        example="/usr/bin/python3.13",
    ),
    Option(
        "router_packages",
        "str",
        "Where the router's packages come from: C(controller) collects them there and sends "
        "them, so that the host needs no internet; C(host) lets the host's pip ask its index.",
        default="controller",
        choices=("controller", "host"),
    ),
    Option(
        "router_wheelhouse",
        "path",
        "Directory on the controller in which the packages are kept; a folder in the user's cache "
        "unless given. When they are all there, the controller needs no internet.",
        default=None,
        example="/srv/artefacts/wheelhouse",
    ),
    Option("router_user", "account", "Account that the router runs as.", default="onehop-router"),
)


def config(router: dict[str, Any], routes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The router's configuration: its variables and the routes that it can reach.

    ``routes`` is what :func:`_routes.table` gives for its host.
    """
    result: dict[str, Any] = {
        "host": router["router_host"],
        "port": router["router_port"],
        "max_body_bytes": router["router_max_body_bytes"],
        "max_concurrent_requests": router["router_max_concurrent_requests"],
        "drain_seconds": router["router_drain_seconds"],
        "allow_anonymous": router["router_allow_anonymous"],
        "client_keys": {
            name: _client(key) for name, key in sorted(router["router_client_keys"].items())
        },
        "models": {name: routes[name] for name in sorted(routes)},
    }
    if router["router_allowed_paths"] is not None:
        result["allowed_paths"] = list(router["router_allowed_paths"])
    return result


def _client(key: dict[str, Any]) -> dict[str, Any]:
    client: dict[str, Any] = {"key": f"${{cred:{key['credential']}}}"}
    if key["models"] is not None:
        client["models"] = list(key["models"])
    return client
