# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a unit needs, by what runs, and how one that was told to start is doing."""

from __future__ import annotations

import pytest

from ansible_collections.onehop.llm.plugins.module_utils import _state


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
