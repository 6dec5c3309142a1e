# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that waits, as a process, against a scripted server."""

from __future__ import annotations

import datetime
import http.server
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.onehop.llm.plugins.module_utils import _wait_ready

PROGRAM = Path(_wait_ready.__file__)


class Loading(http.server.BaseHTTPRequestHandler):
    """Stands in for an engine: 503 twice, a redirect once, then 200."""

    answers: list[int]
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: object) -> None:
        pass


class UnixServer(socketserver.UnixStreamServer):
    """On a unix socket."""


def certificate(place: Path) -> Path:
    """One that nobody has signed, for a name that is not the host's, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "elsewhere.example.com")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = place / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


Serve = Callable[[list[int], str], tuple[str, list[str]]]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    servers: list[socketserver.BaseServer] = []

    def start(answers: list[int], kind: str) -> tuple[str, list[str]]:
        handler = type("Handler", (Loading,), {"answers": answers, "asked": []})
        server: socketserver.BaseServer
        if kind == "unix":
            path = tmp_path / "http.sock"
            server = UnixServer(str(path), handler)
            url = f"unix://{path}"
        else:
            tcp = http.server.HTTPServer(("127.0.0.1", 0), handler)
            server, url = tcp, f"{kind}://127.0.0.1:{tcp.server_port}"
            if kind == "https":
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(certificate(tmp_path))
                tcp.socket = context.wrap_socket(tcp.socket, server_side=True)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return url, handler.asked  # type: ignore[attr-defined]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def wait(pid: int, url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-I", str(PROGRAM), str(pid), url, "/health"]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("kind", ["http", "https", "unix"])
def test_waits_for_200_and_follows_no_redirect(
    serve: Serve, sleeper: subprocess.Popen[bytes], kind: str
) -> None:
    url, asked = serve([503, 503, 302, 200], kind)
    with wait(sleeper.pid, url) as process:
        assert process.wait(20) == 0
    assert asked == ["/health"] * 4


def test_ends_with_the_server(serve: Serve, sleeper: subprocess.Popen[bytes]) -> None:
    url, asked = serve([503], "http")
    with wait(sleeper.pid, url) as process:
        while not asked:
            pass
        sleeper.kill()
        sleeper.wait()
        dummy, said = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "ended before it was ready" in said


def test_a_server_that_is_gone_already(sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.kill()
    sleeper.wait()
    with wait(sleeper.pid, "http://127.0.0.1:9") as process:
        assert process.wait(20) == 1


def test_nobody_listening_yet_is_no_error(sleeper: subprocess.Popen[bytes]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        assert _wait_ready.status(f"http://127.0.0.1:{port}", "/health") is None


def test_a_server_without_tls_is_not_ready_over_https(serve: Serve) -> None:
    url, dummy = serve([200], "http")
    assert _wait_ready.status(url, "/health") == 200
    assert _wait_ready.status(url.replace("http:", "https:"), "/health") is None


def test_usage() -> None:
    assert _wait_ready.main(["1"]) == 2
