# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who makes CDI specs anew."""

from __future__ import annotations

import json
import tempfile

import pytest
import yaml

from ansible_collections.onehop.llm.plugins.module_utils import (
    _cdi_plan,
    _cdi_tools,
    _files,
    _owned,
)

from .cdi_machine import AMD, NEW, NOWHERE, NVIDIA_117, NVIDIA_118, OLD, PLAIN, Machine, as_json


def test_a_host_without_gpu_or_tool(machine: Machine) -> None:
    machine.tool("nvidia-ctk", as_json(NVIDIA_117))
    machine.unit()
    assert machine.converge() == []
    machine.driver(OLD)
    (machine.root / "bin/nvidia-ctk").unlink()
    machine.unit(state="not-found")
    assert machine.converge() == []
    assert not (machine.root / "etc").exists()
    assert not (machine.root / "owned").exists()


def test_a_host_without_systemd(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cdi_tools, "_PLACES", "")
    machine.driver(OLD)
    (machine.root / "bin/systemctl").unlink()
    monkeypatch.setenv("PATH", f"{machine.root}/bin")
    assert machine.plan().carry_out() == []
    assert machine.asked == []


def test_the_tools_write_what_is_missing_or_stale(machine: Machine) -> None:
    machine.driver(OLD)
    machine.put("/dev/kfd")
    machine.tool("nvidia-ctk", as_json(NVIDIA_117))
    machine.tool("amd-ctk", AMD)
    diff = machine.converge()
    assert [entry["before"] for entry in diff] == ["", ""]
    assert machine.spec("/etc/cdi/nvidia.json")["kind"] == "nvidia.com/gpu"
    assert machine.spec("/etc/cdi/amd.json")["kind"] == "amd.com/gpu"
    assert (machine.root / "etc/cdi/amd.json").stat().st_mode & 0o777 == 0o644
    assert _owned.Owned("cdi").things["paths"] == ["/etc/cdi/amd.json", "/etc/cdi/nvidia.json"]
    machine.driver(NEW)
    machine.tool("nvidia-ctk", as_json(NVIDIA_117, NEW))
    assert len(machine.converge()) == 1
    assert NEW in (machine.root / "etc/cdi/nvidia.json").read_text()
    assert machine.registry().problems == []
    (machine.root / "etc/cdi/nvidia.json").chmod(0o600)
    assert "owner or mode" in machine.converge()[0]["before"]


def test_another_order_is_no_change(machine: Machine) -> None:
    machine.driver(OLD)
    machine.tool("nvidia-ctk", as_json(NVIDIA_117))
    machine.converge()
    turned = yaml.safe_load(NVIDIA_117)
    turned["containerEdits"]["mounts"].reverse()
    machine.tool("nvidia-ctk", json.dumps(turned))
    assert machine.converge() == []
    turned["containerEdits"]["hooks"][0]["args"].reverse()
    machine.tool("nvidia-ctk", json.dumps(turned))
    assert len(machine.converge()) == 1
    turned["containerEdits"]["mounts"].pop()
    machine.tool("nvidia-ctk", json.dumps(turned))
    assert len(machine.converge()) == 1


def test_ours_is_written_anew_whatever_became_of_it(machine: Machine) -> None:
    machine.driver(OLD)
    machine.tool("nvidia-ctk", as_json(NVIDIA_117))
    machine.converge()
    machine.put("/etc/cdi/nvidia.json", '{"kind": "nvidia.com/gpu"')
    assert len(machine.converge()) == 1
    (machine.root / "etc/cdi/nvidia.json").unlink()
    assert len(machine.converge()) == 1
    assert machine.spec("/etc/cdi/nvidia.json")


