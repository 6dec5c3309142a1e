# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's life: up, off, on again, down. Whatever is begun is either finished or taken back."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from . import cgroup, checks, disk, machine, network, rootfs
from .process import HostError, Process, say, uninterrupted
from .state import Host, boot_id, from_record, hosts, ledger, leftover, read, state_directory

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?")


@dataclass(frozen=True)
class Wish:
    """What `up` was asked for."""

    names: Sequence[str]
    """NAME or NAME@SUITE."""
    suite: str = "trixie"
    binds: Sequence[str] = ()
    bridge_address: str | None = None
    owner_pid: int | None = None
    mirror: str | None = None
    timeout: float = 90

    def pairs(self) -> list[tuple[str, str]]:
        """Name and suite of each host."""
        found = []
        for each in self.names:
            name, dummy, suite = each.partition("@")
            if not NAME.fullmatch(name):
                raise HostError(
                    f"{name!r} cannot be a host's name: write lower-case letters, digits, hyphens"
                )
            rootfs.recipe_of(suite or self.suite)
            found.append((name, suite or self.suite))
        return found


def check_binds(binds: Sequence[str]) -> None:
    for each in binds:
        source, dummy, target = each.partition(":")
        if not (source.startswith("/") and target.startswith("/")):
            raise HostError(f"--bind-ro {each}: write SRC:DST with two absolute paths")
        if not os.path.exists(source):
            raise HostError(f"--bind-ro {each}: {source} does not exist")


def up(wish: Wish) -> list[Host]:
    """Build what is missing, make and boot the hosts side by side, wait for all of them."""
    pairs = wish.pairs()
    check_binds(wish.binds)
    checks.require()
    owner = None
    if wish.owner_pid is not None:
        owner = Process.of(wish.owner_pid)
        if not owner:
            raise HostError(f"--owner-pid {wish.owner_pid}: there is no such process")
    for suite in dict.fromkeys(suite for dummy, suite in pairs):
        rootfs.build(suite, wish.mirror)
    sweep()
    made: list[Host] = []
    began = time.monotonic()
    try:
        for name, suite in pairs:
            record(name, suite, wish, owner, made)
        for host in made:
            disk.mount(host)
            machine.provision(host)
            machine.start(host)
        for host in made:
            announce(host, machine.wait(host, wish.timeout), began)
        for host in made:
            host.creator = None
            host.save()
    except BaseException:
        with uninterrupted():
            for host in made:
                take_down(host, grace=0)
            with ledger():
                leave()
        raise
    return made


def announce(host: Host, status: str, began: float) -> None:
    seconds = time.monotonic() - began
    say(f"{host.name}: {status} after {seconds:.1f} s ({host.suite}, {host.ip})")


def record(name: str, suite: str, wish: Wish, owner: Process | None, made: list[Host]) -> None:
    """Give a host its place: written down before anything of it exists."""
    with ledger():
        others = hosts()
        present = next((each for each in others if each.name == name), None)
        if present:
            status = present.shown_status()
            raise HostError(f"the host {name} exists ({status}): `testhost down {name}` first")
        disk.sweep({each.disk for each in others})
        bridge = network.ensure_bridge(wish.bridge_address)
        machine.make_key()
        host = Host(
            name=name,
            suite=suite,
            address=network.free_address(bridge, [each.ip for each in others]),
            bridge=network.BRIDGE,
            rootfs=str(rootfs.tree(suite)),
            disk=disk.new_path(name),
            binds=list(wish.binds),
            creator=Process.of(os.getpid()),
            owner=owner,
        )
        made.append(host)
        host.save()


def boot(host: Host, timeout: float = 90) -> None:
    """Boot a host that is off from the disk it has."""
    if host.running():
        raise HostError(f"the host {host.name} is running")
    machine.stop(host, grace=0)
    began = time.monotonic()
    try:
        machine.start(host)
        announce(host, machine.wait(host, timeout), began)
    except BaseException:
        with uninterrupted():
            power_off(host, grace=0)
        raise


def power_off(host: Host, grace: float) -> None:
    """End the host's processes and keep its disk."""
    machine.stop(host, grace)
    host.save()


def take_down(host: Host, grace: float) -> None:
    """Remove a host and everything that was made for it; the last one takes the bridge along."""
    machine.stop(host, grace)
    disk.unmount(host)
    with ledger():
        present = read(host.file)
        # Somebody else may have taken it down meanwhile, and made another of the same name.
        if present and from_record(present).disk == host.disk:
            # A name has no dot, so these are this host's files only.
            for path in state_directory().glob(f"{host.name}.*"):
                path.unlink(missing_ok=True)
        leave()


def take_down_together(those: Sequence[Host], grace: float) -> None:
    """Remove hosts that all begin to shut down now. One that fails does not keep the others up."""
    deadline = time.monotonic() + grace
    failures = []
    if grace:
        for host in those:
            machine.ask_off(host)
    for host in those:
        try:
            # Never 0 where a grace was given: that would cut the power without having asked.
            take_down(host, max(deadline - time.monotonic(), 0.01) if grace else 0)
            say(f"{host.name}: down")
        except (HostError, OSError) as error:
            failures.append(f"{host.name}: {error}")
    if failures:
        raise HostError("; ".join(failures))


def leave() -> None:
    """Without hosts nothing remains. Under the ledger's lock."""
    if hosts():
        return
    network.remove_bridge()
    cgroup.remove_private_mount()
    # An inventory of `run` is still there when that was killed.
    inventories = state_directory().glob("run-*.yml")
    for path in (machine.key_file(), machine.key_file().with_suffix(".pub"), *inventories):
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        state_directory().rmdir()


def sweep() -> None:
    """Take down what nobody owns any more."""
    for host in hosts():
        reason = leftover(host, boot_id())
        if reason:
            say(f"removing {host.name}: {reason}")
            if host.boot != boot_id():
                # Its pids mean other processes now; its interface and cgroup are gone.
                host.nspawn = host.leader = None
                host.cgroup = host.veth = ""
            take_down(host, grace=0)


def sweep_all() -> None:
    """What `down --all` removes besides hosts: a bridge or a disk without one."""
    sweep()
    with ledger():
        disk.sweep({each.disk for each in hosts()})
        leave()
