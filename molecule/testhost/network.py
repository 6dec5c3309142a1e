# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bridge in the outer namespace, and which host has which address on it."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .process import HostError, run, succeeds
from .state import state_directory, write

BRIDGE = "onehop-br"
BRIDGE_ADDRESS = "198.18.87.1/24"
"""In the range that RFC 2544 keeps for benchmarks: no network in use has it."""
FIRST_HOST = 10
"""Hosts start at .11, so that an address tells a host from the controller at a glance."""


def free_address(interface: ipaddress.IPv4Interface, taken: Iterable[str]) -> str:
    """The lowest address of the bridge's network that no host has, with its prefix length."""
    used = {ipaddress.ip_address(each) for each in taken} | {interface.ip}
    for candidate in list(interface.network.hosts())[FIRST_HOST:]:
        if candidate not in used:
            return f"{candidate}/{interface.network.prefixlen}"
    raise HostError(
        f"no address of {interface.network} is free:"
        " take hosts down, or name a wider network with --bridge-address"
    )


def foreign_route(
    routes: Iterable[dict[str, Any]], network: ipaddress.IPv4Network, bridge: str
) -> str:
    """The route of somebody else that overlaps the bridge's network; empty where there is none."""
    for route in routes:
        destination = str(route.get("dst", "default"))
        if destination == "default" or route.get("dev") == bridge:
            continue
        found = ipaddress.ip_network(destination, strict=False)
        if found.version == 4 and found.prefixlen and found.overlaps(network):
            return f"{destination} dev {route.get('dev', route.get('type', '?'))}"
    return ""


def record_file() -> Path:
    return state_directory() / "bridge"


def interface_index(name: str) -> int | None:
    try:
        return int(Path(f"/sys/class/net/{name}/ifindex").read_text())
    except FileNotFoundError:
        return None


def recorded() -> tuple[str, int] | None:
    """Address and interface index of the bridge that this program made, None where it made none."""
    try:
        address, index = record_file().read_text().split()
    except FileNotFoundError:
        return None
    return (address, int(index)) if interface_index(BRIDGE) == int(index) else None


def ensure_bridge(wanted: str | None) -> ipaddress.IPv4Interface:
    """The bridge, made where it is missing. Under the ledger's lock."""
    present = recorded()
    if present:
        interface = ipaddress.IPv4Interface(present[0])
        if wanted and ipaddress.IPv4Interface(wanted) != interface:
            raise HostError(
                f"the bridge {BRIDGE} is up with {present[0]}: take all hosts down before {wanted}"
            )
        return interface
    if interface_index(BRIDGE) is not None:
        raise HostError(
            f"there is an interface {BRIDGE} that {record_file()} does not know: it belongs to"
            f" another ONEHOP_STATE, or it is a leftover (then `ip link delete {BRIDGE}`)"
        )
    interface = ipaddress.IPv4Interface(wanted or BRIDGE_ADDRESS)
    routes = json.loads(run(["ip", "-j", "-4", "route", "show", "table", "all"]) or "[]")
    foreign = foreign_route(routes, interface.network, BRIDGE)
    if foreign:
        raise HostError(
            f"{interface.network} is in use on this machine (route {foreign}):"
            " name another network with --bridge-address"
        )
    # No forward delay: a port forwards at once, a host is reachable as soon as it is up.
    run(["ip", "link", "add", BRIDGE, "type", "bridge", "forward_delay", "0"])
    write(record_file(), f"{interface} {interface_index(BRIDGE)}\n")
    run(["ip", "address", "add", str(interface), "dev", BRIDGE])
    run(["ip", "link", "set", BRIDGE, "up"])
    return interface


def remove_bridge() -> None:
    """The bridge goes with the last host. Under the ledger's lock."""
    if recorded():
        run(["ip", "link", "delete", BRIDGE])
    record_file().unlink(missing_ok=True)


def port_of(leader: int) -> str:
    """The outer name of a host's host0."""
    show = ["ip", "-j", "link", "show"]
    index = json.loads(run(["nsenter", "-t", str(leader), "-n", *show, "host0"]))[0]["link_index"]
    ours = {each["ifindex"]: str(each["ifname"]) for each in json.loads(run(show))}
    return ours.get(index, "")


def remove_port(name: str) -> None:
    """The veth pair goes with the host's namespace, but only when the kernel gets to it."""
    if name and Path(f"/sys/class/net/{BRIDGE}/brif/{name}").exists():
        succeeds(["ip", "link", "delete", name])
