# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workers as the plan has them: an engine's variables read, checked and made specs.

This plugin util is private to the collection.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _credentials, _schema
from ansible_collections.onehop.llm.plugins.plugin_utils._engines import Engine
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import Problems

PROGRAMS = "/opt/onehop"
"""Where programs that this collection brings to a host are kept."""

_SETTING = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_LOWEST_PORT = 1024
_SECTION_KEY = re.compile(r"[A-Za-z][A-Za-z0-9]*\Z")
_HIDDEN = ("/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/")
"""What ProtectHome= and PrivateTmp= hide from workers."""
_SHOWING = frozenset(("BindPaths", "BindReadOnlyPaths", "PrivateTmp", "ProtectHome"))
"""Keys of a unit by which an operator shows such a place."""
_MANAGED_KEYS = frozenset(("DynamicUser", "ExecStart", "ExecStartPost", "Group", "Type", "User"))


def read(engine: Engine, given: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    """An engine on one host: its ``workers`` in the order in which they start, and its ``binary``.

    ``given`` are the host's variables as the inventory has them.
    """
    role = engine.role
    variables = _schema.read(engine.options(), given, problems)
    binary = _binary(engine, variables, problems)
    if variables[f"{role}_user"] == "root":
        problems.add(f"{role}_user", "is root", "Name an account of its own, or none", "root")
    _check_settings(engine, f"{role}_model_settings", variables[f"{role}_model_settings"], problems)
    _check_environment(engine, f"{role}_environment", variables[f"{role}_environment"], problems)
    _credentials.check_references(
        f"{role}_model_settings", variables[f"{role}_model_settings"], [], problems
    )
    workers = [
        _worker(engine, key, model, variables, binary["path"], problems)
        for key, model in variables[engine.models_variable].items()
        if model["enable"] and variables[f"{role}_enable"]
    ]
    if variables[f"{role}_binary"] and not all(
        _SHOWING & set(worker["service_config"]) for worker in workers
    ):
        _check_hidden(f"{role}_binary", variables[f"{role}_binary"], problems)
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
        place = {"path": f"{home}/{engine.executable}", "home": home}
        return {"kind": "archive", "executable": engine.executable, **place, **archive}
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
    settings = {**variables[f"{role}_model_settings"], **model["settings"]}
    socket = None
    if model["port"] is None:
        socket = f"{variables[f'{role}_socket_directory']}/{unit}/http.sock"
    _check_listener(role, where, socket, model["port"], problems)
    _check_model(engine, where, model, problems)
    if not _SHOWING & set(model["service_config"]):
        for flag in engine.path_flags:
            _check_hidden(f"{where}.settings.{flag}", settings.get(flag), problems)
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
        "settings": settings,
        "extra_args": model["extra_args"],
        "environment": {**variables[f"{role}_environment"], **model["environment"]},
        "environment_files": [path for path in files if path],
        **_credentials.paths(f"{unit}.service", model["credentials"]),
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
    if port is not None and port < _LOWEST_PORT:
        problems.add(
            f"{where}.port",
            "is a port that only root may listen on, and no worker is root",
            f"Write a port from {_LOWEST_PORT} to 65535",
            port,
        )


def _check_model(engine: Engine, where: str, model: Mapping[str, Any], problems: Problems) -> None:
    _check_settings(engine, f"{where}.settings", model["settings"], problems)
    _check_environment(engine, f"{where}.environment", model["environment"], problems)
    _check_extra_args(engine, f"{where}.extra_args", model["extra_args"], problems)
    _credentials.check(f"{where}.credentials", model["credentials"], problems)
    for key in ("settings", "environment", "extra_args"):
        _credentials.check_references(f"{where}.{key}", model[key], model["credentials"], problems)
    for section in ("unit_config", "service_config"):
        _check_section(f"{where}.{section}", model[section], problems)
    for key in set(model["service_config"]) & _MANAGED_KEYS:
        problems.add(
            f"{where}.service_config.{key}",
            "is set by the role",
            f"Remove it; the account is {engine.role}_user, and no worker is root",
        )


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


def _check_extra_args(engine: Engine, where: str, words: list[str], problems: Problems) -> None:
    """Verbatim, and yet no way to put a secret on show or a worker on the network."""
    for word in words:
        flag = word.removeprefix("--").partition("=")[0]
        if not word.startswith("--"):
            continue
        if flag in engine.secret_flags:
            problems.add(
                where,
                f"gives {flag}, a secret, which every user of the host could read in the argument "
                "list",
                engine.secret_flags[flag],
            )
        elif flag in engine.managed:
            problems.add(
                where, f"gives {flag}, which is set by the role", engine.managed_instead[flag]
            )


def _check_section(where: str, section: Mapping[str, Any], problems: Problems) -> None:
    """Keys and values that would be other lines of the unit than they look like."""
    for key, value in section.items():
        if not _SECTION_KEY.match(key):
            problems.add(f"{where}.{key}", "is no key of a unit", "Write one such as Nice")
        items = value if isinstance(value, list) else [value]
        if any(isinstance(item, Mapping) or "\n" in str(item) for item in items):
            problems.add(
                f"{where}.{key}", "is no text on one line", "Write a text, or a list of them", value
            )


def _check_hidden(where: str, value: Any, problems: Problems) -> None:
    for path in value if isinstance(value, list) else [value]:
        if isinstance(path, str) and path.startswith(_HIDDEN):
            problems.add(
                where,
                "is in a place that the worker's sandbox hides",
                "Put it elsewhere, such as below /srv",
                path,
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
