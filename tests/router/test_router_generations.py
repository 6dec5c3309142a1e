# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One generation of the router takes over from another, on the same sockets, and loses nobody."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest
from router_harness import (
    CHAT,
    FILES,
    Process,
    Systemd,
    Wire,
    backend,
    children,
    endless,
    environment,
    get,
    model,
    post,
    process,
    run,
    runs,
    until,
)

# Each generation is two starts of Python, and this machine may be busy.
STARTS = 60.0


@pytest.fixture(params=[1, 2], ids=["one process", "two processes"])
def processes(request):
    return request.param


@pytest.fixture
def unit(tmp_path, systemd):
    """The environment of a unit, by its stamp; `folder` is its runtime directory."""
    folder = tmp_path / "run"
    folder.mkdir()

    def make(stamp: str, **more: str) -> dict[str, str]:
        return {
            "NOTIFY_SOCKET": systemd.path,
            "RUNTIME_DIRECTORY": f"{folder}:/elsewhere",
            "ONEHOP_STAMP": stamp,
            **more,
        }

    return make


def stamp_of(pid: int) -> str:
    """The stamp in a process's environment, as a deployment reads it."""
    with open(f"/proc/{pid}/environ", "rb") as file:
        entries = dict(one.split(b"=", 1) for one in file.read().split(b"\0") if one)
    return entries[b"ONEHOP_STAMP"].decode()


async def models_now(systemd: Systemd) -> int:
    """How many models a new client is told of."""
    wire = await systemd.connect()
    wire.send(get("/health", "Connection: close"))
    count = (await wire.read()).json["models"]
    wire.close()
    assert isinstance(count, int)
    return count


async def begin_stream(systemd: Systemd) -> Wire:
    stream = await systemd.connect()
    stream.send(post(CHAT))
    await stream.read_head()
    assert await stream.read_chunk() == b"first"
    return stream


async def end_stream(stream: Wire, gate: asyncio.Event) -> None:
    """It ends, and ends well."""
    gate.set()
    assert await stream.read_chunk() == b"last"
    assert await stream.read_chunk() == b""


async def well_ended(one: Process) -> str:
    status, err = await one.end()
    assert status == 0, err
    assert "Traceback" not in err
    return err


def test_the_same_generation_reads_its_file_in_place(config, systemd, unit, processes):
    async def work():
        path = config(processes=processes)
        env = unit("1")
        async with process("--config", str(path), listen=[systemd.tcp], env=env) as one:
            await systemd.hear("READY=1")
            config(processes=processes, models={"m": model("http://127.0.0.1:1")})
            done = await systemd.reload(path, env)
            assert (done.returncode, systemd.mains) == (0, [])
            assert "serving 1 model(s)" in done.stderr
            assert await models_now(systemd) == 1

            path.write_text('{"modles": {}}')
            done = await systemd.reload(path, env)
            assert done.returncode == 1
            assert "modles: unknown key; did you mean models?" in done.stderr
            assert "the old configuration stays in force" in done.stderr
            assert await models_now(systemd) == 1
            one.signal(signal.SIGTERM)
            assert "handed over" not in await well_ended(one)

    run(work(), STARTS)


def test_a_successor_serves_while_the_old_one_ends_its_stream(config, systemd, unit, processes):
    async def work():
        gate = asyncio.Event()
        async with backend(endless(gate)) as engine:
            path = config(processes=processes, models={"m": model(engine.url)})
            args = ["--config", str(path)]
            async with process(*args, listen=[systemd.tcp], env=unit("1")) as one:
                await systemd.hear("READY=1")
                stream = await begin_stream(systemd)
                two = {"m": model(engine.url), "n": model(engine.url)}
                config(processes=processes, models=two)
                done = await systemd.reload(path, unit("2"))
                assert done.returncode == 0, done.stderr
                [successor] = systemd.mains
                assert stamp_of(successor) == "2"
                for dummy in range(20):
                    assert await models_now(systemd) == 2
                # What systemd sends to all processes of a unit is not meant for the old one.
                one.signal(signal.SIGTERM)
                await asyncio.sleep(0.05)
                await end_stream(stream, gate)
                stream.close()
                assert "handed over: " in await well_ended(one)
                os.kill(successor, signal.SIGTERM)
                await until(lambda: not runs(successor))

    run(work(), STARTS)


