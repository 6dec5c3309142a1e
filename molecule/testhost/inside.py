# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands in a running host's namespaces."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from . import cgroup, process
from .process import HostError
from .state import Host, write

NAMESPACES = ("-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w")
"""nsenter(1): all of a host's namespaces (it has no user namespace), its root, its folder."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# The user manager's folder, where there is one, so that `systemctl --user` and podman find it.
AS_USER = 'test -d "/run/user/$(id -u)" && export XDG_RUNTIME_DIR="/run/user/$(id -u)"; exec "$@"'


def argv_in(host: Host, command: Sequence[str], user: str = "root") -> list[str]:
    """The command line that runs a command inside, with a clean environment."""
    if not host.leader or not host.leader.alive():
        raise HostError(
            f"the host {host.name} is {host.shown_status()}: `testhost boot {host.name}`"
        )
    clean = [
        "env",
        "-i",
        f"PATH={PATH}",
        "LANG=C.UTF-8",
        "TERM=dumb",
        f"USER={user}",
        f"LOGNAME={user}",
    ]
    entered = ["nsenter", "-t", str(host.leader.pid), *NAMESPACES, *clean]
    if user == "root":
        return [*entered, "HOME=/root", *command]
    return [*entered, "runuser", "-u", user, "--", "sh", "-c", f"cd; {AS_USER}", "sh", *command]


def join(host: Host) -> None:
    """Move this process to the cgroup of the host's PID 1.

    nsenter(1) does not: the host's logind could not tell where a caller from outside belongs
    (EUNATCH), and where cgroup2 is mounted with nsdelegate no session could be made for it.
    """
    if host.leader:
        cgroup.enter(cgroup.of(host.leader.pid))


def write_door(host: Host) -> None:
    """The script that ssh starts as its proxy; for the time of one boot."""
    if host.leader:
        entered = " ".join(["nsenter", "-t", str(host.leader.pid), *NAMESPACES])
        joined = f"echo $$ > '{cgroup.of(host.leader.pid)}/cgroup.procs'"
        write(
            host.door, f"# One sshd in {host.name}.\n{joined}\nexec {entered} /usr/sbin/sshd -i\n"
        )


def call(
    host: Host, command: Sequence[str], timeout: float = 20
) -> subprocess.CompletedProcess[str]:
    """Run a command as root inside; its output and status, whatever it is."""
    argv = argv_in(host, command)
    try:
        return process.call(argv, timeout)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(argv, 124, "", f"no answer within {timeout:.0f} s")
