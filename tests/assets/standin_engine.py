# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A test double for SGLang and vLLM: takes their command lines, answers like them, has no model.

It stands in where an engine cannot run: SGLang has no build for processors. It proves nothing about
the engine, only about what the deployment makes of one: every answer says so in its
``system_fingerprint``, and GET /standin says what the process was given.

    python3 -m sglang.launch_server --model-path M --host H --port P …
    vllm serve M [--host H --port P | --uds PATH] …

GET /health, /v1/models, /get_model_info; POST /v1/chat/completions (also streamed): the last
message's text again. For tests only: GET /standin, and POST /standin/hang, after which it accepts
connections and answers none, as an engine whose threads are stuck.

STANDIN_LOAD_SECONDS: how long it "loads". As with the real ones, SGLang's socket is there at once
and /health says 503, vLLM binds its socket only afterwards. ``--no-such-flag`` is refused as
argparse does it, with status 2. SIGTERM ends it with 0. A unix socket is not removed at the end:
vLLM leaves it too, and cannot start where one lies.

Standard library only, and one file: it is copied into the image as it is.
"""

from __future__ import annotations

import http.server
import json
import os
import resource
import signal
import socket
import socketserver
import stat
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

UNKNOWN_FLAG = "--no-such-flag"
FINGERPRINT = "onehop-standin"


@dataclass(frozen=True)
class Engine:
    """How an engine's command line says the few things that matter here."""

    name: str
    program: str
    """As its usage line has it."""
    model_flags: tuple[str, ...]
    positional_model: bool
    host: str
    port: int
    binds_first: bool
    """Whether its socket is there while the model loads."""


ENGINES = {
    "sglang": Engine(
        "sglang",
        "launch_server.py",
        ("--model-path", "--model"),
        positional_model=False,
        host="127.0.0.1",
        port=30000,
        binds_first=True,
    ),
    "vllm": Engine(
        "vllm",
        "vllm serve",
        ("--model",),
        positional_model=True,
        host="0.0.0.0",
        port=8000,
        binds_first=False,
    ),
}


@dataclass(frozen=True)
class Wish:
    """What a command line asks for."""

    model: str
    names: tuple[str, ...]
    """Under which it is served; the first one is what answers carry."""
    host: str
    port: int
    uds: str
    key: str


def values(words: list[str], *flags: str) -> list[str]:
    """What follows a flag up to the next one, or its sign of equality; the last mention counts."""
    found: list[str] = []
    for index, word in enumerate(words):
        flag, equals, value = word.partition("=")
        # Both engines' parsers read --model_path as --model-path.
        if flag.replace("_", "-") not in flags:
            continue
        found = [value] if equals else []
        for follower in [] if equals else words[index + 1 :]:
            if follower.startswith("--"):
                break
            found.append(follower)
    return found


def read_words(engine: Engine, words: list[str]) -> Wish:
    """Read a command line; other flags are the real engine's business."""
    for word in words:
        if word.partition("=")[0] == UNKNOWN_FLAG:
            print(f"usage: {engine.program} [-h] ...", file=sys.stderr)
            print(f"{engine.program}: error: unrecognized arguments: {word}", file=sys.stderr)
            sys.exit(2)
    model = (values(words, *engine.model_flags) or [""])[0]
    if engine.positional_model and words and not words[0].startswith("-"):
        model = words[0]
    if not model:
        needed = "/".join(engine.model_flags)
        print(f"{engine.program}: error: {needed} is required", file=sys.stderr)
        sys.exit(2)
    keys = values(words, "--api-key") or [os.environ.get("VLLM_API_KEY", "")]
    return Wish(
        model,
        tuple(values(words, "--served-model-name") or [model]),
        (values(words, "--host") or [engine.host])[0],
        int((values(words, "--port") or [str(engine.port)])[0]),
        (values(words, "--uds") or [""])[0] if engine.name == "vllm" else "",
        keys[0],
    )


def devices(folder: Path = Path("/dev")) -> dict[str, str]:
    """Every device node by its path: c or b, and its numbers."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        kinds = {stat.S_IFCHR: "c", stat.S_IFBLK: "b"}
        kind = kinds.get(stat.S_IFMT(status.st_mode))
        if kind:
            numbers = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
            found[str(path)] = f"{kind} {numbers}"
    return found


def limits() -> dict[str, list[int]]:
    """Soft and hard limit by RLIMIT's names, -1 for none."""
    names = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    return {name[7:].lower(): list(resource.getrlimit(getattr(resource, name))) for name in names}


def rows(path: str) -> list[list[str]]:
    """The words of each line of a file of /proc."""
    return [line.split() for line in Path(path).read_text().splitlines()]


def testimony() -> dict[str, Any]:
    """What this process was given: what a test holds against the unit that it wrote."""
    status = {row[0].rstrip(":"): row[1:] for row in rows("/proc/self/status") if row}
    return {
        "argv": sys.orig_argv,
        "environment": dict(os.environ),
        "folder": str(Path.cwd()),
        "user": os.getuid(),
        "group": os.getgid(),
        "groups": os.getgroups(),
        "uid_map": rows("/proc/self/uid_map"),
        "gid_map": rows("/proc/self/gid_map"),
        "capabilities": status["CapEff"][0],
        "no_new_privileges": status["NoNewPrivs"][0] == "1",
        "seccomp": int(status["Seccomp"][0]),
        "devices": devices(),
        "mounts": [
            {"target": row[4], "options": row[5], "type": row[row.index("-") + 1]}
            for row in rows("/proc/self/mountinfo")
        ],
        "limits": limits(),
    }


