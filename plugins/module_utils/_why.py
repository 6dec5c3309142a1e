# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why units failed or were started again: ``why.py ENGINE ACCOUNT UNIT...``, ``-`` for no account.

Installed as ``/opt/onehop/lib/why.py`` beside ``_finding.py`` and ``signatures.json``, and run by
``onehop ENGINE why``. Standard library only.

This module util is private to the collection.
"""

from __future__ import annotations

import json
import os
import pwd
import runpy
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SHOW = (
    "ActiveState,SubState,Result,ExecMainStatus,NRestarts,InactiveExitTimestamp,"
    "ActiveEnterTimestamp"
)
LINES = 400
"""Of a journal, that are looked at."""
SHOWN = 15
"""Of them, that are shown."""
KERNEL = "NVRM: Xid|Out of memory: Killed process|fallen off the bus|trap invalid opcode"
"""What the kernel says of GPUs and of processes that it ended."""


def main(words):
    """The program; its exit status: 1 where a unit is not well."""
    if len(words) < 3:
        sys.stderr.write("usage: why ENGINE ACCOUNT UNIT...\n")
        return 2
    role, account = words[0], "" if words[1] == "-" else words[1]
    signatures = runpy.run_path(os.path.join(HERE, "_finding.py"))
    with open(os.path.join(HERE, "signatures.json")) as file:
        table = json.load(file)
    unwell = False
    for unit in words[2:]:
        text, well = explain(signatures, table, role, account, unit)
        sys.stdout.write(text + "\n")
        unwell = unwell or not well
    # Names of processes are in it, which anybody may choose.
    kernel = signatures["tidy"](said(["-k", "--since=-1d", "--lines=5", "--grep=" + KERNEL]))
    if kernel:
        sys.stdout.write("The kernel said today:\n    %s\n" % "\n    ".join(kernel))
    return 1 if unwell else 0


def explain(signatures, table, role, account, unit):
    """One unit in words, and whether it is well."""
    shown = show(account, unit)
    state = "%s (%s)" % (shown["ActiveState"], shown["SubState"])
    restarts = int(shown.get("NRestarts") or 0)
    down = shown["ActiveState"] == "failed" or shown["SubState"] == "auto-restart"
    if not down and not restarts:
        since = shown.get("ActiveEnterTimestamp") or "never"
        return "%s: %s since %s; it did not fail." % (unit, state, since), True
    until = None if down else shown.get("InactiveExitTimestamp")
    lines = said(
        ["--lines=%d" % LINES] + (["--until=" + until] if until else []) + matches(account, unit)
    )
    report = {"journal": lines, "result": "", "exit_status": 0}
    if down:
        report.update(result=shown["Result"], exit_status=int(shown.get("ExecMainStatus") or 0))
    text = "%s: %s, started again %d times." % (unit, state, restarts)
    found = signatures["finding"](table["rows"], report)
    if found:
        names = signatures["names"](role, unit, table["variables"])
        text += " Likely %s. %s (%s)" % (
            signatures["cause"](found, names),
            signatures["mend"](found, names),
            found["row"]["id"],
        )
        text += "\n  It said:\n    %s" % found["line"][:300] if found["line"] else ""
    else:
        text += " Nothing that is known tells why."
    last = signatures["excerpt"](lines, SHOWN)
    text += "\n  Its last words then:\n    %s" % "\n    ".join(last or ["(nothing)"])
    return text, not down


def show(account, unit):
    """What the unit's manager knows of it."""
    command = ["systemctl"] + (["--user", "--machine=%s@.host" % account] if account else [])
    command += ["show", "--property=" + SHOW, "--", unit]
    known = dict.fromkeys(SHOW.split(","), "")
    known.update(line.partition("=")[::2] for line in run(command))
    return known


def matches(account, unit):
    """What tells a unit's journal from others': those of accounts may share a name."""
    if not account:
        return ["--unit=" + unit]
    try:
        whose = ["_UID=%d" % pwd.getpwnam(account).pw_uid]
    except KeyError:
        whose = []
    return ["_SYSTEMD_USER_UNIT=" + unit] + whose + ["+", "USER_UNIT=" + unit] + whose


def said(words):
    """Lines of the journal."""
    return run(["journalctl", "--no-pager", "--quiet", "--all", "--output=cat"] + words)


def run(command):
    """The lines that a command printed; none where it cannot be run."""
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
        )
    except OSError:
        return []
    return [line for line in done.stdout.decode("utf-8", "replace").split("\n") if line.strip()]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
