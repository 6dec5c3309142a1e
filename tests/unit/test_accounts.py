# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts that run containers, their directories, and what they need of Podman and the host."""

from __future__ import annotations

import builtins
import grp
import io
import os
import pwd
import shutil
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.module_utils import (
    _accounts,
    _files,
    _packages,
    _podman,
    _ports,
    _preflight_files,
)

needs_root = pytest.mark.usefixtures("as_root")


@pytest.fixture
def as_root() -> None:
    assert os.geteuid() == 0, "the suite runs as root, as the README says"


def have(
    monkeypatch: pytest.MonkeyPatch, users: dict[str, int], groups: dict[str, int], home: str = "/"
) -> None:
    """Give the host these accounts and groups, and no others."""
    entries = {
        name: pwd.struct_passwd((name, "x", uid, uid, "", home, "/bin/sh"))
        for name, uid in users.items()
    }
    found = [grp.struct_group((name, "x", gid, [])) for name, gid in groups.items()]
    monkeypatch.setattr(pwd, "getpwall", lambda: list(entries.values()))
    monkeypatch.setattr(pwd, "getpwnam", entries.__getitem__)
    monkeypatch.setattr(grp, "getgrall", lambda: found)


@pytest.mark.parametrize(
    ("defs", "users", "groups", "number"),
    [
        ("", {}, {}, 999),
        ("", {"a": 999}, {"b": 998}, 997),
        ("SYS_UID_MAX 499\n", {"a": 999}, {}, 499),
        ("#SYS_UID_MAX 499\n", {}, {}, 999),
        ("SYS_UID_MIN 998\n", {"a": 999}, {}, 998),
    ],
)
def test_a_free_system_id(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    defs: str,
    users: dict[str, int],
    groups: dict[str, int],
    number: int,
) -> None:
    (tmp_path / "login.defs").write_text(defs)
    monkeypatch.setattr(_accounts, "LOGIN_DEFS", str(tmp_path / "login.defs"))
    have(monkeypatch, users, groups)
    assert _accounts.free_id() == number


def test_no_free_system_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "login.defs").write_text("SYS_UID_MIN 998\nSYS_UID_MAX 999\n")
    monkeypatch.setattr(_accounts, "LOGIN_DEFS", str(tmp_path / "login.defs"))
    have(monkeypatch, {"a": 999}, {"b": 998})
    with pytest.raises(_accounts.AccountError, match="No system uid from 998 to 999 is free"):
        _accounts.free_id()


def test_an_account_is_made_as_it_is_declared() -> None:
    asked: list[list[str]] = []

    def run(command: list[str]) -> tuple[int, str, str]:
        asked.append(command)
        return 0, "", ""

    accounts = _accounts.Accounts(run)
    accounts.add_group("llm", 995)
    accounts.add_user("vllm", "llm", "OneHop", 996, "/var/lib/vllm")
    accounts.add_user("router", "router", "OneHop")
    assert asked[0] == ["groupadd", "--system", "--gid", "995", "llm"]
    made = " ".join(asked[1])
    assert made.startswith("useradd --system --gid llm --uid 996 --home-dir /var/lib/vllm ")
    assert "--no-create-home --shell /usr/sbin/nologin" in made
    assert "--uid" not in asked[2]
    assert "/nonexistent" in asked[2]


def account(**more: Any) -> dict[str, Any]:
    declared = {"name": "vllm", "group": "vllm", "uid": None, "gid": None, "managed": True}
    return {"variable": "vllm", "container": declared | more}


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        (account(), []),
        (account(uid=995, gid=994), []),
        (
            account(uid=1000),
            ["vllm_uid = 1000: belongs to ann. Write a free one, or leave it out."],
        ),
        (
            account(uid=990),
            ["vllm_uid = 990: vllm has 995 on this host. Write that, or leave it out."],
        ),
        (
            account(gid=1001),
            ["vllm_gid = 1001: belongs to staff. Write a free one, or leave it out."],
        ),
        (
            account(gid=990),
            ["vllm_gid = 990: vllm has 994 on this host. Write that, or leave it out."],
        ),
        # One that would be made.
        (account(name="new", group="new", uid=990, gid=990), []),
        (
            account(name="new", group="new", uid=995),
            ["vllm_uid = 995: belongs to vllm. Write a free one, or leave it out."],
        ),
        (account(name="ann", group="staff", managed=False), []),
        (
            account(name="sue", managed=False),
            [
                "vllm_user = sue: is no account of this host, and one of that name is for you to "
                "make. Make it first, or write vllm, which the role makes."
            ],
        ),
        (
            account(name="toor", managed=False),
            ["vllm_user = toor: is root, by its uid. Name another account."],
        ),
    ],
)
def test_an_account_that_is_not_as_declared(
    monkeypatch: pytest.MonkeyPatch, declared: dict[str, Any], said: list[str]
) -> None:
    users = {"root": 0, "toor": 0, "vllm": 995, "ann": 1000}
    have(monkeypatch, users, {"vllm": 994, "staff": 1001})
    assert list(_accounts.complaints([declared])) == said


