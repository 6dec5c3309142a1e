# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The router on its host: its configuration installed, and its process brought to run with it.

A host may have two instances of it: ``router`` for clients, ``edge`` for the routers of other hosts.

This module util is private to the collection.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time

from ansible_collections.onehop.llm.plugins.module_utils._files import File, read
from ansible_collections.onehop.llm.plugins.module_utils._owned import Owned
from ansible_collections.onehop.llm.plugins.module_utils._python import programs
from ansible_collections.onehop.llm.plugins.module_utils._systemd import (
    Systemd,
    SystemdError,
    stamp_of,
)
from ansible_collections.onehop.llm.plugins.module_utils._unit_places import UNITS
from ansible_collections.onehop.llm.plugins.module_utils._unit_set import UnitSet

INSTANCES = ("router", "edge")
HOME = "/etc/onehop"
ENVIRONMENTS = "/opt/onehop/router"
LISTENERS = "ONEHOP_LISTENERS"
CONTROL = "/run/onehop-{}/control/control"
"""Where a running instance is asked to reload: one that listens there can be succeeded."""

_PATIENCE = 15
"""Seconds that a reload may take."""
_LINES = 15


class RouterError(Exception):
    """What went wrong, in words for the operator."""


def fingerprint(text):
    """How the router tells in its status which configuration it runs with."""
    return "config " + hashlib.sha256(text).hexdigest()[:12]


def models(text):
    """The models that a configuration has routes to."""
    return sorted(json.loads(text.decode("utf-8"))["models"]) if text else []


def _names(models):
    return {name for key in models for name in [key] + models[key].get("aliases", [])}


