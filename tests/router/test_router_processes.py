# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several processes behind one set of listeners: what the parent sees to."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter

from router_harness import (
    CHAT,
    FILES,
    Systemd,
    backend,
    children,
    endless,
    get,
    model,
    post,
    process,
    run,
    runs,
    until,
)

# Starts of Python, while this machine may be busy.
STARTS = 60.0


def port_owner(pids: list[int], port: int) -> int | None:
    """Which of the processes has accepted the connection from that port."""
    with open("/proc/net/tcp") as file:
        rows = [line.split() for line in file.readlines()[1:]]
    inodes = {row[9] for row in rows if int(row[2].rpartition(":")[2], 16) == port}
    for pid in pids:
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                target = os.readlink(f"/proc/{pid}/fd/{name}")
            except FileNotFoundError:
                continue
            if target.startswith("socket:[") and target[8:-1] in inodes:
                return pid
    return None


async def healthy(systemd: Systemd) -> None:
    wire = await systemd.connect()
    wire.send(get("/health", "Connection: close"))
    assert (await wire.read()).status == 200


def test_connections_are_spread_and_an_end_ends_all(config, systemd):
    async def work():
        env = {"NOTIFY_SOCKET": systemd.path}
        path = config(processes=3)
        async with process("--config", str(path), listen=[systemd.tcp], env=env) as one:
            await systemd.hear("READY=1")
            pids = children(one.process.pid)
            assert len(pids) == 3
            owners: Counter[int | None] = Counter()
            wires = []
            for dummy in range(30):
                wire = await systemd.connect()
                wire.send(get("/health"))
                assert (await wire.read()).status == 200
                owners[port_owner(pids, wire.writer.get_extra_info("sockname")[1])] += 1
                wires.append(wire)
            assert None not in owners
            assert len(owners) > 1, owners
            # As systemd does, to each process of the unit.
            for pid in pids:
                os.kill(pid, signal.SIGTERM)
            one.signal(signal.SIGTERM)
            for wire in wires:
                assert await wire.ended()
            status, err = await one.end()
            assert (status, "Traceback" in err) == (0, False)
            assert err.count("stopping: ") == 3

    run(work(), STARTS)


def test_a_child_that_dies_is_replaced_and_the_others_streams_go_on(config, systemd):
    async def work():
        gate = asyncio.Event()
        async with backend(endless(gate)) as engine:
            path = config(processes=2, models={"m": model(engine.url)})
            env = {"NOTIFY_SOCKET": systemd.path}
            async with process("--config", str(path), listen=[systemd.tcp], env=env) as one:
                await systemd.hear("READY=1")
                stream = await systemd.connect()
                stream.send(post(CHAT))
                await stream.read_head()
                assert await stream.read_chunk() == b"first"
                pids = children(one.process.pid)
                keeper = port_owner(pids, stream.writer.get_extra_info("sockname")[1])
                [other] = [pid for pid in pids if pid != keeper]
                os.kill(other, signal.SIGKILL)
                await until(
                    lambda: (
                        other not in children(one.process.pid)
                        and len(children(one.process.pid)) == 2
                    )
                )
                assert keeper in children(one.process.pid)
                for dummy in range(10):
                    await healthy(systemd)
                # What it was started from is what counts now, also for the new one.
                config(processes=2, allow_anonymous=True)
                one.signal(signal.SIGHUP)
                assert "serving 0 model(s)" in await systemd.hear("READY=1")
                for dummy in range(10):
                    wire = await systemd.connect()
                    wire.send(post(CHAT))
                    assert (await wire.read()).status == 404
                    wire.close()
                gate.set()
                assert await stream.read_chunk() == b"last"
                stream.close()
                one.signal(signal.SIGTERM)
                status, err = await one.end()
                assert status == 0
                assert "ended with -9; another one in 0.2 s" in err

    run(work(), STARTS)


def test_a_child_that_hangs_is_replaced_before_systemd_ends_them_all(config, systemd):
    async def work():
        env = {"NOTIFY_SOCKET": systemd.path, "WATCHDOG_USEC": "3000000"}
        path = config(processes=2)
        async with process("--config", str(path), listen=[systemd.tcp], env=env) as one:
            await systemd.hear("WATCHDOG=1")
            hung = children(one.process.pid)[0]
            os.kill(hung, signal.SIGSTOP)
            await until(
                lambda: (
                    hung not in children(one.process.pid) and len(children(one.process.pid)) == 2
                )
            )
            await systemd.hear("WATCHDOG=1")
            one.signal(signal.SIGTERM)
            status, err = await one.end()
            assert status == 0
            assert "gives no sign of life" in err

    run(work(), STARTS)


def test_children_whose_parent_died_do_not_stay(config, systemd):
    async def work():
        env = {"NOTIFY_SOCKET": systemd.path}
        path = config(processes=2)
        async with process("--config", str(path), listen=[systemd.tcp], env=env) as one:
            await systemd.hear("READY=1")
            pids = children(one.process.pid)
            idle = await systemd.connect()
            idle.send(get("/health"))
            await idle.read()
            one.signal(signal.SIGKILL)
            assert await idle.ended()
            await one.end()

            await until(lambda: not any(map(runs, pids)))

    run(work(), STARTS)


def test_a_second_signal_does_not_wait_for_the_children(config, systemd):
    async def work():
        async with backend(endless(asyncio.Event())) as engine:
            path = config(processes=2, models={"m": model(engine.url)})
            env = {"NOTIFY_SOCKET": systemd.path}
            async with process("--config", str(path), listen=[systemd.tcp], env=env) as one:
                await systemd.hear("READY=1")
                stream = await systemd.connect()
                stream.send(post(CHAT))
                await stream.read_head()
                one.signal(signal.SIGTERM)
                await systemd.hear("STOPPING=1")
                one.signal(signal.SIGTERM)
                status, dummy_err = await one.end()
                assert status == 0

    run(work(), STARTS)


def test_processes_that_cannot_start_are_an_error_at_the_start(config):
    async def work():
        path = config(processes=2)
        env = {"PYTHONPATH": f"{path.parent}:{os.environ.get('PYTHONPATH', '')}"}
        (path.parent / "sitecustomize.py").write_text(
            f"import sys; sys.path.append({str(FILES)!r})\n"
            "from onehop_router import server\n"
            "async def start(self): raise RuntimeError('not today')\n"
            "server.Server.start = start\n"
        )
        async with process("--config", str(path), env=env) as one:
            status, err = await one.end()
            assert status == 1
            assert "a process of several did not start" in err

    run(work(), STARTS)
