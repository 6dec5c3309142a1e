# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status of a fleet: hosts' answers beside a plan, as rows, as a table, and by the playbook."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.filter.status_table import status_table
from ansible_collections.onehop.llm.plugins.plugin_utils import (
    _fleet,
    _fleet_table,
    _plan,
)

from .fleet import FRONT, GPU1, inventory
from .playbooks import ROOT, play

GOLDEN = Path(__file__).parent / "golden"
VLLM = "docker.io/vllm/vllm-openai"
OOM = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 50.00 MiB."


def unit(name: str, title: str, **said: Any) -> dict[str, Any]:
    """What worker_info says of a unit that is well."""
    owner = name.partition(".")[0].rpartition("-")[0].replace("-", "_")
    return {
        "unit": name,
        "owner": "router" if owner == "onehop" else owner,
        "account": None,
        "title": title,
        "installed": True,
        "state": "active",
        "detail": "running",
        "unknown": None,
        "since": "Fri 2026-11-20 22:35:44 UTC",
        "uptime": 7380,
        "restarts": 0,
        "main_pid": 812,
        "current": True,
        "listens": [],
        "ready": True,
        "devices": [],
        "image": None,
        "wanted": None,
        "runs": None,
        "result": "success",
        "exit_status": 0,
        "journal": [],
        **said,
    }


def plan() -> dict[str, Any]:
    """Of two hosts that serve and one that routes."""
    gpu2 = {
        "llama_cpp_models": {
            name: {"port": port, "settings": {"model": "/srv/models/small.gguf"}}
            for name, port in (("small", 18001), ("spare", 18002))
        }
    }
    made = _plan.make(
        [
            _plan.Host("gpu1", GPU1, router=False),
            _plan.Host("gpu2", gpu2, router=False),
            _plan.Host("gpu3", gpu2, router=False),
            _plan.Host("front1", FRONT, worker=False, front=True),
        ]
    )
    assert made.problems == []
    return made.data()


def answers() -> dict[str, Any]:
    """Of a fleet in which much is going on."""
    edge = [
        unit("onehop-edge.service", "OneHop edge"),
        unit("onehop-edge.socket", "OneHop edge's listeners", listens=["0.0.0.0:8443"]),
    ]
    return {
        "gpu1": {
            "units": [
                unit(
                    "vllm-qwen3-8b.service",
                    "vLLM serving qwen3-8b",
                    account="vllm",
                    current=False,
                    listens=["127.0.0.1:8001"],
                    devices=["nvidia.com/gpu=0", "nvidia.com/gpu=1"],
                    image=f"{VLLM}:v0.33.0",
                    runs=f"{VLLM}:v0.25.1",
                    wanted=f"{VLLM}:v0.33.0",
                    uptime=273600,
                ),
                unit(
                    "llama-cpp-small.service",
                    "llama.cpp serving small",
                    listens=["127.0.0.1:18001"],
                    state="activating",
                    detail="auto-restart",
                    ready=False,
                    uptime=None,
                    restarts=4,
                    result="exit-code",
                    exit_status=1,
                    journal=[OOM],
                ),
                unit(
                    "sglang-forgotten.service",
                    "SGLang serving forgotten",
                    account="sglang",
                    listens=["/run/onehop/sglang/forgotten/http.sock"],
                    ready=False,
                ),
                *edge,
            ]
        },
        "gpu2": {
            "units": [
                *edge,
                unit(
                    "llama-cpp-small.service",
                    "llama.cpp serving small",
                    listens=["127.0.0.1:18001"],
                    uptime=59,
                ),
            ]
        },
        "gpu3": {"unreachable": True, "msg": "Failed to connect to the host via ssh: no route"},
        "front1": {
            "units": [
                unit("onehop-router.service", "OneHop router"),
                unit(
                    "onehop-router.socket",
                    "OneHop router's listeners",
                    listens=["0.0.0.0:8080", "/run/onehop/router.sock"],
                ),
            ]
        },
    }


@pytest.mark.parametrize("width", [0, 160, 100])
def test_golden(width: int) -> None:
    """After a change that is meant: write the lines that pytest shows."""
    lines = status_table(answers(), plan(), width)
    golden = (GOLDEN / f"status-{width}.txt").read_text()
    assert "\n".join(lines) + "\n" == golden
    if width:
        assert max(len(line) for line in lines) <= width


