# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Edges: a router of its own in front of a host's workers, for the routers of other hosts.

A front is a router that the inventory puts in front of other hosts. Where one needs a model of
another host, that host gets an edge, with TLS and a key for each front, and the front's routes lead
there. A host that watches others gets a key of its own, for metrics alone.

This plugin util is private to the collection.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from ansible_collections.onehop.llm.plugins.plugin_utils import (
    _credentials,
    _monitoring,
    _router,
    _routes,
    _schema,
)
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import Problems
from ansible_collections.onehop.llm.plugins.plugin_utils._schema import Option

HOME = "/etc/onehop/edge"
"""What only the edge's host has: its keys, and the certificate that was made there."""
CERTIFICATE = f"{HOME}/tls.pem"
"""The certificate that was made there, with its key."""
SERVER_NAME = "onehop-edge"
"""The name in a certificate that was made: fronts know the certificate itself, not its name."""
EVERYWHERE = {4: "0.0.0.0", 6: "::"}

_OF_FRONTS = (
    "router_max_body_bytes",
    "router_max_concurrent_requests",
    "router_max_queued_requests",
    "router_max_held_requests",
    "router_hold_seconds",
    "router_answer_seconds",
    "router_idle_stream_seconds",
)
"""What the fronts see to, which know the clients and the other replicas."""
_NAME = re.compile(r"[A-Za-z0-9._~-]+\Z")

OPTIONS: tuple[Option, ...] = (
    Option(
        "router_edge_enable",
        "bool",
        "Whether routers on other hosts, those of the group C(llm_routers), may reach this host's "
        "models. They do so by its edge, a router of its own with TLS and a key for each of them.",
        default=True,
    ),
    Option(
        "router_edge_host",
        "str",
        "Address that the edge listens on; every address of the host unless given.",
        default=None,
        example="192.0.2.11",
    ),
    Option(
        "router_edge_port", "port", "TCP port that the edge listens on.", default=8443, example=9443
    ),
    Option(
        "router_edge_address",
        "str",
        "Address or name by which the routers reach this host; what Ansible connects to unless "
        "given.",
        default=None,
        example="gpu1.internal",
    ),
    Option(
        "router_edge_certificate",
        "dict",
        "A certificate for the edge. Unless given, one is made on the host, and the routers take "
        "that one only.",
        default=None,
        keys=(
            Option(
                "certificate",
                "path",
                "PEM file on the host, with its chain.",
                example="/etc/ssl/gpu1.pem",
            ),
            Option(
                "key",
                "path",
                "PEM file on the host. Only root needs to read it.",
                example="/etc/ssl/private/gpu1.key",
            ),
            Option(
                "authorities",
                "path",
                "PEM file on the routers' hosts, with the authorities that they trust here; those "
                "of their systems unless given.",
                default=None,
                example="/etc/ssl/internal-ca.pem",
            ),
            Option(
                "name",
                "str",
                "The name in the certificate; O(router_edge_address) unless given.",
                default=None,
                example="gpu1.internal",
            ),
        ),
        example={"certificate": "/etc/ssl/gpu1.pem", "key": "/etc/ssl/private/gpu1.key"},
    ),
)


def add(
    hosts: dict[str, dict[str, Any]], read: Iterable[tuple[Any, Problems]], *, complete: bool
) -> None:
    """Give each of the planned ``hosts`` its ``edge``, and each router the ``edges`` it talks to.

    ``edge`` is ``None`` where no other host asks for models or watches them. ``read`` are pairs of
    a host of the inventory and its problems.
    """
    found = list(read)
    fronts = [host.name for host, dummy in found if host.front and _runs(hosts[host.name])]
    monitors = sorted(
        name
        for name, planned in hosts.items()
        if planned["monitoring"] and planned["monitoring"]["monitoring_enable"]
    )
    for planned in hosts.values():
        planned["edge"] = None
        if planned["router"]:
            planned["router"]["edges"] = {}
    for host, problems in found:
        if not host.worker:
            continue
        planned = hosts[host.name]
        own = _schema.read(OPTIONS, host.variables, problems)
        others = [front for front in fronts if front != host.name]
        asking = [*others, *(name for name in monitors if name not in (*others, host.name))]
        if not (asking and own["router_edge_enable"] and serves(planned)):
            continue
        own["router_edge_address"] = own["router_edge_address"] or host.address or host.name
        if complete:
            _check(own, asking, problems)
        router = planned["router"] or _router.read(host.variables, problems)
        planned["edge"] = {
            "fronts": sorted(others),
            "monitors": monitors,
            "clients": [*sorted(others), *(_monitoring.client(name) for name in monitors)],
            "seen": _seen_by_fronts(host.name, own),
            "made": own["router_edge_certificate"] is None,
            "router": _as_router(own, router, planned),
        }
        for front in others:
            hosts[front]["router"]["edges"][host.name] = _seen_by_fronts(host.name, own)
    for host, problems in found:
        router = hosts[host.name]["router"]
        if router and complete:
            _check_credentials(router, problems)


def _runs(planned: Mapping[str, Any]) -> bool:
    return bool(planned["router"] and planned["router"]["router_enable"])


def serves(planned: Mapping[str, Any]) -> bool:
    """Whether a planned host has a model that routes lead to."""
    return any(
        worker["route"] is not None
        for engine in planned["engines"].values()
        for worker in engine["workers"]
    )


