# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The router's packages, collected on the controller for another machine's Python.

The one plugin util that touches files: they are the controller's own.

This plugin util is private to the collection.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping

PACKAGE = "onehop_router"
LOCK = "requirements.txt"


class WheelhouseError(Exception):
    """Why packages could not be collected, in words for the operator."""


def identity(sources: str) -> str:
    """A hash over the router's sources and its lock."""
    digest = hashlib.sha256()
    for name in files(sources):
        with open(os.path.join(sources, name), "rb") as file:
            digest.update(f"{name}\0".encode() + hashlib.sha256(file.read()).digest())
    return digest.hexdigest()


def files(sources: str) -> Iterator[str]:
    """What goes to a host: the lock and the package."""
    yield LOCK
    for base, directories, names in os.walk(os.path.join(sources, PACKAGE)):
        directories[:] = sorted(name for name in directories if name != "__pycache__")
        for name in sorted(names):
            if not name.endswith(".pyc"):
                yield os.path.relpath(os.path.join(base, name), sources)


def default_home() -> str:
    """Where wheels are kept unless an operator says otherwise."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(cache, "onehop", "wheelhouse")


def platforms(target: Mapping[str, str]) -> list[str]:
    """The wheel tags that fit a machine, newest first (PEP 600 and PEP 656)."""
    machine = target["machine"]
    if target["libc"] != "glibc":
        return [f"musllinux_1_{minor}_{machine}" for minor in (2, 1)]
    newest = int(target["libc_version"].split(".")[1])
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(newest, 16, -1)]
    return [*tags, f"manylinux2014_{machine}"]


def collect(sources: str, home: str, target: Mapping[str, str]) -> str:
    """A directory with every wheel of the lock for ``target``, fetched where it is not there yet.

    ``target`` is :mod:`router_environment`'s: ``python``, ``machine``, ``libc``, ``libc_version``.
    """
    libc = f"{target['libc']}{target['libc_version']}"
    directory = os.path.join(home, f"py{target['python']}-{libc}-{target['machine']}")
    try:
        os.makedirs(directory, exist_ok=True)
        lock = os.open(os.path.join(directory, ".lock"), os.O_CREAT | os.O_RDWR, 0o644)
    except OSError as error:
        raise WheelhouseError(
            f"The router's packages cannot be kept in {directory}: {error.strerror}. Name a directory "
            "of the controller that can be written in router_wheelhouse, or let the host fetch them "
            "with router_packages: host."
        ) from error
    options = ["--only-binary=:all:", "--no-deps", "--require-hashes", "--dest", directory]
    options += ["--python-version", target["python"], "--implementation", "cp"]
    for abi in (f"cp{target['python'].replace('.', '')}", "abi3", "none"):
        options += ["--abi", abi]
    for platform in platforms(target):
        options += ["--platform", platform]
    options += ["--requirement", os.path.join(sources, LOCK)]
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    with os.fdopen(lock):
        fcntl.flock(lock, fcntl.LOCK_EX)
        offline = [*command, "--no-index", "--find-links", directory, *options]
        if subprocess.run(offline, capture_output=True, check=False).returncode == 0:
            return directory
        said = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    if said.returncode != 0:
        raise WheelhouseError(
            f"The router's packages for Python {target['python']} on {target['machine']} could not "
            f"be collected in {directory}: {said.stderr.strip()[-800:]}\n"
            "Put the wheels there, name their directory in router_wheelhouse, or let the host "
            "fetch them with router_packages: host."
        )
    return directory


def pack(sources: str, wheels: str | None, path: str) -> None:
    """A tar archive of the lock, the package and, where given, the wheels."""
    with tarfile.open(path, "w") as tar:
        for name in files(sources):
            tar.add(os.path.join(sources, name), name, recursive=False, filter=_plain)
        if wheels is not None:
            for name in sorted(os.listdir(wheels)):
                if name.endswith(".whl"):
                    where = f"wheelhouse/{name}"
                    tar.add(os.path.join(wheels, name), where, filter=_plain)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Readable for all, whatever the controller's umask was."""
    member.mode = 0o644
    member.uid = member.gid = 0
    return member
