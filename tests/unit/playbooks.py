# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs playbooks with the real ansible-playbook, on this machine alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]


def play(
    place: Path, playbook: Path | list[Any], inventory: dict[str, Any], *words: str, path: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a playbook, or plays, on an inventory; ``path`` stands before the PATH of the programs."""
    if isinstance(playbook, list):
        (place / "play.yml").write_text(yaml.safe_dump(playbook, sort_keys=False))
        playbook = place / "play.yml"
    (place / "inventory.json").write_text(json.dumps(inventory))
    (place / "ansible.cfg").write_text("[defaults]\nnocows = true\n")
    environment = {
        "PATH": ":".join(
            filter(None, [path, str(Path(sys.executable).parent), os.environ["PATH"]])
        ),
        "HOME": str(place),
        "LANG": "C.UTF-8",
        "ANSIBLE_CONFIG": str(place / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".cache" / "collections"),
        "ANSIBLE_LOCAL_TEMP": str(place / "local"),
        "ANSIBLE_REMOTE_TEMP": str(place / "remote"),
    }
    return subprocess.run(
        ["ansible-playbook", "-i", str(place / "inventory.json"), str(playbook), *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
