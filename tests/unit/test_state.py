# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a unit needs, by what runs, and how one that was told to start is doing."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from ansible_collections.onehop.llm.plugins.module_utils import _state, _systemd, _user_manager


def shown(active: str, sub: str, pid: str = "7", job: str = "0") -> dict[str, str]:
    return {"ActiveState": active, "SubState": sub, "MainPID": pid, "Job": job}


@pytest.mark.parametrize(
    ("properties", "stamp", "needs"),
    [
        (shown("active", "running"), "wanted", _state.NOTHING),
        (shown("active", "running"), "older", _state.RESTART),
        (shown("active", "running"), None, _state.RESTART),
        (shown("reloading", "reload"), "wanted", _state.NOTHING),
        (shown("activating", "start-post"), "wanted", _state.WAIT),
        (shown("activating", "start-post"), "older", _state.RESTART),
        (shown("activating", "auto-restart", "0"), None, _state.START),
        (shown("activating", "start", "0"), None, _state.RESTART),
        (shown("inactive", "dead", "0"), None, _state.START),
        (shown("failed", "failed", "0"), None, _state.START),
        (shown("deactivating", "stop-sigterm"), "wanted", _state.START),
    ],
)
def test_needed(properties: dict[str, str], stamp: str | None, needs: str) -> None:
    assert _state.needed(properties, stamp, "wanted") == needs


@pytest.mark.parametrize(
    ("properties", "stamp", "result"),
    [
        (shown("active", "running"), "wanted", _state.READY),
        (shown("active", "running", job="42"), "wanted", _state.PENDING),
        (shown("active", "running"), "older", _state.PENDING),
        (shown("activating", "start-post"), "wanted", _state.PENDING),
        (shown("inactive", "dead", "0", job="42"), None, _state.PENDING),
        (shown("inactive", "dead", "0"), None, _state.FAILED),
        (shown("failed", "failed", "0"), None, _state.FAILED),
        (shown("activating", "auto-restart", "0"), None, _state.FAILED),
        (shown("deactivating", "stop-sigterm"), "wanted", _state.PENDING),
    ],
)
def test_outcome(properties: dict[str, str], stamp: str | None, result: str) -> None:
    assert _state.outcome(properties, stamp, "wanted") == result


class Manager:
    """Stands in for systemctl: all units are as one was said to be."""

    def __init__(self, **properties: str) -> None:
        self.properties = dict.fromkeys(_systemd.PROPERTIES, "")
        self.properties |= {"ActiveState": "inactive", "MainPID": "0", "LoadState": "loaded"}
        self.properties |= {"NeedDaemonReload": "no"} | properties
        self.verbs: list[str] = []

    def run(self, command: list[str]) -> tuple[int, str, str]:
        if "show" not in command:
            self.verbs.append(" ".join(word for word in command[1:] if not word.startswith("--")))
            return 0, "", ""
        units = command[command.index("--") + 1 :]
        block = "".join(f"{name}={value}\n" for name, value in self.properties.items())
        return 0, "\n".join([block] * len(units)), ""


UNITS = [{"name": "a.service", "stamp": "x"}, {"name": "b.service", "stamp": "x"}]


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_user_manager, "runs", lambda account: account == "vllm")


@pytest.mark.usefixtures("running")
def test_a_users_manager_reads_anew_before_it_starts_anything() -> None:
    """It does not notice by itself that a Quadlet is newer than what it made of it."""
    host = Manager()
    converger = _state.Converger(_user_manager.UserSystemd(host.run, "vllm"), UNITS)
    assert converger.begin() == ["a.service", "b.service"]
    assert host.verbs == [
        "daemon-reload",
        "reset-failed a.service b.service",
        "restart a.service b.service",
    ]


@pytest.mark.usefixtures("running")
def test_a_users_manager_is_left_alone_where_nothing_is_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_state, "stamp_of", lambda pid: "x")
    host = Manager(ActiveState="active", SubState="running", MainPID="7", LoadState="not-found")
    converger = _state.Converger(_user_manager.UserSystemd(host.run, "vllm"), UNITS)
    assert converger.begin() == []
    assert host.verbs == []


@pytest.mark.parametrize(
    ("properties", "reloaded"),
    [({}, False), ({"NeedDaemonReload": "yes"}, True), ({"LoadState": "not-found"}, True)],
)
def test_the_systems_manager_knows_when_it_has_to_read(
    properties: dict[str, str], reloaded: bool
) -> None:
    host = Manager(**properties)
    _state.Converger(_systemd.Systemd(host.run), UNITS).begin()
    assert (host.verbs[0] == "daemon-reload") is reloaded
    assert host.verbs[-1] == "restart a.service b.service"


@pytest.mark.usefixtures("running")
def test_nothing_runs_where_no_manager_does() -> None:
    host = Manager(ActiveState="active")
    manager = _user_manager.UserSystemd(host.run, "not-made-yet")
    shown = manager.show(["a.service"])["a.service"]
    assert _state.needed(shown, None, "x") == _state.START
    manager.reload()
    assert host.verbs == []


def test_whether_an_accounts_manager_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whether somebody answers: its socket is still there when it has gone."""
    monkeypatch.setattr(_user_manager, "PRIVATE", f"{tmp_path}/%d")
    monkeypatch.setattr(_user_manager, "uid_of", {"vllm": 995}.get)
    assert not _user_manager.runs("vllm")
    with socket.socket(socket.AF_UNIX) as manager:
        manager.bind(f"{tmp_path}/995")
        manager.listen()
        assert _user_manager.runs("vllm")
        assert not _user_manager.runs("not-made-yet")
    assert (tmp_path / "995").exists()
    assert not _user_manager.runs("vllm")
