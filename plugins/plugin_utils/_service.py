# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Native system units as text: workers and the router, hardened.

The keys are those of systemd.exec(5) and systemd.service(5); which of them a GPU forbids was
learnt from LLMhop 2.2.1's units.

This plugin util is private to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils._catalogue import ENGINES
from ansible_collections.onehop.llm.plugins.plugin_utils._engines import fill
from ansible_collections.onehop.llm.plugins.plugin_utils._unit_text import (
    MAIN_PID,
    Assignment,
    Command,
    Section,
    literal,
    pattern,
    render,
)

GROUP = "onehop-workers"
"""The group that may talk to workers on unix sockets: the router is in it."""
WAIT_READY = "/opt/onehop/bin/wait-ready"
STAMP = "[Service]\nEnvironment=ONEHOP_STAMP={stamp}\n"
"""Appended to a unit by the host: what the running process was started from."""

_IDENTITY_USERS = 257
"""The first systemd that knows PrivateUsers=identity."""

HARDENED: Section = {
    "AmbientCapabilities": "",
    "CapabilityBoundingSet": "",
    "LockPersonality": True,
    "MemoryDenyWriteExecute": True,
    "NoNewPrivileges": True,
    "PrivateDevices": True,
    "PrivateIPC": True,
    "PrivateMounts": True,
    "PrivateTmp": True,
    "PrivateUsers": True,
    "ProcSubset": "pid",
    "ProtectClock": True,
    "ProtectControlGroups": True,
    "ProtectHome": True,
    "ProtectHostname": True,
    "ProtectKernelLogs": True,
    "ProtectKernelModules": True,
    "ProtectKernelTunables": True,
    "ProtectProc": "invisible",
    "ProtectSystem": "strict",
    "RemoveIPC": True,
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "RestrictNamespaces": True,
    "RestrictRealtime": True,
    "RestrictSUIDSGID": True,
    "SocketBindDeny": "any",
    "SystemCallArchitectures": "native",
    "SystemCallErrorNumber": "EPERM",
    "SystemCallFilter": ["@system-service", "~@privileged"],
}


def _gpu_relaxations(facts: Mapping[str, Any]) -> Section:
    identity = facts["systemd"] >= _IDENTITY_USERS
    return {
        "MemoryDenyWriteExecute": False,
        "PrivateDevices": False,
        "PrivateUsers": "identity" if identity else False,
        "ProcSubset": "all",
        "ProtectClock": False,
        "RestrictAddressFamilies": "AF_INET AF_INET6 AF_NETLINK AF_UNIX",
        "SupplementaryGroups": " ".join(sorted(facts["groups"])) or None,
    }


