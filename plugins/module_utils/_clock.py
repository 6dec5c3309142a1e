# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the host's clock is right, as far as the controller's is.

A certificate that is not valid yet, or not any more, is what a wrong one looks like.

This module util is private to the collection.
"""

from __future__ import annotations

_MINUTES = 5
"""More than a slow connection explains."""
_DAY = 86400


def complaints(here, controller, downloads):
    """Findings for the host's seconds since the epoch against the controller's.

    Only where something is to be downloaded does a clock that is days off stop anything.
    """
    if controller is None or abs(here - controller) <= _MINUTES * 60:
        return []
    off = abs(here - controller)
    level = "error" if off > _DAY and downloads else "warn"
    text = "%d days" % (off // _DAY) if off > 2 * _DAY else "%d minutes" % (off // 60)
    return [
        {
            "check": "clock",
            "level": level,
            "said": "The host's clock is %s %s the controller's, and certificates of registries and "
            "of the hub are judged by it. Have it set by chrony or systemd-timesyncd."
            % (text, "ahead of" if here > controller else "behind"),
        }
    ]
