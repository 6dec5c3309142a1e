# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A test double for the Hugging Face hub: real HTTP on the loopback, and faults on demand.

    standin_hub.py DIRECTORY HOST PORT [TOKEN [BYTES_PER_SECOND]]

DIRECTORY holds ORG/NAME with the files of each repository; it has one commit, which ``main`` leads
to. It answers what huggingface_hub asks to download: a model's information with its files, and
files with ranges. With a TOKEN that is not empty it wants that of everybody. It ends on SIGTERM, or when its time (20
minutes) is over.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

LONGEST = 1200
"""Seconds that it runs at most."""
LARGE = 1024
"""Files from this size on are kept as the hub keeps large ones: by their SHA-256."""
_STEPS = 10
"""Parts that a slow answer comes in, in a second."""
_API = re.compile(r"/api/models/(?P<repo>.+?)(/revision/(?P<revision>.+))?\Z")
_FILE = re.compile(r"/(?P<repo>[^/]+(/[^/]+)?)/resolve/(?P<revision>[^/]+)/(?P<name>.+)\Z")


@dataclass
class Repo:
    """A repository: the files of each commit, and what revisions lead to."""

    commits: dict[str, dict[str, bytes]]
    refs: dict[str, str]
    gated: bool = False


@dataclass
class Hub:
    """What the double serves, which faults it has, and what it was asked.

    ``cuts`` are bytes after which an answer with a file ends, ``wrong`` how many answers with a
    file hold other bytes, ``refusals`` statuses with their headers that come before any answer;
    each is used up. All by a file's name, refusals by the beginning of a path.
    """

    repos: dict[str, Repo] = field(default_factory=dict)
    token: str | None = None
    rate: float = 0
    """Bytes of a second that an answer has; 0 for as many as there are."""
    cuts: dict[str, list[int]] = field(default_factory=dict)
    wrong: dict[str, int] = field(default_factory=dict)
    refusals: dict[str, list[tuple[int, dict[str, str]]]] = field(default_factory=dict)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Method, path and range of each request."""

    def add(self, name: str, files: dict[str, bytes], revision: str = "main") -> str:
        """A commit with these files, which ``revision`` leads to; its name."""
        text = "".join(f"{path} {hashlib.sha1(data).hexdigest()}\n" for path, data in files.items())
        commit = hashlib.sha1(f"{name}\n{text}".encode()).hexdigest()
        repo = self.repos.setdefault(name, Repo({}, {}))
        repo.commits[commit] = files
        repo.refs[revision] = commit
        return commit

    def gets(self, name: str) -> list[str | None]:
        """The ranges of all requests for a file."""
        return [
            span for method, path, span in self.asked if method == "GET" and path.endswith(name)
        ]

    @contextmanager
    def serve(self, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
        """Serve until the block ends; its address."""
        server = http.server.ThreadingHTTPServer((host, port), handler(self))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://{host}:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def blob(data: bytes) -> str:
    """The name that the hub gives a file's content."""
    if len(data) >= LARGE:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _sibling(name: str, data: bytes) -> dict[str, object]:
    found: dict[str, object] = {"rfilename": name, "size": len(data), "blobId": "0" * 40}
    if len(data) >= LARGE:
        found["lfs"] = {"sha256": blob(data), "size": len(data), "pointerSize": 134}
    else:
        found["blobId"] = blob(data)
    return found


def handler(hub: Hub) -> type[http.server.BaseHTTPRequestHandler]:
    """The class of a request."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.answer(body=True)

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def log_message(self, format: str, *args: object) -> None:
            pass

        def answer(self, *, body: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.asked.append((self.command, path, self.headers.get("Range")))
            for begin, left in hub.refusals.items():
                if path.startswith(begin) and left:
                    status, headers = left.pop(0)
                    self.refuse(status, **headers)
                    return
            found = _API.match(path) or _FILE.match(path)
            repo = hub.repos.get(found["repo"]) if found else None
            if found is None or repo is None:
                self.refuse(404, **{"X-Error-Code": "RepoNotFound"})
                return
            given = self.headers.get("Authorization")
            if (hub.token or repo.gated) and given != f"Bearer {hub.token}":
                code = "GatedRepo" if repo.gated else "RepoNotFound"
                self.refuse(401, **{"X-Error-Code": code})
                return
            revision = found["revision"] or "main"
            commit = repo.refs.get(revision, revision)
            if commit not in repo.commits:
                self.refuse(404, **{"X-Error-Code": "RevisionNotFound"})
            elif "name" not in found.groupdict():
                siblings = [_sibling(*item) for item in repo.commits[commit].items()]
                told = {"id": found["repo"], "sha": commit, "siblings": siblings}
                self.send(
                    200, json.dumps(told).encode(), {"Content-Type": "application/json"}, body
                )
            elif found["name"] not in repo.commits[commit]:
                self.refuse(404, **{"X-Error-Code": "EntryNotFound"})
            else:
                self.file(found["name"], repo.commits[commit][found["name"]], commit, body)

        def file(self, name: str, data: bytes, commit: str, body: bool) -> None:
            headers = {"ETag": f'"{blob(data)}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
            if len(data) >= LARGE:
                headers |= {"X-Linked-Etag": f'"{blob(data)}"', "X-Linked-Size": str(len(data))}
            if body and hub.wrong.get(name):
                hub.wrong[name] -= 1
                data = bytes(byte ^ 1 for byte in data)
            status = 200
            span = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
            if span:
                start = int(span[1])
                status = 206
                headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
                data = data[start:]
            cut = hub.cuts[name].pop(0) if body and hub.cuts.get(name) else None
            self.send(status, data, headers, body, cut)

        def give(self, data: bytes) -> None:
            step = max(1, int(hub.rate / _STEPS)) if hub.rate else len(data) or 1
            for start in range(0, len(data), step):
                self.wfile.write(data[start : start + step])
                if hub.rate:
                    time.sleep(1 / _STEPS)

        def refuse(self, status: int, **headers: str) -> None:
            self.send(status, b"{}", headers, True)

        def send(
            self,
            status: int,
            data: bytes,
            headers: dict[str, str],
            body: bool,
            cut: int | None = None,
        ) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            if body:
                self.give(data[:cut])
            if cut is not None:
                self.close_connection = True

    return Handler


def of_directory(path: str, token: str | None) -> Hub:
    """The hub that serves what lies in a directory."""
    hub = Hub(token=token)
    for place in sorted(Path(path).glob("*/*")):
        files = {
            str(file.relative_to(place)): file.read_bytes()
            for file in sorted(place.rglob("*"))
            if file.is_file()
        }
        hub.add("/".join(place.parts[-2:]), files)
    return hub


def main(words: list[str]) -> int:
    """The program."""
    directory, host, port, token, rate = [*words, *("", "0")[len(words) - 3 :]]
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *dummy: over.set())
    hub = of_directory(directory, token or None)
    hub.rate = float(rate)
    with hub.serve(host, int(port)):
        over.wait(LONGEST)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
