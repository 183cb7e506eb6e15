"""What a process asks of the kernel so that it wakes up in time."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import threading

import pytest

from hardware import scheduling


def _slice() -> int:
    """[ns] that the calling thread has asked for, by the kernel's own word (sched_getattr)."""
    number = {"x86_64": 315, "aarch64": 275}[platform.machine()]
    told = ctypes.create_string_buffer(56)
    assert ctypes.CDLL(None).syscall(number, 0, told, len(told), 0) == 0
    return int(struct.unpack("<IIQiIQQQ", told.raw[:48])[5])


def test_the_kernel_says_that_slices_are_short_or_that_it_cannot() -> None:
    before, found = os.getpriority(os.PRIO_PROCESS, 0), list[object]()

    def ask() -> None:
        done = scheduling.short_slices()
        found.extend((done, _slice() if done else None, os.sched_getscheduler(0)))

    thread = threading.Thread(target=ask)  # so that the tests after this one run as before
    thread.start()
    thread.join()
    done, told, policy = found
    assert told == (scheduling.SLICE if done else None)
    assert policy == os.SCHED_OTHER
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


def test_where_it_is_not_known_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "sparc")
    assert not scheduling.short_slices()
