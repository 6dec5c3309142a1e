# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SGL Model Gateway: a description, and its place in the plan of SGLang's workers.

Facts, seen with smg 1.13.0 and sglang-router 0.3.2: beside ``--enable-igw`` the workers of
``--worker-urls`` are ignored without a word; alone they are asked for their models again at each
start, and smg sends a request to the one that has its model (sglang-router does not look at it).
Keys are taken from the command line only, so they are put there inside of the process, by a program
that reads them from files. The images have no curl. ``/readiness`` is 200 once a worker is ready,
``/liveness`` as long as it lives; both need no key.

This plugin util is private to the collection.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _container_options as containers
from ansible_collections.onehop.llm.plugins.plugin_utils import (
    _containers,
    _credentials,
    _declared,
    _flag_check,
    _flag_table,
)
from ansible_collections.onehop.llm.plugins.plugin_utils import _engine_options as shared
from ansible_collections.onehop.llm.plugins.plugin_utils._engines import Container, Engine
from ansible_collections.onehop.llm.plugins.plugin_utils._flag_check import Check
from ansible_collections.onehop.llm.plugins.plugin_utils._flags import Dialect
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import Problems
from ansible_collections.onehop.llm.plugins.plugin_utils._promises import (
    Layout,
    Promises,
    setting,
)
from ansible_collections.onehop.llm.plugins.plugin_utils._schema import Option

VARIABLE = "sglang_gateway"
_IMAGE = "docker.io/lmsysorg/sgl-model-gateway"
_TAG = "latest"
_MODULES = ("sglang_router.launch_router", "smg.launch_router")

_BY_FLAG = (
    "Make it a credential that the gateway gets as this flag: credentials: {{{1}: {{source: /path, "
    "flag: {0}}}}}"
)
_WORKERS = "Remove it: its workers are SGLang's models of this host"


def _by_flag(flag: str) -> str:
    return _BY_FLAG.format(flag, flag.replace("-", "_"))


KEYS: tuple[Option, ...] = (
    Option("enable", "bool", "Whether the gateway runs.", default=False),
    *containers.image_options("", _IMAGE, _TAG, "1.13.0"),
    Option(
        "bind_address",
        "str",
        "Address that it listens on, for requests and for metrics.",
        default="127.0.0.1",
        example="192.0.2.11",
    ),
    Option(
        "port",
        "port",
        "TCP port that it listens on. It has to be given.",
        default=None,
        example=30000,
    ),
    Option("enable_metrics", "bool", "Whether it serves metrics for Prometheus.", default=True),
    Option("metrics_port", "port", "TCP port of its metrics.", default=29000, example=29001),
    Option(
        "route",
        "bool",
        "Whether the router sends requests for SGLang's models through the gateway, and not to the "
        "workers themselves.",
        default=False,
    ),
    shared.flags(
        "settings",
        "Its command-line flags, without the leading dashes, as in a model's settings.",
        example={"policy": "cache_aware"},
    ),
    shared.extra_args(("--log-level", "debug")),
    Option(
        "version",
        "engine_version",
        "Its version, which flags are checked and written for; unless given, the tag tells it, if "
        "it can.",
        default=None,
        example="1.13.0",
    ),
    shared.flag_check("O(sglang_flag_check) for the gateway."),
    shared.environment("environment", "Environment variables."),
    Option(
        "environment_file",
        "path",
        "File on the host with C(NAME=value) lines, which the account can read.",
        default=None,
        example="/etc/llm/gateway.env",
    ),
    shared.credentials(
        "credentials",
        "Secrets that the gateway gets as files, in its environment, or as flags.",
        (
            *containers.CREDENTIAL_KEYS,
            Option(
                "flag",
                "str",
                "Flag that gets the secret's text. It is on no command line.",
                default=None,
                choices=("api-key", "control-plane-api-keys", "tenant-api-key"),
                example="api-key",
            ),
        ),
    ),
    Option(
        "start_timeout",
        "positive",
        "Seconds until it must be ready, once its workers are.",
        default=600,
        example=300,
    ),
    *containers.sections(),
)

OPTION = Option(
    VARIABLE,
    "dict",
    "The SGL Model Gateway in front of SGLang's workers of this host. It is needed only for what the "
    "router does not do, such as cache-aware routing between workers.",
    default=None,
    keys=KEYS,
    example={"enable": True, "port": 30000, "version": "1.13.0"},
)

GATEWAY = Engine(
    role=VARIABLE,
    title="SGL Model Gateway",
    prefix="sglang",
    runtime=Container(
        image=_IMAGE,
        entrypoint=(),
        port=0,
        liveness_path="/liveness",
        not_paths=frozenset(("otlp-traces-endpoint",)),
        computes=False,
        has_curl=False,
        drain=195,
    ),
    role_options=(),
    model_keys=KEYS,
    dialect=Dialect(joined=True, negate=False, abbreviates=True, underscores=False),
    flag_table="gateway",
    example={},
    health_path="/readiness",
    model_flags={},
    port_flags={},
    socket_flags={},
    managed_instead={
        "enable-igw": "Remove it: beside it the workers would be ignored",
        "host": "Use bind_address",
        "port": "Use port",
        "prometheus-host": "Use bind_address",
        "prometheus-port": "Use metrics_port",
        "worker-urls": _WORKERS,
    },
    secret_flags={
        flag: _by_flag(flag) for flag in ("api-key", "control-plane-api-keys", "tenant-api-key")
    }
    | {
        "oracle-password": containers.by_environment("oracle", "ATP_PASSWORD"),
        "postgres-db-url": containers.by_environment("postgres", "POSTGRES_DB_URL"),
        "redis-url": containers.by_environment("redis", "REDIS_URL"),
    },
    secret_environment={
        name: containers.by_environment("secret", name)
        for name in ("ATP_PASSWORD", "POSTGRES_DB_URL", "REDIS_URL")
    },
    promises=Promises(
        of="needed",
        layout=lambda given: Layout(()),
        ports=(setting("health-check-port"), setting("mesh-port")),
    ),
)


