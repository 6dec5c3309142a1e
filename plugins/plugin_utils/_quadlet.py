# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quadlets as text: rootless containers, in the dialect of the host's Podman.

What a generator makes of these lines was seen with the ones of Podman 5.4 and 5.8: ``Exec=`` and
``Environment=`` are split like systemd's lines and quoted anew, ``%`` and ``$`` are left for
systemd to expand; ``Volume=`` and ``Health…=`` are taken as they stand; an empty word of ``Exec=``
ends it, and the word ``;`` comes out bare, where systemd ends a command. Both ``Health…Timeout=`` of
5.4 wait for the command, so the command has a limit itself.

This plugin util is private to the collection.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _credentials
from ansible_collections.onehop.llm.plugins.plugin_utils._catalogue import DESCRIPTIONS
from ansible_collections.onehop.llm.plugins.plugin_utils._container_options import CACHE
from ansible_collections.onehop.llm.plugins.plugin_utils._containers import SECRETS_INSIDE
from ansible_collections.onehop.llm.plugins.plugin_utils._engines import Container, Engine
from ansible_collections.onehop.llm.plugins.plugin_utils._quadlet_keys import FIRST, OLDEST
from ansible_collections.onehop.llm.plugins.plugin_utils._service import WAIT_READY
from ansible_collections.onehop.llm.plugins.plugin_utils._unit_text import (
    MAIN_PID,
    Assignment,
    Command,
    Line,
    Section,
    literal,
    quoted,
    render,
)

WITH_SECRETS = "/opt/onehop/bin/with-secrets"
"""The program that turns secrets into flags, on the host and inside."""
SOCKET_INSIDE = "/run/onehop"
"""Where a container finds the directory of its socket."""

Version = tuple[int, int]

_START_INTERVAL = 10
"""Seconds between two looks whether it is time to watch a worker's liveness."""
_PID_FILE = "%t/%N.pid"
"""Where conmon, the container's main process on the host, writes its number."""

_NOTHING = "%i"
"""Is empty, for systemd, in a unit without an instance, and a word for the generator."""

_PIDS = f"--conmon-pidfile={_PID_FILE}"

_AS_ARGUMENT: dict[str, Callable[[str], list[str]]] = {
    "Entrypoint": lambda value: ["--entrypoint", value],
    "GroupAdd": lambda value: ["--group-add", value],
    "Memory": lambda value: ["--memory", value],
    "PidsLimit": lambda value: ["--pids-limit", value],
    "ShmSize": lambda value: ["--shm-size", value],
    "StopSignal": lambda value: ["--stop-signal", value],
    "StopTimeout": lambda value: ["--stop-timeout", value],
    "Ulimit": lambda value: ["--ulimit", value],
}
"""How Podman itself is told what its Quadlet does not know yet."""


def version(text: str) -> Version:
    """Podman's version as numbers, as far as keys depend on it."""
    numbers = re.findall(r"\d+", text)
    return int(numbers[0]), int(numbers[1]) if len(numbers) > 1 else 0


def complaints(spec: Mapping[str, Any], podman: str) -> Iterator[tuple[str, str, str]]:
    """Keys that an operator asks for and that the host's Podman cannot be told in any way.

    Each is a variable, what is wrong, and the mend.
    """
    if version(podman) < OLDEST:
        return
    for key in spec["container_config"]:
        first = FIRST.get(key)
        if first is None:
            yield (
                f"{spec['variable']}.container_config.{key}",
                "is no key of a Quadlet's [Container] section",
                "See podman-systemd.unit(5)",
            )
        elif first > version(podman) and key not in _AS_ARGUMENT:
            yield (
                f"{spec['variable']}.container_config.{key}",
                f"is known from Podman {first[0]}.{first[1]} on, and the host has {podman}",
                "Remove it, or say it in PodmanArgs as an option of podman run",
            )


