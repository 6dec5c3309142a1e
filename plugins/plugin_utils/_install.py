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
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import (
    _credentials,
    _downloads,
    _edges,
    _offline,
    _plan,
    _quadlet,
    _router,
    _service,
    _unit_text,
    _wishes,
)
from ansible_collections.onehop.llm.plugins.plugin_utils._catalogue import DESCRIPTIONS

Rendered = dict[str, list[dict[str, Any]]]

_NOBODY = "nobody"
"""Has no more rights than a worker's own user, which exists only while it runs."""
USER_UNITS = "/etc/systemd/user"
"""Where drop-ins of users' units are."""
OPERATOR = "/usr/local/bin/onehop"
"""The command for operators."""
LIBRARY = "/opt/onehop/lib"
"""What that command needs."""

KINDS = (
    "ports",
    "files",
    "accounts",
    "pythons",
    "devices",
    "podman",
    "copies",
    "archives",
    "downloads",
    "directories",
    "models",
)
"""What a host may need."""


def needs(plan: Mapping[str, Any], host: str, roles: list[str] | None) -> Rendered:
    """What the host must have, or must have free, by :data:`KINDS`."""
    wanted: Rendered = {kind: [] for kind in KINDS}
    found = plan["hosts"][host]
    for role, engine in found["engines"].items():
        if (roles is None or role in roles) and engine["workers"]:
            _engine_needs(role, engine, wanted)
            wanted["pythons"] += _staging_needs(role, engine, found["gpu_host"])
    router = found["router"]
    if roles is None or "router" in roles:
        if router and router["router_enable"]:
            _router_needs(router, wanted)
        if found["edge"]:
            _edge_needs(found["edge"], wanted)
    return {kind: _once(items) for kind, items in wanted.items()}


def _engine_needs(role: str, engine: Mapping[str, Any], wanted: Rendered) -> None:
    if "binary" in engine and engine["binary"]["kind"] == "path":
        path = engine["binary"]["path"]
        wanted["files"].append({"path": path, "variable": f"{role}_binary", "executable": True})
    if "account" in engine:
        wanted["podman"].append({"variable": f"{role}_models"})
        wanted["accounts"].append({"variable": role, "container": engine["account"]})
        for image, path in engine["image_archives"].items():
            where = f"{role}_image_archives.{image}"
            reader = engine["account"]["name"]
            need = {"path": path, "variable": where, "reader": reader, "reading": "account"}
            wanted["files"].append(need)
            wanted["archives"].append({"path": path, "variable": where, "image": image})
        wanted["downloads"] += _downloads.of_engine(engine, role)
        wanted["directories"] += [
            {"path": engine["account"]["home"], "variable": f"{role}_data_dir"},
            {"path": engine["account"]["cache"], "variable": f"{role}_cache_dir"},
        ]
    wanted["files"] += _weights_files(role, engine)
    for worker in engine["workers"]:
        wanted["files"] += _worker_files(worker)
        wanted["downloads"] += _downloads.of_worker(role, engine, worker)
        if "account" not in engine:
            wanted["directories"].append({"path": worker["cache"], "variable": worker["variable"]})
        for key, port in _ports(worker):
            need = {"port": port, "unit": worker["unit"], "variable": f"{worker['variable']}.{key}"}
            listening = {"address": worker["address"]} if "address" in worker else {}
            wanted["ports"].append(need | listening)
        if worker.get("user"):
            wanted["accounts"].append({"name": worker["user"], "variable": f"{role}_user"})
        wanted["models"] += _model_needs(engine, worker)
        for device in worker.get("devices") or []:
            need = {"device": device, "variable": f"{worker['variable']}.devices"}
            wanted["devices"].append(need)


