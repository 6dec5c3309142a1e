# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The task that waits for workers: what it shows meanwhile, and what it leaves behind."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.action import worker_state as action
from ansible_collections.onehop.llm.plugins.plugin_utils._controller import Action

UNIT = "vllm-alpha.service"


class Waiting(action.ActionModule):
    """The action plugin before scripted answers of its module."""

    def __init__(self, answers: list[dict[str, Any]], **arguments: Any) -> None:
        units = [{"name": UNIT, "stamp": "x"}]
        self._task = SimpleNamespace(args={"units": units} | arguments, check_mode=False)
        self.answers = answers

    def ask(self, arguments: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        return self.answers.pop(0)

    def argument(self, name: str, default: Any = None) -> Any:
        return self._task.args.get(name, default)

    def host(self, task_vars: Any) -> str:
        return "gpu1"


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    shown: list[str] = []
    monkeypatch.setattr(Action, "run", lambda self, tmp, task_vars: {})
    monkeypatch.setattr(action.display, "display", shown.append)
    return shown


def looked(outcome: str, *journal: str) -> dict[str, Any]:
    report: dict[str, Any] = {
        "outcome": outcome,
        "state": "activating (start-post)",
        "result": "exit-code",
    }
    report |= {"exit_status": 1, "main_pid": 7, "seconds": 12, "journal": list(journal)}
    return {"reports": {UNIT: report}}


BEGUN = {"changed": True, "started": [UNIT]}
LOADING = "Loading safetensors checkpoint shards:  62% Completed | 5/8 [00:22<00:12,  1.78it/s]"


def test_it_shows_how_far_it_is_and_only_news(plain: list[str]) -> None:
    answers = [BEGUN, looked("pending", LOADING), looked("pending", LOADING), looked("ready")]
    result = Waiting(answers).run(None, {})
    assert (result["changed"], result["failed"], result["unready"]) == (True, False, [])
    assert plain == [
        "  gpu1: 0 of 1 ready; vllm-alpha: loading weights 62 % (5 of 8), 12 s left (12 s)"
    ]


def test_one_that_fails_is_explained_once_and_its_long_journal_is_not_kept() -> None:
    noise = [f"something {number}" for number in range(300)]
    words = [LOADING, "RuntimeError: Failed to infer device type", *noise]
    result = Waiting([BEGUN, looked("failed", *words)]).run(None, {})
    assert result["failed"]
    assert "It was loading weights 62 % (5 of 8), 12 s after its start." in result["msg"]
    assert "the engine sees no GPU" in result["msg"]
    assert len(result["reports"][UNIT]["journal"]) == 15


def test_a_later_task_may_fail_with_it() -> None:
    result = Waiting([BEGUN, looked("failed", "x")], fail=False).run(None, {})
    assert not result["failed"]
    assert result["unready"][0].startswith(f"{UNIT} is not ready")


def test_one_that_takes_longer_than_the_task_may() -> None:
    result = Waiting([BEGUN, looked("pending", LOADING)], timeout=0).run(None, {})
    assert result["failed"]
    assert "vllm_models.alpha.start_timeout says how long it may take" in result["msg"]