def test_a_spec_is_on_the_list_before_it_is_made(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.driver(OLD)
    machine.tool("nvidia-ctk", as_json(NVIDIA_117))
    write = _files.File.write

    def full(file: _files.File) -> None:
        if file.path.endswith("/etc/cdi/nvidia.json"):
            raise OSError("the disk is full")
        write(file)

    monkeypatch.setattr(_files.File, "write", full)
    with pytest.raises(OSError, match="full"):
        machine.plan().carry_out()
    assert _owned.Owned("cdi").things["paths"] == ["/etc/cdi/nvidia.json"]


def test_foretelling_writes_nothing(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine.root / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(machine.root / "tmp"))
    machine.driver(OLD)
    machine.tool("nvidia-ctk", as_json(NVIDIA_117))
    plan = machine.plan()
    assert list(plan.registry().devices) == ["nvidia.com/gpu=0", "nvidia.com/gpu=all"]
    assert not (machine.root / "etc").exists()
    assert list((machine.root / "tmp").iterdir()) == []
    assert machine.registry().devices == {}


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo no NVML >&2; exit 1\n", "nvidia-ctk cdi generate: no NVML. Mend that, or remove"),
        ("exit 0\n", "nvidia-ctk cdi generate: wrote nothing"),
        ("", "what nvidia-ctk cdi generate wrote is refused, as new is no field"),
    ],
)
def test_a_tool_that_fails(machine: Machine, script: str, said: str) -> None:
    machine.driver(OLD)
    if script:
        machine.program("nvidia-ctk", script)
    else:
        machine.tool("nvidia-ctk", json.dumps(PLAIN | {"new": 1}))
    plan = machine.plan()
    (failure,) = plan.failures
    assert failure.startswith("/etc/cdi/nvidia.json: could not be made: ")
    assert said in failure
    assert plan.carry_out() == []


def test_nothing_is_written_beside_a_file_of_somebody_else(machine: Machine) -> None:
    machine.driver(OLD)
    machine.tool("nvidia-ctk", as_json(NVIDIA_117))
    for text in (NVIDIA_117, NVIDIA_117.replace(OLD, NEW), NVIDIA_117 + "new: 1\n"):
        machine.put("/etc/cdi/nvidia.yaml", text)
        assert machine.converge() == []
        assert (machine.root / "etc/cdi/nvidia.yaml").read_text() == text
        assert not (machine.root / "etc/cdi/nvidia.json").exists()
    assert "is refused whole" in machine.registry().problems[0]
    (machine.root / "etc/cdi/nvidia.yaml").unlink()
    machine.put("/etc/cdi/nvidia.json", as_json(NVIDIA_118))
    assert machine.converge() == []
    assert machine.spec("/etc/cdi/nvidia.json") == yaml.safe_load(NVIDIA_118)


def test_ours_goes_when_somebody_else_makes_a_fresh_one(machine: Machine) -> None:
    machine.driver(OLD)
    machine.tool("nvidia-ctk", as_json(NVIDIA_117))
    machine.converge()
    machine.put("/etc/cdi/nvidia.yaml", NVIDIA_117.replace(OLD, NEW))
    assert machine.converge() == [], "that one is stale: ours stays"
    machine.put("/etc/cdi/nvidia.yaml", NVIDIA_117)
    assert machine.registry().devices == {}
    (gone,) = machine.converge()
    assert gone["after"] == ""
    assert list(machine.registry().devices) == ["nvidia.com/gpu=0", "nvidia.com/gpu=all"]
    assert _owned.Owned("cdi").things["paths"] == []


def test_a_driver_that_waits_for_a_restart_is_not_fought(machine: Machine) -> None:
    machine.driver(OLD)
    machine.tool("nvidia-ctk", as_json(NVIDIA_117))
    machine.converge()
    machine.put("/sys/module/nvidia/version", "535.183.01\n")
    machine.program("nvidia-ctk", "exit 1\n")
    plan = machine.plan()
    assert (plan.failures, plan.carry_out()) == ([], [])


