# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of a host's CDI specs counts, and what is said of those that are stale, hidden or closed."""

from __future__ import annotations

import json

from .cdi_machine import (
    DEVICE,
    LIBRARIES,
    NEW,
    NOWHERE,
    NVIDIA_117,
    NVIDIA_118,
    OLD,
    PLAIN,
    Machine,
    dump,
    edits,
)


def test_the_later_directory_counts_and_the_other_is_told_of(machine: Machine) -> None:
    machine.put("/etc/cdi/a.json", json.dumps(PLAIN))
    machine.put("/var/run/cdi/b.json", json.dumps(PLAIN))
    registry = machine.registry()
    assert registry.devices == {"x.org/gpu=0": "/var/run/cdi/b.json"}
    assert registry.problems == [
        "/etc/cdi/a.json: x.org/gpu=0 is in /var/run/cdi/b.json too, which counts. Remove "
        "/etc/cdi/a.json."
    ]


def test_a_device_in_two_files_of_a_directory_is_in_none(machine: Machine) -> None:
    other = PLAIN | {"devices": [DEVICE, DEVICE | {"name": "1"}]}
    machine.put("/etc/cdi/a.json", json.dumps(PLAIN))
    machine.put("/etc/cdi/b.yaml", dump(other))
    registry = machine.registry()
    assert registry.devices == {"x.org/gpu=1": "/etc/cdi/b.yaml"}
    assert registry.problems == [
        "x.org/gpu=0: is in /etc/cdi/a.json and in /etc/cdi/b.yaml, and so in none of them counts. "
        "Remove all of these files but one."
    ]
    # The library drops the name for good, whatever a later directory says.
    machine.put("/var/run/cdi/c.json", json.dumps(PLAIN))
    assert "x.org/gpu=0" not in machine.registry().devices


def test_a_path_that_is_gone(machine: Machine) -> None:
    machine.driver(OLD)
    machine.put("/etc/cdi/nvidia.yaml", NVIDIA_117)
    assert machine.registry().problems == []
    for path in (
        "/dev/dri/renderD128",
        "/usr/bin/nvidia-cdi-hook",
        f"{LIBRARIES}/libcuda.so.{OLD}",
    ):
        (machine.root / path[1:]).unlink()
    (problem,) = machine.registry().problems
    assert problem == (
        "/etc/cdi/nvidia.yaml: names /dev/dri/renderD128, /usr/bin/nvidia-cdi-hook, "
        f"{LIBRARIES}/libcuda.so.{OLD}, which the host does not have. Make it anew with nvidia-ctk "
        "cdi generate --output=/etc/cdi/nvidia.yaml, or remove it."
    )


def test_the_path_on_the_host_is_the_one_that_has_to_be_there(machine: Machine) -> None:
    node = {"path": "/dev/inside", "hostPath": "/dev/outside"}
    mount = {"hostPath": "tmpfs", "containerPath": "/t", "type": "tmpfs"}
    spec = PLAIN | edits(deviceNodes=[node], mounts=[mount])
    machine.put("/etc/cdi/x.json", json.dumps(spec))
    assert "names /dev/outside, which" in machine.registry().problems[0]
    machine.put("/dev/outside")
    assert machine.registry().problems == []


def test_a_driver_that_moved_on(machine: Machine) -> None:
    machine.driver(OLD)
    machine.put("/etc/cdi/nvidia.yaml", NVIDIA_117)
    machine.driver(NEW)
    (problem,) = machine.registry().problems
    assert f"is for the NVIDIA driver {OLD}, and {NEW} is loaded. Make it anew" in problem
    (machine.root / "sys/module/nvidia/version").unlink()
    assert machine.registry().problems == []
    line = f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {NEW}  Fri Aug 16 2024\n"
    machine.put("/proc/driver/nvidia/version", line)
    assert machine.registry().problems == [problem]


def test_a_driver_that_is_installed_and_not_loaded(machine: Machine) -> None:
    machine.driver(OLD)
    machine.put("/etc/cdi/nvidia.yaml", NVIDIA_117)
    machine.put("/sys/module/nvidia/version", "535.183.01\n")
    assert machine.registry().problems == [
        f"/etc/cdi/nvidia.yaml: is for the NVIDIA driver {OLD}, and 535.183.01 is loaded. Restart "
        "the host, so that the installed driver is loaded."
    ]


def test_a_stale_hand_made_file_beside_a_fresh_one(machine: Machine) -> None:
    machine.driver(NEW)
    machine.put("/etc/cdi/nvidia.yaml", NVIDIA_118)
    machine.put(NOWHERE, NVIDIA_117.replace(OLD, NEW))
    problems = machine.registry().problems
    assert f"names {LIBRARIES}/libcuda.so.{OLD}" in problems[0]
    assert f"is for the NVIDIA driver {OLD}" in problems[1]
    assert problems[2] == (
        "/etc/cdi/nvidia.yaml: nvidia.com/gpu=0, nvidia.com/gpu=all is in "
        "/var/run/cdi/nvidia.yaml too, which counts; and what only /etc/cdi/nvidia.yaml has, "
        "nvidia.com/gpu=GPU-955ef018-3bd9-5f27-80b3-fa20ee8d19c5, nvidia.com/gpu=1:0, is stale. "
        "Remove /etc/cdi/nvidia.yaml."
    )
    assert len(problems) == 3


def test_a_fresh_file_that_a_stale_one_hides(machine: Machine) -> None:
    machine.driver(NEW)
    machine.put("/etc/cdi/nvidia.yaml", NVIDIA_117.replace(OLD, NEW))
    machine.put(NOWHERE, NVIDIA_117)
    assert machine.registry().problems[-1] == (
        "/etc/cdi/nvidia.yaml: nvidia.com/gpu=0, nvidia.com/gpu=all is in "
        "/var/run/cdi/nvidia.yaml too, which counts, and is stale. Make it anew with systemctl "
        "restart nvidia-cdi-refresh.service, or remove it."
    )


def test_what_rootless_containers_cannot_read(machine: Machine) -> None:
    path = machine.put("/etc/cdi/x.json", json.dumps(PLAIN), mode=0o640)
    path.parent.chmod(0o750)
    assert machine.registry().problems == [
        "/etc/cdi: has mode 0750, so that rootless containers cannot use it. Give it mode 0755.",
        "/etc/cdi/x.json: has mode 0640, so that rootless containers cannot use it. Give it mode "
        "0644.",
    ]
    assert list(machine.registry().devices) == ["x.org/gpu=0"]


def test_links(machine: Machine) -> None:
    target = machine.put("/srv/x.json", json.dumps(PLAIN))
    (machine.root / "etc/cdi").mkdir(parents=True)
    (machine.root / "etc/cdi/x.json").symlink_to(target)
    assert list(machine.registry().devices) == ["x.org/gpu=0"]
    target.unlink()
    (problem,) = machine.registry().problems
    assert problem == "/etc/cdi/x.json: cannot be read: No such file or directory. Remove it."
    (machine.root / "etc/cdi/x.json").unlink()
    (machine.root / "etc/cdi").rmdir()
    (machine.root / "etc/cdi").symlink_to(target.parent)
    assert "/etc/cdi: is a link" in machine.registry().problems[0]
