"""How fast the way to the arm is: the guard's ticks, and each client's loop against a fake arm in another process.

A loop is driven as a policy drives it, by a command every 40 ms of the arm's clock. In lockstep the fake waits for each
answer, so that nothing can be late; in real time it does not, and other work on the machine shows.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import hardware
from hardware import timing
from hardware.arm import ArmError, Command, Mode
from robot_learn.errors import UserError
from robot_learn.registry import load

SECONDS = 4.0  # of the arm's clock that each loop is driven for
TICKS = 5000  # of the guard
_PERIOD = 0.04  # [s] between two commands
_WARM = 300  # ticks at first that are left out: libraries set themselves up
_CLIENTS = {"fci": "10", "franky": "10", "panda": "5"}  # schemes, and the protocol that each speaks
_COLUMNS = (
    "what",
    "n",
    "median [us]",
    "p99 [us]",
    "p99 of own time [us]",
    "commanded p99 [us]",
    "ticks/s",
    "success rate",
    "failed",
)
_STARTS = 60.0  # [s] that a fake may take to listen


def run() -> list[dict[str, Any]]:
    """A row for the guard in each mode and place, and for each client in lockstep and in real time.

    Of the guard, the times are those between a state of the arm and the answer to it (`hardware.timing`), once by the
    wall and once by what the core worked for it alone; beside them what always the same work takes, which tells what
    the machine adds. Of a client, they are from the moment at which a state reaches us until the answer to it was
    handed over: all that is ours, the packing of both included. "commanded" are the ticks that took up a new command.
    """
    rng = np.random.default_rng(0)
    modes: tuple[Mode, ...] = ("joint_velocity", "twist")
    guards = [_noise(), *(_guard(rng, mode, place) for mode in modes for place in ("open", "table"))]
    loops = [
        _loop(scheme, f"127.0.71.{10 * number + realtime}", realtime=realtime)
        for number, scheme in enumerate(_CLIENTS, start=1)
        for realtime in (False, True)
    ]
    return [{column: row.get(column, "") for column in _COLUMNS} for row in (*guards, *loops)]


def _guard(rng: np.random.Generator, mode: Mode, place: timing.Place) -> dict[str, Any]:
    taken = timing.tick_times(rng, TICKS, mode=mode, place=place)[_WARM:]
    own = timing.tick_times(rng, TICKS, mode=mode, place=place, clock=time.thread_time)[_WARM:]
    what = f"guard, {mode}, hand {'at the table' if place == 'table' else 'in the air'}"
    return {
        "what": what,
        **_figures(taken, own),
        "commanded p99 [us]": _p99(taken[-_WARM % timing.PERIOD :: timing.PERIOD]),
    }


def _noise() -> dict[str, Any]:
    return {
        "what": "always the same work",
        **_figures(timing.noise(TICKS), timing.noise(TICKS, clock=time.thread_time)),
    }


def _figures(taken: np.ndarray, own: np.ndarray) -> dict[str, Any]:
    median = round(1e6 * float(np.median(taken)), 1)
    return {"n": len(taken), "median [us]": median, "p99 [us]": _p99(taken), "p99 of own time [us]": _p99(own)}


def _p99(taken: np.ndarray) -> float | None:
    return round(1e6 * float(np.quantile(taken, 0.99)), 1) if len(taken) else None


def _loop(scheme: str, host: str, *, realtime: bool) -> dict[str, Any]:
    what = f"{scheme}, {'real time' if realtime else 'lockstep'}"
    try:
        with _fake(host, scheme, realtime=realtime):
            return {"what": what, **_driven(scheme, host, realtime=realtime)}
    except (UserError, ArmError) as error:
        return {"what": what, "failed": str(error)}


@contextmanager
def _fake(host: str, scheme: str, *, realtime: bool) -> Iterator[None]:
    """A fake arm in a process of its own."""
    words = ["fake-arm", "--host", host, "--version", _CLIENTS[scheme], "--json"]
    words += ["--arm", "fer" if scheme == "panda" else "fr3", *(["--realtime"] if realtime else [])]
    program = "import sys; from robot_learn.cli import main; sys.exit(main(sys.argv[1:]))"
    process = subprocess.Popen(
        [sys.executable, "-c", program, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        if "{" not in process.stdout.readline():  # it says where it listens, and nothing before that
            raise UserError(f"no fake arm came up at {host} within {_STARTS:g} s")
        time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait(10)


def _driven(scheme: str, host: str, *, realtime: bool) -> dict[str, Any]:
    with load(hardware.ARMS, scheme, kind="arm")(host, gripper=False) as arm:
        arm.start()
        begun, clock, phase = time.monotonic(), arm.observe().time, 0.0
        while arm.observe().time - clock < SECONDS:
            phase += _PERIOD
            wanted = 0.15 * np.sin(2 * np.pi * 0.5 * phase) * np.array([1, 0, 0, 0, 0.5, 0, -1])
            arm.command(Command("joint_velocity", wanted, arm.observe().received))
            arm.wait(_PERIOD)
        seconds = time.monotonic() - begun
        ticks = arm.ticks()
        arm.stop()
    sent = ticks[ticks["following"] & (ticks["sent"] > 0)][_WARM:]
    delay = sent["sent"] - sent["received"]
    new = np.flatnonzero(np.diff(sent["command"]) > 0) + 1  # the first answers to a new command
    return {
        "n": len(sent),
        "ticks/s": round((float(ticks["time"][-1]) - clock) / arm.spec.tick / seconds),
        "success rate": round(float(sent["success_rate"].mean()), 4) if len(sent) else None,
        "median [us]": round(1e6 * float(np.median(delay)), 1) if len(sent) else None,
        "p99 [us]": _p99(delay),
        "commanded p99 [us]": _p99(delay[new]),
    }