def test_no_client_is_lost_over_many_generations(config, systemd, unit, processes):
    async def work():
        async with backend() as engine:
            path = config(processes=processes, models={"m": model(engine.url)})
            done = asyncio.Event()
            counts = {"new": 0, "kept": 0}

            async def newcomers():
                while not done.is_set():
                    wire = await systemd.connect()
                    wire.send(post(CHAT))
                    assert (await wire.read()).status == 200
                    wire.close()
                    counts["new"] += 1
                    await asyncio.sleep(0.005)

            async def regular():
                wire = await systemd.connect()
                while not done.is_set():
                    wire.send(post(CHAT))
                    answer = await wire.read()
                    assert answer.status == 200
                    counts["kept"] += 1
                    if answer.get("connection") == "close":
                        wire = await systemd.connect()
                    await asyncio.sleep(0.01)
                wire.close()

            args = ["--config", str(path)]
            async with process(*args, listen=[systemd.tcp], env=unit("0")) as one:
                await systemd.hear("READY=1")
                async with asyncio.TaskGroup() as group:
                    for client in (newcomers, regular, regular):
                        group.create_task(client())
                    for generation in range(1, 3):
                        answer = await systemd.reload(path, unit(str(generation)))
                        assert answer.returncode == 0, answer.stderr
                        await asyncio.sleep(0.1)
                    done.set()
                assert len(systemd.mains) == 2
                assert min(counts.values()) > 10
                assert "aborted" not in await well_ended(one)
                await until(lambda: [pid for pid in systemd.mains if runs(pid)] == [last])

            assert stamp_of(last) == "2"

    last = 0

    class Mains(list[int]):
        def append(self, pid: int) -> None:
            nonlocal last
            last = pid
            super().append(pid)

    systemd.mains = Mains()
    run(work(), STARTS)


def test_an_idle_client_has_time_for_a_last_request(config, systemd, unit):
    async def work():
        async with backend() as engine:
            path = config(models={"m": model(engine.url)})
            async with process("--config", str(path), listen=[systemd.tcp], env=unit("1")) as one:
                await systemd.hear("READY=1")
                idle = await systemd.connect()
                idle.send(get("/health"))
                await idle.read()
                assert (await systemd.reload(path, unit("2"))).returncode == 0
                idle.send(post(CHAT))
                answer = await idle.read()
                assert (answer.status, answer.get("connection")) == (200, "close")
                await well_ended(one)

    run(work(), STARTS)


@pytest.mark.parametrize("fault", ["file", "credential", "program"])
def test_a_successor_that_does_not_start_leaves_the_old_one_serving(
    config, systemd, unit, processes, fault
):
    async def work():
        path = config(processes=processes)
        args = ["--config", str(path)]
        async with process(*args, listen=[systemd.tcp], env=unit("1")) as one:
            await systemd.hear("READY=1")
            env = unit("2")
            if fault == "file":
                path.write_text('{"modles": {}}')
            elif fault == "credential":
                config(client_keys={"a": {"keys": ["${cred:missing}"]}})
            else:
                # What the successor imports, but `--reload` does not.
                env["PYTHONPATH"] = f"{path.parent}:{FILES}"
                (path.parent / "uvloop.py").write_text("import sys; sys.exit('no loop today')")
                (path.parent / "sitecustomize.py").write_text(
                    "import os, sys\nif 'ONEHOP_PREDECESSOR' not in os.environ:\n"
                    f"    sys.path.remove({str(path.parent)!r})\n"
                )
            done = await systemd.reload(path, env)
            assert done.returncode == 1
            assert "the running router serves on" in done.stderr
            said = {"file": "modles", "credential": "missing", "program": "no loop today"}
            assert said[fault] in done.stderr
            assert systemd.mains == []
            assert await models_now(systemd) == 0
            one.signal(signal.SIGTERM)
            await well_ended(one)

    run(work(), STARTS)


