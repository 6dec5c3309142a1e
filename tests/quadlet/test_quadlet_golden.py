# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quadlets as text against golden files, and through the generators that hosts have.

``pytest tests/quadlet/test_quadlet_golden.py --golden`` writes the files anew: a change in them is a
change for users, so read the difference.
"""

from __future__ import annotations

import ipaddress
import json
from collections import Counter
from pathlib import Path

import pytest

from ansible_collections.onehop.llm.plugins.plugin_utils import _quadlet

from .cases import CASES, SECRET, Case
from .harness import FACTS, RUNTIME, Generator, Run, commands, planned, section

GOLDEN = Path(__file__).parent / "golden"
EACH = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@EACH
def test_golden(case: Case, request: pytest.FixtureRequest) -> None:
    for name, text in case.golden().items():
        file = GOLDEN / f"{name}.container"
        if request.config.getoption("--golden"):
            GOLDEN.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        assert text == file.read_text(encoding="utf-8")


def test_every_golden_file_has_a_case(request: pytest.FixtureRequest) -> None:
    wanted = [name for case in CASES for name in case.golden()]
    assert max(Counter(wanted).values()) == 1
    strays = {file.stem for file in GOLDEN.glob("*.container")} - set(wanted)
    if request.config.getoption("--golden"):
        for name in strays:
            (GOLDEN / f"{name}.container").unlink()
    else:
        assert strays == set()


@pytest.fixture(scope="module")
def runs(generator: Generator) -> dict[str, Run]:
    """What podman is told for each golden file."""
    return generator.runs({name: text for case in CASES for name, text in case.golden().items()})


@EACH
def test_what_podman_is_told(case: Case, runs: dict[str, Run]) -> None:
    workers = planned(case.variables)
    for (name, text), worker in zip(case.golden().items(), workers, strict=True):
        _judge(name, worker, runs[name])
        assert SECRET not in text
        assert SECRET not in _quadlet.drop_in(worker, {**FACTS, **case.facts})


def _judge(name, worker, run):
    gateway = worker["engine"] == "sglang_gateway"
    assert run.image == worker["image"]
    assert run.one("--pull") == "never"
    assert run.one("--cap-drop") == "all"
    assert run.one("--ulimit") == "host"
    assert run.one("--tmpfs") == "/tmp"
    assert "no-new-privileges" in run.all("--security-opt")
    assert run.one("--conmon-pidfile") == f"{RUNTIME}/{name}.pid"
    assert not {"--privileged", "--cap-add", "--publish-all"} & dict(run.options).keys()
    # Who can reach it: its own loopback, its socket, or what the gateway binds itself.
    published = run.all("--publish")
    if gateway:
        assert (published, run.one("--network")) == ([], "host")
        (host,) = [word for word in run.words if word.startswith("--host=")]
        ipaddress.ip_address(host.removeprefix("--host="))
    elif worker["socket"]:
        assert (published, run.one("--network"), run.one("--umask")) == ([], None, "0007")
        assert f"{worker['socket'].rpartition('/')[0]}:/run/onehop" in run.all("-v")
    else:
        inside = {"vllm": 8000, "sglang": 30000}[worker["engine"]]
        assert published == [f"127.0.0.1:{worker['port']}:{inside}"]
        assert run.one("--network") is None
    entrypoint = json.loads(run.one("--entrypoint") or "null")
    if gateway:
        assert (entrypoint is not None) is bool(worker["flags"])
    else:
        known = {
            "vllm": ["vllm", "serve"],
            "sglang": ["python3", "-m", "sglang.launch_server"],
        }
        assert entrypoint == known[worker["engine"]]
        assert run.words[0] == worker["model"] or f"--model-path={worker['model']}" in run.words
    assert all(SECRET not in line for line in commands(run.service))
    for path in worker["credentials"].values():
        mounted = f"{path}:/run/secrets/" in " ".join(run.all("-v"))
        assert mounted is not (path in run.all("--env-file"))
    assert run.all("--health-cmd") == run.all("--health-startup-cmd") != []
    assert run.one("--health-on-failure") == "kill"
    assert run.service["Restart"][0] == "always"


@EACH
def test_how_systemd_knows_that_it_is_ready(case: Case) -> None:
    for worker in planned(case.variables):
        service = section(_quadlet.drop_in(worker, FACTS), "Service")
        assert service["Type"] == ["forking"]
        assert service["PIDFile"] == ["%t/%N.pid"]
        assert service["ExecStartPost"][0].startswith(
            '"/usr/bin/python3" "-I" "/opt/onehop/bin/wait-ready" $MAINPID "'
        )
