# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plan has of engines that run in rootless containers.

This plugin util is private to the collection.
"""

from __future__ import annotations

import itertools
import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import (
    _container_options,
    _credentials,
    _flag_table,
    _masks,
)
from ansible_collections.onehop.llm.plugins.plugin_utils._engines import Engine, Model
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import Problems

SECTIONS = _container_options.SECTIONS
"""Keys of a model that are sections of its unit."""
SECRETS_INSIDE = "/run/secrets"
"""Where a container finds its credentials."""

_PATH = re.compile(r"(?:[A-Za-z0-9._-]+=)?(/[^\x00-\x1f]*)\Z")
"""A value that is a path, or a name with one: a LoRA adapter's, say."""
_KERNEL = ("/dev", "/proc", "/sys", "/run/secrets")
_MANAGED_KEYS = frozenset(
    ("ContainerName", "Entrypoint", "Exec", "Image", "Notify", "PublishPort", "Pull", "Rootfs")
)
_MANAGED_SERVICE_KEYS = frozenset(("ExecStart", "Group", "Type", "User"))
_PUBLISHING = re.compile(r"--publish(-all)?(=|\Z)|-[diqt]*[pP]")
"""Words of podman by which a worker would listen for the network; letters may stand together."""
_NETWORK = re.compile(r"--net(?:work)?(?:=(.*))?\Z")
_APART = frozenset(("none", "pasta", "private", "slirp4netns"))
"""Networks of podman that nobody outside leads to a port of."""
_SHARED = re.compile(r"host\Z|ns:|pasta:(.*,)?(-[tu]|--(tcp|udp)-ports)(?![,=]none)")
"""Networks of a Quadlet in which a worker's port is one of the host's."""
_LAST_ID = 2**32 - 2
"""The one behind it stands for no id."""


