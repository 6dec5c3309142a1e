# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each option of LLMhop is here: variables of ours, or nothing and the reason.

``{e}`` is the role of the option's engine. A path that leads nowhere in our own tables of options is
found by :mod:`tooling.llmhop.page`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tooling.llmhop.options import CONTAINERS, CORE, GATEWAY, NATIVE, OLD_GATEWAY, Fact


@dataclass(frozen=True)
class Answer:
    """``ours`` are paths of our variables, none where nothing is needed, and ``why`` what differs."""

    ours: tuple[str, ...] = ()
    why: str = ""


def _is(*ours: str, why: str = "") -> Answer:
    return Answer(ours, why)


def _no(why: str) -> Answer:
    return Answer((), why)


_COLLISIONS = (
    "Internal. The planner knows ports, units and names of all engines, and refuses two of one."
)
_ENCRYPTED = (
    "Secrets encrypted by `systemd-creds` are not taken: keep it in Ansible Vault, as `content`, or as "
    "a file that only root reads, as `source`."
)
_LISTENERS = (
    "One address and one socket are all that there is. `0.0.0.0` or `::` is every address; for more, "
    "put a reverse proxy in front."
)
_ROUTER_ACCOUNT = "The account is made as a system account, with a number that is free."
_OWNED_SOCKET = (
    "Fixed: the socket is root's and 0660, and `router_socket_group` says who may use it."
)

_CORE: Mapping[str, Answer] = {
    "enable": _is("router_enable", why="On unless told otherwise; `false` removes it."),
    "package": _no(
        "The router comes with the collection; `router_packages` says where its Python packages "
        "come from."
    ),
    "user": _is("router_user"),
    "uid": _no(_ROUTER_ACCOUNT),
    "group": _no("The account's own group."),
    "gid": _no(_ROUTER_ACCOUNT),
    "supplementaryGroups": _no("The router is in `onehop-workers`, which all sockets belong to."),
    "socketDirectory": _is("llama_cpp_socket_directory", "vllm_socket_directory"),
    "port": _is("router_port", why="Always a port; a socket comes beside it, not instead."),
    "host": _is(
        "router_host", why="Loopback unless told, and beyond it client keys are asked for."
    ),
    "socket": _is("router_socket"),
    "socketUser": _no(_OWNED_SOCKET),
    "socketGroup": _is("router_socket_group"),
    "socketMode": _no(_OWNED_SOCKET),
    "listen.<name>.port": _no(_LISTENERS),
    "listen.<name>.host": _no(_LISTENERS),
    "listen.<name>.socket": _is("router_socket", why="One socket beside the port."),
    "listen.<name>.socketUser": _no(_OWNED_SOCKET),
    "listen.<name>.socketGroup": _is("router_socket_group"),
    "listen.<name>.socketMode": _no(_OWNED_SOCKET),
    "openFirewall": _no("Firewalls are left alone: open `router_port` where you keep your rules."),
    "credentials.<name>": _is("router_credentials.<name>", why="A bare text is a path here too."),
    "credentials.<name>.source": _is("router_credentials.<name>.source"),
    "credentials.<name>.encrypted": _no(_ENCRYPTED),
    "settings": _no("Each key of it is a variable; the next rows have them."),
    "settings.listen": _is("router_host", "router_port", why="Two variables."),
    "settings.host": _is("router_host", why="Loopback unless told."),
    "settings.port": _is("router_port"),
    "settings.maxBodyBytes": _is("router_max_body_bytes"),
    "settings.maxConcurrentRequests": _is(
        "router_max_concurrent_requests",
        why="No limit unless told. A model and a client may have limits of their own, and a queue.",
    ),
    "settings.authTokens": _is(
        "router_client_keys.<name>.credential",
        "router_credentials.<name>.content",
        why="Each key has a client's name, which the log shows, and may be bound to models.",
    ),
    "settings.models.<name>.url": _is(
        "router_models.<name>.url",
        why="Only for models that others serve, and without `/v1`; our own need no entry.",
    ),
    "settings.models.<name>.headers": _is(
        "router_models.<name>.headers", why="`${cred:NAME}` and `${env:NAME}` as before."
    ),
    "settings.models.<name>.unlisted": _is(
        "router_models.<name>.unlisted",
        "vllm_models.<name>.route.unlisted",
        why="For own models it stands at the model, whatever the engine.",
    ),
    "portsRegistry": _no(_COLLISIONS),
    "modelsRegistry": _no(_COLLISIONS),
    "unitsRegistry": _no(_COLLISIONS),
}

