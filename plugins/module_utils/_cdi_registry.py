# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's CDI specs: which devices they name, and what is wrong with them.

This module util is private to the collection.
"""

from __future__ import annotations

import os
import re
import stat

from ansible_collections.onehop.llm.plugins.module_utils import _cdi_format, _files
from ansible_collections.onehop.llm.plugins.module_utils._cdi_tools import REFRESH, TOOLS

DIRECTORIES = ("/etc/cdi", "/var/run/cdi")
"""Where specs are; what a later one says of a device counts."""

_DRIVER = re.compile(r"(.*/lib(?:cuda|nvidia-ml)\.so\.)([0-9]{3,}(?:\.[0-9]+)+)")
"""Two of the driver's libraries, named for its version; others have versions of their own."""


class Host(object):
    """What a spec is held against. ``root`` is where the host's files are, for tests."""

    def __init__(self, root=""):
        self.root = root

    def at(self, path):
        """Where a path of the host is."""
        return self.root + path

    def exists(self, path):
        """Whether the host has it."""
        return os.path.exists(self.at(path))

    def text(self, path):
        """A file's text, or nothing."""
        try:
            return (_files.read(self.at(path)) or b"").decode("utf-8", "replace")
        except OSError:
            return ""

    def driver(self):
        """The version of the NVIDIA driver that is loaded, or nothing."""
        version = self.text("/sys/module/nvidia/version").strip()
        if version:
            return version
        found = re.search(r"\s([0-9]{3,}(?:\.[0-9]+)+)\s", self.text("/proc/driver/nvidia/version"))
        return found.group(1) if found else ""


class Spec(object):
    """One file.

    ``faults`` say why the CDI library refuses it, ``gone`` are the host's paths that it names and
    that are missing, ``moved`` tells of a driver that is another now, and ``reboot`` of one that is
    installed and not loaded.
    """

    def __init__(self, path, content, host):
        self.path = path
        self.kind = ""
        self.names: list = []
        self.gone: list = []
        self.moved = self.reboot = ""
        data, self.faults = _cdi_format.parse(path, content)
        if self.faults:
            # Whose it is, as far as that can be told: it may be mended, or read by somebody else.
            text = content.decode("utf-8", "replace")
            found = re.search(r"[\"']?kind[\"']?:\s*[\"']?(%s)" % _cdi_format.KIND.pattern, text)
            self.kind = found.group(1) if found else ""
            return
        self.kind = _cdi_format.said(data["kind"])
        self.names = _cdi_format.devices(data)
        paths = _cdi_format.host_paths(data)
        self.gone = [path for path in paths if not host.exists(path)]
        self._hold_against_driver(paths, host)

    def _hold_against_driver(self, paths, host):
        loaded = host.driver()
        libraries = [match for match in map(_DRIVER.fullmatch, paths) if match]
        for library in libraries if loaded else ():
            if library.group(2) == loaded:
                continue
            said = "is for the NVIDIA driver %s, and %s is loaded" % (library.group(2), loaded)
            if host.exists(library.group()) and not host.exists(library.group(1) + loaded):
                self.reboot = said
            else:
                self.moved = said

    @property
    def fresh(self):
        """Whether making it anew would help nothing."""
        return not (self.faults or self.gone or self.moved)

    def problems(self):
        """A sentence for each thing that is wrong with it, and what mends it."""
        if self.faults:
            yield "%s: is refused whole, as %s. Mend it, or: %s" % (
                self.path,
                "; ".join(fault.rstrip(".") for fault in self.faults),
                self.remedy(),
            )
        if self.gone:
            yield "%s: names %s, which the host does not have. %s" % (
                self.path,
                _some(self.gone),
                self.remedy(),
            )
        if self.moved:
            yield "%s: %s. %s" % (self.path, self.moved, self.remedy())
        if self.reboot:
            yield "%s: %s. Restart the host, so that the installed driver is loaded." % (
                self.path,
                self.reboot,
            )

    def remedy(self):
        """What to do about a stale one."""
        for tool in TOOLS:
            if self.kind == tool.kind and self.path.startswith(DIRECTORIES[0]):
                return "Make it anew with %s cdi generate --output=%s, or remove it." % (
                    tool.program,
                    self.path,
                )
        if self.kind == TOOLS[0].kind:
            return "Make it anew with systemctl restart %s, or remove it." % REFRESH
        return "Make it anew with what made it, or remove it."


