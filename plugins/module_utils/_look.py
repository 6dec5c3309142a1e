# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the units of ours on a host are doing, without changing anything.

What is installed is read from the units' files, what runs from the process and its manager. The
module :ref:`worker_info` and, on the host, ``onehop status`` tell the same by it. Standard library
only.

This module util is private to the collection.
"""

from __future__ import annotations

import os
import re
import time
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.onehop.llm.plugins.module_utils import (
    _files,
    _owned,
    _unit_places,
    _wait_ready,
)
from ansible_collections.onehop.llm.plugins.module_utils._systemd import (
    PROPERTIES,
    STAMP,
    SystemdError,
    stamp_of,
)

LINES = 200
"""Of the journal of a unit that failed."""
ANSWER = 3
"""Seconds that a worker may take to say that it is ready."""
AT_ONCE = 8
"""Workers that are asked at the same time."""
DROP_INS = "/etc/systemd/user/%s.d/onehop.conf"
"""What belongs to a Quadlet and no Quadlet can say."""
NO_ANSWER = "its service manager does not answer"
NOT_ALLOWED = "only root can ask its service manager"

_VISIBLE = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
_READY = re.compile(
    r'^ExecStartPost=.*/wait-ready"? \S+ "?([^\s"]+)"? "?([^\s"]+)"?$', re.MULTILINE
)
_PROGRAM = re.compile(r'^ExecStart=[-+:@!|]*"?([^\s"]+)', re.MULTILINE)


def units(run):
    """Every unit of ours, as the module worker_info documents them."""
    found = []
    for owner in _owned.owners():
        for place, names in _unit_places.of(run, _owned.Owned(owner)):
            found += _of_place(owner, place, names)
    _ask(found)
    return found


def _of_place(owner, place, names):
    shown, why = _shown(place, names)
    found = [_described(owner, place, name, shown[name], why) for name in sorted(names)]
    old = [one for one in found if one["current"] is False and one["image"]]
    running = _images(place) if old else {}
    for one in old:
        one["runs"] = running.get(one["unit"])
    return found


def _shown(place, names):
    """What the manager knows of units, by name, and why that is nothing."""
    nothing = dict.fromkeys(PROPERTIES, "")
    nothing.update(ActiveState="unknown")
    if place.account and os.geteuid() != 0:
        return dict.fromkeys(names, nothing), NOT_ALLOWED
    try:
        return place.manager.show(names), None
    except SystemdError:
        return dict.fromkeys(names, nothing), NO_ANSWER


def _described(owner, place, name, shown, why):
    text = _text(place, name)
    active = shown["ActiveState"] in ("active", "reloading")
    url, path = ready_at(text)
    one = {
        "unit": name,
        "owner": owner,
        "account": place.account,
        "title": value(text, "Description") or name,
        "installed": bool(text),
        "state": shown["ActiveState"],
        "detail": shown["SubState"],
        "unknown": why,
        "since": shown["ActiveEnterTimestamp"],
        "uptime": uptime(shown) if active else None,
        "restarts": int(shown.get("NRestarts") or 0),
        "main_pid": int(shown.get("MainPID") or 0),
        "current": None if why else is_current(text, shown.get("MainPID")),
        "listens": listens(text, url),
        "ready_at": [url, path] if url else None,
        "ready": None if why else active,
        "devices": devices(text),
        "image": value(text, "Image"),
        "wanted": value(text, "Image") or program(text),
        "runs": None,
    }
    if not one["image"]:
        one["runs"] = _program_of(one["main_pid"])
    elif one["main_pid"] and one["current"]:
        one["runs"] = one["image"]
    one.update(ended(place.manager, name, shown))
    return one


def _text(place, name):
    paths = (place.path(name), DROP_INS % name)
    return "\n".join((_read(path) or b"").decode("utf-8", "replace") for path in paths).strip()


def _read(path):
    try:
        return _files.read(path)
    except OSError:
        return None


def value(text, key):
    """The last value of a key in a unit's file, as systemd reads it; ``None`` without one."""
    found = re.findall(r"^%s=(.*)$" % key, text, re.MULTILINE)
    return found[-1].strip().replace("%%", "%") or None if found else None


