# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every option of LLMhop's NixOS module: path below ``services.llmhop``, type and default.

Facts of version 2.2.1 (October 2026) and of 1.2.4, the last in which ``vllm`` and ``sglang`` were
containers. ``<name>`` is a key that the deployer chooses.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

REQUIRED = "required"


@dataclass(frozen=True)
class Fact:
    """One option, as Nix has it. ``part`` is the backend or other part that it belongs to."""

    part: str
    path: str
    type: str
    default: str

    @property
    def full(self) -> str:
        return f"{self.part}.{self.path}" if self.part != CORE else self.path


CORE = "llmhop"
NATIVE = ("llama-cpp", "vllm", "sglang")
CONTAINERS = ("llama-cpp-quadlet", "vllm-quadlet", "sglang-quadlet")
GATEWAY = "sglang-quadlet.gateway"
OLD_GATEWAY = "sglang.gateway"

_Row = tuple[str, str, str]

_CREDENTIALS: tuple[_Row, ...] = (
    ("credentials.<name>", "path or submodule", "{ }"),
    ("credentials.<name>.source", "null or path", "null"),
    ("credentials.<name>.encrypted", "bool", "false"),
)
_CORE: tuple[_Row, ...] = (
    ("enable", "bool", "false"),
    ("package", "package", "the module's own"),
    ("user", "str", '"llmhop"'),
    ("uid", "null or uint", "null"),
    ("group", "str", "= user"),
    ("gid", "null or uint", "= uid"),
    ("supplementaryGroups", "list of str", "[ ]"),
    ("socketDirectory", "path below /run", "/run/llmhop"),
    ("port", "null or port", "8080"),
    ("host", "str", '"" (every address)'),
    ("socket", "str", "<socketDirectory>/default.sock"),
    ("socketUser", "str", '"root"'),
    ("socketGroup", "str", '"root"'),
    ("socketMode", "str", '"0660"'),
    ("listen.<name>.port", "null or port", "null"),
    ("listen.<name>.host", "str", '""'),
    ("listen.<name>.socket", "str", "<socketDirectory>/<name>.sock"),
    ("listen.<name>.socketUser", "str", '"root"'),
    ("listen.<name>.socketGroup", "str", '"root"'),
    ("listen.<name>.socketMode", "str", '"0660"'),
    ("openFirewall", "bool", "false"),
    *_CREDENTIALS,
    ("settings", "JSON", "{ }"),
    ("settings.host", "str", '""'),
    ("settings.port", "int", "8080"),
    ("settings.maxBodyBytes", "int", "104857600"),
    ("settings.maxConcurrentRequests", "int", "8"),
    ("settings.authTokens", "list of str", "[ ]"),
    ("settings.models.<name>.url", "str", REQUIRED),
    ("settings.models.<name>.headers", "attrs of str", "{ }"),
    ("settings.models.<name>.unlisted", "bool", "false"),
    ("portsRegistry", "attrs of port, internal", "{ }"),
    ("modelsRegistry", "attrs of str, internal", "{ }"),
    ("unitsRegistry", "attrs of str, internal", "{ }"),
)
_BACKEND: tuple[_Row, ...] = (
    ("enable", "bool", "false"),
    ("environment", "attrs of str", "{ }"),
    ("environmentFile", "null or path", "null"),
    ("modelSettings", "attrs", "{ }"),
    ("openFilesLimit", "positive int", "1048576"),
)
_WORKLOAD: tuple[_Row, ...] = (
    ("enable", "bool", "true"),
    ("name", "label", "<name>"),
    ("environment", "attrs of str", "{ }"),
    ("environmentFile", "null or path", "null"),
    *_CREDENTIALS,
    ("settings", "attrs", "{ }"),
)
_SOCKET: _Row = ("socket", "null or str, read-only", "<socketDirectory>/…/http.sock")
_PORT: _Row = ("port", "null or port", "null (a unix socket)")
_PORT_ONLY: _Row = ("port", "port", REQUIRED)
_MODEL: _Row = ("model", "str", REQUIRED)
_WATERMARK: _Row = ("watermark", "null or attrs", "null")
_UNIT: tuple[_Row, ...] = (("serviceConfig", "attrs", "{ }"), ("unitConfig", "attrs", "{ }"))
_IMAGE: tuple[_Row, ...] = (("tag", "null or str", "null"), ("digest", "null or str", "null"))
_SECTIONS: tuple[_Row, ...] = (
    ("quadlet.containerConfig", "attrs", "{ }"),
    ("quadlet.serviceConfig", "attrs", "{ }"),
    ("quadlet.unitConfig", "attrs", "{ }"),
    ("quadlet.quadletConfig", "attrs", "{ }"),
    ("quadlet.extraConfig", "attrs of attrs", "{ }"),
)
_CREDENTIAL_MOUNT: _Row = ("quadlet.mountOptions.credentials", "list of str", "[ ]")
_SOCKET_MOUNT: _Row = ("quadlet.mountOptions.socket", "list of str", '[ "U" ]')
_ACCOUNT: tuple[_Row, ...] = (
    ("quadlet.user", "null or submodule", "null (rootful)"),
    ("quadlet.user.manage", "bool", "true"),
    ("quadlet.user.name", "str", "the service's name"),
    ("quadlet.user.uid", "positive int", REQUIRED),
    ("quadlet.user.group", "str", "= name"),
    ("quadlet.user.gid", "positive int", "= uid"),
    ("quadlet.user.home", "path", "/var/lib/<service>"),
)
_CACHE: tuple[_Row, ...] = (
    ("cache.containerDirectory", "str", "below /root/.cache"),
    ("cache.mountOptions", "list of str", "[ ]"),
    ("cache.manage", "bool", "true"),
    ("cache.user", "str", "root, or quadlet.user.name"),
    ("cache.group", "str", "root, or quadlet.user.group"),
)
_CDI = '[ "nvidia.com/gpu=all" ] with the toolkit, else [ ]'
_IMAGES = {
    "llama-cpp-quadlet": "ghcr.io/ggml-org/llama.cpp",
    "vllm-quadlet": "docker.io/vllm/vllm-openai",
    "sglang-quadlet": "docker.io/lmsysorg/sglang",
}
_GATEWAY: tuple[_Row, ...] = (
    ("enable", "bool", "false"),
    ("image", "str", "docker.io/lmsysorg/sgl-model-gateway"),
    ("tag", "null or str", '"latest"'),
    ("digest", "null or str", "null"),
    ("bindAddress", "str", '"127.0.0.1"'),
    ("port", "port", REQUIRED),
    ("enableMetrics", "bool", "true"),
    ("metricsPort", "port", "29000"),
    ("environment", "attrs of str", "{ }"),
    ("environmentFile", "null or path", "null"),
    ("settings", "attrs", "{ }"),
)


