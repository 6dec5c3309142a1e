# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator's command on a host: systemctl, journalctl and podman where the workers are.

Installed as ``/usr/local/bin/onehop``. It reads which units are whose from what the deployment
noted, and asks the manager that runs them. Standard library only.

This module util is private to the collection.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys

OWNED = "/var/lib/onehop/owned"
WHY = "/opt/onehop/lib/why.py"
"""Explains units that failed."""
STATUS = "/opt/onehop/lib/status.py"
"""Shows all units as a table."""
PYTHON = [sys.executable, "-IB"]
"""Runs both, and leaves nothing beside them that a removal would not know of."""
COMPILED = "jit"
"""What is below a cache directory and can be made again; weights are beside it."""
USAGE = """\
usage: onehop [status | ENGINE COMMAND [MODEL] [WORD...]]

  onehop, onehop status           every worker and router, and how it is doing
  onehop status --json            the same for programs
  onehop ENGINE status [MODEL]    systemctl status
  onehop ENGINE logs MODEL [...]  journalctl, with its options, such as -f or -n 50
  onehop ENGINE why [MODEL]       why it failed or was started again, and what to do
  onehop ENGINE start|stop|restart MODEL
  onehop ENGINE units             the names of the units
  onehop ENGINE systemctl WORD... any command of the manager that runs the engine
  onehop ENGINE podman WORD...    Podman as the engine's account
  onehop ENGINE clear-caches      remove what the engine compiled, once its units are stopped
  onehop ENGINE shell             a shell as the engine's account

ENGINE is one of: {engines}.
"""


class Engine(object):
    """One owner of units: ``units`` by name, and the account whose manager runs them, if any."""

    def __init__(self, name):
        self.name = name
        with open(os.path.join(OWNED, name + ".json")) as file:
            things = json.load(file)
        self.units = list(things.get("units", []))
        self.account = None
        for entry in things.get("user_units", []):
            account, dummy, unit = entry.partition("/")
            self.account = account
            self.units.append(unit)

    def compiled(self):
        """The directories with what its workers compiled."""
        caches = []
        for name in (self.name, self.name + "_account"):
            path = os.path.join(OWNED, name + ".json")
            if os.path.exists(path):
                with open(path) as file:
                    caches += json.load(file).get("caches", [])
        found = {os.path.join(os.path.realpath(path), COMPILED) for path in caches}
        return sorted(path for path in found if os.path.isdir(path))

    def scope(self):
        """What leads to the manager."""
        return ["--user", "--machine=%s@.host" % self.account] if self.account else []

    def entries(self):
        """What tells the account's journal entries from others': units may share a name."""
        try:
            return ["_UID=%d" % pwd.getpwnam(str(self.account)).pw_uid]
        except KeyError:
            return []

    def unit(self, model):
        """The unit that serves a model, or that is called so."""
        stems = (model, "%s-%s" % (self.name.replace("_", "-"), model), "onehop-" + model)
        for name in self.units:
            if name == model or name.rpartition(".")[0] in stems:
                return name
        raise Mistake(
            "%s has no unit for %s: it has %s" % (self.name, model, ", ".join(self.units) or "none")
        )

    def account_command(self, words, terminal):
        """The command line that runs ``words`` as the account."""
        if not self.account:
            raise Mistake("%s runs as units of the system, without an account" % self.name)
        how = "--pty" if terminal else "--pipe"
        options = ["--quiet", "--wait", "--collect", how]
        return ["systemd-run"] + self.scope() + options + ["--"] + words


class Mistake(Exception):
    """What cannot be done, in words for the operator."""


def engines():
    """All owners that have units, by name."""
    try:
        names = sorted(os.listdir(OWNED))
    except OSError:
        names = []
    found = [Engine(name[: -len(".json")]) for name in names if name.endswith(".json")]
    return {engine.name: engine for engine in found if engine.units}


def command_line(engine, verb, words, terminal):
    """What is run for a command of an engine."""
    if verb == "status":
        names = [engine.unit(word) for word in words] or engine.units
        return ["systemctl"] + engine.scope() + ["--no-pager", "status", "--"] + names
    if verb == "logs" and words:
        unit = engine.unit(words[0])
        if engine.account:
            whose = engine.entries()
            matches = ["_SYSTEMD_USER_UNIT=" + unit] + whose + ["+", "USER_UNIT=" + unit] + whose
            return ["journalctl"] + matches + words[1:]
        return ["journalctl", "--unit=" + unit] + words[1:]
    if verb == "why":
        names = [engine.unit(word) for word in words] or engine.units
        return PYTHON + [WHY, engine.name, engine.account or "-"] + names
    if verb in ("start", "stop", "restart") and words:
        names = [engine.unit(word) for word in words]
        return ["systemctl"] + engine.scope() + [verb, "--"] + names
    if verb == "systemctl" and words:
        return ["systemctl"] + engine.scope() + words
    if verb == "podman" and words:
        return engine.account_command(["podman"] + words, terminal)
    if verb == "shell" and not words:
        return engine.account_command(["/bin/bash", "-l"], terminal)
    raise Mistake("%s: unknown, or it wants more words. See onehop --help" % verb)


def clear_caches(engine):
    """Remove what the engine's workers compiled; they compile it again when they start."""
    command = ["systemctl"] + engine.scope()
    command += ["show", "--property=Id,ActiveState", "--"] + engine.units
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise Mistake(
            "whether units of %s run cannot be told, and nothing is removed" % engine.name
        )
    out = done.stdout.decode()
    blocks = [
        dict(line.partition("=")[::2] for line in block.split("\n"))
        for block in out.strip().split("\n\n")
    ]
    running = [
        one.get("Id", "?") for one in blocks if one.get("ActiveState") not in ("inactive", "failed")
    ]
    if running:
        raise Mistake(
            "%s: running, and what it compiled is in use. Stop it first: onehop %s systemctl stop %s"
            % (running[0], engine.name, " ".join(running))
        )
    for path in engine.compiled():
        if os.path.islink(path):
            raise Mistake("%s is a link, and is not followed. Remove what it leads to" % path)
        shutil.rmtree(path)
        sys.stdout.write("removed %s\n" % path)


def main(words):
    """The command; its exit status."""
    if not words or words[0] == "status":
        command = PYTHON + [STATUS] + words[1:]
        sys.stdout.flush()
        os.execvp(command[0], command)
    if words[0] in ("-h", "--help", "help"):
        sys.stdout.write(USAGE.format(engines=", ".join(engines()) or "none yet"))
        return 0
    if os.geteuid() != 0:
        sys.stderr.write("onehop: this needs root: sudo onehop %s\n" % " ".join(words))
        return 1
    known = engines()
    try:
        if words[0] not in known:
            raise Mistake("no engine %s: there is %s" % (words[0], ", ".join(known) or "none yet"))
        engine = known[words[0]]
        if len(words) == 1:
            raise Mistake("%s what? See onehop --help" % words[0])
        if words[1] == "units":
            sys.stdout.write("".join("%s\n" % unit for unit in engine.units))
            return 0
        if words[1:] == ["clear-caches"]:
            clear_caches(engine)
            return 0
        command = command_line(engine, words[1], words[2:], sys.stdin.isatty())
        sys.stdout.flush()
        os.execvp(command[0], command)
    except Mistake as mistake:
        sys.stderr.write("onehop: %s\n" % mistake)
        return 2


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
