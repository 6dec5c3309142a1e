# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nvidia-smi says, read: answers as of real cards, and of hosts without one that answers.

No answer to just these fields was found, and no card was at hand. So rows are written in their order,
after nvidia-smi's manual, with what real reports show of such a card, as each says; what they do not
show is of the manual's form. Lists of instances and words of failures are real where they name a
report.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.module_utils import _gpus, _machine

# Sizes of T4, L40S and A100 40 GB: modal-labs/modal-client#2797.
T4 = "0, GPU-1c3fa2e4-9d3c-6a5b-b2a1-0f6f3a8f1b52, Tesla T4, 15360, 3, 7.5, 535.183.01, [N/A]\n"
L40S = (
    "0, GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77, NVIDIA L40S, 46068, 1, 8.9, 570.86.15, [N/A]\n"
    "1, GPU-8a0c7f5e-3f1c-98f4-0a34-0e8d4a1e2b11, NVIDIA L40S, 46068, 45001, 8.9, 570.86.15, [N/A]\n"
)
A100 = (
    "0, GPU-e86cb44c-6756-fd30-cd4a-1e6da3caf9b0, NVIDIA A100-SXM4-40GB, 40960, 87, 8.0, "
    "550.127.05, Enabled\n"
)
H200 = (
    "0, GPU-8b06f67c-36d9-cc08-2bf0-91112a3cc446, NVIDIA H200, 143771, 133791, 9.0, 580.159.03, Disabled\n"
    "1, GPU-46570e99-c968-c8a1-d119-bfa45e0d70b5, NVIDIA H200, 143771, 84335, 9.0, 580.159.03, Disabled\n"
)
"""Two of four, as a public monitor recorded them in July 2026; capability and MIG mode are not in it."""
SPARK = "0, GPU-2dee1e25-b3b5-007e-2b55-79f2d0f2ebe5, NVIDIA GB10, [N/A], [N/A], 12.1, 580.126.09, [N/A]\n"
"""A card that shares the host's memory: unslothai/unsloth#10703 and mostlygeek/llama-swap#782 (its
memory), leptonai/gpud#1170 (UUID), snowflakedb/ArcticTraining#345 (driver)."""
OTHER_UNKNOWNS = (
    "0, GPU-46570e99-c968-c8a1-d119-bfa45e0d70b5, NVIDIA H200, 143771, "
    "[Requested functionality has been deprecated], N/A, 580.159.03, [N/A]\n"
)
"""Other words for what is not known: the H200's monitor, and Ricks-Lab/gpu-utils#83 without brackets."""
SEVENTHS = """\
GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-7fdaf0a5-179b-f636-d15d-daf243e3ff16)
  MIG 1g.10gb     Device  0: (UUID: MIG-feb88891-0321-5fef-9c87-d4af3b54259e)
  MIG 1g.10gb     Device  1: (UUID: MIG-a25704ba-3a06-5299-a795-fd7cf4d13973)
  MIG 1g.10gb     Device  2: (UUID: MIG-50f1c4c9-1508-5e8d-bb06-d08145b22e01)
  MIG 1g.10gb     Device  3: (UUID: MIG-36c795f2-5cf7-55d6-af30-e535e79b7bb6)
  MIG 1g.10gb     Device  4: (UUID: MIG-3f45d38c-8cee-503e-b806-a1f1bdceedeb)
  MIG 1g.10gb     Device  5: (UUID: MIG-96655de9-9525-58f9-a62b-0e4c1cc1c265)
  MIG 1g.10gb     Device  6: (UUID: MIG-1aae4990-b962-574e-8375-119d6d9b9687)
"""
"""DataDog/datadog-agent#33120, driver 535.216.01."""
INSTANCES = """\
GPU 0: A100-SXM4-40GB (UUID: GPU-e86cb44c-6756-fd30-cd4a-1e6da3caf9b0)
  MIG 3g.20gb Device 0: (UUID: MIG-c7384736-a75d-5afc-978f-d2f1294409fd)
  MIG 1g.5gb      Device  1: (UUID: MIG-a28ad590-3fda-56dd-84fc-0a0b96edc58d)
GPU 1: A100-SXM4-40GB (UUID: GPU-f86cb44c-6756-fd30-cd4a-1e6da3caf9b0)
  MIG 7g.40gb     Device  0: (UUID: MIG-GPU-f86cb44c-6756-fd30-cd4a-1e6da3caf9b0/0/0)
"""
"""After NVIDIA's guide to MIG, with the UUID of drivers before 470 in the last line, whose form
NVIDIA/nvidia-container-toolkit#203 shows."""
LOG = """\

==============NVSMI LOG==============

Timestamp                                 : Wed Jan 22 04:28:41 2025
Driver Version                            : 550.127.05
CUDA Version                              : 12.4

Attached GPUs                             : 1
"""


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (T4, [("Tesla T4", 15360, 3, "7.5", "535.183.01", False)]),
        (
            L40S,
            [
                ("NVIDIA L40S", 46068, 1, "8.9", "570.86.15", False),
                ("NVIDIA L40S", 46068, 45001, "8.9", "570.86.15", False),
            ],
        ),
        (A100, [("NVIDIA A100-SXM4-40GB", 40960, 87, "8.0", "550.127.05", True)]),
        (
            H200,
            [
                ("NVIDIA H200", 143771, 133791, "9.0", "580.159.03", False),
                ("NVIDIA H200", 143771, 84335, "9.0", "580.159.03", False),
            ],
        ),
        (SPARK, [("NVIDIA GB10", None, None, "12.1", "580.126.09", False)]),
        ("", []),
    ],
)
def test_cards_are_read(text: str, wanted: list[tuple[Any, ...]]) -> None:
    def mib(number: int | None) -> int | None:
        return None if number is None else number // 2**20

    found = [
        (
            gpu["name"],
            mib(gpu["memory"]),
            mib(gpu["used"]),
            gpu["capability"],
            gpu["driver"],
            gpu["mig"],
        )
        for gpu in _gpus.parse(text)
    ]
    assert found == wanted
    assert [gpu["index"] for gpu in _gpus.parse(text)] == list(range(len(wanted)))


