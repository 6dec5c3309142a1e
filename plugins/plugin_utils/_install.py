# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan asks of one host: as needs to check, and as units to install.

This is what crosses from the controller to a host, as finished texts.

This plugin util is private to the collection.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _plan, _router, _service
from ansible_collections.onehop.llm.plugins.plugin_utils._catalogue import ENGINES

Rendered = dict[str, list[dict[str, Any]]]

RENDERERS = {"service": _service.worker}
"""Who makes a unit's text of a worker and its host's facts, by the engine's runtime."""


_NOBODY = "nobody"
"""Has no more rights than a worker's own user, which exists only while it runs."""


def needs(plan: Mapping[str, Any], host: str, roles: list[str] | None) -> Rendered:
    """What the host must have, or must have free: ``ports``, ``files``, ``accounts``, ``pythons``."""
    ports: list[dict[str, Any]] = []
    files: list[dict[str, Any]] = []
    accounts: list[dict[str, Any]] = []
    pythons: list[dict[str, Any]] = []
    found = plan["hosts"][host]
    for role, engine in found["engines"].items():
        if roles is not None and role not in roles:
            continue
        if engine["workers"] and engine["binary"]["kind"] == "path":
            path = engine["binary"]["path"]
            files.append({"path": path, "variable": f"{role}_binary", "executable": True})
        for worker in engine["workers"]:
            where = _plan.variable(worker)
            files += _worker_files(worker, where)
            if worker["port"] is not None:
                port = {"port": worker["port"], "unit": worker["unit"], "variable": f"{where}.port"}
                ports.append(port)
            if worker["user"]:
                accounts.append({"name": worker["user"], "variable": f"{role}_user"})
    router = found["router"]
    if router and router["router_enable"] and (roles is None or "router" in roles):
        ports.append(
            {
                "port": router["router_port"],
                "unit": _service.ROUTER_SOCKET,
                "variable": "router_port",
            }
        )
        files += _sources(router["router_credentials"], router["contents"], "router_credentials")
        if router["router_python"]:
            path = router["router_python"]
            files.append({"path": path, "variable": "router_python", "executable": True})
        pythons.append({"path": router["router_python"], "variable": "router_python"})
    accounts = _once(accounts)
    return {"ports": ports, "files": _once(files), "accounts": accounts, "pythons": pythons}


def archives(plan: Mapping[str, Any], host: str, roles: list[str] | None) -> list[dict[str, str]]:
    """Archives that come from the controller: ``variable``, ``source``, ``program`` on the host."""
    return [
        {
            "variable": f"{role}_archive.source",
            "source": engine["binary"]["source"],
            "program": engine["binary"]["path"],
        }
        for role, engine in plan["hosts"][host]["engines"].items()
        if (roles is None or role in roles)
        and engine["workers"]
        and engine["binary"]["kind"] == "archive"
        and not engine["binary"]["source"].startswith(("http://", "https://"))
    ]


def _worker_files(worker: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    engine = ENGINES[worker["engine"]]
    files = [
        {"path": path, "variable": f"{where}.environment_file"}
        for path in worker["environment_files"]
    ]
    files += _sources(worker["credentials"], worker["contents"], f"{where}.credentials")
    for flag in engine.path_flags:
        path = worker["settings"].get(flag)
        if isinstance(path, str) and path.startswith("/"):
            reader = worker["user"] or _NOBODY
            files.append({"path": path, "variable": f"{where}.settings.{flag}", "reader": reader})
    return files


def _sources(
    credentials: Mapping[str, str], contents: Mapping[str, str], where: str
) -> list[dict[str, Any]]:
    return [
        {"path": path, "variable": f"{where}.{name}.source"}
        for name, path in credentials.items()
        if name not in contents
    ]


def _once(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [item for index, item in enumerate(items) if item not in items[:index]]


def workers(
    plan: Mapping[str, Any],
    host: str,
    role: str,
    facts: Mapping[str, Any],
    contents: Mapping[str, Mapping[str, str]],
    wait_ready: str,
) -> Rendered:
    """The units of one engine's workers on a host.

    ``contents`` are the secrets that are given by content, by the worker's key and the
    credential's name. ``wait_ready`` is the text of the program that waits.
    """
    engine = plan["hosts"][host]["engines"].get(role, {"workers": []})
    units = [_worker_unit(worker, facts) for worker in engine["workers"]]
    secrets = [
        {"path": path, "content": contents[worker["key"]][name]}
        for worker in engine["workers"]
        for name, path in worker["contents"].items()
    ]
    program = {"path": _service.WAIT_READY, "content": wait_ready, "mode": "0755"}
    return {"units": units, "files": [program] if units else [], "secrets": secrets}


def _worker_unit(worker: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    place = worker["cache"].removeprefix("/var/cache/")
    return {
        "name": worker["unit"],
        "content": RENDERERS[ENGINES[worker["engine"]].runtime](worker, facts),
        "wanted_by": "multi-user.target",
        "stamp": _service.STAMP,
        "secrets": [*worker["environment_files"], *worker["credentials"].values()],
        # A dynamic user's directories are links to where only root can go.
        "states": [f"/var/lib/{place}", f"/var/lib/private/{place}"],
        "caches": [f"/var/cache/{place}", f"/var/cache/private/{place}"],
    }


@dataclass(frozen=True)
class Router:
    """What a router's host gets."""

    rendered: Rendered
    listeners: str
    """What its process carries of its listeners: with others it has to be started anew."""
    elsewhere: list[str]
    """The models out of its reach."""


def router(
    plan: Mapping[str, Any],
    host: str,
    environment: str,
    facts: Mapping[str, Any],
    contents: Mapping[str, str],
) -> Router:
    """The router's units, configuration and secrets on a host."""
    spec = plan["hosts"][host]["router"]
    routes, elsewhere = _plan.table(plan, host)
    socket = _service.router_socket(spec)
    listeners = hashlib.sha256(socket.encode()).hexdigest()[:32]
    service = _service.router(spec, environment, listeners)
    units: list[dict[str, Any]] = [
        {
            "name": _service.ROUTER_SOCKET,
            "content": socket,
            "wanted_by": "sockets.target",
            "sockets": [path for path in [spec["router_socket"]] if path],
        },
        {
            "name": _service.ROUTER_UNIT,
            "content": service,
            "wanted_by": "multi-user.target",
            "stamp": _service.STAMP,
            "secrets": list(spec["router_credentials"].values()),
        },
    ]
    config = json.dumps(_router.config(spec, routes), indent=1, sort_keys=True) + "\n"
    rendered: Rendered = {
        "units": units,
        "files": [{"path": _service.ROUTER_CONFIG, "content": config}],
        "secrets": [
            {"path": path, "content": contents[name]} for name, path in spec["contents"].items()
        ],
    }
    return Router(rendered, listeners, elsewhere)