def _staging_needs(
    role: str, engine: Mapping[str, Any], gpu_host: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """The interpreter that fetches weights, for a host that does not have all of them."""
    items = [
        item for worker in engine["workers"] for item in worker.get("weights", []) if item["stage"]
    ]
    if not items:
        return []
    account = engine.get("account")
    need = {
        "path": gpu_host["gpu_host_hub_python"] if gpu_host else None,
        "variable": "gpu_host_hub_python",
        "purpose": f"{role}_weights: what is not on the host is fetched by a program of ours",
        "account": account["name"] if account else None,
        "hub": f"{engine['workers'][0]['weights_dir']}/hub",
        "bundles": engine["weights"]["bundles"],
        "items": items,
    }
    return [need]


def _model_needs(engine: Mapping[str, Any], worker: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Where the host may have the configuration of a worker's model."""
    model = _wishes.model_of(worker)
    if not model:
        return []
    revision = worker["settings"].get("revision") or "main"
    caches = [worker["weights_dir"], *engine.get("weights", {}).get("bundles", [])]
    place = {"caches": caches, "revision": str(revision)}
    return [{"model": model, "variable": worker["variable"], **place}]


def _weights_files(role: str, engine: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What weights come from on the host, where any worker names some."""
    if not any(worker.get("weights") for worker in engine["workers"]):
        return []
    weights, account = engine["weights"], engine.get("account")
    reader = account["name"] if account else _NOBODY
    given = dict.fromkeys(weights["bundles"], f"{role}_weights_bundles")
    given |= {path: f"{role}_weights_sources.{repo}" for repo, path in weights["sources"].items()}
    needs = [
        {"path": path, "variable": variable, "reader": reader, "reading": "account"}
        for path, variable in given.items()
    ]
    if weights["token_source"]:
        needs.append({"path": weights["token_source"], "variable": f"{role}_hub_token.source"})
    return needs


def _ports(worker: Mapping[str, Any]) -> list[tuple[str, int]]:
    listening = {"port": worker["port"], **worker["more_ports"]}
    return [(key, port) for key, port in listening.items() if port is not None]


def _router_needs(router: Mapping[str, Any], wanted: Rendered) -> None:
    unit = _service.router_socket_unit(_service.ROUTER)
    need = {"port": router["router_port"], "unit": unit, "variable": "router_port"}
    wanted["ports"].append({**need, "address": router["router_host"].strip("[]")})
    wanted["files"] += _sources(
        router["router_credentials"], router["contents"], "router_credentials"
    )
    for host, edge in router["edges"].items():
        wanted["copies"] += [
            {"variable": host, "path": path} for path in _edges.credentials(edge).values()
        ]
        if edge["authorities"]:
            variable = f"router_edge_certificate.authorities of {host}"
            reader = router["router_user"]
            wanted["files"].append(
                {"path": edge["authorities"], "variable": variable, "reader": reader}
            )
    _python_needs(router, wanted)


def _edge_needs(edge: Mapping[str, Any], wanted: Rendered) -> None:
    router = edge["router"]
    unit = _service.router_socket_unit(_service.EDGE)
    need = {"port": router["router_port"], "unit": unit, "variable": "router_edge_port"}
    wanted["ports"].append({**need, "address": router["router_host"].strip("[]")})
    if not edge["made"]:
        wanted["files"] += [
            {
                "path": path,
                "variable": f"router_edge_certificate.{name.removeprefix('tls_')}",
            }
            for name, path in router["router_credentials"].items()
        ]
    _python_needs(router, wanted)


def _python_needs(router: Mapping[str, Any], wanted: Rendered) -> None:
    path = router["router_python"]
    if path:
        wanted["files"].append({"path": path, "variable": "router_python", "executable": True})
    # The router itself reads these, unlike credentials, which systemd hands to it.
    wanted["files"] += [
        {"path": path, "variable": variable, "reader": router["router_user"]}
        for variable, path in _router.files(router).items()
    ]
    wanted["files"] += [
        {"path": path, "variable": f"router_environment_files[{index}]"}
        for index, path in enumerate(router["router_environment_files"])
    ]
    wanted["pythons"].append({"path": path, "variable": "router_python"})


def complaints(
    plan: Mapping[str, Any], host: str, roles: list[str] | None, facts: Mapping[str, Any]
) -> list[str]:
    """What the host's own versions cannot do of what is declared, a sentence each."""
    return [
        f"{variable}: {wrong}. {mend}."
        for role, engine in plan["hosts"][host]["engines"].items()
        if (roles is None or role in roles) and "account" in engine and facts.get("podman")
        for worker in engine["workers"]
        for variable, wrong, mend in _quadlet.complaints(worker, facts["podman"])
    ]


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
        and engine.get("binary", {}).get("kind") == "archive"
        and not engine["binary"]["source"].startswith(("http://", "https://"))
    ]


def _worker_files(worker: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Files that a worker is pointed to; a container's account has to be able to read them."""
    where = worker["variable"]
    account = worker.get("account")
    files: list[dict[str, Any]] = [
        {"path": path, "variable": f"{where}.environment_file", "reader": account}
        for path in worker["environment_files"]
    ]
    if account:
        files = [{**file, "reading": "account"} for file in files]
        sources = worker["sources"]
        files += [
            {"path": path, "variable": f"{where}.credentials.{name}.source"}
            for name, path in sources.items()
        ]
        files += [
            {"path": path, "variable": variable, "reader": account, "reading": "container"}
            for path, variable in worker["volumes"].items()
        ]
        return files
    files += _sources(worker["credentials"], worker["contents"], f"{where}.credentials")
    for flag in DESCRIPTIONS[worker["engine"]].path_flags:
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


@dataclass(frozen=True)
class Programs:
    """The texts of programs that go to hosts."""

    wait_ready: str
    operator: str
    with_secrets: str
    library: Mapping[str, str] = field(default_factory=dict)
    """What the operator's command needs, by the file's name."""


def workers(
    plan: Mapping[str, Any],
    host: str,
    role: str,
    facts: Mapping[str, Any],
    contents: Mapping[str, Mapping[str, str]],
    programs: Programs,
) -> dict[str, Any]:
    """The units of one engine's workers on a host, with all that they need.

    ``contents`` are the secrets that are given by content, by the worker's key and the
    credential's name.
    """
    planned = plan["hosts"][host]["engines"].get(role, {"workers": []})
    found = facts.get("weights") or {}
    engine = planned | {"workers": [_offline.worker(one, found) for one in planned["workers"]]}
    if not engine["workers"]:
        return {"units": [], "files": [], "secrets": [], "directories": []}
    rendered: dict[str, Any] = {
        "files": [
            _program(_service.WAIT_READY, programs.wait_ready),
            _program(OPERATOR, programs.operator),
            *(
                _program(f"{LIBRARY}/{name}", text, "0644")
                for name, text in programs.library.items()
            ),
        ],
        "directories": [],
    }
    if any(worker.get("flags") for worker in engine["workers"]):
        rendered["files"].append(_program(_quadlet.WITH_SECRETS, programs.with_secrets))
    if "account" in engine:
        return rendered | _containers_of(role, engine, facts, contents, rendered["files"])
    rendered["units"] = [_service_unit(worker, facts) for worker in engine["workers"]]
    rendered["secrets"] = [
        {"path": path, "content": contents[worker["key"]][name]}
        for worker in engine["workers"]
        for name, path in worker["contents"].items()
    ]
    return rendered


def _program(path: str, text: str, mode: str = "0755") -> dict[str, Any]:
    return {"path": path, "content": text, "mode": mode, "program": True}


def _service_unit(worker: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    place = worker["cache"].removeprefix("/var/cache/")
    return {
        "name": worker["unit"],
        "content": _service.worker(worker, facts),
        "wanted_by": "multi-user.target",
        "stamp": _service.STAMP,
        "secrets": [*worker["environment_files"], *worker["credentials"].values()],
        # A dynamic user's directories are links to where only root can go.
        "states": [f"/var/lib/{place}", f"/var/lib/private/{place}"],
        "caches": [f"/var/cache/{place}", f"/var/cache/private/{place}"],
    }


def _containers_of(
    role: str,
    engine: Mapping[str, Any],
    facts: Mapping[str, Any],
    contents: Mapping[str, Mapping[str, str]],
    files: list[dict[str, Any]],
) -> dict[str, Any]:
    account = engine["account"]
    group = account["group"]
    sockets = sorted(
        worker["socket"].rpartition("/")[0] for worker in engine["workers"] if worker["socket"]
    )
    directories = [
        {"path": path, "mode": "2750", "owner": account["name"], "group": _service.GROUP}
        for path in sockets
    ]
    if sockets:
        # They have to be there after a boot, too.
        lines = [f"d {path} 2750 {account['name']} {_service.GROUP} -" for path in sockets]
        text = "\n".join([_unit_text.HEAD, *lines, ""])
        files = [*files, {"path": f"/etc/tmpfiles.d/onehop-{role}.conf", "content": text}]
    files = [
        *files,
        *(
            {
                "path": f"{USER_UNITS}/{worker['unit']}.d/onehop.conf",
                "content": _quadlet.drop_in(worker, facts),
            }
            for worker in engine["workers"]
        ),
    ]
    secrets = []
    keeping = [worker for worker in engine["workers"] if worker["credentials"]]
    if keeping:
        directories.append({"path": _credentials.SECRETS, "mode": "0711"})
    for worker in keeping:
        place = f"{_credentials.SECRETS}/{worker['unit']}"
        directories.append({"path": place, "mode": "0750", "group": group})
        for name, path in worker["credentials"].items():
            secret = {"path": path, "group": group, "variable": worker["variables"].get(name)}
            if name in worker["sources"]:
                secret["source"] = worker["sources"][name]
            else:
                secret["content"] = contents[worker["key"]][name]
            secrets.append(secret)
    return {
        "account": account["name"],
        "uid": facts.get("uid"),
        "units": [_container_unit(worker, facts) for worker in engine["workers"]],
        "files": files,
        "directories": directories,
        "secrets": secrets,
    }


def _container_unit(worker: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": worker["unit"],
        "content": _quadlet.worker(worker, facts),
        "stamp": _service.STAMP,
        "inputs": [
            _quadlet.drop_in(worker, facts),
            facts.get("images", {}).get(worker["image"], ""),
        ],
        "secrets": [*worker["environment_files"], *worker["credentials"].values()],
    }


@dataclass(frozen=True)
class Router:
    """What an instance of the router gets on its host."""

    rendered: Rendered
    listeners: str
    """What its process carries of its listeners: with others it has to be started anew."""
    elsewhere: list[str]
    """The models out of its reach."""
    keyless: list[str]
    """The hosts whose edge has given it no key."""


def router(
    plan: Mapping[str, Any],
    host: str,
    environment: str,
    facts: Mapping[str, Any],
    contents: Mapping[str, str],
    fetched: Mapping[str, Mapping[str, str]] | None = None,
) -> Router:
    """The router's units, configuration and secrets on a host.

    ``fetched`` are ``key`` and ``certificate`` of each edge that was asked for them; of the others
    it uses the copies that the host has.
    """
    given = fetched or {}
    spec = plan["hosts"][host]["router"]
    keyless = [
        name
        for name in spec["edges"]
        if not given.get(name, {}).get("key") and name not in facts.get("copies", [])
    ]
    routes, elsewhere = _plan.table(plan, host, keyless)
    secrets = [{"path": path, "content": contents[name]} for name, path in spec["contents"].items()]
    credentials = dict(spec["router_credentials"])
    for name, edge in spec["edges"].items():
        if name not in keyless:
            credentials |= _edges.credentials(edge)
            secrets += _edge_secrets(edge, given.get(name, {}))
    rendered, listeners = _instance(
        _service.ROUTER,
        {**spec, "router_credentials": credentials},
        environment,
        _router.config(spec, routes),
    )
    rendered["secrets"] = secrets
    return Router(rendered, listeners, elsewhere, keyless)


def _edge_secrets(edge: Mapping[str, Any], fetched: Mapping[str, str]) -> list[dict[str, str]]:
    """What an edge gave a router. What it was not asked for now stays as it is."""
    contents = {edge["key"]: "key", edge["certificate"]: "certificate"}
    return [
        {"path": path, "content": fetched[contents[name]]}
        if fetched.get("key")
        else {"path": path, "source": path}
        for name, path in _edges.credentials(edge).items()
    ]


def edge(
    plan: Mapping[str, Any], host: str, environment: str, keys: Mapping[str, list[str]]
) -> Router:
    """The same for the edge of a host; ``keys`` are the hashes of each front's keys."""
    found = plan["hosts"][host]["edge"]
    config = _edges.config(found, _plan.edge_table(plan, host), keys)
    rendered, listeners = _instance(_service.EDGE, found["router"], environment, config)
    return Router(rendered, listeners, [], [])


def _instance(
    instance: str, spec: Mapping[str, Any], environment: str, config: Mapping[str, Any]
) -> tuple[Rendered, str]:
    socket = _service.router_socket(instance, spec)
    listeners = hashlib.sha256(socket.encode()).hexdigest()[:32]
    units: list[dict[str, Any]] = [
        {
            "name": _service.router_socket_unit(instance),
            "content": socket,
            "wanted_by": "sockets.target",
            "sockets": [path for path in [spec["router_socket"]] if path],
        },
        {
            "name": _service.router_unit(instance),
            "content": _service.router(instance, spec, environment, listeners),
            "wanted_by": "multi-user.target",
            "stamp": _service.STAMP,
            # Credentials come with a reload: for other ones no process has to go.
            "reloaded": ["ExecReload", "LoadCredential"],
            "secrets": spec["router_environment_files"],
        },
    ]
    text = json.dumps(config, indent=1, sort_keys=True) + "\n"
    file = {
        "path": _service.router_config(instance),
        "content": text,
        "stamp": _router.STAMP,
        "secrets": [*spec["router_credentials"].values(), *_router.files(spec).values()],
    }
    return {"units": units, "files": [file], "secrets": []}, listeners