def worker(spec: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """The Quadlet of one worker.

    ``spec`` is a worker of the plan. ``facts`` are ``podman`` (its version), ``devices`` (what a
    worker gets that names none), ``selinux`` (whether it is enforced) and ``python`` (a path).
    """
    engine = DESCRIPTIONS[spec["engine"]]
    podman = version(facts["podman"])
    unit: Section = {
        "Description": f"{engine.title} serving {spec['name']}",
        "Documentation": "https://github.com/onehop/onehop.llm",
        "After": spec["after"],
        "Requires": spec["requires"],
        "StartLimitBurst": 3 if engine.container.computes else 5,
        "StartLimitIntervalSec": 3600 if engine.container.computes else 600,
    }
    container: Section = {
        "Image": literal(spec["image"]),
        "Pull": "never",
        "Entrypoint": _entrypoint(spec, engine.container),
        "User": None if engine.container.computes else "0",
        "Exec": Words(engine.command_line(spec)),
        **(_computing(spec, facts) if engine.container.computes else {}),
        **_network(spec, engine.container),
        "Environment": [Assigned(name, text) for name, text in environment(spec, engine).items()],
        "EnvironmentFile": [Words([path]) for path in _environment_files(spec)],
        "Volume": [_volume(*pair) for pair in _mounts(spec, engine.container)],
        "Tmpfs": "/tmp",
        "DropCapability": "all",
        "NoNewPrivileges": "true",
        "SecurityLabelDisable": "true" if facts["selinux"] else None,
        "Ulimit": "host",
        "StopTimeout": engine.container.drain,
        **_health(spec, engine.container),
    }
    service: Section = {
        "LimitNOFILE": spec["open_files_limit"],
        "Restart": "always",
        "RestartSec": 30 if engine.container.computes else 10,
        "TimeoutStartSec": spec["start_timeout"],
        "TimeoutStopSec": engine.container.drain + 15,
    }
    if spec["socket"]:
        # An engine does not remove its socket, and does not start where one lies.
        service["ExecStartPre"] = Command(["/usr/bin/rm", "-f", spec["socket"]])
    container_config = {key: _each(value) for key, value in spec["container_config"].items()}
    return render(
        {
            "Unit": unit,
            "Container": _in_dialect(container, podman),
            "Service": service,
            "Install": {"WantedBy": "default.target"},
        },
        {
            "Unit": spec["unit_config"],
            "Container": _in_dialect(container_config, podman),
            "Service": spec["service_config"],
        },
    )


def drop_in(spec: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """What the generator does not let a Quadlet say: how systemd knows that a worker is ready.

    ``Notify=healthy`` would be its way. But the message comes from a process that ends right after
    it, and with Podman 5.4 on systemd 257 it was seen to be lost: the worker served, and its unit
    was starting until its time was over. So the unit forks, and has started when the worker answers.
    """
    engine = DESCRIPTIONS[spec["engine"]]
    wait = [facts["python"], "-I", WAIT_READY, MAIN_PID, spec["url"], engine.health_path]
    service: Section = {
        "Type": "forking",
        "PIDFile": _PID_FILE,
        "ExecStartPost": Command(wait),
    }
    return render({"Service": service})


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _in_dialect(section: Section, podman: Version) -> Section:
    """The section with what this Podman's Quadlet does not know as arguments of podman run."""
    known: Section = {}
    arguments: list[Line] = []
    for key, value in section.items():
        if value is not None and FIRST.get(key, (0, 0)) > podman and key in _AS_ARGUMENT:
            arguments += [Words(_AS_ARGUMENT[key](str(item))) for item in _each(value)]
        else:
            known[key] = value
    if arguments:
        known["PodmanArgs"] = [*_each(known.get("PodmanArgs", [])), *arguments]
    return known


def _entrypoint(spec: Mapping[str, Any], runtime: Container) -> str | None:
    """The image's own, unless the engine has one, or secrets are to become flags."""
    words = list(runtime.entrypoint)
    if spec.get("flags"):
        flags = [f"{flag}={SECRETS_INSIDE}/{name}" for name, flag in sorted(spec["flags"].items())]
        words = ["python3", WITH_SECRETS, ",".join(spec["modules"]), *flags, "--"]
    return json.dumps(words, separators=(",", ":")) if words else None


def _computing(spec: Mapping[str, Any], facts: Mapping[str, Any]) -> Section:
    devices = facts["devices"] if spec["devices"] is None else spec["devices"]
    return {"AddDevice": devices, "ShmSize": spec["shm_size"]}


def _network(spec: Mapping[str, Any], runtime: Container) -> Section:
    if not runtime.computes:
        return {"Network": "host", "PodmanArgs": [_PIDS]}
    if spec["socket"]:
        # The group of the directory, which is set-group-ID, may then use the socket.
        return {"PodmanArgs": [_PIDS, Words(["--umask", "0007"])]}
    return {"PublishPort": f"127.0.0.1:{spec['port']}:{runtime.port}", "PodmanArgs": [_PIDS]}


def environment(spec: Mapping[str, Any], engine: Engine) -> dict[str, str]:
    """The worker's environment variables; references to credentials are still in them."""
    return dict(sorted({**engine.environment, **spec["environment"]}.items()))


def _environment_files(spec: Mapping[str, Any]) -> list[str]:
    return [*spec["environment_files"], *(spec["credentials"][name] for name in spec["variables"])]


def _mounts(spec: Mapping[str, Any], runtime: Container) -> Iterator[tuple[str, str, str]]:
    if runtime.computes:
        yield spec["cache"], CACHE, ""
    if spec["socket"]:
        yield spec["socket"].rpartition("/")[0], SOCKET_INSIDE, ""
    if spec.get("flags"):
        yield WITH_SECRETS, WITH_SECRETS, ":ro"
    for name, path in sorted(spec["credentials"].items()):
        if name not in spec["variables"]:
            yield path, f"{SECRETS_INSIDE}/{name}", ":ro"
    for path in sorted(spec["volumes"]):
        yield path, path, ":ro"


def _volume(source: str, target: str, options: str) -> str:
    return _in_command(f"{source}:{target}{options}")


def _in_command(text: str) -> str:
    """A value that the generator puts into ExecStart= as one word, as it stands."""
    return literal(text).replace("$", "$$")


def _health(spec: Mapping[str, Any], runtime: Container) -> Section:
    """A worker that was alive and does not answer any more is killed, and so started again.

    The first success ends the start-up check; until then nothing is counted against it.
    """
    liveness = spec["liveness"]
    ask = _in_command(_ask(spec, runtime, liveness["timeout"]))
    return {
        "HealthCmd": ask,
        "HealthInterval": f"{liveness['interval']}s",
        "HealthTimeout": f"{liveness['timeout']}s",
        "HealthRetries": liveness["retries"],
        "HealthOnFailure": "kill",
        "HealthStartupCmd": ask,
        "HealthStartupInterval": f"{_START_INTERVAL}s",
        "HealthStartupTimeout": f"{liveness['timeout']}s",
    }


def _ask(spec: Mapping[str, Any], runtime: Container, seconds: int) -> str:
    """A command inside of the container that fails unless the server is alive."""
    path = runtime.liveness_path
    if not runtime.has_curl:
        return (
            "python3 -c 'import ssl, urllib.request as u; "
            "u.build_opener(u.HTTPSHandler(context=ssl._create_unverified_context()))"
            f""".open("{spec["url"]}{path}", timeout={seconds})'"""
        )
    curl = f"curl --fail --silent --show-error --max-time {seconds}"
    if spec["socket"]:
        return f"{curl} --unix-socket {SOCKET_INSIDE}/http.sock http://localhost{path}"
    return f"{curl} http://localhost:{runtime.port}{path}"


class Words(Line):
    """Words of a line that the generator splits."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = words

    def text(self) -> str:
        """With each reference to a credential made its path in the container."""
        return " ".join(_word(word) for word in self.words)


class Assigned(Assignment):
    """A word of an Environment line that the generator puts into ExecStart=."""

    def text(self) -> str:
        """As a word of a command, in which variables would be looked for."""
        return _word(f"{self.name}={self.value}")


def _word(text: str) -> str:
    if text in ("", ";"):
        return f'"{_NOTHING}{text}"'
    return quoted(
        _credentials.replace(text, str, lambda name: f"{SECRETS_INSIDE}/{name}"), command=True
    )
