"""Jobs that run well, fail, hang and are interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from robot_learn.errors import UserError
from robot_learn.launcher import TIMED_OUT, Finished, Job, LocalProcesses

# A program that stands in for `robot_learn.cli`, so that a job does what a test wants within milliseconds.
STAND_IN = """
import os, signal, sys, time

def main(words):
    what, *rest = words
    if what == "say":
        print(*rest)
    elif what == "fail":
        print(*[f"line {number}" for number in range(9)], sep="\\n")
        return 3
    elif what == "cores":
        print(len(os.sched_getaffinity(0)))
    elif what in ("hang", "deaf"):
        if what == "deaf":
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        print(os.getpid(), flush=True)
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
            return 130
    return 0
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for logs; the jobs find the stand-in there instead of this project's command line."""
    package = tmp_path / "path" / "robot_learn"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "cli.py").write_text(STAND_IN)
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    monkeypatch.chdir(tmp_path)  # `python -c` looks in the working folder first
    return tmp_path


def job(folder: Path, name: str, *words: str) -> Job:
    return Job(name, words, folder / "logs" / f"{name}.txt")


def pid_of(one: Job) -> int:
    """What a hanging job says first, once it does."""
    for _ in range(200):
        if one.log.exists() and one.log.read_text().strip():
            return int(one.log.read_text().split()[0])
        time.sleep(0.05)
    raise AssertionError("the job did not start")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_real_command_ends_with_its_own_status_and_words(tmp_path: Path) -> None:
    jobs = [job(tmp_path, "good", "--version"), job(tmp_path, "bad", "tasks", "metaworld/drawer-opn")]
    found = {done.job.name: done for done in LocalProcesses(1).run(jobs)}
    assert (found["good"].status, found["bad"].status) == (0, 2)
    assert "robot-learn" in found["good"].last_words()
    assert "did you mean 'metaworld/drawer-open'" in found["bad"].last_words()


def test_a_failing_job_is_reported_with_its_last_lines_and_the_others_run(stand_in: Path) -> None:
    jobs = [job(stand_in, "a", "fail"), job(stand_in, "b", "say", "well"), job(stand_in, "c", "say", "done")]
    found = {done.job.name: done for done in LocalProcesses(2).run(jobs)}
    assert found["a"].status == 3
    assert found["a"].last_words() == "\n".join(f"line {number}" for number in range(4, 9))
    assert (found["b"].status, found["b"].last_words()) == (0, "well")
    assert found["c"].status == 0


def test_logs_are_added_to(stand_in: Path) -> None:
    for word in ("first", "second"):
        (done,) = LocalProcesses(1).run([job(stand_in, "a", "say", word)])
    assert done.last_words() == "first\nsecond"


def test_a_log_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    assert "no log" in Finished(job(tmp_path, "a"), 1, 0.0).last_words()


def test_no_more_jobs_than_workers_run_at_once_and_each_has_its_share_of_the_cores(stand_in: Path) -> None:
    cores = len(os.sched_getaffinity(0))
    jobs = [job(stand_in, str(number), "cores") for number in range(3)]
    alone = list(LocalProcesses(1).run(jobs[:1]))
    assert alone[0].last_words() == str(cores)
    shared = list(LocalProcesses(2 * cores).run(jobs[1:]))
    assert [done.last_words() for done in shared] == ["1", "1"]


def test_a_job_that_hangs_past_its_limit_is_interrupted(stand_in: Path) -> None:
    (done,) = LocalProcesses(1, limit=1.5).run([job(stand_in, "a", "hang")])
    assert done.status == TIMED_OUT
    assert "interrupted\nstopped: it ran longer than 1.5 s" in done.last_words()


def test_a_job_that_does_not_heed_an_interrupt_is_killed(stand_in: Path) -> None:
    (done,) = LocalProcesses(1, limit=1.5, grace=0.5).run([job(stand_in, "a", "deaf")])
    assert done.status == TIMED_OUT
    assert done.seconds < 20
    assert not is_alive(pid_of(done.job))


def test_closing_interrupts_what_runs_and_begins_nothing_more(stand_in: Path) -> None:
    hanging, waiting = job(stand_in, "hanging", "hang"), job(stand_in, "waiting", "say", "x")
    quick = job(stand_in, "quick", "say", "x")
    with closing(LocalProcesses(2).run([hanging, quick, job(stand_in, "next", "hang"), waiting])) as finished:
        assert next(finished).job == quick
        pid = pid_of(hanging)
    assert not is_alive(pid)
    assert "interrupted" in hanging.log.read_text()
    assert not waiting.log.exists()


def test_ctrl_c_interrupts_the_jobs_once_through_their_launcher(stand_in: Path) -> None:
    hanging = job(stand_in, "a", "hang")
    launcher = LocalProcesses(1)
    finished = launcher.run([hanging])
    previous = signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    try:
        signal.setitimer(signal.ITIMER_REAL, 2.0)
        with pytest.raises(KeyboardInterrupt):
            next(finished)
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert hanging.log.read_text().count("interrupted") == 1


@pytest.mark.parametrize("ignores", [False, True])
def test_a_job_ends_when_whoever_started_it_is_killed(stand_in: Path, ignores: bool) -> None:
    # `ignores`: as in the background of a shell without job control, where jobs inherit that interrupts are ignored.
    source = Path(sys.modules[LocalProcesses.__module__].__file__ or "").parents[1]
    script = (
        f"import signal, sys; sys.path.insert(0, {str(source)!r})\n"
        f"if {ignores}: signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from pathlib import Path\n"
        "from robot_learn.launcher import Job, LocalProcesses\n"
        f"list(LocalProcesses(1).run([Job('a', ('hang',), Path({str(stand_in)!r}) / 'logs' / 'a.txt')]))\n"
    )
    starter = subprocess.Popen([sys.executable, "-c", script], cwd=stand_in)
    orphan = job(stand_in, "a")
    pid_of(orphan)
    starter.kill()
    starter.wait()
    for _ in range(100):
        if "interrupted" in orphan.log.read_text():
            return
        time.sleep(0.1)
    raise AssertionError("the orphan went on")


def test_a_job_waits_until_an_orphan_of_the_same_log_has_ended(stand_in: Path) -> None:
    first, second = job(stand_in, "a", "hang"), job(stand_in, "a", "say", "second")
    orphaned = LocalProcesses(1)._start(first, 0)  # as if the launcher that started it were gone
    pid_of(first)
    signal.signal(signal.SIGALRM, lambda *_: orphaned.process.send_signal(signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, 1.0)
    list(LocalProcesses(1).run([second]))
    assert first.log.read_text().splitlines()[1:] == ["interrupted", "second"]
    assert orphaned.process.wait() == 130


@pytest.mark.parametrize(("workers", "limit"), [(0, None), (-1, None), (1, 0.0)])
def test_senseless_numbers_are_refused(workers: int, limit: float | None) -> None:
    with pytest.raises(UserError, match="1 worker or more"):
        LocalProcesses(workers, limit=limit)
