# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The weights of one cache on a host: looked up, fetched by a unit, shadowed and pruned.

Fetching is a transient unit of the system that runs as the account: it goes on while nobody looks, it
is confined, and systemd hands it the token, which is in no argument and in no file of the account.

This module util is private to the collection.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile

from ansible_collections.onehop.llm.plugins.module_utils import (
    _files,
    _hub_cache,
    _tokenizer_shim,
)
from ansible_collections.onehop.llm.plugins.module_utils._as_account import as_account
from ansible_collections.onehop.llm.plugins.module_utils._systemd import Systemd

PROGRAM = "ansible_collections.onehop.llm.plugins.module_utils._hub_fetch"
REQUESTS = "/run/onehop-weights"
_LINES = 10
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_PASSED = _PROXIES + ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""What of the environment of who asks counts for the way to the hub. A proxy may have a password, and
everybody can ask systemd for a unit's variables, so they come in a file."""
_CONFINED = {
    "CapabilityBoundingSet": "",
    "LockPersonality": "yes",
    "MemoryDenyWriteExecute": "yes",
    "NoNewPrivileges": "yes",
    "PrivateDevices": "yes",
    "PrivateTmp": "yes",
    "ProtectClock": "yes",
    "ProtectControlGroups": "yes",
    "ProtectHome": "read-only",
    "ProtectHostname": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectProc": "invisible",
    "ProtectSystem": "strict",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "SystemCallArchitectures": "native",
    "SystemCallFilter": "@system-service",
    "UMask": "0022",
}


class Weights(object):
    """What the items are of one cache. ``run`` takes an argument list and gives (status, out, err).

    ``items`` are the plan's; ``bundles`` and ``cache`` are paths; ``account`` owns the cache.
    """

    def __init__(self, run, owner, account, group, cache, bundles, items):
        self.run = run
        self.owner = owner
        self.account = account
        self.group = group
        self.cache = cache
        self.hub = os.path.join(cache, "hub")
        self.bundles = bundles
        self.items = items
        self.manager = Systemd(run)
        self.unit = "onehop-weights-%s.service" % owner

    def look(self):
        """What is there of each item, by its key (see :func:`find`)."""
        return as_account(self.account, find, self.hub, self.bundles, self.items)

    def shadows(self, found):
        """The shadows that items need (path, snapshot and text), and those that nobody needs."""
        return as_account(self.account, shadows, self.cache, self.items, found)

    def shadow(self, made, stale):
        """Make shadows, and remove others."""
        as_account(self.account, _shadow, self.cache, made, stale)

    def prune(self, found, dry):
        """Remove what no item names; what goes, and its bytes."""
        keep = [(item["repo"], found[item["key"]]["commit"]) for item in self.items]
        return as_account(self.account, _hub_cache.prune, self.hub, keep, dry)

    def request(self, missing, sources, endpoint):
        """What the program is asked, as text."""
        items = []
        for item in missing:
            source = sources.get("%s@%s" % (item["repo"], item["revision"]))
            items.append(dict(item, source=source or sources.get(item["repo"])))
        given = {"hub": self.hub, "endpoint": endpoint, "items": items}
        return json.dumps(given, indent=1, sort_keys=True) + "\n"

    @property
    def _path(self):
        return "%s/%s.json" % (REQUESTS, self.owner)

    @property
    def _question(self):
        """Another, so that asking leaves alone what is fetched meanwhile."""
        return "%s/%s.ask.json" % (REQUESTS, self.owner)

    def begin(self, request, environment, token, timeout):
        """Start to fetch; what went wrong, in words, or nothing.

        ``token`` is its text, or the path of a file that holds it, or neither.
        """
        running = self.manager.show([self.unit])[self.unit]["ActiveState"]
        asked = (_files.read(self._path) or b"").decode("utf-8")
        if running in ("active", "activating") and asked == request:
            return ""
        if running not in ("inactive", "failed"):
            self.manager.do("stop", [self.unit])
        self.manager.forgive([self.unit])
        _files.File(self._path, request).write()
        words = ["--unit=" + self.unit, "--property=RuntimeMaxSec=%d" % timeout]
        status, dummy, err = self._run(environment, token, ["fetch", self._path], words)
        return "" if status == 0 else err.strip()

    def ask(self, request, environment, token):
        """What the hub would give, by item; or an error in words."""
        _files.File(self._question, request).write()
        words = ["--pipe", "--wait", "--collect", "--property=RuntimeMaxSec=120"]
        status, out, err = self._run(environment, token, ["ask", self._question], words)
        _forget(self._question)
        return (json.loads(out), "") if status == 0 else ({}, err.strip())

    def _run(self, environment, token, asked, words):
        """Run the program as the account, confined to its cache."""
        properties = dict(_CONFINED, User=self.account, Group=self.group, NotifyAccess="all")
        properties["ReadWritePaths"] = self.cache
        command = ["systemd-run", "--quiet", "--service-type=exec"] + words
        command += ["--property=%s=%s" % pair for pair in sorted(properties.items())]
        command += ["--setenv=HOME=" + self.cache]
        program = [environment + "/bin/python", "-I", "-m", PROGRAM] + asked
        passed = {name: os.environ[name] for name in _PASSED if os.environ.get(name)}
        # systemd has read them by the end: the unit counts as started once its program is executed.
        with _for_now(token.get("content")) as given, _for_now(_variables(passed)) as variables:
            source = given or token.get("source")
            command += ["--property=LoadCredential=token:" + source] if source else []
            command += ["--property=EnvironmentFile=" + variables] if variables else []
            return self.run(command + ["--"] + program)

    def report(self):
        """How it goes: ``state`` (fetching, done or failed), ``said``, ``done``, ``total`` and ``repo``."""
        shown = self.manager.show([self.unit])[self.unit]
        report = {"done": 0, "total": 0, "repo": "", "said": []}
        with contextlib.suppress(KeyError, TypeError, ValueError):
            told = json.loads(shown.get("StatusText") or "{}")
            report.update(done=int(told["done"]), total=int(told["total"]))
            if told["repo"] in [item["repo"] for item in self.items]:
                report["repo"] = told["repo"]
        if shown["ActiveState"] in ("active", "activating", "deactivating"):
            return dict(report, state="fetching")
        if shown["ActiveState"] == "failed":
            said = self.manager.journal(self.unit, shown.get("InvocationID"), _LINES)
            if shown.get("Result") == "timeout":
                said.append("It took longer than weights_timeout.")
            return dict(report, state="failed", said=said)
        return dict(report, state="done")

    def forget(self):
        """Remove what the unit was asked."""
        self.manager.forgive([self.unit])
        _forget(self._path)


