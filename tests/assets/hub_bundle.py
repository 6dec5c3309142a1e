# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a repository as a cache of the Hugging Face hub has it: ``hub_bundle.py FOLDER ORG/NAME HUB``.

What HUB then holds is what an operator brings to a host without internet: blobs named by their
SHA-256, a snapshot of links to them, and ``main`` that leads to it. The commit's name is made from
the files, so the same files give the same bundle.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

COMMIT = 40
"""Digits of a commit's name."""


def write(folder: Path, repo: str, hub: Path) -> str:
    """Copy the files of a folder into the hub's layout; the commit's name."""
    place = hub / f"models--{repo.replace('/', '--')}"
    files = {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    names = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    commit = hashlib.sha256(repr(sorted(names.items())).encode()).hexdigest()[:COMMIT]
    for name, content in files.items():
        blob = place / "blobs" / names[name]
        link = place / "snapshots" / commit / name
        blob.parent.mkdir(parents=True, exist_ok=True)
        link.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(content)
        link.unlink(missing_ok=True)
        link.symlink_to(Path(*[".."] * (len(name.parts) + 1), "blobs", names[name]))
    (place / "refs").mkdir(exist_ok=True)
    (place / "refs" / "main").write_text(commit, encoding="utf-8")
    return commit


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("repo")
    parser.add_argument("hub", type=Path)
    given = parser.parse_args()
    print(write(given.folder, given.repo, given.hub))


if __name__ == "__main__":
    main()
