# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a host is, and whether its records can be trusted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from testhost import state
from testhost.process import HostError, Process
from testhost.state import Host, from_record, leftover


def myself() -> Process:
    found = Process.of(os.getpid())
    assert found
    return found


GONE = Process(pid=os.getpid(), start=1)
"""The pid is in use, by a process that began at another time."""


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Host:
    monkeypatch.setenv("ONEHOP_STATE", str(tmp_path))
    return Host(
        "web", "trixie", "198.18.87.11/24", "onehop-br", "/rootfs", "/disk/web-1", boot="b1"
    )


def test_a_record_survives_its_file(host: Host) -> None:
    host.owner, host.leader, host.binds = myself(), myself(), ["/a:/b"]
    host.save()
    assert state.host("web") == host
    assert state.hosts() == [host]
    assert host.file.stat().st_mode & 0o777 == 0o600


def test_an_unknown_host_is_refused_with_the_known_ones(host: Host) -> None:
    host.save()
    with pytest.raises(HostError, match=r"no test host 'db' \(known: web\)"):
        state.host("db")


def test_a_record_is_plain_json(host: Host) -> None:
    record = json.loads(json.dumps(asdict(replace(host, nspawn=myself()))))
    assert from_record(record) == replace(host, nspawn=myself())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"boot": "b0"}, "booted"),
        ({"owner": GONE, "status": "running"}, "owner"),
        ({"creator": GONE}, "cut off"),
        ({"creator": GONE, "status": "running"}, "cut off"),
    ],
)
def test_nobodys_hosts_are_recognised(host: Host, changes: dict[str, Any], reason: str) -> None:
    assert reason in leftover(replace(host, **changes), "b1")


@pytest.mark.parametrize("status", ["starting", "running", "off"])
def test_somebodys_hosts_are_left_alone(host: Host, status: str) -> None:
    kept = replace(host, status=status, creator=myself(), owner=myself())
    assert leftover(kept, "b1") == ""
    assert leftover(replace(kept, creator=None, owner=None, status="running"), "b1") == ""


def test_a_host_that_powered_itself_off_is_shown_as_off(host: Host) -> None:
    assert replace(host, status="running", nspawn=myself()).shown_status() == "running"
    assert replace(host, status="running", nspawn=GONE).shown_status() == "off"


def test_a_process_is_told_from_another_with_its_pid() -> None:
    assert myself().alive()
    assert not GONE.alive()
    assert not GONE.signal(0)
    assert GONE.wait(0)


def test_a_zombie_is_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    try:
        assert Process.of(child.pid) is None
    finally:
        child.wait()


def test_a_lock_on_a_folder_that_was_removed_is_taken_anew(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with state.locked(folder):
        folder.rmdir()
    with state.locked(folder):
        assert folder.is_dir()
