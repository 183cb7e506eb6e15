"""The newest records of one writer, for one reader in another process, through shared memory and without waiting.

A record is written into the next of a ring of slots, then the count of records goes up by one, so that the newest slot
is at rest while the others are written. A record carries its number and a checksum: one that was overwritten while it
was read, or seen before it was whole (some processors reorder stores), is told and read again.
"""

from __future__ import annotations

import mmap
import zlib

import numpy as np

_TRIES = 1000  # at about 2 us each, a writer that is always in the way is no longer one writer


class Ring:
    """Records of `dtype` in `memory` from byte `offset` on; see `size`. One process writes, another one reads."""

    def __init__(self, memory: mmap.mmap, dtype: np.dtype, slots: int, offset: int = 0) -> None:
        self.dtype, self.slots, self._offset = dtype, slots, offset
        self._count = np.ndarray((1,), np.uint64, memory, offset)
        self._slots = np.ndarray((slots,), _slot(dtype), memory, offset + 8)
        self._bytes = self._slots.view(np.uint8).reshape(slots, -1)

    @property
    def end(self) -> int:
        """The byte after it."""
        return self._offset + self.size(self.dtype, self.slots)

    @staticmethod
    def size(dtype: np.dtype, slots: int) -> int:
        """Bytes that a ring takes; a multiple of 8."""
        return 8 + slots * _slot(dtype).itemsize

    @property
    def count(self) -> int:
        """How many records have been written so far."""
        return int(self._count[0])

    def put(self, record: np.ndarray) -> int:
        """Write a record (), of the ring's dtype; returns the count with it."""
        count = self.count
        slot = self._slots[count % self.slots]
        slot["record"] = record
        slot["number"] = count
        slot["checksum"] = zlib.crc32(self._bytes[count % self.slots, :-8].data)
        self._count[0] = count + 1
        return count + 1

    def newest(self) -> np.ndarray | None:
        """A copy of the newest record (), or None before the first."""
        for _ in range(_TRIES):
            count = self.count
            if count == 0:
                return None
            record = self._read(count - 1)
            if record is not None:
                return record
        raise RuntimeError("a record was never at rest: more than one writer, or a ring of too few slots")

    def since(self, count: int) -> tuple[np.ndarray, int]:
        """Copies (N,) of the records after the first `count`, oldest first, and the new count.

        Those that were overwritten meanwhile are missing: fewer came than the counts differ by.
        """
        newest = self.count
        oldest = max(count, newest - self.slots + 1)
        found = [record for i in range(oldest, newest) if (record := self._read(i)) is not None]
        return (np.array(found, self.dtype) if found else np.zeros(0, self.dtype)), newest

    def _read(self, number: int) -> np.ndarray | None:
        raw = self._bytes[number % self.slots].copy()
        slot = raw.view(self._slots.dtype)[0]
        whole = int(slot["number"]) == number and int(slot["checksum"]) == zlib.crc32(raw[:-8].data)
        return np.array(slot["record"], self.dtype) if whole else None


def _slot(dtype: np.dtype) -> np.dtype:
    padding = -dtype.itemsize % 8
    return np.dtype([("record", dtype), ("padding", np.uint8, padding), ("number", np.uint64), ("checksum", np.uint64)])
