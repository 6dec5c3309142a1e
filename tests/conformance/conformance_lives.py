# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios on whole processes: the router as systemd starts it, and the poller of workers.

Each says what it saw, alone or with what the process wrote.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from conformance_case import M, ask
from router_harness import FILES, Message, ScriptedBackend, Wire, backend, get, model

POLLER = Path(__file__).parents[2] / "plugins" / "module_utils" / "_wait_ready.py"
MAIN = "from onehop_router.__main__ import main; sys.exit(main())"
REQUEST = ask("POST /v1/completions", M)


class Life:
    """A router process, with doubles of systemd's sockets."""

    def __init__(self, process: asyncio.subprocess.Process, notify: socket.socket) -> None:
        self.process = process
        self.notify = notify
        self.log = ""
        self.heard: list[str] = []

    async def said(self, text: str) -> str:
        """Read the log until it says this; what it said, and at the process's end all of it."""
        assert self.process.stderr is not None
        while text not in self.log and (line := await self.process.stderr.readline()):
            self.log += line.decode()
        return self.log

    async def hear(self, state: str) -> None:
        """Wait for a notification."""
        loop = asyncio.get_running_loop()
        while not any(state in one for one in self.heard):
            self.heard.append((await loop.sock_recv(self.notify, 4096)).decode())

    async def end(self) -> tuple[int, str]:
        """Its exit status and all that it said."""
        await self.said("\0")
        return await self.process.wait(), self.log

    async def connect(self, host: str = "127.0.0.1") -> Wire:
        """A connection to where it says that it listens."""
        found = re.search(r"listening on \S+:(\d+)", await self.said("listening on"))
        assert found, self.log
        return Wire(*await asyncio.open_connection(host, int(found[1])))


async def serves(wire: Wire) -> bool:
    """Whether /health answers on this connection."""
    wire.send(get("/health"))
    return (await wire.read()).status == 200


def written(folder: str, settings: dict[str, Any]) -> Path:
    """A configuration file."""
    path = Path(folder, "router.json")
    path.write_text(json.dumps(settings))
    return path


@contextlib.asynccontextmanager
async def life(
    *socks: socket.socket, forged: dict[str, str] | None = None, **settings: Any
) -> AsyncIterator[Life]:
    """A router with these sockets handed over, or with a forged environment of activation."""
    with tempfile.TemporaryDirectory() as folder:
        config = written(folder, {"port": 0, **settings})
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(f"{folder}/notify")
        notify.setblocking(False)
        given = {"LISTEN_FDS": str(len(socks))} if socks else {}
        given |= forged or {}
        if given:
            given = {"LISTEN_PID": "str(os.getpid())", **{k: repr(v) for k, v in given.items()}}
        numbers = [sock.fileno() for sock in socks]
        code = (
            # First out of the way, then to 3, 4, ... as systemd hands sockets over.
            f"import os, sys; spare = [os.dup2(n, 200 + i) for i, n in enumerate({numbers})]\n"
            "[os.dup2(n, 3 + i) for i, n in enumerate(spare)]\n"
            "os.closerange(3 + len(spare), 300)\n"
            f"os.environ.update({', '.join(f'{k}={v}' for k, v in given.items())})\n{MAIN}"
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", code, "--config", str(config)),
            env={
                "PYTHONPATH": str(FILES),
                "NOTIFY_SOCKET": f"{folder}/notify",
                "WATCHDOG_USEC": "100000",
            },
            stderr=asyncio.subprocess.PIPE,
            pass_fds=numbers,
        )
        try:
            yield Life(process, notify)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            notify.close()


def listening() -> socket.socket:
    """A listening TCP socket on loopback."""
    return socket.create_server(("127.0.0.1", 0))


async def activation() -> str:
    with tempfile.TemporaryDirectory() as folder, listening() as tcp:
        with socket.socket(socket.AF_UNIX) as unix:
            unix.bind(f"{folder}/http.sock")
            unix.listen()
            async with life(tcp, unix, host="192.0.2.1", port=1) as one:
                await one.hear("READY=1")
                host, port = tcp.getsockname()
                first = Wire(*await asyncio.open_connection(host, port))
                second = Wire(*await asyncio.open_unix_connection(f"{folder}/http.sock"))
                both = await serves(first) and await serves(second)
                return "both served" if both else "not served"


