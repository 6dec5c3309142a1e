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

from ansible_collections.onehop.llm.plugins.plugin_utils import _credentials, _routes, _schema
from ansible_collections.onehop.llm.plugins.plugin_utils import _engine_options as shared
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import Problems
from ansible_collections.onehop.llm.plugins.plugin_utils._schema import Option

_VERSIONED = re.compile(r"/v1/?\Z")
_OWN_PAGES = ("/metrics", "/status")
_SECRET_HEADERS = ("authorization", "x-api-key", "api-key", "proxy-authorization", "cookie")

STAMP = "{stamp}"
"""What stands for the stamp in the configuration, until the host knows it."""

_UPSTREAM: tuple[Option, ...] = (
    Option(
        "url",
        "url",
        "Where the model is served: an absolute http, https or unix URL.",
        default=None,
        example="https://api.openai.com",
    ),
    Option(
        "headers",
        "map",
        "Headers set on each request. Secrets by C(${cred:NAME}).",
        default={},
        key_type="header_name",
        elements="str",
        secret=True,
        example={"Authorization": "Bearer ${cred:openai_key}"},
    ),
    Option(
        "model",
        "route_name",
        "The model's name there, where it is another.",
        default=None,
        example="gpt-4o-2024-11-20",
    ),
    Option("weight", "positive", "Its share of the requests beside others.", default=1, example=2),
    Option(
        "health",
        "url_path",
        "A path that answers 200 while it is well, asked all the time; only requests tell unless "
        "given.",
        default=None,
        example="/health",
    ),
    Option(
        "ca",
        "file",
        "PEM file of the authorities, or of the one server, to trust instead of the system's.",
        default=None,
        example="/etc/onehop/provider-ca.pem",
    ),
    Option(
        "certificate",
        "file",
        "PEM file of the router's own certificate.",
        default=None,
        example="/etc/onehop/router.pem",
    ),
    Option(
        "key",
        "file",
        "PEM file of that certificate's key.",
        default=None,
        example="${cred:router_tls_key}",
    ),
    Option(
        "server_name",
        "str",
        "The name in the server's certificate.",
        default=None,
        example="api.example.com",
    ),
)
"""Where a model is that others serve."""

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
        example="0.0.0.0",
    ),
    Option(
        "router_port", "port", "TCP port that the router listens on.", default=8080, example=8000
    ),
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
        example="www-data",
    ),
    Option(
        "router_models",
        "map",
        "Models that others serve, such as hosted providers, beside our own, by name. Models of "
        "this inventory need no entry.",
        default={},
        key_type="route_name",
        keys=(
            *_UPSTREAM,
            Option(
                "upstreams",
                "list",
                "Several places that serve the model, each with the keys above, instead of them.",
                default=[],
                keys=_UPSTREAM,
                example=[
                    {"url": "https://gpu1.example.com:8443"},
                    {"url": "https://gpu2.example.com:8443", "weight": 2},
                ],
            ),
            *_routes.OPTIONS,
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
                example="alice_key",
            ),
            Option(
                "models",
                "list",
                "Models that the client may use; all of them unless given.",
                default=None,
                elements="route_name",
                example=["small"],
            ),
            Option(
                "next_credential",
                "credential_name",
                "Another key of the same client, valid beside the first while that is being "
                "replaced.",
                default=None,
                example="alice_next_key",
            ),
            Option(
                "paths",
                "list",
                "Paths that the client may ask for, in place of O(router_allowed_paths). C(/metrics) and "
                "the status page, C(/status), open for no client whose own paths do not name them.",
                default=None,
                elements="str",
                example=["/v1/chat/completions", "/metrics"],
            ),
            Option(
                "max_concurrent_requests",
                "count",
                "Its requests at a time; 0 for no limit.",
                default=0,
                example=4,
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
            Option(
                "certificate",
                "file",
                "The certificate and those above it, in PEM.",
                example="/etc/onehop/router.pem",
            ),
            Option(
                "key",
                "file",
                "Its private key, in PEM and without a password.",
                example="${cred:router_tls_key}",
            ),
            Option(
                "client_ca",
                "file",
                "The authority whose certificate clients have to show. None unless given.",
                default=None,
                example="/etc/onehop/clients.pem",
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
        example={"SITE": "berlin"},
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
        example=2,
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
        example=["/v1/**"],
    ),
    Option(
        "router_max_body_bytes",
        "count",
        "Largest request body in bytes; 0 for no limit.",
        default=104857600,
        example=33554432,
    ),
    Option(
        "router_max_concurrent_requests",
        "count",
        "Requests under way at a time over all models, after which they wait or the answer is 429; 0 "
        "for no limit.",
        default=0,
        example=64,
    ),
    Option(
        "router_max_buffered_bytes",
        "count",
        "Bytes of request bodies held in memory at a time; 0 for no limit.",
        default=1073741824,
        example=4294967296,
    ),
    Option(
        "router_max_queued_requests",
        "count",
        "Requests over a limit on concurrency that wait for their turn; the others get 429.",
        default=0,
        example=100,
    ),
    Option(
        "router_queue_seconds",
        "count",
        "How long a request may wait for its turn.",
        default=10,
        example=60,
    ),
    Option(
        "router_max_held_requests",
        "count",
        "Requests that wait for a model none of whose replicas is up, over all models.",
        default=256,
        example=1000,
    ),
    Option(
        "router_hold_seconds",
        "count",
        "How long a request may wait for a replica that restarts, after which the answer is 503.",
        default=30,
        example=120,
    ),
    Option(
        "router_health_seconds",
        "positive",
        "Seconds between two looks at a replica's health.",
        default=5,
        example=15,
    ),
    Option(
        "router_answer_seconds",
        "count",
        "How long an engine may take until its answer begins, after which it is 504; 0 for no "
        "limit, since a long prompt on a CPU takes many minutes.",
        default=0,
        example=600,
    ),
    Option(
        "router_idle_stream_seconds",
        "count",
        "How long an answer may pause before it is given up; 0 for no limit.",
        default=0,
        example=120,
    ),
    Option(
        "router_default_model",
        "route_name",
        "The model of requests that name none.",
        default=None,
        example="small",
    ),
    Option(
        "router_access_log",
        "bool",
        "Whether each request leaves a line of JSON, without its content, in the journal.",
        default=True,
    ),
    Option(
        "router_drain_seconds",
        "count",
        "How long the streams under way may take to finish when the router stops.",
        default=60,
        example=600,
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
        example="host",
    ),
    Option(
        "router_wheelhouse",
        "path",
        "Directory on the controller in which the packages are kept; a folder in the user's cache "
        "unless given. When they are all there, the controller needs no internet.",
        default=None,
        example="/srv/artefacts/wheelhouse",
    ),
    Option(
        "router_user",
        "account",
        "Account that the router runs as.",
        default="onehop-router",
        example="llm-router",
    ),
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
    for name, text in (router["router_tls"] or {}).items():
        _credentials.check_references(f"router_tls.{name}", text, credentials, problems)
    models = {*routes, *router["router_models"]}
    aliases = _routes.owners({**routes, **router["router_models"]})
    known = {*models, *aliases}
    for name, key in router["router_client_keys"].items():
        where = f"router_client_keys.{name}"
        for one in ("credential", "next_credential"):
            if key[one] is not None and key[one] not in credentials:
                problems.add(
                    f"{where}.{one}",
                    "is not one of router_credentials",
                    f"Declare router_credentials.{key[one]}",
                    key[one],
                )
        for model in key["models"] or []:
            if model not in known:
                problems.add(
                    f"{where}.models",
                    f"names {model!r}, which nobody serves",
                    "Declare the model, or remove it here",
                )
    for path in _OWN_PAGES:
        if path in (router["router_allowed_paths"] or []):
            problems.warn(
                "router_allowed_paths",
                f"names {path}, which is the router's own and opens by a client's paths only",
                f"Write router_client_keys.NAME.paths: [{path}]",
            )
    default = router["router_default_model"]
    if default is not None and default not in known:
        problems.add(
            "router_default_model", "is a model that nobody serves", "Declare the model", default
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
        _routes.check(name, where, model, models, aliases, problems)
        _check_places(where, model, credentials, problems)


def _check_places(
    where: str, model: Mapping[str, Any], credentials: Mapping[str, Any], problems: Problems
) -> None:
    given = [option.name for option in _UPSTREAM if model[option.name] != option.default]
    if model["upstreams"] and given:
        problems.add(
            f"{where}.{given[0]}",
            "stands beside upstreams",
            "Write it in each of the upstreams, or write no upstreams",
        )
    if not model["upstreams"]:
        _check_upstream(where, model, credentials, problems)
    for index, upstream in enumerate(model["upstreams"]):
        _check_upstream(f"{where}.upstreams[{index}]", upstream, credentials, problems)


def _check_upstream(
    where: str, upstream: Mapping[str, Any], credentials: Mapping[str, Any], problems: Problems
) -> None:
    url = upstream["url"]
    if url is None:
        problems.add(f"{where}.url", "is missing", "Write where the model is served")
    elif _VERSIONED.search(url):
        problems.add(
            f"{where}.url",
            "ends in /v1, and so does each request's path begin: it would be there twice",
            "Write it without /v1",
            url,
        )
    for name in ("ca", "certificate", "key", "server_name"):
        if upstream[name] is not None and url is not None and not url.startswith("https:"):
            problems.add(f"{where}.{name}", "is for https, and the url is not", "Write https", url)
        if upstream[name] is not None and name != "server_name":
            _credentials.check_references(f"{where}.{name}", upstream[name], credentials, problems)
    if (upstream["certificate"] is None) != (upstream["key"] is None):
        missing = "key" if upstream["key"] is None else "certificate"
        problems.add(f"{where}.{missing}", "is missing", "Write certificate and key, or none")
    for header, text in upstream["headers"].items():
        _credentials.check_references(f"{where}.headers.{header}", text, credentials, problems)
        if header.lower() in _SECRET_HEADERS and not _credentials.any_reference(text):
            problems.add(
                f"{where}.headers.{header}",
                "holds a secret in plain text",
                "Put it into router_credentials and refer to it: Bearer ${cred:NAME}",
            )


def files(router: Mapping[str, Any]) -> dict[str, str]:
    """Paths on the host that the router itself reads, by the variable that names them."""
    places = {"router_tls": router["router_tls"] or {}}
    for name, model in router["router_models"].items():
        where = f"router_models.{name}"
        places[where] = model
        places |= {f"{where}.upstreams[{i}]": one for i, one in enumerate(model["upstreams"])}
    return {
        f"{where}.{key}": place[key]
        for where, place in places.items()
        for key in ("ca", "certificate", "client_ca", "key")
        if (place.get(key) or "").startswith("/")
    }


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
        name: router[f"router_{name}"]
        for name in (
            "host", "port", "processes", "max_body_bytes", "max_concurrent_requests",
            "max_buffered_bytes", "max_queued_requests", "queue_seconds", "max_held_requests",
            "hold_seconds", "health_seconds", "answer_seconds", "idle_stream_seconds",
            "drain_seconds", "allow_anonymous", "access_log", "default_model",
        )
    }  # fmt: skip
    # The host puts a stamp over the secrets there, so that other ones are another file.
    result["stamp"] = STAMP
    result["client_keys"] = {
        name: _client(key) for name, key in sorted(router["router_client_keys"].items())
    }
    result["models"] = {name: _known_fallbacks(routes[name], routes) for name in sorted(routes)}
    if router["router_tls"] is not None:
        result["tls"] = router["router_tls"]
    if router["router_allowed_paths"] is not None:
        result["allowed_paths"] = list(router["router_allowed_paths"])
    return result


def upstreams(model: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The places of a model that others serve, as the configuration has them."""
    return [_upstream(one) for one in model["upstreams"] or [model]]


def _upstream(said: Mapping[str, Any]) -> dict[str, Any]:
    upstream = {"url": said["url"], "headers": dict(said["headers"])}
    defaults = {option.name: option.default for option in _UPSTREAM}
    for name in ("model", "weight", "health"):
        if said[name] != defaults[name]:
            upstream[name] = said[name]
    names = ("ca", "certificate", "key", "server_name")
    tls = {name: said[name] for name in names if said[name] is not None}
    return {**upstream, "tls": tls} if tls else upstream


def _known_fallbacks(route: dict[str, Any], routes: Mapping[str, Any]) -> dict[str, Any]:
    """A route without the fallbacks that this router has no way to."""
    if "fallbacks" not in route:
        return route
    return {**route, "fallbacks": [name for name in route["fallbacks"] if name in routes]}


def _client(key: dict[str, Any]) -> dict[str, Any]:
    names = [name for name in (key["credential"], key["next_credential"]) if name is not None]
    client: dict[str, Any] = {"keys": [f"${{cred:{name}}}" for name in names]}
    for name in ("models", "paths"):
        if key[name] is not None:
            client[name] = list(key[name])
    if key["max_concurrent_requests"]:
        client["max_concurrent_requests"] = key["max_concurrent_requests"]
    return client
