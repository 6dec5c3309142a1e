# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which CDI specs are read, and why the others are refused."""

from __future__ import annotations

import json

import pytest
import yaml

from ansible_collections.onehop.llm.plugins.module_utils import _yaml_subset

from .cdi_machine import AMD, DEVICE, NVIDIA_117, NVIDIA_118, OLD, PLAIN, Machine, dump, edits


def test_specs_of_the_vendors_tools_are_read(machine: Machine) -> None:
    machine.driver(OLD)
    machine.put("/dev/kfd")
    for text, names in (
        (NVIDIA_117, ["nvidia.com/gpu=0", "nvidia.com/gpu=all"]),
        (
            NVIDIA_118,
            [
                "nvidia.com/gpu=0",
                "nvidia.com/gpu=1:0",
                "nvidia.com/gpu=GPU-955ef018-3bd9-5f27-80b3-fa20ee8d19c5",
                "nvidia.com/gpu=all",
            ],
        ),
    ):
        machine.put("/etc/cdi/nvidia.yaml", text)
        machine.put("/etc/cdi/amd.json", AMD)
        registry = machine.registry()
        assert registry.problems == []
        assert list(registry.devices) == ["amd.com/gpu=0", "amd.com/gpu=all", *names]
        assert registry.devices["nvidia.com/gpu=all"] == "/etc/cdi/nvidia.yaml"
        assert _yaml_subset.read(text) == yaml.safe_load(text)


def test_a_host_without_specs(machine: Machine) -> None:
    registry = machine.registry()
    assert (registry.devices, registry.problems, registry.specs) == ({}, [], [])


def test_only_files_that_the_library_reads_are_read(machine: Machine) -> None:
    text = json.dumps(PLAIN)
    for name in ("a.yml", "a.json.bak", "deeper/a.json", "directory.json/a.txt"):
        machine.put(f"/etc/cdi/{name}", text)
    assert (machine.registry().specs, machine.registry().problems) == ([], [])
    machine.put("/etc/cdi/json.yaml", text)
    assert list(machine.registry().devices) == ["x.org/gpu=0"]


