# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the units of this host are doing, as a table or as JSON: ``status.py [--json]``.

Installed as ``/opt/onehop/lib/status.py`` beside the files that it imports, and run by
``onehop status``. It changes nothing, and tells anybody what they may know. Standard library only.

This module util is private to the collection.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import types

HERE = os.path.dirname(os.path.abspath(__file__))
COLLECTION = "ansible_collections.onehop.llm.plugins"
ROOMS = ("module_utils", "plugin_utils")


def main(words):
    """The program; its exit status."""
    if words not in ([], ["--json"]):
        sys.stderr.write("usage: onehop status [--json]\n")
        return 2
    _furnish()
    look, fleet_rows, fleet_table = (
        importlib.import_module("%s.%s" % (COLLECTION, name))
        for name in ("module_utils._look", "plugin_utils._fleet_rows", "plugin_utils._fleet_table")
    )
    with open(os.path.join(HERE, "signatures.json")) as file:
        table = json.load(file)
    rows = fleet_rows.of_units(os.uname().nodename, look.units(run), table)
    rows.sort(key=fleet_rows.order)
    if words:
        found = {"rows": rows, "summary": fleet_rows.summary(rows)}
        sys.stdout.write(json.dumps(found, indent=1) + "\n")
        return 0
    lines = fleet_table.lines(rows, shutil.get_terminal_size((0, 0)).columns)
    sys.stdout.buffer.write(("\n".join(lines) + "\n").encode("utf-8", "replace"))
    return 0


def _furnish():
    """Have the collection's modules found where this file lies: a host has no collection."""
    if COLLECTION in sys.modules:
        return
    parts = COLLECTION.split(".")
    names = [".".join(parts[: count + 1]) for count in range(len(parts))]
    for name in names + [COLLECTION + "." + room for room in ROOMS]:
        package = types.ModuleType(name)
        package.__path__ = [HERE] if name.endswith(ROOMS) else []
        sys.modules[name] = package


def run(command):
    """Status, output and errors of a command, as Ansible's modules run one."""
    environment = dict(os.environ, LC_ALL="C")
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment,
            check=False,
        )
    except OSError as error:
        return 127, "", str(error)
    return (
        done.returncode,
        done.stdout.decode("utf-8", "replace"),
        done.stderr.decode("utf-8", "replace"),
    )


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
