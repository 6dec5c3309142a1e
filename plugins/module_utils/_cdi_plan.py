# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who makes the host's CDI specs anew, and which are to be made.

This module util is private to the collection.
"""

from __future__ import annotations

import json
import os
import re

from ansible_collections.onehop.llm.plugins.module_utils import _files
from ansible_collections.onehop.llm.plugins.module_utils._cdi_registry import Host, Registry, Spec
from ansible_collections.onehop.llm.plugins.module_utils._cdi_tools import (
    REFRESH,
    TOOLS,
    find_program,
)
from ansible_collections.onehop.llm.plugins.module_utils._systemd import Systemd, SystemdError

REFRESH_SETTINGS = "/etc/nvidia-container-toolkit/nvidia-cdi-refresh.env"
_OUTPUT = "NVIDIA_CTK_CDI_OUTPUT_FILE_PATH"


class Plan(object):
    """What is to be done, so that the host has a spec for each GPU that somebody can make one for.

    ``instead`` are files as they shall be, for :class:`Registry`; ``refresh`` is the file that the
    toolkit's own unit is to make anew; ``made`` are the files that it or we make; ``failures`` say
    what could not be found out.
    """

    def __init__(self, run, owned, root=""):
        self.run = run
        self.owned = owned
        self.root = root
        self.host = Host(root)
        self.instead: dict = {}
        self.refresh = ""
        self.made: list = []
        self.failures: list = []

    def present(self):
        """Plan for specs that are there and fresh."""
        registry = self.registry()
        for tool in TOOLS:
            if not any(self.host.exists(sign) for sign in tool.signs):
                continue
            output = self._output() if tool is TOOLS[0] else ""
            if output:
                self._leave_to_unit(tool, output)
            else:
                self._write(tool, registry)
        return self

    def absent(self):
        """Plan for the removal of what we made."""
        for tool in TOOLS:
            if self._ours(tool.path):
                self._remove(tool.path)
        return self

    def registry(self):
        """The specs as they will be."""
        return Registry(root=self.root, instead=self.instead)

    def _fresh(self, path):
        content = _files.read(self.host.at(path))
        return content is not None and Spec(path, content, self.host).fresh

    def _ours(self, path):
        return path in self.owned.things["paths"]

    def _remove(self, path):
        if os.path.lexists(self.host.at(path)):
            self.instead[path] = None

    def _output(self):
        """The file that the toolkit's own unit writes; nothing where there is no such unit."""
        if find_program("systemctl") is None:
            return ""
        try:
            if Systemd(self.run).show([REFRESH])[REFRESH].get("LoadState") != "loaded":
                return ""
        except SystemdError:
            return ""
        dummy, out, dummy_err = self.run(["systemctl", "show", "--property=Environment", REFRESH])
        output = "/var/run/cdi/nvidia.yaml"
        for line in out.split("\n") + self.host.text(REFRESH_SETTINGS).split("\n"):
            found = re.search(r"\b%s=[\"']?([^\"'\s]+)" % _OUTPUT, line)
            if found and not line.lstrip().startswith("#"):
                output = found.group(1)
        return "/var" + output if output.startswith("/run/") else output

    def _leave_to_unit(self, tool, output):
        self.made.append(output)
        if not self._fresh(output):
            predicted, dummy = tool.make(self.run, os.path.splitext(output)[1])
            if predicted is None or predicted != _files.read(self.host.at(output)):
                self.refresh = output
            if predicted is not None and self.refresh:
                self.instead[output] = predicted
        if self._ours(tool.path) and tool.path != output:
            self._remove(tool.path)

    def _write(self, tool, registry):
        others = [
            spec for spec in registry.specs if spec.kind == tool.kind and not self._ours(spec.path)
        ]
        current = registry.at(tool.path)
        if others:
            # A second file with the same names would make both useless.
            if all(spec.fresh for spec in others) and self._ours(tool.path):
                self._remove(tool.path)
            return
        if find_program(tool.program) is None:
            return
        self.made.append(tool.path)
        if current is not None and current.fresh and current.reboot:
            return
        content, why = tool.make(self.run)
        if content is None:
            self.failures.append(
                "%s: could not be made: %s. Mend that, or remove %s."
                % (tool.path, why.rstrip("."), tool.program)
            )
            return
        before = _files.read(self.host.at(tool.path))
        if before is not None and same(before, content):
            content = before
        if _files.File(self.host.at(tool.path), content).differs():
            self.instead[tool.path] = content

    def diff(self):
        """Before and after of each file, as far as that can be told."""
        found = []
        for path, content in sorted(self.instead.items()):
            if content is None:
                found.append(_files.removal(self.host.at(path)))
            else:
                found.append(_files.File(self.host.at(path), content).diff())
        if self.refresh and self.refresh not in self.instead:
            found.append(
                {
                    "before_header": self.refresh,
                    "after_header": self.refresh,
                    "before": "",
                    "after": "(what %s makes)\n" % REFRESH,
                }
            )
        return found

    def carry_out(self):
        """Do it; before and after of each file that changed."""
        done = []
        if self.refresh:
            done += self._run_unit()
        done += self.diff()
        for path, content in sorted(self.instead.items()):
            if content is None:
                os.unlink(self.host.at(path))
            else:
                self.owned.add("paths", [path])
                self.owned.save()
                _files.File(self.host.at(path), content).write()
        paths = [tool.path for tool in TOOLS]
        self.owned.drop("paths", [path for path in paths if not self.host.exists(path)])
        self.owned.save()
        self.instead = {}
        return done

    def _run_unit(self):
        output, self.refresh = self.refresh, ""
        self.instead.pop(output, None)
        path = self.host.at(output)
        before = _files.read(path)
        systemd = Systemd(self.run)
        systemd.forgive([REFRESH])
        try:
            systemd.do("restart", [REFRESH])
        except SystemdError as error:
            self.failures.append(
                "%s: %s. See what journalctl --unit=%s says." % (output, error, REFRESH)
            )
        if not self._fresh(output):
            # Ours is better than none.
            self.instead.pop(TOOLS[0].path, None)
        after = _files.read(path)
        if before == after:
            return []
        header = {"before_header": output, "after_header": output}
        return [
            dict(
                header,
                before=(before or b"").decode("utf-8", "replace"),
                after=(after or b"").decode("utf-8", "replace"),
            )
        ]


def same(one, other):
    """Whether two specs in JSON say the same, in whatever order."""
    try:
        return _ordered(json.loads(one.decode("utf-8"))) == _ordered(
            json.loads(other.decode("utf-8"))
        )
    except ValueError:
        return one == other


def _ordered(value):
    if isinstance(value, dict):
        return {key: _ordered(entry) for key, entry in value.items()}
    if isinstance(value, list):
        entries = [_ordered(entry) for entry in value]
        if all(isinstance(entry, dict) for entry in entries):
            # Of devices, nodes, mounts and hooks; the words of a command stay in theirs.
            entries.sort(key=lambda entry: json.dumps(entry, sort_keys=True))
        return entries
    return value
