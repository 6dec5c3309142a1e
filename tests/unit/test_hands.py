# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hands, as far as they work without root: archives, ports, files, stamps, packages."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.module_utils import (
    _archive,
    _files,
    _owned,
    _packages,
    _ports,
    _preflight_files,
    _python,
    _router,
    _stamp,
    _systemd,
    _unit_places,
    _unit_set,
)
from ansible_collections.onehop.llm.plugins.modules import preflight


def tar(path: Path, *members: tuple[str, dict[str, object], bytes]) -> str:
    with tarfile.open(path, "w:gz") as archive:
        for name, attributes, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            for key, value in attributes.items():
                setattr(member, key, value)
            archive.addfile(member, io.BytesIO(content))
    return hashlib.sha256(path.read_bytes()).hexdigest()


PROGRAM = ("b9/bin/server", {"mode": 0o755}, b"#!/bin/sh\necho hello\n")

needs_root = pytest.mark.usefixtures("as_root")


@pytest.fixture
def as_root() -> None:
    assert os.geteuid() == 0, "the suite runs as root, as the README says"


@needs_root
def test_an_archive_is_unpacked_and_its_program_linked(tmp_path: Path) -> None:
    checksum = tar(tmp_path / "a.tgz", PROGRAM, ("b9/lib/x.so", {}, b"x"))
    home = tmp_path / "programs" / "one"
    assert not _archive.complete(str(home), "server")
    _archive.install(str(tmp_path / "a.tgz"), checksum, str(home), "server")
    assert _archive.complete(str(home), "server")
    assert os.readlink(home / "server") == "b9/bin/server"
    assert [entry.name for entry in home.parent.iterdir()] == ["one"]


@needs_root
@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([("../evil", {}, b"x")], "leads out of the directory"),
        ([("/etc/evil", {}, b"x")], "leads out of the directory"),
        ([("l", {"type": tarfile.SYMTYPE, "linkname": "/etc"}, b"")], "leads out"),
        ([("a/l", {"type": tarfile.SYMTYPE, "linkname": "../../x"}, b"")], "leads out"),
        ([("h", {"type": tarfile.LNKTYPE, "linkname": "../x"}, b"")], "leads out"),
        ([("d", {"type": tarfile.CHRTYPE}, b"")], "neither a file nor a link"),
        ([("server", {"mode": 0o644}, b"x")], "holds no program server"),
        ([], "holds no program server"),
    ],
)
def test_an_archive_that_is_not_what_it_should_be(
    tmp_path: Path, members: list[tuple[str, dict[str, object], bytes]], said: str
) -> None:
    checksum = tar(tmp_path / "a.tgz", *members)
    home = tmp_path / "programs" / "one"
    with pytest.raises(_archive.ArchiveError, match=said):
        _archive.install(str(tmp_path / "a.tgz"), checksum, str(home), "server")
    assert list(home.parent.iterdir()) == []


def test_an_archive_with_another_checksum(tmp_path: Path) -> None:
    tar(tmp_path / "a.tgz", PROGRAM)
    with pytest.raises(_archive.ArchiveError, match="its SHA-256 is"):
        _archive.install(str(tmp_path / "a.tgz"), "0" * 64, str(tmp_path / "h"), "server")


def test_what_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"<html>")
    checksum = hashlib.sha256(b"<html>").hexdigest()
    with pytest.raises(_archive.ArchiveError, match="no tar archive"):
        _archive.install(str(tmp_path / "a"), checksum, str(tmp_path / "h"), "server")


@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_a_listener_is_found_with_its_process(family: int, address: str) -> None:
    with socket.socket(family) as listener:
        listener.bind((address, 0))
        port = listener.getsockname()[1]
        assert _ports.listeners({port: [address]}) == {}
        listener.listen()
        found = _ports.listeners({port: [address], 1: [address]})
        assert list(found) == [port]
        assert found[port]["pid"] == os.getpid()
        assert found[port]["command"] == Path("/proc/self/comm").read_text().strip()


