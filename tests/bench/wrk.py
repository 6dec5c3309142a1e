# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small requests by wrk, which takes less of its core than anything in Python."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

from bench.machine import Cores, pinned
from bench.window import Proxy, Window
from bench.wire import PATH, fields, small_body

_REPORT = Path(__file__).with_name("wrk.lua").read_text()


def script(*, sdk: bool) -> str:
    """The Lua that tells wrk what to send and how to report."""
    lines = ['wrk.method = "POST"', f"wrk.body = {json.dumps(small_body().decode())}"]
    lines += [
        f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}"
        for name, value in fields(sdk=sdk).items()
    ]
    return "\n".join(lines) + "\n" + _REPORT


def run(
    port: int,
    connections: int,
    warmup: float,
    seconds: float,
    proxy: Proxy,
    cores: Cores,
    sdk: bool,
) -> dict[str, float]:
    """Load the port; the metrics of the `seconds` after the warm-up."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script(sdk=sdk))
        file.flush()

        def load(duration: float) -> dict[str, float]:
            words = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(duration))}s"]
            words += ["-s", file.name, f"http://127.0.0.1:{port}{PATH}"]
            done = subprocess.run(
                pinned(words, cores.load), capture_output=True, text=True, check=True
            )
            seen: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
            return seen

        load(warmup)
        window = Window(proxy)
        seen = load(seconds)
    if seen["failed"] or not seen["requests"]:
        raise RuntimeError(f"wrk: {seen['failed']:g} of {seen['requests']:g} requests failed")
    metrics = window.close(int(seen["requests"]), "request")
    return metrics | {name: seen[name] for name in ("p50 us", "p99 us")}
