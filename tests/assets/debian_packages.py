# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetch Debian packages for a test host, which has no archive: ``debian_packages.py SUITE PACKAGE...``.

With all that they need and the suite's tree lacks, as a folder that apt takes for an archive; its path
is printed. Bind it to a host, and give apt the line ``deb [trusted=yes] file:/PLACE ./``. Kept in
``/var/cache/onehop/packages`` (``ONEHOP_CACHE``); needs ``PYTHONPATH=molecule``.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from testhost import mirror, rootfs
from testhost.disk import remove_tree
from testhost.state import cache_directory, locked


def fetch(suite: str, packages: list[str], target: Path) -> None:
    """Have apt fetch them for the tree, with lists and settings of its own."""
    tree = rootfs.build(suite)
    recipe = rootfs.recipe_of(suite)
    for folder in ("lists/partial", "cache/archives/partial"):
        (target / folder).mkdir(parents=True)
    signed = f"[signed-by={rootfs.KEYRING}] " if rootfs.KEYRING.exists() else ""
    sources = target / "sources.list"
    sources.write_text(f"deb {signed}{mirror.discover()} {recipe.suite} main\n")
    apt = [
        *("apt-get", "--quiet=2", f"-oDir::Etc::sourcelist={sources}"),
        *("-oDir::Etc::sourceparts=/dev/null", f"-oDir::State::lists={target}/lists"),
        *(f"-oDir::State::status={tree}/var/lib/dpkg/status", f"-oDir::Cache={target}/cache"),
        "-oAPT::Sandbox::User=root",
    ]
    subprocess.run([*apt, "update"], check=True, stdout=sys.stderr)
    install = [*apt, "--yes", "--no-install-recommends", "--download-only", "install", *packages]
    subprocess.run(install, check=True, stdout=sys.stderr)


def index(folder: Path) -> str:
    """What apt reads of an archive: each package's control file, with its place and hash."""
    entries = []
    for path in sorted(folder.glob("*.deb")):
        control = subprocess.run(
            ["dpkg-deb", "--field", path], check=True, capture_output=True, text=True
        ).stdout
        data = path.read_bytes()
        entries.append(
            f"{control}Filename: ./{path.name}\nSize: {len(data)}\n"
            f"SHA256: {hashlib.sha256(data).hexdigest()}\n"
        )
    return "\n".join(entries)


def kept(suite: str, packages: list[str]) -> Path:
    """The folder, made if it is missing; parallel calls wait for the first."""
    store = cache_directory() / "packages"
    recipe = repr((rootfs.tree(suite).name, sorted(packages)))
    target = store / f"{suite}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    if target.is_dir():
        return target
    with locked(store / ".locks" / suite, f"packages of {suite}: waiting for another fetch"):
        if target.is_dir():
            return target
        work = store / f".build-{suite}"
        # Whoever holds the lock is the only builder: what lies here, a killed build left.
        remove_tree(work)
        try:
            fetch(suite, packages, work)
            archives = work / "cache" / "archives"
            (archives / "Packages").write_text(index(archives))
            remove_tree(archives / "partial")
            archives.chmod(0o755)
            archives.rename(target)
        finally:
            remove_tree(work)
    return target


if __name__ == "__main__":
    print(kept(sys.argv[1], sys.argv[2:]))
