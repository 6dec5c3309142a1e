# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials that root brings to a running router, into a directory that it must not trust."""

from __future__ import annotations

import os
import stat

import pytest

from onehop_router.credentials import bring, main


@pytest.fixture(autouse=True)
def as_root():
    assert os.geteuid() == 0, "the suite runs as root, as the README says"


@pytest.fixture
def place(tmp_path):
    """Where they are brought: the account's own directory, as systemd makes it."""
    folder = tmp_path / "credentials"
    folder.mkdir(mode=0o700)
    os.chown(folder, 65534, 65534)
    return folder


def brought(folder) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_all_of_them_or_none_readable_by_one_account(tmp_path, place):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("first\n")
    two.write_text("second")
    paths = {"a": str(one), "b": str(two)}
    assert bring(str(place), "nobody", paths) == []
    assert brought(place) == {"a": "first\n", "b": "second"}
    for path in place.iterdir():
        state = path.stat()
        assert (stat.S_IMODE(state.st_mode), state.st_uid) == (0o400, 65534)

    one.write_text("third")
    two.unlink()
    [problem] = bring(str(place), "nobody", paths)
    assert problem == f"credential 'b': '{two}': No such file or directory"
    assert brought(place) == {"a": "first\n", "b": "second"}

    assert bring(str(place), "nobody", {"a": str(one)}) == []
    assert brought(place) == {"a": "third"}


def test_no_link_of_the_account_is_followed(tmp_path, place):
    source, victim = tmp_path / "source", tmp_path / "victim"
    source.write_text("secret")
    victim.write_text("untouched")
    for name in ("a", ".new-a"):
        (place / name).symlink_to(victim)
    assert bring(str(place), "nobody", {"a": str(source)}) == []
    assert (place / "a").read_text() == "secret"
    assert not (place / "a").is_symlink()
    assert victim.read_text() == "untouched"
    link = tmp_path / "link"
    link.symlink_to(place)
    with pytest.raises(OSError, match="Not a directory"):
        bring(str(link), "nobody", {"a": str(source)})


def test_the_command_line_says_what_is_wrong_and_no_secret(tmp_path, place, capsys):
    source = tmp_path / "source"
    source.write_text("hunter2")
    assert main([str(place), "nobody", f"a={source}"]) == 0
    for wrong in (
        [str(place)],
        [str(place), "nobody", "a"],
        [str(place), "nobody", "a=/nowhere"],
        [str(place), "nobody", f"a={tmp_path}"],
        [str(place), "no-such-account", f"a={source}"],
        [str(tmp_path / "nowhere"), "nobody", f"a={source}"],
    ):
        assert main(wrong) in (1, 2)
        said = capsys.readouterr().err
        assert said
        assert "hunter2" not in said
