# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: what shall run where, for all hosts and engines at once, as plain data.

Pure: it needs no host, so a limited run, a bare host and an offline controller change nothing in
it, and routes are known for hosts that this run does not touch.

This plugin util is private to the collection.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _references, _router, _schema
from ansible_collections.onehop.llm.plugins.plugin_utils._catalogue import ENGINES
from ansible_collections.onehop.llm.plugins.plugin_utils._engines import Engine
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import Problem, Problems

PROGRAMS = "/opt/onehop"
"""Where programs that this collection brings to a host are kept."""
SECRETS = "/etc/onehop/credentials"
"""Where secrets given by content are kept, readable by root alone."""

_SETTING = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_LOWEST_PORT = 1024
_LONGEST_SOCKET = 107
"""sun_path of unix(7) is 108 bytes, one of them for the NUL at its end."""
_MANAGED_KEYS = ("DynamicUser", "ExecStart", "ExecStartPost", "Group", "Type", "User")
_SECRET_HEADERS = ("authorization", "x-api-key", "api-key", "proxy-authorization", "cookie")


@dataclass(frozen=True)
class Host:
    """A host of the inventory: its variables, templated, and what it is there for."""

    name: str
    variables: Mapping[str, Any]
    """Those of our roles."""
    others: Iterable[str] = ()
    """The names of all its variables, to find misspelt ones."""
    worker: bool = True
    router: bool = True


