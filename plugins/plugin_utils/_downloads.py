# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has to fetch before its workers can serve, and from where.

A host that has it already fetches nothing: that is for the host to see.

This plugin util is private to the collection.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.onehop.llm.plugins.plugin_utils._engines import Engine

HUB = "https://huggingface.co"
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+\Z")
_TRUE = ("1", "on", "true", "yes")


def of_engine(engine: Mapping[str, Any], role: str) -> Iterator[dict[str, Any]]:
    """The images of an engine's workers that no archive brings."""
    for worker in engine["workers"]:
        if worker["image"] not in engine["image_archives"]:
            yield {
                "variable": worker["variable"],
                "kind": "image",
                "what": worker["image"],
                "where": worker["image"].partition("/")[0],
                "account": engine["account"]["name"],
                "instead": f"Have the host reach it, or write an archive of the image into "
                f"{role}_image_archives.",
            }


def of_worker(worker: Mapping[str, Any], description: Engine) -> Iterator[dict[str, Any]]:
    """The repository of the hub that a worker fetches when it starts."""
    environment = {**description.environment, **worker["environment"]}
    if _is_set(environment, "HF_HUB_OFFLINE") or any(
        _is_set(environment, name) for name in environment if name.endswith("_USE_MODELSCOPE")
    ):
        return
    for where, repository in _repositories(worker, description):
        name = repository.partition(":")[0]
        yield {
            "variable": where,
            "kind": "repository",
            "what": repository,
            "where": environment.get("HF_ENDPOINT") or HUB,
            "place": f"{worker['cache']}/hub/models--{name.replace('/', '--')}/snapshots",
            "proxy": _proxy(environment),
            "instead": "Have the host reach it, or put the files of the model on the host and write "
            "their path.",
        }


def _repositories(worker: Mapping[str, Any], description: Engine) -> Iterator[tuple[str, str]]:
    where = worker["variable"]
    given = {f"{where}.model": worker.get("model")}
    for flag in description.hub_flags:
        given[f"{where}.settings.{flag}"] = worker["settings"].get(flag)
    for variable, value in given.items():
        if isinstance(value, str) and _REPOSITORY.match(value.partition(":")[0]):
            yield variable, value


def _is_set(environment: Mapping[str, str], name: str) -> bool:
    return environment.get(name, "").lower() in _TRUE


def _proxy(environment: Mapping[str, str]) -> str:
    """The worker's own proxy, without what may be its password."""
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        url = urlsplit(environment.get(name, ""))
        if url.hostname:
            port = url.port or {"http": 80, "https": 443}.get(url.scheme, 1080)
            return f"{url.scheme}://{url.hostname}:{port}"
    return ""
