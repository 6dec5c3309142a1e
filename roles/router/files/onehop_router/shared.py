# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers that all processes of one router keep together, in memory that they share.

The parent makes one `Shared` before it forks, and each process calls `take` with the column that
is its own, as soon as it lives. A process writes into its own column only, so nothing is locked
to count; who reads sums over the columns. A process that dies leaves its counters in its column,
where its successor goes on; its gauges are zeroed by `reap`, or by the successor's `take`.

A number is found by its name. The names stand in the same memory, in the order of their first
use, so that every process gives the same slot to the same name, whichever asks first; a slot
never moves. What a router has one process for works the same, with one column.
"""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
import struct
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from .past import SAMPLES, Past, Sample

log = logging.getLogger("onehop_router")

# Memory is only taken by what is written: a page of 4 KiB is 512 numbers.
SLOTS = 65536
NAME_BYTES = 4 * 1024 * 1024

# Bytes in use; then, of each entry, the bytes of its name, its slots, and whether it is a gauge.
_USED = struct.Struct("<Q")
_ENTRY = struct.Struct("<IH?")


class Entry(NamedTuple):
    """A name and its numbers: `width` of them from `slot` on. A gauge ends with its process."""

    name: str
    slot: int
    width: int
    gauge: bool


class Shared:
    """The numbers. `columns` is how many processes there are at most at a time."""

    def __init__(self, columns: int = 1, slots: int = SLOTS, name_bytes: int = NAME_BYTES) -> None:
        self.columns = columns
        self.created = time.time()
        self._slots = slots
        self._name_bytes = name_bytes
        # A file without a name, for the lock's sake: it belongs to a process and ends with it.
        self._fd = os.memfd_create("onehop-router")
        weakref.finalize(self, os.close, self._fd)
        numbers = columns * slots * 8
        os.ftruncate(self._fd, numbers + name_bytes)
        self._memory = mmap.mmap(self._fd, numbers + name_bytes)
        self._numbers = memoryview(self._memory)[:numbers].cast("d")
        self._names = memoryview(self._memory)[numbers:]
        self._past = Past(slots)
        self._index: dict[str, Entry] = {}
        self._full = False
        self._read_bytes = _USED.size
        self._read_slots = 1
        _USED.pack_into(self._names, 0, self._read_bytes)
        self.mine = self._column(0)

    def take(self, column: int) -> None:
        """Count in this column from here on: each process calls it once, after the fork."""
        self.mine = self._column(column)
        self.reap(column)

    def reap(self, column: int) -> None:
        """The process of this column is dead: nothing is under way there."""
        numbers = self._column(column)
        for entry in self.entries():
            if entry.gauge:
                for slot in range(entry.slot, entry.slot + entry.width):
                    numbers[slot] = 0.0

    def slot(self, name: str, width: int = 1, *, gauge: bool = False) -> int:
        """Where the numbers of that name begin; the same in every process.

        A first use takes a lock; keep the answer. Slot 0, which is never shown, is for all the
        names that there is no room for.
        """
        found = self._index.get(name)
        if found is None:
            with self._locked():
                self._read_index()
                found = self._index.get(name) or self._append(name, width, gauge)
        return found.slot if found is not None else 0

    def find(self, name: str) -> int:
        """Where the numbers of that name begin, or 0 where nobody has used it yet."""
        found = self._index.get(name)
        return found.slot if found is not None else 0

    def add(self, slot: int, delta: float = 1.0) -> None:
        """Count in this process's column."""
        self.mine[slot] += delta

    def total(self, slot: int) -> float:
        """The sum over all processes."""
        return float(sum(self._numbers[slot :: self._slots]))

    def entries(self) -> list[Entry]:
        """All names there are, those of other processes included."""
        with self._locked():
            self._read_index()
        return list(self._index.values())

    def totals(self) -> list[float]:
        """The sums over all processes, by slot."""
        columns = [self._column(one)[: self._read_slots] for one in range(self.columns)]
        return [sum(one) for one in zip(*(one.tolist() for one in columns), strict=True)]

    def remember(self, tick: int) -> None:
        """Keep the sums as those of this tick, unless some process has done so."""
        with self._locked():
            if tick > self._past.newest:
                self._read_index()
                self._past.put(Sample(tick, self.totals()))

    def remembered(self, after: int = 0, most: int = SAMPLES) -> list[Sample]:
        """The samples after a tick that there still are, oldest first, and not more than that."""
        with self._locked():
            return self._past.after(after, most)

    @property
    def note(self) -> bytes:
        """A note that any process may leave for all."""
        with self._locked():
            return self._past.note

    @note.setter
    def note(self, text: bytes) -> None:
        with self._locked():
            self._past.note = text

    def _column(self, number: int) -> memoryview[float]:
        if not 0 <= number < self.columns:
            raise ValueError(f"column {number}: there are {self.columns}")
        return self._numbers[number * self._slots : (number + 1) * self._slots]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fcntl.lockf(self._fd, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN)

    def _read_index(self) -> None:
        """Learn the names that other processes have added."""
        (end,) = _USED.unpack_from(self._names, 0)
        while self._read_bytes < end:
            size, width, gauge = _ENTRY.unpack_from(self._names, self._read_bytes)
            start = self._read_bytes + _ENTRY.size
            name = bytes(self._names[start : start + size]).decode()
            self._index[name] = Entry(name, self._read_slots, width, gauge)
            self._read_bytes = start + size
            self._read_slots += width

    def _append(self, name: str, width: int, gauge: bool) -> Entry | None:
        raw = name.encode()
        start = self._read_bytes
        end = start + _ENTRY.size + len(raw)
        if end > self._name_bytes or self._read_slots + width > self._slots:
            if not self._full:
                self._full = True
                log.warning("there is no room for another counter: what is new is not counted")
            return None
        _ENTRY.pack_into(self._names, start, len(raw), width, gauge)
        self._names[start + _ENTRY.size : end] = raw
        # Last, so that a process that is killed in here leaves no half entry.
        _USED.pack_into(self._names, 0, end)
        self._read_index()
        return self._index[name]
