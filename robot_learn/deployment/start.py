"""Before a policy acts: the arm stands where the policy's episodes began in training, or is brought there slowly."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from hardware.arm import Arm, ArmError, Command, Observation
from robot_learn.deployment.outcome import of_state
from robot_learn.errors import UserError
from robot_learn.franka import FINGER_TRAVEL
from sims.franka.twist import TwistControl

TOLERANCE = 0.15  # [rad] of each joint: half as much again as the starts of training are spread
SPEED = 0.2  # [rad/s] of the fastest joint on the way to the start
_GAIN = 2.0  # [1/s] of the way that is left
_NEAR, _STILL = 0.01, 0.02  # [rad], [rad/s] at which the arm has come to the start
_STEP = 0.04  # [s] between two commands
_WIDE = 0.07  # [m] a gripper that shall be open is at least so wide


def distances(observation: Observation, control: TwistControl) -> np.ndarray:
    """How far each joint is from where episodes begin (7,) [rad]."""
    return np.asarray(observation.q - np.array(control.posture))


def against(observation: Observation, control: TwistControl, tolerance: float = TOLERANCE) -> str:
    """What speaks against starting here; empty where nothing does."""
    away = distances(observation, control)
    far = [f"joint{i + 1} {away[i]:+.2f}" for i in np.flatnonzero(~(np.abs(away) <= tolerance))]
    said = [f"{', '.join(far)} rad from where its episodes begin (allowed {tolerance:g})"] if far else []
    if control.grips and observation.gripper is not None and observation.gripper.opening < _WIDE:
        said.append(f"the gripper is open by {observation.gripper.opening:.3f} m, wanted {_WIDE:g} or more")
    if np.max(np.abs(observation.dq)) > 0.1:
        said.append("the arm is moving")
    return "; ".join(said)


def require(observation: Observation, control: TwistControl, tolerance: float = TOLERANCE) -> None:
    """The arm may start from here.

    Raises:
        UserError: it may not; the message tells each joint's distance.
    """
    said = against(observation, control, tolerance)
    if said:
        raise UserError(f"the arm is not where the policy begins: {said}; --go-to-start moves it there slowly")


def go(
    arm: Arm,
    control: TwistControl,
    *,
    speed: float = 1.0,
    pressed: Callable[[], bool] | None = None,
    seconds: float = 60.0,
) -> bool:
    """Move to where episodes begin, on the straight line between the joint angles, through the guard.

    Args:
        speed: factor of `SPEED`.
        pressed: the dead-man switch; the arm stops when it is let go.
        seconds: of the arm's time, after which it is given up.

    Returns:
        False where the person let go.

    Raises:
        ArmError: the arm would not, or it did not arrive.
    """
    goal, opening = np.array(control.posture), 2 * FINGER_TRAVEL if control.grips else None
    try:
        arm.start()
        begun = arm.observe().time
        while True:
            observation = arm.observe()
            stopped = of_state(observation)
            if stopped is not None:
                raise ArmError(f"on the way to the start: {stopped.reason}", stopped.errors)
            if pressed is not None and not pressed():
                return False
            left = goal - observation.q
            if np.max(np.abs(left)) <= _NEAR and np.max(np.abs(observation.dq)) <= _STILL:
                return True
            if observation.time - begun > seconds:
                raise ArmError(
                    f"not at the start after {seconds:g} s, {np.max(np.abs(left)):.2f} rad are left",
                    advice="something is in the way, or a wall of the envelope is: guide it there by hand",
                )
            rates = _GAIN * left
            # The whole vector is scaled, so that the way is straight.
            rates *= min(1.0, SPEED * speed / max(float(np.max(np.abs(rates))), 1e-9))
            arm.command(Command("joint_velocity", rates, observation.received, opening, "start"))
            arm.wait(_STEP)
    finally:
        arm.stop("soft")


def wait_until(pressed: Callable[[], bool], sleep: Callable[[float], None] = time.sleep) -> None:
    """Until a person holds the dead-man switch; Ctrl-C ends it."""
    while not pressed():
        sleep(0.02)
