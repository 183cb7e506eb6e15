"""Groups of worlds in processes of their own: `Remote` in the parent, `main` in the child.

A child is a fresh interpreter, so it neither copies the parent's threads nor runs its main module again, as
multiprocessing's children do. Parent and child talk through a socket that the child inherits, and through memory
without a name. Both vanish with their last owner: a child whose parent is gone reads the end of the socket and ends.
"""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
import sys
import traceback
from multiprocessing.connection import Connection, Pipe
from typing import Any

from sims.maniskill.group import Board, Group, Options


def share(size: int) -> tuple[int, mmap.mmap]:
    """Memory that children can inherit: a file descriptor and the memory itself."""
    descriptor = os.memfd_create("worlds")
    os.ftruncate(descriptor, size)
    return descriptor, mmap.mmap(descriptor, size)


class ChildError(Exception):
    """The traceback of an error in a child, shown as its cause."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


class Remote:
    """A `Group` in a child. `send` a call to all children before you `receive` from the first."""

    def __init__(self, task_name: str, options: Options, memory: int, num_worlds: int, first: int, count: int) -> None:
        self._pipe, theirs = Pipe()
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sims.maniskill.process", str(theirs.fileno())],
            pass_fds=(theirs.fileno(), memory),
            stdin=subprocess.DEVNULL,
            env=environment | {"OMP_NUM_THREADS": "1"},
            process_group=0,  # so that Ctrl-C reaches the parent alone, which then closes its children
        )
        theirs.close()
        self._sent = self._received = 0
        self.send("open", task_name, options, memory, num_worlds, first, count)

    def send(self, method: str, *args: Any, **kwargs: Any) -> None:
        """Have the child call a method of its group."""
        self._sent += 1
        try:
            self._pipe.send((method, args, kwargs))
        except OSError as error:
            raise self._death() from error

    def receive(self) -> Any:
        """What the last call returned; its error is raised here. Answers that nobody took are dropped."""
        answer: tuple[bool, Any] = (True, None)
        while self._received < self._sent:
            try:
                answer = self._pipe.recv()
            except (EOFError, OSError) as error:
                raise self._death() from error
            self._received += 1
        ok, result = answer
        if ok:
            return result
        raised, text = result
        raise raised from ChildError(text)

    def _death(self) -> RuntimeError:
        self._pipe.close()
        try:
            status: object = self._process.wait(5)
        except subprocess.TimeoutExpired:
            status = "unknown"
        return RuntimeError(f"a process with ManiSkill worlds ended by itself, with status {status}; see its output")

    def close(self) -> None:
        """End the child."""
        self._pipe.close()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _portable(error: Exception) -> Exception:
    """The error itself where it survives pickling, else one of the same text."""
    import pickle

    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _open(task_name: str, options: Options, descriptor: int, num_worlds: int, first: int, count: int) -> Group:
    from sims.maniskill.tables import spec_of

    found = spec_of(task_name)
    memory = mmap.mmap(descriptor, Board.size(num_worlds, found))
    return Group(found, options, Board.on(memory, num_worlds, found), first, count)


def main(descriptor: int) -> None:
    """Serve one parent until it hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import torch

    torch.set_num_threads(1)
    pipe, group = Connection(descriptor), None
    while True:
        try:
            method, args, kwargs = pipe.recv()
        except (EOFError, OSError):
            break
        try:
            if method == "open":
                group, result = _open(*args), None
            else:
                result = getattr(group, method)(*args, **kwargs)
            answer = (True, result)
        except Exception as error:
            answer = (False, (_portable(error), traceback.format_exc()))
        try:
            pipe.send(answer)
        except OSError:
            break
    os._exit(0)  # SAPIEN's objects need not be taken apart one by one


if __name__ == "__main__":
    main(int(sys.argv[1]))
