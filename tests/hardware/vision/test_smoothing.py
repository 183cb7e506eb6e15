"""Sightings over time: delays that are stated, outliers, turns that look alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hardware.vision.poses import difference, pose
from hardware.vision.smoothing import Followed, Smoothing
from robot_learn.errors import UserError


def moving(smoothing: Smoothing, place: Any, dt: float, count: int) -> np.ndarray:
    """Where a filter says that a thing is (count,) whose x goes as `place(time)`."""
    at = [pose(np.zeros(3), np.array([place(i * dt), 0, 0])) for i in range(count)]
    followed, told = Followed(at[0], 0.0, smoothing), [at[0][0, 3]]
    for i in range(1, count):
        assert followed.see(at[i], i * dt)
        told.append(followed.T[0, 3])
    return np.array(told)


def test_the_filter_has_the_delay_that_it_states() -> None:
    smoothing, dt = Smoothing(memory=0.1), 1 / 30
    steady = moving(smoothing, lambda t: 0.3 * t, dt, 90)
    assert abs(steady[-1] - 0.3 * 89 * dt) < 1e-6
    faster = moving(Smoothing(memory=0.1, speed=5.0), lambda t: 0.5 * t**2, dt, 90)
    assert 0.5 * (89 * dt) ** 2 - faster[-1] == pytest.approx(smoothing.lag(dt, 1.0), rel=1e-3)
    jump = moving(smoothing, lambda t: 0.01 * (t > 0), 1e-3, 600)
    assert np.argmax(jump >= 0.01) == pytest.approx(100, abs=3)
    assert jump.max() == pytest.approx(0.0114, abs=1e-4)
    assert np.abs(jump[425:] - 0.01).max() < 5e-4


def test_noise_is_smoothed_and_a_memory_of_nothing_smooths_nothing() -> None:
    rng = np.random.default_rng(0)
    noise = 0.001 * rng.standard_normal(600)
    for memory, most, least in ((0.1, 0.7, 0.0), (0.3, 0.4, 0.0), (0.0, 1.01, 0.99)):
        told = moving(Smoothing(memory=memory), lambda t: noise[round(30 * t)], 1 / 30, 600)
        assert least * noise.std() <= told[100:].std() <= most * noise.std()


def test_a_turning_thing_is_followed_by_its_turn_and_its_rate() -> None:
    followed = Followed(np.eye(4), 0.0)
    for i in range(1, 90):
        followed.see(pose(np.array([0, 0, 1.0 * i / 30]), np.zeros(3)), i / 30)
    np.testing.assert_allclose(followed.velocity, [0, 0, 0, 0, 0, 1.0], atol=1e-3)
    assert difference(followed.T, pose(np.array([0, 0, 89 / 30]), np.zeros(3)))[1] < 1e-3


def test_an_outlier_changes_nothing_and_a_thing_that_was_moved_is_believed_after_three() -> None:
    followed, there = Followed(np.eye(4), 0.0), pose(np.zeros(3), np.array([0.3, 0, 0]))
    for i in range(1, 10):
        assert followed.see(np.eye(4), i / 30)
    assert not followed.see(there, 10 / 30)
    assert not followed.see(pose(np.zeros(3), np.array([-0.3, 0, 0])), 11 / 30)  # another place each time
    assert not followed.see(pose(np.array([0, 0, 1.5]), np.zeros(3)), 12 / 30)
    np.testing.assert_allclose(followed.T, np.eye(4), atol=1e-9)
    assert [followed.see(there, i / 30) for i in (13, 14, 15)] == [False, False, True]
    np.testing.assert_array_equal(followed.T, there)
    assert followed.rejected == 6


def test_of_turns_that_look_alike_the_nearest_is_taken_so_that_a_cube_does_not_spin() -> None:
    followed = Followed(np.eye(4), 0.0)
    for i in range(1, 30):
        quarter = pose(np.array([0, 0, np.pi / 2 * (i % 4) + 0.01 * i]), np.zeros(3))
        assert followed.see(quarter, i / 30, turns=4)
    assert Rotation.from_matrix(followed.T[:3, :3]).magnitude() == pytest.approx(0.29, abs=0.01)


def test_smoothing_that_is_none_is_refused() -> None:
    for wrong in ({"memory": -1.0}, {"speed": 0.0}, {"forget": float("nan")}):
        with pytest.raises(UserError, match="smoothing: wanted"):
            Smoothing(**wrong)
