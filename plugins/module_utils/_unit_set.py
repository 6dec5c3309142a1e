# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units of one owner: compared, checked, written and pruned as a whole.

This module util is private to the collection.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile

from ansible_collections.onehop.llm.plugins.module_utils import _files, _stamp
from ansible_collections.onehop.llm.plugins.module_utils._owned import Owned, foreign
from ansible_collections.onehop.llm.plugins.module_utils._systemd import Systemd, started_at

UNITS = "/etc/systemd/system"
_CLOCK = 1
"""Seconds by which a file's time and a process's may be apart."""
_COMPLAINT = re.compile(r"^(/\S+):(\d+): (.*)$")


def _text(unit, stamp):
    """The unit's file, with the stamp where it wants one."""
    if not unit["stamp"]:
        return unit["content"]
    return unit["content"] + "\n" + unit["stamp"].format(stamp=stamp)


class UnitSet(object):
    """What an owner shall have on this host.

    ``units`` are dictionaries: ``name``, ``content``, ``wanted_by`` (a target or ``None``),
    ``stamp`` (text with ``{stamp}`` that is put behind the content, or ``None``), ``secrets``
    (paths whose contents belong to the stamp), ``states`` and ``caches`` (directories that systemd makes for it). ``files`` are ``path``,
    ``content`` and ``mode``; ``secrets`` are ``path`` and ``content``.
    """

    def __init__(self, run, owner, units, files, secrets, check_mode):
        self.systemd = Systemd(run)
        self.run = run
        self.owned = Owned(owner)
        self.check_mode = check_mode
        self.units = units
        self.key = _stamp.host_key(make=bool(units) and not check_mode)
        self.secrets = [
            _files.File(item["path"], item["content"], mode=0o600, secret=True) for item in secrets
        ]
        self.files = [
            _files.File(item["path"], item["content"], mode=int(item["mode"], 8)) for item in files
        ]
        for unit in units:
            if unit["stamp"] and self._tampered(unit):
                self.owned.salts[unit["name"]] = os.urandom(8).hex()
        self.stamps = {unit["name"]: self._stamp(unit) for unit in units if unit["stamp"]}
        self.unit_files = [
            _files.File("%s/%s" % (UNITS, unit["name"]), _text(unit, self.stamps.get(unit["name"])))
            for unit in units
        ]
        self.links = [
            _files.Link(
                "%s/%s.wants/%s" % (UNITS, unit["wanted_by"], unit["name"]),
                "../" + unit["name"],
            )
            for unit in units
            if unit["wanted_by"]
        ]

    @property
    def _wanted(self):
        return self.secrets + self.files + self.unit_files + self.links

    def _stamp(self, unit):
        given = {file.path: file.content for file in self.secrets}
        contents = []
        for path in unit["secrets"]:
            content = given.get(path)
            if content is None:
                content = _files.read(path)
            if content is None and not self.check_mode:
                raise UnitSetError("%s: %s is not there" % (unit["name"], path))
            contents.append((path, content or b""))
        texts = [unit["content"], self.owned.salts.get(unit["name"], "")]
        return _stamp.stamp(self.key, texts, contents)

    def _tampered(self, unit):
        """Whether its process may have been started from files that somebody has edited.

        They say that they are what is declared, by their stamp, and are not. The process carries
        the same stamp, so only a new one gets it restarted. Edits after its start do not concern
        it.
        """
        path = "%s/%s" % (UNITS, unit["name"])
        stamp = self._stamp(unit)
        text = (_files.read(path) or b"").decode("utf-8", "replace")
        if stamp not in text:
            return False
        edited = [path] if text != _text(unit, stamp) else []
        edited += [
            file.path for file in self.secrets if file.path in unit["secrets"] and file.differs()
        ]
        times = [os.stat(name).st_mtime for name in edited if os.path.exists(name)]
        if not times:
            return False
        started = started_at(self.systemd.show([unit["name"]])[unit["name"]]["MainPID"])
        return started is not None and started >= min(times) - _CLOCK

    def problems(self):
        """What speaks against writing: units of others, and what systemd's parser refuses."""
        found = [
            "%s exists, and this collection did not make it. Remove it, or give the model another "
            "name." % file.path
            for file in self.unit_files
            if foreign(file.path, self.owned)
        ]
        return found + self._complaints()

    def _complaints(self):
        """The words of systemd's own parser about our units; nothing where it is missing."""
        changed = [file for file in self.unit_files if file.differs()]
        if not changed:
            return []
        directory = tempfile.mkdtemp(prefix="onehop-verify-")
        try:
            paths = []
            for file in changed:
                paths.append(os.path.join(directory, os.path.basename(file.path)))
                with open(paths[-1], "wb") as copy:
                    copy.write(file.content)
            command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no"]
            dummy, out, err = self.run(command + paths)
        finally:
            shutil.rmtree(directory)
        found = []
        for line in (out + err).split("\n"):
            complaint = _COMPLAINT.match(line)
            if complaint and complaint.group(1) in paths:
                name = os.path.basename(complaint.group(1))
                found.append("%s, line %s: %s" % (name, complaint.group(2), complaint.group(3)))
        return found

    def converge(self):
        """Bring the host there; a dictionary with ``changed``, ``diff`` and ``removed``."""
        wanted = self._wanted
        changed = [thing for thing in wanted if thing.differs()]
        paths = [thing.path for thing in wanted]
        paths += [path for unit in self.units for path in unit.get("sockets", [])]
        orphans = [path for path in self.owned.things["paths"] if path not in paths]
        names = [unit["name"] for unit in self.units]
        gone = [name for name in self.owned.things["units"] if name not in names]
        diff = [thing.diff() for thing in changed]
        diff += [_files.removal(path) for path in orphans if os.path.lexists(path)]
        if not self.check_mode:
            self._note(paths, names)
            self._stop(gone)
            for thing in changed:
                thing.write()
            self._remove(orphans)
            if changed or orphans:
                self.systemd.reload()
            self.owned.drop("units", gone)
            for name in gone:
                self.owned.salts.pop(name, None)
            self.owned.drop("paths", orphans)
            self.owned.save()
        return {"changed": bool(changed or orphans or gone), "diff": diff, "removed": gone}

    def _note(self, paths, names):
        self.owned.add("paths", paths)
        self.owned.add("units", names)
        for kind in ("states", "caches"):
            self.owned.add(kind, [path for unit in self.units for path in unit[kind]])
        self.owned.save()

    def _stop(self, names):
        """Stop units that go, also ones whose file somebody has removed already."""
        states = self.systemd.show(names)
        running = [
            name for name in names if states[name]["ActiveState"] not in ("inactive", "failed")
        ]
        self.systemd.do("stop", running)
        failed = [name for name in names if states[name]["ActiveState"] == "failed"]
        self.systemd.forgive(failed)

    def _remove(self, paths):
        for path in paths:
            if os.path.lexists(path):
                os.unlink(path)
            for stop in ("/etc/onehop", "/run"):
                _files.remove_empty(os.path.dirname(path), stop)


class UnitSetError(Exception):
    """What cannot be brought about, in words for the operator."""
