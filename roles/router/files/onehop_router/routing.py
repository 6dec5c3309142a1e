# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The routing table: immutable, built from a configuration, swapped whole on reload."""

from __future__ import annotations

import time
from collections.abc import Callable, Container
from typing import NamedTuple

import msgspec

from .auth import Identity, Keyring
from .config import ClientKeyConfig, Config
from .errors import missing_model, unknown_model
from .headers import ConfiguredHeaders
from .paths import AllowedPaths
from .pool import Upstream
from .urls import Address, UpstreamUrl


class Target(NamedTuple):
    """One replica of a model: the upstream it lives on and how requests to it are written.

    `model` is what the replica calls the model.
    """

    upstream: Upstream
    url: UpstreamUrl
    headers: ConfiguredHeaders
    model: str

    @property
    def host(self) -> bytes | None:
        """The Host that replaces the client's, or None where the client's is kept.

        Behind TLS a server is found by its name, so an https upstream gets its own.
        """
        if self.headers.host is None and self.url.address.scheme == "https":
            return self.url.authority.encode()
        return self.headers.host


class Route:
    """A model and its replicas."""

    __slots__ = ("_turn", "name", "targets", "unlisted")

    def __init__(self, name: str, targets: tuple[Target, ...], unlisted: bool) -> None:
        self.name = name
        self.targets = targets
        self.unlisted = unlisted
        self._turn = 0

    def pick(self, tried: Container[Target] = ()) -> Target | None:
        """The replica with the fewest requests outstanding; equals take turns.

        Replicas in `tried` are left out; None if no other is left.
        """
        targets = self.targets
        if len(targets) == 1:
            return targets[0] if targets[0] not in tried else None
        best: Target | None = None
        count = len(targets)
        for offset in range(count):
            one = targets[(self._turn + offset) % count]
            if one in tried:
                continue
            if best is None or one.upstream.outstanding < best.upstream.outstanding:
                best = one
        self._turn = (self._turn + 1) % count
        return best


class Table:
    """Everything a request's way depends on. Requests keep the table that they began with."""

    def __init__(
        self, config: Config, keys: Keyring, routes: dict[str, Route], created: int
    ) -> None:
        self.config = config
        self.keys = keys
        self.routes = routes
        self.created = created
        self._aliases = aliases_of(config)
        paths = config.allowed_paths
        self.allowed = None if paths is None else AllowedPaths(paths)
        listed = [name for name, route in routes.items() if not route.unlisted]
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
        return own | self.config.models[self.canonical(name)].card


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


def build_table(config: Config, upstream_at: Callable[[Address], Upstream]) -> Table:
    """The table of a configuration whose secrets are expanded.

    `upstream_at` gives the one Upstream of an address, so that pools and counts outlive tables.
    """
    routes = {}
    for name, model in config.models.items():
        targets = tuple(
            Target(
                upstream_at(one.url.address),
                one.url,
                ConfiguredHeaders(one.headers),
                one.model or name,
            )
            for one in model.upstreams
        )
        routes[name] = Route(name, targets, model.unlisted)
    aliases = aliases_of(config)
    keys = Keyring(
        (key, who)
        for name, one in config.client_keys.items()
        for who in (_identity(name, one, aliases),)
        for key in one.keys
    )
    return Table(config, keys, routes, int(time.time()))
