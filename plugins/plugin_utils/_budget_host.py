# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a host has the RAM and the disk space that its workers may come to use together.

This plugin util is private to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils._cards import Use
from ansible_collections.onehop.llm.plugins.plugin_utils._catalogue import DESCRIPTIONS
from ansible_collections.onehop.llm.plugins.plugin_utils._container_options import SHM_SIZE
from ansible_collections.onehop.llm.plugins.plugin_utils._model_memory import gib
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import Verdict
from ansible_collections.onehop.llm.plugins.plugin_utils._promises import Given

_UNITS = {"b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


def size(text: str) -> int:
    """The bytes of a size such as ``32g``."""
    return int(text[:-1]) * _UNITS[text[-1]] if text[-1] in _UNITS else int(text)


def memory(
    host: Mapping[str, Any],
    found: Mapping[str, Sequence[Use]],
    facts: Mapping[str, Any],
    verdict: Verdict,
) -> None:
    """Note more memory than the host has: what is set aside for good, and what may be used."""
    there = facts.get("memory")
    if not there:
        return
    devices = {use.variable: len(use.cards or ()) or 1 for group in found.values() for use in group}
    workers = [worker for engine in host["engines"].values() for worker in engine["workers"]]
    held = {
        worker["variable"]: _held(worker, devices.get(worker["variable"], 1)) for worker in workers
    }
    # What nobody wrote is a limit far above what a model on one device uses.
    shared = {
        worker["variable"]: size(worker["shm_size"])
        for worker in workers
        if worker.get("shm_size") not in (None, SHM_SIZE)
    }
    if sum(held.values()) > there:
        verdict.cannot(
            max(held, key=lambda name: held[name]),
            f"the models of this host set {gib(sum(held.values()))} of its memory aside for what is "
            f"not on a device, and it has {gib(there)}",
            "Write smaller sizes for offloading and for caches in memory",
        )
    elif shared and sum(held.values()) + sum(shared.values()) > there:
        verdict.may_not(
            f"{max(shared, key=lambda name: shared[name])}.shm_size",
            f"the models of this host may use {gib(sum(shared.values()))} of shared memory together"
            + (
                f" beside {gib(sum(held.values()))} that they set aside"
                if any(held.values())
                else ""
            )
            + f", and it has {gib(there)}",
            "Write smaller sizes; a model on one device needs little",
        )


def _held(worker: Mapping[str, Any], devices: int) -> int:
    """Bytes of the host's memory that a worker's settings set aside."""
    promises = DESCRIPTIONS[worker["engine"]].promises
    given = Given.of(worker)
    total = 0.0
    for row in promises.memory if promises else ():
        value = given.number(row.setting)
        if value:
            total += value * row.unit * (devices if row.each else 1)
    return int(total)


def disk(
    host: Mapping[str, Any], roles: list[str] | None, facts: Mapping[str, Any], verdict: Verdict
) -> None:
    """Note file systems with less room than an image may want."""
    wanted = size((host["gpu_host"] or {}).get("gpu_host_image_space") or "0")
    told = set()
    for role, engine in host["engines"].items():
        if (roles is not None and role not in roles) or not engine["workers"]:
            continue
        home = (engine.get("account") or {}).get("home")
        free = (facts.get("free") or {}).get(home)
        if free is not None and free < wanted and home not in told:
            told.add(home)
            verdict.may_not(
                f"{role}_data_dir",
                f"has {gib(free)} free, and an image of an engine may want up to {gib(wanted)}",
                "Make room, write another directory, or a smaller gpu_host_image_space",
                home,
            )
