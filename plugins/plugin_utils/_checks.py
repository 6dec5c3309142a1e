# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of a host that an operator may overrule: what they are called, and what they found.

A finding has its own level: what cannot work is an error, what may not is a warning. With ``warn``
for its check in ``gpu_host_checks`` it is never more than a warning.

This plugin util is private to the collection.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ERROR, WARN, OFF = "error", "warn", "off"
LEVELS = (ERROR, WARN, OFF)

CHECKS = {
    "archive": "An archive of C(*_image_archives) holds the image that it is named for, for the "
    "host's processor.",
    "capability": "A GPU has the compute capability for the data type, the quantisation and the "
    "attention backend that are asked for.",
    "clock": "The clock is not far from the controller's.",
    "cpu": "The processor has what the engine's image is built for.",
    "devices": "Parallel sizes and C(base-gpu-id) fit the devices that a model is given.",
    "disk": "There is room for an image where they are kept; it is only ever warned of.",
    "driver": "The GPUs' driver is new enough for the CUDA of the engine's image.",
    "gpu": "There is a GPU that answers, where an image wants one.",
    "memory": "Shares of a device's memory, of all models that use it, are no more than it has, and "
    "models fit into theirs.",
    "network": "The registry and the hub can be reached, where something is to be downloaded. It "
    "is only warned of unless told otherwise.",
    "ports": "No port is wanted twice, those that an engine opens beside its own counted.",
    "shared_memory": "Shared memory and what models set aside of the host's memory is no more than "
    "it has.",
}
"""What each check is for, by its name."""
DEFAULTS = {name: WARN if name == "network" else ERROR for name in CHECKS}
"""How strict each check is unless told."""


@dataclass(frozen=True)
class Finding:
    """What a check found: its name, its own level, and a sentence with the mend."""

    check: str
    level: str
    said: str


def from_host(items: Iterable[Mapping[str, Any]]) -> Iterator[Finding]:
    """The findings that a host told."""
    for item in items:
        yield Finding(item["check"], item["level"], item["said"])


def judged(
    findings: Iterable[Finding], strictness: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """Errors and warnings, with what an operator says of each check; nothing twice."""
    said: dict[str, dict[str, None]] = {ERROR: {}, WARN: {}, OFF: {}}
    for finding in findings:
        given = strictness.get(finding.check, DEFAULTS[finding.check])
        said[finding.level if given == ERROR else given][finding.said] = None
    return list(said[ERROR]), list(said[WARN])
