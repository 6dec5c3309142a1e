# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's disk: the cached tree below, a throwaway layer above."""

from __future__ import annotations

import json
import secrets
import shutil
from pathlib import Path

from .process import HostError, run, say, succeeds
from .state import Host, boot_id, cache_directory, state_directory

NO_UPPER = {"overlay", "nfs", "nfs4", "fuse", "9p", "vfat"}
"""File systems that cannot hold an overlay's upper layer."""


def disks() -> Path:
    return cache_directory() / "hosts"


def new_path(name: str) -> str:
    """Where a new host's disk will be; never the same twice, also for the same name."""
    return str(disks() / f"{name}-{secrets.token_hex(3)}")


def mount(host: Host) -> None:
    """Make the disk and mount the overlay.

    Where the machine's own disk cannot hold an upper layer (being an overlay), that is in memory.
    """
    disk, root = Path(host.disk), Path(host.root)
    disk.mkdir(parents=True, mode=0o700)
    (disk / "owner.json").write_text(
        json.dumps({"boot": boot_id(), "state": str(state_directory()), "name": host.name})
    )
    if filesystem_of(disk) in NO_UPPER:
        run(["mount", "-t", "tmpfs", "-o", "mode=0700", f"testhost-{host.name}", str(disk)])
    for folder in (disk / "upper", disk / "work", root):
        folder.mkdir(exist_ok=True)
    layers = f"lowerdir={host.rootfs},upperdir={disk}/upper,workdir={disk}/work"
    # volatile: nothing here has to survive a real power cut, so nothing has to wait for the disk.
    command = ["mount", "-t", "overlay", f"testhost-{host.name}", str(root), "-o"]
    if not succeeds([*command, f"{layers},volatile"]):
        run([*command, layers])


def unmount(host: Host) -> None:
    """Take the disk away. Every step allows for the one before it having been done already."""
    for path in (Path(host.root), Path(host.disk)):
        while path.is_mount():
            if not succeeds(["umount", str(path)]):
                # Somebody stands in it; detach it, the kernel frees it when they leave.
                run(["umount", "--lazy", str(path)])
    remove_tree(Path(host.disk))


def sweep(known: set[str]) -> None:
    """Remove disks that no host on record has: the machine was booted while they were up."""
    for marker in disks().glob("*/owner.json"):
        disk = marker.parent
        try:
            owner = json.loads(marker.read_text())
        except (OSError, ValueError):
            continue
        mine = owner.get("state") == str(state_directory())
        nobodys = str(disk) not in known and (mine or owner.get("boot") != boot_id())
        if nobodys and not mounts_below(disk):
            say(f"removing the disk {disk.name} of a host that is gone")
            remove_tree(disk)


def remove_tree(path: Path) -> None:
    """Delete a folder, but never through a mount: that would be somebody's files."""
    if not path.exists():
        return
    below = mounts_below(path)
    if below:
        raise HostError(f"will not remove {path}: {', '.join(below)} is mounted there")
    shutil.rmtree(path)


def mounts_below(path: Path) -> list[str]:
    """Mount points at a path and under it."""
    mounts = (line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return [each for each in mounts if Path(each).is_relative_to(path)]


def filesystem_of(path: Path) -> str:
    """The type of the file system under a path, as findmnt(8) names it."""
    return run(["findmnt", "-n", "-o", "FSTYPE", "-T", str(path)]).strip().splitlines()[-1]