def worker(spec: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """The unit of one worker.

    ``spec`` is a worker of the plan. ``facts`` is what :ref:`preflight` saw: ``systemd`` (its
    version), ``gpu`` (whether there is one), ``groups`` (those that its
    device nodes belong to) and ``python`` (a path).
    """
    engine = ENGINES[spec["engine"]]
    place = f"{engine.prefix}/{spec['name']}"
    gpu = uses_gpu(spec, facts)
    unit: Section = {
        "Description": f"{engine.title} serving {spec['name']}",
        "Documentation": "https://github.com/onehop/onehop.llm",
        "Wants": "network-online.target",
        "After": ["network-online.target", *spec["after"]],
        "StartLimitBurst": 3,
        "StartLimitIntervalSec": 3600,
    }
    service: Section = {
        **HARDENED,
        **(_gpu_relaxations(facts) if gpu else {}),
        **_account(spec),
        "Type": "exec",
        "ExecStart": Command(_command(spec)),
        "ExecStartPost": Command(_wait_ready(spec, engine.health_path, facts["python"])),
        "Environment": [Assignment(name, value) for name, value in environment(spec, gpu).items()],
        "EnvironmentFile": [pattern(path) for path in spec["environment_files"]],
        "LoadCredential": _loads(spec["credentials"]),
        "CacheDirectory": place,
        "CacheDirectoryMode": "0700",
        "StateDirectory": place,
        "StateDirectoryMode": "0700",
        "WorkingDirectory": f"/var/lib/{place}",
        "KillSignal": "SIGINT",
        "LimitMEMLOCK": "infinity",
        "LimitNOFILE": spec["open_files_limit"],
        "Restart": "on-failure",
        "RestartSec": 30,
        "TasksMax": 4096,
        "TimeoutStartSec": spec["start_timeout"],
        "TimeoutStopSec": engine.native.drain,
    }
    if spec["socket"]:
        service["RuntimeDirectory"] = spec["socket"].removeprefix("/run/").rpartition("/")[0]
        service["RuntimeDirectoryMode"] = "0710"
        service["UMask"] = "0007"
    else:
        service["SocketBindAllow"] = f"tcp:{spec['port']}"
        service["UMask"] = "0077"
    overrides = {"Unit": spec["unit_config"], "Service": spec["service_config"]}
    return render({"Unit": unit, "Service": service}, overrides)


def _loads(paths: Mapping[str, str]) -> list[str]:
    return [f"{name}:{literal(path)}" for name, path in sorted(paths.items())]


def _account(spec: Mapping[str, Any]) -> Section:
    if spec["user"]:
        return {"User": spec["user"], "Group": GROUP}
    return {"DynamicUser": True, "Group": GROUP}


def _command(spec: Mapping[str, Any]) -> list[str]:
    """The worker's argument list; references to credentials are still in it."""
    engine = ENGINES[spec["engine"]]
    return [*(fill(spec, word) for word in engine.native.command), *engine.command_line(spec)]


def _wait_ready(spec: Mapping[str, Any], path: str, python: str) -> list[str]:
    return [python, "-I", WAIT_READY, MAIN_PID, spec["url"], path]


def uses_gpu(spec: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """Whether the worker's sandbox lets it use a GPU."""
    return bool(spec["gpu"] == "always" or (spec["gpu"] == "auto" and facts["gpu"]))


def environment(spec: Mapping[str, Any], gpu: bool) -> dict[str, str]:
    """The worker's environment variables; references to credentials are still in them."""
    engine = ENGINES[spec["engine"]]
    caches = {**engine.environment, **(engine.native.gpu_environment if gpu else {})}
    filled = {name: fill(spec, text) for name, text in caches.items()}
    return dict(sorted({**filled, **spec["environment"]}.items()))


def argument_list(spec: Mapping[str, Any]) -> Sequence[str]:
    """The worker's command line for people: references to credentials are left as written."""
    return _command(spec)


ROUTER, EDGE = "router", "edge"
"""The two instances of the router that a host may have: for clients, and for other hosts' routers."""
TITLES = {ROUTER: "OneHop router", EDGE: "OneHop edge"}


def router_unit(instance: str) -> str:
    """The name of an instance's service."""
    return f"onehop-{instance}.service"


def router_socket_unit(instance: str) -> str:
    """The name of what holds its listeners."""
    return f"onehop-{instance}.socket"


def router_config(instance: str) -> str:
    """The path of its configuration."""
    return f"/etc/onehop/{instance}.json"


def router(instance: str, spec: Mapping[str, Any], environment: str, listeners: str) -> str:
    """The service of an instance of the router.

    ``environment`` is the path of its Python environment, ``listeners`` a hash of its socket unit.
    It says the same whatever models there are.

    A reload has the running process read its configuration, and take credentials that systemd
    hands over at a start only; where the unit has changed, a successor takes its place. Any
    process of the unit may notify: a successor is not the main one yet when it says that it is.
    """
    program = [f"{environment}/bin/python", "-I", "-m"]
    run = [*program, "onehop_router", "--config", router_config(instance)]
    # Where it is asked to reload, and where its credentials are brought then. Their parent is root's,
    # so that no other directory can take the place of the second.
    places = (f"onehop-{instance}/control", f"onehop-{instance}/credentials")
    credentials = f"/run/{places[1]}"
    pairs = [f"{name}={path}" for name, path in sorted(spec["router_credentials"].items())]
    bring = [*program, "onehop_router.credentials", credentials, spec["router_user"], *pairs]
    variables = {**spec["router_environment"], "ONEHOP_LISTENERS": listeners}
    sandbox = {
        **HARDENED,
        "SystemCallFilter": ["@system-service", "~@privileged", "~@resources"],
    }
    unit: Section = {
        "Description": TITLES[instance],
        "Documentation": "https://github.com/onehop/onehop.llm",
        "Wants": "network-online.target",
        "After": "network-online.target",
        "Requires": router_socket_unit(instance),
        # The door to all models is opened again however often it fell shut.
        "StartLimitIntervalSec": 0,
    }
    service: Section = {
        **sandbox,
        "Type": "notify",
        "NotifyAccess": "all",
        "WatchdogSec": 30,
        "ExecStart": Command(run),
        "ExecReload": [
            # As root, which alone can read what they are made from.
            Command([f"+{bring[0]}", *bring[1:]]),
            Command([*run, "--reload", "--credentials", credentials]),
        ],
        "User": spec["router_user"],
        "Group": spec["router_user"],
        "SupplementaryGroups": GROUP,
        "LoadCredential": _loads(spec["router_credentials"]),
        "RuntimeDirectory": " ".join(places),
        "RuntimeDirectoryMode": "0700",
        "Environment": [Assignment(name, value) for name, value in sorted(variables.items())],
        "EnvironmentFile": [pattern(path) for path in spec["router_environment_files"]],
        "LimitNOFILE": 1048576,
        "Restart": "on-failure",
        "RestartSec": 5,
        "TimeoutStopSec": spec["router_drain_seconds"] + 10,
        "UMask": "0077",
    }
    return render({"Unit": unit, "Service": service})


def router_socket(instance: str, spec: Mapping[str, Any]) -> str:
    """The socket of an instance of the router: systemd holds it while the router restarts."""
    address = spec["router_host"].strip("[]")
    host = f"[{address}]" if ":" in address else address
    section: Section = {"ListenStream": [f"{host}:{spec['router_port']}"]}
    if spec["router_socket"]:
        section["ListenStream"].append(spec["router_socket"])
        section |= {
            "SocketMode": "0660",
            "SocketGroup": spec["router_socket_group"],
            "RemoveOnStop": True,
        }
    section |= {"Backlog": 4096, "NoDelay": True}
    title = f"{TITLES[instance]}'s listeners"
    return render({"Unit": {"Description": title}, "Socket": section})
