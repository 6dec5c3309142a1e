# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""All variables of the roles, and where a path such as ``vllm_models.<name>.port`` leads among them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from ansible_collections.onehop.llm.plugins.plugin_utils import (
    _catalogue,
    _edges,
    _gpu_host,
    _monitoring,
    _router,
)
from ansible_collections.onehop.llm.plugins.plugin_utils._schema import REQUIRED, Option

ROLES: dict[str, tuple[Option, ...]] = {
    **{role: engine.options() for role, engine in _catalogue.ENGINES.items()},
    "router": (*_router.OPTIONS, *_edges.OPTIONS),
    "gpu_host": _gpu_host.OPTIONS,
    "monitoring": _monitoring.OPTIONS,
}
"""The variables of each role, by its name."""
NAME = "<name>"
"""What stands in a path for a key that the user chooses."""


def find(path: str) -> Option:
    """The option that a path leads to; ``KeyError`` where there is none."""
    first, *rest = path.split(".")
    at = {option.name: option for options in ROLES.values() for option in options}[first]
    for step in rest:
        if step == NAME and at.type == "map":
            continue
        at = {key.name: key for key in at.keys}[step]
    return at


def literal(value: Any) -> str:
    """A value as YAML on one line."""
    text: str = yaml.dump(value, default_flow_style=True, width=1000, sort_keys=False)
    return text.replace("\n...", "").strip()


def default(option: Option) -> str:
    """An option's default for a table."""
    return "required" if option.default is REQUIRED else f"`{literal(option.default)}`"


def example(option: Option) -> Any:
    """An option's example: of a boolean it is what it is not unless given."""
    if option.type == "bool":
        return not option.default
    return option.example


def rows() -> Iterator[tuple[str, Option]]:
    """Every option with the path that leads to it."""
    for options in ROLES.values():
        for option in options:
            yield from _below(option.name, option)


def _below(path: str, option: Option) -> Iterator[tuple[str, Option]]:
    yield path, option
    inner = f"{path}.{NAME}" if option.type == "map" else path
    for key in option.keys:
        yield from _below(f"{inner}.{key.name}", key)
