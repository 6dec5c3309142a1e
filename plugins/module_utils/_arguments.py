# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of argument specs that several modules take.

This module util is private to the collection.
"""

from __future__ import annotations

_TEXT = {"type": "str", "required": True}
_TEXTS = {"type": "list", "elements": "str", "default": []}

RENDERED = {
    "type": "dict",
    "options": {
        "units": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "name": _TEXT,
                "content": _TEXT,
                "wanted_by": {"type": "str"},
                "stamp": {"type": "str"},
                "reloaded": _TEXTS,
                "inputs": _TEXTS,
                "secrets": dict(_TEXTS, no_log=False),
                "states": _TEXTS,
                "caches": _TEXTS,
                "sockets": _TEXTS,
            },
        },
        "files": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "path": _TEXT,
                "content": _TEXT,
                "mode": {"type": "str", "default": "0644"},
                "program": {"type": "bool", "default": False},
                "stamp": {"type": "str"},
                "secrets": dict(_TEXTS, no_log=False),
            },
        },
        "secrets": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "no_log": False,
            "options": {
                "path": _TEXT,
                "content": {"type": "str", "no_log": True},
                "source": {"type": "str"},
                "variable": {"type": "str"},
                "group": {"type": "str"},
            },
        },
        "directories": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "path": _TEXT,
                "mode": _TEXT,
                "owner": {"type": "str"},
                "group": {"type": "str"},
            },
        },
        "account": {"type": "str"},
        "uid": {"type": "int"},
    },
}
"""Units with all that belongs to them; see :class:`_unit_set.UnitSet`."""
