# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/add-an-engine.md, done to a copy of the checkout: the toy engine is generated, planned, and its mistakes are told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tooling.blocks import blocks

from .playbooks import ROOT

PAGE = Path("docs/add-an-engine.md")
COPIED = ("plugins", "roles", "playbooks", "meta", "scripts", "docs", "galaxy.yml")
TARGETS = {
    "catalogue.diff": "plugins/plugin_utils/_catalogue.py",
    "generate.diff": "scripts/tooling/generate.py",
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with everything that the page says done to it."""
    home = tmp_path_factory.mktemp("toy") / "ansible_collections" / "onehop" / "llm"
    home.mkdir(parents=True)
    for name in COPIED:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, home / name)
    for block in blocks(PAGE):
        if block.file in TARGETS:
            patch(home / TARGETS[block.file], block.text)
        elif block.file:
            (home / block.file).parent.mkdir(parents=True, exist_ok=True)
            (home / block.file).write_text(block.text, encoding="utf-8")
    done = run(home, sys.executable, "-m", "tooling.generate")
    assert done.returncode == 0, done.stderr
    return home


def patch(path: Path, diff: str) -> None:
    """Change what a diff without line numbers shows."""
    lines = [line for line in diff.split("\n") if line]
    before = "".join(f"{line[1:]}\n" for line in lines if line[0] in " -")
    after = "".join(f"{line[1:]}\n" for line in lines if line[0] in " +")
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{path.name} is not what the page shows:\n{before}"
    path.write_text(text.replace(before, after), encoding="utf-8")


def run(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    top = home.parents[2]
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(top),
        "LANG": "C.UTF-8",
        "PYTHONPATH": f"{home / 'scripts'}:{top}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "ANSIBLE_COLLECTIONS_PATH": str(top),
        "ANSIBLE_SSH_EXECUTABLE": "/nonexistent/ssh",
    }
    return subprocess.run(
        words, cwd=home, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def plan(home: Path, inventory: str) -> subprocess.CompletedProcess[str]:
    (home / "inventory.yml").write_text(inventory, encoding="utf-8")
    file = f"plan_file={home / 'plan.json'}"
    return run(home, "ansible-playbook", "-i", "inventory.yml", "onehop.llm.plan", "-e", file)


@pytest.fixture(scope="module")
def inventory() -> str:
    return next(block.text for block in blocks(PAGE) if block.file == "inventory.yml")


def test_the_toy_is_planned(checkout: Path, inventory: str) -> None:
    done = plan(checkout, inventory)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((checkout / "plan.json").read_text())["gpu1"]
    (model,) = found["models"]
    words = " ".join(model["command"])
    assert words.startswith("toy-serve ")
    for word in ("--context 4096", "--no-cache", "--gpus 2", "--listen 0.0.0.0", "--port 9000"):
        assert word in words
    assert "registry.example/toy/server:1.1.0" in done.stdout
    assert "/etc/containers/systemd/users/" in json.dumps(model)
    assert "http://127.0.0.1:21001" in done.stdout


def test_its_mistakes_are_told(checkout: Path, inventory: str) -> None:
    wrong = inventory.replace("context:", "contxt:").replace("toy_tag: 1.1.0", "toy_tag: 1.0.0")
    said = plan(checkout, wrong).stdout
    assert "toy_models.tiny.settings.contxt: is not a flag of Toy 1.0.0" in said
    assert "toy_models.tiny.settings.gpus: is a flag of Toy from 1.1.0 on" in said


def test_its_role_is_one(checkout: Path) -> None:
    assert "toy_models:" in (checkout / "roles/toy/defaults/main.yml").read_text()
    assert "toy_tag" in (checkout / "roles/toy/README.md").read_text()
    play = "- {hosts: localhost, gather_facts: false, roles: [onehop.llm.toy]}\n"
    (checkout / "play.yml").write_text(play)
    done = run(checkout, "ansible-playbook", "-i", "localhost,", "--syntax-check", "play.yml")
    assert done.returncode == 0, done.stdout + done.stderr
