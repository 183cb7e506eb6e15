"""What is sent fits to what the arm did last, also after commands were lost.

When a command does not arrive in time, the arm goes on at the acceleration that it had. The next one that arrives is
measured against that by backward Euler; what the guard made of the commands before may then look like a jump, for which
the arm stops. So the last word is kept within the published acceleration and jerk of where the arm says that it is.
While nothing is lost this changes nothing, because the guard keeps to less.
"""

from __future__ import annotations

import numpy as np

from robot_learn.franka import ArmParameters

_SHARE = 0.99  # of the published limits; the rest is rounding, as the arm tells its state in short floats
_SAME = 1e-6  # [rad/s]


class Continuity:
    """For an arm that takes a command each `tick` [s]."""

    def __init__(self, parameters: ArmParameters, tick: float = 0.001) -> None:
        self._acceleration = _SHARE * parameters.acceleration
        self._change = _SHARE * parameters.jerk * tick
        self._tick = tick

    def __call__(self, wanted: np.ndarray, dq: np.ndarray, ddq: np.ndarray) -> tuple[np.ndarray, bool]:
        """The velocities (7,) [rad/s] nearest to `wanted` that fit, and whether they are what was wanted.

        Args:
            dq, ddq: (7,) [rad/s], [rad/s^2] what the arm followed last, as its state has it.
        """
        low = np.maximum(ddq - self._change, -self._acceleration)
        high = np.minimum(ddq + self._change, self._acceleration)
        least, most = dq + self._tick * low, dq + self._tick * high
        if ((wanted >= least - _SAME) & (wanted <= most + _SAME)).all():
            return wanted, True
        return np.clip(wanted, least, most), False
