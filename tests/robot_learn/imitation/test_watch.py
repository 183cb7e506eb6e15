"""What is filmed of a robot is what it mostly does."""

from __future__ import annotations

import numpy as np

from rewards.video.signals import Track
from robot_learn.imitation import watch
from tests.robot_learn.imitation.standins import cheetah


def ended(*falls: bool) -> list[Track]:
    still = np.zeros((3, 3))
    return [Track(0.02, still, still[:, 0], still, ended=fell) for fell in falls]


def test_an_episode_is_filmed_that_ended_like_most() -> None:
    assert watch.typical_episode(ended(False, True, False)) == 0
    assert watch.typical_episode(ended(True, False, False)) == 1
    assert watch.typical_episode(ended(False, True, True)) == 1
    assert watch.typical_episode(ended(False, True)) == 0


def test_the_episode_that_is_filmed_changes_places_with_the_first() -> None:
    policy = cheetah(1.0)
    first, film = watch.roll_out("mujoco/half-cheetah", policy, 3, seconds=0.5)
    again, other = watch.roll_out("mujoco/half-cheetah", policy, 3, seconds=0.5, filmed=2)
    np.testing.assert_allclose(first.values["torso.x"][:20, [2, 1, 0]], again.values["torso.x"][:20], atol=1e-9)
    assert (film.clip.frames != other.clip.frames).any()