@needs_root
def test_a_file_is_compared_and_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "unit"
    file = _files.File(str(path), "text\n")
    assert file.differs()
    assert file.diff()["before"] == ""
    file.write()
    assert not file.differs()
    assert path.read_text() == "text\n"
    path.chmod(0o600)
    assert file.differs()
    assert file.diff()["before"] == "(owner or mode)\n"
    path.chmod(0o644)
    path.write_text("other\n")
    assert (file.diff()["before"], file.diff()["after"]) == ("other\n", "text\n")
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["unit"]


@needs_root
def test_a_secret_is_in_no_diff(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "key"
    file = _files.File(str(path), "hunter2", mode=0o600, secret=True)
    assert "hunter2" not in str(file.diff())
    file.write()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert "hunter2" not in str(_files.removal(str(path)))
    other = _files.File(str(path), "hunter3", mode=0o600, secret=True)
    assert "hunter" not in str(other.diff())
    assert other.diff()["before"] != other.diff()["after"]


@needs_root
def test_a_socket_goes_when_its_unit_declares_it_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_owned, "DIRECTORY", str(tmp_path / "owned"))
    monkeypatch.setattr(_stamp, "KEY", str(tmp_path / "key"))
    monkeypatch.setattr(_unit_places, "UNITS", str(tmp_path))
    path = str(tmp_path / "router.sock")

    def converge(sockets: list[str]) -> dict[str, Any]:
        unit: dict[str, Any] = {"name": "x.socket", "content": "[Socket]\n", "sockets": sockets}
        unit |= {"wanted_by": None, "stamp": None, "secrets": [], "states": [], "caches": []}
        units = _unit_set.UnitSet(
            lambda command: (0, "", ""), "router", [unit], [], [], check_mode=False
        )
        result: dict[str, Any] = units.converge()
        return result

    assert converge([path])["changed"] is True
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
    assert converge([path])["changed"] is False
    assert "(a socket)" in str(converge([])["diff"])
    assert not os.path.lexists(path)
    assert converge([])["changed"] is False


@needs_root
def test_a_stamp_over_secrets_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_owned, "DIRECTORY", str(tmp_path / "owned"))
    monkeypatch.setattr(_stamp, "KEY", str(tmp_path / "key"))
    monkeypatch.setattr(_unit_places, "UNITS", str(tmp_path))
    path, secret, source = tmp_path / "x.json", tmp_path / "secret", tmp_path / "source"
    source.write_text("one")

    def converge(content: str) -> str:
        unit: dict[str, Any] = {"name": "x.service", "content": "[Service]\n", "sockets": []}
        unit |= {"wanted_by": None, "stamp": None, "secrets": [], "states": [], "caches": []}
        file: dict[str, Any] = {"path": str(path), "content": '{"stamp": "{stamp}"}'}
        file |= {"mode": "0644", "stamp": "{stamp}", "secrets": [str(secret), str(source)]}
        given = {"path": str(secret), "content": content, "group": None, "variable": None}
        units = _unit_set.UnitSet(
            lambda command: (0, "", ""), "router", [unit], [file], [given], check_mode=False
        )
        changed = units.converge()["changed"]
        assert changed is not (units.converge()["changed"])
        assert content not in path.read_text()
        return path.read_text()

    first = converge("hunter2")
    assert "{stamp}" not in first
    second = converge("hunter3")
    source.write_text("two")
    third = converge("hunter3")
    # Whoever reads the file may have read what somebody wrote there: it has to be read again.
    secret.write_text("edited")
    fourth = converge("hunter3")
    assert len({first, second, third, fourth}) == 4


