# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A test double of vLLM's server for what no engine here can do: sound, responses that are kept, faults.

It has no model. Answers have the shape that vLLM's have; what they say is what came in. `act` makes
it misbehave: ``slow`` answers after `gate` opens, ``dies`` breaks a stream off, ``loads`` is not
ready yet. DELETE and input_items of a response are OpenAI's: no engine here has them.
"""

from __future__ import annotations

import email.parser
import email.policy
import http.server
import io
import json
import threading
import time
import wave
from collections.abc import Iterator
from typing import Any

HEAD = (
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers; `server` knows how."""

    protocol_version = "HTTP/1.1"
    server: StandIn

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        loading = self.server.act == "loads"
        if self.path == "/health":
            self.answer({}, 503 if loading else 200)
        elif self.path == "/v1/models":
            self.answer({"object": "list", "data": [{"id": "standin", "object": "model"}]})
        else:
            self.answer_kept(*self.path.partition("?")[0].split("/")[3:])

    def do_DELETE(self) -> None:
        name = self.path.rpartition("/")[2]
        found = self.server.kept.pop(name, None)
        gone = {"id": name, "object": "response.deleted", "deleted": True}
        self.answer(gone if found else not_found(name), 200 if found else 404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.server.act == "slow":
            self.server.arrived.set()
            self.server.gate.wait(30)
        if self.path.startswith("/v1/audio/"):
            self.answer_sound(body)
        elif self.path.endswith("/cancel"):
            self.answer_kept(*self.path.split("/")[3:])
        else:
            asked = json.loads(body)
            if self.path == "/v1/responses":
                self.answer_response(asked)
            elif asked.get("stream"):
                self.stream(chunks(self.path, asked["model"]))
            else:
                self.answer(completion(asked["model"]))

    def answer(self, body: object, status: int = 200) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def stream(self, events: Iterator[str]) -> None:
        self.wfile.write(HEAD.encode())
        self.close_connection = True
        for event in events:
            self.wfile.write(f"{len(event.encode()):x}\r\n{event}\r\n".encode())
            if self.server.act == "dies":
                return
        self.wfile.write(b"0\r\n\r\n")

    def answer_sound(self, body: bytes) -> None:
        """Says what the form holds: a sound by its length, which takes reading it whole."""
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
        fields = {
            str(part.get_param("name", header="content-disposition")): part.get_payload(decode=True)
            for part in form.iter_parts()
        }
        sound = fields["file"]
        assert isinstance(sound, bytes)
        with wave.open(io.BytesIO(sound)) as read:
            seconds = read.getnframes() / read.getframerate()
        places = " before ".join(name for name in fields if name in ("model", "file"))
        text = f"{seconds:.1f} seconds of sound, {places}"
        self.answer({"text": text, "usage": {"type": "duration", "seconds": round(seconds)}})

    def answer_response(self, asked: dict[str, Any]) -> None:
        name = f"resp_{time.monotonic_ns():x}"
        kept = response(name, asked)
        self.server.kept[name] = kept
        if asked.get("stream"):
            self.stream(response_events(kept))
        else:
            self.answer(kept)

    def answer_kept(self, name: str, what: str = "") -> None:
        kept = self.server.kept.get(name)
        if kept is None:
            self.answer(not_found(name), 404)
        elif what == "input_items":
            text = {"type": "input_text", "text": kept["standin_input"]}
            asked = {"type": "message", "role": "user", "id": "msg_0", "content": [text]}
            self.answer({"object": "list", "data": [asked], "has_more": False})
        else:
            if what == "cancel":
                kept["status"] = "cancelled"
            self.answer(kept)


def not_found(name: str) -> dict[str, Any]:
    message = f"Response with id '{name}' not found."
    return {"error": {"message": message, "type": "invalid_request_error", "code": 404}}


def completion(model: str) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": "done"}}
    return {
        "id": "chatcmpl-standin",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [choice | {"finish_reason": "stop"}],
    }


def chunks(path: str, model: str) -> Iterator[str]:
    """The events of a stream, in the form of the path's API."""
    if path == "/v1/messages":
        message: dict[str, Any] = {"id": "msg_1", "type": "message", "role": "assistant"}
        message |= {"model": model, "content": []}
        message["usage"] = {"input_tokens": 1, "output_tokens": 1}
        begin = json.dumps({"type": "message_start", "message": message})
        yield f"event: message_start\ndata: {begin}\n\n"
        yield 'event: message_stop\ndata: {"type": "message_stop"}\n\n'
        return
    for delta in ({"role": "assistant", "content": ""}, {"content": "half "}, {"content": "done"}):
        choice = {"index": 0, "delta": delta, "finish_reason": None}
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": model}
        yield f"data: {json.dumps(chunk | {'choices': [choice]})}\n\n"
    yield "data: [DONE]\n\n"


def response(name: str, asked: dict[str, Any]) -> dict[str, Any]:
    text = f"You said: {asked['input']}"
    part = {"type": "output_text", "text": text, "annotations": []}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}
    background = bool(asked.get("background"))
    return {
        "id": name,
        "object": "response",
        "created_at": int(time.time()),
        "model": asked["model"],
        "status": "queued" if background else "completed",
        "background": background,
        "output": [] if background else [message | {"content": [part]}],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "previous_response_id": asked.get("previous_response_id"),
        "standin_input": asked["input"],
    }


def response_events(kept: dict[str, Any]) -> Iterator[str]:
    (message,) = kept["output"]
    text = message["content"][0]["text"]
    place = {"item_id": message["id"], "output_index": 0, "content_index": 0}
    begun = kept | {"status": "in_progress", "output": []}
    item = {"output_index": 0, "item": message | {"status": "in_progress", "content": []}}
    part = place | {"part": {"type": "output_text", "text": "", "annotations": []}}
    events: list[tuple[str, dict[str, Any]]] = [
        ("response.created", {"response": begun}),
        ("response.output_item.added", item),
        ("response.content_part.added", part),
        *(("response.output_text.delta", place | {"delta": f"{w} "}) for w in text.split()),
        ("response.output_text.done", place | {"text": text}),
        ("response.completed", {"response": kept}),
    ]
    for number, (kind, event) in enumerate(events):
        data = json.dumps({"type": kind, "sequence_number": number} | event)
        yield f"event: {kind}\ndata: {data}\n\n"


class StandIn(http.server.ThreadingHTTPServer):
    """The stand-in, serving in a thread until `shutdown`."""

    daemon_threads = True

    def __init__(self, act: str = "") -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.act = act
        self.kept: dict[str, dict[str, Any]] = {}
        self.arrived = threading.Event()
        self.gate = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves is nothing to report."""