def ready_at(text):
    """The URL and the path at which a worker is asked whether it is ready."""
    found = _READY.search(text)
    return found.groups() if found else (None, None)


def listens(text, url):
    """Where it listens: addresses with ports, and paths of sockets."""
    if url:
        return [re.sub(r"^(https?|unix)://", "", url)]
    return [word.strip() for word in re.findall(r"^ListenStream=(.+)$", text, re.MULTILINE)]


def devices(text):
    """The devices that the unit names, such as ``nvidia.com/gpu=0``; of programs, those they may see."""
    found = re.findall(r"^AddDevice=(.+)$", text, re.MULTILINE)
    if found:
        return [word.strip() for word in found]
    for name in _VISIBLE:
        seen = re.findall(r'^Environment="?%s=([^"\n]*)' % name, text, re.MULTILINE)
        if seen:
            return [word.strip() for word in seen[-1].split(",") if word.strip()]
    return []


def program(text):
    """The program that a unit of the system starts."""
    found = _PROGRAM.search(text)
    return found.group(1) if found else None


def _program_of(pid):
    command = _read("/proc/%d/cmdline" % pid) if pid else None
    return command.split(b"\0")[0].decode("utf-8", "replace") if command else None


def _images(place):
    """The images of the containers that run for an account, by unit."""
    words = ("podman", "ps", "--format", "{{.Names}} {{.Image}}")
    status, out, dummy = place.manager.run(place.manager.command(*words))
    pairs = [line.split() for line in out.split("\n")] if status == 0 else []
    return {
        pair[0].replace("systemd-", "", 1) + ".service": pair[1] for pair in pairs if len(pair) == 2
    }


def is_current(text, pid):
    """Whether a process was started from what is installed; ``None`` where it cannot be read."""
    stamps = re.findall(r"^Environment=%s=([0-9a-f]+)$" % STAMP, text, re.MULTILINE)
    if not stamps:
        return True
    if pid and pid != "0" and not os.access("/proc/%s/environ" % pid, os.R_OK):
        return None
    return stamp_of(pid) == stamps[-1]


def uptime(shown):
    """Seconds for which a unit has been active, as it is shown; ``None`` where that is not told."""
    entered = int(shown.get("ActiveEnterTimestampMonotonic") or 0) / 1e6
    return max(0, int(time.monotonic() - entered)) if entered else None


def ended(manager, unit, shown):
    """How a unit ended last, and with which words; nothing of one that never did."""
    if shown["ActiveState"] == "failed" or shown["SubState"] == "auto-restart":
        lines = manager.journal(unit, shown.get("InvocationID"), LINES)
        status = int(shown.get("ExecMainStatus") or 0)
        return {"result": shown["Result"], "exit_status": status, "journal": lines}
    lines = []
    if int(shown.get("NRestarts") or 0):
        lines = manager.journal(unit, None, LINES, shown.get("InactiveExitTimestamp"))
    return {"result": "success", "exit_status": 0, "journal": lines}


def _ask(found):
    """Ask those that run whether they are ready: a unit that started may have stopped to answer."""
    asked = [one for one in found if one["ready"] and one["ready_at"]]
    if asked:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for one, answer in zip(asked, pool.map(_answer, asked)):
                one["ready"] = answer
    for one in found:
        del one["ready_at"]


def _answer(one):
    url, path = one["ready_at"]
    socket = url[len("unix://") :] if url.startswith("unix://") else None
    if socket and not os.access(os.path.dirname(socket), os.X_OK):
        return None
    return _wait_ready.status(url, path, ANSWER) == 200
