# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for a host with GPUs, and specs in the form in which the vendors' tools write them.

The vendors' programs and systemctl are stood in for by shell scripts.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.onehop.llm.plugins.module_utils import _cdi_plan, _cdi_registry, _owned

OLD, NEW = "550.54.14", "560.35.03"
LIBRARIES = "/usr/lib/x86_64-linux-gnu"

NVIDIA_117 = """---
cdiVersion: 0.5.0
containerEdits:
  deviceNodes:
  - path: /dev/nvidia-uvm
  - path: /dev/nvidiactl
  env:
  - NVIDIA_VISIBLE_DEVICES=void
  hooks:
  - args:
    - nvidia-cdi-hook
    - create-symlinks
    - --link
    - libcuda.so.1::/usr/lib/x86_64-linux-gnu/libcuda.so
    hookName: createContainer
    path: /usr/bin/nvidia-cdi-hook
  - args:
    - nvidia-cdi-hook
    - enable-cuda-compat
    - --host-driver-version=550.54.14
    hookName: createContainer
    path: /usr/bin/nvidia-cdi-hook
  mounts:
  - containerPath: /usr/lib/x86_64-linux-gnu/libcuda.so.550.54.14
    hostPath: /usr/lib/x86_64-linux-gnu/libcuda.so.550.54.14
    options:
    - ro
    - nosuid
    - nodev
    - bind
  - containerPath: /usr/lib/x86_64-linux-gnu/libnvidia-egl-gbm.so.1.1.1
    hostPath: /usr/lib/x86_64-linux-gnu/libnvidia-egl-gbm.so.1.1.1
    options:
    - ro
    - nosuid
    - nodev
    - bind
  - containerPath: /run/nvidia-persistenced/socket
    hostPath: /run/nvidia-persistenced/socket
    options:
    - ro
    - nosuid
    - nodev
    - bind
    - noexec
devices:
- containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
    - path: /dev/dri/renderD128
    hooks:
    - args:
      - nvidia-cdi-hook
      - create-symlinks
      - --link
      - ../renderD128::/dev/dri/by-path/pci-0000:01:00.0-render
      hookName: createContainer
      path: /usr/bin/nvidia-cdi-hook
  name: "0"
- containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
    - path: /dev/dri/renderD128
  name: all
kind: nvidia.com/gpu
"""

NVIDIA_118 = """---
cdiVersion: 0.5.0
kind: nvidia.com/gpu
devices:
    - name: "0"
      containerEdits:
        deviceNodes:
            - path: /dev/nvidia0
              hostPath: /dev/nvidia0
    - name: GPU-955ef018-3bd9-5f27-80b3-fa20ee8d19c5
      containerEdits:
        deviceNodes:
            - path: /dev/nvidia0
              hostPath: /dev/nvidia0
    - name: "1:0"
      containerEdits:
        deviceNodes:
            - path: /dev/nvidia0
    - name: all
      containerEdits:
        deviceNodes:
            - path: /dev/nvidia0
              hostPath: /dev/nvidia0
containerEdits:
    env:
        - NVIDIA_VISIBLE_DEVICES=void
    hooks:
        - hookName: createContainer
          path: /usr/bin/nvidia-cdi-hook
          args:
            - nvidia-cdi-hook
            - update-ldcache
            - --folder
            - /usr/lib/x86_64-linux-gnu
          env:
            - NVIDIA_CTK_DEBUG=false
    mounts:
        - hostPath: /usr/lib/x86_64-linux-gnu/libcuda.so.550.54.14
          containerPath: /usr/lib/x86_64-linux-gnu/libcuda.so.550.54.14
          options:
            - ro
            - nosuid
            - nodev
            - rbind
            - rprivate
"""

