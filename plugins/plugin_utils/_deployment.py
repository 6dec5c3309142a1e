# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan comes to on each host, as data to look at: nothing of it needs the host.

What only a host knows is assumed, and said so: :data:`ASSUMED`.

This plugin util is private to the collection.
"""

from __future__ import annotations

import copy
import posixpath
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import (
    _budget,
    _containers,
    _credentials,
    _flag_table,
    _flags,
    _install,
    _masks,
    _offline,
    _plan,
    _quadlet,
    _quadlet_keys,
    _service,
)
from ansible_collections.onehop.llm.plugins.plugin_utils._catalogue import DESCRIPTIONS
from ansible_collections.onehop.llm.plugins.plugin_utils._engines import Native

ASSUMED: dict[str, Any] = {
    "podman": ".".join(str(number) for number in max(_quadlet_keys.FIRST.values())),
    "systemd": 257,
    "python": "/usr/bin/python3",
    "gpu": True,
    "groups": ["render", "video"],
    "devices": ["nvidia.com/gpu=all"],
    "selinux": False,
}
"""What a host is taken for: Podman's newest dialect, and GPUs of NVIDIA."""
_ENVIRONMENT = "/opt/onehop/router/ENVIRONMENT"
"""Its last part is a hash of the router's packages, which a run collects."""
_SYSTEM = "/etc/systemd/system"
_QUADLETS = "/etc/containers/systemd/users"
_LOADED = "/run/credentials"
"""Where systemd shows a unit its credentials."""


def data(
    plan: Mapping[str, Any],
    hosts: list[str],
    facts: Mapping[str, Any] | None = None,
    models: list[str] | None = None,
) -> dict[str, dict[str, Any]]:
    """By host: ``assumed``, ``models``, ``router``, ``edge``, ``memory`` and ``warnings``.

    ``facts`` are those of preflight, as far as they are known. ``models`` are names or keys of those
    to tell of; all of them, and the router, unless given.
    """
    known = {name: value for name, value in (facts or {}).items() if value is not None}
    shown = _without_secrets(plan)
    return {host: _host(shown, host, known, models) for host in hosts if host in plan["hosts"]}


def unknown(plan: Mapping[str, Any], models: Iterable[str]) -> str | None:
    """A sentence for the names that no model of the plan has; ``None`` where each has one."""
    names = {
        name
        for host in plan["hosts"].values()
        for engine in host["engines"].values()
        for worker in engine["workers"]
        for name in (worker["name"], worker["key"])
    }
    wrong = [name for name in models if name not in names]
    if not wrong:
        return None
    known = f"Write some of {', '.join(sorted(names))}" if names else "The inventory declares none"
    return f"models = {', '.join(wrong)}: no host serves it. {known}."


def _host(
    plan: Mapping[str, Any], host: str, known: Mapping[str, Any], models: list[str] | None
) -> dict[str, Any]:
    found = plan["hosts"][host]
    facts = {**ASSUMED, "weights": _staged(found), **known}
    rows = [
        _model(plan, host, role, worker, facts)
        for role, engine in found["engines"].items()
        for worker in engine["workers"]
        if models is None or worker["name"] in models or worker["key"] in models
    ]
    return {
        "assumed": {name: value for name, value in ASSUMED.items() if name not in known},
        "models": rows,
        "router": _instance(plan, host, _service.ROUTER) if models is None else None,
        "edge": _instance(plan, host, _service.EDGE) if models is None else None,
        "memory": _budget.table(plan, host, known) if models is None else [],
        "warnings": _install.complaints(plan, host, None, facts),
    }


