# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ansible-builder makes of the collection's needs, and of the execution environment of our own.

The context of the build is made for real. The image is not: that wants a container engine and a registry.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
BUILDER = str(Path(sys.executable).parent / "ansible-builder")
OURS = ROOT / "execution-environment" / "execution-environment.yml"
CONTROLLER = [
    *(ROOT / "plugins" / "action").glob("*.py"),
    *(ROOT / "plugins" / "filter").glob("*.py"),
    *(ROOT / "plugins" / "plugin_utils").glob("*.py"),
]
"""What runs on a controller."""


def call(*words: str | Path, cwd: Path) -> str:
    said = subprocess.run(
        [BUILDER, *map(str, words)], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stdout + said.stderr
    return said.stdout


@pytest.fixture
def introspected(tmp_path: Path) -> dict[str, Any]:
    """As ansible-builder sees it in an image."""
    place = tmp_path / "ansible_collections" / "onehop"
    place.mkdir(parents=True)
    (place / "llm").symlink_to(ROOT)
    said = call("introspect", tmp_path, cwd=tmp_path)
    found: dict[str, Any] = yaml.safe_load(said[said.index("---") :])
    return found


def test_the_needs_of_the_collection_are_found(introspected: dict[str, Any]) -> None:
    assert introspected == {
        "python": ["pip>=20.3  # from collection onehop.llm"],
        "system": [
            "openssh-clients [platform:rpm]  # from collection onehop.llm",
            "openssh-client [platform:dpkg]  # from collection onehop.llm",
        ],
    }


def test_nothing_is_pinned_and_no_core_is_brought_along() -> None:
    """Both would be refused where collections are certified."""
    for line in (ROOT / "meta" / "ee-requirements.txt").read_text().splitlines():
        assert line.startswith("#") or not re.search(r"==|<|ansible", line)


def test_the_files_it_names_lie_in_the_collection() -> None:
    named = yaml.safe_load((ROOT / "meta" / "execution-environment.yml").read_text())
    for path in named["dependencies"].values():
        assert path.startswith("meta/")
        assert (ROOT / path).is_file()


@pytest.mark.parametrize("path", CONTROLLER, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_controller_imports_nothing_that_an_environment_lacks(path: Path) -> None:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    # ansible-core brings YAML.
    assert names <= {*sys.stdlib_module_names, "ansible", "ansible_collections", "yaml"}


def test_the_context_of_our_own_environment_is_complete(tmp_path: Path) -> None:
    name = ("--output-filename", "Containerfile")
    call("create", "--file", OURS, "--context", tmp_path, *name, cwd=tmp_path)
    text = (tmp_path / "Containerfile").read_text()
    declared = yaml.safe_load(OURS.read_text())
    assert f'ARG EE_BASE_IMAGE="{declared["images"]["base_image"]["name"]}"' in text
    assert 'ARG ANSIBLE_INSTALL_REFS="ansible-core>=2.18.0 ansible-runner"' in text
    asked = yaml.safe_load((tmp_path / "_build" / "requirements.yml").read_text())
    assert asked == {"collections": [{"name": "onehop.llm"}]}
    assert "git-core" in (tmp_path / "_build" / "bindep.txt").read_text()
    for path in re.findall(r"^COPY (_build/\S+)", text, re.MULTILINE):
        assert (tmp_path / path).exists()
    steps = [
        "ansible-galaxy collection install $ANSIBLE_GALAXY_CLI_COLLECTION_OPTS -r requirements.yml",
        "introspect.py introspect",
        "/output/scripts/assemble",
        "/output/scripts/install-from-bindep",
        "USER 1000",
    ]
    places = [text.index(step) for step in steps]
    assert places == sorted(places)


def test_our_own_environment_has_the_core_that_the_collection_asks_for() -> None:
    asked = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["requires_ansible"]
    core = yaml.safe_load(OURS.read_text())["dependencies"]["ansible_core"]["package_pip"]
    assert core == f"ansible-core{asked}"


def test_the_page_shows_our_own_environment_as_it_is() -> None:
    shown = OURS.read_text().partition("---\n")[2]
    assert shown in (ROOT / "docs" / "execution-environment.md").read_text()