_AT_EACH = "Write it at each model, by a YAML anchor where there are many."
_LABEL = "The same: one name for the route, for the unit, and for what the engine calls itself."
_EVERY: Mapping[str, Answer] = {
    "enable": _is("{e}_enable", why="On unless told otherwise; without models it does nothing."),
    "environment": _is("{e}_environment"),
    "environmentFile": _is("{e}_environment_file"),
    "modelSettings": _is("{e}_model_settings"),
    "openFilesLimit": _is("{e}_open_files_limit"),
    "startupOrdering": _is(
        "{e}_startup_ordering", why="By ascending port, then by name; 2.x goes by name alone."
    ),
    "models.<name>.enable": _is("{e}_models.<name>.enable"),
    "models.<name>.name": _is("{e}_models.<name>.name", why=_LABEL),
    "models.<name>.model": _is(
        "{e}_models.<name>.model", why="Weights are fetched before the start, not by the engine."
    ),
    "models.<name>.port": _is("{e}_models.<name>.port"),
    "models.<name>.socket": _no("Read-only there; here the plan says where a worker listens."),
    "models.<name>.settings": _is(
        "{e}_models.<name>.settings",
        why="The same spelling. Checked against the flags of the engine's version.",
    ),
    "models.<name>.environment": _is("{e}_models.<name>.environment"),
    "models.<name>.environmentFile": _is("{e}_models.<name>.environment_file"),
    "models.<name>.credentials.<name>": _is("{e}_models.<name>.credentials.<name>"),
    "models.<name>.credentials.<name>.source": _is("{e}_models.<name>.credentials.<name>.source"),
    "models.<name>.credentials.<name>.encrypted": _no(_ENCRYPTED),
    "models.<name>.serviceConfig": _is("{e}_models.<name>.service_config"),
    "models.<name>.unitConfig": _is("{e}_models.<name>.unit_config"),
    "models.<name>.quadlet.serviceConfig": _is("{e}_models.<name>.service_config"),
    "models.<name>.quadlet.unitConfig": _is("{e}_models.<name>.unit_config"),
    "quadlet.serviceConfig": _is("{e}_models.<name>.service_config", why=_AT_EACH),
    "quadlet.unitConfig": _is("{e}_models.<name>.unit_config", why=_AT_EACH),
}

_LLAMA_PROGRAM = (
    "llama_cpp_package",
    "llama_cpp_archive",
    "llama_cpp_binary",
)
_NO_CONTAINER = "llama.cpp is a hardened system unit here, and no container."
_ONE_PROGRAM = "All models of a host run the same llama-server."
_LLAMA_WEIGHTS = "Weights that a setting names by `hf-repo` are fetched there."
_OWN_USER = "Each worker has a user of its own, which exists while it runs, and its group."
_LLAMA: Mapping[str, Answer] = {
    "package": _is(
        *_LLAMA_PROGRAM,
        why="A package of the distribution, an archive with its checksum, or a path.",
    ),
    "user": _is("llama_cpp_user"),
    "group": _no(_OWN_USER),
    "image": _is(*_LLAMA_PROGRAM, why=_NO_CONTAINER),
    "tag": _is("llama_cpp_archive", why=f"{_NO_CONTAINER} An archive is of one build."),
    "devices": _is("llama_cpp_gpu", why="A GPU's nodes are let in where the host has them."),
    "models.<name>.devices": _is(
        "llama_cpp_models.<name>.gpu",
        "llama_cpp_models.<name>.settings",
        why="Which of several is said by llama.cpp's own flag: `settings: {device: CUDA0}`.",
    ),
    "models.<name>.tag": _no(_ONE_PROGRAM),
    "models.<name>.digest": _no(_ONE_PROGRAM),
    "models.<name>.shmSize": _no(_NO_CONTAINER),
    "quadlet.user": _is(
        "llama_cpp_user", why=f"{_OWN_USER} The variable names an account instead."
    ),
    "quadlet.user.manage": _no("An account that `llama_cpp_user` names is its owner's."),
    "quadlet.user.name": _is("llama_cpp_user"),
    **{f"quadlet.user.{key}": _no(_OWN_USER) for key in ("uid", "group", "gid", "home")},
    "cache.directory": _is("llama_cpp_weights_dir", why=_LLAMA_WEIGHTS),
    "cache.environmentVariable": _no("`LLAMA_CACHE` is set, to a directory of each worker's own."),
    "cache.containerDirectory": _no(_NO_CONTAINER),
    "cache.mountOptions": _no(_NO_CONTAINER),
    "cache.manage": _no("The directory is always made."),
    "cache.user": _no("The account `onehop-models`; all workers can read it."),
    "cache.group": _no("The account `onehop-models`; all workers can read it."),
    **{
        f"{where}quadlet.{key}": _no(_NO_CONTAINER)
        for where in ("", "models.<name>.")
        for key in ("containerConfig", "quadletConfig", "extraConfig")
    },
    "models.<name>.quadlet.mountOptions.credentials": _no(_NO_CONTAINER),
    "models.<name>.quadlet.mountOptions.socket": _no(_NO_CONTAINER),
}

