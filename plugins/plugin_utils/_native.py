# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plan has of engines that run as programs of the host.

This plugin util is private to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _flag_table
from ansible_collections.onehop.llm.plugins.plugin_utils._engines import Engine, Model
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import Problems

PROGRAMS = "/opt/onehop"
"""Where programs that this collection brings to a host are kept."""
SECTIONS = ("unit_config", "service_config")
"""Keys of a model that are sections of its unit."""

_HIDDEN = ("/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/")
"""What ProtectHome= and PrivateTmp= hide from workers."""
_SHOWING = frozenset(("BindPaths", "BindReadOnlyPaths", "PrivateTmp", "ProtectHome"))
"""Keys of a unit by which an operator shows such a place."""
_MANAGED_KEYS = frozenset(("DynamicUser", "ExecStart", "ExecStartPost", "Group", "Type", "User"))


def read(engine: Engine, variables: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    """What all of the engine's workers share: its ``binary``."""
    role = engine.role
    if variables[f"{role}_user"] == "root":
        problems.add(f"{role}_user", "is root", "Name an account of its own, or none", "root")
    models = [model for model in variables[engine.models_variable].values() if model["enable"]]
    shown = all(_SHOWING & set(model["service_config"]) for model in models)
    if variables[f"{role}_binary"] and not shown:
        _check_hidden(f"{role}_binary", variables[f"{role}_binary"], problems)
    return {
        "binary": _binary(engine, variables, problems),
        "weights_dir": variables[f"{role}_weights_dir"],
    }


def version(
    engine: Engine, variables: Mapping[str, Any], model: Mapping[str, Any] | None
) -> str | None:
    """The version of the program as it was said: in so many words, or by the name of what holds it."""
    del model
    role = engine.role
    archive = variables[f"{role}_archive"] or {}
    said = [variables[f"{role}_version"], archive.get("source"), variables[f"{role}_binary"]]
    return next((found for one in said if (found := _flag_table.told(one))), None)


def worker(model: Model, spec: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    """What a worker has beside ``spec``, which is what every worker has."""
    engine = model.engine
    given = set(model.keys["service_config"])
    if not _SHOWING & given:
        for flag in engine.path_flags:
            _check_hidden(f"{model.variable}.settings.{flag}", spec["settings"].get(flag), problems)
    for key in given & _MANAGED_KEYS:
        problems.add(
            f"{model.variable}.service_config.{key}",
            "is set by the role",
            f"Remove it; the account is {engine.role}_user, and no worker is root",
        )
    return {
        "binary": model.shared["binary"]["path"],
        "cache": f"/var/cache/{engine.prefix}/{spec['name']}",
        "gpu": model.keys["gpu"] or model.of_role("gpu"),
        "user": model.of_role("user"),
    }


def _binary(engine: Engine, variables: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    role = engine.role
    executable = engine.native.executable
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
        place = {"path": f"{home}/{executable}", "home": home}
        return {"kind": "archive", "executable": executable, **place, **archive}
    return {
        "kind": "package",
        "package": variables[f"{role}_package"],
        "path": f"/usr/bin/{executable}",
    }


def _check_hidden(where: str, value: Any, problems: Problems) -> None:
    for path in value if isinstance(value, list) else [value]:
        if isinstance(path, str) and path.startswith(_HIDDEN):
            problems.add(
                where,
                "is in a place that the worker's sandbox hides",
                "Put it elsewhere, such as below /srv",
                path,
            )