class Registry(object):
    """All specs: ``specs``, ``devices`` (file by name), ``conflicts``, ``problems``.

    ``instead`` has files that are to be taken for others than they are: bytes by path, or ``None``
    for a file that is to be taken for gone.
    """

    def __init__(self, directories=DIRECTORIES, root="", instead=None):
        self.host = Host(root)
        self.directories = directories
        self.problems: list = []
        self.specs: list = []
        self.devices: dict = {}
        self.conflicts: dict = {}
        self._instead = instead or {}
        shadowed: dict = {}
        places: dict = {}
        for priority, directory in enumerate(directories):
            for spec in self._read(directory):
                self.specs.append(spec)
                for name in spec.names:
                    other = places.get(name)
                    if other and other[0] == priority:
                        self.conflicts.setdefault(name, [other[1].path]).append(spec.path)
                        continue
                    if other:
                        shadowed.setdefault((other[1], spec), []).append(name)
                    places[name] = (priority, spec)
        self.devices = {
            name: places[name][1].path for name in sorted(places) if name not in self.conflicts
        }
        for spec in self.specs:
            self.problems += spec.problems()
        self._say_conflicts()
        for (lower, upper), names in shadowed.items():
            self._say_shadow(lower, upper, names)

    def at(self, path):
        """The spec in a file, or ``None``."""
        return next((spec for spec in self.specs if spec.path == path), None)

    def _read(self, directory):
        place = self.host.at(directory)
        if os.path.islink(place):
            self.problems.append(
                "%s: is a link, and specs behind one are not read. Make it a directory." % directory
            )
            return
        try:
            names = set(os.listdir(place))
            self._say_mode(directory, 0o005, "0755")
        except (FileNotFoundError, NotADirectoryError):
            names = set()
        except OSError as error:
            names = set()
            self.problems.append("%s: cannot be read: %s." % (directory, error.strerror))
        names |= {
            os.path.basename(path) for path in self._instead if os.path.dirname(path) == directory
        }
        for name in sorted(names):
            if name.endswith((".json", ".yaml")):
                spec = self._load("%s/%s" % (directory, name))
                if spec is not None:
                    yield spec

    def _load(self, path):
        if path in self._instead:
            content = self._instead[path]
            return None if content is None else Spec(path, content, self.host)
        if os.path.isdir(self.host.at(path)):
            return None
        try:
            with open(self.host.at(path), "rb") as file:
                content = file.read()
            self._say_mode(path, 0o004, "0644")
        except OSError as error:
            self.problems.append("%s: cannot be read: %s. Remove it." % (path, error.strerror))
            return None
        return Spec(path, content, self.host)

    def _say_mode(self, path, needed, better):
        mode = stat.S_IMODE(os.stat(self.host.at(path)).st_mode)
        if mode & needed != needed:
            self.problems.append(
                "%s: has mode %04o, so that rootless containers cannot use it. Give it mode %s."
                % (path, mode, better)
            )

    def _say_conflicts(self):
        groups: dict = {}
        for name, paths in sorted(self.conflicts.items()):
            groups.setdefault(tuple(paths), []).append(name)
        for paths, names in groups.items():
            self.problems.append(
                "%s: is in %s, and so in none of them counts. Remove all of these files but one."
                % (_some(names), " and in ".join(paths))
            )

    def _say_shadow(self, lower, upper, names):
        said = "%s: %s is in %s too, which counts" % (lower.path, _some(names), upper.path)
        only = [name for name in lower.names if self.devices.get(name) == lower.path]
        if only and not lower.fresh:
            said += "; and what only %s has, %s, is stale" % (lower.path, _some(only))
        if lower.fresh and not upper.fresh:
            self.problems.append("%s, and is stale. %s" % (said, upper.remedy()))
        else:
            self.problems.append("%s. Remove %s." % (said, lower.path))


def _some(things):
    """The first of many."""
    if len(things) > 3:
        return "%s and %d more" % (", ".join(things[:2]), len(things) - 2)
    return ", ".join(things)
