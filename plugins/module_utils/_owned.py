# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What on a host is ours: a list for each owner, kept before a thing is made and until it is gone.

A run that dies half-way has therefore never made anything that the next run does not know.

This module util is private to the collection.
"""

from __future__ import annotations

import json
import os

from ansible_collections.onehop.llm.plugins.module_utils._files import File, read

HOME = "/var/lib/onehop"
DIRECTORY = HOME + "/owned"
MARK = b"Made by the Ansible collection onehop.llm"

KINDS = (
    "units",
    "user_units",
    "paths",
    "directories",
    "states",
    "caches",
    "accounts",
    "groups",
    "lingering",
)
"""``units`` by name; ``user_units`` by account and name, with a slash between them; ``lingering``
are accounts that we let linger; ``paths`` are files and links; ``directories`` go with all that is in them;
``states`` are workers' own directories, ``caches`` those that hold weights. Beside them stand the
salts of units, which :mod:`_unit_set` puts into a stamp to make it another."""


class Owned(object):
    """The list of one owner, such as a role."""

    def __init__(self, owner):
        self.owner = owner
        self.path = "%s/%s.json" % (DIRECTORY, owner)
        text = read(self.path)
        known = json.loads(text.decode("utf-8")) if text else {}
        self.things = {kind: sorted(known.get(kind, [])) for kind in KINDS}
        self.salts = known.get("salts", {})

    def add(self, kind, names):
        """Note things that are about to be made."""
        self.things[kind] = sorted(set(self.things[kind]) | set(names))

    def drop(self, kind, names):
        """Forget things that are gone."""
        self.things[kind] = sorted(set(self.things[kind]) - set(names))

    def save(self):
        """Write the list, or remove it once nothing is left; whether that changed the host."""
        if not any(self.things.values()):
            if not os.path.exists(self.path):
                return False
            os.unlink(self.path)
            return True
        known = dict(self.things, salts=self.salts)
        file = File(self.path, json.dumps(known, indent=1, sort_keys=True) + "\n")
        if not file.differs():
            return False
        file.write()
        return True


def owners():
    """The names of all owners that this host has."""
    try:
        names = os.listdir(DIRECTORY)
    except OSError:
        return []
    return sorted(name[: -len(".json")] for name in names if name.endswith(".json"))


def held_by_others(owner):
    """Paths on the lists of other owners: programs and directories that several share."""
    return {path for name in owners() if name != owner for path in Owned(name).things["paths"]}


def foreign(path, owned):
    """Whether somebody else made the file at ``path``."""
    content = read(path)
    return content is not None and path not in owned.things["paths"] and MARK not in content
