# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of two versions is newer."""

from __future__ import annotations

import re


def order(version: str) -> tuple[int, tuple[int, ...], int]:
    """A key for sorting: ``b9093`` (llama.cpp's builds, before it had versions), then ``0.5.6`` and ``0.5.6.post2``."""
    build = re.fullmatch(r"b(\d+)", version)
    if build:
        return 0, (int(build[1]),), 0
    match = re.fullmatch(r"(\d+(?:\.\d+)*)(?:\.post(\d+))?", version)
    if not match:
        raise ValueError(f"{version} is no version of a release")
    return 1, tuple(int(part) for part in match[1].split(".")), int(match[2] or 0)
