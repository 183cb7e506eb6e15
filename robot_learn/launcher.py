"""Where trainings run: a job is a command line and a log, so that anything that starts processes can be a launcher."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from robot_learn.errors import UserError

POLL = 0.2  # [s]
GRACE = 60.0  # [s] that an interrupted job has to save what it did, before it is killed
LAST_LINES = 5  # of a log, in a message
TIMED_OUT = 124  # the status of a job that ran past its time, as timeout(1) has it


@dataclass(frozen=True)
class Job:
    """`robot-learn WORDS`, with its output added to a log. All that it makes lies in folders that its words name."""

    name: str
    words: tuple[str, ...]
    log: Path


@dataclass(frozen=True)
class Finished:
    """A job that has ended; 0 is success, as of any process."""

    job: Job
    status: int
    seconds: float

    def last_words(self) -> str:
        """The end of its log, for an error message."""
        try:
            lines = self.job.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError as error:
            return f"(no log: {error.strerror})"
        return "\n".join(lines[-LAST_LINES:]) or "(it said nothing)"


class Launcher(Protocol):
    """Runs jobs and yields each as it ends, in any order. A cluster's queue fits behind it: jobs share only files.

    Closing the generator early interrupts the jobs that run, as Ctrl-C would, and begins no others; it returns when
    none runs any more, so that whoever runs the same job again finds its files at rest.
    """

    def run(self, jobs: Sequence[Job]) -> Generator[Finished, None, None]: ...


@dataclass
class _Running:
    job: Job
    process: subprocess.Popen[bytes]
    began: float  # [s] on the monotonic clock

    def seconds(self) -> float:
        return time.monotonic() - self.began


class LocalProcesses:
    """Processes of this machine, `workers` at a time, each with its share of the cores.

    A job that runs longer than `limit` seconds is interrupted and ends with status 124. An interrupted job that has not
    ended within `grace` seconds is killed: a training keeps its last checkpoint and goes on from there.
    """

    def __init__(self, workers: int | None = None, *, limit: float | None = None, grace: float = GRACE) -> None:
        self._cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        self.workers = workers if workers is not None else len(self._cores) or os.cpu_count() or 1
        self.limit, self.grace = limit, grace
        if self.workers < 1 or (limit is not None and limit <= 0):
            raise UserError(f"wanted 1 worker or more and a positive limit, came {workers} workers, limit {limit}")

    def run(self, jobs: Sequence[Job]) -> Generator[Finished, None, None]:
        waiting = deque(jobs)
        running: dict[int, _Running] = {}  # by seat: which share of the cores it has
        try:
            while waiting or running:
                for seat in set(range(self.workers)) - running.keys():
                    if waiting:
                        running[seat] = self._start(waiting.popleft(), seat)
                ended = [seat for seat, one in running.items() if self._has_ended(one)]
                for seat in ended:
                    one = running.pop(seat)
                    yield Finished(one.job, self._status(one), one.seconds())
                if not ended:
                    time.sleep(POLL)
        finally:
            self._stop([one.process for one in running.values()])

    def _start(self, job: Job, seat: int) -> _Running:
        job.log.parent.mkdir(parents=True, exist_ok=True)
        cores = self._cores[seat :: self.workers]
        if self._cores and not cores:  # more workers than cores
            cores = [self._cores[seat % len(self._cores)]]
        command = [sys.executable, "-c", _MAIN, str(os.getpid()), ",".join(map(str, cores)), *job.words]
        with job.log.open("ab") as log:
            # The lock lives as long as the job, whose output the file is. A job of this log that lost its launcher a
            # moment ago is still writing its folder: it is waited for.
            fcntl.flock(log, fcntl.LOCK_EX)
            # A session of its own, so that Ctrl-C at the terminal reaches it through us alone, and once.
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        return _Running(job, process, time.monotonic())

    def _has_ended(self, one: _Running) -> bool:
        if self.limit is not None and one.seconds() > self.limit:
            self._stop([one.process])
        return one.process.poll() is not None

    def _status(self, one: _Running) -> int:
        late = self.limit is not None and one.seconds() > self.limit and one.process.returncode != 0
        if late:
            with one.job.log.open("a", encoding="utf-8") as log:
                log.write(f"stopped: it ran longer than {self.limit:g} s\n")
        return TIMED_OUT if late else one.process.returncode

    def _stop(self, processes: Sequence[subprocess.Popen[bytes]]) -> None:
        """Interrupt processes and wait for them; Ctrl-C meanwhile, or too long a wait, kills them."""
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + self.grace
        try:
            for process in processes:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, deadline - time.monotonic()))
        finally:
            for process in processes:
                if process.poll() is None:
                    process.kill()
                    process.wait()


# Cores are taken before anything is imported that counts them. A process that is started in the background may inherit
# that interrupts are ignored. When whoever started the job is gone, nobody could stop it any more: it interrupts
# itself, so that two processes never train in one folder.
_MAIN = """
import os, signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)
parent, cores, words = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
if cores:
    os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
def watch():
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=watch, daemon=True).start()
from robot_learn.cli import main
sys.exit(main(words))
"""
