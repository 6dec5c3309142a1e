# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Python on the host: the one to run the router with, and environments made from it.

This module util is private to the collection.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile

from ansible_collections.onehop.llm.plugins.module_utils._archive import ArchiveError, extract

HOME = "/opt/onehop/router"
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
        """Whether the router runs on it."""
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


def complaint(path=None):
    """Why :func:`find` gave ``None``, in words for the operator."""
    return (
        "%s. The router needs Python 3.11 or newer with venv: install it (on Debian "
        "python3-venv), or name one in router_python."
        % (
            "router_python = %s is none that is new enough" % path
            if path
            else "No Python that is new enough is on this host"
        )
    )


class Environment(object):
    """The router's environment for one interpreter and one ``identity`` of its sources."""

    def __init__(self, run, python, identity):
        self.run = run
        self.python = python
        text = json.dumps([identity, python.path, python.target["tag"]])
        self.path = "%s/%s" % (HOME, hashlib.sha256(text.encode()).hexdigest()[:16])

    def works(self):
        """Whether it is there and its interpreter still finds the router."""
        program = os.path.join(self.path, "bin", "python")
        if not os.path.exists(os.path.join(self.path, "complete")):
            return False
        return self.run([program, "-I", "-c", "import onehop_router.__main__"])[0] == 0

    def make(self, sent, offline):
        """Make it from a tar archive of the router, its lock and, when ``offline``, its packages.

        An environment cannot be moved once it is made, so it is made in its place and counts only
        with the file ``complete`` in it.
        """
        if os.path.isdir(self.path):
            shutil.rmtree(self.path)
        os.makedirs(HOME, mode=0o755, exist_ok=True)
        work = tempfile.mkdtemp(prefix="onehop-router-")
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

    def _install(self, content, offline):
        program = os.path.join(self.path, "bin", "python")
        command = [program, "-I", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        command += ["--require-hashes", "--only-binary=:all:", "--no-deps"]
        if offline:
            command += ["--no-index", "--find-links", os.path.join(content, "wheelhouse")]
        command += ["--requirement", os.path.join(content, "requirements.txt")]
        self._do(command, "install the router's packages")
        ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
        packages = self._do([program, "-I", "-c", ask], "find its packages").strip()
        shutil.copytree(
            os.path.join(content, "onehop_router"), os.path.join(packages, "onehop_router")
        )
        self._do(
            [program, "-I", "-m", "compileall", "-q", os.path.join(packages, "onehop_router")],
            "compile the router",
        )

    def _do(self, command, what):
        status, out, err = self.run(command)
        if status != 0:
            raise EnvironmentFailed(
                "Could not %s: %s" % (what, (err.strip() or out.strip())[-800:])
            )
        return out
