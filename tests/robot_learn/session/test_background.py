"""A process in the background: what it says, how it fails, and that it ends."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from robot_learn.errors import UserError
from robot_learn.session.background import Background, Done, Work

SECONDS = 60.0  # that a busy machine may take


def counter(step: int) -> Work:
    def work(order: int) -> Iterator[int]:
        for number in range(order):
            yield step * number

    return work


def fickle() -> Work:
    def work(order: str) -> Iterator[str]:
        if order == "mistake":
            raise UserError("say it otherwise")
        if order == "fault":
            raise ZeroDivisionError("by nothing")
        if order == "die":
            os._exit(7)
        yield order

    return work


def sleeper(folder: Path) -> Work:
    def work(order: str) -> Iterator[str]:
        yield "begun"
        try:
            time.sleep(SECONDS)
        except KeyboardInterrupt:
            (folder / order).write_text("saved")
            raise

    return work


def refusing() -> Work:
    raise UserError("there is no such dataset")


def said(worker: Background, until: Callable[[list[Any]], bool]) -> list[Any]:
    found: list[Any] = []
    end = time.monotonic() + SECONDS
    while not until(found):
        assert time.monotonic() < end, f"only {found}"
        found += worker.poll()
        time.sleep(0.01)
    return found


def is_done(found: list[Any]) -> bool:
    return any(isinstance(each, Done) for each in found)


def test_it_says_everything_in_order_and_ends_each_order_with_done() -> None:
    worker = Background(counter, 10)
    worker.ask(3)
    worker.ask(1)
    began = worker.busy
    found = said(worker, lambda found: len(found) == 6)
    assert found == [0, 10, 20, Done(), 0, Done()]
    assert (began, worker.busy) == (True, False)
    worker.close()


def test_a_mistake_a_fault_and_a_death_are_told_and_the_next_order_is_done() -> None:
    worker = Background(fickle)
    worker.ask("mistake")
    assert said(worker, is_done) == [Done("say it otherwise", "UserError")]
    worker.ask("fault")
    assert said(worker, is_done) == [Done("ZeroDivisionError: by nothing", "ZeroDivisionError")]
    worker.ask("die")
    (dead,) = said(worker, is_done)
    assert "the process that did this ended (7)" in dead.error
    worker.ask("here")
    assert said(worker, is_done) == ["here", Done()]
    worker.close()


def test_what_cannot_be_begun_is_told_to_whoever_asks() -> None:
    worker = Background(refusing)
    worker.warm()
    assert worker.poll() == []
    worker.ask("anything")
    assert said(worker, is_done) == [Done("there is no such dataset", "UserError")]
    worker.close()


def test_an_interrupt_ends_the_work_under_way_and_not_the_next(tmp_path: Path) -> None:
    worker = Background(sleeper, tmp_path)
    worker.ask("first")
    worker.interrupt()  # perhaps before it began
    assert said(worker, is_done)[-1] == Done(interrupted=True)
    worker.ask("second")
    assert said(worker, lambda found: "begun" in found) == ["begun"]
    worker.interrupt()
    assert said(worker, is_done)[-1] == Done(interrupted=True)
    assert (tmp_path / "second").read_text() == "saved"
    worker.close()


def test_closing_interrupts_and_waits(tmp_path: Path) -> None:
    worker = Background(sleeper, tmp_path)
    worker.ask("last")
    said(worker, lambda found: "begun" in found)
    worker.close()
    assert (tmp_path / "last").read_text() == "saved"
    assert not worker.busy


@pytest.mark.skipif(not hasattr(os, "setsid"), reason="sessions of processes are POSIX")
def test_a_killed_owner_ends_it_and_the_work_is_saved(tmp_path: Path) -> None:
    script = tmp_path / "owner.py"
    script.write_text(
        "import os, sys, time\nfrom pathlib import Path\n"
        "from robot_learn.session.background import Background\n"
        "from tests.robot_learn.session.test_background import sleeper\n"
        "if __name__ == '__main__':\n"
        "    worker = Background(sleeper, Path(sys.argv[1]))\n"
        "    worker.ask('orphan')\n"
        "    while not worker.poll():\n        time.sleep(0.01)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    root = str(Path(__file__).parents[3])
    owner = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": root},
        timeout=SECONDS,
        check=False,
    )
    assert owner.returncode == -9
    end = time.monotonic() + SECONDS
    while not (tmp_path / "orphan").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
