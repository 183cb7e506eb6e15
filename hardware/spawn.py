"""A process of one's own for something that must not wait for us, with shared memory and a pipe between.

It is started as a program, not forked: a fork takes locks of other threads along, and the clients of an arm cannot be
imported side by side. Ctrl-C does not reach it; it ends when its pipe closes, which also happens when we are killed.
"""

from __future__ import annotations

import mmap
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from hardware.arm import ArmError
from robot_learn.errors import UserError
from robot_learn.registry import load

WHEELS = "its wheels are for Linux on x86-64 with glibc 2.34 or newer"
_LONGEST_START = 30.0  # [s] until it answers; imports on a busy machine take seconds


@dataclass(frozen=True, eq=False)
class Child:
    """The process, seen from the one that started it."""

    process: subprocess.Popen[bytes]
    memory: mmap.mmap
    pipe: Connection

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def receive(self, timeout: float, what: str) -> tuple[str, Any]:
        """The next message. Raises ArmError when none comes in time [s], or when the process is gone."""
        try:
            if self.pipe.poll(timeout):
                message: tuple[str, Any] = self.pipe.recv()
                return message
        except (EOFError, OSError):
            raise ArmError(f"{what} ended, exit status {self.ended()}") from None
        raise ArmError(f"{what} did not answer within {timeout:g} s")

    def ended(self) -> int | None:
        """Its exit status; waits a moment for one that is just ending. -9: it was killed."""
        try:
            return self.process.wait(0.5)
        except subprocess.TimeoutExpired:
            return None

    def end(self, patience: float) -> None:
        """Close the pipe, which ends it; after `patience` [s] it is killed."""
        self.pipe.close()
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def spawn(target: str, job: object, memory: int) -> Child:
    """Start `target`, the import path of a function (job, memory, pipe); `job` is pickled, `memory` in bytes.

    Raises:
        UserError: `job` holds something that cannot be sent to another process.
    """
    shared = os.memfd_create("arm")
    ours, theirs = socket.socketpair()
    try:
        os.ftruncate(shared, memory)
        command = [sys.executable, "-m", "hardware.spawn", str(shared), str(theirs.fileno())]
        here = str(Path(__file__).parents[1])
        paths = [here, *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            command,
            pass_fds=(shared, theirs.fileno()),
            env=environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        child = Child(process, mmap.mmap(shared, memory), Connection(ours.detach()))
    finally:
        os.close(shared)
        theirs.close()
    try:
        child.pipe.send((target, job))
    except (TypeError, AttributeError, ValueError) as error:  # of pickle, which also has an error of its own
        child.end(1.0)
        raise UserError(f"what is to run beside the arm cannot be sent to its process: {error}") from error
    return child


def ready(child: Child, what: str) -> Any:
    """What the process says when it is ready. Raises what it failed with."""
    kind, content = child.receive(_LONGEST_START, what)
    if kind == "failed":
        child.end(1.0)
        raise content
    return content


def main() -> None:
    """The process itself: `python -m hardware.spawn MEMORY PIPE`, two file descriptors."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    memory, pipe = mmap.mmap(int(sys.argv[1]), 0), Connection(int(sys.argv[2]))
    for number in (signal.SIGTERM, signal.SIGHUP):  # as if nobody were there any more: it ends in order
        signal.signal(number, lambda *_: pipe.close())
    try:
        target, job = pipe.recv()
    except (EOFError, OSError):
        return
    try:
        load({}, target, kind="process")(job, memory, pipe)
    except (ArmError, UserError) as error:
        failure: Exception = error
    except ImportError as error:
        failure = UserError(f"a client of the arm does not load here: {error}; {WHEELS}")
    except Exception as error:
        failure = ArmError(f"{type(error).__name__}: {error}".replace("libfranka: ", ""))
    else:
        return
    try:
        pipe.send(("failed", failure))
        pipe.poll(1.0)  # let it be read before the pipe closes
    except OSError:
        return


if __name__ == "__main__":
    main()
