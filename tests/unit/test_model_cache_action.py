# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin of model_cache before scripted answers of its modules."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.action import model_cache as action
from ansible_collections.onehop.llm.plugins.plugin_utils._controller import Action

KEY = "a/b@main:model"
THERE = {"from": "cache", "commit": "c" * 40, "path": "/x", "file": None, "lacks": ""}
HUB = THERE | {"from": "hub", "commit": None, "path": None}


def answer(*missing: str, changed: bool = False, **more: Any) -> dict[str, Any]:
    found = {KEY: HUB if missing else THERE}
    return {"changed": changed, "missing": list(missing), "found": found, "diff": []} | more


def report(state: str, **more: Any) -> dict[str, Any]:
    told = {
        "state": state,
        "done": 6_100_000_000,
        "total": 14_200_000_000,
        "repo": "a/b",
        "said": [],
    }
    return {"changed": False, "report": told | more}


class Caching(action.ActionModule):
    """The action before the module's answers, and those of the environment's."""

    def __init__(
        self,
        answers: list[dict[str, Any]],
        check_mode: bool = False,
        made: Any = None,
        **arguments: Any,
    ) -> None:
        self._task = SimpleNamespace(args={"account": "vllm"} | arguments, check_mode=check_mode)
        self.answers = answers
        self.made = made or {"changed": True, "path": "/opt/x"}
        self.asked: list[tuple[str, str | None]] = []
        self.environments: list[dict[str, Any]] = []

    def ask(self, arguments: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        self.asked.append((arguments["phase"], arguments.get("environment")))
        return self.answers.pop(0)

    def environment(self, arguments: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        self.environments.append(arguments)
        return dict(self.made)

    def host(self, task_vars: Any) -> str:
        return "gpu1"


@pytest.fixture(autouse=True)
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    told: list[str] = []
    monkeypatch.setattr(Action, "run", lambda self, tmp, task_vars: {})
    monkeypatch.setattr(action.display, "display", told.append)
    return told


def test_what_is_there_needs_no_environment(shown: list[str]) -> None:
    caching = Caching([answer()])
    assert caching.run(None, {})["changed"] is False
    assert caching.asked == [("begin", None)] and caching.environments == [] and shown == []


def test_what_is_missing_is_fetched_and_watched(shown: list[str]) -> None:
    foretold = [{"after": "x"}]
    answers = [
        answer(KEY, changed=True, diff=foretold),
        answer(KEY, changed=True),
        report("fetching"),
        report("done"),
        answer(diff=[{"after": "y"}]),
    ]
    caching = Caching(answers, packages="host", wheelhouse=None)
    result = caching.run(None, {})
    assert caching.asked == [
        ("begin", None),
        ("begin", "/opt/x"),
        ("watch", "/opt/x"),
        ("watch", "/opt/x"),
        ("all", None),
    ]
    assert caching.environments == [{"name": "hub", "packages": "host"}]
    assert result["changed"] and result["found"][KEY] == THERE and "failed" not in result
    assert result["diff"] == [{"after": "x"}, {"after": "y"}]
    assert shown == ["  gpu1: downloading 6.1 of 14.2 GB after 0 s; a/b"]


def test_a_failure_is_told_in_the_words_of_who_fetches() -> None:
    answers = [answer(KEY), answer(KEY), report("failed", said=["a/b: is gated."])]
    result = Caching(answers).run(None, {})
    assert result["failed"] and "    a/b: is gated." in result["msg"]


def test_what_was_fetched_and_is_not_whole() -> None:
    answers = [answer(KEY), answer(KEY), report("done"), answer(KEY)]
    result = Caching(answers).run(None, {})
    assert result["failed"] and KEY in result["msg"] and "weights: engine" in result["msg"]


def test_an_environment_that_cannot_be_made() -> None:
    caching = Caching([answer(KEY)], made={"failed": True, "msg": "no Python"})
    assert caching.run(None, {})["msg"] == "no Python"


def test_a_dry_run_says_where_all_would_come_from(shown: list[str]) -> None:
    fresh = Caching([answer(KEY, changed=True)], check_mode=True)
    assert fresh.run(None, {})["changed"]
    assert fresh.asked == [("begin", None)]
    assert shown == [f"  gpu1: {KEY}: to be fetched"]
    asking = Caching(
        [answer(KEY), answer(KEY, changed=True)],
        check_mode=True,
        made={"changed": False, "path": "/e"},
    )
    assert asking.run(None, {})["changed"]
    assert asking.asked == [("begin", None), ("begin", "/e")]


def test_a_module_that_fails() -> None:
    for answers in ([{"failed": True, "msg": "x"}], [answer(KEY), {"failed": True, "msg": "x"}]):
        assert Caching(answers).run(None, {})["msg"] == "x"
    lost = [answer(KEY), answer(KEY), {"failed": True, "msg": "x"}]
    assert Caching(lost).run(None, {})["failed"]