@dataclass
class Plan:
    """``hosts`` by name, each with ``engines`` (by role) and ``router``; ``routes`` by model."""

    hosts: dict[str, dict[str, Any]] = field(default_factory=dict)
    routes: dict[str, dict[str, Any]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def data(self) -> dict[str, Any]:
        """As plain data, for other tasks. It holds no secret."""
        return {"hosts": self.hosts, "routes": self.routes}


def known_variables() -> list[str]:
    """The names of all variables that our roles read."""
    engines = [option.name for engine in ENGINES.values() for option in engine.options()]
    return engines + [option.name for option in _router.OPTIONS]


def make(hosts: Iterable[Host]) -> Plan:
    """The plan for ``hosts``, with every problem of every host."""
    plan = Plan()
    read: list[tuple[Host, Problems]] = []
    for host in hosts:
        problems = Problems(host.name)
        _schema.unknown(list(host.others), known_variables(), problems)
        plan.hosts[host.name] = {
            "engines": _engines(host, problems),
            "router": _read_router(host, problems),
        }
        _placement(host, problems)
        read.append((host, problems))
    _add_routes(plan)
    for host, problems in read:
        _collisions(plan.hosts[host.name], problems)
        _check_router(plan, host, problems)
        plan.problems += problems.found
    plan.problems.sort()
    return plan


def _engines(host: Host, problems: Problems) -> dict[str, Any]:
    if not host.worker:
        return {}
    return {role: _engine(engine, host, problems) for role, engine in ENGINES.items()}


def _engine(engine: Engine, host: Host, problems: Problems) -> dict[str, Any]:
    role = engine.role
    variables = _schema.read(engine.options(), host.variables, problems)
    binary = _binary(engine, variables, problems)
    if variables[f"{role}_user"] == "root":
        problems.add(f"{role}_user", "is root", "Name an account of its own, or none", "root")
    _check_settings(engine, f"{role}_model_settings", variables[f"{role}_model_settings"], problems)
    _check_environment(engine, f"{role}_environment", variables[f"{role}_environment"], problems)
    _check_references(f"{role}_model_settings", variables[f"{role}_model_settings"], [], problems)
    workers = [
        _worker(engine, key, model, variables, binary["path"], problems)
        for key, model in variables[engine.models_variable].items()
        if model["enable"] and variables[f"{role}_enable"]
    ]
    workers.sort(key=lambda worker: (worker["port"] is None, worker["port"] or 0, worker["name"]))
    if variables[f"{role}_startup_ordering"]:
        for before, worker in itertools.pairwise(workers):
            worker["after"] = before["unit"]
    return {"workers": workers, "binary": binary}


def _binary(engine: Engine, variables: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    role = engine.role
    archive, path = variables[f"{role}_archive"], variables[f"{role}_binary"]
    if archive and path:
        problems.add(
            f"{role}_binary",
            f"is given beside {role}_archive",
            "Keep the one that shall be used",
            path,
        )
    if path:
        return {"kind": "path", "path": path}
    if archive and archive["source"] and archive["checksum"]:
        home = f"{PROGRAMS}/{engine.prefix}/{archive['checksum'].split(':')[1][:16]}"
        return {"kind": "archive", "path": f"{home}/{engine.executable}", "home": home, **archive}
    return {
        "kind": "package",
        "package": variables[f"{role}_package"],
        "path": f"/usr/bin/{engine.executable}",
    }


def _worker(
    engine: Engine,
    key: str,
    model: Mapping[str, Any],
    variables: Mapping[str, Any],
    binary: str,
    problems: Problems,
) -> dict[str, Any]:
    role = engine.role
    where = f"{engine.models_variable}.{key}"
    name = model["name"] or key
    unit = f"{engine.prefix}-{name}"
    socket = None
    if model["port"] is None:
        socket = f"{variables[f'{role}_socket_directory']}/{unit}/http.sock"
        if len(socket) > _LONGEST_SOCKET:
            problems.add(
                f"{role}_socket_directory",
                f"makes a socket path of {len(socket)} characters, and {_LONGEST_SOCKET} is the "
                "longest",
                f"Give {where} a port or a shorter name",
                socket,
            )
    elif model["port"] < _LOWEST_PORT:
        problems.add(
            f"{where}.port",
            "is a port that only root may listen on, and no worker is root",
            f"Write a port from {_LOWEST_PORT} to 65535",
            model["port"],
        )
    _check_settings(engine, f"{where}.settings", model["settings"], problems)
    _check_environment(engine, f"{where}.environment", model["environment"], problems)
    _check_credentials(f"{where}.credentials", model["credentials"], problems)
    for key_name in ("settings", "environment", "extra_args"):
        _check_references(f"{where}.{key_name}", model[key_name], model["credentials"], problems)
    for name_of_key in model["service_config"]:
        if name_of_key in _MANAGED_KEYS:
            problems.add(
                f"{where}.service_config.{name_of_key}",
                "is set by the role",
                f"Remove it; the account is {role}_user, and no worker is root",
            )
    files = [variables[f"{role}_environment_file"], model["environment_file"]]
    return {
        "engine": role,
        "key": key,
        "name": name,
        "unit": f"{unit}.service",
        "port": model["port"],
        "socket": socket,
        "url": f"unix://{socket}" if socket else f"http://127.0.0.1:{model['port']}",
        "binary": binary,
        "settings": {**variables[f"{role}_model_settings"], **model["settings"]},
        "extra_args": model["extra_args"],
        "environment": {**variables[f"{role}_environment"], **model["environment"]},
        "environment_files": [path for path in files if path],
        **_credential_paths(f"{unit}.service", model["credentials"]),
        "cache": f"/var/cache/{engine.prefix}/{name}",
        "gpu": model["gpu"] or variables[f"{role}_gpu"],
        "user": variables[f"{role}_user"],
        "open_files_limit": variables[f"{role}_open_files_limit"],
        "start_timeout": model["start_timeout"] or variables[f"{role}_start_timeout"],
        "unit_config": model["unit_config"],
        "service_config": model["service_config"],
        "unlisted": model["route"]["unlisted"],
        "after": None,
    }


def _check_settings(
    engine: Engine, where: str, settings: Mapping[str, Any], problems: Problems
) -> None:
    for flag, value in settings.items():
        bare = flag.removeprefix("no-")
        if not _SETTING.match(flag):
            problems.add(
                f"{where}.{flag}",
                "is not the name of a flag",
                f"Write it without leading dashes: {flag.lstrip('-') or 'ctx-size'}",
            )
        elif bare in engine.managed:
            mend = engine.managed_instead[bare]
            problems.add(f"{where}.{flag}", "is set by the role", mend)
        elif flag in engine.secret_flags and value not in (None, False):
            problems.add(
                f"{where}.{flag}",
                "is a secret, which every user of the host could read in the argument list",
                engine.secret_flags[flag],
            )


def _check_environment(
    engine: Engine, where: str, environment: Mapping[str, str], problems: Problems
) -> None:
    for name in environment:
        if name in engine.secret_environment:
            problems.add(
                f"{where}.{name}",
                "is a secret, which every user of the host could read in the unit",
                engine.secret_environment[name],
            )


def _check_credentials(where: str, credentials: Mapping[str, Any], problems: Problems) -> None:
    for name, credential in credentials.items():
        given = [key for key in ("source", "content") if credential[key] is not None]
        if len(given) != 1:
            problems.add(
                f"{where}.{name}",
                "has both source and content" if given else "has neither source nor content",
                "Give one: source, a path on the host, or content, the secret from a vault",
            )


def _credential_paths(unit: str, credentials: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Where each credential lies on the host; ``contents`` are those that we put there.

    The secrets themselves are no part of the plan.
    """
    contents = {
        name: f"{SECRETS}/{unit}/{name}"
        for name, credential in credentials.items()
        if credential["content"] is not None
    }
    sources = {name: credential["source"] for name, credential in credentials.items()}
    return {"credentials": {**sources, **contents}, "contents": contents}


def _check_references(where: str, value: Any, known: Iterable[str], problems: Problems) -> None:
    names = sorted(known)
    for name in sorted(set(_references.credentials(value)) - set(names)):
        have = f"It has {', '.join(names)}" if names else "It has none"
        problems.add(
            where,
            f"refers to the credential {name!r}, which is not declared",
            f"{have}; declare it",
        )


def _placement(host: Host, problems: Problems) -> None:
    """Models that are declared for a host that serves none would be lost without a word."""
    if host.worker:
        return
    for engine in ENGINES.values():
        if host.variables.get(engine.models_variable):
            problems.add(
                engine.models_variable,
                "declares models, and the host is not in the group gpu_hosts",
                "Put the host into the group gpu_hosts, or the variable into its group_vars",
            )


def _workers(host: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [worker for engine in host["engines"].values() for worker in engine["workers"]]


def variable(worker: Mapping[str, Any]) -> str:
    """The variable that a worker comes from."""
    return f"{ENGINES[worker['engine']].models_variable}.{worker['key']}"


def _collisions(host: Mapping[str, Any], problems: Problems) -> None:
    """What two workers of a host, or a worker and its router, both want."""
    ports: dict[Any, list[str]] = {}
    names: dict[Any, list[str]] = {}
    if host["router"] and host["router"]["router_enable"]:
        ports.setdefault(host["router"]["router_port"], []).append("router_port")
    for worker in _workers(host):
        if worker["port"] is not None:
            ports.setdefault(worker["port"], []).append(f"{variable(worker)}.port")
        names.setdefault(worker["name"], []).append(variable(worker))
    for port, users in ports.items():
        if len(users) > 1:
            problems.add(users[-1], f"is used by {users[0]} too", "Write a free port", port)
    for name, users in names.items():
        if len(users) > 1:
            problems.add(
                users[-1],
                f"is served as {name!r}, and so is {users[0]} on this host",
                "Give one of them another name; replicas of a model go on different hosts",
            )


def _add_routes(plan: Plan) -> None:
    for name, host in plan.hosts.items():
        for worker in _workers(host):
            route = plan.routes.setdefault(worker["name"], {"replicas": [], "unlisted": True})
            route["replicas"].append({"host": name, "url": worker["url"], "unit": worker["unit"]})
            route["unlisted"] = route["unlisted"] and worker["unlisted"]


def _read_router(host: Host, problems: Problems) -> dict[str, Any] | None:
    if not host.router:
        return None
    router = _schema.read(_router.OPTIONS, host.variables, problems)
    _check_credentials("router_credentials", router["router_credentials"], problems)
    paths = _credential_paths("onehop-router.service", router["router_credentials"])
    return {**router, "router_credentials": paths["credentials"], "contents": paths["contents"]}


def _check_router(plan: Plan, host: Host, problems: Problems) -> None:
    router = plan.hosts[host.name]["router"]
    if not router or not router["router_enable"]:
        return
    credentials = router["router_credentials"]
    _check_listeners(router, problems)
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
            if model not in plan.routes and model not in router["router_models"]:
                problems.add(
                    f"{where}.models",
                    f"names {model!r}, which nobody serves",
                    "Declare the model, or remove it here",
                )
    for name, model in router["router_models"].items():
        where = f"router_models.{name}"
        if name in plan.routes:
            host_name = plan.routes[name]["replicas"][0]["host"]
            problems.add(
                where,
                f"is served by our own host {host_name} under that name",
                "Remove the entry: routes of own models come from the plan, or rename it",
            )
        for header, text in model["headers"].items():
            _check_references(f"{where}.headers.{header}", text, credentials, problems)
            if header.lower() in _SECRET_HEADERS and not _references.any_reference(text):
                problems.add(
                    f"{where}.headers.{header}",
                    "holds a secret in plain text",
                    "Put it into router_credentials and refer to it: Bearer ${cred:NAME}",
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
    if socket and not (socket.startswith("/run/") and len(socket) <= _LONGEST_SOCKET):
        problems.add(
            "router_socket",
            "is not a socket path below /run of at most 107 characters",
            "Write a path such as /run/onehop/router.sock",
            socket,
        )


def table(plan: Mapping[str, Any], host: str) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The routes that the router of ``host`` can reach, as its configuration has them.

    Workers listen on loopback and unix sockets, so these are the ones of its own host. Second come
    the names of the models that only other hosts serve.
    """
    routes: dict[str, dict[str, Any]] = {}
    elsewhere = []
    for name, route in plan["routes"].items():
        here = [{"url": item["url"]} for item in route["replicas"] if item["host"] == host]
        if here:
            routes[name] = {"upstreams": here, "unlisted": route["unlisted"]}
        else:
            elsewhere.append(name)
    for name, model in plan["hosts"][host]["router"]["router_models"].items():
        upstream = {"url": model["url"], "headers": dict(model["headers"])}
        routes[name] = {"upstreams": [upstream], "unlisted": model["unlisted"]}
    return routes, elsewhere
