# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Python environment, made for real of a lock without packages, and what supersedes it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.module_utils import _owned, _python
from ansible_collections.onehop.llm.plugins.plugin_utils import _wheelhouse

TARGET = {"python": "3.11", "tag": "cpython"}


def run(command: list[str], **dummy: Any) -> tuple[int, str, str]:
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    return said.returncode, said.stdout, said.stderr


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(_python, "HOME", str(tmp_path / "opt"))
    monkeypatch.setattr(_owned, "DIRECTORY", str(tmp_path / "owned"))
    return tmp_path


def test_an_environment_has_our_own_files_where_they_are_imported_from(home: Path) -> None:
    lock = home / "requirements.txt"
    lock.write_text("")
    module = home / "module.py"
    module.write_text("WORD = 'found'\n")
    files = {"requirements.txt": str(lock), "some/where/module.py": str(module)}
    sources = _wheelhouse.Sources("Packages", "x", "some.where.module", files)
    identity = _wheelhouse.identity(sources)
    python = _python.Python(sys.executable, TARGET)
    environment = _python.Environment(run, python, identity, "hub", sources.module)
    assert environment.path.startswith(str(home / "opt" / "hub") + "/")
    assert not environment.works()
    _wheelhouse.pack(sources, None, str(home / "sent.tar"))
    environment.make(str(home / "sent.tar"), offline=False)
    assert environment.works()
    program = os.path.join(environment.path, "bin", "python")
    assert (
        run([program, "-I", "-c", "import some.where.module as m; print(m.WORD)"])[1] == "found\n"
    )
    module.write_text("WORD = 'another'\n")
    assert _wheelhouse.identity(sources) != identity


def test_older_environments_go_unless_something_runs_in_them(home: Path) -> None:
    python = _python.Python(sys.executable, TARGET)
    made = []
    for identity in ("a", "b", "c"):
        made.append(_python.Environment(run, python, identity, "hub", "sys"))
        place = Path(made[-1].path) / "bin"
        place.mkdir(parents=True)
        (place / "python").symlink_to("/bin/sleep")
    owned = _owned.Owned("hub")
    owned.add("directories", [one.path for one in made])
    program = os.path.join(made[1].path, "bin", "python")
    busy = subprocess.Popen([program, "60"])
    try:
        # The kernel tells a moment after the start what it was started as.
        while _python.programs([str(busy.pid)]) != [program]:
            time.sleep(0.01)
        made[2].supersede(owned)
        assert owned.things["directories"] == sorted([made[1].path, made[2].path])
        assert not os.path.exists(made[0].path) and os.path.exists(made[1].path)
    finally:
        busy.kill()
        busy.wait()
    made[2].supersede(_owned.Owned("hub"))
    assert not os.path.exists(made[1].path) and os.path.exists(made[2].path)
