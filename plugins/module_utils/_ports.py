# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who listens on which TCP port of this host, from /proc.

This module util is private to the collection.
"""

from __future__ import annotations

import ipaddress
import os
import re
import sys

_LISTEN = "0A"
"""The state TCP_LISTEN in /proc/net/tcp."""


def listeners(addresses):
    """Who is in the way of a listener: ``pid``, ``command`` and ``unit``, by port.

    ``addresses`` are the addresses to listen on by port. UDP, other network namespaces and other
    addresses of the host are in nobody's way. A socket whose process cannot be told has ``pid``
    ``None``.
    """
    sockets = {}
    for table in ("/proc/self/net/tcp", "/proc/self/net/tcp6"):
        sockets.update(_listening(table, addresses))
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


def clash(one, other):
    """Whether two sockets cannot both listen on a port: at the same address, or one at every.

    ``::`` takes IPv4 too, unless its socket was told not to, which nothing shows.
    """
    if one.is_unspecified or other.is_unspecified:
        either = one if one.is_unspecified else other
        return either.version == 6 or _plain(one).version == _plain(other).version
    return _plain(one) == _plain(other)


def _plain(address):
    """An IPv4 address that is written as one of IPv6 as itself."""
    return getattr(address, "ipv4_mapped", None) or address


def _address(text):
    """An address as the kernel's tables have it: words of four bytes in the machine's order."""
    raw = bytes.fromhex(text)
    if sys.byteorder == "little":
        raw = b"".join(raw[start : start + 4][::-1] for start in range(0, len(raw), 4))
    return ipaddress.ip_address(raw)


def _listening(table, addresses):
    """Port by inode of each socket in one of the kernel's tables that is in the way."""
    found = {}
    for line in _text(table).split("\n")[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == _LISTEN:
            where, dummy, number = fields[1].rpartition(":")
            port = int(number, 16)
            if any(
                clash(_address(where), ipaddress.ip_address(address))
                for address in addresses.get(port, ())
            ):
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
