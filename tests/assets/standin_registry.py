# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A test double for an image registry: serves the one image of an OCI archive, to whom can log in.

    standin_registry.py ARCHIVE.tar HOST PORT USERNAME PASSWORD [BYTES_PER_SECOND]

It answers what Podman asks to pull, by any name and tag, or by digest: the part of the OCI
distribution specification that is called pull. Everything else is 404. It ends on SIGTERM, or when
its time (20 minutes) is over.
"""

from __future__ import annotations

import base64
import hmac
import http.server
import json
import re
import signal
import sys
import tarfile
import threading
import time

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
LONGEST = 1200
"""Seconds that it runs at most."""
_BLOCK = 1 << 18
_PATH = re.compile(r"/v2/(?P<name>[a-z0-9./_-]+)/(?P<kind>manifests|blobs)/(?P<reference>[^/]+)\Z")


class Archive:
    """An OCI archive's blobs, read where they lie."""

    def __init__(self, path: str) -> None:
        self.path = path
        with tarfile.open(path) as archive:
            members = {member.name: member for member in archive}
            index = archive.extractfile(members["index.json"])
            assert index is not None
            self.manifest = str(json.load(index)["manifests"][0]["digest"])
        self.blobs = {
            "sha256:" + name.rpartition("/")[2]: (member.offset_data, member.size)
            for name, member in members.items()
            if name.startswith("blobs/sha256/") and member.isfile()
        }


def handler(archive: Archive, login: str, rate: float) -> type[http.server.BaseHTTPRequestHandler]:
    """The class of a request."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.answer(body=True)

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def answer(self, *, body: bool) -> None:
            if not hmac.compare_digest(self.headers.get("Authorization", ""), login):
                challenge = ("WWW-Authenticate", 'Basic realm="standin"')
                self.head(401, 0, challenge)
                return
            found = _PATH.match(self.path)
            if self.path == "/v2/":
                self.head(200, 0)
            elif found is None:
                self.head(404, 0)
            else:
                self.blob(found["kind"], found["reference"], body=body)

        def blob(self, kind: str, reference: str, *, body: bool) -> None:
            digest = reference if reference.startswith("sha256:") else archive.manifest
            if digest not in archive.blobs:
                self.head(404, 0)
                return
            offset, size = archive.blobs[digest]
            media = MANIFEST if kind == "manifests" else "application/octet-stream"
            self.head(200, size, ("Content-Type", media), ("Docker-Content-Digest", digest))
            if not body:
                return
            with open(archive.path, "rb") as file:
                file.seek(offset)
                while size > 0:
                    block = file.read(min(_BLOCK, size))
                    self.wfile.write(block)
                    size -= len(block)
                    if rate:
                        time.sleep(len(block) / rate)

        def head(self, status: int, length: int, *headers: tuple[str, str]) -> None:
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(length))
            self.end_headers()

    return Handler


def main(arguments: list[str]) -> int:
    """The program."""
    path, host, port, username, password = arguments[:5]
    pair = base64.b64encode(f"{username}:{password}".encode()).decode()
    rate = float(arguments[5]) if len(arguments) > 5 else 0.0
    made = handler(Archive(path), f"Basic {pair}", rate)
    server = http.server.ThreadingHTTPServer((host, int(port)), made)
    server.daemon_threads = True
    end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *dummy: end.set())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    end.wait(LONGEST)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