def _forget(path):
    if os.path.exists(path):
        os.unlink(path)
        _files.remove_empty(REQUESTS, os.path.dirname(REQUESTS))


def _variables(passed):
    """Variables as systemd reads them from a file."""
    return "".join(
        '%s="%s"\n' % (name, re.sub(r'(["\\$`])', r"\\\1", value)) for name, value in passed.items()
    )


@contextlib.contextmanager
def _for_now(text):
    """The path of a file with this text that only root can read; ``None`` where there is none."""
    if not text:
        yield None
        return
    handle, path = tempfile.mkstemp(dir=REQUESTS)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        yield path
    finally:
        os.unlink(path)


def find(hub, bundles, items):
    """What is there of each item, by its key.

    ``from`` is ``bundle``, ``cache``, or ``None``; ``path`` that of the snapshot; ``commit``, ``file``
    and ``lacks`` are as :func:`_hub_cache.look` has them. A bundle wins: who brings one means it.
    """
    found = {}
    for item in items:
        places = [("bundle", _hub_cache.hub_of(path)) for path in bundles] + [("cache", hub)]
        for kind, place in places:
            seen = _hub_cache.look(place, item)
            path = os.path.join(place, seen["snapshot"]) if seen["snapshot"] else None
            one = {"path": path, "file": seen["file"], "commit": seen["commit"], "from": kind}
            one["lacks"] = seen["lacks"]
            if not seen["lacks"]:
                break
            one["from"] = None
        found[item["key"]] = one
    return found


def shadows(cache, items, found):
    """As :meth:`Weights.shadows`."""
    made, wanted = {}, []
    for item in items:
        one = found[item["key"]]
        text = None
        if one["from"] and item.get("tokenizers"):
            text = _tokenizer_shim.patched(one["path"], item["tokenizers"])
        if text is None:
            continue
        shadow = _tokenizer_shim.path_of(cache, item["repo"], one["commit"])
        wanted.append(shadow)
        differs = _tokenizer_shim.differs(cache, one["path"], shadow, text)
        made[item["key"]] = {
            "shadow": shadow,
            "place": one["path"],
            "text": text,
            "differs": differs,
        }
    return {"made": made, "stale": _tokenizer_shim.stale(cache, wanted)}


def _shadow(cache, made, stale):
    for one in made:
        _tokenizer_shim.make(cache, one["place"], one["shadow"], one["text"])
    _tokenizer_shim.remove(stale)
