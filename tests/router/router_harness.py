# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests stand on: a scripted backend (a test double), a raw client, a router."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import uvloop

from onehop_router.config_reader import parse
from onehop_router.router import Router, Timeouts

FILES = Path(__file__).parents[2] / "roles" / "router" / "files"
LIMIT = 60.0


def run(work: Coroutine[Any, Any, Any], limit: float = LIMIT) -> Any:
    """Run a test's coroutine on uvloop, within a limit that only a hang reaches."""

    async def limited() -> Any:
        async with asyncio.timeout(limit):
            return await work

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(limited())


async def until(condition: Callable[[], Any]) -> None:
    """Wait until something holds."""
    while not condition():
        await asyncio.sleep(0.002)


@dataclass
class Message:
    """A request or an answer, read off a wire."""

    start: str
    fields: list[tuple[str, str]]
    body: bytes = b""
    trailers: list[str] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        values = self.all(name)
        return ", ".join(values) if values else None

    @property
    def status(self) -> int:
        return int(self.start.split()[1])

    @property
    def method(self) -> str:
        return self.start.split()[0]

    @property
    def target(self) -> str:
        return self.start.split()[1]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return self.json["error"]["code"]


class Wire:
    """One end of a connection, with reading helpers of the plainest kind."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes | str) -> None:
        self.writer.write(data.encode() if isinstance(data, str) else data)

    async def read_head(self) -> Message:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        start, *lines = head.split("\r\n")[:-2]
        fields = [(line.split(":", 1)[0], line.split(":", 1)[1].strip(" ")) for line in lines]
        return Message(start, fields)

    async def read_body(self, message: Message, *, to_head: bool = False) -> Message:
        if "chunked" in (message.get("transfer-encoding") or ""):
            while True:
                chunk = await self.read_chunk()
                if not chunk:
                    break
                message.body += chunk
            while (line := await self.reader.readline()) != b"\r\n":
                message.trailers.append(line.decode().rstrip())
        elif message.get("content-length") is not None and not to_head:
            message.body = await self.reader.readexactly(int(message.get("content-length") or 0))
        return message

    async def read_chunk(self) -> bytes:
        size = int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16)
        if size == 0:
            return b""
        data = await self.reader.readexactly(size)
        assert await self.reader.readexactly(2) == b"\r\n"
        return data

    async def read(self, *, to_head: bool = False) -> Message:
        return await self.read_body(await self.read_head(), to_head=to_head)

    async def read_to_end(self) -> bytes:
        return await self.reader.read()

    async def ended(self) -> bool:
        """Whether the other end closes without a byte more, be it by a reset."""
        try:
            return await self.reader.read() == b""
        except ConnectionError:
            return True

    def stop_reading(self) -> None:
        """Let the other end's bytes pile up."""
        self._transport.pause_reading()

    def read_on(self) -> None:
        """Take up reading after `stop_reading`."""
        self._transport.resume_reading()

    @property
    def _transport(self) -> asyncio.Transport:
        # uvloop's transports are what asyncio calls one, without saying so.
        return cast(asyncio.Transport, self.writer.transport)

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Message, Wire], Awaitable[None]]


