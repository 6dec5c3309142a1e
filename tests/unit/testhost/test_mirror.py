# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive that apt uses, found in what apt says of its sources."""

from __future__ import annotations

import pytest

from testhost import mirror

MAIN = "Debian|Debian|main|http://archive.example/debian/"
SECURITY = "Debian|Debian-Security|main|http://archive.example/debian-security/"
OTHER = "Docker|Docker CE|stable|https://other.example/linux/debian/"
UBUNTU = "Ubuntu|Ubuntu|main|http://archive.example/ubuntu/"
CONTRIB = "Debian|Debian|contrib|http://contrib.example/debian/"
CDROM = "Debian|Debian|main|cdrom://[Debian]/"
UNREAD = "|||http://archive.example/debian/"


@pytest.mark.parametrize(
    "lines",
    [[MAIN], [SECURITY, OTHER, MAIN], [CONTRIB, MAIN, SECURITY], [CDROM, MAIN], [UNREAD, MAIN]],
)
def test_the_main_archive_is_chosen(lines: list[str]) -> None:
    assert mirror.choose("\n".join(lines)) == "http://archive.example/debian/"


@pytest.mark.parametrize("lines", [[], [SECURITY], [UBUNTU, OTHER], [CDROM], [UNREAD]])
def test_where_debians_archive_is_not_there_none_is_chosen(lines: list[str]) -> None:
    assert mirror.choose("\n".join(lines)) is None


def test_a_named_mirror_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEHOP_MIRROR", "http://from.environment/debian")
    assert mirror.discover() == "http://from.environment/debian"
    assert mirror.discover("http://from.option/debian") == "http://from.option/debian"
