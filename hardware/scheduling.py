"""What a process may ask of the kernel so that it wakes up in time, without any right to real-time priority.

Linux from 6.12 on lets every thread say in how short slices it wants its share of a processor. One that asks for short
slices gets no more than its share, but sooner: it takes the place of another whose slice is longer when it wakes up.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct

SLICE = 100_000  # [ns] the shortest that may be asked for
_CALLS = {"x86_64": 314, "aarch64": 274}  # sched_setattr
_SIZE = 48  # bytes of struct sched_attr in its first version


def short_slices() -> bool:
    """Ask for the calling thread; False where the kernel or the machine does not know of it."""
    number = _CALLS.get(platform.machine())
    if number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    attributes = struct.pack("<IIQiIQQQ", _SIZE, os.SCHED_OTHER, 0, nice, 0, SLICE, 0, 0)
    library = ctypes.CDLL(None, use_errno=True)
    return bool(library.syscall(number, 0, ctypes.create_string_buffer(attributes), 0) == 0)