def _as_router(
    own: Mapping[str, Any], router: Mapping[str, Any], planned: Mapping[str, Any]
) -> dict[str, Any]:
    """The edge as a router's variables: what is not its own is as the host's router has it."""
    given = own["router_edge_certificate"]
    paths = router["router_allowed_paths"]
    return {
        **router,
        "router_enable": True,
        "router_host": own["router_edge_host"] or _everywhere(own["router_edge_address"]),
        "router_port": own["router_edge_port"],
        "router_socket": None,
        "router_tls": {
            "certificate": "${cred:tls_certificate}",
            "key": "${cred:tls_key}",
            "client_ca": None,
        },
        "router_models": {},
        "router_client_keys": {},
        "router_credentials": {
            "tls_certificate": given["certificate"] if given else CERTIFICATE,
            "tls_key": given["key"] if given else CERTIFICATE,
        },
        "contents": {},
        "router_allow_anonymous": False,
        "router_allowed_paths": None if paths is None else sorted({*paths, *_healths(planned)}),
        "router_default_model": None,
        **dict.fromkeys(_OF_FRONTS, 0),
        "edges": {},
    }


def _healths(planned: Mapping[str, Any]) -> list[str]:
    return [
        worker["health"]
        for engine in planned["engines"].values()
        for worker in engine["workers"]
        if worker["route"] is not None
    ]


def _everywhere(address: str) -> str:
    found = _ip(address)
    return EVERYWHERE[found.version if found else 4]


def _seen_by_fronts(name: str, own: Mapping[str, Any]) -> dict[str, Any]:
    """What a front has to know: ``key`` and ``certificate`` are names of its credentials."""
    given = own["router_edge_certificate"]
    address = own["router_edge_address"]
    found = _ip(address)
    host = f"[{found}]" if found and found.version == 6 else address
    credential = f"edge_{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}"
    seen = {
        "url": f"https://{host}:{own['router_edge_port']}",
        "key": credential,
        "certificate": None,
        "authorities": None,
        "server_name": SERVER_NAME,
    }
    if given:
        server_name = given["name"] or address.strip("[]")
        return {**seen, "authorities": given["authorities"], "server_name": server_name}
    return {**seen, "certificate": f"{credential}.pem"}


def credentials(edge: Mapping[str, Any]) -> dict[str, str]:
    """Where a front keeps what an edge gave it, by the credential's name."""
    names = [name for name in (edge["key"], edge["certificate"]) if name]
    return {name: f"{_credentials.SECRETS}/onehop-router.service/{name}" for name in names}


def upstream(edge: Mapping[str, Any], model: str, replica: Mapping[str, Any]) -> dict[str, Any]:
    """How a front's configuration names a model behind an edge.

    The model is in the path, so that the edge has no need to look into a body.
    """
    tls = {"server_name": edge["server_name"]}
    if edge["certificate"]:
        tls["ca"] = f"${{cred:{edge['certificate']}}}"
    elif edge["authorities"]:
        tls["ca"] = edge["authorities"]
    return {
        "url": f"{edge['url']}/route/{quote(model, safe='')}",
        "headers": {"Authorization": f"Bearer ${{cred:{edge['key']}}}"},
        "tls": tls,
        "health": replica["health"],
        **_routes.weight(replica),
    }


def config(
    edge: Mapping[str, Any], routes: dict[str, dict[str, Any]], keys: Mapping[str, list[str]]
) -> dict[str, Any]:
    """The edge's configuration. ``keys`` are the hashes of each client's keys.

    A key of who watches opens metrics and nothing else, of the edge and of the engines behind it.
    """
    fronts = {front: {"keys": list(keys[front])} for front in edge["fronts"]}
    watching = {
        client: {"keys": list(keys[client]), "paths": [_monitoring.PATH]}
        for client in map(_monitoring.client, edge["monitors"])
    }
    return {**_router.config(edge["router"], routes), "client_keys": {**fronts, **watching}}


def _ip(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        return None


def _local(address: str) -> bool:
    found = _ip(address)
    if found is None:
        return address == "localhost" or address.endswith(".localhost")
    return found.is_loopback


def _check(own: Mapping[str, Any], fronts: list[str], problems: Problems) -> None:
    """What cannot be reached from the fronts."""
    who = f"{fronts[0]} and others" if len(fronts) > 1 else fronts[0]
    address, listener = own["router_edge_address"], own["router_edge_host"]
    found = _ip(address)
    if "%" in address or not (found or _NAME.match(address)):
        problems.add(
            "router_edge_address",
            "is neither an IP address nor a name",
            "Write one by which the routers reach this host",
            address,
        )
    elif _local(address) or (found and found.is_unspecified):
        problems.add(
            "router_edge_address",
            f"leads {who} to itself and not to this host, whose models it routes to",
            "Write an address or a name of this host that the routers reach, or "
            "router_edge_enable: false",
            address,
        )
    if listener is None:
        return
    if _ip(listener) is None or "%" in listener:
        problems.add(
            "router_edge_host",
            "is not an IP address",
            "Write one such as 192.0.2.11, or leave it out",
            listener,
        )
    elif _local(listener):
        problems.add(
            "router_edge_host",
            f"is this host's loopback, which {who} cannot reach",
            "Write an address that the routers reach, or leave it out",
            listener,
        )


def _check_credentials(router: Mapping[str, Any], problems: Problems) -> None:
    taken = dict.fromkeys(router["router_credentials"], "router_credentials")
    for host, edge in router["edges"].items():
        names = credentials(edge)
        twice = [name for name in names if name in taken]
        if twice:
            problems.add(
                f"router_credentials.{twice[0]}",
                f"is the name under which the key of {host} comes, and of {taken[twice[0]]}",
                "Give one of them another name",
            )
        taken |= dict.fromkeys(names, host)
