# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts and ends what the bench runs: a peer, the backend, a load."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.environments import OWN_PYTHON
from bench.machine import Cores, pinned
from bench.peers import Order, Peer
from bench.window import Proxy
from bench.wire import KEY, PATH, small_body

_FOLDER = Path(__file__).resolve().parents[1]
_END_SECONDS = 5.0


@contextlib.contextmanager
def backend(cores: Cores) -> Iterator[int]:
    """The backend's port, while it runs."""
    words = pinned([str(OWN_PYTHON), "-m", "bench.backend"], cores.load)
    with subprocess.Popen(words, env=_environ({}), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            _end(process)


@contextlib.contextmanager
def running(peer: Peer, backend_port: int, cores: Cores) -> Iterator[tuple[int, Proxy]]:
    """A fresh process of a peer, on its core, which has answered: its port, and the process."""
    with tempfile.TemporaryDirectory(prefix="onehop-bench-") as folder:
        order = Order(_free_port(), backend_port, Path(folder), peer.duties)
        log = Path(folder, "log")
        with log.open("wb") as stream:
            process = subprocess.Popen(
                pinned(peer.command(order), cores.proxy),
                cwd=folder,
                env=_environ(peer.environ),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )
        try:
            _wait_for(peer, order, process, log)
            # taskset has become the peer: the process id is the same.
            yield order.port, Proxy(process.pid, cores.proxy)
        finally:
            _end(process)


def load(module: str, order: Mapping[str, float], cores: Cores) -> subprocess.Popen[str]:
    """Start one of the Python loads; its output is its metrics."""
    words = [str(OWN_PYTHON), "-m", f"bench.{module}", json.dumps(order)]
    return subprocess.Popen(
        pinned(words, cores.load),
        env=_environ({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def result(process: subprocess.Popen[str]) -> dict[str, float]:
    """Wait for a load's metrics. Raises RuntimeError with its last words where it failed."""
    try:
        out, err = process.communicate()
    except BaseException:
        _end(process)
        raise
    if process.returncode:
        raise RuntimeError("; ".join(err.strip().splitlines()[-3:]))
    metrics: dict[str, float] = json.loads(out)
    return metrics


def _environ(more: Mapping[str, str]) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key != "NOTIFY_SOCKET"}
    return kept | {"PYTHONPATH": str(_FOLDER), "PYTHONUNBUFFERED": "1"} | dict(more)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def _wait_for(peer: Peer, order: Order, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + peer.starts_within
    problem = "it did not listen"
    while time.monotonic() < end and process.poll() is None:
        try:
            status = _status(order.port, KEY)
        except OSError:
            time.sleep(0.02)
            continue
        if status == 200:
            if peer.duties and _status(order.port, "wrong") not in (400, 401, 403):
                raise RuntimeError(f"{peer.name} lets a wrong key in")
            return
        problem = f"it answered {status}"
        time.sleep(0.2)
    said = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
    raise RuntimeError(f"{peer.name} did not start: {problem}\n{said}")


def _status(port: int, key: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    try:
        connection.request("POST", PATH, small_body(), headers)
        return connection.getresponse().status
    finally:
        connection.close()


def _end(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
