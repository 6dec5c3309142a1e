# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: what shall run where, for all hosts and engines at once, as plain data.

Pure: it needs no host, so a limited run, a bare host and an offline controller change nothing in
it, and routes are known for hosts that this run does not touch.

This plugin util is private to the collection.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import (
    _budget,
    _edges,
    _gpu_host,
    _monitoring,
    _router,
    _routes,
    _schema,
    _workers,
)
from ansible_collections.onehop.llm.plugins.plugin_utils._catalogue import ENGINES
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import (
    Problem,
    Problems,
    sentences,
)


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
    front: bool = False
    """Whether its router is there for the models of other hosts too."""
    monitor: bool = False
    """Whether its Prometheus watches all hosts."""
    address: str = ""
    """Where Ansible connects to; its name unless given."""
    planned: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """Engines that a role of this host has planned before, with variables of its own."""


@dataclass
class Plan:
    """``hosts`` by name, each with ``engines`` (by role), ``router`` and ``edge``; ``routes`` by model."""

    hosts: dict[str, dict[str, Any]] = field(default_factory=dict)
    routes: dict[str, dict[str, Any]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def data(self) -> dict[str, Any]:
        """As plain data, for other tasks. It holds no secret."""
        return {"hosts": self.hosts, "routes": self.routes}


def known_options() -> list[_schema.Option]:
    """All variables that our roles read."""
    engines = [option for engine in ENGINES.values() for option in engine.options()]
    others = (*_router.OPTIONS, *_edges.OPTIONS, *_gpu_host.OPTIONS, *_monitoring.OPTIONS)
    return [*engines, *others]


def known_variables() -> list[str]:
    """The names of all variables that our roles read."""
    return [option.name for option in known_options()]


def make(hosts: Iterable[Host], *, complete: bool = True) -> Plan:
    """The plan for ``hosts``, with every problem of every host.

    Where a variable could not be read, it is not ``complete``: what variables say of each other is
    not judged then, since it would only follow from that.
    """
    plan = Plan()
    read: list[tuple[Host, Problems]] = []
    for host in hosts:
        problems = Problems(host.name)
        _schema.unknown(list(host.others), known_variables(), problems)
        plan.hosts[host.name] = {
            "engines": _engines(host, problems),
            "gpu_host": _gpu_host.read(host.variables, problems) if host.worker else None,
            "router": _router.read(host.variables, problems) if host.router else None,
            **_watching(host, problems),
        }
        _placement(host, problems)
        read.append((host, problems))
    _add_routes(plan, {host.name: problems for host, problems in read})
    _edges.add(plan.hosts, read, complete=complete)
    warned: list[Problem] = []
    for host, problems in read:
        router = plan.hosts[host.name]["router"]
        if complete:
            _budget.check(plan.hosts[host.name], problems)
            _check_routes(plan, host.name, problems)
        if complete and router and router["router_enable"]:
            _router.check(router, plan.routes, problems)
        plan.problems += problems.found
    if complete and not plan.problems:
        _warn_of_lost(plan, {host.name: problems for host, problems in read})
    for dummy, problems in read:
        warned += problems.warned
    plan.warnings += sentences(warned)
    plan.problems.sort()
    return plan


def _watching(host: Host, problems: Problems) -> dict[str, Any]:
    """What a host needs to be watched, and what it needs to watch, if it does."""
    variables = _monitoring.read(host.variables, problems)
    _monitoring.check(variables, problems)
    return {
        "address": host.variables.get("router_edge_address") or host.address or host.name,
        "exporters": _monitoring.exporters(variables),
        "monitoring": variables if host.monitor else None,
    }


def _warn_of_lost(plan: Plan, problems: Mapping[str, Problems]) -> None:
    """Say what no Prometheus of the plan can ask, and why."""
    for name, host in plan.hosts.items():
        if host["monitoring"] and host["monitoring"]["monitoring_enable"]:
            for other, *words in _monitoring.jobs(plan.data(), name)[1]:
                problems[other].warn(*words)


def _engines(host: Host, problems: Problems) -> dict[str, Any]:
    if not host.worker:
        return {}
    return {
        role: host.planned.get(role) or _workers.read(engine, host.variables, problems)
        for role, engine in ENGINES.items()
    }


def _placement(host: Host, problems: Problems) -> None:
    """Models that are declared and that nobody would serve would be lost without a word."""
    if host.worker:
        return
    for engine in ENGINES.values():
        if host.variables.get(engine.models_variable):
            problems.add(
                engine.models_variable,
                "declares models, and the host is not in the group gpu_hosts",
                "Put the host into the group gpu_hosts, or the variable into its group_vars",
            )


def _workers_of(host: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [worker for engine in host["engines"].values() for worker in engine["workers"]]


def _add_routes(plan: Plan, problems: Mapping[str, Problems]) -> None:
    for name, host in plan.hosts.items():
        for worker in _workers_of(host):
            if worker["route"] is not None:
                _routes.add(plan.routes, name, worker, problems[name])


def _check_routes(plan: Plan, host: str, problems: Problems) -> None:
    """Names in the routes of a host's own models."""
    routers = [one["router"] for one in plan.hosts.values() if one["router"]]
    models = {*plan.routes, *(name for router in routers for name in router["router_models"])}
    aliases = _routes.owners(plan.routes)
    for worker in _workers_of(plan.hosts[host]):
        if worker["route"] is not None:
            where = f"{worker['variable']}.route"
            _routes.check(worker["name"], where, worker["routing"], models, aliases, problems)


def table(
    plan: Mapping[str, Any], host: str, without: Iterable[str] = ()
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The routes that the router of ``host`` can reach, as its configuration has them.

    Workers of its own host are reached as they listen, those of others by their edges, but for the
    hosts ``without`` which it has to do. Second come the names of the models out of its reach.
    """
    router = plan["hosts"][host]["router"]
    edges = {name: edge for name, edge in router["edges"].items() if name not in without}
    routes: dict[str, dict[str, Any]] = {}
    elsewhere = []
    for name, route in plan["routes"].items():
        upstreams = [
            _routes.upstream(item)
            if item["host"] == host
            else _edges.upstream(edges[item["host"]], name, item)
            for item in route["replicas"]
            if item["host"] == host or item["host"] in edges
        ]
        if upstreams:
            routes[name] = {"upstreams": upstreams, **_routes.settings(route)}
        else:
            elsewhere.append(name)
    for name, model in router["router_models"].items():
        routes[name] = {"upstreams": _router.upstreams(model), **_routes.settings(model)}
    return routes, elsewhere


def edge_table(plan: Mapping[str, Any], host: str) -> dict[str, dict[str, Any]]:
    """The routes of the edge of ``host``: its own workers, by their names alone.

    Whatever else is said of a route is the fronts' to heed, which also ask for the workers' health.
    """
    return {
        name: {"upstreams": [{"url": item["url"]}]}
        for name, route in plan["routes"].items()
        for item in route["replicas"]
        if item["host"] == host
    }