def test_a_number_may_stand_for_a_text(machine: Machine) -> None:
    machine.put(
        "/etc/cdi/x.yaml",
        "cdiVersion: 0.5.0\nkind: x.org/gpu\n"
        "devices: [{name: 7, containerEdits: {env: [A=b]}}] # by hand\n",
    )
    registry = machine.registry()
    assert registry.problems == []
    assert list(registry.devices) == ["x.org/gpu=7"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cdiVersion": None}, "cdiVersion is missing"),
        ({"cdiVersion": "0.5"}, "cdiVersion = 0.5 is no version of CDI"),
        ({"cdiVersion": "0.2.0", **edits()}, "cdiVersion = 0.2.0 is too low for any spec"),
        ({"kind": None}, "kind is missing"),
        ({"kind": "gpu"}, "kind = gpu is none"),
        ({"kind": "x.org/gpu-"}, "kind = x.org/gpu- is none"),
        ({"devices": []}, "devices are missing"),
        ({"devices": None}, "devices are missing"),
        ({"devices": {"name": "0"}}, "devices has to be a list"),
        ({"devices": [DEVICE, DEVICE]}, "devices[1].name = 0 is there twice"),
        ({"devices": [DEVICE | {"name": "-0"}]}, "devices[0].name = -0 is none"),
        ({"devices": [DEVICE | {"name": None}]}, "devices[0].name = (nothing) is none"),
        ({"devices": [None]}, "devices[0] is empty"),
        ({"devices": [{"name": "0"}]}, "devices[0].containerEdits are missing"),
        ({"devices": ["0"]}, "devices[0] has to have fields"),
        ({"vendor": "x"}, "vendor is no field that CDI knows"),
        (edits(mount=[]), "devices[0].containerEdits.mount is no field that CDI knows"),
        (edits(env=["=x"]), "devices[0].containerEdits.env has =x, which is no NAME=VALUE"),
        (edits(env=[["A=b"]]), "devices[0].containerEdits.env[0] has to be text"),
        (edits(hooks=[{"hookName": "poststop"}]), "hooks[0].path is missing"),
        (edits(hooks=[{"path": "/x"}]), "hooks[0].hookName is missing"),
        (edits(hooks=[{"path": "/x", "hookName": "x"}]), "hooks[0].hookName = x is none of"),
        (
            edits(hooks=[{"path": "/x", "hookName": "poststop", "env": ["x"]}]),
            "hooks[0].env has x",
        ),
        (edits(mounts=[{"hostPath": "/x"}]), "mounts[0].containerPath is missing"),
        (edits(mounts=[{"containerPath": "/x"}]), "mounts[0].hostPath is missing"),
        (edits(deviceNodes=[{"type": "c"}]), "deviceNodes[0].path is missing"),
        (edits(deviceNodes=[{"path": "/x", "type": "d"}]), "deviceNodes[0].type = d is none of"),
        (edits(deviceNodes=[{"path": "/x", "permissions": "rx"}]), "permissions = rx is not"),
        (edits(deviceNodes=[{"path": "/x", "major": -1}]), "deviceNodes[0].major = -1 is negative"),
        (edits(deviceNodes=[{"path": "/x", "major": "1"}]), "major has to be a number"),
        (edits(deviceNodes=[{"path": "/x", "major": True}]), "major has to be a number"),
        (edits(intelRdt={"enableCMT": 1}), "enableCMT has to be true or false"),
        (
            edits(netDevices=[{"name": "a"}]) | {"cdiVersion": "1.1.0"},
            "netDevices[0].hostInterfaceName is missing",
        ),
        (edits(netDevices=[{"name": "a"}]), "is too low for netDevices"),
        (edits(additionalGids=[44]), "cdiVersion = 0.6.0 is too low for intelRdt and additional"),
        (edits(intelRdt={}), "too low for intelRdt and additionalGids; write 0.7.0"),
        ({"cdiVersion": "0.5.0", "annotations": {"a": "b"}}, "too low for annotations"),
        ({"cdiVersion": "0.5.0", "kind": "x.org/g.pu"}, "too low for a dot in the kind's class"),
        ({"cdiVersion": "0.4.0"}, "too low for a device's name that begins with no letter"),
        (
            {"cdiVersion": "0.4.0", **edits(deviceNodes=[{"path": "/x", "hostPath": "/y"}])},
            "too low for the hostPath of a device node; write 0.5.0",
        ),
        (
            {
                "cdiVersion": "0.3.0",
                **edits(mounts=[{"hostPath": "t", "containerPath": "/t", "type": "tmpfs"}]),
            },
            "too low for the type of a mount; write 0.4.0",
        ),
    ],
)
@pytest.mark.parametrize("form", ["json", "yaml"])
def test_a_spec_with_a_fault_is_refused_whole(
    machine: Machine, form: str, change: dict[str, object], said: str
) -> None:
    data = PLAIN | change
    data = {key: value for key, value in data.items() if value is not None or key == "devices"}
    machine.put(f"/etc/cdi/x.{form}", json.dumps(data) if form == "json" else dump(data))
    registry = machine.registry()
    assert registry.devices == {}
    (problem,) = registry.problems
    assert problem.startswith(f"/etc/cdi/x.{form}: is refused whole, as ")
    assert said in problem


def test_all_faults_are_said_at_once(machine: Machine) -> None:
    machine.put("/etc/cdi/x.json", json.dumps({"kind": "gpu", "devices": [DEVICE, DEVICE]}))
    (problem,) = machine.registry().problems
    assert (
        "cdiVersion is missing; kind = gpu is none, such as nvidia.com/gpu; devices[1]" in problem
    )


def test_a_version_of_cdi_that_came_later_may_have_other_fields(machine: Machine) -> None:
    machine.put("/etc/cdi/x.json", json.dumps(PLAIN | {"cdiVersion": "1.2.0", "new": 1}))
    assert list(machine.registry().devices) == ["x.org/gpu=0"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.json", b'{"kind": "x.org/gpu",', "Expecting property name"),
        ("x.json", b'{"kind": "x.org/gpu", "kind": "y.org/gpu"}', "the key kind is there twice"),
        ("x.yaml", b"kind: x.org/gpu\nkind: y\n", "line 2: the key kind is there twice"),
        ("x.yaml", b"kind: x.org/gpu\ndevices: *all\n", "line 2: *all is more of YAML"),
        ("x.yaml", b"\xff", "it is no text"),
        ("x.yaml", b"", "it has no cdiVersion, kind and devices"),
        ("x.json", b"[]", "it has no cdiVersion, kind and devices"),
    ],
)
def test_what_cannot_be_parsed(machine: Machine, name: str, content: bytes, said: str) -> None:
    machine.put(f"/etc/cdi/{name}").write_bytes(content)
    registry = machine.registry()
    assert registry.devices == {}
    assert f"/etc/cdi/{name}: is refused whole, as {said}" in registry.problems[0]
