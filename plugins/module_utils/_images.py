# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An account's container images: looked up, pulled and loaded, as the account.

A pull is a transient unit of the account's manager, so that it goes on while nobody looks, and can
be looked at again and again.

This module util is private to the collection.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import tarfile
import zlib

from ansible_collections.onehop.llm.plugins.module_utils._user_manager import UserSystemd, runs

_UNDER_WAY = ("active", "activating", "deactivating")
_LINES = 10
_ASKED = "20"
"""Seconds that a registry has to say how large an image is."""
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


class Images(object):
    """The images of one account. ``run`` takes an argument list and gives (status, out, err)."""

    def __init__(self, run, account):
        self.run = run
        self.account = account
        self.manager = UserSystemd(run, account)

    def ids(self, references):
        """The id of each image that the account has; ``None`` for the others."""
        return {reference: self._id(reference) for reference in references}

    def _id(self, reference):
        if not runs(self.account):
            return None
        command = self.manager.command("podman", "image", "inspect", "--format={{.Id}}", reference)
        status, out, dummy = self.run(command)
        return out.strip() if status == 0 else None

    def begin(self, reference, archive, authentication, timeout):
        """Start to fetch an image: from an archive on the host, or else from its registry.

        What an earlier run began goes on. It ends after ``timeout`` seconds, also where nobody waits.
        """
        unit = unit_of(reference)
        if self.manager.show([unit])[unit]["ActiveState"] in _UNDER_WAY:
            return ""
        self.manager.forgive([unit])
        if archive:
            # Under its own name whatever the archive calls it.
            try:
                words = ["podman", "pull", archive_source(archive)]
            except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
                return "%s is no tar archive: %s" % (archive, error)
        else:
            words = ["podman", "pull"]
            words += ["--authfile=" + authentication] if authentication else []
            words += [reference]
        command = ["systemd-run"] + list(self.manager.scope)
        command += ["--quiet", "--unit=" + unit, "--service-type=exec"]
        command += ["--property=RuntimeMaxSec=%d" % timeout, "--"]
        status, out, err = self.run(command + words)
        return "" if status == 0 else (err or out).strip()

    def look(self, reference, archive):
        """How it goes: ``state`` (fetching, done or failed), ``said`` and ``bytes`` written."""
        unit = unit_of(reference)
        shown = self.manager.show([unit])[unit]
        said = self.manager.journal(unit, shown.get("InvocationID"), _LINES)
        if shown["ActiveState"] in _UNDER_WAY:
            report = {"state": "fetching", "said": said, "bytes": self.manager.written(unit)}
            return dict(report, fetched=self._fetched(unit))
        if shown["ActiveState"] == "failed":
            # It stays so until the next attempt, for it may be looked at again.
            return {"state": "failed", "said": said, "bytes": 0}
        if self._id(reference) is None:
            return self._name(reference, said if archive else [])
        return {"state": "done", "said": said, "bytes": 0}

    def size(self, reference, authentication):
        """Bytes that a registry sends for an image; 0 where that cannot be told.

        Podman shows manifests of lists only. What it says of another (seen with 5.4) has it too.
        """
        try:
            return self._size(reference, authentication)
        except (AttributeError, KeyError, TypeError, ValueError):
            # A registry may answer anything.
            return 0

    def _size(self, reference, authentication):
        text = self._manifest(reference, authentication)
        try:
            listed = json.loads(text).get("manifests")
        except (ValueError, AttributeError):
            listed = None
        if listed:
            machine = _MACHINES.get(platform.machine(), platform.machine())
            mine = [
                one["digest"]
                for one in listed
                if one.get("platform", {}).get("architecture") == machine
            ]
            if not mine:
                return 0
            text = self._manifest("%s@%s" % (repository(reference), mine[0]), authentication)
        layers = text.replace("\\", "").partition('"layers"')[2]
        return sum(int(size) for size in re.findall(r'"size": *(\d+)', layers))

    def _manifest(self, reference, authentication):
        words = ["timeout", _ASKED, "podman", "manifest", "inspect"]
        words += ["--authfile=" + authentication] if authentication else []
        status, out, err = self.run(self.manager.command(*(words + [reference])))
        return out if status == 0 else err

    def _fetched(self, unit):
        """Bytes of layers that have come: Podman keeps them in files of its own until the end."""
        places = set()
        for pid in self.manager.processes(unit):
            for path in _open_files(pid):
                directory = os.path.dirname(path)
                if os.path.basename(directory).startswith("container_images_"):
                    places.add(directory)
        return sum(_size(os.path.join(place, name)) for place in places for name in _names(place))

    def _name(self, reference, said):
        """Give what an archive brought, whose id is the last line of the pull, the name asked for."""
        found = [line.strip() for line in said if re.match(r"\s*[0-9a-f]{64}\s*$", line)]
        if not found or "@" in reference:
            wrong = "what was fetched is another image than %s" % reference
            return {"state": "failed", "said": said + [wrong], "bytes": 0}
        status, dummy, err = self.run(self.manager.command("podman", "tag", found[-1], reference))
        if status != 0:
            return {"state": "failed", "said": [err.strip()], "bytes": 0}
        return {"state": "done", "said": said, "bytes": 0}


def unit_of(reference):
    """The transient unit that fetches an image."""
    return "onehop-image-%s.service" % hashlib.sha256(reference.encode()).hexdigest()[:12]


def archive_source(path):
    """How Podman calls an archive, by what is in it."""
    kind = "oci-archive" if is_oci(path) else "docker-archive"
    return "%s:%s" % (kind, path)


def is_oci(path):
    """Whether a tar archive is an image in OCI's layout."""
    with tarfile.open(path) as archive:
        for number, member in enumerate(archive):
            if os.path.normpath(member.name) == "oci-layout":
                return True
            if os.path.normpath(member.name) == "manifest.json" or number > 1000:
                return False
    return False


def repository(reference):
    """An image's name without its tag or digest."""
    name = reference.partition("@")[0]
    head, dummy, tail = name.rpartition("/")
    return "%s/%s" % (head, tail.partition(":")[0]) if head else tail.partition(":")[0]


def _open_files(pid):
    place = "/proc/%s/fd" % pid
    found = []
    for name in _names(place):
        try:
            found.append(os.readlink(os.path.join(place, name)))
        except OSError:
            continue
    return found


def _names(directory):
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _size(path):
    try:
        return os.path.getsize(path)
    except OSError:
        return 0
