# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flags of the SGL Model Gateway: ``RouterArgs.add_cli_args`` of ``sglang_router``, and of ``smg``, which followed it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tooling.flags.found import Found
from tooling.flags.modules import Class, Function, Tree
from tooling.flags.reading import Reading
from tooling.flags.rows import rows
from tooling.steps import Failed


def extract(root: Path) -> Found:
    tree = Tree(root)
    for package in ("smg", "sglang_router"):
        entry = tree.module(f"{package}.launch_router")
        arguments = tree.module(f"{package}.router_args")
        if entry and arguments:
            break
    else:
        raise Failed("there is no launch_router with router_args; look how it parses now")
    router = arguments.bindings("RouterArgs")[0]
    start = entry.bindings("parse_router_args")
    if not isinstance(router, Class) or not start or not isinstance(start[0], Function):
        raise Failed(f"{package}.launch_router has no parse_router_args")
    reading = Reading(tree)
    reading.call(start[0], [[]], {})
    found = rows(reading)
    found.missing += sorted(set(_expected(entry.text, arguments.text)) - found.known())
    return found


def _expected(*texts: str) -> Iterator[str]:
    """Every first name of an ``add_argument`` that a coarse look at the text finds, without its optional prefix."""
    for text in texts:
        for name in re.findall(r"""\.add_argument\(\s*f?["']([^"']+)["']""", text):
            if not name.startswith("--router-"):
                yield name.replace("{prefix}", "")