@pytest.mark.parametrize(
    ("process", "status", "control", "wanted"),
    [
        ({"ONEHOP_STAMP": "s", "ONEHOP_LISTENERS": "l"}, "{}", True, "nothing"),
        ({"ONEHOP_STAMP": "s", "ONEHOP_LISTENERS": "l"}, "config old", True, "reload"),
        ({"ONEHOP_STAMP": "old", "ONEHOP_LISTENERS": "l"}, "{}", True, "succeed"),
        ({"ONEHOP_STAMP": "old", "ONEHOP_LISTENERS": "l"}, "{}", False, "restart"),
        ({"ONEHOP_STAMP": "s", "ONEHOP_LISTENERS": "old"}, "{}", True, "start"),
    ],
)
def test_what_a_running_router_needs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    process: dict[str, str],
    status: str,
    control: bool,
    wanted: str,
) -> None:
    """By a process of ours that stands in for the router's, with its environment."""
    monkeypatch.setattr(_router, "CONTROL", str(tmp_path / "control"))
    if control:
        (tmp_path / "control").touch()
    text = status.format(_router.fingerprint(b"{}"))
    with subprocess.Popen(["sleep", "60"], env=process) as sleeper:

        def run(command: list[str]) -> tuple[int, str, str]:
            block = f"ActiveState=active\nMainPID={sleeper.pid}\nStatusText={text}\n"
            return 0, f"{block}\n{block}", ""

        router = _router.Router(run, "/nowhere", check_mode=True, instance="edge")
        while _systemd.stamp_of(str(sleeper.pid)) is None:
            time.sleep(0.01)
        try:
            assert router._needed("s", b"{}", "l") == wanted
        finally:
            sleeper.kill()


@needs_root
def test_whether_a_worker_can_read_a_file(tmp_path: Path) -> None:
    path = tmp_path / "closed" / "x.gguf"
    path.parent.mkdir()
    path.write_text("GGUF")
    for parent in [path.parent, *path.parent.parents]:
        if str(parent).startswith("/tmp/"):
            parent.chmod(0o755)
    path.chmod(0o644)
    assert _preflight_files.readable(str(path), "nobody")
    path.chmod(0o600)
    assert not _preflight_files.readable(str(path), "nobody")
    path.chmod(0o644)
    path.parent.chmod(0o700)
    assert not _preflight_files.readable(str(path), "nobody")
    need = {"path": str(path), "variable": "v", "executable": False, "reader": "nobody"}
    need["reading"] = "service"
    assert "cannot be read by the worker" in next(iter(_preflight_files.complaints([need])))
    assert list(_preflight_files.complaints([need | {"reader": None}])) == []
    ((said),) = _preflight_files.complaints([need | {"reader": "not-made-yet"}])
    assert "cannot be read by not-made-yet. Give it mode 0640" in said


def test_a_python_that_will_not_do() -> None:
    def old(command: list[str]) -> tuple[int, str, str]:
        return 0, '{"python": "3.9", "machine": "x", "tag": ""}', ""

    (said,) = preflight.pythons([{"path": "/bin/sh", "variable": "router_python"}], old)
    assert "router_python = /bin/sh is none that is new enough" in said
    assert "No Python that is new enough" in _python.complaint()


def test_a_python_to_fetch_weights_with_is_wanted_where_weights_are_missing(tmp_path: Path) -> None:
    def none(command: list[str]) -> tuple[int, str, str]:
        return 1, "", ""

    item: dict[str, Any] = {"key": "k", "repo": "a/b", "revision": "main", "kind": "model"}
    item |= {"choose": [], "optional": False}
    need: dict[str, Any] = {"path": None, "variable": "gpu_host_hub_python"}
    need |= {"purpose": "vllm_weights: is fetched", "account": "made-later"}
    need |= {"hub": str(tmp_path), "bundles": [], "items": [item]}
    (said,) = preflight.pythons([need], none)
    assert said.startswith("vllm_weights: is fetched. No Python that is new enough is on this host")
    assert said.endswith("or name one in gpu_host_hub_python.")
    place = tmp_path / "models--a--b"
    (place / "snapshots" / "c1").mkdir(parents=True)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("c1")
    for name in ("config.json", "model.safetensors"):
        (place / "snapshots" / "c1" / name).write_text("{}")
    assert list(preflight.pythons([need], none)) == []


