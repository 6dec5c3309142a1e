# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has to fetch before its workers can serve, and from where.

A host that has it already fetches nothing: that is for the host to see.

This plugin util is private to the collection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.onehop.llm.plugins.plugin_utils import _weights
from ansible_collections.onehop.llm.plugins.plugin_utils._catalogue import DESCRIPTIONS

HUB = "https://huggingface.co"
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


def of_worker(
    role: str, engine: Mapping[str, Any], worker: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """The repositories of the hub that a worker's settings name."""
    description = DESCRIPTIONS[worker["engine"]]
    environment = {**description.environment, **worker["environment"]}
    if _is_set(environment, "HF_HUB_OFFLINE") or any(
        _is_set(environment, name) for name in environment if name.endswith("_USE_MODELSCOPE")
    ):
        return
    weights = engine.get("weights") or {"bundles": [], "sources": {}, "endpoint": None}
    places = [worker.get("weights_dir") or worker["cache"], *weights["bundles"]]
    for item in worker.get("weights") or _weights.named(description, worker, "engine"):
        repo = item["repo"]
        if not {repo, f"{repo}@{item['revision']}"} & set(weights["sources"]):
            yield {
                "variable": item["variable"],
                "kind": "repository",
                "what": repo,
                "where": weights["endpoint"] or environment.get("HF_ENDPOINT") or HUB,
                "places": list(_snapshots(places, repo)),
                "proxy": _proxy(environment),
                "instead": "Have the host reach it, or put the weights on the host and name their "
                f"directory in {role}_weights_bundles.",
            }


def _snapshots(places: list[str], repo: str) -> Iterator[str]:
    """Where a repository may be, in the layout of the hub's cache."""
    for place in places:
        for hub in ("/hub", ""):
            yield f"{place}{hub}/models--{repo.replace('/', '--')}/snapshots"


def _is_set(environment: Mapping[str, str], name: str) -> bool:
    return environment.get(name, "").lower() in _TRUE


def _proxy(environment: Mapping[str, str]) -> str:
    """The worker's own proxy, without what may be its password."""
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        try:
            url = urlsplit(environment.get(name, ""))
            port = url.port or {"http": 80, "https": 443}.get(url.scheme, 1080)
        except ValueError:
            # What it complains of may be a part of the password.
            continue
        if url.hostname:
            return f"{url.scheme}://{url.hostname}:{port}"
    return ""
