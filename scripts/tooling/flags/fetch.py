# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Published packages, for reading: pip fetches them, and only the files that an extractor may want are kept.

Nothing of a package is run. A wheel is a zip file. A source distribution is unpacked by pip, which would then ask the
package's build backend for metadata: the environment that it works for is empty, and its Python starts nothing but pip.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

from tooling.flags.packages import Package
from tooling.steps import CACHE, Failed, environment

DOWNLOADS = CACHE / "flags"
_PLATFORMS = (
    "manylinux_2_39_x86_64",
    "manylinux_2_35_x86_64",
    "manylinux_2_34_x86_64",
    "manylinux_2_31_x86_64",
    "manylinux_2_28_x86_64",
    "manylinux2014_x86_64",
)
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
_ONLY_PIP = """\
import os, sys

if os.path.basename((sys.orig_argv + [""])[1]) not in ("pip", "__pip-runner__.py"):
    raise SystemExit("nothing of a package is run here")
"""


def source(package: Package, version: str) -> Path:
    """The folder with the files of ``version`` that matter; fetched unless it is there already."""
    folder = DOWNLOADS / f"{package.name}-{version}"
    if folder.exists():
        return folder
    DOWNLOADS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=DOWNLOADS) as temporary:
        work = Path(temporary)
        kept = work / "kept"
        kept.mkdir()
        # A few releases have no source distribution.
        if package.wheel or not _from_sdist(package, version, work, kept):
            _from_wheel(package, version, work, kept)
        if not any(kept.iterdir()):
            raise Failed(f"{package.name} {version} has none of the files that are looked for")
        kept.rename(folder)
    return folder


def _from_wheel(package: Package, version: str, work: Path, kept: Path) -> None:
    words = ["--only-binary", ":all:", "--implementation", "cp"]
    words += [word for platform in _PLATFORMS for word in ("--platform", platform)]
    said = ""
    for python in PYTHONS:
        said += _pip([*words, "--python-version", python], package, version, work)
        for wheel in work.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                _keep(package, archive.namelist(), kept, archive.read)
            return
    raise Failed(f"pip has no {package.name} {version} for us:\n{said[-1000:]}")


def _from_sdist(package: Package, version: str, work: Path, kept: Path) -> bool:
    """Whether there is one."""
    words = ["--no-binary", ":all:", "--no-build-isolation", "--no-clean"]
    _pip(words, package, version, work)
    for top in (work / "tmp").glob("pip-download-*/*"):
        if (top / "PKG-INFO").exists():
            names = [str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()]
            _keep(package, names, kept, partial(_read, top))
            return True
    return False


def _read(top: Path, name: str) -> bytes:
    return (top / name).read_bytes()


def _pip(words: Iterable[str], package: Package, version: str, work: Path) -> str:
    """What pip said. Where packages come from, pip knows from its own configuration."""
    empty = work / "empty"
    (work / "tmp").mkdir(exist_ok=True)
    if not empty.exists():
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", empty], check=True)
        (packages,) = empty.glob("lib/python*/site-packages")
        (packages / "sitecustomize.py").write_text(_ONLY_PIP, encoding="utf-8")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", str(empty / "bin" / "python")),
            *("download", "--quiet", "--no-deps", "--no-cache-dir", "--dest", str(work)),
            *(*words, f"{package.name}=={version}"),
        ],
        env=environment() | {"TMPDIR": str(work / "tmp")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


def _keep(package: Package, names: Iterable[str], kept: Path, read: Callable[[str], bytes]) -> None:
    for name in names:
        if any(fnmatch(name, pattern) for pattern in package.files):
            fronts = [front for front in package.strip if name.startswith(front)]
            inner = name.removeprefix(fronts[0]) if fronts else name
            (kept / inner).parent.mkdir(parents=True, exist_ok=True)
            (kept / inner).write_bytes(read(name))
