"""A person beside the policy: holds the dead-man switch, and takes over with the hand that moves an input device.

What the person does becomes an action of the task, through the same steering, workspace and guard as the policy's: so
a correction is as safe as a policy, and a step of a person is data that a policy can learn from.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from hardware.inputs import Hand, Input
from hardware.inputs import takeover as taking_over
from hardware.inputs.pushes import Pushes
from hardware.inputs.takeover import Takeover
from robot_learn.deployment.outcome import StopError
from robot_learn.franka import FINGER_TRAVEL
from sims.franka import twist
from sims.franka.twist import TwistControl

STOPS = ("stop", "quit")  # buttons that end the motion, and with it the session


class Pilot:
    """One reading of an input device a step: `pressed` reads, `action` says what came of it.

    Args:
        pushes: told of each reading, to find in it what there is to learn from.
        clock: the host's monotonic clock.
    """

    def __init__(
        self,
        source: Input,
        control: TwistControl,
        *,
        takeover: Takeover | None = None,
        pushes: Pushes | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source, self._control, self._clock = source, control, clock
        self.takeover, self._pushes = takeover or Takeover(), pushes
        self._hand: Hand | None = None
        self._opening = 2 * FINGER_TRAVEL  # [m] what the person, or before that the policy, has last wanted

    def pressed(self) -> bool:
        """Whether the switch counts as held now.

        Raises:
            StopError: the person pressed stop, whether or not the switch is held.
        """
        now = self._clock()
        self._hand = self._source.read(now)
        held = self.takeover.update(self._hand, now) != "nobody"
        for button in STOPS:
            if button in self._hand.buttons:
                raise StopError("person stopped", f"{button} was pressed on the {self._source.name}")
        if self._pushes is not None:
            self._pushes.update(self._hand, now, held=held)
        return held

    def action(self) -> np.ndarray | None:
        """What the person wants, as of the last reading, as an action (act_dim,); None while the policy drives."""
        if self._hand is None or self.takeover.driver != "person":
            return None
        if self._hand.opening is not None:
            self._opening = self._hand.opening
        return action_of(self._hand, self._control, self._opening)

    def sent(self, opening: float | None) -> None:
        """The opening [m] that was commanded last: where nobody says otherwise a person goes on with it."""
        if opening is not None:
            self._opening = opening


def action_of(hand: Hand, control: TwistControl, opening: float) -> np.ndarray:
    """The action (act_dim,) of a task that moves the fingertips as the hand does, gripper at `opening` [m]."""
    along, about = (part / max(1.0, float(np.linalg.norm(part))) for part in (hand.twist[:3], hand.twist[3:]))
    share = {f"v{axis}": value * taking_over.SPEED / twist.SPEED for axis, value in zip("xyz", along, strict=True)}
    share["roll_rate"] = about[0] * taking_over.TURN_SPEED / twist.TURN_SPEED
    share["gripper"] = opening / FINGER_TRAVEL - 1.0
    return np.array([np.clip(share[part.name], part.low, part.high) for part in control.components()])
