# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which host gets which address, and whose network is left alone."""

from __future__ import annotations

import ipaddress

import pytest

from testhost import network
from testhost.process import HostError

BRIDGE = ipaddress.IPv4Interface(network.BRIDGE_ADDRESS)


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ([], "198.18.87.11/24"),
        (["198.18.87.11"], "198.18.87.12/24"),
        (["198.18.87.11", "198.18.87.13"], "198.18.87.12/24"),
        (["198.18.87.12"], "198.18.87.11/24"),
    ],
)
def test_the_lowest_free_address_is_given_out(taken: list[str], expected: str) -> None:
    assert network.free_address(BRIDGE, taken) == expected


def test_the_bridge_keeps_its_own_address() -> None:
    bridge = ipaddress.IPv4Interface("198.18.87.11/24")
    assert network.free_address(bridge, []) == "198.18.87.12/24"


def test_a_full_network_says_what_to_do() -> None:
    bridge = ipaddress.IPv4Interface("198.18.87.1/28")
    taken = [f"198.18.87.{number}" for number in range(11, 15)]
    with pytest.raises(
        HostError, match=r"no address of 198\.18\.87\.0/28 is free.*take hosts down"
    ):
        network.free_address(bridge, taken)


@pytest.mark.parametrize(
    "route",
    [
        {"dst": "198.18.0.0/15", "dev": "wg0"},
        {"dst": "198.18.87.0/25", "dev": "eth1"},
        {"dst": "198.18.87.40", "dev": "eth1"},
        {"type": "blackhole", "dst": "198.18.87.0/24"},
    ],
)
def test_an_overlapping_route_of_somebody_else_is_named(route: dict[str, str]) -> None:
    found = network.foreign_route([route], BRIDGE.network, "onehop-br")
    assert found.startswith(route["dst"])
    assert found.endswith(route.get("dev", "blackhole"))


@pytest.mark.parametrize(
    "route",
    [
        {"dst": "default", "dev": "eth0"},
        {"dst": "0.0.0.0/0", "dev": "eth0"},
        {"dst": "192.0.2.0/24", "dev": "eth0"},
        {"dst": "198.18.86.0/24", "dev": "eth0"},
        {"dst": "198.18.87.0/24", "dev": "onehop-br"},
    ],
)
def test_other_routes_are_nobodys_business(route: dict[str, str]) -> None:
    assert network.foreign_route([route], BRIDGE.network, "onehop-br") == ""