_IMAGE_FOR_PACKAGE = "Workers are containers: the image and its tag stand for the package."
_PODMANS = "Podman and the plan see to it: devices and SELinux are looked at on the host."
_QUADLET_SECTION = "The `[Quadlet]` section is not taken."
_EXTRA = "The three sections of the unit; other sections are not taken."
_ACCOUNTS_OWN = "The account's own: root in the container is that account on the host."
_WATERMARKS = "Watermarks are not supported, and no detectors are run."
_CONTAINER: Mapping[str, Answer] = {
    "package": _is("{e}_image", "{e}_tag", why=_IMAGE_FOR_PACKAGE),
    "models.<name>.package": _is("{e}_models.<name>.tag", why=_IMAGE_FOR_PACKAGE),
    "image": _is("{e}_image"),
    "tag": _is("{e}_tag", why="It also tells which flags there are; `latest` does not."),
    "user": _is("{e}_user", why="With a name of your own the account is yours, and only checked."),
    "uid": _is("{e}_uid", why="A free one unless given."),
    "group": _is("{e}_group"),
    "gid": _is("{e}_gid"),
    "dataDir": _is("{e}_data_dir"),
    "cacheDir": _is("{e}_cache_dir"),
    "subUidStart": _is("{e}_subuid_start", why="A free range unless given."),
    "subUidCount": _is("{e}_subuid_count"),
    "subGidStart": _is("{e}_subgid_start"),
    "subGidCount": _is("{e}_subgid_count"),
    "devices": _is("{e}_devices", why="Unless given, all GPUs where a CDI spec lists some."),
    "models.<name>.tag": _is("{e}_models.<name>.tag"),
    "models.<name>.digest": _is("{e}_models.<name>.digest", why="Wins over the role's tag."),
    "models.<name>.devices": _is("{e}_models.<name>.devices", why="They replace the role's too."),
    "models.<name>.gpus": _is(
        "{e}_models.<name>.devices", why="By CDI name: `[0, 1]` is `[nvidia.com/gpu=0, …=1]`."
    ),
    "models.<name>.shmSize": _is("{e}_models.<name>.shm_size"),
    "models.<name>.watermark": _no(_WATERMARKS),
    "models.<name>.quadlet.containerConfig": _is("{e}_models.<name>.container_config"),
    "models.<name>.quadlet.quadletConfig": _no(_QUADLET_SECTION),
    "models.<name>.quadlet.extraConfig": _is(
        "{e}_models.<name>.unit_config",
        "{e}_models.<name>.container_config",
        "{e}_models.<name>.service_config",
        why=_EXTRA,
    ),
    "models.<name>.quadlet.mountOptions.credentials": _no(_PODMANS),
    "models.<name>.quadlet.mountOptions.socket": _no(_PODMANS),
    "quadlet.containerConfig": _is("{e}_models.<name>.container_config", why=_AT_EACH),
    "quadlet.quadletConfig": _no(_QUADLET_SECTION),
    "quadlet.extraConfig": _is(
        "{e}_models.<name>.unit_config",
        "{e}_models.<name>.container_config",
        "{e}_models.<name>.service_config",
        why=f"{_AT_EACH} {_EXTRA}",
    ),
    "quadlet.user": _is(
        "{e}_user", why="Containers are always rootless; there are no rootful ones."
    ),
    "quadlet.user.manage": _no("Follows from the name: with one of your own the account is yours."),
    "quadlet.user.name": _is("{e}_user"),
    "quadlet.user.uid": _is("{e}_uid", why="A free one unless given."),
    "quadlet.user.group": _is("{e}_group"),
    "quadlet.user.gid": _is("{e}_gid"),
    "quadlet.user.home": _is("{e}_data_dir"),
    "cache.directory": _is("{e}_cache_dir", why="Weights lie in `hub` below it."),
    "cache.containerDirectory": _no("Fixed: `/root/.cache/huggingface`."),
    "cache.environmentVariable": _no("Fixed: `HF_HOME`."),
    "cache.mountOptions": _no(_PODMANS),
    "cache.manage": _no("The directory is always made, for the account alone."),
    "cache.user": _no(_ACCOUNTS_OWN),
    "cache.group": _no(_ACCOUNTS_OWN),
}

