# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read from the kernel's files, what is asked of the command line, what nspawn is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from testhost import cgroup, checks, machine, recipes
from testhost.lifecycle import Wish
from testhost.process import HostError
from testhost.state import Host

HYBRID = """\
24 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 24 0:26 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
41 30 0:37 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
UNIFIED = (
    "35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:9 master:2 - cgroup2 cgroup2 rw,nsdelegate\n"
)


@pytest.mark.parametrize(
    ("mountinfo", "place"),
    [
        (HYBRID, "/sys/fs/cgroup/unified"),
        (UNIFIED, "/sys/fs/cgroup"),
        (HYBRID.partition("41 30")[0], ""),
    ],
)
def test_the_cgroup2_hierarchy_is_found(mountinfo: str, place: str) -> None:
    assert cgroup.find(mountinfo) == place


def test_a_cgroup_of_somebody_else_is_never_removed(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="did not make it"):
        cgroup.remove(str(tmp_path))


def test_lacking_capabilities_are_named_with_their_use() -> None:
    assert checks.lacking_capabilities("Name:\tx\nCapEff:\t000001ffffffffff\n") == []
    lacking = checks.lacking_capabilities("CapEff:\t00000000a80425fb\n")
    assert [line.split(":")[0] for line in lacking] == [
        "needs CAP_NET_ADMIN",
        "needs CAP_SYS_ADMIN",
    ]


def test_a_user_namespace_is_told_from_the_machine() -> None:
    assert not checks.in_user_namespace("         0          0 4294967295\n")
    assert checks.in_user_namespace("         0       1000          1\n")
    assert checks.in_user_namespace("0 100000 65536\n")


def test_names_bring_their_suite() -> None:
    wish = Wish(["web", "gpu@forky"], suite="trixie")
    assert wish.pairs() == [("web", "trixie"), ("gpu", "forky")]


@pytest.mark.parametrize("name", ["Web", "-web", "web-", "../web", "", "w" * 49, "a.b"])
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(HostError, match="cannot be a host's name"):
        Wish([name]).pairs()


def test_an_unknown_suite_is_refused_with_the_known_ones() -> None:
    with pytest.raises(HostError, match=r"no suite 'woody'.*trixie, forky"):
        Wish(["web@woody"]).pairs()


def test_nspawn_is_told_what_the_recipe_says() -> None:
    host = Host("web", "trixie", "198.18.87.11/24", "onehop-br", "/rootfs", "/disk/web-12ab")
    host.binds = ["/a:/b"]
    argv = machine.nspawn_argv(host)
    assert argv[argv.index("-D") + 1] == "/disk/web-12ab/root"
    assert {"--register=no", "--keep-unit", "--hostname=web", "--machine=web-12ab"} <= {*argv}
    assert argv[-1] == "--bind-ro=/a:/b"


def test_a_recipes_fingerprint_tells_trees_apart() -> None:
    prints = {recipes.fingerprint(each) for each in recipes.RECIPES.values()}
    assert len(prints) == len(recipes.RECIPES)
    assert all(len(each) == 12 for each in prints)


def test_masked_units_and_files_do_not_overlap() -> None:
    assert not {*recipes.FILES} & {*recipes.LINKS}
