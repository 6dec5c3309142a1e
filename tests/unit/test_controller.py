# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller knows beside the plan: diagnoses, wheels, tables and groups."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.onehop.llm.plugins.action.model_specs import (
    members,
    refuse_misspelt,
    role_of,
)
from ansible_collections.onehop.llm.plugins.filter.status_table import status_table
from ansible_collections.onehop.llm.plugins.plugin_utils import _diagnoses, _wheelhouse
from ansible_collections.onehop.llm.plugins.plugin_utils._controller import at

ROOT = Path(__file__).resolve().parents[2]


def report(*journal: str, result: str = "exit-code", status: int = 1) -> dict[str, Any]:
    state = "activating (auto-restart)"
    return {"journal": list(journal), "result": result, "exit_status": status, "state": state}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        # As llama-server 0.7.0 and systemd 257 write them.
        (report("error: invalid argument: --ctx-sise"), "does not know --ctx-sise"),
        (
            report("E gguf_init_from_reader: invalid magic characters: 'lead', expected 'GGUF'"),
            "no GGUF file",
        ),
        (
            report(
                "E gguf_init_from_file: failed to open GGUF file '/home/a/x.gguf' (Permission denied)"
            ),
            "readable for every user",
        ),
        (
            report(
                "E srv  llama_server: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 18001"
            ),
            "Write another port",
        ),
        (
            report("E llama_model_load: error loading model: unknown model architecture: 'qwen9'"),
            "the architecture qwen9",
        ),
        (
            report(
                "E ggml_backend_cuda_buffer_type_alloc_buffer: allocating 9000.00 MiB on device 0: cudaMalloc failed: out of memory"
            ),
            "not enough memory",
        ),
        (
            report("vllm serve: error: unrecognized arguments: --no-such-flag"),
            "does not know --no-such-flag",
        ),
        (
            report(
                "ValueError: Free memory on device (1/79 GiB) is less than desired GPU memory utilization"
            ),
            "Lower gpu-memory-utilization",
        ),
        (
            report("Error: setting up CDI devices: unresolvable CDI devices nvidia.com/gpu=7"),
            "knows nvidia.com/gpu=7",
        ),
        (
            report("requests.exceptions.HTTPError: 401 Client Error: Unauthorized for url"),
            "environment: HF_TOKEN",
        ),
        (report(result="timeout"), "was not ready in time"),
        (report(result="oom-kill"), "want of memory"),
        (report(status=203), "cannot be executed"),
        (report(status=216), "its group is not on the host"),
        (report(status=243), "a credential cannot be read"),
    ],
)
def test_diagnoses(found: dict[str, Any], said: str) -> None:
    assert said in (_diagnoses.diagnosis(found) or "")
    assert said in _diagnoses.explain("x.service", found)


def test_what_is_not_known_is_not_guessed() -> None:
    found = report("something nobody has seen")
    assert _diagnoses.diagnosis(found) is None
    assert _diagnoses.diagnosis(report("container remove fc343463c401ffeb268aaf30")) is None
    assert "something nobody has seen" in _diagnoses.explain("x.service", found)


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


def test_status_table() -> None:
    unit = {
        "unit": "llama-cpp-a.service",
        "state": "active",
        "detail": "running",
        "current": False,
        "restarts": 2,
        "since": "Fri",
    }
    assert status_table({"b": [], "a": [unit]}) == [
        "HOST  UNIT                 STATE             CURRENT  RESTARTS  SINCE",
        "a     llama-cpp-a.service  active (running)  no       2         Fri",
        "b     (none)               -                 -        -         -",
    ]


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