async def echo(request: Message, wire: Wire) -> None:
    """The default script: say what came in."""
    seen = {
        "method": request.method,
        "target": request.target,
        "fields": request.fields,
        "body": request.body.decode("latin-1"),
    }
    body = b"" if request.method == "HEAD" else json.dumps(seen).encode()
    wire.send(
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    wire.send(body)


class ScriptedBackend:
    """A test double of an inference server: it does what its script says, at every phase.

    `script` is called once per request. With `raw`, it is called once per connection instead,
    before anything has been read, with an empty message.
    """

    def __init__(self, script: Script = echo, *, raw: bool = False) -> None:
        self.script = script
        self.raw = raw
        self.connections = 0
        self.open = 0
        self.requests: list[Message] = []
        self.url = ""
        self._port = 0
        self._wires: set[Wire] = set()

    @property
    def last(self) -> Message:
        return self.requests[-1]

    async def start(self, path: str | None = None) -> None:
        if path:
            self._server = await asyncio.start_unix_server(self._serve, path)
            self.url = f"unix://{path}"
        else:
            # Started again, it is where it was.
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
            self._port = self._server.sockets[0].getsockname()[1]
            self.url = f"http://127.0.0.1:{self._port}"

    def stop(self) -> None:
        """Take no new connections."""
        self._server.close()

    def kill(self) -> None:
        """End as a process does that is killed: every connection breaks at once."""
        self.stop()
        for wire in list(self._wires):
            wire.reset()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        wire = Wire(reader, writer)
        self._wires.add(wire)
        try:
            if self.raw:
                await self.script(Message("", []), wire)
                return
            while True:
                request = await wire.read()
                self.requests.append(request)
                await self.script(request, wire)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            self._wires.discard(wire)
            writer.close()


@contextlib.asynccontextmanager
async def backend(
    script: Script = echo, *, raw: bool = False, path: str | None = None
) -> AsyncIterator[ScriptedBackend]:
    """A scripted backend, listening."""
    one = ScriptedBackend(script, raw=raw)
    await one.start(path)
    try:
        yield one
    finally:
        one.stop()


class Running:
    """A router in this process, listening on a loopback port."""

    def __init__(self, router: Router, port: int) -> None:
        self.router = router
        self.port = port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def connect(self) -> Wire:
        return Wire(*await asyncio.open_connection("127.0.0.1", self.port))

    async def ask(self, data: bytes | str) -> Message:
        """Send one request on a connection of its own and read the whole answer."""
        wire = await self.connect()
        wire.send(data)
        message = await wire.read(to_head=data[:5] in (b"HEAD ", "HEAD "))
        wire.close()
        return message


def model(*urls: str, **more: Any) -> dict[str, Any]:
    """A model's configuration with these upstream URLs."""
    return {"upstreams": [{"url": url} for url in urls], **more}


@contextlib.asynccontextmanager
async def router(
    models: dict[str, Any] | None = None,
    *,
    timeouts: Timeouts | None = None,
    **settings: Any,
) -> AsyncIterator[Running]:
    """A router with these models and settings."""
    # Nobody waits for a replica unless a test is about that.
    text = json.dumps({"models": models or {}, "hold_seconds": 0, **settings})
    one = Router(parse(text, {}), timeouts or Timeouts(sweep=0.02))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(one.connection, "127.0.0.1", 0)
    try:
        yield Running(one, server.sockets[0].getsockname()[1])
    finally:
        server.close()
        one.stop()
        await asyncio.sleep(0)


def post(body: bytes | str, path: str = "/v1/chat/completions", *fields: str) -> bytes:
    """A POST with a declared length."""
    raw = body.encode() if isinstance(body, str) else body
    lines = "".join(f"{one}\r\n" for one in fields)
    head = f"POST {path} HTTP/1.1\r\nHost: client.example\r\n{lines}Content-Length: {len(raw)}\r\n"
    return head.encode() + b"\r\n" + raw


def get(path: str, *fields: str, method: str = "GET") -> bytes:
    """A request without a body."""
    lines = "".join(f"{one}\r\n" for one in fields)
    return f"{method} {path} HTTP/1.1\r\nHost: client.example\r\n{lines}\r\n".encode()


CHAT = '{"messages": [{"role": "user", "content": "hi"}], "model": "m"}'


def environment(more: dict[str, str]) -> dict[str, str]:
    """What a router's process gets."""
    ours = {key: value for key, value in os.environ.items() if key != "NOTIFY_SOCKET"}
    return {**ours, "PYTHONPATH": str(FILES), **more}


class Process:
    """The router as a process of its own."""

    def __init__(
        self, args: list[str], *, listen: list[socket.socket], env: dict[str, str]
    ) -> None:
        code = "import os, sys; from onehop_router.__main__ import main\n"
        if listen:
            # systemd writes its own child's number in there; nobody else can know it before.
            code += f"os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='{len(listen)}')\n"
        code += "sys.exit(main())"
        before = _fds_from_three(listen) if listen else None
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *args]
            if listen
            else [sys.executable, "-m", "onehop_router", *args],
            env=environment(env),
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=tuple(range(3, 3 + len(listen))),
            preexec_fn=before,
            close_fds=True,
        )

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    async def end(self) -> tuple[int, str]:
        """Wait for its end: the exit status and what it wrote to stderr."""
        dummy, err = await asyncio.to_thread(self.process.communicate)
        return self.process.returncode, err


