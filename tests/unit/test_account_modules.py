# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of modules that make accounts, their managers, logins and images ready."""

from __future__ import annotations

import base64
import io
import json
import os
import pwd
import resource
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.action import container_image as action
from ansible_collections.onehop.llm.plugins.module_utils import _files, _owned
from ansible_collections.onehop.llm.plugins.modules import (
    container_image,
    linger,
    system_account,
)
from ansible_collections.onehop.llm.plugins.plugin_utils._controller import Action

needs_root = pytest.mark.usefixtures("as_root")


@pytest.fixture
def as_root() -> None:
    assert os.geteuid() == 0, "the suite runs as root, as the README says"


@pytest.mark.parametrize(
    ("given", "add_user", "add_group", "found"),
    [
        ({"user": "new"}, True, True, (777, 777)),
        ({"user": "new", "uid": 5}, True, True, (5, 777)),
        ({"user": "new", "uid": 5, "gid": 6}, True, True, (5, 6)),
        ({"user": "new"}, True, False, (777, None)),
        # One that is there keeps what it has, and only the group is made.
        ({"user": "daemon", "uid": 5}, False, True, (pwd.getpwnam("daemon").pw_uid, 777)),
        ({"user": "daemon"}, False, False, (pwd.getpwnam("daemon").pw_uid, None)),
        ({"user": "somebodys-that-is-missing"}, False, False, (None, None)),
        # Without a home the host's tools may choose.
        ({"user": "new", "home": None}, True, True, (None, None)),
        ({"user": None, "home": None}, False, True, (None, None)),
    ],
)
def test_the_ids_that_an_account_gets(
    monkeypatch: pytest.MonkeyPatch,
    given: dict[str, Any],
    add_user: bool,
    add_group: bool,
    found: tuple[int | None, int | None],
) -> None:
    monkeypatch.setattr(system_account, "free_id", lambda: 777)
    whole = {"uid": None, "gid": None, "home": "/var/lib/new"} | given
    assert system_account.ids(whole, add_user, add_group) == found


