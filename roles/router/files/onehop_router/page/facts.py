# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `/status.json` says, and the page shows. docs/status-page.md explains each field.

Fields are only ever added. Times are seconds since 1970 where they are moments.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class Replica(msgspec.Struct, frozen=True):
    """One of a model's upstreams: its address, without path, query or header fields."""

    address: str
    state: str
    reason: str
    checked: bool
    in_flight: int
    weight: int
    failures: int


class Recent(msgspec.Struct, frozen=True):
    """The last minute, or less where the router is younger."""

    requests_per_minute: float = 0.0
    errors_per_minute: float = 0.0
    turned_away_per_minute: float = 0.0
    input_tokens_per_second: float = 0.0
    output_tokens_per_second: float = 0.0
    ttft_p50_seconds: float | None = None
    ttft_p95_seconds: float | None = None


class History(msgspec.Struct, frozen=True):
    """A value for each of `times`; each is about the minute before it. None is where nothing was."""

    in_flight: list[float | None]
    requests_per_minute: list[float | None]
    errors_per_minute: list[float | None]
    output_tokens_per_second: list[float | None]
    ttft_p50_seconds: list[float | None]


class Model(msgspec.Struct, frozen=True):
    """A model; counts are since the router's start."""

    name: str
    aliases: list[str]
    state: str
    fallbacks: list[str]
    in_flight: int
    limit: int
    queued: int
    held: int
    requests: int
    errors: int
    turned_away: int
    input_tokens: int
    output_tokens: int
    recent: Recent
    history: History
    replicas: list[Replica]


class Process(msgspec.Struct, frozen=True):
    """The router itself. `began` is "start", or "succession" where it took over from another."""

    host: str
    version: str
    processes: int
    began: str
    started: float
    uptime_seconds: float
    draining: bool
    connections: int


class Reload(msgspec.Struct, frozen=True):
    """The last reload; `problems` is empty where it went well."""

    time: float
    result: str
    problems: list[str]


class Configuration(msgspec.Struct, frozen=True):
    """The configuration in force."""

    fingerprint: str
    loaded: float
    reloads: int
    failed_reloads: int
    last_reload: Reload | None


class Total(msgspec.Struct, frozen=True):
    """All models together. What has a limit or no replica waits: queued, or held."""

    in_flight: int
    queued: int
    held: int
    recent: Recent
    history: History


class Status(msgspec.Struct, frozen=True):
    """Everything. `format` changes when a field changes its meaning. `times` are those of all histories,
    oldest first."""

    format: int
    time: float
    state: str
    router: Process
    configuration: Configuration
    times: list[float]
    total: Total
    models: list[Model]


def model_state(replicas: Iterable[str]) -> str:
    """A model's state by those of its replicas: "ready", "degraded", "starting" or "down"."""
    states = [one for one in replicas if one != "draining"]
    if not states:
        return "draining"
    if "ready" in states:
        return "ready" if set(states) == {"ready"} else "degraded"
    return "starting" if "starting" in states else "down"


def router_state(models: Iterable[str], *, draining: bool) -> str:
    """The router's state: "draining", "ready", or "degraded" where some model is not ready."""
    if draining:
        return "draining"
    return "degraded" if {"degraded", "starting", "down"} & set(models) else "ready"