def refresh(machine: Machine, text: str, path: str = NOWHERE) -> str:
    """What the stand-in for the unit does: put a spec in its place."""
    (machine.root / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
    return f"cp {machine.put('/standin/spec', text)} {machine.root}{path}"


def test_the_toolkits_own_unit_is_run_when_its_spec_is_missing_or_stale(machine: Machine) -> None:
    machine.driver(OLD)
    machine.tool("nvidia-ctk", NVIDIA_117)
    machine.unit(refresh(machine, NVIDIA_117))
    diff = machine.converge()
    assert [(entry["before"], entry["after"]) for entry in diff] == [("", NVIDIA_117)]
    assert (machine.root / NOWHERE.lstrip("/")).exists()
    assert not (machine.root / "etc").exists()
    assert not (machine.root / "owned").exists()
    machine.asked.clear()
    assert machine.plan().carry_out() == []
    assert not [command for command in machine.asked if "restart" in command]
    machine.driver(NEW)
    machine.tool("nvidia-ctk", NVIDIA_117.replace(OLD, NEW))
    machine.unit(refresh(machine, NVIDIA_117.replace(OLD, NEW)))
    assert len(machine.converge()) == 1
    assert machine.registry().problems == []


@pytest.mark.parametrize("by", ["unit", "settings"])
def test_the_unit_may_write_elsewhere(machine: Machine, by: str) -> None:
    machine.driver(OLD)
    machine.tool("nvidia-ctk", NVIDIA_117)
    path = "/etc/cdi/toolkit.yaml"
    setting = f"NVIDIA_CTK_CDI_OUTPUT_FILE_PATH={path}"
    default = "NVIDIA_CTK_CDI_OUTPUT_FILE_PATH=/run/cdi/nvidia.yaml"
    machine.put(
        _cdi_plan.REFRESH_SETTINGS, f"# {default}\n" + (setting if by == "settings" else "")
    )
    machine.unit(
        refresh(machine, NVIDIA_117, path),
        settings=f"A=b {setting if by == 'unit' else default}",
    )
    assert len(machine.converge()) == 1
    assert machine.registry().devices["nvidia.com/gpu=0"] == path


def test_a_masked_unit_is_none(machine: Machine) -> None:
    machine.driver(OLD)
    machine.tool("nvidia-ctk", as_json(NVIDIA_117))
    machine.unit(state="masked")
    assert len(machine.converge()) == 1
    assert machine.spec("/etc/cdi/nvidia.json")


def test_ours_goes_when_the_toolkit_brings_its_unit(machine: Machine) -> None:
    machine.driver(OLD)
    machine.tool("nvidia-ctk", as_json(NVIDIA_117))
    machine.converge()
    machine.tool("nvidia-ctk", NVIDIA_117)
    machine.unit("true")
    plan = machine.plan()
    assert plan.carry_out() == []
    assert machine.spec("/etc/cdi/nvidia.json"), "a unit that makes nothing is no replacement"
    machine.unit(refresh(machine, NVIDIA_117))
    plan = machine.plan()
    assert len(plan.carry_out()) == 2
    assert not (machine.root / "etc/cdi/nvidia.json").exists()
    assert machine.registry().problems == []


def test_a_stale_file_by_hand_stays_beside_the_unit_and_is_told_of(machine: Machine) -> None:
    machine.driver(NEW)
    machine.put("/etc/cdi/nvidia.yaml", NVIDIA_117)
    machine.tool("nvidia-ctk", NVIDIA_117.replace(OLD, NEW))
    machine.unit(refresh(machine, NVIDIA_117.replace(OLD, NEW)))
    assert len(machine.converge()) == 1
    assert (machine.root / "etc/cdi/nvidia.yaml").read_text() == NVIDIA_117
    assert machine.registry().problems[-1].endswith("Remove /etc/cdi/nvidia.yaml.")


def test_a_unit_that_fails(machine: Machine) -> None:
    machine.driver(OLD)
    machine.program("nvidia-ctk", "exit 1\n")
    machine.unit("echo the control process exited >&2; exit 1")
    plan = machine.plan()
    assert plan.failures == []
    assert plan.diff()[0]["after"] == "(what nvidia-cdi-refresh.service makes)\n"
    assert plan.carry_out() == []
    (failure,) = plan.failures
    assert failure.startswith("/var/run/cdi/nvidia.yaml: systemctl restart nvidia-cdi-refresh")
    assert "the control process exited. See what journalctl" in failure
    verbs = [command[1] for command in machine.asked if command[0] == "systemctl"]
    assert verbs[-2:] == ["reset-failed", "restart"], "an earlier start limit does not count"


def test_a_unit_without_its_tool(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.driver(OLD)
    machine.unit()
    monkeypatch.setattr(_cdi_tools, "_PLACES", "")
    monkeypatch.setenv("PATH", f"{machine.root}/bin")
    assert machine.plan().refresh == NOWHERE