def test_what_is_not_known_has_several_words() -> None:
    (gpu,) = _gpus.parse(OTHER_UNKNOWNS)
    assert (gpu["memory"], gpu["used"], gpu["capability"]) == (143771 * 2**20, None, None)


def test_a_name_may_hold_a_comma() -> None:
    (gpu,) = _gpus.parse(T4.replace("Tesla T4", "Graphics Device, engineering"))
    assert (gpu["name"], gpu["memory"]) == ("Graphics Device, engineering", 15360 * 2**20)


@pytest.mark.parametrize(
    "text", ["0, GPU-1, Tesla T4\n", "x" + T4, T4.replace("GPU-", ""), "Unable to determine\n"]
)
def test_nothing_is_made_of_another_answer(text: str) -> None:
    with pytest.raises(_gpus.Unreadable, match="nvidia-smi said"):
        _gpus.parse(text)


def test_instances_and_cuda_are_read() -> None:
    assert [
        (one["gpu"], one["index"], one["profile"]) for one in _gpus.parse_instances(INSTANCES)
    ] == [(0, 0, "3g.20gb"), (0, 1, "1g.5gb"), (1, 0, "7g.40gb")]
    assert _gpus.parse_instances(INSTANCES)[1]["uuid"] == "MIG-a28ad590-3fda-56dd-84fc-0a0b96edc58d"
    real = _gpus.parse_instances(SEVENTHS)
    assert [(one["gpu"], one["index"]) for one in real] == [(0, index) for index in range(7)]
    assert {one["profile"] for one in real} == {"1g.10gb"}
    assert real[6]["uuid"] == "MIG-1aae4990-b962-574e-8375-119d6d9b9687"
    assert _gpus.cuda_version(LOG) == "12.4"
    assert _gpus.cuda_version("N/A") is None


def run(command: list[str]) -> tuple[int, str, str]:
    """As AnsibleModule.run_command."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def double(place: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A program that stands in for nvidia-smi, the first on the PATH."""
    program = place / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:/usr/bin:/bin")


ANSWERS = f"""case "$1" in
--query-gpu=*) printf '%s' '{A100}' ;;
-L) printf '%s' '{INSTANCES}' ;;
-q) printf '%s' '{LOG}' ;;
esac"""


