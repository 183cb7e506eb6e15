"""A client of an arm that follows perfectly, in the process that it runs in; it shows what reaches an arm."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from hardware.arm import ArmError, Observation, State
from hardware.limits import Envelope
from hardware.loop import Job, Tick
from robot_learn.franka import FR3, HOME


class ToyClient:
    """Its host says what goes wrong: "deaf" to connections, "too new" to be loaded, "reflex" 0.1 s into a motion."""

    period = 1
    parameters = FR3
    versions = (("toy", "1"),)

    def __init__(self, job: Job) -> None:
        if job.host == "deaf":
            raise OSError("nobody answers")
        if job.host == "too new":
            raise ImportError("version `GLIBC_2.34' not found")
        self.host = job.host
        self.q, self.dq = np.array(HOME), np.zeros(7)
        self.ticks, self.state, self.errors = 0, "idle", ()

    def protect(self, envelope: Envelope) -> None:
        self.envelope = envelope

    def read(self) -> Observation:
        time.sleep(0.001)
        self.ticks += 1
        return self._look()

    def _look(self) -> Observation:
        state: State = self.state  # type: ignore[assignment]
        return Observation(
            sequence=self.ticks,
            time=self.ticks / 1000,
            received=time.monotonic(),
            q=self.q.copy(),
            dq=self.dq.copy(),
            q_commanded=self.q.copy(),
            torques=np.zeros(7),
            external_torques=np.zeros(7),
            external_wrench=np.zeros(6),
            T_base_ee=np.eye(4),
            state=state,
            errors=self.errors,
        )

    def move(self, tick: Tick, sent: Callable[[], None]) -> None:
        self.state, finished, begun = "moving", False, self.ticks
        try:
            while not finished:
                self.dq, finished = tick(self.read())
                sent()
                self.q = self.q + 0.001 * self.dq
                if self.host == "reflex" and self.ticks > begun + 100:
                    self.state, self.errors = "reflex", ("joint_reflex",)
                    raise ArmError("the toy was touched", self.errors)
            self.state = "idle"
        except ArmError:
            raise
        except Exception:
            self.state = "idle"
            raise
        finally:
            self.dq = np.zeros(7)

    def recover(self) -> None:
        self.state, self.errors = "idle", ()


class ToyHand:
    """A gripper that is where it is told to be, after a while."""

    max_width, is_grasped = 0.08, False

    def __init__(self, host: str) -> None:
        if host == "deaf":
            raise OSError("nobody answers")
        self.width, self._stopped = 0.08, False

    @property
    def state(self) -> ToyHand:
        time.sleep(0.005)
        return self

    def move(self, width: float, speed: float) -> bool:
        self._stopped = self.is_grasped = False
        while abs(self.width - width) > 1e-6:
            time.sleep(0.005)
            if self._stopped:
                raise RuntimeError("Command aborted!")
            self.width += float(np.clip(width - self.width, -0.005 * speed, 0.005 * speed))
        return True

    def grasp(self, width: float, speed: float, force: float, inner: float, outer: float) -> bool:
        self.move(0.03, speed)  # something is between the fingers
        self.is_grasped = True
        return True

    def stop(self) -> bool:
        self._stopped = True
        return True


def no_hand(host: str) -> ToyHand:
    """The gripper of an arm that has none."""
    raise OSError("connection refused")


def half(q: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """A learned filter."""
    return 0.5 * wanted
