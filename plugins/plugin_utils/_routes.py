# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model's declaration says of its route, and what routes say of each other.

This plugin util is private to the collection.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils._problems import Problems
from ansible_collections.onehop.llm.plugins.plugin_utils._schema import Option

_OWN_CARD_FIELDS = ("id", "object", "created", "owned_by")

OPTIONS: tuple[Option, ...] = (
    Option(
        "unlisted",
        "bool",
        "Whether C(/v1/models) leaves it out; it is served all the same.",
        default=False,
    ),
    Option(
        "aliases",
        "list",
        "Other names that clients may ask for. The model itself hears its own name.",
        default=[],
        elements="route_name",
        example=["gpt-4o-mini"],
    ),
    Option("list_aliases", "bool", "Whether C(/v1/models) shows the aliases too.", default=False),
    Option(
        "balance",
        "str",
        "How a replica is chosen where there are several: V(least_outstanding) takes the one with "
        "the fewest requests, V(affinity) keeps a session with the replica that has its cache.",
        default="least_outstanding",
        choices=("least_outstanding", "affinity"),
        example="affinity",
    ),
    Option(
        "fallbacks",
        "list",
        "Models to ask, in this order, when no replica can be reached.",
        default=[],
        elements="route_name",
        example=["small"],
    ),
    Option(
        "max_concurrent_requests",
        "count",
        "Requests for it at a time; 0 for no limit.",
        default=0,
        example=8,
    ),
    Option(
        "card",
        "map",
        "Facts shown with it in C(/v1/models).",
        default={},
        key_type="str",
        elements="json",
        example={"context_length": 8192},
    ),
)
"""The keys of a model's route, for our own models and for others."""

WEIGHT = Option(
    "weight",
    "positive",
    "Its share of the requests beside replicas on other hosts.",
    default=1,
    example=2,
)

_DEFAULTS: dict[str, Any] = {option.name: option.default for option in OPTIONS}
NOTHING_SAID: dict[str, Any] = {**_DEFAULTS, "weight": 1}
"""A route of which nothing is declared."""


def add(
    routes: dict[str, dict[str, Any]],
    host: str,
    worker: Mapping[str, Any],
    problems: Problems,
) -> None:
    """Make a worker a replica of its route.

    Hosts that serve one model have to say the same of its route, but for the weight.
    """
    said = worker["routing"]
    replica = {"host": host, "url": worker["route"], "unit": worker["unit"]}
    replica |= {"health": worker["health"], "weight": said["weight"]}
    options = {name: said[name] for name in _DEFAULTS}
    route = routes.setdefault(worker["name"], {"replicas": [], **options})
    for name, value in options.items():
        if route[name] != value:
            first = route["replicas"][0]["host"]
            problems.add(
                f"{worker['variable']}.route.{name}",
                f"is not what host {first} says of the same model, {route[name]!r}",
                "Write the same on each host, for example in the group_vars of all of them",
                value,
            )
    route["replicas"].append(replica)


def upstream(replica: Mapping[str, Any]) -> dict[str, Any]:
    """A replica on the router's own host as the router's configuration has it."""
    return {"url": replica["url"], "health": replica["health"], **weight(replica)}


def weight(replica: Mapping[str, Any]) -> dict[str, int]:
    """A replica's share, where that is not as much as any other's."""
    return {} if replica["weight"] == 1 else {"weight": replica["weight"]}


def settings(said: Mapping[str, Any]) -> dict[str, Any]:
    """A route's options as the router's configuration has them: those that say something."""
    told = {name: said[name] for name in _DEFAULTS if said[name] != _DEFAULTS[name]}
    return {"unlisted": said["unlisted"], **told}


def check(
    name: str,
    where: str,
    said: Mapping[str, Any],
    models: Collection[str],
    aliases: Mapping[str, Iterable[str]],
    problems: Problems,
) -> None:
    """What a route's names say of other models'. ``aliases`` are the owners of each alias."""
    for alias in said["aliases"]:
        if alias in models:
            problems.add(
                f"{where}.aliases",
                "names a model of its own",
                "Write another alias, or remove it",
                alias,
            )
        others = sorted(set(aliases.get(alias, ())) - {name})
        if others:
            problems.add(
                f"{where}.aliases",
                f"is an alias of {others[0]!r} too",
                "Remove one of the two",
                alias,
            )
    for other in said["fallbacks"]:
        if other == name or other not in models:
            problems.add(
                f"{where}.fallbacks",
                "is not the name of another model",
                "Declare the model, or remove it here",
                other,
            )
    for field in _OWN_CARD_FIELDS:
        if field in said["card"]:
            problems.add(
                f"{where}.card.{field}", "is a field that the router writes itself", "Remove it"
            )


def owners(routes: Mapping[str, Mapping[str, Any]]) -> dict[str, set[str]]:
    """The models of each alias."""
    found: dict[str, set[str]] = {}
    for name, route in routes.items():
        for alias in route["aliases"]:
            found.setdefault(alias, set()).add(name)
    return found
