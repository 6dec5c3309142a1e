# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an engine is: one description each, read by every other room.

Adding an engine adds a file beside ``_llama_cpp.py``, a line in ``_catalogue.py`` and a role.

This plugin util is private to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.onehop.llm.plugins.plugin_utils._flags import Dialect
from ansible_collections.onehop.llm.plugins.plugin_utils._schema import Option


@dataclass(frozen=True)
class Engine:
    """How an engine is declared, started and asked.

    Texts in braces are filled in from the worker: ``{name}``, ``{port}``, ``{socket}``,
    ``{binary}`` and ``{cache}``.
    """

    role: str
    """The role's name, which is the prefix of its variables."""
    title: str
    """The engine's name as its makers write it."""
    prefix: str
    """What its units, cache and state directories begin with."""
    runtime: str
    """Who renders its units: ``service`` is a native system unit."""
    role_options: tuple[Option, ...]
    model_keys: tuple[Option, ...]
    executable: str
    """The program that its package or archive brings."""
    command: tuple[str, ...]
    dialect: Dialect
    health_path: str
    """Answers 200 once the model is loaded, and costs nothing."""
    model_flags: Mapping[str, str]
    """Flags that the role sets for every model."""
    port_flags: Mapping[str, str]
    """Flags that make it listen on a port of the loopback."""
    socket_flags: Mapping[str, str]
    """Flags that make it listen on a unix socket; empty where it cannot."""
    managed_instead: Mapping[str, str]
    """What to write instead of a managed flag, by the flag's name."""
    secret_flags: Mapping[str, str]
    """Flags that hold a secret, with the way to give it by a file."""
    secret_environment: Mapping[str, str]
    """Environment variables that hold a secret, with the way to give them by a file."""
    path_flags: tuple[str, ...]
    """Flags whose value, where it is an absolute path, has to be on the host."""
    environment: Mapping[str, str] = field(default_factory=dict)
    gpu_environment: Mapping[str, str] = field(default_factory=dict)
    """Caches that GPU back ends fill."""

    @property
    def models_variable(self) -> str:
        """The variable that declares its models."""
        return f"{self.role}_models"

    @property
    def managed(self) -> frozenset[str]:
        """Every flag that only the role may set."""
        return frozenset([*self.model_flags, *self.port_flags, *self.socket_flags])

    def options(self) -> tuple[Option, ...]:
        """All variables of its role, the models last."""
        return (
            *self.role_options,
            Option(
                self.models_variable,
                "map",
                f"The models to serve with {self.title}, by name. A model that leaves the list is "
                "stopped and its unit removed; its weights stay.",
                default={},
                keys=self.model_keys,
            ),
        )
