# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The router as a process: command line, activation, notifications, reload, drain."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys

import pytest
from router_harness import (
    CHAT,
    FILES,
    Wire,
    backend,
    command,
    endless,
    get,
    model,
    post,
    process,
    run,
)

import onehop_router


def test_version_and_wrong_use():
    assert command("--version").stdout == f"onehop-router {onehop_router.__version__}\n"
    assert command().returncode == 2
    assert command("--config", "/nowhere", "--listen").returncode == 2


def test_check_is_silent_reads_no_secret_and_binds_nothing(config):
    keys = {"a": {"keys": ["${cred:missing}"]}, "b": {"keys": ["${env:MISSING}"]}}
    done = command("--config", str(config(client_keys=keys)), "--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_check_reports_every_error_with_its_path_and_no_secret(config):
    path = config(
        host="0.0.0.0",
        prot=1,
        client_keys={"a": {"keys": ["hunter2${nope}"]}},
        models={"m": {"upstreams": [{"url": "localhost:8000"}]}},
    )
    done = command("--config", str(path), "--check")
    assert done.returncode == 1
    assert "prot: unknown key; did you mean port?" in done.stderr
    assert "client_keys.a.keys[0]: " in done.stderr
    assert 'models.m.upstreams[0].url: "localhost:8000": ' in done.stderr
    assert "hunter2" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("args", [["--check"], []])
def test_listening_for_everyone_without_keys_is_an_error(config, args):
    done = command("--config", str(config(host="0.0.0.0")), *args)
    assert done.returncode == 1
    assert "allow_anonymous" in done.stderr
    fine = command("--config", str(config(host="0.0.0.0", allow_anonymous=True)), "--check")
    assert fine.returncode == 0


def test_missing_file_missing_secret_and_taken_port_end_with_1(config):
    assert command("--config", "/nowhere.json").returncode == 1
    done = command("--config", str(config(client_keys={"a": {"keys": ["${env:NOPE}"]}})))
    assert done.returncode == 1
    assert "client_keys.a.keys[0]: the environment variable 'NOPE' is not set" in done.stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = command("--config", str(config(port=port)))
        assert done.returncode == 1
        assert "cannot listen on 127.0.0.1" in done.stderr
    done = command("--config", str(config(host="x" * 70, allow_anonymous=True)))
    assert done.returncode == 1
    assert "cannot listen on xxx" in done.stderr
    assert "Traceback" not in done.stderr


def test_own_port_notifications_watchdog_and_end(config, systemd):
    async def work():
        env = {"NOTIFY_SOCKET": systemd.path, "WATCHDOG_USEC": "40000"}
        async with process("--config", str(config()), env=env) as one:
            await systemd.hear("READY=1")
            await systemd.hear("WATCHDOG=1")
            one.signal(signal.SIGTERM)
            await systemd.hear("STOPPING=1")
            status, err = await one.end()
            assert status == 0
            assert "listening on 127.0.0.1:" in err
            assert "with 0 model(s)" in err

    run(work())


def test_activation_with_tcp_and_unix_sockets_together(config, systemd, tmp_path):
    async def work():
        unix = socket.socket(socket.AF_UNIX)
        unix.bind(str(tmp_path / "http.sock"))
        unix.listen()
        path = config(host="192.0.2.1", port=1)
        env = {"NOTIFY_SOCKET": systemd.path}
        async with process("--config", str(path), listen=[systemd.tcp, unix], env=env) as one:
            await systemd.hear("READY=1")
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / "http.sock"))
            for wire in (await systemd.connect(), Wire(reader, writer)):
                wire.send(get("/health"))
                assert (await wire.read()).json == {"status": "ok", "models": 0}
            one.signal(signal.SIGINT)
            status, err = await one.end()
            assert status == 0
            assert err.count("listening on ") == 2
            assert (tmp_path / "http.sock").exists()
        unix.close()

    run(work())


def test_activation_beyond_loopback_needs_keys_whatever_the_config_says(config):
    async def work():
        with socket.create_server(("0.0.0.0", 0)) as everywhere:
            path = config(host="127.0.0.1")
            async with process("--config", str(path), listen=[everywhere]) as one:
                status, err = await one.end()
                assert status == 1
                assert "allow_anonymous" in err

    run(work())


