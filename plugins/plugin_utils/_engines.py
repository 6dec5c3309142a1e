# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an engine is: one description each, read by every other room.

Adding an engine adds a file beside ``_llama_cpp.py``, a line in ``_catalogue.py`` and a role. What
runs it is one of two: a :class:`Native` program, or a :class:`Container`.

This plugin util is private to the collection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _flag_check, _flag_table
from ansible_collections.onehop.llm.plugins.plugin_utils._demands import Hardware
from ansible_collections.onehop.llm.plugins.plugin_utils._flags import Dialect, arguments
from ansible_collections.onehop.llm.plugins.plugin_utils._promises import Promises, Setting
from ansible_collections.onehop.llm.plugins.plugin_utils._schema import Option


@dataclass(frozen=True)
class Native:
    """A program of the host, run as a hardened system unit."""

    executable: str
    """The program that its package or archive brings."""
    command: tuple[str, ...]
    gpu_environment: Mapping[str, str] = field(default_factory=dict)
    """Caches that GPU back ends fill."""
    drain: int = 60
    """Seconds that it has for the answers it is giving when it is stopped."""


@dataclass(frozen=True)
class Container:
    """An image, run as a rootless user unit of a lingering account."""

    image: str
    """Without a tag."""
    entrypoint: tuple[str, ...]
    port: int
    """The port that it listens on inside."""
    liveness_path: str
    """Answers 200 as long as the server is alive, and costs nothing."""
    not_paths: frozenset[str] = frozenset()
    """Flags whose value may begin with / and is no path of the host."""
    computes: bool = True
    """Whether it gets devices, shared memory and the cache, and a network of its own; what does not
    compute is in front of those that do, on the host's network."""
    has_curl: bool = True
    """Whether its image can ask by curl; otherwise by Python."""
    drain: int = 60
    """Seconds that it has for the answers it is giving when it is stopped."""


@dataclass(frozen=True)
class Naming:
    """A flag whose value names repositories of the hub; without a flag, the model's own key.

    ``kind`` is what of the repository is needed (:class:`_weights.Repo`), ``revision`` the flag that
    says which of its revisions. ``form`` is how the value holds the name: ``plain``, ``adapters``
    (a list of pairs or objects), ``draft`` (an object with a model) or ``gguf``, where ``file`` is
    the flag that names a file of it and ``instead`` the one that takes a file's path.
    """

    flag: str | None
    kind: str = "model"
    revision: str | None = None
    form: str = "plain"
    file: str | None = None
    instead: str = ""


@dataclass(frozen=True)
class Engine:
    """How an engine is declared, started and asked.

    Texts in braces are filled in from the worker: ``{name}``, ``{port}``, ``{socket}``, ``{model}``,
    ``{binary}`` and ``{cache}``.
    """

    role: str
    """The role's name, which is the prefix of its variables."""
    title: str
    """The engine's name as its makers write it."""
    prefix: str
    """What its units, cache and state directories begin with."""
    runtime: Native | Container
    role_options: tuple[Option, ...]
    model_keys: tuple[Option, ...]
    dialect: Dialect
    flag_table: str
    """The name of the table of its flags."""
    example: Mapping[str, Any]
    """A model of it, as an inventory declares one."""
    health_path: str
    """Answers 200 once the model is loaded."""
    model_flags: Mapping[str, str]
    """Flags that the role sets for every model."""
    port_flags: Mapping[str, str]
    """Flags that make it listen on a port of the loopback."""
    socket_flags: Mapping[str, str]
    """Flags that make it listen on a unix socket; empty where it cannot."""
    managed_instead: Mapping[str, str]
    """What to write instead of a managed flag or one that cannot work, by the flag's name."""
    secret_flags: Mapping[str, str]
    """Flags that hold a secret, with the way to give it by a file."""
    secret_environment: Mapping[str, str]
    """Environment variables that hold a secret, with the way to give them by a file."""
    path_flags: tuple[str, ...] = ()
    """Flags of a native program whose value, where it is an absolute path, has to be on the host."""
    words: tuple[str, ...] = ()
    """What stands before the flags."""
    environment: Mapping[str, str] = field(default_factory=dict)
    managed_environment: Mapping[str, str] = field(default_factory=dict)
    """What to write instead of a variable that the role sets, by its name."""
    naming: tuple[Naming, ...] = ()
    """Where its settings name repositories of the hub."""
    tokenizers: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Classes of tokenizers that its older versions do not know: which class they know instead, and
    the first version that needs no help."""
    offline_environment: Mapping[str, str] = field(default_factory=dict)
    """Variables of a worker that has all its weights on the host."""
    hardware: Hardware | None = None
    """What its images ask of a host."""
    flag_environment: str = ""
    """What the environment variables that stand for flags begin with."""
    promises: Promises | None = None
    """What its workers take of a host."""
    metrics: Setting | None = None
    """What makes it answer ``/metrics``; it always does where this is ``None``."""
    front: Any = None
    """The module that plans what stands in front of its workers on a host, where there is such."""

    @property
    def models_variable(self) -> str:
        """The variable that declares its models."""
        return f"{self.role}_models"

    @property
    def managed(self) -> frozenset[str]:
        """Every flag that only the role may set, or that nobody may."""
        own = [*self.model_flags, *self.port_flags, *self.socket_flags]
        return frozenset([*own, *self.managed_instead])

    @property
    def native(self) -> Native:
        """What it runs as, where that is a program of the host."""
        if isinstance(self.runtime, Native):
            return self.runtime
        raise TypeError(f"{self.role} runs in containers")

    @property
    def container(self) -> Container:
        """What it runs as, where that is a container."""
        if isinstance(self.runtime, Container):
            return self.runtime
        raise TypeError(f"{self.role} is a program of the host")

    @property
    def liveness_path(self) -> str:
        """Answers 200 as long as it is well, and costs nothing."""
        if isinstance(self.runtime, Container):
            return self.runtime.liveness_path
        return self.health_path

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
                example={"qwen3-8b": dict(self.example)},
            ),
        )

    def check(self, said: str | None, level: str) -> _flag_check.Check:
        """The check of flags for a version as it was said, if it was."""
        known = _flag_table.table(self.flag_table)
        return _flag_check.Check(
            self.title,
            self.dialect,
            known,
            _flag_table.choose(known, said),
            level,
            self.flag_environment,
        )

    def command_line(self, spec: Mapping[str, Any]) -> list[str]:
        """The words behind the program; references to credentials are still in them."""
        listener = self.socket_flags if spec["socket"] else self.port_flags
        managed = {
            name: fill(spec, text) for name, text in {**self.model_flags, **listener}.items()
        }
        known = _flag_table.table(self.flag_table).at(spec["flag_version"])
        flags = arguments({**spec["settings"], **managed}, self.dialect, known)
        return [*(fill(spec, word) for word in self.words), *flags, *spec["extra_args"]]


@dataclass(frozen=True)
class Model:
    """A model as a host declares it, with what is declared for all models of its engine there."""

    engine: Engine
    variable: str
    """The variable that declares it."""
    keys: Mapping[str, Any]
    role: Mapping[str, Any]
    """The variables of its engine's role."""
    shared: Mapping[str, Any]
    """What the engine's workers have in common, as the ``read`` of what runs them made it."""

    def of_role(self, name: str) -> Any:
        """The role's variable of this name, without the role's prefix."""
        return self.role[f"{self.engine.role}_{name}"]


def fill(spec: Mapping[str, Any], text: str) -> str:
    """``text`` with what stands in braces taken from the worker."""
    return re.sub(r"\{([a-z]+)\}", lambda found: str(spec[found.group(1)]), text)
