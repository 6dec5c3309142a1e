# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this program has made, written down before it is made: nothing else is its to remove."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .process import HostError, Process, say


def state_directory() -> Path:
    return Path(os.environ.get("ONEHOP_STATE", "/run/onehop-testhost"))


def cache_directory() -> Path:
    return Path(os.environ.get("ONEHOP_CACHE", "/var/cache/onehop"))


def boot_id() -> str:
    """Changes when the machine boots: every pid and mount of an older one is gone then."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@dataclass
class Host:
    """One test host, as its state file has it."""

    name: str
    suite: str
    address: str
    """With its prefix length: 198.18.87.11/24."""
    bridge: str
    rootfs: str
    """The cached tree: the overlay's lower layer."""
    disk: str
    """Holds the overlay's upper layer; removed with the host."""
    boot: str = field(default_factory=boot_id)
    status: str = "starting"
    """starting, running or off."""
    cgroup: str = ""
    """Made by this program; empty under systemd, whose scope has its own."""
    veth: str = ""
    """The host's port of the bridge."""
    binds: list[str] = field(default_factory=list)
    """SRC:DST, read-only inside."""
    creator: Process | None = None
    """The process that is bringing it up, until all hosts of that call are up."""
    owner: Process | None = None
    """The host is to go when this process has gone."""
    nspawn: Process | None = None
    leader: Process | None = None
    """The host's own PID 1, seen from outside."""

    @property
    def root(self) -> str:
        """Where the overlay is mounted."""
        return f"{self.disk}/root"

    @property
    def machine(self) -> str:
        """The name for nspawn, as unique as the disk's: two state folders may both have a `web`."""
        return Path(self.disk).name

    @property
    def unit(self) -> str:
        """The name of its cgroup or scope."""
        return f"onehop-testhost-{self.machine}"

    @property
    def ip(self) -> str:
        return self.address.partition("/")[0]

    @property
    def file(self) -> Path:
        return state_directory() / f"{self.name}.json"

    @property
    def door(self) -> Path:
        """A script that starts one sshd inside: an inventory that names it outlives a reboot."""
        return state_directory() / f"{self.name}.sshd"

    @property
    def console(self) -> Path:
        return state_directory() / f"{self.name}.console"

    def running(self) -> bool:
        return self.nspawn is not None and self.nspawn.alive()

    def shown_status(self) -> str:
        """The recorded status, held against the processes: a host may have powered itself off."""
        return "off" if self.status == "running" and not self.running() else self.status

    def save(self) -> None:
        write(self.file, json.dumps(asdict(self), indent=1))


def from_record(record: dict[str, Any]) -> Host:
    """A host from its state file's JSON."""
    values = dict(record)
    for key in ("creator", "owner", "nspawn", "leader"):
        values[key] = Process(**values[key]) if values.get(key) else None
    return Host(**values)


def leftover(host: Host, current_boot: str) -> str:
    """Why this host is nobody's any more; empty where it is somebody's."""
    if host.boot != current_boot:
        return "the machine was booted since"
    if host.owner and not host.owner.alive():
        return f"its owner, process {host.owner.pid}, is gone"
    if host.creator and not host.creator.alive():
        return "its start was cut off"
    return ""


def write(path: Path, text: str) -> None:
    """Replace a file as a whole, readable by root only."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w") as stream:
        stream.write(text)
    temporary.replace(path)


def read(path: Path) -> dict[str, Any] | None:
    """A state file's JSON, None where there is none."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return found


def hosts() -> list[Host]:
    """Every host on record, by name."""
    paths = sorted(state_directory().glob("*.json"))
    return [from_record(found) for path in paths if (found := read(path))]


def host(name: str) -> Host:
    """The host of this name."""
    found = read(state_directory() / f"{name}.json")
    if not found:
        known = ", ".join(each.name for each in hosts()) or "none"
        raise HostError(f"there is no test host {name!r} (known: {known})")
    return from_record(found)


@contextlib.contextmanager
def locked(path: Path, waiting: str = "") -> Iterator[None]:
    """Alone in here among all who lock this folder; the kernel lets go when a process dies.

    What is said while somebody else is in here can be given.
    """
    while True:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if waiting:
                    say(waiting)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            # The last host takes its folder with it: whoever waited then holds a lock on nothing.
            if not path.exists() or not os.path.samestat(os.fstat(descriptor), path.stat()):
                continue
            yield
            return
        finally:
            os.close(descriptor)


def ledger() -> contextlib.AbstractContextManager[None]:
    """The state folder, alone: addresses and the bridge are given out and taken back here."""
    return locked(state_directory())
