"""Franka's gripper beside the arm: a process of its own takes wanted openings, and the newest reading is at hand.

Its calls last as long as its motions, a reading waits for the next one (some 50 ms), and some clients hold Python's
lock meanwhile. So a thread in the other process moves and another one reads; where the client holds the lock, the
reading stands still during a motion, which its age shows.
"""

from __future__ import annotations

import mmap
import os
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from hardware.arm import Gripper
from hardware.records import GRIPPER
from hardware.ring import Ring
from hardware.spawn import Child, ready, spawn
from robot_learn.registry import load

_SLOTS = 64
_CLOSED = 0.002  # [m] an opening that means: close until something is held
_NEWS, _NEWS_WHILE_MOVING = 0.002, 0.01  # [m] by how much a wanted opening must differ from the one before
_ANY = 0.08  # [m] tolerance of a grasp: whatever is between the fingers, and thicker than `_CLOSED`, is meant


@dataclass(frozen=True)
class HandJob:
    """What the gripper's process is for."""

    client: str  # import path of a function (host) -> client with move, grasp, stop, homing and a state
    host: str
    force: float  # [N] of a grasp
    speed: float = 0.1  # [m/s] of the opening


class Hand:
    """The gripper, seen from the arm's commander."""

    def __init__(self, job: HandJob) -> None:
        self._child: Child = spawn("hardware.hand:serve", job, Ring.size(GRIPPER, _SLOTS))
        self._ring = Ring(self._child.memory, GRIPPER, _SLOTS)
        self._wanted = np.nan

    def wait_until_ready(self) -> None:
        """Raises ArmError: there is none."""
        ready(self._child, "the gripper's process")

    @property
    def alive(self) -> bool:
        return self._child.alive

    def newest(self) -> Gripper | None:
        """How it was read last."""
        record = self._ring.newest()
        if record is None:
            return None
        reading, grasped = float(record["opening"]), bool(record["grasped"])
        return Gripper(reading, grasped, float(record["received"]), float(record["largest"]))

    def want(self, opening: float) -> bool:
        """Go to an opening [m], closing until something is held at 0; returns at once. False: its process is gone."""
        if opening == self._wanted:
            return self.alive
        self._wanted = opening
        return self._send("want", opening)

    def stop(self) -> bool:
        """End its motion; what is held stays held."""
        self._wanted = np.nan
        return self._send("stop", None)

    def home(self) -> bool:
        """Find out how far it opens, which it wants once after it was switched on; its fingers move."""
        return self._send("home", None)

    def close(self) -> None:
        self._child.end(3.0)

    def _send(self, request: str, argument: float | None) -> bool:
        try:
            self._child.pipe.send((request, argument))
        except OSError:
            return False
        return self.alive


class _Worker:
    """Moves the gripper in a thread, one motion at a time, so that the newest wish may interrupt."""

    def __init__(self, gripper: Any, job: HandJob) -> None:
        self.gripper, self.job = gripper, job
        self.thread: threading.Thread | None = None
        self.goal = np.nan  # [m] where it is going or has gone
        self.opening, self.grasped = 0.0, False  # [m] as read last

    @property
    def busy(self) -> bool:
        return self.thread is not None and self.thread.is_alive()

    def has_news(self, wanted: float) -> bool:
        """Whether there is something to do for a wanted opening [m]; what is held is not let go of to be held again."""
        if np.isnan(wanted) or (not self.busy and self.grasped and wanted <= self.opening):
            return False
        news = _NEWS_WHILE_MOVING if self.busy else _NEWS
        return not abs(wanted - self.goal) <= news

    def go(self, opening: float) -> None:
        self._begin(opening, self._move)

    def home(self) -> None:
        self._begin(np.nan, lambda _: self.gripper.homing())

    def halt(self) -> None:
        if self.busy and self.thread is not None:
            _quietly(self.gripper.stop)
            self.thread.join(2.0)

    def _begin(self, opening: float, action: Any) -> None:
        self.halt()
        self.goal = opening
        self.thread = threading.Thread(target=_quietly, args=(action, opening), daemon=True)
        self.thread.start()

    def _move(self, opening: float) -> None:
        """To an opening; when something is in the way of closing, it is held."""
        if opening > _CLOSED:
            closing = opening < self.opening
            if self.gripper.move(opening, self.job.speed) or not closing:
                return
        if self.opening > _CLOSED:  # asked to grasp at more than it is open, it would open
            self.gripper.grasp(_CLOSED, self.job.speed, self.job.force, 0.0, _ANY)


def _quietly(action: Any, *arguments: Any) -> None:
    """A motion that was interrupted or found nothing raises; the reading tells where the fingers are."""
    try:
        action(*arguments)
    except Exception:
        return


def serve(job: HandJob, memory: mmap.mmap, pipe: Connection) -> None:
    """The process: read, and do what is wanted last, until the pipe closes."""
    gripper = load({}, job.client, kind="client")(job.host)
    ring, record, worker = Ring(memory, GRIPPER, _SLOTS), np.zeros((), GRIPPER), _Worker(gripper, job)
    worker.opening, worker.grasped = _publish(gripper, ring, record)
    pipe.send(("ready", None))
    wanted, commander = np.nan, os.getppid()
    while True:
        try:
            if os.getppid() != commander:
                raise EOFError
            while pipe.poll():
                request, argument = pipe.recv()
                wanted = argument if request == "want" else np.nan
                if request == "stop":
                    worker.halt()
                elif request == "home":
                    worker.home()
        except (EOFError, OSError):
            worker.halt()
            return
        if worker.has_news(wanted):
            worker.go(wanted)
        worker.opening, worker.grasped = _publish(gripper, ring, record)


def _publish(gripper: Any, ring: Ring, record: np.ndarray) -> tuple[float, bool]:
    """Read, write it down, and return the opening [m] and whether something is held."""
    state = gripper.read_once() if hasattr(gripper, "read_once") else gripper.state
    record["opening"], record["grasped"] = state.width, state.is_grasped
    record["received"], record["largest"] = time.monotonic(), state.max_width
    ring.put(record)
    return float(state.width), bool(state.is_grasped)
