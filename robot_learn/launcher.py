"""Where trainings run: a job is a command line and a log, so that anything that starts processes can be a launcher."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from robot_learn.errors import UserError

POLL = 0.2  # [s]


@dataclass(frozen=True)
class Job:
    """`robot-learn WORDS`, with its output in a log. All that it makes lies in folders that its words name."""

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
        lines = self.job.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return "\n".join(lines[-5:])


class Launcher(Protocol):
    """Runs jobs and yields each as it ends, in any order. A cluster's queue fits behind it: jobs share only files."""

    def run(self, jobs: Sequence[Job]) -> Iterator[Finished]: ...


class LocalProcesses:
    """Processes of this machine, `workers` at a time, each with its share of the cores.

    Leaving the iteration early, by an error or Ctrl-C, interrupts the jobs that run, as Ctrl-C would each of them, and
    waits for them: a training saves its checkpoint and can go on later.
    """

    def __init__(self, workers: int | None = None) -> None:
        self._cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        self.workers = workers or max(1, len(self._cores) or os.cpu_count() or 1)
        if self.workers < 1:
            raise UserError(f"workers: wanted 1 or more, came {workers}")

    def run(self, jobs: Sequence[Job]) -> Iterator[Finished]:
        waiting = deque(jobs)
        running: dict[int, tuple[Job, subprocess.Popen[bytes], float]] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self.workers:
                    seat = min(set(range(self.workers)) - running.keys())
                    job = waiting.popleft()
                    running[seat] = (job, self._start(job, seat), time.monotonic())
                ended = [seat for seat, (_, process, _) in running.items() if process.poll() is not None]
                for seat in ended:
                    job, process, began = running.pop(seat)
                    yield Finished(job, process.returncode, time.monotonic() - began)
                if not ended:
                    time.sleep(POLL)
        finally:
            _stop([process for _, process, _ in running.values()])

    def _start(self, job: Job, seat: int) -> subprocess.Popen[bytes]:
        job.log.parent.mkdir(parents=True, exist_ok=True)
        cores = self._cores[seat :: self.workers] or self._cores[seat % len(self._cores) :][:1] if self._cores else []
        command = [sys.executable, "-c", _MAIN, ",".join(map(str, cores)), *job.words]
        with job.log.open("ab") as log:
            # A session of its own, so that Ctrl-C at the terminal reaches it through us alone, and once.
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


# Cores are taken before anything is imported that counts them.
_MAIN = """
import os, sys
if sys.argv[1]:
    os.sched_setaffinity(0, {int(core) for core in sys.argv[1].split(",")})
from robot_learn.cli import main
sys.exit(main(sys.argv[2:]))
"""


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
    for process in processes:
        process.wait()
