# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small system for container images: Python, a few commands, and the libraries that they need.

All of it comes from a test host's root filesystem.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from llama_archive import TESTHOST, ArchiveError, libraries, only

LINKS = {
    "bin": "usr/bin",
    "lib": "usr/lib",
    "lib64": "usr/lib64",
    "sbin": "usr/bin",
    "usr/bin/sh": "dash",
}
"""Where they lead, by path. A shell is among the commands of every tree."""

FOLDERS = ("dev", "proc", "sys", "run", "tmp", "root", "etc")

FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "etc/group": "root:x:0:\n",
    "etc/os-release": 'PRETTY_NAME="OneHop stand-in for an engine"\n',
}

UNUSED = ("test", "idlelib", "tkinter", "ensurepip", "pydoc_data", "venv", "__pycache__")
"""Parts of Python's library that no server needs."""


def built_rootfs() -> Path:
    """Trixie's cached tree, made if it is missing."""
    command = [str(TESTHOST), "build", "trixie"]
    return Path(
        subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    )


def furnish(root: Path, tree: Path, commands: Iterable[str], add: Callable[[Path], None]) -> None:
    """Fill an empty tree from a test host's; ``add`` puts packages in the folder that it is given.

    That folder lies below one with the name of the tree's Python, python3.13 say.
    """
    for name in FOLDERS:
        (tree / name).mkdir(parents=True)
    (tree / "tmp").chmod(0o1777)
    python = (root / "usr/bin/python3").resolve(strict=True)
    library = root / "usr/lib" / python.name
    shutil.copytree(
        library,
        tree / library.relative_to(root),
        symlinks=True,
        ignore=shutil.ignore_patterns(*UNUSED, "config-*"),
    )
    packages = tree / "usr/local/lib" / python.name / "dist-packages"
    packages.mkdir(parents=True)
    add(packages)
    (tree / "usr/bin").mkdir()
    programs = [python, *(root / "usr/bin" / name for name in commands)]
    for program in programs:
        shutil.copy2(program, tree / "usr/bin" / program.name)
    extensions = [*library.glob("lib-dynload/*.so"), *packages.rglob("*.so")]
    for file in sorted(set(_needed(root, [*programs, *extensions]))):
        goal = tree / file.relative_to(root)
        goal.parent.mkdir(parents=True, exist_ok=True)
        # Not the link: its goal has the version in its name, which nobody asks for.
        shutil.copy(file.resolve(), goal)
    put(tree, FILES)
    for name, target in (LINKS | {"usr/bin/python3": python.name}).items():
        (tree / name).symlink_to(target)
    for folder in (tree / library.relative_to(root), packages):
        _compile(tree, str(folder.relative_to(tree)))


def put(folder: Path, files: Mapping[str, str]) -> None:
    """Write texts by their path below the folder."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def _compile(tree: Path, folder: str) -> None:
    """Compile Python's library for good: the times in an image are all the same."""
    command = [*("python3", "-m", "compileall", "-q"), "--invalidation-mode", "unchecked-hash"]
    subprocess.run(["chroot", str(tree), *command, f"/{folder}"], check=True)


def _needed(root: Path, programs: list[Path]) -> Iterator[Path]:
    """The libraries of these programs, as paths in the tree."""
    loader = only([*root.glob("usr/lib64/ld-linux-*"), *root.glob("usr/lib/ld-linux-*")], "loader")
    yield loader
    folders = [path.parent for path in root.glob("usr/lib/*/libc.so.6")]
    path = ":".join(str(folder) for folder in folders)
    for program in programs:
        command = [str(loader), "--inhibit-cache", "--library-path", path, "--list", str(program)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        for file in libraries(done.stdout).values():
            if not file.is_relative_to(root):
                raise ArchiveError(f"a library from outside the tree: {file}")
            yield file
