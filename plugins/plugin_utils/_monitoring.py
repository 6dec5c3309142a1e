# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watching: the variables of the role monitoring, and what of the plan a Prometheus is to ask.

Workers listen on loopback or on sockets. Where a host has an edge, Prometheus asks them through it,
with a key that opens nothing but metrics; on its own host it asks their ports itself, and their
sockets through the router.

This plugin util is private to the collection.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from ansible_collections.onehop.llm.plugins.plugin_utils import _engine_options as shared
from ansible_collections.onehop.llm.plugins.plugin_utils import _schema
from ansible_collections.onehop.llm.plugins.plugin_utils._catalogue import ENGINES
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import Problems
from ansible_collections.onehop.llm.plugins.plugin_utils._promises import Given
from ansible_collections.onehop.llm.plugins.plugin_utils._schema import Option

ROLE = "monitoring"
PATH = "/metrics"
KEY = "router_key"
"""The name under which the key of the routers is kept."""

OPTIONS: tuple[Option, ...] = (
    Option(
        "monitoring_enable",
        "bool",
        "Whether this host watches the others. When false, what the role made is removed.",
        default=True,
    ),
    Option(
        "monitoring_packages",
        "list",
        "Packages that bring Prometheus, to be installed. None unless given, for a Prometheus that "
        "is there.",
        default=[],
        elements="str",
        example=["prometheus"],
    ),
    Option(
        "monitoring_config",
        "str",
        "V(include) writes a file of scrape configurations and one of rules beside the "
        "configuration of Prometheus, which has to name them (C(scrape_config_files), of 2.43 and "
        "newer, and C(rule_files)); V(whole) writes that configuration too.",
        default="include",
        choices=("include", "whole"),
        example="whole",
    ),
    Option(
        "monitoring_config_file",
        "path",
        "The configuration of Prometheus. What this role writes beside it is in a directory "
        "C(onehop).",
        default="/etc/prometheus/prometheus.yml",
        example="/srv/prometheus/prometheus.yml",
    ),
    Option(
        "monitoring_service",
        "str",
        "The unit of Prometheus, which is reloaded.",
        default="prometheus.service",
        example="prometheus-llm.service",
    ),
    Option(
        "monitoring_group",
        "account",
        "Group of the account that Prometheus runs as, which may read the keys.",
        default="prometheus",
        example="metrics",
    ),
    Option(
        "monitoring_url",
        "url",
        "Where Prometheus answers on its own host. It tells whether it has the configuration.",
        default="http://127.0.0.1:9090",
        example="http://127.0.0.1:9091/prometheus",
    ),
    Option(
        "monitoring_interval",
        "str",
        "How often everything is asked, and with O(monitoring_config=whole) rules are looked at.",
        default="15s",
        example="30s",
    ),
    Option(
        "monitoring_alertmanagers",
        "list",
        "Alertmanagers, as HOST:PORT, for O(monitoring_config=whole).",
        default=[],
        elements="str",
        example=["127.0.0.1:9093"],
    ),
    Option(
        "monitoring_scrape_config_files",
        "list",
        "More files of scrape configurations for O(monitoring_config=whole), by their patterns.",
        default=[],
        elements="path",
        example=["/etc/prometheus/scrape.d/*.yml"],
    ),
    Option(
        "monitoring_rule_files",
        "list",
        "More files of rules for O(monitoring_config=whole), by their patterns.",
        default=[],
        elements="path",
        example=["/etc/prometheus/rules.d/*.yml"],
    ),
    Option(
        "monitoring_rules",
        "bool",
        "Whether Prometheus gets the recording and alerting rules.",
        default=True,
    ),
    Option(
        "monitoring_router_key",
        "dict",
        "The key by which Prometheus reads the metrics of routers that have "
        "C(router_client_keys). Without those it needs none.",
        default=None,
        keys=shared.CREDENTIAL_KEYS,
        shorthand="source",
        example={"content": "{{ vault_prometheus_key }}"},
    ),
    Option(
        "monitoring_router_ca",
        "path",
        "PEM file on this host with the authorities of routers that speak TLS; those of the system "
        "unless given.",
        default=None,
        example="/etc/ssl/certs/internal.pem",
    ),
    Option(
        "monitoring_dashboards",
        "path",
        "Directory on this host to put the dashboards for Grafana into. None unless given.",
        default=None,
        example="/var/lib/grafana/dashboards/onehop",
    ),
    Option(
        "monitoring_grafana_provisioning",
        "path",
        "Directory in which Grafana looks for providers of dashboards. With it one is written that "
        "leads to O(monitoring_dashboards).",
        default=None,
        example="/etc/grafana/provisioning/dashboards",
    ),
    Option(
        "monitoring_node_exporter",
        "str",
        "Address, HOST:PORT, of the node exporter of a host that is watched.",
        default=None,
        example="gpu1.internal:9100",
    ),
    Option(
        "monitoring_gpu_exporter",
        "str",
        "Address, HOST:PORT, of the GPU exporter (DCGM's) of a host that is watched.",
        default=None,
        example="gpu1.internal:9400",
    ),
)

