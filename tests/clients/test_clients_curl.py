# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""curl: its page in the documentation, with a real llama-server; sound and limits with a stand-in."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path

import clients_pages
import pytest
from clients_fleet import Fleet, key_of
from clients_pages import Block

ME = "curl"
PAGE = clients_pages.read(ME)


def run(code: str, folder: Path) -> str:
    return subprocess.run(
        ["sh", "-e", "-c", code],
        cwd=folder,
        env={**os.environ, "OPENAI_API_KEY": key_of(ME)},
        text=True,
        stdout=subprocess.PIPE,
        timeout=60,
        check=True,
    ).stdout


@pytest.mark.parametrize("block", PAGE.of("sh"), ids=lambda block: block.heading)
def test_page(block: Block, fleet: Fleet, sound: Path):
    clients_pages.expect(block, run(PAGE.program(block, fleet.url), sound.parent))


@pytest.mark.shows("Limits and retries")
def test_a_limit_is_waited_for(fleet, tmp_path):
    (block,) = [one for one in PAGE.of("sh") if one.heading == "Limits and retries"]
    since = time.time()
    with fleet.occupied("busy") as other:
        threading.Timer(0.3, other.gate.set).start()
        run(PAGE.program(block, fleet.url).replace("qwen3-8b", "busy"), tmp_path)
    mine = [line["status"] for line in fleet.tries(since, 3) if line["client"] == ME]
    assert mine == [*[429] * (len(mine) - 1), 200]