def test_a_card_with_instances(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    double(tmp_path, monkeypatch, ANSWERS)
    found = _gpus.found(run)
    assert found["gpu_fault"] is None
    assert found["gpus"] == [
        {
            "index": 0,
            "uuid": "GPU-e86cb44c-6756-fd30-cd4a-1e6da3caf9b0",
            "name": "NVIDIA A100-SXM4-40GB",
            "memory": 40960 * 2**20,
            "used": 87 * 2**20,
            "capability": "8.0",
            "driver": "550.127.05",
            "cuda": "12.4",
            "mig": True,
        }
    ]
    assert len(found["mig"]) == 3


def test_a_driver_that_does_not_know_a_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Words and status as in canonical/inference-snaps#128; that it is said to the output, and an empty
    line follows, as in CoHDI/composable-resource-operator#37."""
    old = "0, GPU-1c3fa2e4, Tesla V100-SXM2-16GB, 16160, 0, 450.119.03"
    double(
        tmp_path,
        monkeypatch,
        f"""case "$1" in
*compute_cap*) echo 'Field "compute_cap" is not a valid field to query.'; echo; exit 2 ;;
--query-gpu=*) echo '{old}' ;;
esac""",
    )
    (gpu,) = _gpus.found(run)["gpus"]
    assert (gpu["name"], gpu["driver"]) == ("Tesla V100-SXM2-16GB", "450.119.03")
    assert (gpu["capability"], gpu["cuda"], gpu["mig"]) == (None, None, False)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (
            "echo 'Failed to initialize NVML: Driver/library version mismatch'\n"
            "echo 'NVML library version: 550.144'; exit 18",
            "Failed to initialize NVML: Driver/library version mismatch",
        ),
        (
            "echo \"NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
            'Make sure that the latest NVIDIA driver is installed and running."\necho; exit 9',
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure "
            "that the latest NVIDIA driver is installed and running.",
        ),
        ("echo 'No devices were found'; exit 6", "No devices were found"),
        ("echo 'No devices were found'", "No devices were found"),
        ("exit 3", "nvidia-smi failed with status 3 and no word"),
        ("exit 124", "nvidia-smi gave no answer within 30 s"),
        ("echo nonsense", "nvidia-smi said 'nonsense' where 8 fields were asked"),
    ],
)
def test_a_driver_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    """The first as in mozilla/translations#1167, with its status. The words of the second are those of
    GoogleCloudPlatform/compute-gpu-installation#18, of the third those of
    NVIDIA/open-gpu-kernel-modules#862; their statuses are nvidia-smi(1)'s."""
    double(tmp_path, monkeypatch, script)
    assert _gpus.found(run) == {"gpus": [], "mig": [], "gpu_fault": said}


def test_a_driver_that_hangs_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    double(tmp_path, monkeypatch, "exec sleep 600")
    monkeypatch.setattr(_gpus, "_SECONDS", 1)
    assert _gpus.found(run)["gpu_fault"] == "nvidia-smi gave no answer within 1 s"


def test_a_host_without_nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _gpus.found(run) == {"gpus": [], "mig": [], "gpu_fault": None}


def test_processor_and_memory() -> None:
    assert _machine.cpu_flags("processor\t: 0\nflags\t\t: fpu avx2 avx\n\nflags\t: x\n") == [
        "avx",
        "avx2",
        "fpu",
    ]
    assert _machine.cpu_flags("processor\t: 0\nFeatures\t: fp asimd\n") == ["asimd", "fp"]
    assert _machine.cpu_flags("") == []
    assert _machine.memory("MemTotal:       263803132 kB\n") == 263803132 * 1024
    assert _machine.memory("") is None
    assert _machine.memory() == int(Path("/proc/meminfo").read_text().split()[1]) * 1024


def test_room_is_told_of_what_is_there(tmp_path: Path) -> None:
    path = str(tmp_path / "not" / "there")
    free = _machine.free([path, "/"])[path]
    assert abs(free - shutil.disk_usage(tmp_path).free) < 2**30
    assert _machine.nearest(path) == str(tmp_path)
