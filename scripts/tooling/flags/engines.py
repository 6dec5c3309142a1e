# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engines that have a table: where their versions come from, and who reads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tooling.flags import gateway, llama_cpp, packages, sglang, vllm
from tooling.flags.found import Found
from tooling.flags.order import order
from tooling.flags.packages import Package


@dataclass(frozen=True)
class Engine:
    """``package`` says which release of which package holds a version; ``version`` what the table calls it."""

    name: str
    title: str
    extract: Callable[[Path], Found]
    package: Callable[[str], tuple[Package, str]]
    version: Callable[[Path, str], str] = lambda dummy, asked: asked
    builds: bool = False
    """Whether versions are asked for by the number of a build."""


def _gateway(version: str) -> tuple[Package, str]:
    """``smg`` went on at 1.0 where ``sglang-router`` ended."""
    return (packages.SMG if order(version)[1] >= (1,) else packages.SGLANG_ROUTER), version


def _llama_cpp(build: str) -> tuple[Package, str]:
    return packages.LLAMA_CPP, f"{build}.0.0"


ENGINES = {
    engine.name: engine
    for engine in (
        Engine("vllm", "vLLM", vllm.extract, lambda version: (packages.VLLM, version)),
        Engine("sglang", "SGLang", sglang.extract, lambda version: (packages.SGLANG, version)),
        Engine("llama_cpp", "llama-server", llama_cpp.extract, _llama_cpp, llama_cpp.version, True),
        Engine("gateway", "SGL Model Gateway", gateway.extract, _gateway),
    )
}
