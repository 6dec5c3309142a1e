# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who listens on which TCP port of this host, from /proc.

This module util is private to the collection.
"""

from __future__ import annotations

import os
import re

_LISTEN = "0A"
"""The state TCP_LISTEN in /proc/net/tcp."""


def listeners(ports):
    """For each of ``ports`` that somebody listens on: ``pid``, ``command`` and ``unit``.

    A socket whose process cannot be told has ``pid`` ``None``.
    """
    sockets = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        sockets.update(_listening(table, ports))
    found: dict = {port: {"pid": None, "command": "?", "unit": ""} for port in sockets.values()}
    for pid in (name for name in os.listdir("/proc") if name.isdigit()) if sockets else ():
        for inode in _sockets_of(pid):
            if inode in sockets:
                found[sockets[inode]] = {
                    "pid": int(pid),
                    "command": _text("/proc/%s/comm" % pid).strip(),
                    "unit": unit_of(pid),
                }
    return found


def _listening(table, ports):
    """Port by inode of each listening socket in one of the kernel's tables."""
    found = {}
    for line in _text(table).split("\n")[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == _LISTEN:
            port = int(fields[1].rpartition(":")[2], 16)
            if port in ports:
                found[fields[9]] = port
    return found


def _sockets_of(pid):
    directory = "/proc/%s/fd" % pid
    try:
        names = os.listdir(directory)
    except OSError:
        return
    for name in names:
        try:
            target = os.readlink(os.path.join(directory, name))
        except OSError:
            continue
        found = re.match(r"socket:\[(\d+)\]$", target)
        if found:
            yield found.group(1)


def unit_of(pid):
    """The innermost unit that a process belongs to, from its control group.

    Podman makes groups of its own below a container's unit.
    """
    for line in sorted(_text("/proc/%s/cgroup" % pid).split("\n"), key=_rank):
        for name in reversed(line.split("/")):
            if name.endswith((".service", ".scope")):
                return name
    return ""


def _rank(line):
    """systemd's own hierarchy first: in others, where there are such, a process may lie higher up."""
    return (not line.startswith("0::"), ":name=systemd:" not in line)


def _text(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""
