"""Jumping, running and hopping: success and pay are decided as documented, on poses set by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sims.gym import ant_jump, half_cheetah, walker_hop
from sims.mujoco_task import MujocoTaskWorlds
from tests.sims.poses import STANDING, fresh, show

LANDED = math.ceil(ant_jump.STOOD_FOR / 0.05)  # steps


def leap(worlds: MujocoTaskWorlds, *heights: float, stand: int = LANDED, turn: float = 0.0) -> bool:
    """Whether there is success after the ant was so high above its stand, and stood there for so many steps after."""
    for height in heights:
        show(worlds, [0, 0, 0.556 + height, *STANDING[3:]])
    level = [0, 0, 0.556, np.cos(turn / 2), np.sin(turn / 2), 0, 0]
    for _ in range(stand):
        show(worlds, [*level, *STANDING[7:]])
    return bool(worlds.success()[0])


def test_a_jump_that_is_landed_counts_by_the_height_of_its_lowest_foot() -> None:
    worlds = fresh("ant-jump")
    assert not leap(worlds, 0.1, 0.25, 0.1, stand=LANDED - 1)
    assert leap(worlds, stand=1)
    assert worlds.view.memory["best"][0] == pytest.approx(0.25, abs=2e-3)
    worlds.close()


@pytest.mark.parametrize(
    ("heights", "turn"),
    [((), 0.0), ((0.15,), 0.0), ((0.5,), 0.6)],
    ids=["standing", "a hop", "tilted"],
)
def test_standing_a_small_hop_and_a_landing_that_tilts_are_no_jump(heights: tuple[float, ...], turn: float) -> None:
    worlds = fresh("ant-jump")
    assert not leap(worlds, *heights, stand=4 * LANDED, turn=turn)
    worlds.close()


def test_an_ant_that_still_falls_has_not_landed_and_each_jump_is_a_new_one() -> None:
    worlds = fresh("ant-jump")
    show(worlds, [0, 0, 0.9, *STANDING[3:]])
    for _ in range(2 * LANDED):
        show(worlds, STANDING, [0, 0, -1.0, *np.zeros(11)])
    assert not worlds.success()[0]
    assert leap(worlds)
    assert worlds.view.memory["top"][0] == 0.0
    leap(worlds, 0.1)
    assert worlds.view.memory["best"][0] == pytest.approx(0.344, abs=2e-3)
    worlds.close()


def test_what_a_jump_pays_is_the_same_in_small_steps_and_in_large_ones() -> None:
    paid = []
    for heights in ((0.4,), (0.1, 0.2, 0.15, 0.3, 0.4, 0.2)):
        worlds, total = fresh("ant-jump"), 0.0
        leap(worlds, stand=1)  # its legs are as bent as in `STANDING` from here on
        for height in heights:
            leap(worlds, height, stand=0)
            total += worlds.view.memory["pay"][0]
        paid.append(total)
        worlds.close()
    assert paid[0] == pytest.approx(paid[1])
    assert paid[0] == pytest.approx(2 * 5 * 0.4, abs=0.2)


def test_an_ant_left_alone_and_one_on_its_back_are_told_apart() -> None:
    worlds = fresh("ant-jump")
    show(worlds, [0, 0, 2.0, *STANDING[3:]])
    assert not worlds.terminated()[0], "high up is no fall"
    show(worlds, [0, 0, 0.5, 0, 1, 0, 0, *STANDING[7:]])
    assert worlds.terminated()[0]
    worlds.close()


# ---------------------------------------------------------------------------------------- the half-cheetah, the walker


@pytest.mark.parametrize(("pitch", "counts"), [(0.0, True), (1.5, True), (np.pi, False), (2 * np.pi, True)])
def test_a_cheetah_that_runs_on_its_back_does_not_succeed(pitch: float, counts: bool) -> None:
    worlds = fresh("half-cheetah")
    show(worlds, [half_cheetah.DISTANCE + 1, 0, pitch, *np.zeros(6)])
    assert worlds.success()[0] == counts
    assert not worlds.terminated()[0]
    worlds.close()


def hop(worlds: MujocoTaskWorlds, x: float, knee: float = -1.4) -> bool:
    show(worlds, [x, 1.21, 0, 0, 0, 0, 0, knee, 0])
    return bool(worlds.success()[0])


def test_the_walkers_way_on_its_right_leg_begins_anew_where_its_left_foot_touches_the_floor() -> None:
    worlds = fresh("walker-hop")
    assert worlds.read()["left_leg.foot_height"][0] > 0.2, "it starts with the left foot up"
    assert not hop(worlds, walker_hop.DISTANCE - 0.1)
    assert hop(worlds, walker_hop.DISTANCE + 0.1)
    assert not hop(worlds, walker_hop.DISTANCE + 0.1, knee=0.0)
    assert not worlds.terminated()[0], "nothing ends where the foot comes down"
    assert not hop(worlds, 2 * walker_hop.DISTANCE)
    assert hop(worlds, 2 * walker_hop.DISTANCE + 0.2)
    worlds.close()


def test_way_made_with_the_left_foot_down_pays_nothing() -> None:
    paid = []
    for knee in (-1.4, 0.0):
        worlds = fresh("walker-hop")
        hop(worlds, 0.0, knee)
        for moved in (0.0, 0.008):
            hop(worlds, moved, knee)
            paid.append(worlds.expert_reward(np.zeros((1, 6)))[0])
        worlds.close()
    assert paid[1] - paid[0] == pytest.approx(1.0)  # [m/s]
    assert paid[3] - paid[2] == pytest.approx(0.0)
