# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much the router takes on at once: requests under way, and bytes of bodies held."""

from __future__ import annotations

from .errors import Refusal


class Limits:
    """Counters over all models. A maximum of 0 means no limit.

    The maxima follow the configuration; the counts live on through a reload.
    """

    __slots__ = ("active", "held_bytes", "max_active", "max_held_bytes")

    def __init__(self) -> None:
        self.active = 0
        self.held_bytes = 0
        self.max_active = 0
        self.max_held_bytes = 0

    def enter(self) -> None:
        """Take a request on. Raises Refusal (429) when there are enough of them."""
        if self.max_active and self.active >= self.max_active:
            raise Refusal(
                "concurrency_limit",
                f"The router is busy with {self.active} requests, as many as it takes at once.",
            )
        self.active += 1

    def leave(self) -> None:
        """A request taken on has ended."""
        self.active -= 1

    def check_room(self, size: int) -> None:
        """Raise Refusal (429) if a body of `size` bytes could not be held right now."""
        if self.max_held_bytes and self.held_bytes + size > self.max_held_bytes:
            raise Refusal(
                "buffer_limit", "The request bodies under way fill the router's memory limit."
            )

    def hold(self, size: int) -> None:
        """Count `size` more bytes as held. Raises Refusal (429) when that is too many."""
        self.check_room(size)
        self.held_bytes += size

    def release(self, size: int) -> None:
        """Bytes counted by `hold` are gone."""
        self.held_bytes -= size
