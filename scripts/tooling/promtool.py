# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus' own checker: the one on PATH, or Debian's, unpacked below .cache and not installed.

``python -m tooling.promtool`` prints where it is, and fetches it before that where it is missing. No
service comes with it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".cache" / "promtool"
PACKAGES = ("promtool", "prometheus")
"""Which of Debian's packages has it: a newer release has one for it alone."""


class PromtoolError(Exception):
    """It cannot be had; the text says what to do."""


def find() -> str:
    """The program's path."""
    found = shutil.which("promtool")
    ours = HOME / "usr" / "bin" / "promtool"
    if found is None and not ours.exists():
        HOME.parent.mkdir(parents=True, exist_ok=True)
        with open(HOME.parent / "promtool.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not ours.exists():
                _fetch()
    return found or str(ours)


def _fetch() -> None:
    said = _download()
    if said:
        # A new machine has no lists of packages, and old lists name what is gone.
        subprocess.run(["apt-get", "update", "--quiet"], capture_output=True, check=False)
        said = _download()
    if said:
        raise PromtoolError(
            f"promtool is missing, and apt has not brought it: {said}. Run apt-get update, or "
            "install the package prometheus."
        )


def _download() -> str:
    """What apt complained of; nothing where the program is there now."""
    said = ""
    for package in PACKAGES:
        with tempfile.TemporaryDirectory(dir=HOME.parent, prefix="promtool-") as name:
            folder = Path(name)
            # Else apt changes to an account of its own, which may not write there.
            command = ["apt-get", "download", "--quiet", "-oAPT::Sandbox::User=root", package]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            said = done.stderr.strip() or f"no program in the package {package}"
            for archive in folder.glob("*.deb"):
                tree = folder / "tree"
                subprocess.run(["dpkg-deb", "--extract", archive, tree], check=True)
                if (tree / "usr" / "bin" / "promtool").exists():
                    shutil.rmtree(HOME, ignore_errors=True)
                    os.rename(tree, HOME)
                    return ""
    return said


if __name__ == "__main__":
    try:
        print(find())
    except PromtoolError as error:
        sys.exit(str(error))