class Router(object):
    """An instance's units, configuration and process. It is called as what it owns is."""

    def __init__(self, run, environment, check_mode, instance):
        self.run = run
        self.systemd = Systemd(run)
        self.instance = instance
        self.service, self.socket = "onehop-%s.service" % instance, "onehop-%s.socket" % instance
        self.config_path = "%s/%s.json" % (HOME, instance)
        self.environment = environment
        self.check_mode = check_mode

    def converge(self, rendered, listeners):
        """Bring all of it to what was rendered; ``changed``, ``diff``, ``action``, ``models``."""
        units = UnitSet(self.run, self.instance, check_mode=self.check_mode, **rendered)
        problems = units.problems()
        config = next((file.content for file in units.files if file.path == self.config_path), None)
        problems += self._complaints(config) if config else []
        if problems:
            raise RouterError("\n".join(problems))
        result = units.converge()
        if not rendered["units"]:
            changed = bool([] if self.check_mode else self._prune()) or result["changed"]
            action = "remove" if changed else "nothing"
            return dict(result, changed=changed, action=action, models=[])
        action = self._needed(units.stamps[self.service], config, listeners)
        if action != "nothing" and not self.check_mode:
            self._act(action, config, units.stamps[self.service])
        old = [] if self.check_mode else self._prune()
        return {
            "changed": result["changed"] or action != "nothing" or bool(old),
            "diff": result["diff"],
            "action": action,
            "models": models(config),
        }

    def _complaints(self, config):
        """What the router itself says about its configuration; nothing where it is not there."""
        program = os.path.join(self.environment, "bin", "python")
        if self.check_mode and not self._can_run(program):
            return []
        with tempfile.NamedTemporaryFile(prefix="onehop-", suffix=".json") as file:
            file.write(config)
            file.flush()
            command = [program, "-I", "-m", "onehop_router", "--config", file.name, "--check"]
            status, out, err = self.run(command)
        return [] if status == 0 else [(err.strip() or out.strip())]

    def _can_run(self, program):
        """Whether the environment is there and whole; a real run has made it so before."""
        if not os.path.exists(program):
            return False
        return self.run([program, "-I", "-c", "import onehop_router.__main__"])[0] == 0

    def _needed(self, stamp, config, listeners):
        shown = self.systemd.show([self.service, self.socket])
        service, socket = shown[self.service], shown[self.socket]
        pid = service["MainPID"]
        if socket["ActiveState"] != "active" or service["ActiveState"] != "active":
            return "start"
        if stamp_of(pid, LISTENERS) != listeners:
            return "start"
        if stamp_of(pid) != stamp:
            return "succeed" if os.path.exists(CONTROL.format(self.instance)) else "restart"
        return "nothing" if fingerprint(config) in service["StatusText"] else "reload"

    def _act(self, action, config, stamp):
        shown = self.systemd.show([self.service, self.socket])
        if any(item["NeedDaemonReload"] == "yes" for item in shown.values()):
            self.systemd.reload()
        try:
            if action == "start":
                self.systemd.do("stop", [self.service, self.socket])
                self.systemd.forgive([self.service, self.socket])
                self.systemd.do("start", [self.socket, self.service])
            elif action == "restart":
                self.systemd.forgive([self.service])
                self.systemd.do("restart", [self.service])
            else:
                self._reload(config)
                if stamp_of(self._show()["MainPID"]) != stamp:
                    raise RouterError(
                        "The router runs on with its old programs.\n" + self._last_words()
                    )
        except SystemdError as error:
            raise RouterError("%s\n%s" % (error, self._last_words())) from error

    def _prune(self):
        """Remove environments that no instance of the router runs in any more, not even a stream."""
        units = [read("%s/onehop-%s.service" % (UNITS, name)) or b"" for name in INSTANCES]
        owned = Owned("router")
        services = ["onehop-%s.service" % name for name in INSTANCES]
        used = programs([pid for name in services for pid in self.systemd.processes(name)])
        old = [
            path
            for path in owned.things["directories"]
            if path.startswith(ENVIRONMENTS + "/")
            and not any((path + "/").encode() in text for text in units)
            and os.path.join(path, "bin", "python") not in used
        ]
        for path in old:
            shutil.rmtree(path, ignore_errors=True)
        owned.drop("directories", old)
        owned.save()
        return old

    def withdraw(self, keep):
        """Take away the upstreams that are not in ``keep`` (URLs by model), before they go."""
        try:
            config = json.loads((read(self.config_path) or b"").decode("utf-8"))
        except ValueError:
            # There is none, or somebody broke it: the final phase writes it anew.
            return {"changed": False, "action": "nothing", "models": [], "diff": []}
        for name in sorted(config["models"]):
            model = config["models"][name]
            if name not in keep:
                del config["models"][name]
                continue
            left = [item for item in model["upstreams"] if item["url"] in keep[name]]
            model["upstreams"] = left or model["upstreams"]
        for model in config["models"].values():
            if "fallbacks" in model:
                known = [other for other in model["fallbacks"] if other in config["models"]]
                model["fallbacks"] = known
        if config.get("default_model") not in _names(config["models"]):
            config["default_model"] = None
        file = File(self.config_path, json.dumps(config, indent=1, sort_keys=True) + "\n")
        changed = file.differs()
        result = {
            "changed": changed,
            "action": "reload" if changed else "nothing",
            "models": sorted(config["models"]),
            "diff": [file.diff()] if changed else [],
        }
        if changed and not self.check_mode:
            file.write()
            if self._show()["ActiveState"] == "active":
                self._reload(file.content)
        return result

    def _reload(self, config):
        """Have the running router read its configuration, and wait until it says that it has."""
        self.systemd.do("reload", [self.service])
        end = time.monotonic() + _PATIENCE
        while fingerprint(config) not in self._show()["StatusText"]:
            if time.monotonic() > end:
                raise RouterError(
                    "The router did not take its new configuration and runs on with the old one.\n"
                    + self._last_words()
                )
            time.sleep(0.05)

    def _show(self):
        return self.systemd.show([self.service])[self.service]

    def _last_words(self):
        """The router's last lines."""
        lines = self.systemd.journal(self.service, None, _LINES)
        return "Its last words:" + "".join("\n    " + line for line in lines)
