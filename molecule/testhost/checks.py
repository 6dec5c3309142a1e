# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine needs before it can run hosts; every reason why it cannot, together."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from .cgroup import find
from .process import HostError, run, say, succeeds

COMMANDS = {
    "systemd-nspawn": ("systemd-container", "boots a host"),
    "debootstrap": ("debootstrap", "builds a host's root filesystem"),
    "nsenter": ("util-linux", "enters a host"),
    "unshare": ("util-linux", "keeps a build's processes and mounts together"),
    "setpriv": ("util-linux", "ends a build together with this program"),
    "findmnt": ("util-linux", "tells where an overlay can be"),
    "mount": ("mount", "mounts a host's disk"),
    "ip": ("iproute2", "makes the hosts' bridge"),
    "ssh-keygen": ("openssh-client", "makes the key that Ansible comes in with"),
    "ssh": ("openssh-client", "is Ansible's way into a host"),
}
"""Command, Debian package, what it is for."""

CAPABILITIES = {
    12: ("CAP_NET_ADMIN", "makes the hosts' bridge"),
    18: ("CAP_SYS_CHROOT", "enters a root filesystem"),
    21: ("CAP_SYS_ADMIN", "mounts a host's disk and makes its namespaces"),
    27: ("CAP_MKNOD", "makes a root filesystem's devices"),
}
"""Bit in CapEff, capability, what it is for: capabilities(7)."""


FILESYSTEMS = {"overlay": "a host's disk is one", "cgroup2": "a host's systemd lives in one"}


def lacking_capabilities(status: str) -> list[str]:
    """Reasons in the text of /proc/self/status."""
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    mask = int(fields.get("CapEff", "0"), 16)
    return [
        f"needs {name}: it {purpose}"
        for bit, (name, purpose) in CAPABILITIES.items()
        if not mask >> bit & 1
    ]


def in_user_namespace(uid_map: str) -> bool:
    """Whether /proc/self/uid_map is another one than the machine's own."""
    return uid_map.split() != ["0", "0", "4294967295"]


def missing_commands() -> list[str]:
    return [name for name in COMMANDS if not shutil.which(name)]


def kernel_reasons() -> list[str]:
    reasons = []
    for name, purpose in FILESYSTEMS.items():
        # A module is listed only once it is loaded, which is at the first mount at the latest.
        if not has_filesystem(name) and not (succeeds(["modprobe", name]) and has_filesystem(name)):
            reasons.append(f"needs the file system {name} in the kernel: {purpose}")
    if not Path("/dev/fuse").exists() and not succeeds(["modprobe", "fuse"]):
        reasons.append("needs /dev/fuse: rootless Podman inside a host mounts its images with it")
    return reasons


def has_filesystem(name: str) -> bool:
    return name in Path("/proc/filesystems").read_text().split()


def require_root() -> None:
    """Before anything else: without it not even the state folder can be read."""
    if os.geteuid():
        raise HostError("needs root (sudo): it makes namespaces, mounts and a network bridge")


def reasons() -> list[str]:
    """Everything that stands in the way, one sentence each."""
    if in_user_namespace(Path("/proc/self/uid_map").read_text()):
        return [
            "needs a machine or a privileged container, and this is a user namespace"
            " (an unprivileged container): a root filesystem has devices and many owners"
        ]
    found = lacking_capabilities(Path("/proc/self/status").read_text())
    for name in missing_commands():
        package, purpose = COMMANDS[name]
        found.append(f"needs the command {name}: it {purpose} (apt-get install {package})")
    return found or kernel_reasons()


def require() -> None:
    """Refuse where hosts cannot run."""
    found = reasons()
    if found:
        lines = "\n".join(f"  - {each}" for each in found)
        raise HostError(f"this machine cannot run test hosts yet:\n{lines}")


def install() -> None:
    """Install what is missing, where apt can."""
    packages = sorted({COMMANDS[name][0] for name in missing_commands()})
    if packages:
        say(f"installing {', '.join(packages)}")
        run(["apt-get", "install", "--yes", "--no-install-recommends", *packages], timeout=600)


def describe() -> str:
    """What was found, for a report."""
    hierarchy = find(Path("/proc/self/mountinfo").read_text()) or "none, so one of our own"
    first = Path("/proc/1/comm").read_text().strip()
    return f"this machine can run test hosts (PID 1: {first}; cgroup2: {hierarchy})"