class State:
    """What the handlers share."""

    def __init__(self, engine: Engine, wish: Wish) -> None:
        self.engine = engine
        self.wish = wish
        seconds = float(os.environ.get("STANDIN_LOAD_SECONDS") or 0)
        self.ready_at = time.monotonic() + seconds
        self.hangs = threading.Event()

    def missing(self) -> float:
        """Seconds until the model is there."""
        return max(0.0, self.ready_at - time.monotonic())


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    state: State

    def address_string(self) -> str:
        return str(self.client_address[0]) if self.client_address else "unix"

    def stop_if_hung(self) -> None:
        if self.state.hangs.is_set():
            threading.Event().wait()

    def answer(self, status: int, document: object) -> None:
        content = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def refused(self) -> bool:
        """Whether the key that the engine was given is missing."""
        key = self.state.wish.key
        if not key or self.headers.get("Authorization") == f"Bearer {key}":
            return False
        self.answer(401, {"error": "Unauthorized"})
        return True

    def do_GET(self) -> None:
        self.stop_if_hung()
        wish, path = self.state.wish, self.path.partition("?")[0]
        if path == "/standin":
            self.answer(200, testimony() | {"engine": self.state.engine.name})
        elif path in ("/health", "/health_generate"):
            self.answer(503 if self.state.missing() else 200, None)
        elif path == "/v1/models":
            if not self.refused():
                names = [
                    {"id": name, "object": "model", "created": 0, "owned_by": FINGERPRINT}
                    for name in wish.names
                ]
                self.answer(200, {"object": "list", "data": names})
        elif path in ("/get_model_info", "/model_info"):
            if not self.refused():
                self.answer(200, {"model_path": wish.model, "is_generation": True})
        else:
            self.answer(404, {"detail": "Not Found"})

    def do_POST(self) -> None:
        self.stop_if_hung()
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/standin/hang":
            self.answer(200, {"hangs": True})
            self.state.hangs.set()
        elif self.path == "/v1/chat/completions":
            if not self.refused():
                self.chat(content)
        else:
            self.answer(404, {"detail": "Not Found"})

    def chat(self, content: bytes) -> None:
        """Answer with the last message's text."""
        try:
            asked = json.loads(content)
            model, last = str(asked["model"]), asked["messages"][-1]["content"]
        except (ValueError, LookupError, TypeError) as error:
            message = f"no chat request: {error!r}"
            self.answer(400, {"error": {"message": message, "type": "BadRequestError"}})
            return
        if model not in self.state.wish.names:
            message = f"The model `{model}` does not exist."
            self.answer(404, {"error": {"message": message, "type": "NotFoundError"}})
            return
        text = last if isinstance(last, str) else "".join(part.get("text", "") for part in last)
        if asked.get("stream"):
            self.stream(model, text)
            return
        words = len(text.split())
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "finish_reason": "stop",
        }
        usage = {"prompt_tokens": words, "completion_tokens": words, "total_tokens": 2 * words}
        self.answer(200, envelope(model, "chat.completion") | {"choices": [choice], "usage": usage})

    def stream(self, model: str, text: str) -> None:
        """The answer word by word, as server-sent events that end with the connection."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for choice in pieces(text):
            event = envelope(model, "chat.completion.chunk") | {"choices": [choice]}
            self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True


def envelope(model: str, kind: str) -> dict[str, Any]:
    """What every answer to a chat request has."""
    return {
        "id": f"chatcmpl-{time.monotonic_ns():x}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
        "system_fingerprint": FINGERPRINT,
    }


def pieces(text: str) -> Iterator[dict[str, Any]]:
    """The choices of a streamed answer."""
    deltas = [{"role": "assistant", "content": ""}]
    deltas += [{"content": word + " "} for word in text.split(" ")[:-1]]
    deltas.append({"content": text.split(" ")[-1]})
    for delta in deltas:
        yield {"index": 0, "delta": delta, "finish_reason": None}
    yield {"index": 0, "delta": {}, "finish_reason": "stop"}


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Listens on an address, or on a unix socket."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, wish: Wish) -> None:
        if wish.uds:
            self.address_family = socket.AF_UNIX
            self.allow_reuse_address = False
        elif ":" in wish.host:
            self.address_family = socket.AF_INET6
        # What is a pair of address and port to the stubs is a path for a unix socket.
        address: Any = wish.uds or (wish.host, wish.port)
        super().__init__(address, Handler)


def leave(signum: int, frame: FrameType | None) -> None:
    os._exit(0)


def serve(name: str, words: list[str]) -> int:
    """Be this engine until SIGTERM; the exit status where that cannot begin."""
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    engine = ENGINES[name]
    Handler.state = State(engine, read_words(engine, words))
    where = Handler.state.wish
    print(f"{FINGERPRINT}: in place of {name}: {where}", file=sys.stderr, flush=True)
    if not engine.binds_first:
        time.sleep(Handler.state.missing())
    try:
        server = Server(where)
    except OSError as error:
        place = where.uds or f"{where.host}:{where.port}"
        print(f"{FINGERPRINT}: cannot listen on {place}: {error}", file=sys.stderr)
        return 1
    server.serve_forever()
    return 0


def main(argv: list[str]) -> int:
    """``standin_engine.py sglang WORD…`` or ``standin_engine.py vllm serve WORD…``."""
    name, words = argv[0], argv[1:]
    if name == "vllm":
        if words[:1] != ["serve"]:
            print("usage: vllm serve MODEL ...", file=sys.stderr)
            return 2
        words = words[1:]
    return serve(name, words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
