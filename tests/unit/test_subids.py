# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Subordinate ids: read, given out, and written under the lock that useradd takes."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.module_utils import _accounts, _subids

ENTRIES = [
    pwd.struct_passwd((name, "x", uid, uid, "", "/", "/bin/sh"))
    for name, uid in [("root", 0), ("vllm", 995), ("ann", 1000), ("far", 300000), ("nobody", 65534)]
]
Host = Callable[..., dict[str, Path]]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host with the accounts above: its files are made by their texts."""

    def by_name(name: str) -> pwd.struct_passwd:
        for entry in ENTRIES:
            if entry.pw_name == name:
                return entry
        raise KeyError(name)

    files = {
        "uid": tmp_path / "subuid",
        "gid": tmp_path / "subgid",
        "defs": tmp_path / "login.defs",
        "nsswitch": tmp_path / "nsswitch.conf",
        "lock": tmp_path / ".pwd.lock",
    }
    monkeypatch.setattr(_subids, "FILES", {kind: str(files[kind]) for kind in ("uid", "gid")})
    monkeypatch.setattr(_subids, "LOCK", str(files["lock"]))
    monkeypatch.setattr(_subids, "NSSWITCH", str(files["nsswitch"]))
    monkeypatch.setattr(_accounts, "LOGIN_DEFS", str(files["defs"]))
    monkeypatch.setattr(pwd, "getpwall", lambda: ENTRIES)
    monkeypatch.setattr(pwd, "getpwnam", by_name)

    def make(**texts: str) -> dict[str, Path]:
        for name, text in texts.items():
            files[name].write_text(text)
        return files

    return make


def line(*words: Any) -> str:
    return ":".join(map(str, words)) + "\n"


def test_lines_that_are_none_are_left_out(host: Host) -> None:
    text = "# a comment\n\nann:100000:65536\n995:165536:65536  \nann:x:1\n:1:2\nann:1\n#a:1:2\na:b:1:2\n"
    files = host(uid=text)
    assert [tuple(item) for item in _subids.ranges(str(files["uid"]))] == [
        ("ann", 100000, 65536),
        ("995", 165536, 65536),
    ]
    assert _subids.ranges(str(files["gid"])) == []


def test_a_user_is_called_by_name_or_by_uid(host: Host) -> None:
    files = host(uid=line("995", 1, 2) + line("vllm", 3, 4) + line("1000", 5, 6))
    known = _subids.ranges(str(files["uid"]))
    assert [item.start for item in _subids.of("vllm", known)] == [1, 3]
    assert [item.start for item in _subids.others("vllm", known)] == [5]
    assert _subids.of("not-made-yet", known) == []


@pytest.mark.parametrize(
    ("start", "count", "overlaps"),
    [(0, 100, False), (0, 101, True), (199, 1, True), (200, 1, False), (120, 10, True)],
)
def test_overlap(start: int, count: int, overlaps: bool) -> None:
    assert _subids.Range("ann", 100, 100).overlaps(start, count) is overlaps


@pytest.mark.parametrize(
    ("start", "count", "whose"),
    [
        (100000, 65536, "ann, who has 165535 to 231070"),
        (290000, 65536, "the account far, whose uid is 300000"),
        # The account nobody is everybody's.
        (65000, 1000, None),
        (231071, 60000, None),
        # Its own range is no clash.
        (390000, 65536, None),
    ],
)
def test_whose_ids_they_are(host: Host, start: int, count: int, whose: str | None) -> None:
    files = host(uid=line("ann", 165535, 65536) + line("vllm", 400000, 65536))
    assert _subids.holder("uid", "vllm", _subids.ranges(str(files["uid"])), start, count) == whose


def test_a_range_of_gids_keeps_off_groups_and_not_off_accounts(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = [("root", 0), ("nogroup", 65534), ("builders", 150000)]
    entries = [grp.struct_group((name, "x", gid, [])) for name, gid in groups]
    monkeypatch.setattr(grp, "getgrall", lambda: entries)
    files = host()
    said = "the group builders, whose gid is 150000"
    assert _subids.holder("gid", "vllm", [], 100000, 65536) == said
    assert _subids.holder("gid", "vllm", [], 290000, 65536) is None
    assert _subids.holder("gid", "vllm", [], 65000, 1000) is None
    assert _subids.free("gid", "vllm", [], 65536) == 150001
    with pytest.raises(_subids.SubidError, match="overlaps the group builders"):
        _subids.give("gid", "vllm", 149999, 65536)
    assert not files["gid"].exists()


def test_no_range_ends_behind_the_last_id(host: Host) -> None:
    host(defs="SUB_UID_MIN 4294900000\nSUB_UID_MAX 5000000000\n")
    assert _subids.free("uid", "vllm", [], 60000) == 4294900000
    with pytest.raises(_subids.SubidError, match="No range of 70000 uids is free"):
        _subids.free("uid", "vllm", [], 70000)
    with pytest.raises(_subids.SubidError, match="4294900000 to 4294969999 ends behind 4294967294"):
        _subids.give("uid", "vllm", 4294900000, 70000)
    assert _subids.give("uid", "vllm", 2**32 - 1 - 65536, 65536).end == 2**32 - 1


@pytest.mark.parametrize(
    ("defs", "lines", "start"),
    [
        ("", "", 100000),
        ("SUB_UID_MIN 200000\n", "", 200000),
        ("#SUB_UID_MIN 200000\n  SUB_UID_MIN\t150000\n", "", 150000),
        ("", line("ann", 100000, 65536), 165536),
        # Neither a gap that is too small nor one with an account in it.
        ("", line("ann", 165535, 70000), 300001),
        ("", line("sue", 231072, 65536) + line("ann", 100000, 65536), 165536),
        ("", line("vllm", 100000, 65536), 100000),
        ("", line("995", 100000, 65536), 100000),
        ("SUB_UID_MIN 100000\nSUB_UID_MAX 165535\n", "", 100000),
    ],
)
def test_a_free_range(host: Host, defs: str, lines: str, start: int) -> None:
    files = host(defs=defs, uid=lines)
    known = _subids.ranges(str(files["uid"]))
    assert _subids.free("uid", "vllm", known, 65536) == start


def test_no_free_range(host: Host) -> None:
    host(defs="SUB_UID_MIN 100000\nSUB_UID_MAX 165534\n")
    with pytest.raises(_subids.SubidError, match=r"No range of 65536 uids is free below 165534"):
        _subids.free("uid", "vllm", [], 65536)
    assert _subids.free("gid", "vllm", [], 65536) == 100000


@pytest.mark.parametrize(
    ("lines", "start", "wanted", "has"),
    [
        (line("vllm", 500000, 65536), None, (500000, 65536), True),
        (line("vllm", 500000, 70000), None, (500000, 70000), True),
        (line("vllm", 500000, 100), None, (100000, 65536), False),
        (line("vllm", 1, 100) + line("vllm", 500000, 65536), None, (500000, 65536), True),
        (line("vllm", 500000, 65536), 500000, (500000, 65536), True),
        (line("vllm", 500000, 65536), 600000, (600000, 65536), False),
        (line("vllm", 500000, 70000), 500000, (500000, 65536), False),
        (line("vllm", 1, 9) + line("vllm", 500000, 65536), 500000, (500000, 65536), False),
    ],
)
def test_what_a_user_shall_have(
    host: Host, lines: str, start: int | None, wanted: tuple[int, int], has: bool
) -> None:
    host(uid=lines)
    item, found = _subids.wanted("uid", "vllm", start, 65536)
    assert ((item.start, item.count), found) == (wanted, has)


def test_a_range_is_given_and_all_else_kept(host: Host) -> None:
    text = "# ours\nann:100000:65536\nvllm:1:2\n995:3:4\nsue:231072:65536"
    files = host(uid=text)
    files["uid"].chmod(0o640)
    inode = files["uid"].stat().st_ino
    assert tuple(_subids.give("uid", "vllm", 500000, 65536)) == ("vllm", 500000, 65536)
    assert files["uid"].read_text() == (
        "# ours\nann:100000:65536\nsue:231072:65536\nvllm:500000:65536\n"
    )
    assert files["uid"].stat().st_mode & 0o777 == 0o640
    # Another file took its place: nobody ever reads half of it.
    assert files["uid"].stat().st_ino != inode
    assert {path.name for path in files["uid"].parent.iterdir()} == {"subuid", ".pwd.lock"}


def test_where_there_is_no_file_yet(host: Host) -> None:
    files = host()
    assert _subids.give("gid", "not-made-yet", None, 65536).start == 100000
    assert files["gid"].read_text() == "not-made-yet:100000:65536\n"
    assert files["gid"].stat().st_mode & 0o777 == 0o644
    assert not files["uid"].exists()


def test_a_range_that_is_had_is_not_written_again(host: Host) -> None:
    files = host(uid=line("vllm", 500000, 70000))
    inode = files["uid"].stat().st_ino
    assert _subids.give("uid", "vllm", None, 65536).count == 70000
    assert files["uid"].stat().st_ino == inode


def test_another_ones_range_is_not_given(host: Host) -> None:
    files = host(uid=line("ann", 100000, 65536))
    with pytest.raises(_subids.SubidError, match=r"165535 to 231070 overlaps ann, who has 100000"):
        _subids.give("uid", "vllm", 165535, 65536)
    assert files["uid"].read_text() == "ann:100000:65536\n"


def test_a_write_that_fails_leaves_all_as_it_was(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = host(uid=line("ann", 100000, 65536))

    def full(*dummy: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        _subids.give("uid", "vllm", None, 65536)
    assert files["uid"].read_text() == "ann:100000:65536\n"
    assert {path.name for path in files["uid"].parent.iterdir()} == {"subuid", ".pwd.lock"}


HOLD = """
import fcntl, sys
with open(sys.argv[1], "w") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def useradd(host: Host) -> Iterator[subprocess.Popen[str]]:
    """Stands in for useradd: it holds the lock until its input ends."""
    command = [sys.executable, "-I", "-c", HOLD, str(host()["lock"])]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_lock_that_is_held_is_waited_for(
    host: Host, useradd: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        assert host()["uid"].read_text() == "ann:100000:65536\n"
        # What the other writes before it lets go has to be seen.
        host(uid=line("ann", 100000, 65536) + line("sue", 165536, 65536))
        assert useradd.stdin
        useradd.stdin.close()
        useradd.wait(20)

    host(uid=line("ann", 100000, 65536))
    monkeypatch.setattr(_subids, "time", SimpleNamespace(sleep=sleep, monotonic=lambda: 0.0))
    assert _subids.give("uid", "vllm", None, 60000).start == 231072
    assert len(slept) == 1
    assert "sue:165536:65536\n" in host()["uid"].read_text()


def test_a_lock_that_stays_held(
    host: Host, useradd: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = host(uid=line("ann", 100000, 65536))
    monkeypatch.setattr(_subids, "_PATIENCE", -1)
    with pytest.raises(_subids.SubidError, match="is held by another program, such as useradd"):
        _subids.give("uid", "vllm", None, 65536)
    assert files["uid"].read_text() == "ann:100000:65536\n"
    assert useradd.poll() is None


def test_the_lock_is_let_go(host: Host) -> None:
    lock = host()["lock"]
    probe = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'w'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    command = [sys.executable, "-I", "-c", probe, str(lock)]
    with _subids.locked():
        assert subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode != 0
    assert subprocess.run(command, check=False).returncode == 0


@pytest.mark.parametrize(
    ("text", "source"),
    [
        (None, "files"),
        ("passwd: files sss\n", "files"),
        ("subid: sss\n", "sss"),
        ("  subid:\tfiles\n", "files"),
        ("# subid: sss\n", "files"),
        ("subid: files\nsubid: sss\n", "sss"),
        ("subid:\ngroup: files\n", "files"),
    ],
)
def test_where_ranges_come_from(host: Host, text: str | None, source: str) -> None:
    host(**({} if text is None else {"nsswitch": text}))
    assert _subids.source() == source


def need(managed: bool = True, start: int | None = None, name: str = "vllm") -> dict[str, Any]:
    given = {"start": start, "count": 65536}
    account = {"name": name, "managed": managed, "subuids": given, "subgids": given}
    return {"variable": "vllm", "container": account}


def test_nothing_to_complain_of(host: Host) -> None:
    host(uid=line("ann", 100000, 65536), gid=line("ann", 100000, 65536))
    fine = [need(), need(start=500000), {"variable": "x_user", "container": None}]
    assert list(_subids.complaints(fine)) == []
    assert list(_subids.complaints([need(managed=False, name="ann")])) == []


def test_a_range_that_somebody_else_has(host: Host) -> None:
    host(uid=line("ann", 565535, 65536))
    assert list(_subids.complaints([need(start=500000)])) == [
        "vllm_subuid_start = 500000: with 65536 ids it overlaps ann, who has 565535 to 631070. "
        "Write another, or leave it out."
    ]


def test_an_account_of_somebody_without_ranges(host: Host) -> None:
    files = host(uid=line("ann", 100000, 65535), gid=line("ann", 100000, 65536))
    (said,) = _subids.complaints([need(managed=False, name="ann")])
    assert said == (
        f"vllm_user = ann: has no range of 65536 ids in {files['uid']}. "
        "Give it one: usermod --add-subuids FIRST-LAST ann."
    )


def test_ranges_that_come_from_a_directory(host: Host) -> None:
    host(nsswitch="subid: sss\n")
    (said,) = _subids.complaints([need(start=500000)])
    assert "vllm_user = vllm: this host takes subordinate ids from sss, not from files" in said
