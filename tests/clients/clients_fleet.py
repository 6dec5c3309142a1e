# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the clients talk to: the router as a process, and behind it real llama-servers and stand-ins.

llama-server is forky's own, taken out of the tree that throwaway hosts are made of (a tree that is
missing is built, which takes root and a minute). Its model has random weights: it speaks nonsense,
and calls functions where they are offered.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import llama_archive
import tiny_gguf
from clients_standin import StandIn
from router_harness import environment

from testhost import checks, rootfs

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "clients"
CLIENTS = ("openai-python", "openai-node", "anthropic-python", "llm", "curl")
SHOWN = "http://gpu1.example:8080"
"""The router's address in the documentation."""
OCCUPANT = "key-of-occupant"


def key_of(client: str) -> str:
    return f"key-of-{client}"


def wait_for(look: Callable[[], Any], what: str) -> Any:
    """The first thing found that is true."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited in vain for {what}")


def llama_server() -> Path:
    """The real program with its libraries, unpacked once."""
    tree = rootfs.tree("forky")
    if not tree.is_dir():
        checks.require()
        rootfs.build("forky")
    folder = CACHE / tree.name
    if not folder.is_dir():
        dummy, files = llama_archive.collect(tree)
        new = folder.with_suffix(".new")
        for name, content in files.items():
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o755)
        new.rename(folder)
    return folder / "llama-server"


@contextlib.contextmanager
def started(words: list[str | Path], log: Path, env: dict[str, str] | None = None) -> Iterator[str]:
    """A process that says where it listens; its URL. It is ended with SIGTERM."""
    with log.open("wb") as file:
        process = subprocess.Popen(words, stdout=file, stderr=file, env=env)
    try:

        def listening() -> re.Match[str] | None:
            assert process.poll() is None, f"{words[0]} ended:\n{log.read_text()[-2000:]}"
            return re.search(r"listening on (?:http://)?(127\.0\.0\.1:\d+)", log.read_text())

        yield "http://" + wait_for(listening, f"{words[0]} to listen")[1]
    finally:
        process.terminate()
        process.wait(20)


@dataclass
class Fleet:
    """A router, what is behind it, and what it has logged."""

    url: str
    log: Path
    engines: dict[str, str]
    """Which engine an upstream's address is."""
    standins: dict[str, StandIn]

    def lines(self, since: float = 0.0) -> list[dict[str, Any]]:
        """The access log of requests that came after a time."""
        found = [json.loads(one) for one in self.log.read_text().splitlines() if one[:1] == "{"]
        return [line for line in found if line["ts"] >= stamp(since)]

    def tries(self, since: float, count: int) -> list[dict[str, Any]]:
        """The requests since then, once there are that many: lines are written in lots."""
        wait_for(lambda: len(self.lines(since)) >= count, f"{count} lines in the log")
        return self.lines(since)

    def states(self) -> dict[str, str]:
        request = urllib.request.Request(
            f"{self.url}/v1/models", headers={"Authorization": f"Bearer {OCCUPANT}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return {one["id"]: one.get("state", "") for one in json.load(answer)["data"]}

    @contextlib.contextmanager
    def coming_up(self) -> Iterator[tuple[SimpleNamespace, list[float]]]:
        """In place of a client's module `time`: the model `starting` comes up while it sleeps.

        With it comes how long the client wanted to sleep, each time.
        """
        waits: list[float] = []

        def sleep(seconds: float) -> None:
            waits.append(seconds)
            self.bring_up()

        try:
            yield SimpleNamespace(**vars(time) | {"sleep": sleep}), waits
        finally:
            self.standins["starting"].act = "loads"
            wait_for(lambda: self.states()["starting"] != "up", "the model to go")

    def bring_up(self) -> None:
        self.standins["starting"].act = ""
        wait_for(lambda: self.states()["starting"] == "up", "the model")

    @contextlib.contextmanager
    def occupied(self, model: str) -> Iterator[StandIn]:
        """Somebody else's request takes the model's only place meanwhile, or until its gate opens."""
        standin = self.standins[model]
        standin.arrived.clear()
        standin.gate.clear()
        body = json.dumps({"model": model, "messages": []})
        words = ["curl", "--silent", "--fail", f"{self.url}/v1/chat/completions"]
        words += ["--header", f"Authorization: Bearer {OCCUPANT}", "--data", body]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        try:
            assert standin.arrived.wait(20)
            yield standin
        finally:
            standin.gate.set()
            process.wait(20)


def stamp(seconds: float) -> str:
    """A time as the access log writes it, as far as the milliseconds."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}"


def settings(real: dict[str, str], standins: dict[str, StandIn]) -> dict[str, Any]:
    """The router's configuration."""
    models: dict[str, Any] = {
        name: {"upstreams": [{"url": url, "health": "/health"}]}
        for name, url in [*real.items(), *((name, one.url) for name, one in standins.items())]
    }
    models["bge-m3"]["aliases"] = ["text-embedding-3-small"]
    models["busy"]["max_concurrent_requests"] = 1
    keys: dict[str, Any] = {name: {"keys": [key_of(name)]} for name in CLIENTS}
    keys["occupant"] = {"keys": [OCCUPANT]}
    return {
        "port": 0,
        "access_log": True,
        "hold_seconds": 0.1,
        "health_seconds": 0.5,
        "max_body_bytes": 1_000_000,
        "client_keys": keys,
        "models": models,
    }


@contextlib.contextmanager
def fleet(folder: Path) -> Iterator[Fleet]:
    """Everything, started and up."""
    acts = {"whisper-large-v3": "", "llama-3.3-70b": "", "busy": "slow"}
    acts |= {"starting": "loads", "dying": "dies"}
    model = folder / "tiny.gguf"
    tiny_gguf.write_model(model, 1, "tiny", tools=True)
    program = llama_server()
    common: list[str | Path] = [program, "--model", model, "--host", "127.0.0.1", "--port", "0"]
    common += ["--threads", "1", "--no-webui"]
    with contextlib.ExitStack() as stack:
        real = {
            "qwen3-8b": stack.enter_context(started(common, folder / "chat.log")),
            "bge-m3": stack.enter_context(
                started([*common, "--embeddings", "--pooling", "mean"], folder / "embeddings.log")
            ),
        }
        standins = {name: StandIn(act) for name, act in acts.items()}
        for one in standins.values():
            stack.callback(one.server_close)
            stack.callback(one.shutdown)
        config = folder / "router.json"
        config.write_text(json.dumps(settings(real, standins)))
        words: list[str | Path] = [sys.executable, "-m", "onehop_router", "--config", config]
        log = folder / "router.log"
        url = stack.enter_context(started(words, log, environment({})))
        engines = dict.fromkeys(real.values(), "llama.cpp")
        engines |= {one.url: "stand-in" for one in standins.values()}
        made = Fleet(url, log, engines, standins)
        wait_for(lambda: list(made.states().values()).count("up") == len(real) + 4, "the models")
        yield made
