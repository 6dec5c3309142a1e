# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The router's configuration as data: what its file says, checked.

`config_reader` reads the file, `config_values` one value of it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .paths import DEFAULT_ALLOWED_PATHS
from .urls import UpstreamUrl


class UpstreamTlsConfig(msgspec.Struct, frozen=True):
    """How an https upstream is spoken to. `ca`, `certificate` and `key` are paths of PEM files.

    `ca` replaces the system's authorities; the certificate of one server in it pins that server.
    """

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    server_name: str | None = None


class UpstreamConfig(msgspec.Struct, frozen=True):
    """One replica of a model: where it listens and which header fields it gets.

    `model` is its own name for the model where that is another one. `weight` is its share of the
    requests. `health` is a path that answers 200 while it is well; without one only requests tell.
    """

    url: UpstreamUrl
    headers: tuple[tuple[str, str], ...] = ()
    model: str | None = None
    weight: int = 1
    health: str | None = None
    tls: UpstreamTlsConfig | None = None


class ModelConfig(msgspec.Struct, frozen=True):
    """A model by its route name.

    `aliases` are other names of it, in `/v1/models` too if `list_aliases`. `balance` is how a
    replica is chosen: "least_outstanding", or "affinity", which keeps a session where it was.
    `fallbacks` are models that are asked, in this order, when no replica can be. `card` is shown in
    `/v1/models` beside the router's own fields. A limit of 0 is none.
    """

    upstreams: tuple[UpstreamConfig, ...]
    unlisted: bool = False
    aliases: tuple[str, ...] = ()
    list_aliases: bool = False
    balance: str = "least_outstanding"
    fallbacks: tuple[str, ...] = ()
    max_concurrent_requests: int = 0
    card: dict[str, Any] = {}


class ClientKeyConfig(msgspec.Struct, frozen=True):
    """A client: its keys, each plain, "sha256:" and 64 hex digits, or a hash in passlib's format.

    Several keys are valid at a time, for rotation. `models` is None where they open every model;
    `paths` is None where the router's own list holds, and otherwise replaces it for this client.
    """

    keys: tuple[str, ...]
    models: tuple[str, ...] | None = None
    paths: tuple[str, ...] | None = None
    max_concurrent_requests: int = 0


class ListenerTlsConfig(msgspec.Struct, frozen=True):
    """Paths of PEM files: the listeners' certificate chain and its key.

    With `client_ca` clients need a certificate of that authority.
    """

    certificate: str
    key: str
    client_ca: str | None = None


class Config(msgspec.Struct, frozen=True):
    """The whole file. Sizes are bytes, times seconds; a limit of 0 is none."""

    host: str = "127.0.0.1"
    port: int = 8080
    tls: ListenerTlsConfig | None = None
    processes: int = 1
    max_body_bytes: int = 104857600
    max_concurrent_requests: int = 0
    max_buffered_bytes: int = 1073741824
    max_queued_requests: int = 0
    """Requests over a limit on concurrency that wait, up to `queue_seconds`, before a 429."""
    queue_seconds: float = 10
    max_held_requests: int = 256
    """Requests that wait, up to `hold_seconds`, for a model none of whose replicas is up."""
    hold_seconds: float = 30
    health_seconds: float = 5
    """Between two looks at a replica's health."""
    answer_seconds: float = 0
    """Until the head of an answer, after which it is 504."""
    idle_stream_seconds: float = 0
    """Between two pieces of an answer's body."""
    drain_seconds: float = 300
    allow_anonymous: bool = False
    access_log: bool = False
    allowed_paths: tuple[str, ...] | None = DEFAULT_ALLOWED_PATHS
    default_model: str | None = None
    """The model of requests that name none."""
    client_keys: dict[str, ClientKeyConfig] = {}
    models: dict[str, ModelConfig] = {}
    stamp: str = ""
    """Any text. A deployment changes it with secrets that the file refers to, and so the file."""
    fingerprint: str = ""
    """The first digits of the file's SHA-256; no key of the file."""

    def warnings(self) -> list[str]:
        """What is allowed but probably not meant."""
        names = {*self.models, *(alias for one in self.models.values() for alias in one.aliases)}
        return [
            f"client_keys.{name}.models: there is no model {model!r} at the moment"
            for name, one in self.client_keys.items()
            for model in one.models or ()
            if model not in names
        ]