def plan(
    given: Mapping[str, Any] | None,
    workers: Sequence[Mapping[str, Any]],
    own: Mapping[str, Any],
    variables: Mapping[str, Any],
    problems: Problems,
) -> dict[str, Any] | None:
    """The gateway as one more worker of its account; ``None`` where there is none."""
    if not given or not given["enable"] or not variables["sglang_enable"]:
        return None
    level = given["flag_check"] or variables["sglang_flag_check"]
    check = GATEWAY.check(_flag_table.told(given["version"] or given["tag"]), level)
    _check(given, check, problems)
    unit = f"{GATEWAY.prefix}-gateway.service"
    scheme = "https" if given["settings"].get("tls-cert-path") else "http"
    asked = _asked(given["bind_address"])
    flags = {"host": given["bind_address"], "port": given["port"]}
    if given["enable_metrics"]:
        flags |= {
            "prometheus-host": given["bind_address"],
            "prometheus-port": given["metrics_port"],
        }
    if workers:
        flags["worker-urls"] = [worker["url"] for worker in workers]
    units = [worker["unit"] for worker in workers]
    # A digest wins over the default tag; beside another tag it is a mistake.
    _containers.check_image(VARIABLE + ".", _TAG, given["tag"], given["digest"], problems)
    front = {
        "engine": VARIABLE,
        "key": "gateway",
        "variable": VARIABLE,
        "name": "gateway",
        "unit": unit,
        "port": given["port"],
        "address": given["bind_address"],
        "more_ports": {"metrics_port": given["metrics_port"]} if given["enable_metrics"] else {},
        "socket": None,
        "url": f"{scheme}://{asked}:{given['port']}",
        "route": None,
        "health": GATEWAY.liveness_path,
        "model": None,
        "settings": given["settings"] | flags,
        "flag_version": check.version.known,
        "extra_args": given["extra_args"],
        "environment": given["environment"],
        "environment_files": [path for path in [given["environment_file"]] if path],
        **_credentials.paths(unit, given["credentials"]),
        **_containers.secrets(unit, given["credentials"]),
        "flags": {
            name: credential["flag"]
            for name, credential in given["credentials"].items()
            if credential["flag"]
        },
        "modules": _MODULES,
        "account": own["account"]["name"],
        "group": own["account"]["group"],
        "image": _containers.image(given["image"], given["tag"], given["digest"]),
        "cache": own["account"]["cache"],
        "volumes": _containers.volumes(GATEWAY, VARIABLE, None, given["settings"], problems),
        "devices": [],
        "liveness": {"interval": 10, "timeout": 5, "retries": 12},
        "open_files_limit": variables["sglang_open_files_limit"],
        "start_timeout": given["start_timeout"],
        **{section: given[section] for section in containers.SECTIONS},
        "after": units,
        "requires": units,
    }
    _declared.line(GATEWAY, front, problems)
    return front


def _check(given: Mapping[str, Any], check: Check, problems: Problems) -> None:
    if given["port"] is None:
        problems.add(f"{VARIABLE}.port", "is missing", "Write a free port")
    _declared.port(f"{VARIABLE}.port", given["port"], problems)
    if given["enable_metrics"]:
        _declared.port(f"{VARIABLE}.metrics_port", given["metrics_port"], problems)
    try:
        ipaddress.ip_address(given["bind_address"])
    except ValueError:
        problems.add(
            f"{VARIABLE}.bind_address",
            "is not an IP address",
            "Write one such as 127.0.0.1, or 0.0.0.0 for all of IPv4",
            given["bind_address"],
        )
    _declared.settings(GATEWAY, f"{VARIABLE}.settings", given["settings"], [check], problems)
    _declared.extra_args(GATEWAY, f"{VARIABLE}.extra_args", given["extra_args"], check, problems)
    _declared.environment(
        GATEWAY, f"{VARIABLE}.environment", given["environment"], [check], problems
    )
    if check.level != "off" and check.guesses(given["settings"], given["extra_args"], ()):
        guess = [(VARIABLE, check.version)]
        _flag_check.warn_of_guess(f"{VARIABLE}.version", GATEWAY.title, guess, problems)
    _credentials.check(f"{VARIABLE}.credentials", given["credentials"], problems)
    for key in ("settings", "environment", "extra_args"):
        _credentials.check_references(
            f"{VARIABLE}.{key}", given[key], given["credentials"], problems
        )
    for section in containers.SECTIONS:
        _declared.section(f"{VARIABLE}.{section}", given[section], problems)
    _containers.check_sections(VARIABLE, given, problems)
    pair = [bool(given["settings"].get(f"tls-{half}-path")) for half in ("cert", "key")]
    if any(pair) and not all(pair):
        problems.add(
            f"{VARIABLE}.settings",
            "has one of tls-cert-path and tls-key-path",
            "Give both, or neither",
        )


def _asked(address: str) -> str:
    """Where something that listens on ``address`` can be asked on its own host."""
    known = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}
    return known.get(address, f"[{address}]" if ":" in address else address)