_EXPORTERS = ("node", "gpu")
_INTERVAL = re.compile(r"([1-9][0-9]*(ms|s|m|h))+\Z")
_PLACE = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}\Z")
_FROM_HERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
_KEY_MEND = (
    "Declare one such as router_client_keys: {prometheus: {credential: prometheus_key, "
    "paths: [/metrics]}}"
)


def read(given: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    """The role's variables, complete and without secrets."""
    found = _schema.read(OPTIONS, given, problems)
    key = found["monitoring_router_key"] or {"source": None, "content": None}
    if found["monitoring_router_key"] and (key["source"] is None) == (key["content"] is None):
        problems.add(
            "monitoring_router_key",
            "has neither source nor content, or both",
            "Give one: source, a path on the host, or content, the key from a vault",
        )
    return {
        **found,
        "monitoring_router_key": key["source"],
        "contents": [KEY] if key["content"] is not None else [],
    }


def exporters(variables: Mapping[str, Any]) -> dict[str, str | None]:
    """Where a host's exporters are, out of the role's variables."""
    return {name: variables[f"monitoring_{name}_exporter"] for name in _EXPORTERS}


def check(variables: Mapping[str, Any], problems: Problems) -> None:
    """What is wrong with the variables of one host."""
    if not _INTERVAL.match(variables["monitoring_interval"]):
        problems.add(
            "monitoring_interval",
            "is no time as Prometheus writes it",
            "Write one such as 15s or 1m",
            variables["monitoring_interval"],
        )
    if variables["monitoring_grafana_provisioning"] and not variables["monitoring_dashboards"]:
        problems.add(
            "monitoring_dashboards",
            "is missing, and monitoring_grafana_provisioning leads there",
            "Write a directory such as /var/lib/grafana/dashboards/onehop",
        )
    places = {
        f"monitoring_alertmanagers[{index}]": text
        for index, text in enumerate(variables["monitoring_alertmanagers"])
    }
    places |= {f"monitoring_{name}_exporter": text for name, text in exporters(variables).items()}
    for where, text in places.items():
        if text is not None and not _PLACE.match(text):
            problems.add(where, "is not HOST:PORT", "Write one such as 192.0.2.11:9100", text)


def client(monitor: str) -> str:
    """The name under which an edge knows a host that watches; no front is called so."""
    return f"monitor:{monitor}"


def jobs(plan: Mapping[str, Any], monitor: str) -> tuple[list[dict[str, Any]], list[Any]]:
    """What a monitor asks, each with its ``name``, ``scheme``, ``key``, ``ca``, ``server_name``
    and ``targets``; second, what it cannot ask: (host, variable, wrong, mend).

    ``key`` and ``ca`` are names of credentials, ``edge`` the host whose edge gives them.
    """
    found: list[dict[str, Any]] = []
    lost: list[Any] = []
    for host in sorted(plan["hosts"]):
        found += _router(plan, host, monitor, lost)
        found += _edge(plan, host, monitor)
        found += _workers(plan, host, monitor, lost)
        lost += [(host, *reason) for reason in _silent(plan["hosts"][host])]
    rows = [
        {"address": address, "path": PATH, "labels": _labels(f"onehop_{name}", host)}
        for name in _EXPORTERS
        for host, planned in sorted(plan["hosts"].items())
        if (address := planned["exporters"][name])
    ]
    if rows:
        found.append(_job("onehop-exporters", rows))
    return found, lost


def _job(name: str, targets: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    plain = {"scheme": "http", "key": None, "ca": None, "server_name": None, "edge": None}
    return {"name": name, **plain, **more, "targets": targets}


def _labels(job: str, host: str, model: str | None = None) -> dict[str, str]:
    labels = {"job": job, "host": host}
    return {**labels, "model": model} if model else labels


def _asked(planned: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The workers of a host that serve metrics."""
    for worker in _engines(planned):
        switch = ENGINES[worker["engine"]].metrics
        if switch is None or Given.of(worker).on(switch):
            yield worker


def _engines(planned: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The workers of a host that compute."""
    return [
        worker
        for engine in planned["engines"].values()
        for worker in engine["workers"]
        if worker["engine"] in ENGINES
    ]


def _silent(planned: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    asked = [worker["variable"] for worker in _asked(planned)]
    for worker in _engines(planned):
        switch = ENGINES[worker["engine"]].metrics
        if switch and worker["variable"] not in asked:
            yield (
                f"{worker['variable']}.settings",
                "does not let the engine tell its metrics, so that they are missing from the "
                "dashboards",
                f"Write settings: {{{switch.name}: true}}, or "
                f"{worker['engine']}_model_settings for all models",
            )


def _router(plan: Mapping[str, Any], host: str, monitor: str, lost: list[Any]) -> Any:
    """The job of a host's router, if it has one that can be reached."""
    router = plan["hosts"][host]["router"]
    if not router or not router["router_enable"]:
        return
    place = _router_place(plan, host, monitor, lost)
    reader = _reader(plan, host, monitor, lost)
    if place is None or reader is None:
        return
    target = {"address": place, "path": PATH, "labels": _labels("onehop_router", host)}
    yield _job(f"onehop-router-{host}", [target], **_router_access(plan, host, monitor))


def _router_access(plan: Mapping[str, Any], host: str, monitor: str) -> dict[str, Any]:
    router = plan["hosts"][host]["router"]
    access: dict[str, Any] = {"key": KEY if router["router_client_keys"] else None}
    if router["router_tls"]:
        access |= {
            "scheme": "https",
            "ca": plan["hosts"][monitor]["monitoring"]["monitoring_router_ca"],
            "server_name": plan["hosts"][host]["address"],
        }
    return access


def _router_place(plan: Mapping[str, Any], host: str, monitor: str, lost: list[Any]) -> str | None:
    router = plan["hosts"][host]["router"]
    listener = ipaddress.ip_address(router["router_host"].strip("[]"))
    if host == monitor:
        name = _FROM_HERE.get(str(listener), str(listener))
    elif listener.is_loopback:
        lost.append(
            (
                host,
                "router_host",
                f"is this host's loopback, so that {monitor} cannot read the router's metrics",
                "Write an address that it reaches, or have Prometheus on this host",
            )
        )
        return None
    else:
        name = plan["hosts"][host]["address"] if listener.is_unspecified else str(listener)
    return f"{_bracketed(name)}:{router['router_port']}"


def _bracketed(name: str) -> str:
    return f"[{name.strip('[]')}]" if ":" in name else name


def _reader(plan: Mapping[str, Any], host: str, monitor: str, lost: list[Any]) -> Any:
    """The client of a router whose key reads metrics, {} where it takes none; ``None`` if there is
    no way."""
    clients = plan["hosts"][host]["router"]["router_client_keys"]
    readers = [one for one in clients.values() if PATH in (one["paths"] or [])]
    if not clients:
        return {}
    if not readers:
        lost.append((host, "router_client_keys", "has no client that may read metrics", _KEY_MEND))
        return None
    watching = plan["hosts"][monitor]["monitoring"]
    if not (watching["monitoring_router_key"] or watching["contents"]):
        lost.append(
            (
                monitor,
                "monitoring_router_key",
                f"is missing, and the router of {host} wants a key",
                "Give the key of a client whose paths name /metrics",
            )
        )
        return None
    return readers[0]


def _edge(plan: Mapping[str, Any], host: str, monitor: str) -> Iterator[dict[str, Any]]:
    """The job of an edge and of the workers behind it."""
    planned = plan["hosts"][host]
    edge = planned["edge"]
    if not edge or monitor not in edge["monitors"]:
        return
    address = edge["seen"]["url"].removeprefix("https://")
    targets = [{"address": address, "path": PATH, "labels": _labels("onehop_edge", host)}]
    targets += [
        {
            "address": address,
            "path": f"/route/{quote(worker['name'], safe='')}{PATH}",
            "labels": _labels(f"onehop_{worker['engine']}", host, worker["name"]),
        }
        for worker in _asked(planned)
        if _behind_edge(planned, worker)
    ]
    yield _job(
        f"onehop-edge-{host}",
        targets,
        scheme="https",
        key=edge["seen"]["key"],
        ca=edge["seen"]["certificate"] or edge["seen"]["authorities"],
        server_name=edge["seen"]["server_name"],
        edge=host,
    )


def _behind_edge(planned: Mapping[str, Any], worker: Mapping[str, Any]) -> bool:
    """Whether the host's edge leads to this worker itself, and not to a gateway before it."""
    return bool(planned["edge"]) and worker["route"] == worker["url"]


def _workers(
    plan: Mapping[str, Any], host: str, monitor: str, lost: list[Any]
) -> Iterator[dict[str, Any]]:
    """The jobs of workers that no edge leads to: only a Prometheus of their host gets to them."""
    planned = plan["hosts"][host]
    workers = [worker for worker in _asked(planned) if not _behind_edge(planned, worker)]
    if host != monitor:
        if workers and not planned["edge"]:
            lost.append(
                (
                    host,
                    "router_edge_enable",
                    f"is false, and {monitor} reaches this host's engines by its edge only",
                    "Let it have one",
                )
            )
        return
    direct, routed = [], []
    for worker in workers:
        labels = _labels(f"onehop_{worker['engine']}", host, worker["name"])
        if worker["port"] is not None:
            address = f"127.0.0.1:{worker['port']}"
            direct.append({"address": address, "path": PATH, "labels": labels})
        elif _alone_behind_router(plan, host, worker):
            path = f"/route/{quote(worker['name'], safe='')}{PATH}"
            address = _router_place(plan, host, monitor, []) or ""
            routed.append({"address": address, "path": path, "labels": labels})
        else:
            lost.append(
                (
                    host,
                    f"{worker['variable']}.port",
                    "is missing, and Prometheus cannot ask a worker on a socket but through the "
                    "router, by a key that may read metrics and use this model",
                    "Give it a port, or declare such a key",
                )
            )
    if direct:
        yield _job(f"onehop-workers-{host}", direct)
    if routed:
        yield _job(f"onehop-routed-{host}", routed, **_router_access(plan, host, monitor))


def _alone_behind_router(plan: Mapping[str, Any], host: str, worker: Mapping[str, Any]) -> bool:
    """Whether the host's router leads to this worker and no other, and lets a key get there."""
    router = plan["hosts"][host]["router"]
    if not router or not router["router_enable"] or worker["route"] != worker["url"]:
        return False
    watching = plan["hosts"][host]["monitoring"]
    known = watching["monitoring_router_key"] or watching["contents"]
    readers = [
        one
        for one in router["router_client_keys"].values()
        if PATH in (one["paths"] or [])
        and (one["models"] is None or worker["name"] in one["models"])
    ]
    replicas = [
        item
        for item in plan["routes"][worker["name"]]["replicas"]
        if item["host"] == host or item["host"] in router["edges"]
    ]
    return bool(known and readers and len(replicas) == 1)
