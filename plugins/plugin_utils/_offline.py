# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workers that have all their weights on the host, and what is said of where weights are.

``found`` is what :ref:`model_cache` gives: by an item's key its ``from``, ``path``, ``file``, ``commit``.

This plugin util is private to the collection.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _weights
from ansible_collections.onehop.llm.plugins.plugin_utils._catalogue import DESCRIPTIONS
from ansible_collections.onehop.llm.plugins.plugin_utils._container_options import CACHE
from ansible_collections.onehop.llm.plugins.plugin_utils._finding import tidy

UNKNOWN = "(known once it is fetched)"
"""Stands in check mode for the name of a commit or a file."""


def worker(spec: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """The worker with paths for repositories, where all that it names is whole on the host.

    Otherwise it is as it was, and the engine looks itself.
    """
    items = spec.get("weights") or []
    if not items or not all(found.get(item["key"], {}).get("from") for item in items):
        return dict(spec)
    engine = DESCRIPTIONS[spec["engine"]]
    volumes = dict(spec.get("volumes", {}))

    def use(repo: _weights.Repo) -> str | None:
        one = found[repo.key]
        if repo.kind == "gguf" and not one["file"] and repo.optional:
            return None
        path = _path(spec, repo, one)
        if "image" in spec:
            if one["from"] == "bundle":
                # A shadow's links lead to the bundle, too.
                place = one.get("snapshot") or one["path"]
                volumes[_repository(place, repo)] = repo.variable
            path = _inside(spec["cache"], path)
        return path

    changed = _weights.replaced(engine, spec, use)
    if "volumes" in spec:
        changed["volumes"] = volumes
    changed["environment"] = {**engine.offline_environment, **spec["environment"]}
    return changed


def _path(spec: Mapping[str, Any], repo: _weights.Repo, one: Mapping[str, Any]) -> str:
    place = one["path"]
    if place is None:
        home = f"{spec['weights_dir']}/hub/models--{repo.name.replace('/', '--')}"
        place = f"{home}/snapshots/{one['commit'] or UNKNOWN}"
    if repo.kind != "gguf":
        return str(place)
    return f"{place}/{one['file'] or UNKNOWN}"


def _repository(path: str, repo: _weights.Repo) -> str:
    """The directory of a bundle's repository: a snapshot's links lead to what lies beside it."""
    folder = f"models--{repo.name.replace('/', '--')}"
    head, dummy, dummy_tail = path.partition(f"/{folder}/")
    return posixpath.join(head, folder)


def _inside(cache: str, path: str) -> str:
    """The path as a container sees it."""
    return CACHE + path.removeprefix(cache) if path.startswith(f"{cache}/") else path


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Where everything comes from, a line each."""
    for key, one in found.items():
        commit = f", snapshot {one['commit'][:12]}" if one.get("commit") else ""
        size = f", {one['bytes'] / 1e9:.1f} GB" if one.get("bytes") is not None else ""
        lacks = f": {one['lacks']}" if one.get("lacks") else ""
        error = f" ({one['error']})" if one.get("error") else ""
        if ":gguf#" in key and one["from"] in ("bundle", "cache") and not one["file"]:
            yield f"{key}: the repository has none{commit}"
            continue
        yield {
            "bundle": f"{key}: from a bundle{commit}",
            "cache": f"{key}: from the cache{commit}",
            "hub": f"{key}: to be fetched{size}{commit}{error}",
            "source": f"{key}: to be taken from its source",
        }.get(one["from"] or "", f"{key}: left to the engine{lacks}")


def progress(report: Mapping[str, Any], seconds: float) -> str:
    """How far fetching is."""
    if not report["total"]:
        return f"fetching weights after {seconds:.0f} s; asking the hub"
    done, total = report["done"] / 1e9, report["total"] / 1e9
    return f"downloading {done:.1f} of {total:.1f} GB after {seconds:.0f} s; {report['repo']}"


def failure(report: Mapping[str, Any]) -> str:
    """Why fetching failed, in the words of what fetches."""
    said = "\n".join(f"    {line}" for line in tidy(report.get("said", [])))
    return (
        report.get("msg") or f"Weights could not be fetched. Last words:\n{said or '    (nothing)'}"
    )


def incomplete(missing: list[str]) -> str:
    """What was fetched, and is not what was wanted."""
    return (
        f"{', '.join(missing)}: fetched, and yet not whole: its repository lacks a configuration or a "
        "file that its index names. Look whether it is a model that the engine can read, or write "
        "weights: engine"
    )