def read(engine: Engine, variables: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    """What all of the engine's workers share: ``account``, ``image_archives``, ``registries``."""
    role = engine.role
    if variables[f"{role}_user"] == "root":
        problems.add(f"{role}_user", "is root", "Name an account of its own", "root")
    for key in ("cache_dir", "data_dir"):
        if ":" in variables[f"{role}_{key}"]:
            problems.add(
                f"{role}_{key}",
                "holds a colon, and Podman cannot mount such a path",
                "Write another",
                variables[f"{role}_{key}"],
            )
    for image, path in variables[f"{role}_image_archives"].items():
        if ":" in path:
            problems.add(
                f"{role}_image_archives.{image}",
                "holds a colon, and Podman takes what is behind it for an image's name",
                "Rename the archive",
                path,
            )
    check_image(f"{role}_", None, variables[f"{role}_tag"], variables[f"{role}_digest"], problems)
    return {
        "account": _account(role, variables, problems),
        "weights_dir": variables[f"{role}_cache_dir"],
        "image_archives": variables[f"{role}_image_archives"],
        "registries": sorted(variables[f"{role}_registries"]),
    }


def _account(role: str, variables: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    account = _declared_account(role, variables)
    for name, start, end in account_ranges(account):
        if end - 1 > _LAST_ID:
            problems.add(
                f"{role}_{name}",
                f"makes a range of {end - start} ids that ends behind {_LAST_ID}, the last there is",
                "Write a lower one, or a smaller count",
                start,
            )
    return account


def _declared_account(role: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    name = variables[f"{role}_user"]
    uid, start = variables[f"{role}_uid"], variables[f"{role}_subuid_start"]
    count = variables[f"{role}_subuid_count"]
    return {
        "name": name,
        "group": variables[f"{role}_group"] or name,
        "uid": uid,
        "gid": variables[f"{role}_gid"] or uid,
        "managed": name == role,
        "home": variables[f"{role}_data_dir"],
        "cache": variables[f"{role}_cache_dir"],
        "subuids": {"start": start, "count": count},
        "subgids": {
            "start": variables[f"{role}_subgid_start"] or start,
            "count": variables[f"{role}_subgid_count"] or count,
        },
        "open_files_limit": variables[f"{role}_open_files_limit"],
    }


def account_ranges(account: Mapping[str, Any]) -> Iterator[tuple[str, int, int]]:
    """The ranges that were given: the option's name, the first id and the one behind the last."""
    for name in ("subuid", "subgid"):
        given = account[f"{name}s"]
        if given["start"] is not None:
            yield f"{name}_start", given["start"], given["start"] + given["count"]


def worker(model: Model, spec: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    """What a worker has beside ``spec``, which is what every worker has."""
    keys, account = model.keys, model.shared["account"]
    check_sections(model.variable, keys, problems)
    found = _image(model, problems)
    shown = volumes(model.engine, model.variable, keys["model"], spec["settings"], problems)
    return {
        "model": keys["model"],
        "account": account["name"],
        "group": account["group"],
        "image": found,
        "cache": account["cache"],
        "volumes": shown,
        "devices": model.of_role("devices") if keys["devices"] is None else keys["devices"],
        "shm_size": keys["shm_size"],
        "liveness": {
            key: model.of_role(f"liveness_{key}") for key in ("interval", "timeout", "retries")
        },
        **secrets(spec["unit"], keys["credentials"]),
    }


def secrets(unit: str, credentials: Mapping[str, Any]) -> dict[str, Any]:
    """The worker's secrets: files below our own directory, which its account can read.

    ``credentials`` are their paths, ``sources`` where the host has those that it keeps itself, and
    ``variables`` the environment variables that some of them are for.
    """
    return {
        "credentials": {name: f"{_credentials.SECRETS}/{unit}/{name}" for name in credentials},
        "sources": {
            name: credential["source"]
            for name, credential in credentials.items()
            if credential["source"] is not None
        },
        "variables": {
            name: credential["environment"]
            for name, credential in credentials.items()
            if credential["environment"]
        },
    }


def _image(model: Model, problems: Problems) -> str:
    """The image of a model with its tag or digest; the model's own win over the role's."""
    tag, digest = model.keys["tag"], model.keys["digest"]
    check_image(f"{model.variable}.", None, tag, digest, problems)
    if not tag and not digest:
        tag, digest = model.of_role("tag"), model.of_role("digest")
    if not tag and not digest:
        problems.add(
            f"{model.engine.role}_tag",
            f"is missing, and {model.variable} has neither tag nor digest",
            "Write the version to run, such as v0.33.0; a tag that moves makes hosts differ",
        )
    return image(model.of_role("image"), tag, digest)


def image(name: str, tag: str | None, digest: str | None) -> str:
    """An image's whole reference; a digest wins."""
    return f"{name}@{digest}" if digest else f"{name}:{tag}"


def version(
    engine: Engine, variables: Mapping[str, Any], model: Mapping[str, Any] | None
) -> str | None:
    """The version of an image as it was said: in so many words or by its tag, the model's first."""
    role = engine.role
    said = [variables[f"{role}_version"]]
    if model:
        said = [model["version"], _flag_table.told(model["tag"]), *said]
    if not model or not (model["tag"] or model["digest"]):
        said.append(_flag_table.told(variables[f"{role}_tag"]))
    return next((_flag_table.told(one) for one in said if one), None)


def check_image(
    prefix: str, default: str | None, tag: str | None, digest: str | None, problems: Problems
) -> None:
    """Note a tag beside a digest; ``default`` is a tag that nobody may have written."""
    if tag and digest and tag != default:
        problems.add(f"{prefix}digest", "is given beside a tag", "Keep the one that shall be used")


def check_sections(where: str, model: Mapping[str, Any], problems: Problems) -> None:
    """Note keys of sections that are the role's, or that would open a worker to the network."""
    for key in sorted(set(model["container_config"]) & _MANAGED_KEYS):
        problems.add(
            f"{where}.container_config.{key}",
            "is set by the role",
            "Remove it: a key of the model says it",
        )
    for key in sorted(set(model["service_config"]) & _MANAGED_SERVICE_KEYS):
        problems.add(f"{where}.service_config.{key}", "is set by the role", "Remove it")
    for key, opens in (("Network", _SHARED.match), ("PodmanArgs", _opens)):
        given = model["container_config"].get(key, [])
        for line in given if isinstance(given, list) else [given]:
            if opens(str(line)):
                problems.add(
                    f"{where}.container_config.{key}",
                    "would have the worker listen for everybody in reach",
                    "Remove it: the router is the way to a worker",
                    _masks.text(str(line)),
                )


def _opens(arguments: str) -> bool:
    """Whether words of podman lead others to a port of the worker."""
    words = _words(arguments)
    for word, following in itertools.zip_longest(words, words[1:], fillvalue=""):
        network = _NETWORK.match(word)
        if _PUBLISHING.match(word):
            return True
        if network and (following if network[1] is None else network[1]) not in _APART:
            return True
    return False


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def volumes(
    engine: Engine, where: str, model: str | None, settings: Mapping[str, Any], problems: Problems
) -> dict[str, str]:
    """Paths of the host that the engine is pointed to, with the variable that does so."""
    found = dict.fromkeys(_paths(model), f"{where}.model")
    for flag, value in settings.items():
        if flag.replace("_", "-") not in engine.container.not_paths:
            found.update(dict.fromkeys(_paths(value), f"{where}.settings.{flag}"))
    for path, variable in found.items():
        if path != posixpath.normpath("/" + path.lstrip("/")):
            problems.add(variable, "is no plain path", "Write it without .., . and //", path)
        elif path == "/" or any(path == root or path.startswith(f"{root}/") for root in _KERNEL):
            problems.add(
                variable,
                "cannot be shown to a container",
                "Put it elsewhere, such as below /srv; a path inside of the image goes into "
                "extra_args",
                path,
            )
        elif ":" in path:
            problems.add(
                variable,
                "holds a colon, and Podman cannot mount such a path",
                "Write another; what is no path of the host goes into extra_args",
                path,
            )
    return found


def _paths(value: Any) -> Iterator[str]:
    """Every path in a value, however deep."""
    if isinstance(value, str):
        found = _PATH.match(value)
        if found:
            yield found.group(1).rstrip("/") or "/"
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _paths(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _paths(item)
