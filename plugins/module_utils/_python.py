# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Python on the host: the one to run our programs with, and environments made from it.

This module util is private to the collection.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile

from ansible_collections.onehop.llm.plugins.module_utils._archive import ArchiveError, extract

HOME = "/opt/onehop"
OLDEST = (3, 11)
NAMES = ("python3.14", "python3.13", "python3.12", "python3.11", "python3")
PLACES = ("/usr/bin", "/usr/local/bin")
_ASK = (
    "import json, platform, sys, sysconfig\n"
    "import ensurepip, venv\n"
    "libc, version = platform.libc_ver()\n"
    "print(json.dumps({'python': '%d.%d' % sys.version_info[:2],\n"
    " 'machine': platform.machine(), 'libc': libc or 'musl', 'libc_version': version,\n"
    " 'tag': sysconfig.get_config_var('SOABI') or ''}))\n"
)


class EnvironmentFailed(Exception):
    """Why an environment could not be made, in words for the operator."""


class Python(object):
    """An interpreter: its path and what packages for it have to fit."""

    def __init__(self, path, target):
        self.path = path
        self.target = target

    @property
    def new_enough(self):
        """Whether our programs run on it."""
        return tuple(int(part) for part in self.target["python"].split(".")) >= OLDEST


def find(run, path=None):
    """The interpreter at ``path``, or the newest that is found; ``None`` where none will do."""
    candidates = [path] if path else [os.path.join(p, n) for n in NAMES for p in PLACES]
    for candidate in candidates:
        if not os.access(candidate, os.X_OK):
            continue
        status, out, dummy = run([candidate, "-I", "-c", _ASK])
        if status == 0:
            python = Python(candidate, json.loads(out))
            if python.new_enough:
                return python
    return None


def complaint(path=None, variable="router_python"):
    """Why :func:`find` gave ``None``, in words for the operator."""
    return (
        "%s. This needs Python 3.11 or newer with venv: install it (on Debian python3-venv), or name "
        "one in %s."
        % (
            "%s = %s is none that is new enough" % (variable, path)
            if path
            else "No Python that is new enough is on this host",
            variable,
        )
    )


def programs(pids):
    """What each process was started as."""
    found = []
    for pid in pids:
        try:
            with open("/proc/%s/cmdline" % pid) as file:
                found.append(file.read().partition("\0")[0])
        except OSError:
            continue
    return found


class Environment(object):
    """An environment for one interpreter and one ``identity`` of its sources.

    ``module`` are the modules that have to be found in it.
    """

    def __init__(self, run, python, identity, name, module):
        self.run = run
        self.python = python
        text = json.dumps([identity, python.path, python.target["tag"]])
        self.module = module
        self.home = "%s/%s" % (HOME, name)
        self.path = "%s/%s" % (self.home, hashlib.sha256(text.encode()).hexdigest()[:16])

    def works(self):
        """Whether it is there and its interpreter still finds what it is for."""
        program = os.path.join(self.path, "bin", "python")
        if not os.path.exists(os.path.join(self.path, "complete")):
            return False
        return self.run([program, "-I", "-c", "import " + self.module])[0] == 0

    def make(self, sent, offline):
        """Make it from a tar archive of a lock, our own packages and, when ``offline``, the wheels.

        An environment cannot be moved once it is made, so it is made in its place and counts only
        with the file ``complete`` in it.
        """
        if os.path.isdir(self.path):
            shutil.rmtree(self.path)
        os.makedirs(self.home, mode=0o755, exist_ok=True)
        work = tempfile.mkdtemp(prefix="onehop-environment-")
        content = os.path.join(work, "content")
        try:
            extract(sent, content)
            self._do([self.python.path, "-I", "-m", "venv", self.path], "make the environment")
            self._install(content, offline)
        except ArchiveError as error:
            raise EnvironmentFailed(
                "What the controller sent cannot be used: %s" % error
            ) from error
        finally:
            shutil.rmtree(work)
        with open(os.path.join(self.path, "complete"), "w"):
            pass

    def supersede(self, owned):
        """Remove the other environments on an owner's list, but for those that something runs in."""
        used = set(programs(pid for pid in os.listdir("/proc") if pid.isdigit()))
        old = [
            path
            for path in owned.things["directories"]
            if path != self.path and os.path.join(path, "bin", "python") not in used
        ]
        for path in old:
            shutil.rmtree(path, ignore_errors=True)
        owned.drop("directories", old)
        owned.save()

    def _install(self, content, offline):
        program = os.path.join(self.path, "bin", "python")
        command = [program, "-I", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        command += ["--require-hashes", "--only-binary=:all:", "--no-deps"]
        if offline:
            command += ["--no-index", "--find-links", os.path.join(content, "wheelhouse")]
        command += ["--requirement", os.path.join(content, "requirements.txt")]
        self._do(command, "install its packages")
        ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
        packages = self._do([program, "-I", "-c", ask], "find its packages").strip()
        site = os.path.join(content, "site")
        ours = [os.path.join(packages, name) for name in sorted(os.listdir(site))]
        shutil.copytree(site, packages, dirs_exist_ok=True)
        self._do([program, "-I", "-m", "compileall", "-q"] + ours, "compile our own")

    def _do(self, command, what):
        status, out, err = self.run(command)
        if status != 0:
            raise EnvironmentFailed(
                "Could not %s: %s" % (what, (err.strip() or out.strip())[-800:])
            )
        return out
