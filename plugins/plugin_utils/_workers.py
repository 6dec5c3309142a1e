# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workers as the plan has them: an engine's variables read, checked and made specs.

What only programs of the host have is in :mod:`_native`, what only containers have in
:mod:`_containers`.

This plugin util is private to the collection.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import (
    _containers,
    _credentials,
    _declared,
    _native,
    _schema,
    _weights,
)
from ansible_collections.onehop.llm.plugins.plugin_utils._engines import (
    Container,
    Engine,
    Model,
    Native,
)
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import Problems

RUNTIMES: dict[type, Any] = {Native: _native, Container: _containers}
"""Who plans what an engine's kind of worker needs."""


def read(engine: Engine, given: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    """An engine on one host: its ``workers`` in the order in which they start, and what they share.

    ``given`` are the host's variables as the inventory has them.
    """
    role = engine.role
    runtime = RUNTIMES[type(engine.runtime)]
    variables = _schema.read(engine.options(), given, problems)
    _declared.settings(
        engine, f"{role}_model_settings", variables[f"{role}_model_settings"], problems
    )
    _declared.environment(engine, f"{role}_environment", variables[f"{role}_environment"], problems)
    _credentials.check_references(
        f"{role}_model_settings", variables[f"{role}_model_settings"], [], problems
    )
    own = runtime.read(engine, variables, problems)
    workers = [
        _worker(engine, key, model, variables, own, problems)
        for key, model in variables[engine.models_variable].items()
        if model["enable"] and variables[f"{role}_enable"]
    ]
    workers.sort(key=lambda worker: (worker["port"] is None, worker["port"] or 0, worker["name"]))
    if variables[f"{role}_startup_ordering"]:
        for before, worker in itertools.pairwise(workers):
            worker["after"] = [before["unit"]]
    if engine.front:
        front = engine.front.plan(
            variables[engine.front.VARIABLE], workers, own, variables, problems
        )
        workers += [front] if front else []
        for worker in workers[:-1] if front and variables[engine.front.VARIABLE]["route"] else []:
            worker["route"], worker["health"] = front["url"], front["health"]
    weights = _weights.read(role, variables, problems) | {"wanted": list(_weights.union(workers))}
    return {"workers": workers, "weights": weights, **own}


def _worker(
    engine: Engine,
    key: str,
    model: Mapping[str, Any],
    variables: Mapping[str, Any],
    own: Mapping[str, Any],
    problems: Problems,
) -> dict[str, Any]:
    role = engine.role
    runtime = RUNTIMES[type(engine.runtime)]
    where = f"{engine.models_variable}.{key}"
    name = model["name"] or key
    unit = f"{engine.prefix}-{name}"
    socket = None
    if model["port"] is None and engine.socket_flags:
        socket = f"{variables[f'{role}_socket_directory']}/{unit}/http.sock"
    _check_listener(role, where, socket, model["port"], problems)
    _check_model(engine, where, model, runtime.SECTIONS, problems)
    files = [variables[f"{role}_environment_file"], model["environment_file"]]
    spec = {
        "engine": role,
        "key": key,
        "variable": where,
        "name": name,
        "unit": f"{unit}.service",
        "port": model["port"],
        "more_ports": {},
        "socket": socket,
        "url": f"unix://{socket}" if socket else f"http://127.0.0.1:{model['port']}",
        "settings": {**variables[f"{role}_model_settings"], **model["settings"]},
        "extra_args": model["extra_args"],
        "environment": {**variables[f"{role}_environment"], **model["environment"]},
        "environment_files": [path for path in files if path],
        **_credentials.paths(f"{unit}.service", model["credentials"]),
        "open_files_limit": variables[f"{role}_open_files_limit"],
        "start_timeout": model["start_timeout"] or variables[f"{role}_start_timeout"],
        **{section: model[section] for section in runtime.SECTIONS},
        "routing": model["route"],
        "after": [],
        "requires": [],
    }
    spec["route"], spec["health"] = spec["url"], engine.liveness_path
    more: dict[str, Any] = runtime.worker(
        Model(engine, where, model, variables, own), spec, problems
    )
    worker = spec | more
    way = model["weights"] or variables[f"{role}_weights"]
    worker["weights_dir"] = own["weights_dir"]
    worker["weights"] = [] if way == "engine" else _weights.named(engine, worker, way)
    _declared.line(engine, worker, problems)
    return worker


def _check_listener(
    role: str, where: str, socket: str | None, port: int | None, problems: Problems
) -> None:
    if socket and len(socket) > _schema.LONGEST_SOCKET:
        problems.add(
            f"{role}_socket_directory",
            f"makes a socket path of {len(socket)} characters, and {_schema.LONGEST_SOCKET} is the "
            "longest",
            f"Give {where} a port or a shorter name",
            socket,
        )
    if port is None and socket is None:
        problems.add(
            f"{where}.port",
            "is missing, and this engine listens on ports only",
            "Write a free port",
        )
    _declared.port(f"{where}.port", port, problems)


def _check_model(
    engine: Engine,
    where: str,
    model: Mapping[str, Any],
    sections: tuple[str, ...],
    problems: Problems,
) -> None:
    _declared.settings(engine, f"{where}.settings", model["settings"], problems)
    _declared.environment(engine, f"{where}.environment", model["environment"], problems)
    _declared.extra_args(engine, f"{where}.extra_args", model["extra_args"], problems)
    _credentials.check(f"{where}.credentials", model["credentials"], problems)
    for key in ("settings", "environment", "extra_args"):
        _credentials.check_references(f"{where}.{key}", model[key], model["credentials"], problems)
    for section in sections:
        _declared.section(f"{where}.{section}", model[section], problems)
