# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a Prometheus on its host: checked in a copy, put in place, and taken up by it.

Whether Prometheus has them is what it says itself: the time of its last good reload against that of
the files, so that a run which died in between is repaired by the next.

This module util is private to the collection.
"""

from __future__ import annotations

import fnmatch
import http.client
import os
import re
import shutil
import stat
import tempfile
import time
from urllib.parse import urlsplit

from ansible_collections.onehop.llm.plugins.module_utils import _files, _owned
from ansible_collections.onehop.llm.plugins.module_utils._removal import remove_empty_parents
from ansible_collections.onehop.llm.plugins.module_utils._systemd import Systemd

OWNER = "monitoring"
KEPT = ".before-onehop"
"""Behind the name of a configuration that ours took the place of."""
_INCLUDED = (("scrape_config_files", "scrape.yml"), ("rule_files", "rules.yml"))
_WAIT = 30
"""Seconds that Prometheus has to take up a configuration."""
_PAUSE = 0.2
_ANSWER = 5
_RELOADED = "prometheus_config_last_reload_success_timestamp_seconds"
_GOOD = "prometheus_config_last_reload_successful"


class PrometheusError(Exception):
    """What cannot be brought about, in words for the operator."""


class _Before(object):
    """A file as it was before it was written or removed, with who may read it: it may be a key."""

    def __init__(self, path):
        self.path = path
        self.content = _files.read(path)
        self.state = None if self.content is None else os.stat(path)

    def restore(self):
        """Have it so again."""
        if self.state is not None:
            group = _files.group_name(self.state.st_gid)
            _files.File(self.path, self.content, stat.S_IMODE(self.state.st_mode), group).write()
            os.chown(self.path, self.state.st_uid, -1)
        elif os.path.lexists(self.path):
            os.unlink(self.path)


class Prometheus(object):
    """``config`` is the path of its configuration; ``run`` gives (status, out, err)."""

    def __init__(self, run, check_mode, config, service, group, url):
        self.run = run
        self.check_mode = check_mode
        self.config = config
        self.home = os.path.dirname(config)
        self.service = service
        self.group = group
        self.url = url
        self.systemd = Systemd(run)
        self.diffs: list = []

    def bring(self, wanted, others):
        """Have it run with the files; ``wanted`` are those of Prometheus with paths below its
        directory, ``others`` are for Grafana. Both are lists of (path, content, secret)."""
        owned = _owned.Owned(OWNER)
        files = [self._file(path, content, secret) for path, content, secret in wanted]
        whole = any(file.path == self.config for file in files)
        # Whoever runs Grafana reads dashboards, and nothing in them is a secret.
        files += [
            _files.File(path, content, program=path.endswith(".json")) for path, content in others
        ]
        stale = [
            path
            for path in owned.things["paths"]
            if path not in [file.path for file in files] and not path.endswith(KEPT)
            if not self._theirs(path)
        ]
        changed = [file for file in files if file.differs()]
        self._refuse_unread(files, whole)
        directories = self._directories(files)
        self.diffs += [one.diff() for one in directories + changed]
        self.diffs += [_files.removal(path) for path in stale if os.path.lexists(path)]
        if not self.check_mode:
            self._validate(files, whole)
            before = [_Before(path) for path in [file.path for file in changed] + stale]
            self._write(owned, directories, changed, stale)
            self._judge(owned, before, stale)
        return self._take_up(files) or bool(self.diffs)

    def remove(self):
        """Take away what the list of ours says, and put back what stood in the way."""
        owned = _owned.Owned(OWNER)
        paths = [path for path in owned.things["paths"] if os.path.lexists(path)]
        ours = [path for path in paths if not path.endswith(KEPT) and not self._theirs(path)]
        self.diffs = [_files.removal(path) for path in ours]
        if self.check_mode:
            return bool(paths)
        for path in ours:
            self._let_go(path)
            remove_empty_parents(path)
        owned.things = {kind: [] for kind in owned.things}
        owned.save()
        if paths and self._active():
            self.systemd.do("reload", [self.service])
        return bool(paths)

    def _file(self, path, content, secret):
        place = os.path.join(self.home, path)
        if content is None:
            content = _files.read(place) or b""
        mode = 0o640 if secret else 0o644
        return _files.File(place, content, mode, self.group if secret else "root", secret)

    def _directories(self, files):
        """Where keys are, only Prometheus may look."""
        homes = sorted({os.path.dirname(file.path) for file in files if file.secret})
        found = [_files.Directory(path, 0o750, group=self.group) for path in homes]
        return [one for one in found if one.differs()]

    def _refuse_unread(self, files, whole):
        """Files of ours that the configuration does not name would be read by nobody."""
        text = (_files.read(self.config) or b"").decode("utf-8", "replace")
        if whole or not text:
            return
        lacking = [
            line
            for line in self._lines(files)
            if not self._names(text, line.partition("[")[2].rstrip("]"))
        ]
        if lacking:
            raise PrometheusError(
                "%s does not read what this role writes. Add %s to it, or let the role write it: "
                "monitoring_config: whole." % (self.config, " and ".join(lacking))
            )

    def _lines(self, files):
        """The lines of a configuration that has ours read."""
        paths = [file.path for file in files]
        return [
            "%s: [onehop/%s]" % (key, name)
            for key, name in _INCLUDED
            if os.path.join(self.home, "onehop", name) in paths
        ]

    def _names(self, text, path):
        words = re.findall(r"[^\s\"'\[\],#]+", re.sub(r"(?m)(^|\s)#.*$", "", text))
        return any(
            fnmatch.fnmatchcase(os.path.join(self.home, path), os.path.join(self.home, word))
            for word in words
            if word.endswith((".yml", ".yaml", "*"))
        )

    def _validate(self, files, whole):
        """Have promtool read a copy, with the configuration that ours is or is part of."""
        stage = tempfile.mkdtemp(prefix="onehop-prometheus-")
        try:
            for file in files:
                if not file.path.startswith(self.home + "/"):
                    continue
                place = os.path.join(stage, os.path.relpath(file.path, self.home))
                _files.make_directory(os.path.dirname(place), 0o700)
                with open(os.open(place, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as copy:
                    copy.write(file.content)
            main = os.path.join(stage, os.path.basename(self.config))
            if not whole:
                with open(main, "w", encoding="utf-8") as copy:
                    copy.write("".join("%s\n" % line for line in self._lines(files)))
            self._promtool(main, "Nothing was replaced.")
        finally:
            shutil.rmtree(stage)

    def _promtool(self, path, mend):
        if shutil.which("promtool") is None:
            raise PrometheusError(
                "promtool is not on the host. Install it, or let the role do so: "
                "monitoring_packages: [prometheus]."
            )
        status, out, err = self.run(["promtool", "check", "config", path])
        if status != 0:
            said = " ".join((err + out).split())
            said = said.partition("FAILED: ")[2] or said
            raise PrometheusError("promtool check config: %s. %s" % (said.rstrip("."), mend))

    def _write(self, owned, directories, changed, stale):
        for file in changed:
            before = _files.read(file.path)
            if before is not None and _owned.foreign(file.path, owned):
                owned.add("paths", [file.path + KEPT])
                owned.save()
                shutil.copy2(file.path, file.path + KEPT)
            owned.add("paths", [file.path])
        owned.save()
        for one in directories:
            one.write()
        for file in changed:
            file.write()
        for path in stale:
            self._let_go(path)
            owned.drop("paths", [path])
        owned.save()

    def _let_go(self, path):
        """Remove a file of ours; a configuration makes way for the one that it took the place of."""
        if os.path.exists(path + KEPT):
            os.rename(path + KEPT, path)
        elif os.path.lexists(path):
            os.unlink(path)

    def _theirs(self, path):
        """Whether somebody has written over the configuration that we made."""
        return path == self.config and _owned.MARK not in (_files.read(path) or b"")

    def _judge(self, owned, before, stale):
        """Put everything back if the whole of it, with what others wrote, cannot be used."""
        if not os.path.exists(self.config):
            raise PrometheusError(
                "%s is missing. Write it: monitoring_config: whole." % self.config
            )
        try:
            self._promtool(self.config, "Everything is as it was before.")
        except PrometheusError:
            for one in before:
                one.restore()
            # The next run has to know that they are there again.
            owned.add("paths", stale)
            owned.save()
            raise

    def _take_up(self, files):
        """Whether it had to be started or told to read anew."""
        shown = self.systemd.show([self.service])[self.service] if self.systemd.version() else {}
        if shown.get("LoadState") == "not-found" or not shown:
            if self.check_mode:
                return True
            raise PrometheusError(
                "%s is no unit of this host. Name Prometheus' own: monitoring_service."
                % self.service
            )
        enabled = self.run(["systemctl", "is-enabled", "--quiet", self.service])[0] == 0
        if shown["ActiveState"] != "active":
            if not self.check_mode:
                self.systemd.do("enable", [self.service])
                self.systemd.do("start", [self.service])
                self._wait(0.0)
            return True
        paths = {file.path for file in files if self._matters(file)} | {self.config}
        newest = max([os.stat(path).st_mtime for path in paths if os.path.exists(path)] or [0.0])
        read = self._values()
        if read.get(_GOOD) == 1 and read.get(_RELOADED, 0.0) >= newest and enabled:
            return False
        if not self.check_mode:
            self.systemd.do("enable", [self.service])
            self.systemd.do("reload", [self.service])
            self._wait(newest)
        return True

    def _matters(self, file):
        """Keys and authorities are read at each request, and dashboards by Grafana."""
        ours = os.path.join(self.home, "onehop", "keys") + "/"
        return file.path.startswith(self.home + "/") and not file.path.startswith(ours)

    def _wait(self, newest):
        end = time.monotonic() + _WAIT
        read: dict = {}
        while time.monotonic() < end:
            read = self._values()
            if read.get(_GOOD) == 1 and read.get(_RELOADED, 0.0) >= newest:
                return
            time.sleep(_PAUSE)
        raise PrometheusError(
            "Prometheus has not taken up its configuration within %d s (%s: %s). "
            "Look at journalctl -u %s." % (_WAIT, self.url, read or "no answer", self.service)
        )

    def _active(self):
        return self.run(["systemctl", "is-active", "--quiet", self.service])[0] == 0

    def _values(self):
        """What Prometheus says of its last reload; nothing where it does not answer."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=_ANSWER)
        try:
            connection.request("GET", parts.path.rstrip("/") + "/metrics")
            text = connection.getresponse().read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            return {}
        finally:
            connection.close()
        found = re.findall(r"(?m)^(prometheus_config_last_reload_\w+) (\S+)$", text)
        return {name: float(value) for name, value in found}
