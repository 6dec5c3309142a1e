# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of a host that an operator may overrule: what they are called, and how strict they are.

This plugin util is private to the collection.
"""

from __future__ import annotations

ERROR, WARN, OFF = "error", "warn", "off"
LEVELS = (ERROR, WARN, OFF)

CHECKS = {
    "devices": "Parallel sizes and C(base-gpu-id) fit the devices that a model is given.",
    "disk": "There is room for an image where they are kept; it is only ever warned of.",
    "memory": "Shares of a device's memory, of all models that use it, are no more than it has, and "
    "models fit into theirs.",
    "ports": "No port is wanted twice, those that an engine opens beside its own counted.",
    "shared_memory": "Shared memory and what models set aside of the host's memory is no more than "
    "it has.",
}
"""What each check is for, by its name."""
DEFAULTS = dict.fromkeys(CHECKS, ERROR)
"""How strict each check is unless told."""
