from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.continuity import Continuity
from robot_learn.franka import FER, FR3, ArmParameters

DT = 0.001


def test_what_fits_is_left_as_it_is() -> None:
    wanted = np.full(7, 0.003)
    sent, fits = Continuity(FR3)(wanted, np.full(7, 0.001), np.full(7, 1.0))
    assert fits
    assert sent is wanted


def joints(most: float) -> st.SearchStrategy[np.ndarray]:
    return st.lists(st.floats(-most, most), min_size=7, max_size=7).map(np.array)


@given(joints(3.0), joints(2.0), joints(1.0), st.sampled_from([FR3, FER]))
def test_what_is_sent_keeps_the_published_limits_by_backward_euler(
    wanted: np.ndarray, dq: np.ndarray, share: np.ndarray, arm: ArmParameters
) -> None:
    ddq = share * arm.acceleration
    sent, fits = Continuity(arm)(wanted, dq, ddq)
    acceleration = (sent - dq) / DT
    rounding = 2e-3  # [rad/s^2] of what fits but for rounding
    assert (np.abs(acceleration) <= arm.acceleration + rounding).all()
    assert (np.abs(acceleration - ddq) <= arm.jerk * DT + rounding).all()
    if not fits:
        # Nearest: no joint that was held back could have gone further towards what was wanted.
        held = np.abs(sent - wanted) > 1e-6
        assert held.any()
        at_jerk = np.abs(acceleration - ddq) >= 0.98 * arm.jerk * DT
        at_acceleration = np.abs(acceleration) >= 0.98 * arm.acceleration
        assert (at_jerk | at_acceleration)[held].all()


@pytest.mark.parametrize("lost", [1, 3, 10, 19])
def test_after_lost_commands_the_arm_is_led_back_to_what_is_wanted(lost: int) -> None:
    continuous = Continuity(FR3)
    dq, ddq = np.full(7, 0.1), np.full(7, 5.0)
    for _ in range(lost):  # the arm goes on at the acceleration that it had
        dq = dq + DT * ddq
    wanted, steps = np.full(7, 0.1), 0
    while np.abs(dq - wanted).max() > 1e-6:
        sent, _ = continuous(wanted, dq, ddq)
        dq, ddq, steps = sent, (sent - dq) / DT, steps + 1
        assert steps < 60
    assert steps <= lost + 8
