# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenAI's client for Node: its page in the documentation, and what goes wrong.

Chats, tools and embeddings are a real llama-server's; sound, kept responses and faults a stand-in's.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import clients_pages
import pytest
from clients_fleet import ROOT, Fleet, key_of
from clients_pages import Block

ME = "openai-node"
PAGE = clients_pages.read(ME)
SOURCE = ROOT / "tests" / "clients" / "node"
FOLDER = ROOT / ".cache" / "node"


@pytest.fixture(scope="session")
def node() -> Path:
    """A folder with the client in it, as the lock file says; fetched when that changes."""
    lock = hashlib.sha256((SOURCE / "package-lock.json").read_bytes()).hexdigest()
    stamp = FOLDER / "node_modules" / ".onehop"
    if not stamp.exists() or stamp.read_text() != lock:
        FOLDER.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(SOURCE / name, FOLDER / name)
        words = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline"]
        env = {**os.environ, "npm_config_cache": str(FOLDER / "npm")}
        subprocess.run(words, cwd=FOLDER, env=env, check=True, timeout=300)
        stamp.write_text(lock)
    shutil.copy(SOURCE / "faults.mjs", FOLDER)
    return FOLDER


def run(program: Path, *words: str, fleet: Fleet, folder: Path) -> subprocess.Popen[str]:
    env = {**os.environ, "OPENAI_API_KEY": key_of(ME), "OPENAI_BASE_URL": f"{fleet.url}/v1"}
    return subprocess.Popen(
        ["node", program, *words],
        cwd=folder,
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def output(process: subprocess.Popen[str]) -> str:
    printed, complaints = process.communicate(timeout=60)
    assert process.returncode == 0, complaints
    return printed


@pytest.mark.parametrize("block", PAGE.of("js"), ids=lambda block: block.heading)
def test_page(block: Block, fleet: Fleet, node: Path, sound: Path):
    program = node / f"{block.heading.replace(' ', '-')}.mjs"
    program.write_text(PAGE.program(block, fleet.url))
    printed = output(run(program, fleet=fleet, folder=sound.parent))
    clients_pages.expect(block, printed)


@pytest.fixture
def meet(fleet: Fleet, node: Path, tmp_path: Path):
    """Starts the client on something that goes wrong."""

    def start(fault: str) -> subprocess.Popen[str]:
        return run(node / "faults.mjs", fault, fleet=fleet, folder=tmp_path)

    return start


def said(process: subprocess.Popen[str]) -> Any:
    return json.loads(output(process))


@pytest.mark.shows("Tools")
def test_a_call_comes_in_pieces(meet):
    answer = said(meet("pieces"))["answer"]
    assert answer["count"] > 1
    assert answer["call"]["name"] == "hops"
    assert json.loads(answer["call"]["arguments"])["count"] in (1, 2)


@pytest.mark.shows("Limits and retries")
def test_a_limit_is_waited_for(meet, fleet):
    since = time.time()
    with fleet.occupied("busy") as other:
        process = meet("retried")
        fleet.tries(since, 1)
        other.gate.set()
        told = said(process)
    assert told["answer"]["choices"][0]["message"]["content"] == "done"
    assert set(told["waits"]) == {1000}, "Retry-After is 1"
    mine = [line["status"] for line in fleet.tries(since, 3) if line["client"] == ME]
    assert mine == [*[429] * (len(mine) - 1), 200]


@pytest.mark.shows("Limits and retries")
def test_a_limit_that_stays_is_an_error(meet, fleet):
    with fleet.occupied("busy"):
        told = said(meet("busy"))
    assert told["error"] == "RateLimitError"
    assert (told["status"], told["code"]) == (429, "concurrency_limit")


@pytest.mark.shows("A model that starts")
def test_a_model_that_starts(meet, fleet):
    since = time.time()
    with fleet.coming_up():
        process = meet("starting")
        assert fleet.tries(since, 1)[0]["end"] == "refused:model_loading"
        fleet.bring_up()
        told = said(process)
    assert told["answer"]["choices"][0]["message"]["content"] == "done"
    assert set(told["waits"]) == {5000}, "Retry-After is 5"


@pytest.mark.shows("A stream that breaks")
def test_an_engine_that_dies_in_a_stream(meet):
    told = said(meet("dying"))
    assert told["error"] == "APIError"
    assert "broke off" in told["message"]


@pytest.mark.shows("Errors")
def test_a_body_that_is_too_large(meet):
    told = said(meet("large"))
    assert (told["status"], told["code"]) == (413, "request_too_large")


@pytest.mark.shows("Timeouts")
def test_a_client_that_does_not_want_to_wait(meet, fleet):
    since = time.time()
    fleet.standins["busy"].gate.clear()
    told = said(meet("timeout"))
    fleet.standins["busy"].gate.set()
    assert told["error"] == "APIConnectionTimeoutError"
    (line,) = fleet.tries(since, 1)
    assert line["end"] == "client_gone"
