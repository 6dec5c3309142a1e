# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a real Prometheus what the rules and dashboards ask: ``ask_prometheus.py URL queries|ALERT``.

``queries``: every query of every rule and panel has to return data that is a number, within a
minute. Otherwise an alert by its name, which has to fire within two. Needs ``PYTHONPATH=scripts``.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

from tooling.watching import render


def ask(url: str, path: str) -> Any:
    with urlopen(f"{url}/api/v1/{path}", timeout=10) as answer:
        return json.load(answer)["data"]


def silent(url: str) -> list[str]:
    """The queries that return nothing."""
    missing = []
    for name, query in render.queries().items():
        rows = ask(url, f"query?query={quote(query)}")["result"]
        if not any(math.isfinite(float(row["value"][1])) for row in rows):
            missing.append(f"{name}: {query}")
    return missing


def quiet(url: str, alert: str) -> list[str]:
    """The alert, unless it fires; with it those that do."""
    found = {one["labels"]["alertname"]: one["state"] for one in ask(url, "alerts")["alerts"]}
    return [] if found.get(alert) == "firing" else [f"{alert} among {found}"]


def wait(look: Callable[[], list[str]], seconds: int) -> list[str]:
    end = time.monotonic() + seconds
    while (missing := look()) and time.monotonic() < end:
        time.sleep(1)
    return missing


def main(url: str, what: str) -> int:
    if what == "queries":
        missing = wait(lambda: silent(url), 60)
        print(f"{len(render.queries())} queries, {len(missing)} without data")
    else:
        missing = wait(lambda: quiet(url, what), 120)
        print(f"{what}: {'silent' if missing else 'fires'}")
    print("\n".join(missing))
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