def test_keys_rotate_by_reload_two_valid_at_a_time(config, systemd, unit, processes, tmp_path):
    """`credentials` stands for what the unit's first ExecReload= brings."""

    async def status(key: str) -> int:
        wire = await systemd.connect()
        wire.send(get("/v1/models", f"Authorization: Bearer {key}", "Connection: close"))
        return (await wire.read()).status

    async def work():
        start, brought = tmp_path / "start", tmp_path / "brought"
        for folder in (start, brought):
            folder.mkdir()
            (folder / "a").write_text("old\n")
        keys = {"alice": {"keys": ["${cred:a}"]}}
        path = config(processes=processes, client_keys=keys)
        env = unit("1", CREDENTIALS_DIRECTORY=str(start))
        more = ["--credentials", str(brought)]
        async with process("--config", str(path), listen=[systemd.tcp], env=env) as one:
            await systemd.hear("READY=1")
            assert [await status("old"), await status("new")] == [200, 401]
            (brought / "b").write_text("new\n")
            keys["alice"]["keys"].append("${cred:b}")
            config(processes=processes, client_keys=keys)
            assert (await systemd.reload(path, env, *more)).returncode == 0
            assert [await status("old"), await status("new")] == [200, 200]
            (brought / "a").write_text("newer\n")
            assert (await systemd.reload(path, env, *more)).returncode == 0
            assert [await status("old"), await status("newer")] == [401, 200]
            # And a successor has them from there, too.
            assert (await systemd.reload(path, unit("2"), *more)).returncode == 0
            assert [await status("old"), await status("newer")] == [401, 200]
            assert len(systemd.mains) == 1
            assert "newer" not in await well_ended(one)

    run(work(), STARTS)


def test_another_number_of_processes_is_a_successors(config, systemd, unit):
    async def work():
        path = config()
        env = unit("1")
        async with process("--config", str(path), listen=[systemd.tcp], env=env) as one:
            await systemd.hear("READY=1")
            config(processes=2)
            done = await systemd.reload(path, env)
            assert done.returncode == 0, done.stderr
            await well_ended(one)
            assert await models_now(systemd) == 0
            [parent] = systemd.mains
            assert len(children(parent)) == 2
            config(processes=1)
            assert (await systemd.reload(path, env)).returncode == 0
            await until(lambda: not runs(parent))
            assert children(systemd.mains[-1]) == []

    run(work(), STARTS)


async def silence(systemd: Systemd) -> None:
    """Return when there has been no sign of life for a dozen times their interval."""
    while True:
        try:
            async with asyncio.timeout(0.3):
                await systemd.hear("WATCHDOG=1")
        except TimeoutError:
            return


def test_signs_of_life_are_the_successors(config, systemd, unit):
    async def work():
        gate = asyncio.Event()
        async with backend(endless(gate)) as engine:
            path = config(models={"m": model(engine.url)})
            env = unit("1", WATCHDOG_USEC="40000")
            async with process("--config", str(path), listen=[systemd.tcp], env=env) as one:
                await systemd.hear("WATCHDOG=1")
                stream = await begin_stream(systemd)
                assert (await systemd.reload(path, unit("2"))).returncode == 0
                assert any("WATCHDOG_USEC=40000" in said for said in systemd.heard)
                await systemd.hear("WATCHDOG=1")
                [successor] = systemd.mains
                os.kill(successor, signal.SIGSTOP)
                await silence(systemd)
                os.kill(successor, signal.SIGCONT)
                await end_stream(stream, gate)
                stream.close()
                await well_ended(one)

    run(work(), STARTS)


def test_a_loop_that_hangs_gives_no_sign_of_life_and_says_where_it_hung(config, systemd):
    """The loop is really blocked: by a callback of the test's own, put into it by a signal."""
    blocking = (
        "import asyncio, signal, sys, time\n"
        "from onehop_router import __main__, lifecycle\n"
        "handle = lifecycle.MainProcess._handle_signals\n"
        "def also(self, serving):\n"
        "    handle(self, serving)\n"
        "    loop = asyncio.get_running_loop()\n"
        "    loop.add_signal_handler(signal.SIGUSR1, time.sleep, 60)\n"
        "lifecycle.MainProcess._handle_signals = also\n"
        "sys.exit(__main__.main())\n"
    )

    async def work():
        env = {"NOTIFY_SOCKET": systemd.path, "WATCHDOG_USEC": "40000"}
        one = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            blocking,
            "--config",
            str(config()),
            env=environment(env),
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            await systemd.hear("WATCHDOG=1")
            one.send_signal(signal.SIGUSR1)
            await silence(systemd)
            # So does systemd then.
            one.send_signal(signal.SIGABRT)
            dummy, err = await one.communicate()
            assert one.returncode == -signal.SIGABRT
            assert b"most recent call first" in err
        finally:
            if one.returncode is None:
                one.kill()

    run(work(), STARTS)


def test_without_a_runtime_directory_there_is_nobody_to_ask(config, systemd, tmp_path):
    async def work():
        done = await systemd.reload(config(), {})
        assert done.returncode == 1
        assert "RUNTIME_DIRECTORY is not set" in done.stderr
        done = await systemd.reload(config(), {"RUNTIME_DIRECTORY": str(tmp_path)})
        assert done.returncode == 1
        assert "no answer of the running router" in done.stderr

    run(work(), STARTS)
