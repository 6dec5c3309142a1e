# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several files of tests stand on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.onehop.llm.plugins.module_utils import _owned

from .cdi_machine import Machine


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    assert os.geteuid() == 0, "the suite runs as root, as the README says"
    monkeypatch.setattr(_owned, "DIRECTORY", str(tmp_path / "owned"))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    made = Machine(tmp_path)
    made.unit(state="not-found")
    return made
