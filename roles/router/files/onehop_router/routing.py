# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The routing table: immutable, built from a configuration, swapped whole on reload."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Container, Sequence

import msgspec

from .auth import Identity, Keyring
from .balance import by_session, least_outstanding
from .cards import describe
from .config import ClientKeyConfig, Config, UpstreamConfig, UpstreamTlsConfig
from .errors import missing_model, unknown_model
from .headers import ConfiguredHeaders
from .health import Health
from .holding import WaitingRoom
from .paths import AllowedPaths
from .pool import Upstream
from .responses import ResponseMemory
from .urls import Address

# A request field: the router that sends it holds requests itself.
NO_HOLD = b"x-onehop-hold"


class Target:
    """One replica of a model: the upstream it lives on and how requests to it are written.

    `model` is what the replica calls the model. `host` is the Host that replaces the client's, or
    None where the client's is kept.
    """

    __slots__ = (
        "headers", "health", "health_path", "host", "model", "salt", "upstream", "url", "weight",
    )  # fmt: skip

    def __init__(
        self, name: str, config: UpstreamConfig, upstream: Upstream, health: Health
    ) -> None:
        self.upstream = upstream
        self.url = config.url
        self.model = config.model or name
        self.weight = config.weight
        self.health = health
        self.health_path = config.health
        fields = config.headers
        if self.health_path is not None:
            # A router there shall not hold requests: this one does, and may know another replica.
            fields = (*fields, (NO_HOLD.decode(), "0"))
        self.headers = ConfiguredHeaders(fields)
        self.host = self.headers.host
        if self.host is None and self.url.address.scheme == "https":
            # Behind TLS a server is found by its name, so an https upstream gets its own.
            self.host = self.url.authority.encode()
        # What tells replicas apart when sessions are spread over them.
        place = f"{self.url.address}{self.url.base_path}"
        self.salt = hashlib.blake2b(place.encode(), digest_size=16).digest()

    @property
    def ours(self) -> bool:
        """Whether this is a worker, which may restart, rather than a hosted provider."""
        return self.health_path is not None or self.url.address.scheme != "https"


class Route:
    """A model and its replicas.

    `affinity` keeps sessions where they were; `fallbacks` are asked when no replica can be;
    `waits` says whether requests wait for a replica to come up.
    """

    __slots__ = ("_turn", "affinity", "fallbacks", "name", "targets", "unlisted", "waits")

    def __init__(
        self,
        name: str,
        targets: tuple[Target, ...],
        unlisted: bool,
        *,
        affinity: bool = False,
        waits: bool = False,
    ) -> None:
        self.name = name
        self.targets = targets
        self.unlisted = unlisted
        self.affinity = affinity
        self.waits = waits
        self.fallbacks: tuple[Route, ...] = ()
        self._turn = 0

    def only(self, target: Target) -> Route:
        """The way to one replica and no other, which is not waited for either."""
        return Route(self.name, (target,), self.unlisted)

    @property
    def up(self) -> bool:
        """Whether some replica takes requests."""
        return any(one.health.up for one in self.targets)

    def pick(self, tried: Container[Target] = (), session: bytes | None = None) -> Target | None:
        """The replica for the next request, of those that are up and not in `tried`, or None."""
        targets = self.targets
        if len(targets) == 1:
            only = targets[0]
            if only.health.up and only not in tried:
                return only
        else:
            up = [one for one in targets if one.health.up and one not in tried]
            if up:
                return self._choose(up, session)
        return None

    def pick_down(self, tried: Container[Target] = ()) -> Target | None:
        """Like `pick`, of those that only requests have found to be down."""
        left = [one for one in self.targets if not one.health.ill and one not in tried]
        return self._choose(left, None) if left else None

    def _choose(self, targets: Sequence[Target], session: bytes | None) -> Target:
        if session is not None and self.affinity:
            return by_session(targets, session)
        self._turn += 1
        return least_outstanding(targets, self._turn - 1)


