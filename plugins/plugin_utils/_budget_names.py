# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only one of a host's workers can have: a port, a socket, a name, a unit, an id.

This plugin util is private to the collection.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _containers
from ansible_collections.onehop.llm.plugins.plugin_utils._catalogue import DESCRIPTIONS
from ansible_collections.onehop.llm.plugins.plugin_utils._engines import Container
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import Problems, Verdict
from ansible_collections.onehop.llm.plugins.plugin_utils._promises import Given

_HIGHEST = 65535


def _workers(host: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [worker for engine in host["engines"].values() for worker in engine["workers"]]


def names(host: Mapping[str, Any], problems: Problems) -> None:
    """Note two workers of one name, of one unit, or on one socket."""
    served: dict[str, list[str]] = {}
    units: dict[str, list[str]] = {}
    sockets: dict[str, list[str]] = {}
    router = host["router"]
    if router and router["router_enable"] and router["router_socket"]:
        sockets[router["router_socket"]] = ["router_socket"]
    for worker in _workers(host):
        units.setdefault(worker["unit"], []).append(worker["variable"])
        if worker["route"] is not None:
            served.setdefault(worker["name"], []).append(worker["variable"])
        if worker["socket"]:
            sockets.setdefault(worker["socket"], []).append(worker["variable"])
    for name, users in served.items():
        if len(users) > 1:
            problems.add(
                users[-1],
                f"is served as {name!r}, and so is {users[0]} on this host",
                "Give one of them another name; replicas of a model go on different hosts",
            )
    told = [users for users in served.values() if len(users) > 1]
    for unit, users in units.items():
        if len(users) > 1 and users not in told:
            problems.add(
                users[-1],
                f"is the unit {unit}, and so is {users[0]} on this host",
                "Give the model another name",
            )
            told.append(users)
    for path, users in sockets.items():
        if len(users) > 1 and users not in told:
            problems.add(
                users[-1],
                f"listens on the socket {path}, and so does {users[0]}",
                "Give the model a port or another name",
            )


def ports(host: Mapping[str, Any], verdict: Verdict) -> None:
    """Note ports that two want: of the host, and inside of each worker's own network."""
    users: dict[int, list[str]] = {}
    if host["router"] and host["router"]["router_enable"]:
        users.setdefault(host["router"]["router_port"], []).append("router_port")
    if host["edge"]:
        users.setdefault(host["edge"]["router"]["router_port"], []).append("router_edge_port")
    for worker in _workers(host):
        for key, port in {"port": worker["port"], **worker["more_ports"]}.items():
            if port is not None:
                users.setdefault(port, []).append(f"{worker['variable']}.{key}")
        runtime = DESCRIPTIONS[worker["engine"]].runtime
        if isinstance(runtime, Container) and runtime.computes:
            inside = {runtime.port: [f"{worker['variable']}'s own server in its container"]}
            _more(worker, inside, verdict)
            _told(inside, verdict)
        else:
            _more(worker, users, verdict)
    _told(users, verdict)


def _more(worker: Mapping[str, Any], users: dict[int, list[str]], verdict: Verdict) -> None:
    """Add the ports that an engine opens beside its own, where settings name them."""
    for variable, value in _settings(worker):
        text = str(value).rpartition(":")[2]
        if not text.isdigit() or not int(text):
            continue
        if int(text) > _HIGHEST:
            verdict.cannot(variable, "is no port", f"Write one from 1024 to {_HIGHEST}", value)
        else:
            users.setdefault(int(text), []).append(variable)


def _settings(worker: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    promises = DESCRIPTIONS[worker["engine"]].promises
    given = Given.of(worker)
    for port in promises.ports if promises else ():
        value = given.get(port)
        if value is not None:
            yield f"{worker['variable']}.settings.{port.name}", value


def _told(users: Mapping[int, list[str]], verdict: Verdict) -> None:
    for port, (first, *others) in users.items():
        for other in others:
            verdict.cannot(other, f"is used by {first} too", "Write a free port", port)


def accounts(host: Mapping[str, Any], problems: Problems) -> None:
    """Note ids that were given to two accounts."""
    found = {
        role: engine["account"]
        for role, engine in host["engines"].items()
        if "account" in engine and engine["workers"]
    }
    for (one, first), (other, second) in itertools.combinations(found.items(), 2):
        if first["name"] == second["name"]:
            continue
        for kind in ("uid", "gid"):
            if first[kind] is not None and first[kind] == second[kind]:
                problems.add(
                    f"{other}_{kind}",
                    f"is the {kind} of {one}_user too",
                    "Write another, or leave it out",
                    second[kind],
                )
        for name, start, end in _containers.account_ranges(first):
            for also, low, high in _containers.account_ranges(second):
                if name == also and start < high and low < end:
                    problems.add(
                        f"{other}_{name}",
                        f"makes a range that overlaps the one of {one}_{name}",
                        f"Write {end} or more, or leave it out",
                        low,
                    )
