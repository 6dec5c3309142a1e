# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's service manager: what it knows of units, and what it is asked to do.

Facts come from ``systemctl show`` and, for what a process was really started from, from its
environment: systemd shows a unit as it was last read, not as the process met it.

This module util is private to the collection.
"""

from __future__ import annotations

import os
import re
import shutil
import time

PROPERTIES = (
    "Id",
    "LoadState",
    "ActiveState",
    "SubState",
    "Result",
    "MainPID",
    "ExecMainCode",
    "ExecMainStatus",
    "InvocationID",
    "NRestarts",
    "NeedDaemonReload",
    "StatusText",
    "ActiveEnterTimestamp",
    "ActiveEnterTimestampMonotonic",
    "InactiveExitTimestamp",
    "ExecMainStartTimestampMonotonic",
    "ExecMainExitTimestampMonotonic",
    "Job",
)
STAMP = "ONEHOP_STAMP"
CGROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified")
"""Where systemd's control groups are: with version 2 of them, with version 1, with both."""


class Systemd(object):
    """The system's manager. ``run`` takes an argument list and gives (status, out, err)."""

    scope: tuple = ()
    """What systemctl is told before its verb."""

    def __init__(self, run):
        self.run = run

    @staticmethod
    def properties():
        """The names of what :meth:`show` tells of a unit."""
        return PROPERTIES

    def _systemctl(self, *words):
        return ["systemctl"] + list(self.scope) + list(words)

    def fresh(self, shown, dummy_started):
        """Whether what the manager knows of units is what their files say, from :meth:`show`."""
        return all(
            item["NeedDaemonReload"] != "yes" and item["LoadState"] != "not-found"
            for item in shown.values()
        )

    def version(self):
        """The manager's version, such as 257; 0 where there is no systemd."""
        if shutil.which("systemctl") is None:
            return 0
        status, out, dummy = self.run(["systemctl", "--version"])
        found = re.match(r"systemd (\d+)", out) if status == 0 else None
        return int(found.group(1)) if found else 0

    def show(self, units):
        """Properties of each of ``units``, by the name that was asked for."""
        if not units:
            return {}
        command = self._systemctl("show", "--property=" + ",".join(PROPERTIES), "--")
        dummy, out, err = self.run(command + list(units))
        blocks = [block for block in out.strip().split("\n\n") if block]
        if len(blocks) != len(units):
            raise SystemdError("systemctl show: %s" % (err.strip() or "an answer is missing"))
        return {
            unit: dict(line.partition("=")[::2] for line in block.split("\n"))
            for unit, block in zip(units, blocks)
        }

    def processes(self, unit):
        """The numbers of all processes of a unit, also of those in groups below its own."""
        command = self._systemctl("show", "--property=ControlGroup", "--value", "--", unit)
        dummy, out, dummy_err = self.run(command)
        group = out.strip()
        if not group:
            return []
        for root in CGROUPS:
            found = []
            for directory, dummy_names, dummy_files in os.walk("%s%s" % (root, group)):
                found += _read("%s/cgroup.procs" % directory).split()
            if found:
                return found
        return []

    def written(self, unit):
        """Bytes that a unit's processes have written so far, such as weights to a cache."""
        return sum(_written(pid) for pid in self.processes(unit))

    def do(self, verb, units, *options):
        """Run a verb of systemctl; raise :class:`SystemdError` with its words when it fails."""
        if verb != "daemon-reload" and not units:
            return
        status, dummy, err = self.run(self._systemctl(*(list(options) + [verb] + list(units))))
        if status != 0:
            raise SystemdError("systemctl %s %s: %s" % (verb, " ".join(units), err.strip()))

    def forgive(self, units):
        """Reset failures and start limits: who asks for a start does not mean the old ones."""
        if units:
            self.run(self._systemctl("reset-failed", *units))

    def reload(self):
        """Have the manager read the unit files again."""
        self.do("daemon-reload", [])

    def journal(self, unit, invocation, lines, until=None):
        """The last lines that the unit's invocation wrote, or else what systemd says of it.

        ``until`` is a time as systemd writes it, behind which nothing counts.
        """
        # What a process said last may still be on its way into the journal.
        self.run(["journalctl", "--sync"])
        command = ["journalctl", "--no-pager", "--quiet", "--all", "--output=cat"]
        command += ["--lines=%d" % lines] + (["--until=" + until] if until else [])
        for matches in self.journal_of(unit, invocation):
            found = self._lines(command + matches)
            if found:
                return found
        return []

    def journal_of(self, unit, invocation):
        """What to ask the journal for, the first that it has something of."""
        if not invocation:
            return [["--unit=" + unit]]
        return [["_SYSTEMD_INVOCATION_ID=" + invocation], ["INVOCATION_ID=" + invocation]]

    def _lines(self, command):
        dummy, out, dummy_err = self.run(command)
        return [line for line in out.split("\n") if line.strip()]


class SystemdError(Exception):
    """A verb that failed, with systemctl's own words."""


def stamp_of(pid, name=STAMP):
    """The stamp in a process's environment; ``None`` without a process or a stamp."""
    if not pid or pid == "0":
        return None
    try:
        with open("/proc/%s/environ" % pid, "rb") as file:
            entries = file.read().split(b"\0")
    except OSError:
        return None
    prefix = (name + "=").encode()
    for entry in entries:
        if entry.startswith(prefix):
            return entry[len(prefix) :].decode("ascii", "replace")
    return None


def _written(pid):
    for line in _read("/proc/%s/io" % pid).split("\n"):
        if line.startswith("wchar:"):
            return int(line.split()[1])
    return 0


def _read(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def up_for(shown):
    """Seconds that a unit's main process has run, or ran until it ended; ``None`` where it never did."""
    start = int(shown.get("ExecMainStartTimestampMonotonic") or 0) / 1e6
    end = int(shown.get("ExecMainExitTimestampMonotonic") or 0) / 1e6
    if not start:
        return None
    return max(0, int((end if end >= start else time.monotonic()) - start))


def started_at(pid):
    """When a process was started, in seconds since the epoch; ``None`` where it is gone."""
    try:
        with open("/proc/%s/stat" % pid) as file:
            ticks = int(file.read().rpartition(")")[2].split()[19])
        with open("/proc/stat") as file:
            boot = next(int(line.split()[1]) for line in file if line.startswith("btime "))
    except OSError:
        return None
    return boot + ticks / float(os.sysconf("SC_CLK_TCK"))
