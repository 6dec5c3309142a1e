# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory's text: what Ansible and ssh make of it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from testhost import inventory
from testhost.state import Host


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Host:
    monkeypatch.setenv("ONEHOP_STATE", str(tmp_path))
    return Host("web", "forky", "198.18.87.11/24", "onehop-br", "/rootfs", "/disk/web-1", boot="b")


def test_each_host_has_its_variables_under_its_name(host: Host) -> None:
    lines = inventory.render([host], "admin").splitlines()
    assert lines[1:4] == ["all:", "  hosts:", "    web:"]
    pairs = dict(line.strip().split(": ", 1) for line in lines[4:])
    assert json.loads(pairs["ansible_user"]) == "admin"
    assert json.loads(pairs["ansible_host"]) == "198.18.87.11"
    assert json.loads(pairs["testhost_suite"]) == "forky"


def test_without_hosts_it_is_still_an_inventory() -> None:
    assert inventory.render([]).splitlines()[1:] == ["all:", "  hosts: {}"]


def test_ssh_gets_the_proxy_command_as_one_word(host: Host, tmp_path: Path) -> None:
    words = shlex.split(inventory.variables(host, "root")["ansible_ssh_common_args"])
    (proxy,) = [word for word in words if word.startswith("ProxyCommand=")]
    assert proxy == f"ProxyCommand=sh {tmp_path}/web.sshd"


def test_the_users_own_ssh_settings_stay_out(host: Host) -> None:
    words = shlex.split(inventory.variables(host, "root")["ansible_ssh_common_args"])
    assert words[:2] == ["-F", "none"]
    assert "UserKnownHostsFile=/dev/null" in words


def test_a_reboot_leaves_the_inventory_as_it_is(host: Host) -> None:
    before = inventory.render([host])
    host.leader = None
    assert inventory.render([host]) == before
