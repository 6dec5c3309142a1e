# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which driver serves which CUDA.

Facts are those of the CUDA toolkit's release notes up to 13.4, section "CUDA Driver": the least
driver for minor version compatibility serves all releases of a first number, but for code that is
compiled at run time by the newer toolkit; the driver that a release brought serves all of it. Cards
for data centres can go further with the packages of forward compatibility.

This plugin util is private to the collection.
"""

from __future__ import annotations

import re

Version = tuple[int, ...]

LEAST = {11: "450.80.02", 12: "525.60.13", 13: "580.00"}
"""The oldest driver for each first number of CUDA.

The notes say 580 for 13, without more: Jetson Thor has CUDA 13.0 with a driver 580.00.
"""
BROUGHT = {
    "11.8": "520.61.05",
    "12.0": "525.60.13",
    "12.1": "530.30.02",
    "12.2": "535.54.03",
    "12.3": "545.23.06",
    "12.4": "550.54.14",
    "12.5": "555.42.02",
    "12.6": "560.28.03",
    "12.8": "570.26",
    "12.9": "575.51.03",
    "13.0": "580.65.06",
    "13.1": "590.44.01",
    "13.2": "595.45.04",
    "13.3": "610.43.02",
}
"""The driver that came with the first of a release; there was no 12.7, and 13.4 brings none."""
_TAGGED = re.compile(r"(?:^|[-_.])cu(?:da)?(1[1-9])\.?([0-9])(?![0-9])")
_NUMBERS = re.compile(r"v?(\d+(?:\.\d+)+)")


def version(text: str) -> Version:
    """The numbers at the beginning of a version, to be compared; empty where it has none."""
    found = _NUMBERS.match(text)
    return tuple(int(number) for number in found.group(1).split(".")) if found else ()


def of_tag(tag: str) -> str | None:
    """The CUDA that an image's tag names, as in v0.5.19-cu129."""
    found = _TAGGED.search(tag)
    return f"{found.group(1)}.{found.group(2)}" if found else None


def least(cuda: str) -> str | None:
    """The oldest driver that may serve a CUDA; ``None`` where that is not known."""
    return LEAST.get(version(cuda)[0])


def brought(cuda: str) -> str | None:
    """The driver that a CUDA came with; ``None`` where that is not known."""
    return BROUGHT.get(".".join(cuda.split(".")[:2]))