def _fds_from_three(socks: list[socket.socket]) -> Callable[[], None]:
    numbers = [sock.fileno() for sock in socks]

    def place() -> None:
        # First out of the way, then to 3, 4, ... as systemd hands sockets over.
        spare = [os.dup2(number, 200 + index) for index, number in enumerate(numbers)]
        for index, number in enumerate(spare):
            os.dup2(number, 3 + index)

    return place


@contextlib.asynccontextmanager
async def process(
    *args: str, listen: list[socket.socket] | None = None, env: dict[str, str] | None = None
) -> AsyncIterator[Process]:
    """A router process; killed at the end if it still runs."""
    one = Process(list(args), listen=listen or [], env=env or {})
    try:
        yield one
    finally:
        if one.process.poll() is None:
            one.process.kill()
            await asyncio.to_thread(one.process.communicate)


def runs(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children(pid: int) -> list[int]:
    """The processes that a process has forked."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def command(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(
        [sys.executable, "-m", "onehop_router", *args],
        env={"PYTHONPATH": str(FILES), **env},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


class Systemd:
    """A test double of systemd's side: a notify socket and a listening TCP socket."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "notify")
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(self.path)
        self.notify.setblocking(False)
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.port = self.tcp.getsockname()[1]
        self.heard: list[str] = []
        # Main processes that are no children of ours.
        self.mains: list[int] = []

    async def hear(self, state: str) -> str:
        """Wait for a notification that holds `state`."""
        loop = asyncio.get_running_loop()
        while True:
            message = (await loop.sock_recv(self.notify, 4096)).decode()
            self.heard.append(message)
            if message.startswith("MAINPID="):
                self.mains.append(int(message.splitlines()[0].removeprefix("MAINPID=")))
            if state in message:
                return message

    async def reload(
        self, path: Path, env: dict[str, str], *more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run ExecReload= in a unit with this environment, and hear what comes of it."""
        words = [sys.executable, "-m", "onehop_router", "--config", str(path), "--reload", *more]
        listening = asyncio.create_task(self.hear("nothing that anybody says"))
        # No pipe: a successor would hold it open.
        with tempfile.TemporaryFile("w+") as err:
            done = await asyncio.to_thread(
                subprocess.run,
                words,
                env=environment({**env, "MAINPID": "1", "MAINPIDFDID": "2"}),
                stdout=subprocess.DEVNULL,
                stderr=err,
                timeout=LIMIT,
                check=False,
            )
            err.seek(0)
            said = err.read()
        listening.cancel()
        return subprocess.CompletedProcess(words, done.returncode, "", said)

    def close(self) -> None:
        for pid in self.mains:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.notify.close()
        self.tcp.close()

    async def connect(self) -> Wire:
        return Wire(*await asyncio.open_connection("127.0.0.1", self.port))


def endless(gate: asyncio.Event) -> Script:
    """A stream that ends when the gate opens."""

    async def script(request: Message, wire: Wire) -> None:
        wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await gate.wait()
        wire.send("4\r\nlast\r\n0\r\n\r\n")

    return script