async def _own_port(forged: dict[str, str]) -> str:
    async with life(forged=forged) as one:
        return "own port" if await serves(await one.connect()) else "nothing"


async def activation_of_none() -> str:
    return await _own_port({"LISTEN_FDS": "0"})


async def activation_of_another() -> str:
    return await _own_port({"LISTEN_FDS": "1", "LISTEN_PID": "1"})


async def _refused(*socks: socket.socket, forged: dict[str, str] | None = None) -> tuple[str, str]:
    async with life(*socks, forged=forged) as one:
        status, log = await one.end()
        assert "socket activation: " in log
        assert "Traceback" not in log
        return "refused" if status == 1 else "served", log


async def activation_negative() -> tuple[str, str]:
    return await _refused(forged={"LISTEN_FDS": "-1"})


async def activation_no_number() -> tuple[str, str]:
    return await _refused(forged={"LISTEN_FDS": "x"})


async def activation_no_socket() -> tuple[str, str]:
    return await _refused(forged={"LISTEN_FDS": "1"})


async def activation_not_listening() -> tuple[str, str]:
    with socket.socket() as idle:
        idle.bind(("127.0.0.1", 0))
        return await _refused(idle)


async def activation_with_names() -> str:
    with listening() as tcp:
        async with life(tcp, forged={"LISTEN_FDS": "1", "LISTEN_FDNAMES": "x:y:z"}) as one:
            return "ignored" if await serves(await one.connect()) else "minded"


async def own_port() -> str:
    async with life() as one:
        return "served" if await serves(await one.connect()) else "not served"


async def ipv6() -> str:
    async with life(host="::1") as one:
        assert await serves(await one.connect("::1"))
        return (await one.said("listening")).partition("listening on ")[2].rpartition(":")[0]


async def taken_port() -> tuple[str, str]:
    with listening() as taken:
        async with life(port=taken.getsockname()[1]) as one:
            status, log = await one.end()
            return str(status), log


async def log_lines() -> tuple[str, str]:
    with listening() as first, listening() as second:
        async with life(first, second, models={"m": model("http://x")}) as one:
            await one.hear("READY=1")
            one.process.send_signal(signal.SIGTERM)
            dummy, log = await one.end()
            return str(log.count("listening on 127.0.0.1:")), log


async def ready_first() -> str:
    async with life() as one:
        await one.hear("READY=1")
        assert await serves(await one.connect())
        return one.heard[0].partition("\n")[0]


async def other_notifications() -> str:
    async with life() as one:
        await one.hear("READY=1")
        await one.hear("WATCHDOG=1")
        one.process.send_signal(signal.SIGTERM)
        await one.hear("STOPPING=1")
        words = {line.partition("=")[0] for text in one.heard for line in text.split("\n")}
        return " ".join(sorted(words - {"READY"}))


async def nobody_hears() -> tuple[str, str]:
    async with life(forged={"LISTEN_FDS": "0", "NOTIFY_SOCKET": "/nowhere/notify"}) as one:
        log = await one.said("sd_notify: ")
        return "served" if await serves(await one.connect()) else "not served", log


async def _signal_in_a_stream(number: signal.Signals) -> str:
    async def streaming(request: Message, wire: Wire) -> None:
        wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await gate.wait()
        wire.send("4\r\nlast\r\n0\r\n\r\n")

    gate = asyncio.Event()
    async with backend(streaming) as engine, life(models={"m": model(engine.url)}) as one:
        wire = await one.connect()
        wire.send(REQUEST)
        message = await wire.read_head()
        assert await wire.read_chunk() == b"first"
        one.process.send_signal(number)
        await one.hear("STOPPING=1")
        gate.set()
        await wire.read_body(message)
        status, dummy = await one.end()
        return f"{'whole' if message.body == b'last' else 'cut'}, {status}"


