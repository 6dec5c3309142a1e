# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an engine asks of a host's GPUs, their driver and its processor, as rows.

This plugin util is private to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Limit:
    """Values of a flag that not every GPU can compute with."""

    flags: tuple[str, ...]
    """The flag's spellings; a key in a JSON value stands behind a dot."""
    values: tuple[str, ...]
    """As patterns of a shell, in lower case."""
    capability: tuple[int, int]
    """The lowest compute capability."""
    instead: str
    only: tuple[int, ...] = ()
    """The first numbers of the compute capabilities that it is made for; empty: all from the lowest."""
    since: str = "0.0"
    until: str | None = None
    """The first version that has no such limit."""
    level: str = "error"


@dataclass(frozen=True)
class Processor:
    """What an image asks of a processor."""

    accelerator: str
    arch: str
    flag: str
    """As /proc/cpuinfo has it."""
    title: str
    instead: str
    level: str = "error"
    since: str = "0.0"
    until: str | None = None


@dataclass(frozen=True)
class Advice:
    """What to write for cards below a compute capability, unless the flag is given."""

    below: tuple[int, int]
    flag: str
    why: str
    instead: str


@dataclass(frozen=True)
class Hardware:
    """What an engine's images ask of a host."""

    images: Mapping[str, str]
    """What an image computes on (cuda, rocm, xpu, cpu), by the last part of its name."""
    cuda: tuple[tuple[str, str], ...]
    """The CUDA of its images, by the first version that has it; ascending."""
    kernels: tuple[tuple[str, tuple[int, int]], ...]
    """The lowest compute capability that its images are compiled for, likewise."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """What an image computes on, by a word of its tag."""
    limits: tuple[Limit, ...] = ()
    advice: tuple[Advice, ...] = ()
    processors: tuple[Processor, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    """Flags that an environment variable stands for."""
    forward: str | None = None
    """The environment variable that has a driver serve a newer CUDA, on cards that can."""
