# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes that go before their workers do, on a configuration file and without a router."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.module_utils import _router

CONFIG = {
    "models": {
        "stays": {"upstreams": [{"url": "http://127.0.0.1:1"}], "unlisted": False},
        "goes": {"upstreams": [{"url": "http://127.0.0.1:2"}], "unlisted": False},
        "loses-one": {"upstreams": [{"url": "unix:///run/a"}, {"url": "unix:///run/b"}]},
        "moves": {"upstreams": [{"url": "http://127.0.0.1:3"}]},
    },
    "port": 8080,
}
KEEP = {
    "stays": ["http://127.0.0.1:1"],
    "loses-one": ["unix:///run/b"],
    "moves": ["http://127.0.0.1:4"],
}


def down(command: list[str], **dummy: object) -> tuple[int, str, str]:
    """Stands in for a host whose router is down."""
    assert command[:2] == ["systemctl", "show"]
    return 0, "ActiveState=inactive\n", ""


def withdraw(*, check_mode: bool = False) -> dict[str, Any]:
    router = _router.Router(down, None, check_mode, "router")
    result: dict[str, Any] = router.withdraw(KEEP)
    return result


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    assert os.geteuid() == 0, "the suite runs as root, as the README says"
    monkeypatch.setattr(_router, "HOME", str(tmp_path))
    return tmp_path / "router.json"


def test_only_what_goes_is_withdrawn(path: Path) -> None:
    path.write_text(json.dumps(CONFIG))
    foretold = withdraw(check_mode=True)
    assert json.loads(path.read_text()) == CONFIG
    result = withdraw()
    assert (result["action"], result["models"]) == ("reload", ["loses-one", "moves", "stays"])
    assert foretold == result
    left = json.loads(path.read_text())["models"]
    assert left["loses-one"]["upstreams"] == [{"url": "unix:///run/b"}]
    # Its worker comes back elsewhere: until the final phase the old route is as good as none.
    assert left["moves"] == CONFIG["models"]["moves"]  # type: ignore[index]
    assert withdraw()["changed"] is False


@pytest.mark.parametrize("text", [None, "", "{"])
def test_a_router_without_a_configuration(path: Path, text: str | None) -> None:
    if text is not None:
        path.write_text(text)
    assert withdraw()["changed"] is False
