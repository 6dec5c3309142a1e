# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The past of the shared numbers: a ring of samples, and a note, in memory that processes share.

Whoever finds that a sample is due takes it for all, so what is here does not depend on which
process lives. Nothing is locked in here: `shared.Shared` does that.
"""

from __future__ import annotations

import mmap
import os
import struct
from array import array
from typing import NamedTuple

# Ten minutes of samples that are taken every five seconds, and one more for what came before.
SAMPLES = 133
NOTE_BYTES = 65536

_SIZE = struct.Struct("<Q")


class Sample(NamedTuple):
    """All sums by slot, as they were at that tick: ticks count the times that a sample was due."""

    tick: int
    totals: list[float]


class Past:
    """The last samples of up to `slots` numbers. Memory is only taken by what is written."""

    def __init__(self, slots: int, samples: int = SAMPLES) -> None:
        self._samples = samples
        # A tick, how many numbers there are, and the numbers.
        self._width = slots + 2
        cells = samples * self._width * 8
        fd = os.memfd_create("onehop-router-past")
        try:
            os.ftruncate(fd, cells + NOTE_BYTES)
            memory = mmap.mmap(fd, cells + NOTE_BYTES)
        finally:
            os.close(fd)
        self._cells: memoryview[float] = memoryview(memory)[:cells].cast("d")
        self._note = memoryview(memory)[cells:]

    @property
    def newest(self) -> int:
        """The tick of the last sample, 0 before the first."""
        return int(max(self._cells[:: self._width]))

    def put(self, sample: Sample) -> None:
        """Keep a sample in place of the oldest one."""
        start = sample.tick % self._samples * self._width
        count = len(sample.totals)
        # First, so that a process that is killed in here leaves no half sample.
        self._cells[start] = 0.0
        numbers = array("d", (count, *sample.totals))
        self._cells[start + 1 : start + 2 + count] = memoryview(numbers)
        self._cells[start] = float(sample.tick)

    def after(self, tick: int, most: int) -> list[Sample]:
        """The samples after a tick, oldest first, and not more than that."""
        oldest = max(tick, self.newest - self._samples)
        ticks = sorted(int(one) for one in self._cells[:: self._width] if one > oldest)
        return [self._get(one) for one in ticks[:most]]

    def _get(self, tick: int) -> Sample:
        start = tick % self._samples * self._width
        count = int(self._cells[start + 1])
        return Sample(tick, list(self._cells[start + 2 : start + 2 + count]))

    @property
    def note(self) -> bytes:
        """What was noted last."""
        (size,) = _SIZE.unpack_from(self._note, 0)
        return bytes(self._note[_SIZE.size : _SIZE.size + size])

    @note.setter
    def note(self, text: bytes) -> None:
        if len(text) > NOTE_BYTES - _SIZE.size:
            raise ValueError(f"a note of {len(text)} bytes has no room")
        self._note[_SIZE.size : _SIZE.size + len(text)] = text
        _SIZE.pack_into(self._note, 0, len(text))
