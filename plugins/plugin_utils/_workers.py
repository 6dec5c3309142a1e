# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workers as the plan has them: an engine's variables read, checked and made specs.

What only programs of the host have is in :mod:`_native`, what only containers have in
:mod:`_containers`.

This plugin util is private to the collection.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import (
    _containers,
    _credentials,
    _declared,
    _flag_check,
    _flags,
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
from ansible_collections.onehop.llm.plugins.plugin_utils._flag_check import Check
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
    checks = {
        key: _check(engine, runtime, variables, model)
        for key, model in variables[engine.models_variable].items()
        if model["enable"] and variables[f"{role}_enable"]
    }
    _check_common(engine, runtime, variables, checks, problems)
    _credentials.check_references(
        f"{role}_model_settings", variables[f"{role}_model_settings"], [], problems
    )
    own = runtime.read(engine, variables, problems)
    workers = [
        _worker(
            engine, key, variables[engine.models_variable][key], variables, own, check, problems
        )
        for key, check in checks.items()
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


def _check(
    engine: Engine,
    runtime: Any,
    variables: Mapping[str, Any],
    model: Mapping[str, Any] | None = None,
) -> Check:
    """What a model's flags are judged by; without a model, what those of all models are."""
    own = model["flag_check"] if model else None
    said = runtime.version(engine, variables, model)
    return engine.check(said, own or variables[f"{engine.role}_flag_check"])


def _check_common(
    engine: Engine,
    runtime: Any,
    variables: Mapping[str, Any],
    checks: Mapping[str, Check],
    problems: Problems,
) -> None:
    """What is declared for all models, by each of their versions; and that a version is a guess."""
    role = engine.role
    settings, environment = variables[f"{role}_model_settings"], variables[f"{role}_environment"]
    default = _check(engine, runtime, variables)
    several = {
        check.version: dataclasses.replace(check, level=default.level)
        for check in checks.values()
        if check.level != "off"
    }
    if not checks:
        several = {default.version: default}
    by = list(several.values())
    _declared.settings(engine, f"{role}_model_settings", settings, by or [default], problems)
    _declared.environment(engine, f"{role}_environment", environment, by, problems)
    guesses = []
    for key, check in checks.items():
        model = variables[engine.models_variable][key]
        if check.level != "off" and check.guesses(
            {**settings, **model["settings"]},
            model["extra_args"],
            [*environment, *model["environment"]],
        ):
            guesses.append((f"{engine.models_variable}.{key}", check.version))
    _flag_check.warn_of_guess(f"{role}_version", engine.title, guesses, problems)


def _worker(
    engine: Engine,
    key: str,
    model: Mapping[str, Any],
    variables: Mapping[str, Any],
    own: Mapping[str, Any],
    check: Check,
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
    common = f"{role}_model_settings"
    check.parts(f"{where}.settings", model["settings"], common, variables[common], problems)
    _check_listener(engine, where, socket, model["port"], check, problems)
    _check_model(engine, where, model, runtime.SECTIONS, check, problems)
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
        "settings": _flags.merged(
            variables[common], model["settings"], engine.dialect, check.flags
        ),
        "flag_version": check.version.known,
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
    engine: Engine,
    where: str,
    socket: str | None,
    port: int | None,
    check: Check,
    problems: Problems,
) -> None:
    role = engine.role
    lacking = check.missing(engine.socket_flags) if socket else None
    if lacking:
        problems.add(
            f"{where}.port",
            f"is missing, and {engine.title} {check.version.name} listens on ports only: "
            f"{check.since(lacking)}",
            "Write a free port",
        )
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
    check: Check,
    problems: Problems,
) -> None:
    _declared.settings(engine, f"{where}.settings", model["settings"], [check], problems)
    _declared.environment(engine, f"{where}.environment", model["environment"], [check], problems)
    _declared.extra_args(engine, f"{where}.extra_args", model["extra_args"], check, problems)
    _credentials.check(f"{where}.credentials", model["credentials"], problems)
    for key in ("settings", "environment", "extra_args"):
        _credentials.check_references(f"{where}.{key}", model[key], model["credentials"], problems)
    for section in sections:
        _declared.section(f"{where}.{section}", model[section], problems)
