from __future__ import annotations

import mmap
import subprocess
import sys

import numpy as np

from hardware.ring import Ring

RECORD = np.dtype([("n", np.uint64), ("values", float, 70), ("text", "S9")])


def ring(slots: int = 8) -> Ring:
    return Ring(mmap.mmap(-1, Ring.size(RECORD, slots)), RECORD, slots)


def put(into: Ring, number: int) -> None:
    record = np.zeros((), RECORD)
    record["n"], record["values"] = number, number
    into.put(record)


def test_the_newest_record_is_the_last_one_written() -> None:
    shared = ring()
    assert shared.newest() is None
    for number in range(30):
        put(shared, number)
        newest = shared.newest()
        assert newest is not None
        assert newest["n"] == number


def test_what_was_not_overwritten_comes_once_and_in_order() -> None:
    shared = ring(8)
    for number in range(5):
        put(shared, number)
    records, count = shared.since(2)
    assert records["n"].tolist() == [2, 3, 4]
    assert count == 5
    assert len(shared.since(count)[0]) == 0
    for number in range(5, 25):
        put(shared, number)
    assert shared.since(count)[0]["n"].tolist() == list(range(18, 25))  # the oldest slot is the next to be written


def test_a_copy_does_not_change_with_what_is_written_later() -> None:
    shared = ring(2)
    put(shared, 1)
    first = shared.newest()
    assert first is not None
    put(shared, 2)
    put(shared, 3)
    assert first["n"] == 1


def test_a_record_that_is_damaged_is_left_out() -> None:
    memory = mmap.mmap(-1, Ring.size(RECORD, 8))
    shared = Ring(memory, RECORD, 8)
    for number in range(3):
        put(shared, number)
    at = memory.find(np.float64(1.0).tobytes())
    memory[at] = 7
    assert shared.since(0)[0]["n"].tolist() == [0, 2]


WRITER = """
import mmap, sys
import numpy as np
sys.path.insert(0, sys.argv[2])
from tests.hardware.test_ring import RECORD, put
from hardware.ring import Ring
shared = Ring(mmap.mmap(int(sys.argv[1]), 0), RECORD, 4)
for number in range(20000):
    put(shared, number)
"""


def test_a_reader_beside_a_writer_in_another_process_never_sees_half_a_record() -> None:
    import os
    from pathlib import Path

    file = os.memfd_create("ring")
    os.ftruncate(file, Ring.size(RECORD, 4))
    shared = Ring(mmap.mmap(file, 0), RECORD, 4)
    root = str(Path(__file__).parents[2])
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(file), root], pass_fds=(file,))
    seen, running = [0], True
    while running:
        running = writer.poll() is None
        newest = shared.newest()
        if newest is None:
            continue
        assert set(newest["values"].tolist()) == {float(newest["n"])}
        assert newest["n"] >= seen[-1]
        seen.append(int(newest["n"]))
    os.close(file)
    assert writer.returncode == 0
    assert seen[-1] == 19999
    assert len(set(seen)) > 10