def _staged(found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What staging finds of weights, once they are there: what is staged is."""
    return {
        item["key"]: {
            "from": "hub" if item["stage"] else None,
            "path": None,
            "file": None,
            "commit": None,
        }
        for engine in found["engines"].values()
        for worker in engine["workers"]
        for item in worker.get("weights") or []
    }


def _model(
    plan: Mapping[str, Any],
    host: str,
    role: str,
    worker: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    engine = DESCRIPTIONS[worker["engine"]]
    native = isinstance(engine.runtime, Native)
    files = _files(plan, host, role, worker, facts)
    worker = _offline.worker(worker, facts["weights"])
    wants_all = not native and worker["devices"] is None
    return {
        "name": worker["name"],
        "engine": engine.title,
        "variable": worker["variable"],
        "unit": worker["unit"],
        "account": worker.get("account") or worker.get("user"),
        "program": worker["binary"] if native else worker["image"],
        "devices": [] if native else list(facts["devices"] if wants_all else worker["devices"]),
        "listens": worker["url"],
        "ready": engine.health_path,
        "after": list(worker["after"]),
        "command": _command(worker, native),
        "environment": _environment(worker, native, facts),
        "environment_files": list(worker["environment_files"]),
        "credentials": _kept(worker),
        "route": _route(plan, host, worker),
        "weights": _weights(worker),
        "files": files,
    }


def _weights(worker: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a worker needs of the hub, once where it needs several files of a repository."""
    found: list[dict[str, Any]] = []
    for item in worker.get("weights") or []:
        one = {name: item[name] for name in ("repo", "revision", "stage")}
        if one not in found:
            found.append(one)
    return found


def _command(worker: Mapping[str, Any], native: bool) -> list[str]:
    """The argument list as the process gets it, with the paths of its credentials."""
    engine = DESCRIPTIONS[worker["engine"]]
    if native:
        words = list(_service.argument_list(worker))
        place = f"{_LOADED}/{worker['unit']}"
    else:
        words = [*engine.container.entrypoint, *engine.command_line(worker)]
        place = _containers.SECRETS_INSIDE
    return [_credentials.replace(word, str, lambda name: f"{place}/{name}") for word in words]


def _environment(
    worker: Mapping[str, Any], native: bool, facts: Mapping[str, Any]
) -> dict[str, str]:
    """With what the engine's description sets; a secret is hidden."""
    engine = DESCRIPTIONS[worker["engine"]]
    if native:
        given = _service.environment(worker, _service.uses_gpu(worker, facts))
        place = f"{_LOADED}/{worker['unit']}"
    else:
        given = _quadlet.environment(worker, engine)
        place = _containers.SECRETS_INSIDE
    return {
        name: _credentials.replace(text, str, lambda credential: f"{place}/{credential}")
        for name, text in given.items()
    }


def _kept(worker: Mapping[str, Any]) -> dict[str, dict[str, str | None]]:
    """Where each credential comes from, by its name: never what it holds."""
    sources = worker.get("sources", worker["credentials"])
    return {
        name: {
            "from": "the inventory" if name in worker["contents"] else sources[name],
            "environment": worker.get("variables", {}).get(name),
            "flag": worker.get("flags", {}).get(name),
        }
        for name in sorted(worker["credentials"])
    }


def _route(plan: Mapping[str, Any], host: str, worker: Mapping[str, Any]) -> dict[str, Any] | None:
    """How clients get to it: the name, its aliases, where it is, and who routes to it."""
    if worker["route"] is None:
        return None
    name = worker["name"]
    return {
        "model": name,
        "aliases": list(worker["routing"].get("aliases") or []),
        "url": worker["route"],
        "replicas": sorted(item["host"] for item in plan["routes"][name]["replicas"]),
        "routers": [
            other
            for other, found in sorted(plan["hosts"].items())
            if found["router"]
            and found["router"]["router_enable"]
            and (other == host or host in found["router"]["edges"])
        ],
    }


def _files(
    plan: Mapping[str, Any],
    host: str,
    role: str,
    worker: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> list[dict[str, str]]:
    """The unit's files, as a run writes them but for the stamp that it adds."""
    engine = plan["hosts"][host]["engines"][role]
    rendered = _install.workers(
        {"hosts": {host: {"engines": {role: {**engine, "workers": [worker]}}}}},
        host,
        role,
        facts,
        {worker["key"]: dict.fromkeys(worker["contents"], "")},
        _install.Programs(wait_ready="", operator="", with_secrets=""),
    )
    (unit,) = rendered["units"]
    if "account" not in engine:
        return [{"path": f"{_SYSTEM}/{unit['name']}", "content": unit["content"]}]
    uid = facts.get("uid") or engine["account"]["uid"] or "UID"
    name = posixpath.splitext(unit["name"])[0] + ".container"
    drop_ins = [
        {"path": file["path"], "content": file["content"]}
        for file in rendered["files"]
        if file["path"].startswith(f"{_install.USER_UNITS}/")
    ]
    return [{"path": f"{_QUADLETS}/{uid}/{name}", "content": unit["content"]}, *drop_ins]


def _instance(plan: Mapping[str, Any], host: str, instance: str) -> dict[str, Any] | None:
    """What an instance of the router gets: its units, its configuration, its table of routes."""
    found = plan["hosts"][host]
    if instance == _service.EDGE:
        if not found["edge"]:
            return None
        keys = {front: ["HASH"] for front in found["edge"]["clients"]}
        made = _install.edge(plan, host, _ENVIRONMENT, keys)
        routes = _plan.edge_table(plan, host)
    else:
        router = found["router"]
        if not router or not router["router_enable"]:
            return None
        # As it is once the edges have given it their keys.
        made = _install.router(
            plan,
            host,
            _ENVIRONMENT,
            {"copies": list(router["edges"])},
            dict.fromkeys(router["contents"], ""),
        )
        routes = _plan.table(plan, host)[0]
    units = [
        {"path": f"{_SYSTEM}/{unit['name']}", "content": unit["content"]}
        for unit in made.rendered["units"]
    ]
    files = [{"path": file["path"], "content": file["content"]} for file in made.rendered["files"]]
    return {
        "routes": {
            name: [upstream["url"] for upstream in route["upstreams"]]
            for name, route in sorted(routes.items())
        },
        "elsewhere": made.elsewhere,
        "files": units + files,
    }


def _without_secrets(plan: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a plan in which what may be a secret is hidden."""
    shown: dict[str, Any] = copy.deepcopy(dict(plan))
    for host in shown["hosts"].values():
        for engine in host["engines"].values():
            engine["workers"] = [_hidden(worker) for worker in engine["workers"]]
        for router in (host["router"], (host["edge"] or {}).get("router")):
            if router:
                _hide_router(router)
    return shown


def _hidden(worker: Mapping[str, Any]) -> dict[str, Any]:
    sections = [name for name in _containers.SECTIONS if name in worker]
    engine = DESCRIPTIONS[worker["engine"]]
    flags = _flag_table.table(engine.flag_table).at(worker["flag_version"])

    def known(name: str) -> bool:
        return _flags.find(name, engine.dialect, flags) is not None

    return {
        **worker,
        "settings": _masks.settings(worker["settings"], known),
        "extra_args": _masks.words(worker["extra_args"], known),
        "environment": _masks.pairs(worker["environment"]),
        **{name: _masks.values(worker[name]) for name in sections},
    }


def _hide_router(router: dict[str, Any]) -> None:
    router["router_environment"] = _masks.pairs(router["router_environment"])
    for model in router["router_models"].values():
        for upstream in [model, *model["upstreams"]]:
            upstream["headers"] = _masks.pairs(upstream["headers"])
