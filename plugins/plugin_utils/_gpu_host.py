# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host needs once, before it runs containers: variables, and packages by distribution.

This plugin util is private to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _checks, _schema
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import Problems
from ansible_collections.onehop.llm.plugins.plugin_utils._schema import Option

ROLE = "gpu_host"
OPTIONS: tuple[Option, ...] = (
    Option(
        "gpu_host_packages",
        "list",
        "Packages that rootless containers need; those of the host's distribution unless given.",
        default=None,
        elements="str",
        example=["podman", "uidmap"],
    ),
    Option(
        "gpu_host_toolkit_packages",
        "list",
        "Packages of a GPU vendor's container toolkit to install, which describes the GPUs to "
        "containers. None unless given, for many hosts have theirs with the driver.",
        default=[],
        elements="str",
        example=["nvidia-container-toolkit-base"],
    ),
    Option(
        "gpu_host_hub_python",
        "path",
        "Python 3.11 or newer on the host, for the program that fetches weights; the newest that is "
        "found unless given.",
        default=None,
        example="/usr/bin/python3.13",
    ),
    Option(
        "gpu_host_hub_packages",
        "str",
        "Where the packages of this program come from: C(controller) collects them there and sends "
        "them, so that the host needs no index; C(host) lets the host's pip ask its index.",
        default="controller",
        choices=("controller", "host"),
        example="host",
    ),
    Option(
        "gpu_host_hub_wheelhouse",
        "path",
        "Directory on the controller in which these packages are kept; a folder in the user's cache "
        "unless given. What lies there already is not fetched.",
        default=None,
        example="/srv/artefacts/hub-wheels",
    ),
    Option(
        "gpu_host_toolkit_repository",
        "dict",
        "A repository that brings these packages.",
        default=None,
        keys=(
            Option(
                "address",
                "str",
                "Its address: for apt the line behind C(deb), for dnf and zypper the C(baseurl).",
                example="https://nvidia.github.io/libnvidia-container/stable/deb/amd64 /",
            ),
            Option(
                "key",
                "str",
                "The public key that its packages or lists are signed with, in ASCII armour.",
                example="{{ lookup('ansible.builtin.file', 'files/nvidia.asc') }}",
            ),
        ),
        example={
            "address": "https://nvidia.github.io/libnvidia-container/stable/deb/amd64 /",
            "key": "{{ lookup('ansible.builtin.file', 'files/nvidia.asc') }}",
        },
    ),
    Option(
        "gpu_host_checks",
        "dict",
        "How strict the checks of a host are, before anything changes. With V(error) what cannot "
        "work fails the run, and what may not is a warning; with V(warn) all are warnings; with "
        "V(off) nothing is said. See docs/preflight.md and docs/budget.md.",
        default=_checks.DEFAULTS,
        keys=tuple(
            Option(
                name,
                "strictness",
                doc,
                default=_checks.DEFAULTS[name],
                choices=_checks.LEVELS,
                example=_checks.WARN if _checks.DEFAULTS[name] == _checks.ERROR else _checks.ERROR,
            )
            for name, doc in _checks.CHECKS.items()
        ),
        example={"driver": "warn", "memory": "warn", "disk": "off"},
    ),
    Option(
        "gpu_host_image_space",
        "size",
        "Space that is to be free where an engine's images are kept, before one is fetched.",
        default="40g",
        example="80g",
    ),
)

PACKAGES = {
    "apt-get": ["podman", "crun", "uidmap", "fuse-overlayfs", "dbus-user-session"],
    "dnf": ["podman", "crun", "shadow-utils", "fuse-overlayfs", "dbus-daemon"],
    "zypper": ["podman", "crun", "shadow", "fuse-overlayfs"],
    "pacman": ["podman", "crun", "shadow", "fuse-overlayfs"],
}
"""What rootless Podman needs beside what its package demands, by package manager."""
NETWORK = {5: "passt", 4: "slirp4netns"}
"""The program that gives a rootless container its network, by Podman's first number."""


def read(given: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    """The role's variables, complete."""
    return _schema.read(OPTIONS, given, problems)


def packages(variables: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str]:
    """What a host that runs containers has to have installed."""
    if variables["gpu_host_packages"] is not None:
        return list(variables["gpu_host_packages"])
    known = PACKAGES.get(facts.get("package_manager") or "", [])
    first = str(facts.get("podman") or "5").partition(".")[0]
    return [*known, NETWORK[4 if first == "4" else 5]] if known else []