def test_rows() -> None:
    found = _fleet.status(answers(), plan())
    rows = {(row["host"], row["unit"]): row for row in found["rows"]}
    qwen = rows["gpu1", "vllm-qwen3-8b.service"]
    assert (qwen["kind"], qwen["engine"], qwen["model"]) == ("worker", "vLLM", "qwen3-8b")
    assert qwen["declared"] is True and qwen["notes"] == ["older settings"]
    assert rows["gpu1", "llama-cpp-small.service"]["error"] == "gpu-memory"
    assert "llama_cpp_models.small" in rows["gpu1", "llama-cpp-small.service"]["told"]
    assert rows["gpu1", "sglang-forgotten.service"]["declared"] is False
    spare = rows["gpu2", "llama-cpp-spare.service"]
    assert (spare["state"], spare["ready"], spare["listens"]) == (
        "absent",
        False,
        ["127.0.0.1:18002"],
    )
    assert {row["state"] for row in found["rows"] if row["host"] == "gpu3"} == {"unreachable"}
    router = rows["front1", "onehop-router.service"]
    assert router["listens"] == ["0.0.0.0:8080", "/run/onehop/router.sock"]
    assert found["summary"]["workers"]["all"] == 7
    assert found["summary"]["workers"]["ready"] == 2
    assert found["summary"]["all_well"] is False
    assert json.loads(json.dumps(found)) == found
    assert OOM not in json.dumps(found), "journals hold what clients and engines wrote"


def test_the_plan_says_what_is_wanted_where_it_is_newer_than_the_host() -> None:
    answer = answers()["gpu1"]["units"][0]
    answer.update(wanted=f"{VLLM}:v0.25.1", image=f"{VLLM}:v0.25.1", current=True)
    (row,) = (
        row
        for row in _fleet.status({"gpu1": {"units": [answer]}}, plan())["rows"]
        if row["unit"] == "vllm-qwen3-8b.service"
    )
    assert row["runs"].endswith(":v0.25.1") and row["wanted"].endswith(":v0.33.0")
    assert _fleet_table.versions(row["runs"], row["wanted"]) == "v0.25.1 -> v0.33.0"


def test_a_fleet_that_is_well() -> None:
    well = {"gpu2": {"units": [unit("llama-cpp-small.service", "llama.cpp serving small")]}}
    summary = _fleet.status(well, None)["summary"]
    assert summary["text"] == "1 worker, 1 ready"
    assert summary["all_well"] is True
    assert status_table(well, width=80) == [
        "HOST  ENGINE     MODEL  STATE   READY  UPTIME  UNIT",
        "gpu2  llama.cpp  small  active  yes    2h 3m   llama-cpp-small.service",
        "",
        "1 worker, 1 ready",
    ]


def test_hosts_without_anything() -> None:
    assert status_table({}) == ["no workers"]
    assert status_table({"bare": {"units": []}}) == ["no workers"]
    lines = status_table({"far": {"unreachable": True, "msg": "timed out"}})
    assert lines[:2] == ["HOST  STATE", "far   unreachable"]
    assert lines[2:] == ["", "far: timed out", "", "no workers; 1 host out of reach"]
    (row,) = _fleet.status({"odd": {"msg": "no Python"}}, None)["rows"]
    assert (row["state"], row["notes"]) == ("unknown", ["no Python"])


def test_without_the_rights_of_root() -> None:
    one = unit(
        "vllm-a.service",
        "vLLM serving a",
        account="vllm",
        state="unknown",
        detail="",
        unknown="only root can ask its service manager",
        ready=None,
        current=None,
        uptime=None,
    )
    lines = status_table({"gpu1": {"units": [one]}})
    assert "only root can ask its service manager" in lines[1]
    assert lines[-1] == "1 worker, 0 ready, 1 unknown"


ESCAPES = "\x1b[31mred\x1b[0m\x1b]0;title\x07\r\n\t\x9b2J\u202eabc"


@pytest.mark.parametrize("width", [0, 40, 100])
def test_what_strangers_write_moves_no_cursor(width: int) -> None:
    """Units, images, accounts and journals hold whatever somebody put there."""
    hostile = unit(
        f"vllm-{ESCAPES}.service",
        f"vLLM {ESCAPES} serving {ESCAPES}" + "x" * 5000,
        state=f"active{ESCAPES}",
        detail=ESCAPES,
        listens=[ESCAPES],
        devices=[ESCAPES, "=", "/", "nvidia.com/gpu=" + "7" * 300],
        image=ESCAPES,
        runs=ESCAPES,
        wanted="@" + ESCAPES,
        unknown=ESCAPES,
        result=ESCAPES,
        journal=[ESCAPES, f"OSError: [Errno 98] {ESCAPES}"],
    )
    lines = status_table({f"h{ESCAPES}": {"units": [hostile]}}, width=width)
    text = "\n".join(lines)
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert not text.isspace() and max(map(len, lines[:2])) < 1000
    if width == 100:
        assert max(map(len, lines[:2])) <= width
    unreached = {"h\x1b[2J": {"unreachable": True, "msg": f"{ESCAPES}\n{ESCAPES}"}}
    assert "\x1b" not in "".join(status_table(unreached))


