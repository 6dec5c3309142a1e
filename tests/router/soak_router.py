# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Soaks a router process in all that clients and engines do, and looks at its memory.

Run it with the project's Python: `.venv/bin/python tests/router/soak_router.py --minutes 1440`. The
clients stream, upload, ask wrongly, leave in every phase and reset; the backends are test doubles
that answer, stall, drop and reset. Memory after the first tenth of the time is held against the end;
the exit status is 1 where it has grown by more than the given share, or descriptors are left over.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "roles" / "router" / "files")]

import uvloop  # noqa: E402
from router_harness import (  # noqa: E402
    CHAT,
    Message,
    Process,
    ScriptedBackend,
    Wire,
    get,
    model,
    post,
    process,
)

EVENT = "d\r\ndata: hello\n\n\r\n"
START = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class Soak:
    """What all clients share: the time's end, the port, and counts of what was done."""

    def __init__(self, seconds: float, seed: int) -> None:
        self.source = random.Random(seed)
        self.end = time.monotonic() + seconds
        self.port = 0
        self.counts: dict[str, int] = {}

    @property
    def over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self.end

    def count(self, what: str) -> None:
        """Note that this happened once more."""
        self.counts[what] = self.counts.get(what, 0) + 1

    # -- the backends

    async def engine(self, request: Message, wire: Wire) -> None:
        """An engine that is well most of the time."""
        whim = self.source.random()
        if whim < 0.4:
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            return
        if whim < 0.43:
            wire.reset()
            return
        if whim < 0.46:
            wire.close()
            return
        wire.send(START)
        for dummy in range(self.source.randrange(1, 30)):
            if wire.writer.is_closing():
                return
            wire.send(EVENT)
            await asyncio.sleep(self.source.choice((0, 0, 0.001, 0.01)))
            if whim < 0.5 and self.source.random() < 0.1 and not wire.writer.is_closing():
                wire.reset()
                return
        if not wire.writer.is_closing():
            wire.send("0\r\n\r\n")

    # -- the clients

    async def client(self) -> None:
        """Ask again and again, in one way after the other."""
        ways = (
            *(self.patient,) * 4, self.impatient, self.uploader, self.wrong, self.stuck, self.idle,
        )  # fmt: skip
        while not self.over:
            way = self.source.choice(ways)
            try:
                wire = Wire(*await asyncio.open_connection("127.0.0.1", self.port))
            except OSError:
                self.count("not let in")
                await asyncio.sleep(0.1)
                continue
            try:
                await way(wire)
                self.count(way.__name__)
            except (OSError, asyncio.IncompleteReadError):
                self.count(f"{way.__name__}, cut")
            finally:
                if self.source.random() < 0.5 and not wire.writer.is_closing():
                    wire.reset()
                else:
                    wire.close()

    async def patient(self, wire: Wire) -> None:
        """Several requests on one connection, each read to its end."""
        for dummy in range(self.source.randrange(1, 10)):
            wire.send(post(CHAT))
            await wire.read()

    async def impatient(self, wire: Wire) -> None:
        """Leaves in the middle, most often by a reset."""
        data = post(CHAT)
        wire.send(data[: self.source.randrange(len(data))] if self.source.random() < 0.3 else data)
        await asyncio.sleep(self.source.choice((0, 0.001, 0.01)))
        wire.reset()

    async def uploader(self, wire: Wire) -> None:
        """A body of some size, by the body's model or by the path."""
        size = self.source.choice((1000, 70_000, 1_000_000))
        path = self.source.choice(("/v1/chat/completions", "/route/m/v1/embeddings"))
        wire.send(post(json.dumps({"prompt": "x" * size, "model": "m"}), path))
        await wire.read()

    async def wrong(self, wire: Wire) -> None:
        """What is refused."""
        wire.send(
            self.source.choice(
                (
                    post("{"), post(CHAT, "/pause"), post('{"model": "?"}'), b"\x16\x03\x01",
                    get("/v1/models"), post(CHAT).replace(b"Length: ", b"Length: +"),
                )
            )
        )  # fmt: skip
        await wire.read()

    async def stuck(self, wire: Wire) -> None:
        """Asks for a stream and does not read it for a while."""
        wire.stop_reading()
        for dummy in range(20):
            wire.send(post(CHAT))
        await asyncio.sleep(0.05)

    async def idle(self, wire: Wire) -> None:
        """Says nothing."""
        await asyncio.sleep(0.05)


def written(folder: str, url: str) -> str:
    """A configuration of one model at this URL."""
    path = Path(folder, "router.json")
    path.write_text(json.dumps({"port": 0, "models": {"m": model(url)}}))
    return str(path)


def resident(one: Process) -> int:
    """A process's memory in KiB."""
    text = Path(f"/proc/{one.process.pid}/status").read_text(encoding="ascii")
    return int(text.partition("VmRSS:")[2].split()[0])


def descriptors(one: Process) -> int:
    """How many files and sockets a process has open."""
    return len(list(Path(f"/proc/{one.process.pid}/fd").iterdir()))


async def soak(minutes: float, clients: int, seed: int, growth: float) -> int:
    """Run it; the exit status."""
    seconds = minutes * 60
    run = Soak(seconds, seed)
    engine = ScriptedBackend(run.engine)
    await engine.start()
    with tempfile.TemporaryDirectory() as folder:
        config = written(folder, engine.url)
        async with process("--config", config) as one:
            assert one.process.stderr is not None
            line = await asyncio.to_thread(one.process.stderr.readline)
            run.port = int(line.split()[2].rpartition(":")[2])
            reading = asyncio.create_task(asyncio.to_thread(one.process.stderr.read))
            empty = descriptors(one)
            tasks = [asyncio.create_task(run.client()) for dummy in range(clients)]
            first = 0
            begun = time.monotonic()
            while not run.over:
                await asyncio.sleep(min(seconds / 20, 60))
                now = time.monotonic() - begun
                memory = resident(one)
                first = first or (memory if now >= seconds / 10 else 0)
                asked = len(engine.requests)
                print(f"{now:8.1f} s  {memory:8} KiB  {descriptors(one):5} descriptors", flush=True)
                if asked > 100_000:
                    engine.requests.clear()
            await asyncio.gather(*tasks)
            # What is idle is closed after three seconds.
            await asyncio.sleep(4)
            last, left = resident(one), descriptors(one) - empty
            alive = one.process.poll() is None
            one.process.terminate()
            said = await reading
    engine.stop()
    print(", ".join(f"{what}: {count}" for what, count in sorted(run.counts.items())))
    print(f"memory {first} -> {last} KiB, descriptors left over: {left}")
    faults = said.count("Traceback")
    if faults or not alive:
        print(said[-4000:], file=sys.stderr)
    return int(not alive or faults > 0 or last > first * (1 + growth) or left > 0)


def main() -> int:
    """The command; its exit status."""
    parser = argparse.ArgumentParser(description="Soak a router, and look at its memory.")
    parser.add_argument("--minutes", type=float, default=1440, help="how long (1440, a day)")
    parser.add_argument("--clients", type=int, default=64, help="clients at a time (64)")
    parser.add_argument("--seed", type=int, default=0, help="for another mixture (0)")
    parser.add_argument("--growth", type=float, default=0.1, help="share that is allowed (0.1)")
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(soak(options.minutes, options.clients, options.seed, options.growth))


if __name__ == "__main__":
    sys.exit(main())
