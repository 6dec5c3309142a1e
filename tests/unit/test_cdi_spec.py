# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module that has a fresh CDI spec: what it makes, foretells and takes back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.module_utils import _cdi_plan
from ansible_collections.onehop.llm.plugins.modules import cdi_spec

from .cdi_machine import NVIDIA_117, OLD, PLAIN, Machine, as_json


class Ended(Exception):
    """What the module came back with."""


class StandIn:
    """Stands in for AnsibleModule."""

    def __init__(self, machine: Machine, state: str, check_mode: bool) -> None:
        self.params = {"owner": "cdi", "state": state}
        self.check_mode = check_mode
        self.run_command = machine.run
        self.warned: list[str] = []

    def warn(self, sentence: str) -> None:
        self.warned.append(sentence)

    def exit_json(self, **result: object) -> None:
        raise Ended({"warned": self.warned, **result})

    def fail_json(self, **result: object) -> None:
        raise Ended({"failed": True, **result})


@pytest.fixture
def call(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Any:
    plan = _cdi_plan.Plan
    monkeypatch.setattr(
        _cdi_plan, "Plan", lambda run, owned: plan(run, owned, root=str(machine.root))
    )

    def called(state: str = "present", check_mode: bool = False) -> dict[str, Any]:
        module = StandIn(machine, state, check_mode)
        monkeypatch.setattr(cdi_spec, "AnsibleModule", lambda **dummy: module)
        with pytest.raises(Ended) as caught:
            cdi_spec.main()
        found: dict[str, Any] = caught.value.args[0]
        return found

    return called


def test_the_module_makes_foretells_and_takes_back(machine: Machine, call: Any) -> None:
    nothing = {"devices": [], "default": [], "generated": [], "problems": [], "warned": []}
    for state in ("present", "absent"):
        assert call(state) == {"changed": False, "diff": [], **nothing}
    machine.driver(OLD)
    machine.tool("nvidia-ctk", as_json(NVIDIA_117))
    foretold = call(check_mode=True)
    assert not (machine.root / "etc").exists()
    done = call()
    assert foretold == done
    assert done["changed"] is True
    assert done["devices"] == ["nvidia.com/gpu=0", "nvidia.com/gpu=all"]
    assert done["default"] == ["nvidia.com/gpu=all"]
    assert done["generated"] == ["/etc/cdi/nvidia.json"]
    assert call()["changed"] is False
    assert call("absent", check_mode=True)["changed"] is True
    assert machine.spec("/etc/cdi/nvidia.json")
    assert call("absent") | nothing == call("absent", check_mode=True) | nothing | {
        "changed": True,
        "diff": [
            {
                "before_header": f"{machine.root}/etc/cdi/nvidia.json",
                "after_header": f"{machine.root}/etc/cdi/nvidia.json",
                "before": as_json(NVIDIA_117),
                "after": "",
            }
        ],
    }
    assert not (machine.root / "etc/cdi/nvidia.json").exists()


def test_the_module_takes_back_only_what_is_ours(machine: Machine, call: Any) -> None:
    machine.put("/etc/cdi/nvidia.json", as_json(NVIDIA_117))
    assert call("absent")["changed"] is False
    assert machine.spec("/etc/cdi/nvidia.json")


def test_the_module_warns_and_fails(machine: Machine, call: Any) -> None:
    machine.put("/etc/cdi/x.json", json.dumps(PLAIN), mode=0o600)
    said = call()
    assert said["warned"] == said["problems"]
    assert "has mode 0600" in said["problems"][0]
    assert said["default"] == ["x.org/gpu=0"]
    machine.driver(OLD)
    machine.program("nvidia-ctk", "exit 1\n")
    for check_mode in (True, False):
        assert call(check_mode=check_mode)["failed"] is True
    machine.unit("exit 1")
    assert "failed" not in call(check_mode=True)
    assert "journalctl" in call()["msg"]
