# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cached root filesystems: built once a recipe, as a whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from . import mirror
from .disk import remove_tree
from .process import HostError, run, say, uninterrupted
from .recipes import COMMANDS, EMPTY, FILES, LINKS, MODES, RECIPES, Recipe, fingerprint
from .state import cache_directory, hosts, locked

SCRIPTS = Path("/usr/share/debootstrap/scripts")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
JAIL = (
    *("setpriv", "--pdeathsig", "KILL", "--"),
    *("unshare", "--mount", "--propagation", "private"),
    *("--pid", "--fork", "--kill-child", "--mount-proc", "--"),
)
"""Dies with this program, and its children and mounts with it: a killed build leaves only files."""


def store() -> Path:
    return cache_directory() / "rootfs"


def recipe_of(name: str) -> Recipe:
    try:
        return RECIPES[name]
    except KeyError:
        known = ", ".join(RECIPES)
        raise HostError(f"there is no suite {name!r}: choose one of {known}") from None


def tree(name: str) -> Path:
    """Where the suite's current tree is, or would be."""
    return store() / f"{name}-{fingerprint(recipe_of(name))}"


def build(name: str, given_mirror: str | None = None) -> Path:
    """The suite's tree, made if it is missing; parallel calls wait for the first."""
    target = tree(name)
    if target.is_dir():
        return target
    with locked(store() / ".locks" / name, f"{name}: waiting for another build of it"):
        if target.is_dir():
            return target
        say(f"{name}: building {target}")
        started = time.monotonic()
        work = store() / f".build-{name}"
        # Whoever holds the lock is the only builder: what lies here, a killed build left.
        remove_tree(work)
        try:
            archive = mirror.discover(given_mirror)
            install(recipe_of(name), work, archive, store() / f"{name}.log")
            furnish(work)
            work.rename(target)
        finally:
            with uninterrupted():
                remove_tree(work)
        say(f"{name}: built in {time.monotonic() - started:.0f} s")
        remove_old(name, target)
    return target


def install(recipe: Recipe, target: Path, archive: str, log: Path) -> None:
    """debootstrap into a new folder."""
    packages = store() / ".packages"
    packages.mkdir(parents=True, exist_ok=True)
    argv = [*JAIL, "debootstrap", "--variant=minbase", f"--cache-dir={packages}"]
    argv.append(f"--include={','.join(recipe.packages)}")
    if KEYRING.exists():
        argv.append(f"--keyring={KEYRING}")
    argv += [recipe.suite, str(target), archive]
    if not (SCRIPTS / recipe.suite).exists():
        argv.append(str(SCRIPTS / "sid"))
    with log.open("w") as stream:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **mirror.proxy_environment(), "LC_ALL": "C.UTF-8"},
        )
        try:
            watch(process, log)
        finally:
            with uninterrupted():
                process.kill()
                process.wait()
    if process.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
        raise HostError(f"debootstrap failed ({process.returncode}); {log} ends with:\n{tail}")


def watch(process: subprocess.Popen[bytes], log: Path) -> None:
    """Show debootstrap's last line until it ends: in place on a terminal, else every 10 s."""
    terminal = sys.stderr.isatty()
    shown = time.monotonic()
    while True:
        try:
            process.wait(0.5)
            break
        except subprocess.TimeoutExpired:
            pass
        if terminal or time.monotonic() - shown > 10:
            shown = time.monotonic()
            line = (log.read_text(errors="replace").splitlines() or [""])[-1]
            text = f"\r\x1b[K  {line[:76]}" if terminal else f"  {line}\n"
            print(text, end="", file=sys.stderr, flush=True)
    if terminal:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def furnish(target: Path) -> None:
    """The recipe's files, links and commands."""
    for folder in EMPTY:
        for path in (target / folder).rglob("*"):
            if path.is_file() and not path.is_symlink():
                path.unlink()
    for name, text in FILES.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(MODES.get(name, 0o644))
    for name, goal in LINKS.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(goal)
    for command in COMMANDS:
        run([*JAIL, "chroot", str(target), *command])


def remove_old(name: str, current: Path) -> None:
    """Trees of older recipes, but not one that a host still stands on."""
    used = {each.rootfs for each in hosts()}
    for path in store().glob(f"{name}-????????????"):
        if path != current and str(path) not in used:
            say(f"{name}: removing the tree of an older recipe, {path.name}")
            remove_tree(path)
