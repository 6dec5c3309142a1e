# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line program llm: its page in the documentation, with a real llama-server.

The second model of its file is a stand-in.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import clients_pages
import pytest
from clients_fleet import SHOWN, Fleet, key_of
from clients_pages import Block

ME = "llm"
PAGE = clients_pages.read(ME)


def run(code: str, fleet: Fleet, home: Path) -> str:
    """What commands print, complaints included."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "LLM_USER_PATH": str(home), "ONEHOP_KEY": key_of(ME)}
    done = subprocess.run(
        ["sh", "-e", "-c", code.replace(SHOWN, fleet.url)],
        cwd=home,
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def home(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program's folder, with the page's file of models and the key."""
    folder = tmp_path_factory.mktemp("llm")
    models = PAGE.first("yaml").code.replace(SHOWN, fleet.url)
    (folder / "extra-openai-models.yaml").write_text(models)
    (folder / "notes.txt").write_text("One hop from the client to the model.\n")
    run(PAGE.first("sh").code, fleet, folder)
    return folder


@pytest.mark.parametrize("block", PAGE.of("sh"), ids=lambda block: block.heading)
def test_page(block: Block, fleet: Fleet, home: Path):
    clients_pages.expect(block, run(block.code, fleet, home))