def test_wide_letters_keep_columns_straight() -> None:
    units = [
        unit("llama-cpp-a.service", "llama.cpp serving 模型"),
        unit("llama-cpp-b.service", "llama.cpp serving model"),
    ]
    lines = status_table({"h": {"units": units}})
    plain, wide = (line.index("active") for line in lines[1:3])
    assert plain - wide == 2, "two letters take four columns"


@pytest.mark.parametrize(
    ("runs", "wanted", "shown"),
    [
        (None, None, ""),
        (f"{VLLM}:v0.33.0", f"{VLLM}:v0.33.0", "v0.33.0"),
        (f"{VLLM}:v0.25.1", f"{VLLM}:v0.33.0", "v0.25.1 -> v0.33.0"),
        (None, f"{VLLM}:v0.33.0", "v0.33.0"),
        ("localhost:5000/vllm", None, "vllm"),
        ("a.example/x:v1", "b.example/x:v1", "a.example/x:v1 -> b.example/x:v1"),
        ("a/x:v1", "a/y:v1", "x:v1 -> y:v1"),
        (
            f"a/x@sha256:{'0' * 64}",
            f"a/x@sha256:{'1' * 64}",
            "sha256:000000000000 -> sha256:111111111111",
        ),
        (
            "/opt/llama-b9409/bin/llama-server",
            "/opt/llama-b9754/bin/llama-server",
            "b9409 -> b9754",
        ),
        ("/usr/bin/llama-server", "/usr/bin/llama-server", ""),
        ("/usr/bin/a", "/usr/bin/b", "a -> b"),
    ],
)
def test_versions(runs: str | None, wanted: str | None, shown: str) -> None:
    assert _fleet_table.versions(runs, wanted) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0s"), (59, "59s"), (60, "1m"), (3599, "59m"), (7380, "2h 3m"), (273600, "3d 4h")],
)
def test_spans(seconds: int, shown: str) -> None:
    assert _fleet_table.span(seconds) == shown


def test_the_playbook_and_hosts_that_nobody_reaches(tmp_path: Path) -> None:
    """In check mode, limited to one, and written to a file."""
    ssh = {"ansible_ssh_common_args": "-o ProxyCommand=false", "ansible_ssh_executable": "ssh"}
    hosts = inventory()
    for group in hosts["all"]["children"].values():
        for name in group["hosts"]:
            group["hosts"][name] = group["hosts"][name] | ssh
    words = ["--check", "-e", f"status_file={tmp_path}/status.json", "-e", "status_width=120"]
    done = play(tmp_path, ROOT / "playbooks" / "status.yml", hosts, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 workers, 0 ready, 2 unreachable" in done.stdout
    assert "changed=0" in done.stdout.replace("changed=1", "changed=0")
    found = json.loads((tmp_path / "status.json").read_text())
    assert {row["host"] for row in found["rows"]} == {"gpu1", "front1"}
    assert found["summary"]["unreachable_hosts"] == 2
    done = play(
        tmp_path,
        ROOT / "playbooks" / "status.yml",
        hosts,
        *("--limit", "gpu1", "-e", "status_format=json"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    text = done.stdout.partition("TASK [Show the fleet] ")[2].partition("\n")[2]
    rows = json.JSONDecoder().raw_decode(text)[0]["rows"]
    assert {row["host"] for row in rows} == {"gpu1"}


def test_the_playbook_on_a_bare_host_whose_inventory_is_wrong(tmp_path: Path) -> None:
    """This machine, which has nothing of ours: what is declared is absent, and nothing is made."""
    host: dict[str, Any] = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "llama_cpp_models": {"a": {"port": "x"}},
    }
    words = ["-e", "status_format=table"]
    hosts = {"all": {"children": {"gpu_hosts": {"hosts": {"here": host}}}}}
    done = play(tmp_path, ROOT / "playbooks" / "status.yml", hosts, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "What is declared is not known" in done.stdout + done.stderr
    assert "no workers" in done.stdout
    host["llama_cpp_models"] = {"a": {"port": 18001, "settings": {"model": "/srv/a.gguf"}}}
    done = play(tmp_path, ROOT / "playbooks" / "status.yml", hosts, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 worker, 0 ready, 1 absent; 1 router, 0 ready, 1 absent" in done.stdout
    assert "changed=0" in done.stdout


def test_the_page_shows_a_table_that_we_make() -> None:
    page = (ROOT / "docs" / "status.md").read_text()
    assert f"```text\n{(GOLDEN / 'status-160.txt').read_text()}```\n" in page
    for name in ("UNIT", *_fleet_table.DROPPED):
        assert f"`{name}`" in page
