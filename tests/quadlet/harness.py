# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quadlets of an inventory, the real generators, and what ``podman run`` is told in the end."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _plan, _quadlet

from . import systemd_text

FACTS: dict[str, Any] = {
    "podman": "5.4.2",
    "devices": ["nvidia.com/gpu=all"],
    "selinux": False,
    "python": "/usr/bin/python3",
}
"""What preflight saw of a host."""
RUNTIME = "/run/user/987"
_EACH_UNIT = re.compile(r"^---(\S+)---\n", re.MULTILINE)
_SECONDS = 60


def planned(variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All workers in containers of a host with these variables, which have to be right."""
    made = _plan.make([_plan.Host("gpu1", dict(variables), list(variables))])
    assert not made.problems, [str(problem) for problem in made.problems]
    engines = made.hosts["gpu1"]["engines"].values()
    return [worker for engine in engines if "account" in engine for worker in engine["workers"]]


def problems(variables: Mapping[str, Any]) -> list[str]:
    """What is wrong with a host's variables."""
    made = _plan.make([_plan.Host("gpu1", dict(variables), list(variables))])
    return [str(problem) for problem in made.problems]


def quadlets(
    variables: Mapping[str, Any], facts: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """The Quadlets of a host, by the name of their unit without its ending."""
    return {
        worker["unit"].removesuffix(".service"): _quadlet.worker(worker, facts or FACTS)
        for worker in planned(variables)
    }


def section(text: str, name: str) -> dict[str, list[str]]:
    """The keys of one section, with every value in order."""
    found: dict[str, list[str]] = {}
    for where, key, value in systemd_text.assignments(text):
        if where == name:
            found.setdefault(key, []).append(value)
    return found


@dataclass(frozen=True)
class Generator:
    """Podman's generator for users' units, of one version."""

    version: str
    path: Path

    def services(self, given: Mapping[str, str]) -> dict[str, str]:
        """The services that it makes of Quadlets; it must take all of them, and without a word."""
        with tempfile.TemporaryDirectory(prefix="onehop-quadlet-") as name:
            for unit, text in given.items():
                # The host writes bytes, and Python must not turn \r\n into anything.
                Path(name, f"{unit}.container").write_bytes(text.encode())
            ended = subprocess.run(
                [self.path, "-dryrun", "-user"],
                env={"QUADLET_UNIT_DIRS": name, "PATH": os.environ["PATH"], "HOME": "/nonexistent"},
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
        said = [
            line
            for line in ended.stderr.decode().splitlines()
            if "Loading source unit file" not in line
        ]
        assert not ended.returncode and not said, said
        parts = _EACH_UNIT.split(ended.stdout.decode())[1:]
        made = dict(zip(parts[::2], parts[1::2], strict=True))
        assert set(made) == {f"{unit}.service" for unit in given}, sorted(made)
        return {unit: made[f"{unit}.service"] for unit in given}

    def runs(self, given: Mapping[str, str]) -> dict[str, Run]:
        """What each service has podman do."""
        return {unit: Run.of(unit, text) for unit, text in self.services(given).items()}


_BARE = frozenset(("--replace", "--rm", "-d"))
_WITH_VALUE = frozenset(
    (
        *("--cap-drop", "--device", "--entrypoint", "--env", "--env-file", "--group-add"),
        *("--health-cmd", "--health-interval", "--health-on-failure", "--health-retries"),
        *(
            "--health-startup-cmd",
            "--health-startup-interval",
            "--health-startup-timeout",
            "--health-start-period",
        ),
        *("--health-timeout", "--label", "--memory", "--name", "--network", "--pids-limit"),
        *(
            "--publish",
            "--pull",
            "--security-opt",
            "--shm-size",
            "--stop-timeout",
            "--tmpfs",
            "--ulimit",
            "--umask",
        ),
        *("--user", "-v"),
    )
)
_JOINED = frozenset(
    (
        "--cgroups",
        "--cidfile",
        "--entrypoint",
        "--conmon-pidfile",
        "--sdnotify",
        "--security-opt",
        "--stop-timeout",
    )
)


@dataclass(frozen=True)
class Run:
    """An argument list of ``podman run``, taken apart."""

    options: tuple[tuple[str, str], ...]
    image: str
    words: list[str]
    service: dict[str, list[str]]

    @classmethod
    def of(cls, unit: str, text: str) -> Run:
        """Of a generated service, read and split as systemd does."""
        service = section(text, "Service")
        (line,) = service["ExecStart"]
        specifiers = {"N": unit, "n": f"{unit}.service", "t": RUNTIME, "i": ""}
        words = systemd_text.command(line, specifiers)
        assert words[:2] == ["/usr/bin/podman", "run"], words[:2]
        rest = iter(words[2:])
        options = []
        for word in rest:
            name, equals, value = word.partition("=")
            if word in _BARE:
                options.append((word, ""))
            elif word in _WITH_VALUE:
                options.append((word, next(rest)))
            elif equals and name in _JOINED:
                options.append((name, value))
            else:
                assert not word.startswith("-"), f"an unknown option: {word}"
                return cls(tuple(options), word, list(rest), service)
        raise AssertionError("no image")

    def all(self, name: str) -> list[str]:
        """Every value of an option."""
        return [value for option, value in self.options if option == name]

    def one(self, name: str) -> str | None:
        """The value of an option that is given once at most."""
        found = self.all(name)
        assert len(found) <= 1, f"{name} {found}"
        return found[0] if found else None

    def environment(self) -> dict[str, str]:
        """The variables that the container gets by name."""
        pairs = [text.partition("=") for text in self.all("--env")]
        assert all(equals for _name, equals, _value in pairs)
        return {name: value for name, _equals, value in pairs}


def commands(service: Mapping[str, list[str]]) -> Iterator[str]:
    """Every line of a service that starts something."""
    for key, values in service.items():
        if key.startswith("Exec"):
            yield from values
