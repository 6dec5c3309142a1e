# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each command of the command line does."""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from collections.abc import Sequence

from . import checks, inside, inventory, lifecycle, rootfs, state
from .process import HostError, Interrupted, say, uninterrupted
from .state import Host

STOP_SECONDS = 10
"""How long `run` waits for an interrupted command before it kills it."""


def wish(args: argparse.Namespace, owner_pid: int | None) -> lifecycle.Wish:
    return lifecycle.Wish(
        names=args.names,
        suite=args.suite,
        binds=args.bind_ro,
        bridge_address=args.bridge_address,
        owner_pid=owner_pid,
        mirror=args.mirror,
        timeout=args.timeout,
    )


def build(suites: Sequence[str], mirror: str | None) -> None:
    checks.require()
    for suite in suites:
        print(rootfs.build(suite, mirror))


def up(asked: lifecycle.Wish) -> None:
    for host in lifecycle.up(asked):
        print(f"{host.name}\t{host.ip}\t{host.suite}\ttesthost exec {host.name} -- bash")


def down(names: Sequence[str], everything: bool, grace: float) -> None:
    """Hosts that are not there are down already."""
    checks.require()
    if not names and not everything:
        raise HostError("which hosts? Name them, or say --all")
    known = {host.name: host for host in state.hosts()}
    wanted = known if everything else dict.fromkeys(names)
    lifecycle.take_down_together([known[name] for name in wanted if name in known], grace)
    if everything:
        lifecycle.sweep_all()


def power_off(names: Sequence[str], grace: float) -> None:
    for host in [state.host(name) for name in names]:
        lifecycle.power_off(host, grace)
        say(f"{host.name}: off")


def boot(names: Sequence[str], timeout: float) -> None:
    checks.require()
    for host in [state.host(name) for name in names]:
        lifecycle.boot(host, timeout)


def listing() -> list[dict[str, str]]:
    return [
        {
            "name": host.name,
            "suite": host.suite,
            "status": host.shown_status(),
            "address": host.ip,
            "leader": str(host.leader.pid) if host.leader and host.running() else "",
            "owner": str(host.owner.pid) if host.owner else "",
        }
        for host in state.hosts()
    ]


def table(rows: Sequence[dict[str, str]]) -> str:
    if not rows:
        return "no test hosts"
    columns = list(rows[0])
    lines = [columns, *([row[column] or "-" for column in columns] for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    padded = (
        [cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines
    )
    return "\n".join("  ".join(cells).rstrip() for cells in padded)


def execute(name: str, command: Sequence[str], user: str) -> None:
    """Become the command; a terminal stays a terminal."""
    host = state.host(name)
    argv = inside.argv_in(host, command or ["bash"], user)
    inside.join(host)
    os.execvp(argv[0], argv)


def inventory_text(names: Sequence[str], user: str) -> str:
    return inventory.render([state.host(name) for name in names] if names else state.hosts(), user)


def address(name: str) -> str:
    return state.host(name).ip


def run(asked: lifecycle.Wish, command: Sequence[str], user: str) -> int:
    """Hosts for the time of one command."""
    if not command:
        raise HostError("run what? Write the command after --")
    made: list[Host] = lifecycle.up(asked)
    try:
        folder = state.state_directory()
        with tempfile.NamedTemporaryFile("w", dir=folder, prefix="run-", suffix=".yml") as file:
            file.write(inventory.render(made, user))
            file.flush()
            return call(command, {**os.environ, "TESTHOST_INVENTORY": file.name})
    finally:
        with uninterrupted():
            lifecycle.take_down_together(made, grace=STOP_SECONDS / 2)


def call(command: Sequence[str], environment: dict[str, str]) -> int:
    """Run a command to its end; pass a signal on to it and wait, so that the hosts outlive it."""
    try:
        child = subprocess.Popen(command, env=environment)
    except FileNotFoundError:
        raise HostError(f"there is no command {command[0]!r}") from None
    try:
        status = child.wait()
    except Interrupted as interrupted:
        child.send_signal(interrupted.signum)
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        raise
    return status if status >= 0 else 128 - status
