"""An arm that does at once what it is told, so that tests see the loop alone; with faults on order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import mujoco
import numpy as np

from hardware.arm import Applied, ArmSpec, Command, Gripper, Observation, State
from hardware.arm import Stop as StopKind
from robot_learn.franka import FR3


class StandIn:
    """Joints follow the commanded velocities exactly; `data` is a task's world, moved kinematically with them.

    `at` maps a step's number (commands so far) to what happens then: an exception to raise, or a change of the next
    observations.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self.model, self.data = model, data
        self.spec = ArmSpec("fr3", FR3, ("joint_velocity",), address="test:")
        self.clock = 100.0  # [s] of arm and host
        self.dq, self.moving, self.opening = np.zeros(7), False, 0.08
        self.commands: list[Command] = []
        self.stops: list[str] = []
        self.state: State = "idle"
        self.errors: tuple[str, ...] = ()
        self.at: dict[int, Callable[[StandIn], None]] = {}
        self.refuse, self.limited, self.delay = "", (), 0.0

    def now(self) -> float:
        return self.clock

    def start(self) -> None:
        self.moving, self.state = True, "moving"

    def observe(self) -> Observation:
        gripper = Gripper(self.opening, False, self.clock)
        zeros = np.zeros(7)
        q = self.data.qpos[:7].copy()
        told = Observation(
            int(self.clock * 1000), self.clock, self.clock - self.delay, q, self.dq.copy(), q, zeros, zeros,
            np.zeros(6), np.eye(4), self.state, self.errors, 1.0, gripper,
        )  # fmt: skip
        return replace(told)

    def command(self, command: Command) -> Applied:
        self.commands.append(command)
        action = self.at.get(len(self.commands))
        if action is not None:
            action(self)
        if self.refuse:
            return Applied(self.dq, refused=self.refuse)
        self.dq = np.array(command.values)
        self.opening = self.opening if command.opening is None else command.opening
        return Applied(self.dq, self.limited, self.clock, opening=command.opening)

    def wait(self, seconds: float) -> None:
        self.clock += seconds
        self.data.qpos[:7] += seconds * self.dq
        self.data.qvel[:7] = self.dq

    def stop(self, kind: StopKind = "soft") -> None:
        self.stops.append(kind)
        self.dq, self.moving = np.zeros(7), False
        self.state = "idle" if self.state == "moving" else self.state

    def recover(self, by_person: bool = False) -> None:
        self.state, self.errors = "idle", ()

    def close(self) -> None:
        self.stop()

    def __enter__(self) -> StandIn:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()
