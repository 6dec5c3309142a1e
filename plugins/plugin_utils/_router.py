# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The router's variables, what is wrong with them, and its configuration as plain data.

This plugin util is private to the collection.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _credentials, _schema
from ansible_collections.onehop.llm.plugins.plugin_utils import _engine_options as shared
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import Problems
from ansible_collections.onehop.llm.plugins.plugin_utils._schema import Option

_VERSIONED = re.compile(r"/v1/?\Z")
_SECRET_HEADERS = ("authorization", "x-api-key", "api-key", "proxy-authorization", "cookie")

STAMP = "{stamp}"
"""What stands for the stamp in the configuration, until the host knows it."""

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
        "router_tls",
        "dict",
        "With it O(router_host) speaks TLS. Each is a path on the host that O(router_user) can "
        "read, or C(${cred:NAME}). They are read again at each reload.",
        default=None,
        keys=(
            Option("certificate", "str", "The certificate and those above it, in PEM."),
            Option("key", "str", "Its private key, in PEM and without a password."),
            Option(
                "client_ca",
                "str",
                "The authority whose certificate clients have to show. None unless given.",
                default=None,
            ),
        ),
        example={"certificate": "/etc/onehop/router.pem", "key": "${cred:router_tls_key}"},
    ),
    Option(
        "router_environment",
        "map",
        "Environment variables of the router, for C(${env:NAME}) in its configuration. Everybody "
        "on the host can read them: secrets go into O(router_environment_files).",
        default={},
        key_type="environment_name",
        elements="environment_value",
        secret=True,
    ),
    Option(
        "router_environment_files",
        "list",
        "Files on the host with C(NAME=value) lines, read as root when the router starts.",
        default=[],
        elements="path",
        example=["/etc/onehop/router.env"],
    ),
    Option(
        "router_processes",
        "positive",
        "Processes that serve. Limits and counts hold for all of them together.",
        default=1,
    ),
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


def read(variables: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    """The router's variables, complete and without secrets."""
    router = _schema.read(OPTIONS, variables, problems)
    _credentials.check("router_credentials", router["router_credentials"], problems)
    paths = _credentials.paths("onehop-router.service", router["router_credentials"])
    return {**router, "router_credentials": paths["credentials"], "contents": paths["contents"]}


def check(router: Mapping[str, Any], routes: Mapping[str, Any], problems: Problems) -> None:
    """What a router's variables say of each other, and of the routes of all hosts."""
    credentials = router["router_credentials"]
    _check_listeners(router, problems)
    for name, text in _tls_files(router).items():
        _check_file(f"router_tls.{name}", text, credentials, problems)
    for name, key in router["router_client_keys"].items():
        where = f"router_client_keys.{name}"
        if key["credential"] is not None and key["credential"] not in credentials:
            problems.add(
                f"{where}.credential",
                "is not one of router_credentials",
                f"Declare router_credentials.{key['credential']}",
                key["credential"],
            )
        for model in key["models"] or []:
            if model not in routes and model not in router["router_models"]:
                problems.add(
                    f"{where}.models",
                    f"names {model!r}, which nobody serves",
                    "Declare the model, or remove it here",
                )
    for name, model in router["router_models"].items():
        where = f"router_models.{name}"
        if name in routes:
            host_name = routes[name]["replicas"][0]["host"]
            problems.add(
                where,
                f"is served by our own host {host_name} under that name",
                "Remove the entry: routes of own models come from the plan, or rename it",
            )
        if model["url"] and _VERSIONED.search(model["url"]):
            problems.add(
                f"{where}.url",
                "ends in /v1, and so does each request's path begin: it would be there twice",
                "Write it without /v1",
                model["url"],
            )
        for header, text in model["headers"].items():
            _credentials.check_references(f"{where}.headers.{header}", text, credentials, problems)
            if header.lower() in _SECRET_HEADERS and not _credentials.any_reference(text):
                problems.add(
                    f"{where}.headers.{header}",
                    "holds a secret in plain text",
                    "Put it into router_credentials and refer to it: Bearer ${cred:NAME}",
                )


def _tls_files(router: Mapping[str, Any]) -> dict[str, str]:
    return {name: text for name, text in (router["router_tls"] or {}).items() if text is not None}


def files(router: Mapping[str, Any]) -> dict[str, str]:
    """Paths on the host that the router itself reads, by the variable that names them."""
    return {
        f"router_tls.{name}": text
        for name, text in _tls_files(router).items()
        if text.startswith("/")
    }


def _check_file(where: str, text: str, credentials: Mapping[str, Any], problems: Problems) -> None:
    if re.fullmatch(r"\$\{cred:[^}]*\}", text):
        _credentials.check_references(where, text, credentials, problems)
    elif not text.startswith("/") or "$" in text:
        problems.add(
            where,
            "is neither an absolute path nor a credential",
            "Write a path on the host, or ${cred:NAME}",
            text,
        )


def _check_listeners(router: Mapping[str, Any], problems: Problems) -> None:
    address = router["router_host"]
    try:
        loopback = ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        problems.add(
            "router_host",
            "is not an IP address",
            "Write one such as 127.0.0.1, 0.0.0.0 or ::",
            address,
        )
        return
    if not loopback and not router["router_client_keys"] and not router["router_allow_anonymous"]:
        problems.add(
            "router_host",
            "lets everybody in reach use the models, as there are no client keys",
            "Declare router_client_keys, or set router_allow_anonymous: true if that is meant",
            address,
        )
    socket = router["router_socket"]
    if socket and not (socket.startswith("/run/") and len(socket) <= _schema.LONGEST_SOCKET):
        problems.add(
            "router_socket",
            "is not a socket path below /run of at most 107 characters",
            "Write a path such as /run/onehop/router.sock",
            socket,
        )


def config(router: dict[str, Any], routes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The router's configuration: its variables and the routes that it can reach.

    ``routes`` is what :func:`_plan.table` gives for its host.
    """
    result: dict[str, Any] = {
        "host": router["router_host"],
        "port": router["router_port"],
        "processes": router["router_processes"],
        # The host puts a stamp over the secrets there, so that other ones are another file.
        "stamp": STAMP,
        "max_body_bytes": router["router_max_body_bytes"],
        "max_concurrent_requests": router["router_max_concurrent_requests"],
        "drain_seconds": router["router_drain_seconds"],
        "allow_anonymous": router["router_allow_anonymous"],
        "client_keys": {
            name: _client(key) for name, key in sorted(router["router_client_keys"].items())
        },
        "models": {name: routes[name] for name in sorted(routes)},
    }
    if router["router_tls"] is not None:
        result["tls"] = _tls_files(router)
    if router["router_allowed_paths"] is not None:
        result["allowed_paths"] = list(router["router_allowed_paths"])
    return result


def _client(key: dict[str, Any]) -> dict[str, Any]:
    client: dict[str, Any] = {"keys": [f"${{cred:{key['credential']}}}"]}
    if key["models"] is not None:
        client["models"] = list(key["models"])
    return client
