# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units of one owner: compared, checked, written and pruned as a whole.

This module util is private to the collection.
"""

from __future__ import annotations

import os
import shutil

from ansible_collections.onehop.llm.plugins.module_utils import _files, _stamp, _unit_places
from ansible_collections.onehop.llm.plugins.module_utils._owned import (
    Owned,
    foreign,
    held_by_others,
)
from ansible_collections.onehop.llm.plugins.module_utils._systemd import Systemd, started_at

_CLOCK = 1
"""Seconds by which a file's time and a process's may be apart."""
_VOLATILE = "/run"
"""Where a directory goes with what is in it."""
_EMPTIED = ("/etc/onehop", "/etc/systemd/user", _VOLATILE)
"""Where a directory goes once the last file in it has gone."""


def _text(unit, stamp):
    """The unit's file, with the stamp where it wants one."""
    if not unit["stamp"]:
        return unit["content"]
    return unit["content"] + "\n" + unit["stamp"].format(stamp=stamp)


def _kept(unit, text):
    """A text of the unit's, without the lines that a reload is enough for."""
    keys = tuple(key + "=" for key in unit.get("reloaded", []))
    return "\n".join(line for line in text.split("\n") if not (keys and line.startswith(keys)))


class UnitSet(object):
    """What an owner shall have on this host.

    ``units`` are dictionaries: ``name``, ``content``, ``wanted_by`` (a target or ``None``),
    ``stamp`` (text with ``{stamp}`` that is put behind the content, or ``None``), ``reloaded``
    (keys that do not belong to the stamp, since a reload is enough for them), ``inputs`` and
    ``secrets`` (texts, and paths whose contents, belong to the stamp), ``states`` and ``caches``
    (directories that systemd makes for it). ``directories`` are ``path``, ``mode``, ``owner`` and ``group``. ``files`` are
    ``path``, ``content``, ``mode``, and where its content holds a ``stamp`` over ``secrets``, what
    stands for it there. ``secrets`` are ``path``, ``group``,
    and either ``content`` or ``source``, a path; with a ``variable`` the file is an assignment to
    it. ``account`` owns units that are Quadlets; ``uid`` is what it will have where it is not there
    yet.
    """

    def __init__(
        self,
        run,
        owner,
        units,
        files,
        secrets,
        check_mode,
        directories=(),
        account=None,
        uid=None,
    ):
        self.run = run
        self.place = _unit_places.place(run, account, uid)
        self.owned = Owned(owner)
        self.check_mode = check_mode
        self.units = units
        self.key = _stamp.host_key(make=bool(units) and not check_mode)
        self.directories = [
            _files.Directory(
                item["path"],
                int(item["mode"], 8),
                item["owner"] or "root",
                item["group"] or "root",
            )
            for item in directories
        ]
        self.secrets = [self._secret(item) for item in secrets]
        self.files = [
            _files.File(
                item["path"],
                self._stamped(item),
                mode=int(item["mode"], 8),
                program=item.get("program", False),
            )
            for item in files
        ]
        for unit in units:
            if unit["stamp"] and self._tampered(unit):
                self.owned.salts[unit["name"]] = os.urandom(8).hex()
        self.stamps = {unit["name"]: self._stamp(unit) for unit in units if unit["stamp"]}
        self.unit_files = [
            _files.File(self.place.path(unit["name"]), _text(unit, self.stamps.get(unit["name"])))
            for unit in units
        ]
        self.links = self.place.links(units)

    def _secret(self, item):
        """A secret as a file that root and, where there is one, its group can read."""
        content = item["content"]
        if content is None:
            content = (self._source(item["source"]) or b"").decode("utf-8", "surrogateescape")
        if item["variable"]:
            line = content.rstrip("\n")
            if "\n" in line:
                raise UnitSetError(
                    "%s: the secret for %s has several lines, and an environment variable takes "
                    "one. Hand it over as a file, without environment."
                    % (item["path"], item["variable"])
                )
            content = "%s=%s\n" % (item["variable"], line)
        group = item["group"] or "root"
        mode = 0o600 if group == "root" else 0o640
        return _files.File(
            item["path"],
            content.encode("utf-8", "surrogateescape"),
            mode=mode,
            group=group,
            secret=True,
        )

    def _source(self, path):
        content = _files.read(path)
        if content is None and not self.check_mode:
            raise UnitSetError("%s is not there" % path)
        return content

    @property
    def _wanted(self):
        return self.directories + self.secrets + self.files + self.unit_files + self.links

    def _stamp(self, unit):
        texts = [_kept(unit, unit["content"]), self._salt(unit["name"])] + unit["inputs"]
        return _stamp.stamp(self.key, texts, self._contents(unit["name"], unit["secrets"]))

    def _salt(self, name):
        return self.owned.salts.get(name, "")

    def _contents(self, name, paths):
        """The secrets at ``paths``, as pairs of path and bytes."""
        given = {file.path: file.content for file in self.secrets}
        contents = []
        for path in paths:
            content = given.get(path)
            if content is None:
                content = _files.read(path)
            if content is None and not self.check_mode:
                raise UnitSetError("%s: %s is not there" % (name, path))
            contents.append((path, content or b""))
        return contents

    def _stamped(self, item):
        """A file's text, with the stamp in it where it wants one.

        Who reads the file may have read secrets that somebody has edited. The file then carries the
        stamp of what is declared, so only a new one has them read again.
        """
        if not item.get("stamp"):
            return item["content"]
        path, secrets = item["path"], item["secrets"]
        contents = self._contents(path, secrets)
        stamp = _stamp.stamp(self.key, [self._salt(path)], contents)
        edited = any(file.path in secrets and file.differs() for file in self.secrets)
        if edited and stamp.encode() in (_files.read(path) or b""):
            self.owned.salts[path] = os.urandom(8).hex()
            stamp = _stamp.stamp(self.key, [self._salt(path)], contents)
        return item["content"].replace(item["stamp"], stamp)

    def _tampered(self, unit):
        """Whether its process may have been started from files that somebody has edited.

        They say that they are what is declared, by their stamp, and are not. The process carries
        the same stamp, so only a new one gets it restarted. Edits after its start do not concern
        it.
        """
        path = self.place.path(unit["name"])
        stamp = self._stamp(unit)
        text = (_files.read(path) or b"").decode("utf-8", "replace")
        if stamp not in text:
            return False
        edited = [path] if _kept(unit, text) != _kept(unit, _text(unit, stamp)) else []
        edited += [
            file.path for file in self.secrets if file.path in unit["secrets"] and file.differs()
        ]
        times = [os.stat(name).st_mtime for name in edited if os.path.exists(name)]
        if not times:
            return False
        shown = self.place.manager.show([unit["name"]])[unit["name"]]
        started = started_at(shown["MainPID"])
        return started is not None and started >= min(times) - _CLOCK

    def problems(self):
        """What speaks against writing: units of others, and what systemd's parser refuses."""
        found = [
            "%s exists, and this collection did not make it. Remove it, or give the model another "
            "name." % file.path
            for file in self.unit_files
            if foreign(file.path, self.owned)
        ]
        return found + self.place.complaints([file for file in self.unit_files if file.differs()])

    def converge(self):
        """Bring the host there; a dictionary with ``changed``, ``diff`` and ``removed``."""
        wanted = self._wanted
        changed = [thing for thing in wanted if thing.differs()]
        paths = [thing.path for thing in wanted]
        paths += [path for unit in self.units for path in unit.get("sockets", [])]
        left = [path for path in self.owned.things["paths"] if path not in paths]
        shared = held_by_others(self.owned.owner)
        orphans = [path for path in left if path not in shared]
        names: dict = {"units": [], "user_units": []}
        names[self.place.kind] = [self.place.noted(unit["name"]) for unit in self.units]
        gone = {
            kind: [name for name in self.owned.things[kind] if name not in wanted_names]
            for kind, wanted_names in names.items()
        }
        removed = [name.rpartition("/")[2] for kind in sorted(gone) for name in gone[kind]]
        diff = [thing.diff() for thing in changed]
        diff += [_files.removal(path) for path in orphans if os.path.lexists(path)]
        if not self.check_mode:
            self._note(paths, names)
            self._stop(gone)
            for thing in changed:
                thing.write()
            self._remove(orphans)
            if changed or orphans:
                self._reload(gone)
            for kind in sorted(gone):
                self.owned.drop(kind, gone[kind])
            for name in set(removed) - {unit["name"] for unit in self.units}:
                self.owned.salts.pop(name, None)
            self.owned.drop("paths", left)
            self.owned.save()
        return {"changed": bool(changed or orphans or removed), "diff": diff, "removed": removed}

    def _note(self, paths, names):
        self.owned.add("paths", paths)
        for kind in sorted(names):
            self.owned.add(kind, names[kind])
        for kind in ("states", "caches"):
            self.owned.add(kind, [path for unit in self.units for path in unit[kind]])
        self.owned.save()

    def _stop(self, gone):
        """Stop units that go, also ones whose file somebody has removed already."""
        stop(Systemd(self.run), gone["units"])
        for place, names in _unit_places.user_places(self.run, gone["user_units"]):
            stop(place.manager, names)

    def _reload(self, gone):
        """Have the managers that are concerned read their units again."""
        self.place.manager.reload()
        for place, dummy in _unit_places.user_places(self.run, gone["user_units"]):
            if place.account != self.place.account:
                place.manager.reload()

    def _remove(self, paths):
        for path in paths:
            if os.path.isdir(path) and not os.path.islink(path):
                if path.startswith(_VOLATILE + "/"):
                    shutil.rmtree(path)
                else:
                    _files.remove_empty(path, os.path.dirname(path))
            elif os.path.lexists(path):
                os.unlink(path)
            for stop in _EMPTIED:
                _files.remove_empty(os.path.dirname(path), stop)


class UnitSetError(Exception):
    """What cannot be brought about, in words for the operator."""


def stop(manager, names):
    """Stop those that run, and forgive those that have failed."""
    states = manager.show(names)
    running = [name for name in names if states[name]["ActiveState"] not in ("inactive", "failed")]
    manager.do("stop", running)
    manager.forgive([name for name in names if states[name]["ActiveState"] == "failed"])
