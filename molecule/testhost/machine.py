# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boot a host's disk with systemd-nspawn and shut it down again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import uuid
from pathlib import Path

from . import cgroup, inside, network
from .process import HostError, Process, run, say, succeeds, uninterrupted
from .state import Host, state_directory

POWEROFF = signal.SIGRTMIN + 4
"""Asks systemd as PID 1 for poweroff.target, systemd(1)."""


def key_file() -> Path:
    return state_directory() / "ssh_key"


def make_key() -> None:
    """One throwaway key for all hosts of this state folder. Under the ledger's lock."""
    if not key_file().exists():
        options = ["-q", "-t", "ed25519", "-C", "onehop-testhost", "-N", ""]
        run(["ssh-keygen", *options, "-f", str(key_file())])


def provision(host: Host) -> None:
    """What makes this host itself: its names, its address, who may come in."""
    root = Path(host.root)
    (root / "etc/hostname").write_text(f"{host.name}\n")
    (root / "etc/hosts").write_text(f"127.0.0.1 localhost\n::1 localhost\n{host.ip} {host.name}\n")
    (root / "etc/testhost.env").write_text(f"TESTHOST_ADDRESS={host.address}\n")
    # With an empty machine-id this would be a first boot, at which systemd applies its presets.
    if not (root / "etc/machine-id").exists() or len((root / "etc/machine-id").read_text()) < 32:
        (root / "etc/machine-id").write_text(f"{uuid.uuid4().hex}\n")
    public = key_file().with_suffix(".pub").read_text()
    for home in ("root", "home/admin"):
        owner = (root / home).stat()
        folder = root / home / ".ssh"
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / "authorized_keys").write_text(public)
        for path in (folder, folder / "authorized_keys"):
            os.chown(path, owner.st_uid, owner.st_gid)


def nspawn_argv(host: Host) -> list[str]:
    """The recipe; each option stands for something that failed without it."""
    argv = [
        *("systemd-nspawn", "--quiet", "-D", host.root, "-b", "--register=no", "--keep-unit"),
        "--capability=all",
        # crun makes a session keyring; systemd loads BPF programs for its units' firewalls.
        "--system-call-filter=@keyring bpf",
        f"--network-bridge={host.bridge}",
        *(f"--machine={host.machine}", f"--hostname={host.name}"),
        *("--resolv-conf=off", "--timezone=off", "--link-journal=no"),
    ]
    return argv + [f"--bind-ro={each}" for each in host.binds]


def start(host: Host) -> None:
    """Start nspawn in a cgroup of its own; does not wait for the boot."""
    argv, enter = nspawn_argv(host), None
    if cgroup.systemd_is_pid_1():
        scope = [f"--unit={host.unit}.scope", "--property=Delegate=yes"]
        argv = ["systemd-run", "--scope", "--quiet", "--collect", *scope, "--", *argv]
    else:
        host.cgroup = cgroup.make(host.unit)
        if host.cgroup.startswith(str(cgroup.private_mount())):
            # nspawn looks for it in one place only; give it one there that nobody else sees.
            mount_there = 'mount -t cgroup2 none /sys/fs/cgroup && exec "$@"'
            argv = [
                "unshare",
                "--mount",
                "--propagation",
                "slave",
                "sh",
                "-c",
                mount_there,
                "sh",
                *argv,
            ]

        def enter() -> None:
            cgroup.enter(host.cgroup)

    host.save()
    with host.console.open("wb") as console, uninterrupted():
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=enter,
            # A clean unified tree inside, also where the machine runs a hybrid layout.
            env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
        )
        host.nspawn = Process.of(child.pid)
        host.save()