_KFD: dict[str, Any] = {
    "path": "/dev/kfd",
    "type": "c",
    "major": 235,
    "fileMode": 8624,
    "permissions": "rwm",
    "uid": 0,
    "gid": 110,
}
_RENDER = _KFD | {"path": "/dev/dri/renderD128", "major": 226, "minor": 128}
AMD = json.dumps(
    {
        "cdiVersion": "0.6.0",
        "kind": "amd.com/gpu",
        "devices": [
            {"name": name, "containerEdits": {"deviceNodes": [_RENDER, _KFD]}}
            for name in ("0", "all")
        ],
        "containerEdits": {},
    },
    indent=2,
)

DEVICE = {"name": "0", "containerEdits": {"env": ["A=b"]}}
PLAIN: dict[str, Any] = {"cdiVersion": "0.6.0", "kind": "x.org/gpu", "devices": [DEVICE]}
NOWHERE = "/var/run/cdi/nvidia.yaml"


class Machine:
    """A host under a directory: its files, its programs, and what is asked of those."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: list[list[str]] = []
        (root / "bin").mkdir()

    def put(self, path: str, text: str = "", mode: int = 0o644) -> Path:
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(mode)
        return place

    def driver(self, version: str) -> None:
        """Have the driver loaded and all that its spec names."""
        for path in ("nvidia0", "nvidiactl", "nvidia-uvm", "dri/renderD128"):
            self.put("/dev/" + path)
        for path in ("/usr/bin/nvidia-cdi-hook", "/run/nvidia-persistenced/socket"):
            self.put(path)
        self.put(f"{LIBRARIES}/libnvidia-egl-gbm.so.1.1.1")
        self.put(f"{LIBRARIES}/libcuda.so.{version}")
        self.put("/sys/module/nvidia/version", version + "\n")

    def program(self, name: str, script: str) -> None:
        """A stand-in."""
        self.put("/bin/" + name, "#!/bin/sh\n" + script, 0o755)

    def tool(self, name: str, text: str) -> None:
        """A stand-in for a vendor's tool that writes a spec to where it is told to."""
        source = self.put(f"/standin/{name}", text)
        self.program(
            name,
            'for word; do case "$word" in --output=*) out="${word#--output=}" ;; esac; done\n'
            f'cp {source} "$out"\n',
        )

    def unit(self, script: str = "true", state: str = "loaded", settings: str = "") -> None:
        """A stand-in for systemctl, which knows the refresh unit; ``script`` is what that does."""
        self.program(
            "systemctl",
            'case "$*" in\n'
            f"*=Environment*) echo 'Environment={settings}' ;;\n"
            f"show*) echo LoadState={state} ;;\n"
            f"restart*) {script} ;;\n"
            "esac\n",
        )

    def run(self, command: list[str], **dummy: object) -> tuple[int, str, str]:
        self.asked.append(command)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def spec(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.root / name.lstrip("/")).read_text())
        return found

    def registry(self) -> _cdi_registry.Registry:
        return _cdi_registry.Registry(root=str(self.root))

    def plan(self) -> _cdi_plan.Plan:
        return _cdi_plan.Plan(self.run, _owned.Owned("cdi"), root=str(self.root)).present()

    def converge(self) -> list[dict[str, str]]:
        """The diff of a run, which has to be the one that was foretold, and no other run's."""
        foretold = self.plan()
        expected = [entry["after"] for entry in foretold.diff()]
        devices = list(foretold.registry().devices)
        plan = self.plan()
        diff: list[dict[str, str]] = plan.carry_out()
        assert not plan.failures
        assert [entry["after"] for entry in diff] == expected
        assert list(self.registry().devices) == devices
        assert self.plan().carry_out() == []
        return diff


class Dumper(yaml.SafeDumper):
    """Writes a value out wherever it stands, as the vendors' tools do, and no anchors."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def dump(value: object, **options: Any) -> str:
    text: str = yaml.dump(value, Dumper=Dumper, **options)
    return text


def as_json(text: str, version: str = OLD) -> str:
    return json.dumps(yaml.safe_load(text.replace(OLD, version)))


def edits(**fields: object) -> dict[str, object]:
    return {"devices": [{"name": "a", "containerEdits": {"env": ["A=b"], **fields}}]}