@needs_root
def test_what_another_account_had_is_handed_over(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("x")
    home = tmp_path / "cache"
    (home / "deep").mkdir(parents=True)
    (home / "deep" / "weights").write_text("x")
    (home / "link").symlink_to(elsewhere)
    system_account.hand_over(str(home), "daemon")
    uid = pwd.getpwnam("daemon").pw_uid
    for path in (home / "deep", home / "deep" / "weights", home / "link"):
        assert path.lstat().st_uid == uid
    # A link is given away, and not what it leads to.
    assert elsewhere.stat().st_uid == 0


def test_the_limits_of_a_process() -> None:
    """The hard ones: a worker may raise the others itself."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (4096, 8192))

    with subprocess.Popen(["sleep", "60"], preexec_fn=limit) as process:
        assert linger.limits(str(process.pid)) == (200, 8192)
        process.kill()
    assert linger.limits("0") is None


def test_no_limit_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "Limit                     Soft Limit           Hard Limit           Units     \n"
        "Max locked memory         8388608              unlimited            bytes     \n"
        "Max open files            1024                 1048576              files     \n"
    )
    monkeypatch.setattr(linger, "open", lambda path: io.StringIO(text), raising=False)
    assert linger.limits("7") == (1048576, None)


def test_whether_a_process_is_older_than_a_file(tmp_path: Path) -> None:
    path = tmp_path / "x.conf"
    assert linger.older(str(os.getpid()), str(path))
    path.write_text("")
    os.utime(path, (0, 0))
    assert not linger.older(str(os.getpid()), str(path))
    os.utime(path, (2**33, 2**33))
    assert linger.older(str(os.getpid()), str(path))


def logins(monkeypatch: pytest.MonkeyPatch, place: Path, registries: Any) -> Any:
    monkeypatch.setattr(container_image, "LOGINS", f"{place}/credentials/%s")
    params = {"owner": "vllm_account", "account": "vllm", "group": "adm", "registries": registries}
    return container_image.logins_of(SimpleNamespace(params=params))


@needs_root
def test_logins_come_and_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_owned, "DIRECTORY", str(tmp_path / "owned"))
    given = {"docker.io": {"username": "ann", "password": "hunter2:x"}}
    made = logins(monkeypatch, tmp_path, given)
    shown = str([thing.diff() for thing in made])
    assert base64.b64encode(b"ann:hunter2:x").decode() not in shown
    container_image.write(made, _owned.Owned("vllm_account"))
    file = tmp_path / "credentials" / "vllm_account" / "registries.json"
    kept = json.loads(file.read_text())["auths"]["docker.io"]["auth"]
    assert base64.b64decode(kept) == b"ann:hunter2:x"
    # Podman reads it as the account, and nobody else does.
    state, above = file.stat(), file.parent.stat()
    assert (state.st_mode & 0o777, _files.group_name(state.st_gid)) == (0o640, "adm")
    assert (above.st_mode & 0o777, _files.group_name(above.st_gid)) == (0o750, "adm")
    assert file.parent.parent.stat().st_mode & 0o777 == 0o711
    assert not [thing for thing in logins(monkeypatch, tmp_path, given) if thing.differs()]

    assert logins(monkeypatch, tmp_path, {}) == []
    container_image.write([], _owned.Owned("vllm_account"))
    assert not file.parent.exists()
    assert _owned.Owned("vllm_account").things["paths"] == []


class Images:
    """Stands in for an account's images: how each look at one finds it."""

    def __init__(self, **states: list[str]) -> None:
        self.states = states

    def look(self, reference: str, archive: str | None) -> dict[str, Any]:
        assert archive == ("/srv/a.tar" if reference == "a" else None)
        return {"state": self.states[reference].pop(0), "said": [], "bytes": 0}


def test_images_are_looked_at_until_each_is_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    found = Images(a=["done"], b=["fetching", "failed"], c=["fetching", "fetching", "done"])
    reports = container_image.watch(found, ["a", "b", "c"], {"a": "/srv/a.tar"}, 1000)
    assert {name: one["state"] for name, one in reports.items()} == {
        "a": "done",
        "b": "failed",
        "c": "done",
    }


def test_images_are_looked_at_no_longer_than_that() -> None:
    reports = container_image.watch(Images(b=["fetching"]), ["b"], {}, -1)
    assert reports["b"]["state"] == "fetching"


def report(state: str, *said: str) -> dict[str, Any]:
    return {"state": state, "said": list(said), "bytes": 0}


class Fetching(action.ActionModule):
    """The action plugin before scripted answers of its module."""

    def __init__(self, check_mode: bool, answers: list[dict[str, Any]], **arguments: Any) -> None:
        self._task = SimpleNamespace(args={"account": "vllm"} | arguments, check_mode=check_mode)
        self.answers = answers
        self.asked: list[str] = []

    def ask(self, arguments: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        self.asked.append(arguments["phase"])
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


def begun() -> dict[str, Any]:
    return {"changed": True, "images": {}, "reports": {"a": report("fetching")}}


def test_images_are_begun_once_and_watched_until_they_are_there(plain: list[str]) -> None:
    answers = [
        begun(),
        {"images": {}, "reports": {"a": report("fetching", "Copying blob")}},
        # It came between two looks, so the module has nothing to report any more.
        {"images": {"a": "0123"}, "reports": {}},
    ]
    fetching = Fetching(False, answers)
    result = fetching.run(None, {})
    assert fetching.asked == ["begin", "watch", "watch"]
    assert (result["changed"], result["images"]) == (True, {"a": "0123"})
    assert "failed" not in result
    (said,) = plain
    assert said == "  gpu1: a: pulling (0 s)"


def test_images_that_are_all_there() -> None:
    fetching = Fetching(False, [{"changed": False, "images": {"a": "0"}, "reports": {}}])
    assert fetching.run(None, {})["changed"] is False
    assert fetching.asked == ["begin"]


def test_images_in_check_mode() -> None:
    fetching = Fetching(True, [begun()])
    assert fetching.run(None, {})["changed"] is True
    assert fetching.asked == ["begin"]


def test_every_image_that_failed_is_told() -> None:
    reports = {"a": report("failed", "unauthorized"), "b": report("failed", "manifest unknown")}
    both = {"images": {}, "reports": reports}
    result = Fetching(False, [begun(), both]).run(None, {})
    assert result["failed"] is True
    said = result["msg"].split("\n")
    assert [line for line in said if "unauthorized" in line]
    assert [line for line in said if "manifest unknown" in line]


def test_images_that_take_too_long() -> None:
    slow = {"images": {}, "reports": {"a": report("fetching", "Copying blob")}}
    fetching = Fetching(False, [begun(), slow], timeout="-1")
    result = fetching.run(None, {})
    assert result["failed"] is True
    assert result["msg"].startswith("a could not be fetched")
    assert fetching.asked == ["begin", "watch"]