_GATEWAY: Mapping[str, Answer] = {
    "enable": _is("sglang_gateway.enable"),
    "image": _is("sglang_gateway.image"),
    "tag": _is("sglang_gateway.tag"),
    "digest": _is("sglang_gateway.digest", why="Needs no `tag: null` beside it."),
    "bindAddress": _is("sglang_gateway.bind_address"),
    "port": _is("sglang_gateway.port"),
    "enableMetrics": _is("sglang_gateway.enable_metrics"),
    "metricsPort": _is("sglang_gateway.metrics_port"),
    "environment": _is("sglang_gateway.environment"),
    "environmentFile": _is("sglang_gateway.environment_file"),
    "settings": _is(
        "sglang_gateway.settings",
        why="`enable-igw` is refused: beside it the gateway ignores its workers.",
    ),
    "credentials.<name>": _is("sglang_gateway.credentials.<name>"),
    "credentials.<name>.source": _is("sglang_gateway.credentials.<name>.source"),
    "credentials.<name>.encrypted": _no(_ENCRYPTED),
    "quadlet.containerConfig": _is("sglang_gateway.container_config"),
    "quadlet.serviceConfig": _is("sglang_gateway.service_config"),
    "quadlet.unitConfig": _is("sglang_gateway.unit_config"),
    "quadlet.quadletConfig": _no(_QUADLET_SECTION),
    "quadlet.extraConfig": _is(
        "sglang_gateway.unit_config",
        "sglang_gateway.container_config",
        "sglang_gateway.service_config",
        why=_EXTRA,
    ),
    "quadlet.mountOptions.credentials": _no(_PODMANS),
}

_TABLES: Mapping[str, tuple[Mapping[str, Answer], ...]] = {
    CORE: (_CORE,),
    GATEWAY: (_GATEWAY,),
    OLD_GATEWAY: (_GATEWAY,),
    **{
        part: (_LLAMA if part.startswith("llama") else _CONTAINER, _EVERY)
        for part in (*NATIVE, *CONTAINERS)
    },
}
DETECTOR = "detectors.<name>."


def role(part: str) -> str:
    """Our role for a backend of LLMhop."""
    return part.partition(".")[0].removesuffix("-quadlet").replace("-", "_")


def answer(fact: Fact) -> Answer:
    """What an option is here; ``KeyError`` where nobody has said it."""
    if fact.path.startswith(DETECTOR):
        return _no(_WATERMARKS)
    for table in _TABLES[fact.part]:
        if fact.path in table:
            found = table[fact.path]
            return Answer(tuple(one.format(e=role(fact.part)) for one in found.ours), found.why)
    raise KeyError(f"{fact.full} of LLMhop has no answer")


def unused(facts: tuple[Fact, ...]) -> list[str]:
    """Answers to options that LLMhop has in no version."""
    asked = {(id(table), fact.path) for fact in facts for table in _TABLES[fact.part]}
    tables = {id(table): table for tables in _TABLES.values() for table in tables}
    return [path for key, table in tables.items() for path in table if (key, path) not in asked]