def leader_of(nspawn: Process) -> Process | None:
    """The host's PID 1: the child of nspawn that is the first process of a PID namespace."""
    for children in Path(f"/proc/{nspawn.pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for pid in children.read_text().split():
                status = Path(f"/proc/{pid}/status").read_text()
                levels = next(
                    line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")
                )
                if len(levels) > 1 and levels[-1] == "1":
                    return Process.of(int(pid))
    return None


def wait(host: Host, seconds: float) -> str:
    """Wait until the host is up; running or degraded, as systemctl(1) says."""
    began = shown = time.monotonic()
    state = "waiting for systemd"
    while time.monotonic() - began < seconds:
        if not host.running() or not host.nspawn:
            raise HostError(f"{host.name} ended while it booted\n{last_words(host)}")
        host.leader = host.leader or leader_of(host.nspawn)
        if host.leader and Path(f"/proc/{host.leader.pid}/root/run/systemd/private").exists():
            state = inside.call(host, ["systemctl", "is-system-running"]).stdout.strip() or state
            if state in ("running", "degraded"):
                host.veth = network.port_of(host.leader.pid)
                host.status = "running"
                inside.write_door(host)
                host.save()
                return state
        if time.monotonic() - shown > 5:
            shown = time.monotonic()
            say(f"{host.name}: {state} after {shown - began:.0f} s{jobs(host)}")
        time.sleep(0.1)
    raise HostError(f"{host.name} is not up after {seconds:.0f} s ({state})\n{last_words(host)}")


def jobs(host: Host) -> str:
    """What systemd is busy with."""
    if not host.leader:
        return ""
    listed = inside.call(host, ["systemctl", "list-jobs", "--no-legend", "--plain"]).stdout
    running = [line.split()[1] for line in listed.splitlines() if line.split()[-1:] == ["running"]]
    return f", waiting for {', '.join(running)}" if running else ""


def last_words(host: Host) -> str:
    """The journal's end where the host still answers, else the console's."""
    lines: list[str] = []
    if host.leader and host.leader.alive():
        lines = inside.call(
            host, ["journalctl", "--no-pager", "-n", "30", "-o", "short-monotonic"]
        ).stdout.splitlines()
    if not lines and host.console.exists():
        lines = host.console.read_text(errors="replace").splitlines()[-30:]
    return "\n".join(f"  {line}" for line in lines)


def ask_off(host: Host) -> None:
    """Begin a shutdown, without waiting for it."""
    if host.running() and host.leader:
        host.leader.signal(POWEROFF)


def stop(host: Host, grace: float) -> None:
    """Shut down within so many seconds, then cut the power. With 0 it is cut at once."""
    if host.nspawn and host.nspawn.alive():
        leader = host.leader or leader_of(host.nspawn)
        if grace and leader and leader.signal(POWEROFF) and not host.nspawn.wait(grace):
            say(f"{host.name}: still shutting down, cutting its power")
        for process in (leader, host.nspawn):
            if process:
                # The kernel ends the whole PID namespace with its first process.
                process.signal(signal.SIGKILL)
        if not host.nspawn.wait(10):
            raise HostError(f"{host.name}: process {host.nspawn.pid} survived SIGKILL")
    if host.leader:
        host.leader.wait(10)
    if host.cgroup:
        cgroup.remove(host.cgroup)
    elif cgroup.systemd_is_pid_1():
        succeeds(["systemctl", "stop", f"{host.unit}.scope"])
    network.remove_port(host.veth)
    host.door.unlink(missing_ok=True)
    forget_runtime(host)
    host.status, host.nspawn, host.leader, host.veth, host.cgroup = "off", None, None, "", ""


def forget_runtime(host: Host) -> None:
    """What an nspawn leaves behind when it is killed; its place depends on systemd's version."""
    runtime, name = Path("/run/systemd/nspawn"), host.machine
    for place in (f"propagate/{name}", f"unix-export/{name}", f"{name}/unix-export", name):
        path = runtime / place
        if path.is_mount():
            succeeds(["umount", "--lazy", str(path)])
        with contextlib.suppress(OSError):
            path.rmdir()
    # The lock of the tree is named by its inode, which only says ours while the tree is mounted.
    if Path(host.root).is_mount():
        root = Path(host.root).stat()
        (runtime / "locks" / f"inode-{root.st_dev}:{root.st_ino}").unlink(missing_ok=True)
