# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller knows beside the plan: wheels, tables and groups."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleActionFail

from ansible_collections.onehop.llm.plugins.action.model_specs import (
    members,
    refuse_misspelt,
    role_of,
)
from ansible_collections.onehop.llm.plugins.plugin_utils import _wheelhouse
from ansible_collections.onehop.llm.plugins.plugin_utils._controller import at

ROOT = Path(__file__).resolve().parents[2]


def test_wheels_of_older_systems_fit_newer_ones() -> None:
    target = {"python": "3.13", "machine": "x86_64", "libc": "glibc", "libc_version": "2.41"}
    tags = _wheelhouse.platforms(target)
    assert tags[0] == "manylinux_2_41_x86_64"
    assert "manylinux_2_28_x86_64" in tags
    assert "manylinux2014_x86_64" in tags
    musl = {**target, "libc": "musl", "machine": "aarch64"}
    assert _wheelhouse.platforms(musl) == ["musllinux_1_2_aarch64", "musllinux_1_1_aarch64"]


def test_the_identity_follows_the_sources(tmp_path: Path) -> None:
    home = tmp_path / "roles" / "router" / "files"
    package = home / "onehop_router"
    package.mkdir(parents=True)
    (home / "requirements.txt").write_text("a==1\n")
    (package / "x.py").write_text("1\n")
    first = _wheelhouse.identity(_wheelhouse.router(str(tmp_path)))
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "x.pyc").write_text("x")
    assert _wheelhouse.identity(_wheelhouse.router(str(tmp_path))) == first
    (package / "x.py").write_text("2\n")
    assert _wheelhouse.identity(_wheelhouse.router(str(tmp_path))) != first


def test_what_goes_to_a_host() -> None:
    names = list(_wheelhouse.router(str(ROOT)).files)
    assert names[0] == "requirements.txt"
    assert "onehop_router/__main__.py" in names
    assert not [name for name in names if "__pycache__" in name]
    hub = _wheelhouse.hub(str(ROOT))
    assert sorted(Path(name).name for name in hub.files) == [
        "_hub_cache.py",
        "_hub_fetch.py",
        "requirements.txt",
    ]
    assert "huggingface-hub==" in Path(hub.lock).read_text(encoding="utf-8")


def test_a_controller_whose_home_cannot_be_written() -> None:
    target = {"python": "3.13", "machine": "x86_64", "libc": "glibc", "libc_version": "2.36"}
    with pytest.raises(_wheelhouse.WheelhouseError, match="cannot be kept in /proc/home"):
        _wheelhouse.collect(_wheelhouse.router("/nowhere"), "/proc/home", target)


def test_a_wheelhouse_that_can_only_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in an image. Root may write everywhere, so that the lock cannot be made is a double."""
    lock = tmp_path / "requirements.txt"
    lock.write_text("")
    sources = _wheelhouse.Sources("Packages", "router", "x", {"requirements.txt": str(lock)})
    target = {"python": "3.13", "machine": "x86_64", "libc": "glibc", "libc_version": "2.41"}
    place = tmp_path / "py3.13-glibc2.41-x86_64"

    def refuse(*dummy: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.open", refuse)
    place.mkdir()
    assert _wheelhouse.collect(sources, str(tmp_path), target) == str(place)
    lock.write_text("no-such-package-of-onehop==1 --hash=sha256:" + "0" * 64)
    with pytest.raises(_wheelhouse.WheelhouseError, match=r"cannot be kept in .*: Permission"):
        _wheelhouse.collect(sources, str(tmp_path), target)


def test_wheels_that_cannot_be_had_are_told(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_text("no-such-package-of-onehop==1 --hash=sha256:" + "0" * 64)
    sources = _wheelhouse.Sources("Packages", "router", "x", {"requirements.txt": str(lock)})
    target = {
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
        "machine": "x86_64",
        "libc": "glibc",
        "libc_version": "2.36",
    }
    with pytest.raises(_wheelhouse.WheelhouseError, match="router_wheelhouse"):
        _wheelhouse.collect(sources, str(tmp_path / "house"), target)


@pytest.mark.parametrize(
    ("groups", "workers", "routers"),
    [
        ({"all": ["a", "b"]}, ["a", "b"], ["a", "b"]),
        ({"all": ["a", "b"], "gpu_hosts": ["a"]}, ["a"], ["a"]),
        ({"all": ["a", "b", "c"], "gpu_hosts": ["a"], "llm_routers": ["b"]}, ["a"], ["b"]),
        ({"all": ["a", "b"], "llm_routers": ["b"]}, [], ["b"]),
    ],
)
def test_what_hosts_are_there_for(
    groups: dict[str, list[str]], workers: list[str], routers: list[str]
) -> None:
    assert role_of(groups, "gpu_hosts") == workers
    assert role_of(groups, "llm_routers") == routers
    assert members(groups) == {*workers, *routers}


@pytest.mark.parametrize("name", ["gpu_host", "gpu-hosts", "llm_router", "GPU_hosts"])
def test_a_group_that_is_nearly_ours(name: str) -> None:
    with pytest.raises(AnsibleActionFail, match=r"Call it (gpu_hosts|llm_routers)"):
        refuse_misspelt({"all": ["a"], "ungrouped": [], name: ["a"]})


def test_groups_that_are_others() -> None:
    refuse_misspelt({"all": [], "gpu_hosts": [], "gpu_host": [], "gpu_hosts_eu": [], "hosts": []})


def test_keys_that_yaml_reads_as_numbers() -> None:
    assert at({1: {"credentials": {7: {"content": "x"}}}}, "1", "credentials", "7") == {
        "content": "x"
    }


def on_the_controller() -> list[Any]:
    """Tasks of playbooks and roles, and plays, that touch the controller itself."""
    paths = [*(ROOT / "playbooks").glob("*.yml"), *(ROOT / "roles").glob("*/tasks/*.yml")]
    left = [(path.stem, one) for path in paths for one in yaml.safe_load(path.read_text())]
    found = []
    for name, one in left:
        left += [(name, each) for key in ("tasks", "block", "always") for each in one.get(key, [])]
        if "localhost" in (one.get("delegate_to"), one.get("hosts")):
            found.append(pytest.param(one, id=f"{name}: {one['name']}"))
    return found


@pytest.mark.parametrize("task", on_the_controller())
def test_what_an_inventory_says_of_all_hosts_asks_for_no_root_on_the_controller(
    task: dict[str, Any],
) -> None:
    """A variable goes before a keyword, so that become: false alone is not enough."""
    assert task["vars"]["ansible_become"] is False
    assert task["vars"]["ansible_python_interpreter"] == "{{ ansible_playbook_python }}"
