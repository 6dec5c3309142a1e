# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages of a Python environment, collected on the controller for another machine's Python.

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
from collections.abc import Mapping
from dataclasses import dataclass

LOCK = "requirements.txt"
SHARED = "ansible_collections/onehop/llm/plugins/module_utils"
"""Where an environment has what of ours runs in it and is a module util, too."""


class WheelhouseError(Exception):
    """Why packages could not be collected, in words for the operator."""


@dataclass(frozen=True)
class Sources:
    """What an environment is made of.

    ``files`` are those that go to a host, by their place there: the lock, and our own packages.
    ``module`` is imported to see whether it works. ``title`` and ``prefix`` are what messages call
    it and its variables.
    """

    title: str
    prefix: str
    module: str
    files: Mapping[str, str]

    @property
    def lock(self) -> str:
        """The path of its lock."""
        return self.files[LOCK]


def router(root: str) -> Sources:
    """The router's, in the collection at ``root``."""
    home = os.path.join(root, "roles", "router", "files")
    found = {LOCK: os.path.join(home, LOCK), **_package(home, "onehop_router")}
    return Sources("The router's packages", "router", "onehop_router.__main__", found)


def hub(root: str) -> Sources:
    """That of what fetches weights."""
    utils = os.path.join(root, "plugins", "module_utils")
    names = ("_hub_cache.py", "_hub_fetch.py")
    lock = os.path.join(root, "roles", "gpu_host", "files", "hub", LOCK)
    ours = {f"{SHARED}/{name}": os.path.join(utils, name) for name in names}
    module = f"{SHARED.replace('/', '.')}._hub_fetch, huggingface_hub"
    return Sources("The packages that fetch weights", "gpu_host_hub", module, {LOCK: lock, **ours})


ENVIRONMENTS = {"router": router, "hub": hub}
"""By the name of the environment."""


def _package(home: str, package: str) -> dict[str, str]:
    found = {}
    for base, directories, names in os.walk(os.path.join(home, package)):
        directories[:] = sorted(name for name in directories if name != "__pycache__")
        for name in sorted(names):
            if not name.endswith(".pyc"):
                path = os.path.join(base, name)
                found[os.path.relpath(path, home)] = path
    return found


def identity(sources: Sources) -> str:
    """A hash over all that it is made of."""
    digest = hashlib.sha256()
    for name, path in sources.files.items():
        with open(path, "rb") as file:
            digest.update(f"{name}\0".encode() + hashlib.sha256(file.read()).digest())
    return digest.hexdigest()


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


def collect(sources: Sources, home: str, target: Mapping[str, str]) -> str:
    """A directory with every wheel of the lock for ``target``, fetched where it is not there yet.

    ``target`` is :mod:`python_environment`'s: ``python``, ``machine``, ``libc``, ``libc_version``.
    """
    libc = f"{target['libc']}{target['libc_version']}"
    directory = os.path.join(home, f"py{target['python']}-{libc}-{target['machine']}")
    options = ["--only-binary=:all:", "--no-deps", "--require-hashes", "--dest", directory]
    options += ["--python-version", target["python"], "--implementation", "cp"]
    for abi in (f"cp{target['python'].replace('.', '')}", "abi3", "none"):
        options += ["--abi", abi]
    for platform in platforms(target):
        options += ["--platform", platform]
    options += ["--requirement", sources.lock]
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    offline = [*command, "--no-index", "--find-links", directory, *options]
    try:
        os.makedirs(directory, exist_ok=True)
        lock = os.open(os.path.join(directory, ".lock"), os.O_CREAT | os.O_RDWR, 0o644)
    except OSError as error:
        # In an image, or a project that is read-only, all may be there.
        if os.path.isdir(directory) and _succeeds(offline):
            return directory
        raise WheelhouseError(
            f"{sources.title} cannot be kept in {directory}: {error.strerror}. Name a directory of "
            f"the controller that can be written in {sources.prefix}_wheelhouse, or let the host "
            f"fetch them with {sources.prefix}_packages: host."
        ) from error
    with os.fdopen(lock):
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _succeeds(offline):
            return directory
        said = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    if said.returncode != 0:
        raise WheelhouseError(
            f"{sources.title} for Python {target['python']} on {target['machine']} could not "
            f"be collected in {directory}: {said.stderr.strip()[-800:]}\n"
            f"Put the wheels there, name their directory in {sources.prefix}_wheelhouse, or let the "
            f"host fetch them with {sources.prefix}_packages: host."
        )
    return directory


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def pack(sources: Sources, wheels: str | None, path: str) -> None:
    """A tar archive of the lock, our own packages and, where given, the wheels."""
    with tarfile.open(path, "w") as tar:
        for name, path in sources.files.items():
            place = name if name == LOCK else f"site/{name}"
            tar.add(path, place, recursive=False, filter=_plain)
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