@pytest.mark.parametrize(
    ("count", "said"),
    [("-1", "must not be negative"), ("x", "no number"), ("1", "socket 0 (file descriptor 3)")],
)
def test_activation_errors(config, count, said):
    # The child closes descriptor 3 and claims that systemd passed something there.
    code = (
        "import os, sys; os.closerange(3, 10)\n"
        f"os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS={count!r})\n"
        "from onehop_router.__main__ import main; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--config", str(config())],
        env={"PYTHONPATH": str(FILES)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 1
    assert "socket activation: " in done.stderr
    assert said in done.stderr


def test_sockets_for_another_process_are_left_alone(config, systemd):
    async def work():
        env = {"NOTIFY_SOCKET": systemd.path, "LISTEN_PID": "1", "LISTEN_FDS": "1"}
        async with process("--config", str(config()), env=env) as one:
            await systemd.hear("READY=1")
            one.signal(signal.SIGTERM)
            assert (await one.end())[0] == 0

    run(work())


def test_reload_swaps_the_table_while_a_stream_runs_on(config, systemd):
    async def work():
        gate = asyncio.Event()
        async with backend(endless(gate)) as old, backend() as new:
            path = config(models={"m": model(old.url)}, client_keys={"a": {"keys": ["${env:KEY}"]}})
            env = {"NOTIFY_SOCKET": systemd.path, "KEY": "hunter2"}
            auth = "Authorization: Bearer hunter2"
            async with process("--config", str(path), listen=[systemd.tcp], env=env) as one:
                await systemd.hear("READY=1")
                stream = await systemd.connect()
                stream.send(post(CHAT, "/v1/chat/completions", auth))
                await stream.read_head()
                assert await stream.read_chunk() == b"first"

                config(models={"m": model(new.url), "n": model(new.url)}, allow_anonymous=True)
                one.signal(signal.SIGHUP)
                reloading = await systemd.hear("RELOADING=1")
                assert "MONOTONIC_USEC=" in reloading
                assert "serving 2 model(s)" in await systemd.hear("READY=1")
                wire = await systemd.connect()
                wire.send(post(CHAT))
                assert (await wire.read()).json["body"] == CHAT

                path.write_text('{"modles": {}, "client_keys": {"a": {"keys": ["hunter2${"]}}}')
                one.signal(signal.SIGHUP)
                assert "reload failed" in await systemd.hear("READY=1")
                wire.send(post(CHAT))
                assert (await wire.read()).status == 200

                gate.set()
                assert await stream.read_chunk() == b"last"
                assert await stream.read_chunk() == b""
                one.signal(signal.SIGTERM)
                status, err = await one.end()
                assert status == 0
                assert "reload: modles: unknown key; did you mean models?" in err
                assert "the old configuration stays in force" in err
                assert "reloaded: 2 model(s)" in err
                assert "hunter2" not in err

    run(work())


def test_a_reload_that_would_open_the_door_is_refused(config, systemd):
    async def work():
        with socket.create_server(("0.0.0.0", 0)) as everywhere:
            path = config(client_keys={"a": {"keys": ["secret"]}})
            env = {"NOTIFY_SOCKET": systemd.path}
            async with process("--config", str(path), listen=[everywhere], env=env) as one:
                await systemd.hear("READY=1")
                config()
                one.signal(signal.SIGHUP)
                assert "reload failed" in await systemd.hear("READY=1")
                one.signal(signal.SIGTERM)
                assert (await one.end())[0] == 0

    run(work())


def test_sigterm_lets_streams_finish_and_closes_idle_connections(config, systemd):
    async def work():
        gate = asyncio.Event()
        async with backend(endless(gate)) as engine:
            path = config(models={"m": model(engine.url)})
            env = {"NOTIFY_SOCKET": systemd.path}
            async with process("--config", str(path), listen=[systemd.tcp], env=env) as one:
                await systemd.hear("READY=1")
                idle = await systemd.connect()
                idle.send(get("/health"))
                await idle.read()
                stream = await systemd.connect()
                stream.send(post(CHAT))
                await stream.read_head()
                await stream.read_chunk()
                one.signal(signal.SIGTERM)
                await systemd.hear("STOPPING=1")
                assert await idle.ended()
                gate.set()
                assert await stream.read_chunk() == b"last"
                assert await stream.read_chunk() == b""
                assert await stream.read_to_end() == b"\r\n"
                status, err = await one.end()
                assert status == 0
                assert "aborted" not in err

    run(work())


@pytest.mark.parametrize("way", ["limit", "second signal"])
def test_what_does_not_finish_in_time_is_aborted(config, systemd, way):
    async def work():
        async with backend(endless(asyncio.Event())) as engine:
            seconds = 0.1 if way == "limit" else 300
            path = config(models={"m": model(engine.url)}, drain_seconds=seconds)
            env = {"NOTIFY_SOCKET": systemd.path}
            async with process("--config", str(path), listen=[systemd.tcp], env=env) as one:
                await systemd.hear("READY=1")
                stream = await systemd.connect()
                stream.send(post(CHAT))
                await stream.read_head()
                await stream.read_chunk()
                one.signal(signal.SIGTERM)
                await systemd.hear("STOPPING=1")
                if way == "second signal":
                    one.signal(signal.SIGTERM)
                with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                    await stream.read_chunk()
                status, err = await one.end()
                assert status == 0
                assert "aborted 1 request(s)" in err

    run(work())


def test_a_missing_notify_socket_is_only_said(config, tmp_path):
    async def work():
        env = {"NOTIFY_SOCKET": str(tmp_path / "nobody")}
        async with process("--config", str(config()), env=env) as one:
            line = await asyncio.to_thread(one.process.stderr.readline)
            while "sd_notify" not in line:
                line = await asyncio.to_thread(one.process.stderr.readline)
            one.signal(signal.SIGTERM)
            assert (await one.end())[0] == 0

    run(work())
