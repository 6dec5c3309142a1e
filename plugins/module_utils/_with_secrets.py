# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a program with secrets as flags that are on no command line.

``with-secrets MODULE[,MODULE...] FLAG=PATH... -- WORD...`` runs the first of the Python modules
that is there, as if it were called with ``--FLAG SECRET`` for each path's text before the words.

Installed on hosts as ``/opt/onehop/bin/with-secrets`` and shown to containers whose program takes
its secrets from nowhere else. Standard library only.

This module util is private to the collection.
"""

from __future__ import annotations

import importlib.util
import runpy
import sys


def main(arguments):
    """The program; it ends as the module does."""
    if "--" not in arguments[1:]:
        raise SystemExit("usage: with-secrets MODULE[,MODULE...] FLAG=PATH... -- WORD...")
    split = arguments.index("--")
    words = []
    for pair in arguments[1:split]:
        flag, dummy, path = pair.partition("=")
        with open(path) as file:
            # In one word: a secret may begin with a dash.
            words.append("--%s=%s" % (flag, file.read().strip()))
    module = find(arguments[0].split(","))
    sys.argv = [module] + words + arguments[split + 1 :]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def find(names):
    """The first module that is there."""
    for name in names:
        if importlib.util.find_spec(name.partition(".")[0]) is not None:
            return name
    raise SystemExit("with-secrets: the image has none of %s" % ", ".join(names))


if __name__ == "__main__":
    main(sys.argv[1:])