def _below(prefix: str, rows: Iterable[_Row]) -> list[_Row]:
    return [(f"{prefix}.{path}", kind, default) for path, kind, default in rows]


def _native(backend: str) -> list[_Row]:
    rows = list(_BACKEND)
    model = [*_WORKLOAD, _SOCKET, _PORT_ONLY if backend == "sglang" else _PORT, *_UNIT]
    if backend == "llama-cpp":
        rows += [
            ("package", "package", "pkgs.llama-cpp"),
            ("user", "null or str", "null (a dynamic user)"),
            ("group", "str", '"llama-cpp"'),
        ]
    else:
        rows += [
            ("package", "package", REQUIRED),
            ("user", "str", f'"{backend}"'),
            ("uid", "null or uint", "null"),
            ("group", "str", "= user"),
            ("gid", "null or uint", "= uid"),
            ("startupOrdering", "bool", "true"),
        ]
        model += [_MODEL, ("package", "package", "the backend's")]
    if backend == "vllm":
        model.append(_WATERMARK)
        detector = [*_WORKLOAD, _SOCKET, _PORT, *_UNIT, ("package", "package", "the backend's")]
        rows += _below("detectors.<name>", [*detector, *_DETECTOR])
    return [*rows, *_below("models.<name>", model)]


_DETECTOR: tuple[_Row, ...] = (
    ("tokenizer", "str", REQUIRED),
    ("script", "path", "the module's own"),
    ("watermark", "attrs", "{ }"),
)


