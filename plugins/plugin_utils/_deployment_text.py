# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What :mod:`_deployment` tells of a host, as lines for a terminal.

This plugin util is private to the collection.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _memory_table

_STEP = "  "
_KEY = 12
"""Characters of the longest key, and of the room behind it."""
_PLAIN = {
    "podman": "Podman {}",
    "systemd": "systemd {}",
    "python": "{}",
    "devices": "devices {}",
    "selinux": "SELinux not enforced",
}
"""How what is assumed is said, where it makes a difference to what is shown."""


def text(host: str, found: Mapping[str, Any], *, units: bool = True) -> str:
    """All of a host; ``units`` shows the files, too."""
    return "\n".join([host, *_in(_host(found, units)), ""])


def _host(found: Mapping[str, Any], units: bool) -> Iterator[str]:
    assumed = found["assumed"]
    said = [form.format(_plain(assumed[name])) for name, form in _PLAIN.items() if name in assumed]
    if said:
        yield f"taken for granted, since no host is asked: {', '.join(said)}"
    for warning in found["warnings"]:
        yield f"WARNING {warning}"
    for model in found["models"]:
        yield ""
        yield f"{model['engine']}: {model['name']} ({model['variable']})"
        yield from _in(_model(model, units))
    if not found["models"]:
        yield "no models"
    for name in ("router", "edge"):
        if found[name]:
            yield ""
            yield name
            yield from _in(_instance(found[name], units))
    if found["memory"]:
        yield ""
        yield from _block("memory", _memory_table.text(found["memory"]).split("\n"))


def _model(model: Mapping[str, Any], units: bool) -> Iterator[str]:
    owner = f", of the account {model['account']}" if model["account"] else ""
    yield _line("unit", f"{model['unit']}{owner}")
    yield _line("program", model["program"])
    yield _line("listens", f"{model['listens']}, ready at {model['ready']}")
    if model["devices"]:
        yield _line("devices", ", ".join(model["devices"]))
    if model["after"]:
        yield _line("after", ", ".join(model["after"]))
    for item in model["weights"]:
        way = "on the host before it starts" if item["stage"] else "looked for by the engine"
        yield _line("weights", f"{item['repo']} at {item['revision']}, {way}")
    for name, credential in model["credentials"].items():
        use = [
            f"as {kind} {credential[kind]}"
            for kind in ("environment", "flag")
            if credential[kind] is not None
        ]
        yield _line("credential", " ".join([f"{name} from {credential['from']}", *use]))
    if model["route"]:
        yield from _route(model["route"])
    yield from _block("command", _wrapped(model["command"]))
    assignments = [f"{name}={value}" for name, value in model["environment"].items()]
    files = [f"and what {path} says" for path in model["environment_files"]]
    if assignments or files:
        yield from _block("environment", [*assignments, *files])
    if units:
        yield from _files(model["files"])


def _route(route: Mapping[str, Any]) -> Iterator[str]:
    names = " or ".join([route["model"], *route["aliases"]])
    others = f", replicas on {', '.join(route['replicas'])}" if len(route["replicas"]) > 1 else ""
    ways = (
        f"by the routers of {', '.join(route['routers'])}" if route["routers"] else "by no router"
    )
    yield _line("route", f"{names} {ways} to {route['url']}{others}")


def _instance(instance: Mapping[str, Any], units: bool) -> Iterator[str]:
    for name, urls in instance["routes"].items():
        yield _line("route", f"{name} to {', '.join(urls)}")
    if instance["elsewhere"]:
        yield _line("no route", ", ".join(instance["elsewhere"]))
    if units:
        yield from _files(instance["files"])


def _files(files: list[dict[str, str]]) -> Iterator[str]:
    for file in files:
        yield from _block(file["path"], file["content"].rstrip("\n").split("\n"))


def _wrapped(command: list[str]) -> list[str]:
    """A command for a shell, a flag with its values on a line."""
    lines: list[str] = []
    for word in command:
        if not lines or word.startswith("--"):
            lines.append(shlex.quote(word))
        else:
            lines[-1] += f" {shlex.quote(word)}"
    last = len(lines) - 1
    return [
        ("" if number == 0 else _STEP) + line + (" \\" if number < last else "")
        for number, line in enumerate(lines)
    ]


def _line(key: str, value: str) -> str:
    return f"{key:{_KEY}} {value}"


def _block(key: str, lines: list[str]) -> Iterator[str]:
    yield key
    for line in lines:
        yield f"{_STEP}{line}".rstrip()


def _in(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield f"{_STEP}{line}" if line else ""


def _plain(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)