async def sigterm_in_a_stream() -> str:
    return await _signal_in_a_stream(signal.SIGTERM)


async def sigint_in_a_stream() -> str:
    return await _signal_in_a_stream(signal.SIGINT)


async def sighup() -> str:
    async with life() as one:
        await one.hear("READY=1")
        one.heard.clear()
        one.process.send_signal(signal.SIGHUP)
        await one.hear("READY=1")
        return "reloads" if "RELOADING=1" in one.heard[0] + one.heard[1] else "nothing"


async def failing_listener() -> tuple[str, str]:
    with listening() as tcp:
        async with life(tcp) as one:
            assert await serves(await one.connect())
            # As if somebody had taken the interface away: the next accept fails.
            tcp.shutdown(socket.SHUT_RDWR)
            status, log = await one.end()
            return str(status), log


# -- the poller of workers


class Poll:
    """The poller beside a server that is a test double, and the process that it watches."""

    def __init__(self, statuses: list[str]) -> None:
        self.statuses = statuses
        self.engine = ScriptedBackend(self._answer)
        self.server: asyncio.subprocess.Process
        self.poller: asyncio.subprocess.Process

    async def _answer(self, request: Message, wire: Wire) -> None:
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        wire.send(f"HTTP/1.1 {status} X\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n")

    @property
    def probes(self) -> str:
        """How often it asked."""
        count = len(self.engine.requests)
        return f"{count} probe{'s' if count != 1 else ''}"


@contextlib.asynccontextmanager
async def poll(*statuses: str, path: str | None = None) -> AsyncIterator[Poll]:
    """A poller that meets these statuses, the last one again and again."""
    one = Poll(list(statuses))
    await one.engine.start(path)
    sleep = (sys.executable, "-c", "import time; time.sleep(60)")
    one.server = await asyncio.create_subprocess_exec(*sleep)
    one.poller = await asyncio.create_subprocess_exec(
        *(sys.executable, str(POLLER), str(one.server.pid), one.engine.url, "/health"),
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield one
    finally:
        for process in (one.server, one.poller):
            if process.returncode is None:
                process.kill()
                await process.wait()
        one.engine.stop()


async def _probes(*statuses: str, path: str | None = None) -> str:
    async with poll(*statuses, path=path) as one:
        assert await one.poller.wait() == 0
        assert {request.target for request in one.engine.requests} == {"/health"}
        return one.probes


async def ready_after_three() -> str:
    return await _probes("503", "503", "200")


async def ready_after_redirect() -> str:
    return await _probes("302", "200")


async def ready_on_unix() -> str:
    with tempfile.TemporaryDirectory() as folder:
        return await _probes("200", path=f"{folder}/http.sock")


async def ready_is_said() -> str:
    async with poll("200") as one:
        return f"{await one.poller.wait()}, once"


async def child_status() -> str:
    async with poll("503") as one:
        one.server.terminate()
        await one.server.wait()
        return str(await one.poller.wait())


async def dies_while_loading() -> str:
    async with poll("503") as one:
        while not one.engine.requests:
            await asyncio.sleep(0.01)
        one.server.kill()
        await one.server.wait()
        return "ends at once" if await one.poller.wait() == 1 else "waits"


async def wrong_use() -> str:
    wrong = await asyncio.create_subprocess_exec(
        sys.executable, str(POLLER), "1", stderr=asyncio.subprocess.DEVNULL
    )
    return str(await wrong.wait())


async def no_probe_after_ready() -> str:
    async with poll("200") as one:
        await one.poller.wait()
        before = one.probes
        await asyncio.sleep(0.3)
        return "no probe" if one.probes == before else one.probes


async def check_is_silent() -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = written(folder, {})
        checked = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "onehop_router", "--config", str(path), "--check"),
            env={"PYTHONPATH": str(FILES), "PATH": os.environ.get("PATH", "")},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, dummy = await checked.communicate()
        return "silent" if (checked.returncode, said) == (0, b"") else said.decode()
