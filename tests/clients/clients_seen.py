# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was seen working, client by client: a table made of the router's own access log.

Each client has a key of its own, so the log says who asked what of which engine. A passed test says
only what it showed, and when it ran; a name of a feature that it does not know is an error.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

from clients_fleet import CLIENTS, Fleet, stamp

FEATURES = (
    "Models",
    "Chat",
    "Streams",
    "Tools",
    "Structured output",
    "Embeddings",
    "Responses",
    "Kept responses",
    "Messages",
    "Counting tokens",
    "Sound",
    "Errors",
    "Limits and retries",
    "A model that starts",
    "A stream that breaks",
    "Timeouts",
)
BEGIN = "<!-- seen: begin; written by pytest tests/clients --seen -->\n"
END = "<!-- seen: end -->\n"


@dataclass(frozen=True)
class Shown:
    """A passed test: what it showed, and when."""

    feature: str
    begin: float
    end: float


def endpoint(line: dict[str, str]) -> str:
    """Method and path, ids left out."""
    path = re.sub(r"/resp_[^/]+", "/ID", line["path"])
    path = re.sub(r"/v1/models/.+", "/v1/models/NAME", path)
    return f"`{line['method']} {path}`"


def table(fleet: Fleet, shown: list[Shown]) -> str:
    """A row for each feature: its endpoints, and which engine answered which client."""
    lines = fleet.lines()
    paths: dict[str, set[str]] = defaultdict(set)
    engines: dict[tuple[str, str], set[str]] = defaultdict(set)
    for one in shown:
        assert one.feature in FEATURES, f"add {one.feature!r} to FEATURES"
        first, last = stamp(one.begin), stamp(one.end + 0.001)
        for line in lines:
            client = line.get("client")
            if first <= line["ts"] <= last and client in CLIENTS:
                paths[one.feature].add(endpoint(line))
                engine = fleet.engines.get(line.get("upstream", ""), "router")
                engines[one.feature, client].add(engine)
    rows = [["", "endpoint", *CLIENTS], ["---"] * (len(CLIENTS) + 2)]
    for feature in FEATURES:
        cells = [", ".join(sorted(engines[feature, client])) for client in CLIENTS]
        rows.append([feature, "<br>".join(sorted(paths[feature])), *cells])
    return "".join(
        "|" + "".join(f" {cell} |" if cell else " |" for cell in row) + "\n" for row in rows
    )