def test_an_account_of_somebody_without_a_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    have(monkeypatch, {"ann": 1000}, {}, home=str(tmp_path / "gone"))
    (said,) = _accounts.complaints([account(name="ann", managed=False)])
    assert f"its home {tmp_path / 'gone'} is not there" in said
    assert list(_accounts.complaints([account(name="ann")])) == []


@needs_root
def test_a_directory_is_given_its_owner_and_mode(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    directory = _files.Directory(str(path), 0o2750, "nobody", "adm")
    assert directory.differs()
    assert directory.diff()["before"] == ""
    assert directory.diff()["after"] == "(directory of nobody:adm, 2750)\n"
    directory.write()
    assert not directory.differs()
    state = path.stat()
    assert (state.st_mode & 0o7777, state.st_uid) == (0o2750, pwd.getpwnam("nobody").pw_uid)
    assert state.st_gid == grp.getgrnam("adm").gr_gid
    # What stands above it is everybody's to pass.
    assert path.parent.stat().st_mode & 0o777 == 0o755
    (path / "kept").write_text("x")
    for wrong in (
        _files.Directory(str(path), 0o750, "nobody", "adm"),
        _files.Directory(str(path), 0o2750, "daemon", "adm"),
        _files.Directory(str(path), 0o2750, "nobody", "daemon"),
    ):
        assert wrong.differs()
        assert wrong.diff()["before"] != wrong.diff()["after"]
        wrong.write()
        assert not wrong.differs()
        directory.write()
    assert (path / "kept").read_text() == "x"


@needs_root
@pytest.mark.parametrize("kind", ["link", "lost link", "file"])
def test_what_lies_in_a_directorys_place(tmp_path: Path, kind: str) -> None:
    """A link is not followed: it could lead the account's secrets elsewhere."""
    path, other = tmp_path / "d", tmp_path / "other"
    other.mkdir(mode=0o700)
    if kind == "file":
        path.write_text("x")
        path.chmod(0o700)
    else:
        path.symlink_to(other if kind == "link" else "nowhere")
    directory = _files.Directory(str(path), 0o700)
    assert directory.differs()
    assert directory.diff()["before"] == "(no directory)\n"
    directory.write()
    assert not directory.differs()
    assert path.is_dir() and not path.is_symlink()
    assert other.is_dir()


@needs_root
def test_what_the_accounts_own_group_can_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker of the system has the workers' group, a container its account's."""
    path = tmp_path / "vllm.env"
    path.write_text("A=1\n")
    for parent in path.parents:
        if str(parent).startswith("/tmp/"):
            parent.chmod(0o755)
    monkeypatch.setattr(_preflight_files, "WORKERS", "adm")
    path.chmod(0o640)
    monkeypatch.setattr(os, "getgrouplist", lambda dummy, gid: [gid, grp.getgrnam("tape").gr_gid])
    for group, who in (
        ("daemon", ["service", "account", "container"]),
        ("tape", ["service", "account"]),
        ("adm", ["service"]),
        ("bin", []),
    ):
        os.chown(path, 0, grp.getgrnam(group).gr_gid)
        for reading in ("service", "account", "container"):
            assert _preflight_files.readable(str(path), "daemon", reading) is (reading in who), (
                reading
            )


@needs_root
def test_podman_goes_through_directories_with_all_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it mounts has to be open to the container, which has the account's primary group."""
    tape = grp.getgrnam("tape").gr_gid
    monkeypatch.setattr(os, "getgrouplist", lambda dummy, gid: [gid, tape])
    model = tmp_path / "models" / "m"
    model.mkdir(parents=True)
    for parent in model.parents:
        if str(parent).startswith("/tmp/"):
            parent.chmod(0o755)
    os.chown(model.parent, 0, tape)
    model.parent.chmod(0o750)
    model.chmod(0o755)
    assert _preflight_files.readable(str(model), "daemon", "container")
    model.chmod(0o744)
    assert not _preflight_files.readable(str(model), "daemon", "container")
    os.chown(model, pwd.getpwnam("daemon").pw_uid, 0)
    assert _preflight_files.readable(str(model), "daemon", "container")


def answering(status: int, out: str) -> Any:
    return lambda command, **dummy: (status, out, "")


def test_the_version_of_podman(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: f"/usr/bin/{program}")
    assert _podman.version(answering(0, "podman version 5.4.2\n")) == "5.4.2"
    assert _podman.version(answering(0, "podman version 5.6.0-rc1\n")) == "5.6.0"
    assert _podman.version(answering(125, "5.4.2")) is None
    assert _podman.version(answering(0, "what")) is None


def test_a_host_without_podman_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ansible ends a module that asks for a program which is not there."""

    def run(command: list[str]) -> Any:
        raise AssertionError(command)

    monkeypatch.setattr(shutil, "which", lambda program: None)
    assert _podman.version(run) is None


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (None, "vllm_models: needs Podman, and the host neither has it nor knows a package of it"),
        ("4.3.1", "Podman 4.6 or newer, whose Quadlet runs containers of an account, and the"),
        ("4.5", "the host has 4.5"),
        ("4.6.0", ""),
        ("4.10", ""),
        ("5", ""),
        ("5.4.2", ""),
    ],
)
def test_a_podman_that_will_not_do(
    monkeypatch: pytest.MonkeyPatch, found: str | None, said: str
) -> None:
    monkeypatch.setattr(os.path, "exists", lambda path: True)
    sentences = _podman.complaints([{"variable": "vllm_models"}], found)
    assert len(sentences) == (1 if said else 0)
    assert said in "".join(sentences)
    assert _podman.complaints([], found) == []


def test_control_groups_of_version_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "exists", lambda path: False)
    (said,) = _podman.complaints([{"variable": "vllm_models"}], "5.4.2")
    assert "vllm_models: needs control groups of version 2" in said


MOUNTS = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:30 / /var/lib rw shared:2 master:3 - xfs /dev/sdb rw
31 30 0:31 / /var/lib/vllm rw - nfs4 nas:/x rw
32 22 0:32 / /srv/my\040models\134x rw - cifs //nas/y rw
33 22 0:33 / /mnt/twice rw - ext4 /dev/sdc rw
34 22 0:34 / /mnt/twice rw - 9p share rw
"""


@pytest.fixture
def mounts(monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(path: str, *words: Any, **more: Any) -> Any:
        if path == "/proc/self/mountinfo":
            return io.StringIO(MOUNTS)
        return builtins.open(path, *words, **more)

    monkeypatch.setattr(_podman, "open", fake, raising=False)


@pytest.mark.usefixtures("mounts")
@pytest.mark.parametrize(
    ("path", "kind", "mounted"),
    [
        ("/etc", "ext4", "/"),
        ("/", "ext4", "/"),
        ("/var/lib/sglang", "xfs", "/var/lib"),
        ("/var/library", "ext4", "/"),
        ("/var/lib/vllm", "nfs4", "/var/lib/vllm"),
        ("/var/lib/vllm/storage", "nfs4", "/var/lib/vllm"),
        ("/var/lib/vllm2", "xfs", "/var/lib"),
        ("/srv/my models\\x/a", "cifs", "/srv/my models\\x"),
        ("/mnt/twice", "9p", "/mnt/twice"),
    ],
)
def test_the_file_system_of_a_path(path: str, kind: str, mounted: str) -> None:
    assert _podman.file_system(path) == (kind, mounted)


@pytest.mark.usefixtures("mounts")
def test_a_home_that_cannot_hold_images() -> None:
    def need(home: str, managed: bool = True) -> dict[str, Any]:
        return {"variable": "vllm", "container": {"home": home, "managed": managed}}

    (said,) = _podman.storage_complaints([need("/var/lib/vllm")])
    assert said.startswith("vllm_data_dir = /var/lib/vllm: lies on /var/lib/vllm (nfs4), which")
    fine = [need("/var/lib/x"), need("/var/lib/vllm", managed=False)]
    assert _podman.storage_complaints([*fine, {"variable": "x", "container": None}]) == []


CANDIDATES = [
    (
        "apt-get",
        "podman:\n  Installed: 5.4.2+ds1-2+b1\n  Candidate: 5.4.2+ds1-2+b1\n  Version table:\n"
        " *** 5.4.2+ds1-2+b1 500\n        500 http://mirror.example/debian trixie/main amd64 "
        "Packages\n        100 /var/lib/dpkg/status\n",
        "5.4.2",
    ),
    (
        "apt-get",
        "podman:\n  Installed: (none)\n  Candidate: 3:4.9.3+ds1-1ubuntu0.2\n  Version table:\n"
        "     3:4.9.3+ds1-1ubuntu0.2 500\n",
        "4.9.3",
    ),
    (
        "apt-get",
        "podman:\n  Installed: (none)\n  Candidate: (none)\n  Version table:\n"
        "     4.3.1+ds1-8 -1\n        100 /var/lib/dpkg/status\n",
        None,
    ),
    ("apt-get", "", None),
    (
        "dnf",
        "Available Packages\nName         : podman\nEpoch        : 6\nVersion      : 5.4.0\n"
        "Release      : 1.el10\nArchitecture : x86_64\nSize         : 16 M\n"
        "Source       : podman-5.4.0-1.el10.src.rpm\nRepository   : appstream\n"
        "Summary      : Manage Pods, Containers and Container Images\n",
        "5.4.0",
    ),
    (
        "zypper",
        "Loading repository data...\nReading installed packages...\n\n\n"
        "Information for package podman:\n-------------------------------\n"
        "Repository     : Main Repository (OSS)\nName           : podman\n"
        "Version        : 5.4.2-1.1\nArch           : x86_64\n",
        "5.4.2",
    ),
    (
        "pacman",
        "Repository      : extra\nName            : podman\nVersion         : 5.6.1-1\n"
        "Description     : Tool and library for running OCI-based containers in pods\n",
        "5.6.1",
    ),
]


@pytest.mark.parametrize(("program", "out", "version"), CANDIDATES)
def test_the_version_that_would_be_installed(program: str, out: str, version: str | None) -> None:
    row = next(row for row in _packages.MANAGERS if row.program == program)
    assert row.candidate(answering(0, out), "podman") == version
    assert row.candidate(answering(1, out), "podman") is None


@pytest.mark.parametrize(
    ("groups", "unit"),
    [
        # What publishes a rootless container's port, as Podman 5.4 puts it.
        (
            "0::/user.slice/user-995.slice/user@995.service/app.slice/vllm-alpha.service/runtime\n",
            "vllm-alpha.service",
        ),
        (
            "0::/user.slice/user-995.slice/user@995.service/app.slice/vllm-alpha.service/"
            "libpod-payload-0123\n",
            "vllm-alpha.service",
        ),
        ("0::/system.slice/llama-cpp-b.service\n", "llama-cpp-b.service"),
        ("0::/user.slice/user-0.slice/session-2.scope\n", "session-2.scope"),
        (
            "3:cpu,cpuacct:/\n2:devices:/system.slice/llama-cpp-b.service\n"
            "1:name=systemd:/system.slice/llama-cpp-b.service\n",
            "llama-cpp-b.service",
        ),
        ("12:pids:/\n0::/init.scope\n", "init.scope"),
        # Both versions at once: a controller's group may be further up.
        (
            "3:pids:/user.slice/user-995.slice/user@995.service\n"
            "1:name=systemd:/user.slice/user-995.slice/user@995.service/a.slice/vllm-a.service\n"
            "0::/user.slice/user-995.slice/user@995.service/a.slice/vllm-a.service\n",
            "vllm-a.service",
        ),
        (
            "3:pids:/user.slice/user-995.slice/user@995.service\n"
            "1:name=systemd:/user.slice/user-995.slice/user@995.service/a.slice/vllm-a.service\n",
            "vllm-a.service",
        ),
        ("0::/\n", ""),
        ("", ""),
    ],
)
def test_the_unit_of_a_process(monkeypatch: pytest.MonkeyPatch, groups: str, unit: str) -> None:
    asked = {"/proc/7/cgroup": groups}
    monkeypatch.setattr(_ports, "_text", asked.__getitem__)
    assert _ports.unit_of("7") == unit
