# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bench's loads do what their names say: small ones, against the backend itself."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bench import __main__ as bench
from bench import environments, peers, processes, wire
from bench.loads import Duration, bodies, small, streams, uploads
from bench.machine import Cores
from bench.window import Proxy

CORE = min(os.sched_getaffinity(0))
CORES = Cores(CORE, (CORE,))
NOBODY = Proxy(0, CORE)
SHORT = Duration(0.1, 0.3)


@pytest.mark.parametrize(
    "load",
    [bodies(10_000, "10 kB", 3), bodies(1_500_000, "1.5 MB", 2)],
    ids=lambda load: load.name,
)
def test_bodies_are_sent_and_answered(load):
    with processes.backend(CORES) as port:
        metrics = load.measure(port, NOBODY, CORES, SHORT)
    assert metrics["requests per s"] > 0
    assert 0 < metrics["p50 us"] <= metrics["p99 us"]
    assert "CPU us per request" not in metrics


@pytest.mark.parametrize("sdk", [False, True])
def test_small_requests_without_wrk(sdk, monkeypatch):
    monkeypatch.setattr("bench.loads.find", lambda dummy: None)
    with processes.backend(CORES) as port:
        metrics = small(2, sdk=sdk).measure(port, NOBODY, CORES, SHORT)
    assert metrics["requests per s"] > 0


def test_streams_bring_stamped_events_and_count_the_proxy():
    # The test itself stands for the proxy: its CPU time and memory are there to be read.
    with processes.backend(CORES) as port:
        metrics = streams(5, 50).measure(port, Proxy(os.getpid(), CORE), CORES, SHORT)
    assert metrics["events per s"] > 0
    assert 0 < metrics["p50 us"] <= metrics["p99 us"] <= metrics["worst us"]
    assert {"CPU us per event", "PSS KiB per stream", "RSS KiB per stream"} <= set(metrics)


def test_idle_streams_stay_idle():
    with processes.backend(CORES) as port:
        metrics = streams(5, 0).measure(port, Proxy(os.getpid(), CORE), CORES, SHORT)
    assert metrics["events per s"] == 0
    assert "PSS KiB per stream" in metrics


def test_uploads_run_beside_streams():
    with processes.backend(CORES) as port:
        metrics = uploads(3, 4, 50).measure(port, NOBODY, CORES, SHORT)
    assert metrics["uploads per s"] > 0
    assert metrics["p50 us"] > 0


def test_a_load_that_fails_says_why():
    with processes.backend(CORES) as port:
        pass
    with pytest.raises(RuntimeError, match="refused"):
        bodies(10_000, "10 kB", 1).measure(port, NOBODY, CORES, SHORT)


@pytest.mark.parametrize("size", [70, 1000, 12345])
def test_bodies_have_the_size_that_they_claim(size):
    body = wire.body_of(size)
    assert len(body) == size
    assert json.loads(body)["model"] == wire.MODEL
    assert f"Content-Length: {size}\r\n".encode() in wire.request(body)


def test_a_peer_runs_on_its_core_and_must_check_keys(tmp_path):
    relay = Path(environments.__file__).with_name("aiohttp_relay.py")
    words = f"{environments.OWN_PYTHON} {relay} {{port}} {{backend}} {{key}} 0"
    # Our double of a relay wants the backend's port, where other proxies want its URL.
    peer = peers.custom(
        f"relay=sh -c 'exec {words.replace('{backend}', '${{0##*:}}')}' {{backend}}"
    )
    with (
        processes.backend(CORES) as backend,
        processes.running(peer, backend, CORES) as (
            port,
            proxy,
        ),
    ):
        assert os.sched_getaffinity(proxy.pid) == {CORE}
        metrics = bodies(10_000, "10 kB", 2).measure(port, proxy, CORES, SHORT)
    assert metrics["requests per s"] > 0
    with pytest.raises(ProcessLookupError):
        os.kill(proxy.pid, 0)
    # The backend takes any key, so that it is no proxy that checks them.
    open_to_all = peers.custom("open=sh -c 'exec python3 -m http.server --bind 127.0.0.1 {port}'")
    with (
        processes.backend(CORES) as backend,
        pytest.raises(RuntimeError, match="open did not start: it answered 501"),
        processes.running(
            peers.Peer("open", "", open_to_all.command, starts_within=1.0), backend, CORES
        ),
    ):
        pass


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--peer", "x"], "write NAME=COMMAND"),
        (["--router", "old=/nowhere"], "the folder of onehop_router"),
        (["--loads", "small,huge"], "choose from small,"),
        (["--cores", "1"], "write PROXY:LOAD"),
    ],
)
def test_wrong_words_are_refused(words, problem, capsys, monkeypatch):
    # No environment is made for a run that never begins.
    monkeypatch.setattr(environments, "router_python", lambda dummy: environments.OWN_PYTHON)
    monkeypatch.setattr(environments, "environment", lambda *dummy: environments.OWN_PYTHON)
    assert bench.main(words) == 2
    assert problem in capsys.readouterr().err
