"""How targets are approached: no faster than can be stopped, along a straight line, to where they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware.arm import Command
from hardware.governor import Governor
from hardware.kinematics import Kinematics, forward, turn
from hardware.limits import Envelope
from hardware.wanted import GAIN, Wanted, approach
from robot_learn.franka import FR3

READY = np.array((0.0, -0.1848, 0.0, -2.4967, 0.0, 2.3119, 0.7854))


def follow(command: Command, ticks: int, envelope: Envelope, start: np.ndarray = READY) -> np.ndarray:
    """The path (ticks + 1, 7) of the reference under one command."""
    governor, wanted = Governor(FR3, envelope), Wanted(FR3, envelope, start)
    path = [start]
    for _ in range(ticks):
        here = governor.look(path[-1], path[-1])
        path.append(path[-1] + 0.001 * governor.step(here, wanted(command, here))[0])
    return np.array(path)


@settings(deadline=None)
@given(distance=st.floats(1e-6, 3.0), acceleration=st.floats(0.1, 10.0))
def test_an_approach_never_asks_for_more_than_its_deceleration(distance: float, acceleration: float) -> None:
    step = 1e-6 * distance
    speed = approach(distance, acceleration)
    slope = (approach(distance + step, acceleration) - approach(distance - step, acceleration)) / (2 * step)
    assert slope * speed <= acceleration * (1 + 1e-4)
    assert speed <= GAIN * distance * (1 + 1e-9)
    assert speed**2 <= 2 * acceleration * distance


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**20))
def test_joints_reach_their_target_on_a_straight_line_and_do_not_overshoot(seed: int) -> None:
    way = np.random.default_rng(seed).uniform(-0.4, 0.4, 7)
    envelope = Envelope(workspace=(), hand_speed=1.0, lead=0.3)
    path = follow(Command("joint_position", READY + way, 0.0), 1600, envelope)
    shares = (path - READY) / way
    assert shares.max() <= 1 + 1e-9
    np.testing.assert_allclose(shares - shares[:, :1], 0.0, atol=1e-6)
    np.testing.assert_allclose(path[-1], READY + way, atol=1e-3)


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**20))
def test_the_hand_reaches_its_pose_and_does_not_overshoot(seed: int) -> None:
    rng = np.random.default_rng(seed)
    start, axis = forward(READY), rng.normal(size=3)
    goal = READY + rng.uniform(-0.15, 0.15, 7)
    T = forward(goal)
    path = follow(Command("pose", T, 0.0), 2000, Envelope(workspace=()))
    kinematics = Kinematics()
    direction = T[:3, 3] - start[:3, 3]
    length = np.linalg.norm(direction)
    assert axis.any()
    for q in path[::20]:
        kinematics.place(q)
        beyond = (kinematics.T_base_ee()[:3, 3] - start[:3, 3]) @ direction / length - length
        assert beyond < 1e-3
    kinematics.place(path[-1])
    np.testing.assert_allclose(kinematics.T_base_ee()[:3, 3], T[:3, 3], atol=1e-3)
    assert np.linalg.norm(turn(kinematics.T_base_ee()[:3, :3], T[:3, :3])) < 5e-3


def test_a_twist_moves_the_hand_as_it_says() -> None:
    twist = np.array([0.05, -0.08, 0.06, 0.1, 0.0, -0.2])
    path = follow(Command("twist", twist, 0.0), 400, Envelope(workspace=()))
    kinematics = Kinematics()
    kinematics.place(path[300])
    np.testing.assert_allclose(kinematics.jacobian() @ (path[301] - path[300]) / 0.001, twist, atol=5e-3)


def test_at_its_target_nothing_is_wanted() -> None:
    envelope = Envelope()
    governor, wanted = Governor(FR3, envelope), Wanted(FR3, envelope, READY)
    here = governor.look(READY, READY)
    assert not wanted(Command("joint_position", READY, 0.0), here).any()
    assert np.abs(wanted(Command("pose", forward(READY), 0.0), here)).max() < 1e-9
    assert wanted(Command("joint_velocity", np.arange(7.0), 0.0), here) == pytest.approx(np.arange(7.0))
