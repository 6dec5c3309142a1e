# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices that models are given, and those that they ask for in vain."""

from __future__ import annotations

import json
import os

import pytest

from ansible_collections.onehop.llm.plugins.module_utils import _cdi_devices

from .cdi_machine import NVIDIA_117, OLD, PLAIN, Machine


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], []),
        (["nvidia.com/gpu=0", "nvidia.com/gpu=all", "amd.com/gpu=all"], ["nvidia.com/gpu=all"]),
        (["amd.com/gpu=0", "amd.com/gpu=all", "a.com/gpu=all"], ["amd.com/gpu=all"]),
        (["intel.com/gpu=gpu0", "x.com/gpu=all"], ["x.com/gpu=all"]),
        (
            ["intel.com/gpu=gpu1", "intel.com/gpu=gpu0"],
            ["intel.com/gpu=gpu0", "intel.com/gpu=gpu1"],
        ),
        (["x.com/nic=all", "x.com/gpus=all"], []),
    ],
)
def test_the_default_is_all_gpus(names: list[str], expected: list[str]) -> None:
    assert _cdi_devices.default_devices(names) == expected


def complaint(machine: Machine, device: str, predicted: tuple[str, ...] = ()) -> str:
    needs = [{"device": device, "variable": "models[0].devices"}]
    found = list(_cdi_devices.complaints(needs, machine.registry(), predicted))
    if not found:
        return ""
    (said,) = found
    assert said.startswith(f"models[0].devices = {device}: ")
    return str(said.partition(": ")[2])


def test_a_device_that_no_spec_knows(machine: Machine) -> None:
    assert complaint(machine, "nvidia.com/gpu=0") == (
        "no CDI spec of the host knows it (read: none, as /etc/cdi and /var/run/cdi have none). "
        "Install the driver and nvidia-ctk, which comes with nvidia-container-toolkit-base."
    )
    assert "amd-ctk, which comes with amd-container-toolkit." in complaint(machine, "amd.com/gpu=0")
    assert "the tool of the device's vendor" in complaint(machine, "intel.com/gpu=gpu0")
    assert complaint(machine, "nvidia.com/gpu=0", ("nvidia.com/gpu=0",)) == ""
    machine.driver(OLD)
    machine.put("/etc/cdi/nvidia.yaml", NVIDIA_117)
    assert complaint(machine, "nvidia.com/gpu=0") == ""
    assert complaint(machine, "nvidia.com/gpu=1") == (
        "no CDI spec of the host knows it. Write one that is there: nvidia.com/gpu=0, "
        "nvidia.com/gpu=all."
    )
    assert "Write one that is there: nvidia.com/gpu=0" in complaint(machine, "nvida.com/gpu=0")
    assert "(read: /etc/cdi/nvidia.yaml). Install" in complaint(machine, "amd.com/xgmi=9") + (
        complaint(machine, "amd.com/gpu=wholly-other-thing")
    )


def test_a_device_of_a_spec_that_is_refused_or_at_odds(machine: Machine) -> None:
    machine.put("/etc/cdi/a.json", json.dumps(PLAIN | {"new": 1}))
    said = complaint(machine, "x.org/gpu=0")
    assert said.startswith("no CDI spec that can be used knows it. /etc/cdi/a.json: is refused")
    machine.put("/etc/cdi/a.json", json.dumps(PLAIN))
    machine.put("/etc/cdi/b.json", json.dumps(PLAIN))
    assert complaint(machine, "x.org/gpu=0").startswith("is in /etc/cdi/a.json and in /etc/cdi/b")


def test_paths_of_devices(machine: Machine) -> None:
    (machine.root / "dev/dri").mkdir(parents=True)
    machine.put("/dev/file")
    os.mkfifo(machine.root / "dev/node")
    for device in (
        "/dev/dri",
        "/dev/node",
        "/dev/node:/dev/inside",
        "/dev/node:rw",
        "/dev/node:/dev/inside:rwm",
        "-/dev/dri",
        "-/dev/missing",
    ):
        assert complaint(machine, device) == "", device
    assert complaint(machine, "/dev/missing") == (
        "is not on the host. Load its driver, write another path, or -/dev/missing where it may be "
        "missing."
    )
    assert "is neither a device nor a directory" in complaint(machine, "/dev/file")
    for device in ("/dev/node:x", "/dev/node:rw:/dev/inside", "/dev/node:/a:/b", "/dev/node:"):
        assert "neither a path in the container nor made of" in complaint(machine, device), device
    for device in ("gpu", "nvidia.com/gpu", "nvidia.com/gpu=", "-nvidia.com/gpu=0", "all", ""):
        assert "is neither a CDI name" in complaint(machine, device), device


def test_every_need_is_complained_of(machine: Machine) -> None:
    needs = [{"device": device, "variable": "v"} for device in ("a", "/dev/b", "c.d/e=f")]
    assert len(list(_cdi_devices.complaints(needs, machine.registry()))) == 3
