# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of the checkout: only the files that belong to the project, in the place where Ansible's own tools want them.

ansible-test insists on a folder ansible_collections/onehop/llm that is its own git repository, and walks all of it; so it
gets a copy without .venv and .cache. The copy is kept between runs and brought up to date.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tooling.steps import CACHE, ROOT, Log, call

SANITY = CACHE / "sanity"
SANITY_COLLECTION = SANITY / "ansible_collections" / "onehop" / "llm"

_KEPT = {".git", ".ansible", "tests/output"}
"""What tools write into the copy, and what is of use in the next run."""


def project_files() -> list[Path]:
    """All files that git would not ignore, tracked or not; also where the checkout is an unpacked archive without .git.

    An empty repository of our own beside the work tree answers it, so the index of the real one is never touched.
    """
    listing = CACHE / "listing.git"
    if not listing.exists():
        subprocess.run(["git", "init", "--quiet", "--bare", listing], check=True)
    answer = subprocess.run(
        [
            "git",
            "--git-dir",
            listing,
            "--work-tree",
            ROOT,
            "ls-files",
            "--others",
            "--exclude-standard",
            "-z",
        ],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    return sorted(Path(os.fsdecode(name)) for name in answer.stdout.split(b"\0") if name)


def copy_project(log: Log, to: Path = SANITY_COLLECTION) -> Path:
    """Brings the copy to the checkout's state: same files, nothing else, all of them known to its own git."""
    wanted = {
        path for path in project_files() if (ROOT / path).is_file() and not path.name.endswith("/")
    }
    to.mkdir(parents=True, exist_ok=True)
    for folder, folders, files in os.walk(to):
        here = Path(folder).relative_to(to)
        folders[:] = [name for name in folders if str(here / name) not in _KEPT]
        for name in files:
            if here / name not in wanted:
                (to / here / name).unlink()
    for path in sorted(wanted):
        source, target = ROOT / path, to / path
        if target.is_file() and not _differs(source, target):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)
    _remove_empty_folders(to)
    if not (to / ".git").exists():
        call(log, ["git", "init", "--quiet", "."], cwd=to)
    call(log, ["git", "add", "--all", "."], cwd=to)
    return to


def _differs(source: Path, target: Path) -> bool:
    one, other = source.lstat(), target.lstat()
    return (one.st_size, one.st_mtime_ns, one.st_mode) != (
        other.st_size,
        other.st_mtime_ns,
        other.st_mode,
    )


def _remove_empty_folders(top: Path) -> None:
    for folder, _folders, _files in os.walk(top, topdown=False):
        here = Path(folder)
        if (
            not _KEPT & set(here.relative_to(top).parts[:1])
            and here != top
            and not any(here.iterdir())
        ):
            here.rmdir()
