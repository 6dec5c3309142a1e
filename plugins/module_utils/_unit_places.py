# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where units live: with the system's manager, or as Quadlets with an account's.

A place knows the path of a unit's file, what links enable it, which manager runs it, and how to
have a text checked by the parser that will read it.

This module util is private to the collection.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile

from ansible_collections.onehop.llm.plugins.module_utils import _files, _user_manager
from ansible_collections.onehop.llm.plugins.module_utils._systemd import Systemd

UNITS = "/etc/systemd/system"
GENERATORS = (
    "/usr/libexec/podman/quadlet",
    "/usr/lib/podman/quadlet",
    "/usr/lib/systemd/user-generators/podman-user-generator",
)
_COMPLAINT = re.compile(r"^(/\S+):(\d+): (.*)$")
_SAID = re.compile(r"^quadlet-generator\[\d+\]: ")
_MEANWHILE = ("Loading source unit file ", "No files parsed from ", "Warning: ")
_SUMMARY = "processing encountered some errors"
_GENERATED = re.compile(r"^---(.+)---$", re.MULTILINE)


class SystemPlace(object):
    """Units of the system."""

    kind = "units"
    account = None

    def __init__(self, run):
        self.run = run
        self.manager = Systemd(run)

    @staticmethod
    def path(name):
        """The file of the unit called ``name``."""
        return "%s/%s" % (UNITS, name)

    @staticmethod
    def noted(name):
        """How an owner's list calls it."""
        return name

    @staticmethod
    def links(units):
        """What enables the units."""
        return [
            _files.Link(
                "%s/%s.wants/%s" % (UNITS, unit["wanted_by"], unit["name"]), "../" + unit["name"]
            )
            for unit in units
            if unit["wanted_by"]
        ]

    def complaints(self, files):
        """The words of systemd's own parser about the files; nothing where it is missing."""
        with _Copies(files) as copies:
            return verify(self.run, copies.paths)


class UserPlace(object):
    """Quadlets of an account. ``uid`` is what it will be where the host has no such account yet."""

    kind = "user_units"

    def __init__(self, run, account, uid):
        self.run = run
        self.account = account
        known = _user_manager.uid_of(account)
        self.uid = uid if known is None else known
        self.manager = _user_manager.UserSystemd(run, account)

    def path(self, name):
        """The file of the unit called ``name``."""
        stem = name.rpartition(".")[0]
        return "%s/%s/%s.container" % (_user_manager.QUADLETS, self.uid, stem)

    def noted(self, name):
        """How an owner's list calls it."""
        return "%s/%s" % (self.account, name)

    @staticmethod
    def links(dummy_units):
        """None: the generator reads their [Install] sections."""
        return []

    def complaints(self, files):
        """The words of Podman's generator, and of systemd's parser about what that makes."""
        generator = next((path for path in GENERATORS if os.path.exists(path)), None)
        if generator is None or not files:
            return []
        with _Copies(files) as copies:
            command = [
                "env",
                "QUADLET_UNIT_DIRS=" + copies.directory,
                generator,
                "-dryrun",
                "-user",
            ]
            status, out, err = self.run(command)
            found = []
            if status != 0:
                said = err.replace(copies.directory + "/", "").split("\n")
                lines = [_SAID.sub("", line).strip() for line in said]
                found = [
                    line
                    for line in lines
                    if line and line != _SUMMARY and not line.startswith(_MEANWHILE)
                ] or ["%s ended with status %d" % (generator, status)]
            return found + verify(self.run, copies.add(_generated(out)), "--user")


def _generated(out):
    """The units in a generator's dry run, by name."""
    parts = _GENERATED.split(out)
    return dict(zip(parts[1::2], parts[2::2]))


class _Copies(object):
    """Files under their own names in a directory that goes again."""

    def __init__(self, files):
        self.files = files
        self.directory = tempfile.mkdtemp(prefix="onehop-verify-")
        self.paths = []

    def __enter__(self):
        for file in self.files:
            self._write(os.path.basename(file.path), file.content)
        return self

    def __exit__(self, *dummy):
        shutil.rmtree(self.directory)

    def _write(self, name, content):
        path = os.path.join(self.directory, name)
        with open(path, "wb") as copy:
            copy.write(content)
        self.paths.append(path)
        return path

    def add(self, texts):
        """More files; their paths."""
        return [self._write(name, text.encode("utf-8")) for name, text in sorted(texts.items())]


def verify(run, paths, *options):
    """What systemd's parser says of unit files, without the directory that they lie in."""
    if not paths or shutil.which("systemd-analyze") is None:
        return []
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no"]
    dummy, out, err = run(command + list(options) + list(paths))
    found = []
    for line in (out + err).split("\n"):
        complaint = _COMPLAINT.match(line)
        if complaint and complaint.group(1) in paths:
            name = os.path.basename(complaint.group(1))
            found.append("%s, line %s: %s" % (name, complaint.group(2), complaint.group(3)))
    return found


def place(run, account=None, uid=None):
    """The place of an account's units, or of the system's without one."""
    return UserPlace(run, account, uid) if account else SystemPlace(run)


def of(run, owned):
    """Pairs of a place and the names of the units that an owner has there."""
    found = [(SystemPlace(run), owned.things["units"])] if owned.things["units"] else []
    return found + user_places(run, owned.things["user_units"])


def user_places(run, noted):
    """Pairs of a place and unit names, for entries of an owner's list of ``user_units``."""
    by_account: dict = {}
    for entry in noted:
        account, dummy, name = entry.partition("/")
        by_account.setdefault(account, []).append(name)
    return [(UserPlace(run, account, None), names) for account, names in sorted(by_account.items())]