def _container(backend: str) -> list[_Row]:
    plain = backend.removesuffix("-quadlet")
    variable = "LLAMA_CACHE" if plain == "llama-cpp" else "HF_HOME"
    socket = [] if plain == "sglang" else [_SOCKET_MOUNT]
    model = [*_WORKLOAD, _SOCKET, _PORT_ONLY if plain == "sglang" else _PORT, *_IMAGE]
    model += [("devices", "list of str", "the backend's"), ("shmSize", "str", '"32g"')]
    model += [*_SECTIONS, _CREDENTIAL_MOUNT, *socket]
    rows = [
        *_BACKEND,
        ("startupOrdering", "bool", "true"),
        ("image", "str", _IMAGES[backend]),
        ("tag", "str", REQUIRED),
        ("devices", "list of str", _CDI),
        *_SECTIONS,
        *_ACCOUNT,
        ("cache.directory", "path", f"/var/cache/{plain}"),
        ("cache.environmentVariable", "str", variable),
        *_CACHE,
    ]
    if plain != "llama-cpp":
        model.append(_MODEL)
    if plain == "vllm":
        model.append(_WATERMARK)
        detector = [*_WORKLOAD, _SOCKET, _PORT, *_IMAGE, *_SECTIONS]
        detector += [_CREDENTIAL_MOUNT, _SOCKET_MOUNT, *_DETECTOR]
        rows += _below("detectors.<name>", detector)
    return [*rows, *_below("models.<name>", model)]


_NEW_GATEWAY: tuple[_Row, ...] = (
    *_GATEWAY,
    *_CREDENTIALS,
    *_SECTIONS,
    _CREDENTIAL_MOUNT,
)


def _old(backend: str) -> list[_Row]:
    model: list[_Row] = [
        ("enable", "bool", "true"),
        ("name", "label", "<name>"),
        _PORT_ONLY,
        ("settings", "attrs", "{ }"),
        ("environment", "attrs of str", "{ }"),
        ("environmentFile", "null or path", "null"),
    ]
    if backend == "llama-cpp":
        package = ("package", "package", "pkgs.llama-cpp")
        return [*_BACKEND, package, *_below("models.<name>", model)]
    model += [_MODEL, *_IMAGE, ("devices", "list of str", "the backend's")]
    model += [("shmSize", "str", '"32g"'), ("gpus", '"all" or list of int (1.2.0 only)', '"all"')]
    return [
        *_BACKEND,
        ("startupOrdering", "bool", "true"),
        ("image", "str", _IMAGES[f"{backend}-quadlet"]),
        ("tag", "str", REQUIRED),
        ("user", "str", f'"{backend}"'),
        ("uid", "uint", REQUIRED),
        ("group", "str", "= user"),
        ("gid", "uint", "= uid"),
        ("dataDir", "path", f"/var/lib/{backend}"),
        ("cacheDir", "path", f"/var/cache/{backend}"),
        ("subUidStart", "uint", REQUIRED),
        ("subUidCount", "positive int", "65536"),
        ("subGidStart", "uint", "= subUidStart"),
        ("subGidCount", "positive int", "= subUidCount"),
        ("devices", "list of str", _CDI),
        *_below("models.<name>", model),
    ]


_OLD_CORE: tuple[_Row, ...] = (
    ("enable", "bool", "false"),
    ("package", "package", "the module's own"),
    ("settings", "JSON", "{ }"),
    ("settings.listen", "str", '":8080"'),
    ("settings.maxBodyBytes", "int", "104857600"),
    ("settings.authTokens", "list of str", "[ ]"),
    ("settings.models.<name>.url", "str", REQUIRED),
    ("settings.models.<name>.headers", "attrs of str", "{ }"),
    ("portsRegistry", "attrs of port, internal", "{ }"),
)


def _facts(part: str, rows: Iterable[_Row]) -> list[Fact]:
    return [Fact(part, *row) for row in rows]


VERSIONS: dict[str, tuple[Fact, ...]] = {
    "2.2.1": (
        *_facts(CORE, _CORE),
        *(fact for backend in NATIVE for fact in _facts(backend, _native(backend))),
        *(fact for backend in CONTAINERS for fact in _facts(backend, _container(backend))),
        *_facts(GATEWAY, _NEW_GATEWAY),
    ),
    "1.2.4": (
        *_facts(CORE, _OLD_CORE),
        *(fact for backend in NATIVE for fact in _facts(backend, _old(backend))),
        *_facts(OLD_GATEWAY, _GATEWAY),
    ),
}
"""The options of each version."""
