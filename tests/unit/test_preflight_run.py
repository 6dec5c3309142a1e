# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight as a whole, run by Ansible on this machine, with real listeners and files.

Programs that this machine need not have are doubles: systemctl, loginctl, podman and nvidia-smi.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .playbooks import play
from .test_gpus import L40S, LOG

SYSTEMCTL = """#!/usr/bin/env python3
# Stands in for systemctl: a systemd that has every unit that is asked for, and runs none.
import sys
if "--version" in sys.argv:
    print("systemd 257 (257)")
names = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
print("\\n".join("Id=%s\\nLoadState=loaded\\nActiveState=inactive\\n" % name for name in names))
"""
PODMAN = "#!/bin/sh\n# Stands in for podman.\necho podman version 5.4.2\n"
LOGINCTL = "#!/bin/sh\n# Stands in for loginctl.\n"
NVIDIA_SMI = f"""#!/bin/sh
# Stands in for nvidia-smi, on a host with two L40S.
case "$1" in
--query-gpu=*) printf '%s' '{L40S}' ;;
-q) printf '%s' '{LOG}' ;;
esac
"""


@pytest.fixture
def programs(tmp_path: Path) -> str:
    assert os.geteuid() == 0, "the suite runs as root, as the README says"
    place = tmp_path / "bin"
    place.mkdir()
    doubles = {
        "systemctl": SYSTEMCTL,
        "podman": PODMAN,
        "loginctl": LOGINCTL,
        "nvidia-smi": NVIDIA_SMI,
    }
    for name, text in doubles.items():
        (place / name).write_text(text)
        (place / name).chmod(0o755)
    return str(place)


@pytest.fixture
def held() -> Iterator[int]:
    """A port on which this process listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture
def closed() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def look(place: Path, programs: str, variables: dict[str, Any], *words: str) -> dict[str, Any]:
    """What preflight returns for a host with these variables."""
    play_ = {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            {"onehop.llm.model_specs": {}, "register": "planned"},
            {
                "onehop.llm.preflight": {"plan": "{{ planned.plan }}", "roles": ["vllm"]},
                "register": "seen",
                "ignore_errors": True,
            },
            {
                "onehop.llm.deployment_plan": {
                    "plan": "{{ planned.plan }}",
                    "facts": "{{ seen.facts }}",
                },
                "register": "shown",
                # As onehop.llm.site does.
                "when": "ansible_check_mode and ansible_diff_mode",
            },
            {
                "ansible.builtin.copy": {
                    "content": "{{ {'seen': seen, 'shown': shown} | to_json }}",
                    "dest": str(place / "seen.json"),
                    "mode": "0600",
                },
                "check_mode": False,
            },
        ],
    }
    host = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "router_enable": False,
    }
    inventory = {"all": {"hosts": {"gpu1": host | variables}}}
    done = play(place, [play_], inventory, *words, path=programs)
    assert done.returncode == 0, done.stdout + done.stderr
    seen: dict[str, Any] = json.loads((place / "seen.json").read_text())
    return seen["seen"] | {"shown": seen["shown"]}


def declared(closed: int, **more: Any) -> dict[str, Any]:
    hub = {"HF_ENDPOINT": f"http://127.0.0.1:{closed}"}
    model = {"model": "a/b", "port": 18001, "environment": hub, "settings": {"dtype": "bfloat16"}}
    return {
        "vllm_image": f"127.0.0.1:{closed}/vllm/vllm-openai",
        "vllm_tag": "v0.33.0",
        "vllm_models": {"m": model | more},
    }


def test_all_is_said_at_once(tmp_path: Path, programs: str, held: int, closed: int) -> None:
    archive = tmp_path / "image.tar"
    archive.write_text("no archive")
    archive.chmod(0o644)
    for parent in [tmp_path, *tmp_path.parents]:
        if str(parent).startswith("/tmp/"):
            parent.chmod(0o755)
    reference = f"127.0.0.1:{closed}/vllm/vllm-openai:v0.33.0"
    variables = declared(closed, port=held) | {"vllm_image_archives": {reference: str(archive)}}
    seen = look(tmp_path, programs, variables)
    name = Path("/proc/self/comm").read_text().strip()
    assert seen["failed"]
    lines = seen["msg"].split("\n")
    assert any(
        line.startswith(f"vllm_models.m.port = {held}: {name} (process {os.getpid()}, ")
        and line.endswith(" listens on it. Stop it, or write another port.")
        for line in lines
    ), lines
    assert [line for line in lines if "CUDA" in line] == [
        f"vllm_models.m = {reference}: is built with CUDA 13.0, which needs driver 580.00 or newer, "
        "and GPU 0 (NVIDIA L40S) has 570.86.15. Upgrade the driver, or write a tag for an older CUDA, "
        "or set VLLM_ENABLE_CUDA_COMPATIBILITY: '1' on a card for data centres."
    ]
    assert any("is cut short, or no archive of an image" in line for line in lines)
    assert [line for line in seen["warnings"] if "gives no connection" in line] == [
        f"gpu1: vllm_models.m.model = a/b: comes from http://127.0.0.1:{closed}, and 127.0.0.1:{closed} gives "
        "no connection (Connection refused). Have the host reach it, or put the weights on the host and "
        "name their directory in vllm_weights_bundles."
    ]
    facts = seen["facts"]
    assert [(gpu["name"], gpu["cuda"]) for gpu in facts["gpus"]] == [("NVIDIA L40S", "12.4")] * 2
    assert sorted(facts["free"]) == ["/var/cache/vllm", "/var/lib/vllm"]
    assert facts["memory"] > 2**28
    assert facts["arch"] == os.uname().machine
    assert facts["podman"] == "5.4.2"


def test_what_is_overruled_stops_nothing(tmp_path: Path, programs: str, closed: int) -> None:
    checks = {"driver": "warn", "network": False}
    seen = look(tmp_path, programs, declared(closed) | {"gpu_host_checks": checks})
    said = str(seen.get("msg", "")) + str(seen["warnings"])
    assert "CUDA" not in str(seen.get("msg", ""))
    assert any("CUDA 13.0" in line for line in seen["warnings"])
    assert "gives no connection" not in said


def test_check_mode_says_the_same(tmp_path: Path, programs: str, held: int, closed: int) -> None:
    seen = look(tmp_path, programs, declared(closed, port=held), "--check", "--diff")
    assert seen["failed"]
    assert f"vllm_models.m.port = {held}: " in seen["msg"]
    assert any("gives no connection" in line for line in seen["warnings"])
    # And shows what is planned, with what the host is.
    found = seen["shown"]["plan"]["gpu1"]
    assert found["assumed"] == {"devices": ["nvidia.com/gpu=all"]}
    assert found["models"][0]["command"][:2] == ["vllm", "serve"]
    assert "models--a--b" in found["models"][0]["command"][2]
