"""Steering the arm by the velocity of its fingertips, as a real arm's end-effector twist mode does.

A twist becomes joint velocities by damped least squares (Wampler, "Manipulator inverse kinematic solutions based on
vector formulations and damped least-squares methods", 1986), with the one spare joint drawn to a resting posture, and
the joints' velocity and acceleration limits are kept. The last command is in `data.ctrl`: nothing is remembered here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mujoco
import numpy as np

from robot_learn.franka import FINGER_TRAVEL, parameters
from robot_learn.inverse_kinematics import within
from robot_learn.types import ActionComponent

SPEED = 0.25  # [m/s] of the fingertips along each axis at an action of 1
TURN_SPEED = 1.0  # [rad/s] at an action of 1
_LEVER = 0.25  # [m] what a wrong turn costs in the least squares: 1 rad/s as much as 0.25 m/s
_DAMPING = 0.02  # of the least squares, well under the scaled Jacobian's usual singular values
_WALL_TIME = 0.12  # [s] before a wall of its box a velocity may take no less to reach it
_UPRIGHT_GAIN = 5.0  # [1/s] how fast a wrong orientation is corrected
_POSTURE_GAIN = 0.5  # [1/s] how fast the spare joint returns

Drive = Callable[[mujoco.MjModel, mujoco.MjData, np.ndarray], None]


@dataclass(frozen=True, eq=False)
class TwistControl:
    """What the numbers of an action mean: three velocities, then a roll if `upright`, then the opening if `grips`.

    The orientation that is not commanded is held: each of `held` is a direction in the hand's frame and the direction
    in the world that it is kept at.
    """

    posture: tuple[float, ...]  # (7,) [rad] where the spare joint rests
    low: tuple[float, float, float]  # [m] corners of the box that the fingertips are kept in, world frame
    high: tuple[float, float, float]
    control_dt: float  # [s] how long a command lasts
    held: tuple[tuple[tuple[float, float, float], tuple[float, float, float]], ...]
    upright: tuple[float, float, float] | None = None  # direction in the hand's frame that is up at a roll of 0
    rolls: tuple[float, float] = (0.0, 0.0)  # [rad] lowest and highest roll, about +x of the world
    grips: bool = False
    arm: str = "fr3"

    def components(self) -> tuple[ActionComponent, ...]:
        """The action, described."""
        speed = "velocity of the fingertips along {}; 1 is " + f"{SPEED:g} m/s"
        named = [ActionComponent(f"v{axis}", -1.0, 1.0, speed.format(f"+{axis}, world frame")) for axis in "xyz"]
        if self.upright is not None:
            meaning = f"angular velocity of the hand about +x, world frame; 1 is {TURN_SPEED:g} rad/s"
            meaning += f"; its roll is kept between {self.rolls[0]:g} and {self.rolls[1]:g} rad"
            named.append(ActionComponent("roll_rate", -1.0, 1.0, meaning))
        if self.grips:
            meaning = "wanted opening between the fingertips; -1 is closed (0 m), 1 is open (0.08 m)"
            named.append(ActionComponent("gripper", -1.0, 1.0, meaning))
        return tuple(named)


# The hand points down, its fingers open along y: its x is +x, its y is -y, its z is -z.
POINTING_DOWN = (((1.0, 0.0, 0.0), (1.0, 0.0, 0.0)), ((0.0, 0.0, 1.0), (0.0, 0.0, -1.0)))


def drive(control: TwistControl) -> Drive:
    """How an action becomes controls of a model whose first seven actuators are the arm's velocity servos."""
    limits = parameters(control.arm)
    low, high, rest = (np.array(given) for given in (control.low, control.high, control.posture))
    held = [(np.array(mine), np.array(wanted)) for mine, wanted in control.held]
    gain = _UPRIGHT_GAIN / len(held)
    upright = None if control.upright is None else np.array(control.upright)
    step = limits.acceleration * control.control_dt
    damping = _DAMPING**2 * np.eye(6)

    def apply(model: mujoco.MjModel, data: mujoco.MjData, action: np.ndarray) -> None:
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        tcp = data.site("tcp")
        position, R_world_hand = tcp.xpos, tcp.xmat.reshape(3, 3)
        twist = np.zeros(6)
        velocity = np.minimum(np.maximum(SPEED * action[:3], (low - position) / _WALL_TIME), SPEED)
        twist[:3] = np.maximum(np.minimum(velocity, (high - position) / _WALL_TIME), -SPEED)
        for mine, wanted in held:
            twist[3:] += gain * _cross(R_world_hand @ mine, wanted)
        if upright is not None:
            _, y, z = R_world_hand @ upright
            room = (np.array(control.rolls) - np.arctan2(-y, z)) / _WALL_TIME
            twist[3] += min(max(TURN_SPEED * action[3], room[0]), room[1])
        J = np.zeros((6, model.nv))
        mujoco.mj_jacSite(model, data, J[:3], J[3:], tcp.id)
        J[3:] *= _LEVER
        twist[3:] *= _LEVER
        q = data.qpos[:7]
        bounds = np.clip(limits.velocity_bounds(q), data.ctrl[:7] - step, data.ctrl[:7] + step)
        data.ctrl[:7] = within(J[:, :7], twist, _POSTURE_GAIN * (rest - q), damping, bounds[0], bounds[1])
        if control.grips:
            data.ctrl[7] = FINGER_TRAVEL * (1.0 + action[-1])

    return apply


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a x b; numpy's own takes ten times as long for one pair."""
    return np.array([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])
