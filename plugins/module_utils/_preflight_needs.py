# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be needed of a host, as the argument spec of preflight has it.

This module util is private to the collection.
"""

from __future__ import annotations

_TEXT = {"type": "str", "required": True}


def _need(**more):
    """The argument spec of one kind of need."""
    return {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": dict(variable=_TEXT, **more),
    }


SPEC = {
    "ports": _need(
        port={"type": "int", "required": True},
        unit=_TEXT,
        address={"type": "str", "default": "127.0.0.1"},
    ),
    "files": _need(
        path=_TEXT,
        executable={"type": "bool", "default": False},
        reader={"type": "str"},
        reading={
            "type": "str",
            "choices": ["service", "account", "container"],
            "default": "service",
        },
    ),
    "accounts": _need(name={"type": "str"}, container={"type": "dict"}),
    "devices": _need(device=_TEXT),
    "podman": _need(),
    "pythons": _need(
        path={"type": "path"},
        purpose={"type": "str"},
        account={"type": "str"},
        hub={"type": "str"},
        bundles={"type": "list", "elements": "str", "default": []},
        items={"type": "list", "elements": "dict", "default": []},
    ),
    "copies": _need(path=_TEXT),
    "archives": _need(path=_TEXT, image=_TEXT),
    "downloads": _need(
        kind={"type": "str", "choices": ["image", "repository"], "required": True},
        what=_TEXT,
        where=_TEXT,
        instead=_TEXT,
        account={"type": "str"},
        places={"type": "list", "elements": "str", "default": []},
        proxy={"type": "str", "default": ""},
    ),
    "directories": _need(path=_TEXT),
    "models": _need(
        model=_TEXT,
        caches={"type": "list", "elements": "str", "required": True},
        revision={"type": "str", "default": "main"},
    ),
}
"""By kind; each has the variable that it comes from."""


def complete(needs):
    """The needs with an empty list for each kind that nobody has."""
    return dict({kind: [] for kind in SPEC}, **(needs or {}))
