"""Work that takes longer than a page can wait: a process of its own, which does one thing after the other."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Protocol

from robot_learn.errors import UserError

NICE = 5  # the page, its server and the robot go first
WATCH = 0.5  # [s] between two looks whether the owner is still there
GRACE = 30.0  # [s] that work which is interrupted has to save what it did

Work = Callable[[Any], Iterator[Any]]


@dataclass(frozen=True)
class Done:
    """One piece of work has ended."""

    error: str | None = None  # in words for the person
    kind: str = ""  # the class of the error
    interrupted: bool = False


class Worker(Protocol):
    """Does what it is asked, one piece after the other. `poll` never waits."""

    @property
    def busy(self) -> bool: ...

    def ask(self, order: Any) -> None: ...

    def poll(self) -> list[Any]: ...

    def interrupt(self) -> None: ...

    def close(self) -> None: ...


class Background:
    """A process that calls `make(*arguments)` as it starts, and what comes back with each order.

    What that yields comes out of `poll`, and a `Done` after it. It ends with its owner, however that ends: work that is
    under way gets an interrupt then, as by Ctrl-C. A process that died is started again by the next order.
    """

    def __init__(self, make: Callable[..., Work], *arguments: Any) -> None:
        self._make, self._arguments = make, arguments
        self._process: Any = None
        self._line: Connection | None = None
        self._open = 0  # orders that are not done
        self._interrupts = 0  # that this process was sent
        self._ready = False  # it has imported what it needs

    @property
    def busy(self) -> bool:
        return self._open > 0

    def warm(self) -> None:
        """Start the process, so that the first order need not wait for it."""
        if self._process is not None and self._process.is_alive():
            return
        context = get_context("spawn")
        self._line, theirs = context.Pipe()
        given = (theirs, os.getpid(), self._make, self._arguments)
        self._process = context.Process(target=_serve, args=given, daemon=True)
        # Until it has a handler of its own, an interrupt waits: the mask is inherited.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._interrupts, self._ready = 0, False
        theirs.close()

    def ask(self, order: Any) -> None:
        self.warm()
        assert self._line is not None
        self._line.send((order, self._interrupts))
        self._open += 1

    def poll(self) -> list[Any]:
        """What it has said since the last look."""
        found: list[Any] = []
        if self._line is None:
            return found
        try:
            while self._line.poll():
                said = self._line.recv()
                if isinstance(said, _Ready):
                    self._ready = True
                else:
                    found.append(said)
        except (EOFError, OSError):
            self._process.join(WATCH)
            found += [Done(f"the process that did this ended ({self._process.exitcode})")] * self._open
            self._line, self._open = None, 0
        self._open = max(0, self._open - sum(isinstance(each, Done) for each in found))
        return found

    def interrupt(self) -> None:
        """End the work that is under way early; it saves what it can."""
        if self._open and self._process is not None and self._process.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGINT)
                self._interrupts += 1

    def close(self) -> None:
        if self._process is None:
            return
        self.poll()
        if not self._ready:
            self._process.kill()  # it has begun nothing
        self.interrupt()
        if self._line is not None:
            with contextlib.suppress(OSError):
                self._line.send(None)
        self._process.join(GRACE)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process = self._line = None
        self._open = 0


@dataclass(frozen=True)
class _Ready:
    """The first that a process says."""


class _Interrupts:
    """Ends the work that is under way, and counts: one that came before its order ends that before it begins."""

    def __init__(self) -> None:
        self.count, self.working = 0, False

    def __call__(self, *_: object) -> None:
        self.count += 1
        if self.working:
            raise KeyboardInterrupt


def _serve(line: Connection, owner: int, make: Callable[..., Work], arguments: tuple[Any, ...]) -> None:
    """The life of the process. Ctrl-C at a terminal is its owner's: it reaches this process through the owner alone."""
    interrupts = _Interrupts()
    signal.signal(signal.SIGINT, interrupts)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    with contextlib.suppress(OSError):
        os.setsid()
    with contextlib.suppress(OSError):
        os.nice(NICE)
    threading.Thread(target=_watch, args=(owner,), daemon=True).start()
    work, broken = _made(make, arguments)
    with contextlib.suppress(EOFError, OSError):  # the owner is gone
        line.send(_Ready())
        while (told := line.recv()) is not None:
            order, sent = told
            early = interrupts.count > sent
            line.send(Done(interrupted=True) if early else _done(line, work, order, broken, interrupts))
    os._exit(0)  # nothing is left to be written, and taking apart what was imported takes seconds


def _done(line: Connection, work: Work | None, order: Any, broken: str, interrupts: _Interrupts) -> Done:
    """Do one piece of work, and say how it ended."""
    before, done = interrupts.count, Done()
    try:
        interrupts.working = True
        if work is None:
            raise UserError(broken)
        for said in work(order):
            line.send(said)
    except KeyboardInterrupt:
        done = Done(interrupted=True)
    except UserError as error:
        done = Done(str(error), type(error).__name__)
    except ConnectionError:
        raise  # nobody listens any more
    except Exception as error:
        # An import that is interrupted fails in a way of its own.
        done = Done(interrupted=True)
        if interrupts.count == before:
            traceback.print_exc()
            done = Done(f"{type(error).__name__}: {error}", type(error).__name__)
    finally:
        interrupts.working = False
    if done.interrupted:
        interrupts.count = max(interrupts.count, before + 1)  # some work has a handler of its own, which does not count
    return done


def _made(make: Callable[..., Work], arguments: tuple[Any, ...]) -> tuple[Work | None, str]:
    """What is to be done with each order, or why there is nothing: that is told to whoever gives one."""
    try:
        return make(*arguments), ""
    except UserError as error:
        return None, str(error)
    except Exception as error:
        traceback.print_exc()
        return None, f"{type(error).__name__}: {error}"


def _watch(owner: int) -> None:
    """Interrupt the work of an owner who is gone: its line is closed, so that the process ends after it."""
    while os.getppid() == owner:
        time.sleep(WATCH)
    os.kill(os.getpid(), signal.SIGINT)