@needs_root
def test_a_link(tmp_path: Path) -> None:
    link = _files.Link(str(tmp_path / "wants" / "x"), "../x")
    assert link.differs()
    link.write()
    assert not link.differs()
    moved = _files.Link(link.path, "../y")
    assert moved.diff()["before"] == "-> ../x\n"
    moved.write()
    assert os.readlink(link.path) == "../y"


@needs_root
def test_what_is_owned_is_remembered_until_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_owned, "DIRECTORY", str(tmp_path))
    owned = _owned.Owned("role")
    assert owned.save() is False
    owned.add("paths", ["/b", "/a"])
    owned.salts["unit"] = "x"
    assert owned.save() is True
    assert owned.save() is False
    again = _owned.Owned("role")
    assert again.things["paths"] == ["/a", "/b"]
    assert again.salts == {"unit": "x"}
    assert _owned.owners() == ["role"]
    again.drop("paths", ["/a", "/b"])
    assert again.save() is True
    assert _owned.owners() == []


def test_whose_file_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_owned, "DIRECTORY", str(tmp_path / "owned"))
    owned = _owned.Owned("role")
    unit = tmp_path / "x.service"
    assert not _owned.foreign(str(unit), owned)
    unit.write_text("[Service]\n")
    assert _owned.foreign(str(unit), owned)
    unit.write_bytes(b"# " + _owned.MARK + b": change the inventory.\n")
    assert not _owned.foreign(str(unit), owned)
    unit.write_text("edited")
    owned.add("paths", [str(unit)])
    assert not _owned.foreign(str(unit), owned)


def test_a_stamp_is_another_for_other_texts_secrets_or_hosts() -> None:
    stamps = {
        _stamp.stamp(key, texts, secrets)
        for key in (b"a" * 32, b"b" * 32)
        for texts in (["x", "y"], ["xy", ""])
        for secrets in ([], [("k", b"1")], [("k", b"2")], [("kk", b"1")])
    }
    # Without a secret the key does not enter it.
    assert len(stamps) == 14
    assert all(len(stamp) == 32 for stamp in stamps)


def test_the_stamp_of_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess

    with subprocess.Popen(["sleep", "60"], env={_systemd.STAMP: "abc", "OTHER": "x"}) as process:
        # The environment of the new program shows once exec has happened.
        while _systemd.stamp_of(str(process.pid), "OTHER") != "x":
            pass
        assert _systemd.stamp_of(str(process.pid)) == "abc"
        assert abs((_systemd.started_at(process.pid) or 0) - _now()) < 60
        process.kill()
    assert _systemd.stamp_of("0") is None
    assert _systemd.stamp_of(str(process.pid)) is None


def _now() -> float:
    import time

    return time.time()


class Host:
    """Stands in for a host's shell: answers what a test has written down, and remembers."""

    def __init__(self, answer: Callable[[list[str]], tuple[int, str, str]]) -> None:
        self.answer = answer
        self.asked: list[list[str]] = []

    def run(self, command: list[str], **dummy: object) -> tuple[int, str, str]:
        self.asked.append(command)
        return self.answer(command)


def manager(program: str) -> _packages.Manager:
    return next(row for row in _packages.MANAGERS if row.program == program)


def test_a_package_that_was_removed_but_not_purged_is_not_installed() -> None:
    host = Host(lambda command: (0, "deinstall ok config-files", ""))
    assert not manager("apt-get").has(host.run, "x")
    host = Host(lambda command: (0, "install ok installed", ""))
    assert manager("apt-get").has(host.run, "x")


def test_the_package_lists_are_read_anew_only_when_needed() -> None:
    tried = iter([100, 0, 0])
    host = Host(lambda command: (next(tried), "", "not found"))
    assert manager("apt-get").install(host.run, "x") == ""
    assert [command[1] for command in host.asked] == ["install", "update", "install"]


def test_what_the_package_manager_said_is_told() -> None:
    host = Host(lambda command: (1, "", "nothing provides x"))
    assert "nothing provides x" in manager("dnf").install(host.run, "x")
    assert len(host.asked) == 1
