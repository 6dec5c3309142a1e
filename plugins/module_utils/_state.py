# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running state: what a unit needs, judged by what runs and not by what was changed.

This module util is private to the collection.
"""

from __future__ import annotations

import time

from ansible_collections.onehop.llm.plugins.module_utils._systemd import stamp_of, up_for

START, RESTART, WAIT, NOTHING = "start", "restart", "wait", "nothing"
READY, PENDING, FAILED = "ready", "pending", "failed"

_LINES = 400
"""Of the journal of what failed: tracebacks of several processes are long, and the cause is up in them."""
_NEWS = 60
"""Of the journal of what is still starting."""
_PAUSE = 0.25


def needed(shown, running_stamp, wanted_stamp):
    """What a unit needs, from its properties and from the stamp of its process."""
    state = shown["ActiveState"]
    if state in ("active", "reloading", "activating") and shown["MainPID"] != "0":
        if running_stamp != wanted_stamp:
            return RESTART
        return WAIT if state == "activating" else NOTHING
    if state == "activating" and shown["SubState"] == "start":
        return RESTART
    return START


def outcome(shown, running_stamp, wanted_stamp):
    """How a unit that was told to start is doing."""
    if shown.get("Job", "0") not in ("", "0"):
        return PENDING
    state = shown["ActiveState"]
    if state == "active" and running_stamp == wanted_stamp:
        return READY
    if state in ("failed", "inactive") or shown["SubState"] == "auto-restart":
        return FAILED
    return PENDING


class Converger(object):
    """Brings units to their wanted state and watches them get there."""

    def __init__(self, systemd, units):
        self.systemd = systemd
        self.units = units
        self.names = [unit["name"] for unit in units]

    def plan(self):
        """What each unit needs, by name."""
        shown = self.systemd.show(self.names)
        return {
            unit["name"]: needed(
                shown[unit["name"]], stamp_of(shown[unit["name"]]["MainPID"]), unit["stamp"]
            )
            for unit in self.units
        }

    def begin(self):
        """Ask the manager for all that is needed, at once: the units' own order holds.

        The names of the units that were started or restarted.
        """
        shown = self.systemd.show(self.names)
        plan = self.plan()
        started = [name for name in self.names if plan[name] in (START, RESTART)]
        if not self.systemd.fresh(shown, started):
            self.systemd.reload()
        self.systemd.forgive(started)
        self.systemd.do("restart", started, "--no-block")
        return started

    def watch(self, seconds):
        """Wait until every unit is ready or has failed, or the time is over; reports by name."""
        end = time.monotonic() + seconds
        while True:
            shown = self.systemd.show(self.names)
            reports = {
                unit["name"]: self._report(shown[unit["name"]], unit["stamp"])
                for unit in self.units
            }
            if all(report["outcome"] != PENDING for report in reports.values()):
                break
            if time.monotonic() >= end:
                break
            time.sleep(_PAUSE)
        for name, report in reports.items():
            if report["outcome"] == READY:
                continue
            lines = _LINES if report["outcome"] == FAILED else _NEWS
            report["journal"] = self.systemd.journal(name, shown[name].get("InvocationID"), lines)
            if report["outcome"] == PENDING:
                report["written"] = self.systemd.written(name)
        return reports

    def _report(self, shown, stamp):
        return {
            "outcome": outcome(shown, stamp_of(shown["MainPID"]), stamp),
            "state": "%s (%s)" % (shown["ActiveState"], shown["SubState"]),
            "result": shown["Result"],
            "exit_status": int(shown.get("ExecMainStatus") or 0),
            "main_pid": int(shown["MainPID"] or 0),
            "seconds": up_for(shown),
            "journal": [],
        }