class Table:
    """Everything a request's way depends on. Requests keep the table that they began with."""

    def __init__(
        self, config: Config, keys: Keyring, routes: dict[str, Route], created: int
    ) -> None:
        self.config = config
        self.keys = keys
        self.routes = routes
        self.created = created
        # The page for an Accept header, and its media type; the router puts its own in here.
        self.metrics: Callable[[str], tuple[bytes, str]] = lambda accept: (b"", "text/plain")
        # The status page, or its data, by the path: a body, and its header fields; likewise.
        self.status: Callable[[str], tuple[bytes, tuple[tuple[str, str], ...]]] = lambda path: (
            b"",
            (),
        )
        self._aliases = aliases_of(config)
        paths = config.allowed_paths
        self.allowed = None if paths is None else AllowedPaths(paths)
        listed = [name for name, route in routes.items() if not route.unlisted]
        # Both outlive tables; the router lends its own.
        self.room = WaitingRoom()
        self.responses = ResponseMemory()
        self.health = msgspec.json.encode({"status": "ok", "models": len(listed)}) + b"\n"
        aliases = [
            alias
            for alias, name in self._aliases.items()
            if name in listed and config.models[name].list_aliases
        ]
        self._listed = sorted((*listed, *aliases), key=str.encode)

    def canonical(self, model: str) -> str:
        """The name of the model that an alias means; any other name as it is."""
        return self._aliases.get(model, model)

    def route(self, model: str, who: Identity) -> Route:
        """The route of a model or alias. Raises Refusal (404) if there is none for this key."""
        found = self.routes.get(self.canonical(model))
        if found is None or not who.may_use(found.name):
            raise unknown_model(model)
        return found

    def default_route(self, who: Identity) -> Route:
        """The route of requests that name no model. Raises Refusal (400) where there is none."""
        default = self.config.default_model
        found = self.routes.get(self.canonical(default)) if default is not None else None
        if found is None or not who.may_use(found.name):
            raise missing_model()
        return found

    def list_models(self, who: Identity) -> bytes:
        """OpenAI's model list as JSON: what this key may use, by name, without the unlisted."""
        models = [
            self._describe(name) for name in self._listed if who.may_use(self.canonical(name))
        ]
        return msgspec.json.encode({"object": "list", "data": models}) + b"\n"

    def show_model(self, model: str, who: Identity) -> bytes:
        """The entry of a model or alias. Raises Refusal (404) for one that is unlisted."""
        found = self.route(model, who)
        if found.unlisted:
            raise unknown_model(model)
        return msgspec.json.encode(self._describe(model)) + b"\n"

    def _describe(self, name: str) -> dict[str, object]:
        own = {"id": name, "object": "model", "created": self.created, "owned_by": "onehop"}
        # What the operator says wins over what an engine says of itself.
        model = self.canonical(name)
        return {**own, **describe(self.routes[model].targets), **self.config.models[model].card}


def aliases_of(config: Config) -> dict[str, str]:
    """The model of each alias."""
    return {alias: name for name, model in config.models.items() for alias in model.aliases}


def _identity(name: str, client: ClientKeyConfig, aliases: dict[str, str]) -> Identity:
    # Models by their own names: who may use an alias may use its model.
    models = (aliases.get(model, model) for model in client.models or ())
    return Identity(
        name,
        None if client.models is None else frozenset(models),
        None if client.paths is None else AllowedPaths(client.paths),
    )


def build_table(
    config: Config,
    upstream_at: Callable[[Address, UpstreamTlsConfig | None], Upstream],
    health_of: Callable[[str, UpstreamConfig], Health] = lambda name, one: Health(),
) -> Table:
    """The table of a configuration whose secrets are expanded.

    `upstream_at` gives the one Upstream of an address and its TLS, so that pools and counts outlive
    tables; `health_of` does so for what is known of a model's replica.
    """
    routes = {}
    for name, model in config.models.items():
        targets = tuple(
            Target(name, one, upstream_at(one.url.address, one.tls), health_of(name, one))
            for one in model.upstreams
        )
        routes[name] = Route(
            name,
            targets,
            model.unlisted,
            affinity=model.balance == "affinity",
            waits=config.hold_seconds > 0 and any(one.ours for one in targets),
        )
    for name, model in config.models.items():
        routes[name].fallbacks = tuple(routes[other] for other in model.fallbacks)
    aliases = aliases_of(config)
    keys = Keyring(
        (key, who)
        for name, one in config.client_keys.items()
        for who in (_identity(name, one, aliases),)
        for key in one.keys
    )
    return Table(config, keys, routes, int(time.time()))
