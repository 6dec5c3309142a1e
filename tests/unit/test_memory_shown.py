# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The estimate where operators see it: the filter, run by Ansible, and preflight's table."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.onehop.llm.plugins.action import preflight
from ansible_collections.onehop.llm.plugins.filter import model_memory
from ansible_collections.onehop.llm.plugins.plugin_utils import _controller

from .container_hosts import plan
from .model_facts import KNOWN
from .test_budget_host import facts
from .test_budget_shares import vllm

ROOT = Path(__file__).resolve().parents[2]
LLAMA = KNOWN["meta-llama/Meta-Llama-3-8B"].config


def test_the_example_of_the_filter_runs(tmp_path: Path) -> None:
    playbook = tmp_path / "example.yml"
    playbook.write_text(model_memory.EXAMPLES)
    run = subprocess.run(
        [
            Path(sys.executable).parent / "ansible-playbook",
            "-i",
            "localhost,",
            "-c",
            "local",
            playbook,
        ],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "LANG": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".cache" / "collections"),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    (shown,) = (line for line in run.stdout.splitlines() if '"msg": "8' in line)
    foretold = [line for line in model_memory.EXAMPLES.splitlines() if "      # " in line]
    assert shown.strip() == '"msg": "{}"'.format(
        " ".join(line.strip().lstrip("# ") for line in foretold)
    )


@pytest.mark.parametrize(
    ("engine", "settings"),
    [
        ("vllm", {"max_model_len": 4096, "kv-cache-dtype": "fp8", "tensor-parallel-size": 2}),
        ("sglang", {"context-length": "4096", "kv_cache_dtype": "fp8_e5m2", "tp": 2}),
    ],
)
def test_settings_of_engines(engine: str, settings: dict[str, Any]) -> None:
    found = model_memory.model_memory(LLAMA, settings, engine)
    assert found["kv_cache"] == 4096 * 65536
    assert found["per_device"]["weights"] == found["weights"] // 2


def test_settings_of_llama_cpp() -> None:
    found = model_memory.model_memory(LLAMA, {"c": 4096, "ctk": "q8_0"}, "llama_cpp", file_bytes=10)
    assert (found["weights"], found["kv_cache"]) == (10, round(4096 * 65536 * 34 / 32))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("text",), "is no dictionary"),
        (({"model_type": "x"},), "has no hidden_size"),
        ((LLAMA, {}, "tgi"), "engine = 'tgi': is none. Write one of llama_cpp, sglang, vllm."),
    ],
)
def test_what_the_filter_refuses(given: Any, said: str) -> None:
    with pytest.raises(AnsibleFilterError, match=said):
        model_memory.model_memory(*given)


class Preflight(preflight.ActionModule):
    """A double of the action: no connection, and a module that answers with these facts."""

    def __init__(self, variables: dict[str, Any], known: dict[str, Any], *, check: bool) -> None:
        arguments = {"plan": plan(variables).data()}
        self._task = SimpleNamespace(args=arguments, check_mode=check, action="preflight")
        self.known = known
        self.asked: dict[str, Any] = {}

    def ask(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        self.asked = arguments
        return {"changed": False, "facts": dict(self.known)}


def run(
    variables: dict[str, Any],
    known: dict[str, Any],
    monkeypatch: Any,
    *,
    check: bool = False,
    **more: Any,
) -> tuple[dict[str, Any], list[str]]:
    shown: list[str] = []
    monkeypatch.setattr(_controller.display, "display", shown.append)
    monkeypatch.setattr(_controller.Action, "run", lambda *dummy: {}, raising=False)
    action = Preflight(variables, known, check=check)
    return action.run(None, {"inventory_hostname": "gpu1"} | more), shown


def test_check_mode_shows_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    result, shown = run(vllm({"max_model_len": 4096}), facts(), monkeypatch, check=True)
    assert not result.get("failed")
    assert [row["model"] for row in result["memory"]] == ["a"]
    assert shown == [
        "gpu1:\n"
        "DEVICE           MODEL  ENGINE  SHARE   WEIGHTS  KV CACHE     TOTAL        OF\n"
        "0 (NVIDIA L40S)  a      vllm    0.92   15.0 GiB   512 MiB  16.4 GiB  44.2 GiB"
    ]
    result, shown = run(vllm({"max_model_len": 4096}), facts(), monkeypatch)
    assert len(result["memory"]) == 1
    assert shown == []
    dummy, shown = run(vllm({}), facts(), monkeypatch, check=True, onehop_site_plan={})
    assert shown == []
    dummy, shown = run(vllm({}), {}, monkeypatch, check=True)
    assert shown == []


def test_a_host_without_models_has_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    result, shown = run({}, facts(), monkeypatch, check=True)
    assert "memory" not in result
    assert shown == []


def test_what_does_not_add_up_fails_or_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    result, dummy = run(vllm({}), facts(1, 16), monkeypatch)
    assert result["failed"]
    assert result["msg"].startswith("vllm_models.a: its weights need 15.0 GiB there")
    variables = vllm({}, gpu_host_checks={"memory": "warn"})
    result, dummy = run(variables, facts(1, 16), monkeypatch)
    assert not result.get("failed")
    assert [said[:19] for said in result["warnings"]] == ["gpu1: vllm_models.a"]
