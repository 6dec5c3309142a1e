# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices that models get unless they name some, and those that they name in vain.

This module util is private to the collection.
"""

from __future__ import annotations

import difflib
import os
import re
import stat

from ansible_collections.onehop.llm.plugins.module_utils import _cdi_format
from ansible_collections.onehop.llm.plugins.module_utils._cdi_tools import TOOLS


def default_devices(names):
    """All GPUs, as far as the host's specs name any."""
    gpus = sorted(name for name in names if name.partition("=")[0].endswith("/gpu"))
    for kind in [tool.kind for tool in TOOLS] + [name.partition("=")[0] for name in gpus]:
        if kind + "=all" in gpus:
            return [kind + "=all"]
    return gpus


def complaints(needs, registry, predicted=()):
    """A sentence for each device that the host does not have.

    ``needs`` have ``device`` and ``variable``; ``predicted`` are names of devices that will be
    there by the time they are needed.
    """
    for need in needs:
        device = need["device"]
        if device.lstrip("-").startswith("/"):
            said = _path_complaint(device, registry.host)
        else:
            said = _name_complaint(device, registry, predicted)
        if said:
            yield "%s = %s: %s" % (need["variable"], device, said)


def _path_complaint(device, host):
    optional = device.startswith("-")
    path, *rest = device[1 if optional else 0 :].split(":")
    for position, part in enumerate(rest):
        is_path = part.startswith("/") and position == 0
        if not is_path and (position != len(rest) - 1 or not re.fullmatch("[rwm]+", part)):
            return (
                "%s is neither a path in the container nor made of r, w and m. Write it as "
                "/dev/dri or /dev/dri:/dev/dri:rwm." % (part or "what follows the colon")
            )
    try:
        mode = os.stat(host.at(path)).st_mode
    except OSError:
        if optional:
            return ""
        return (
            "is not on the host. Load its driver, write another path, or -%s where it may be missing."
            % device
        )
    if any(test(mode) for test in (stat.S_ISCHR, stat.S_ISBLK, stat.S_ISFIFO, stat.S_ISDIR)):
        return ""
    return "is neither a device nor a directory of devices. Write one, such as /dev/dri."


def _name_complaint(device, registry, predicted):
    if device in predicted or device in registry.devices:
        return ""
    kind, dummy, name = device.partition("=")
    if not _cdi_format.KIND.fullmatch(kind) or not _cdi_format.NAME.fullmatch(name):
        return "is neither a CDI name, such as nvidia.com/gpu=all, nor a path, such as /dev/dri."
    if device in registry.conflicts:
        return "is in %s, and so in none of them counts. Remove all of these files but one." % (
            " and in ".join(registry.conflicts[device])
        )
    refused = [spec for spec in registry.specs if spec.faults and spec.kind in (kind, "")]
    if refused:
        return "no CDI spec that can be used knows it. " + " ".join(
            sentence for spec in refused for sentence in spec.problems()
        )
    known = sorted(set(registry.devices) | set(predicted))
    near = [other for other in known if other.startswith(kind + "=")]
    near = near or difflib.get_close_matches(device, known, n=5, cutoff=0.6)
    if near:
        ranked = sorted(
            near, key=lambda other: -difflib.SequenceMatcher(None, device, other).ratio()
        )
        return "no CDI spec of the host knows it. Write one that is there: %s." % ", ".join(
            ranked[:5]
        )
    paths = [spec.path for spec in registry.specs]
    return "no CDI spec of the host knows it (read: %s). %s" % (
        ", ".join(paths) or "none, as %s have none" % " and ".join(registry.directories),
        _how_to_make(kind),
    )


def _how_to_make(kind):
    for tool in TOOLS:
        if kind == tool.kind:
            return "Install the driver and %s, which comes with %s." % (tool.program, tool.package)
    return "Make one with the tool of the device's vendor, or name a path, such as /dev/dri."
