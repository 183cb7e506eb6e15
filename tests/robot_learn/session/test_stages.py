"""Every system can be shown: its robot, its plans, its region."""

from __future__ import annotations

import numpy as np
import pytest

from controllers.systems import SYSTEMS, game
from robot_learn.session.correct.stage import STAGES, stage
from robot_learn.session.correct.stage_franka import roll_of

TRIANGLES = 20_000  # that a page without a GPU still draws


def test_every_system_has_a_stage() -> None:
    assert STAGES.keys() == SYSTEMS.keys()


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_shows_its_system(name: str) -> None:
    shown, played = stage(name), game(name)
    situation = played.start(np.random.default_rng(1), 1)
    states = np.tile(situation.state, (5, 1))
    assert shown.points(states).shape == (5, 3)
    assert np.isfinite(shown.points(states)).all()
    shown.place(situation.state)
    shown.aim(situation.target)
    items, poses = shown.scene.changes()
    assert poses is not None
    assert "target" in items
    assert shown.scene.triangles < TRIANGLES


@pytest.mark.parametrize("name", STAGES)
def test_the_places_of_a_region_are_states_of_its_system(name: str) -> None:
    shown, played = stage(name), game(name)
    state = played.start(np.random.default_rng(1), 1).state
    assert shown.grid is not None or shown.charts
    if shown.grid is not None:
        points = np.array([[axis[0] for axis in shown.grid.axes], [axis[-1] for axis in shown.grid.axes]])
        assert shown.grid.states(points, state).shape == (2, played.system.nx)
    for chart in shown.charts:
        at = np.array([[chart.rights[0], chart.ups[0]], [chart.rights[-1], chart.ups[-1]]])
        assert chart.states(at).shape == (2, played.system.nx)
        assert chart.path(np.tile(state, (3, 1))).shape == (3, 2)


@pytest.mark.parametrize("name", ["uav-gate", "uav-tube", "franka-reach", "franka-pour", "reacher"])
def test_a_place_of_the_region_is_where_its_state_is_drawn(name: str) -> None:
    shown, state = stage(name), game(name).start(np.random.default_rng(2), 0).state
    assert shown.grid is not None
    low, high = (np.array([axis[end] for axis in shown.grid.axes]) for end in (0, -1))
    points = low + np.random.default_rng(0).random((20, 3)) * (high - low)
    if name == "reacher":  # a plane, and no further than the arm reaches
        points[:, 1] = 0
        points = points[np.linalg.norm(points, axis=1) < 2]
    assert shown.points(shown.grid.states(points, state)) == pytest.approx(points, abs=1e-9)


@pytest.mark.parametrize("name", ["franka-reach", "franka-pour"])
def test_the_chart_of_heights_and_rolls_reads_off_what_it_was_given(name: str) -> None:
    chart = stage(name).charts[0]
    at = np.array([[0.0, 0.5], [-0.7, 0.3], [1.2, 0.9]])
    assert chart.path(chart.states(at)) == pytest.approx(at)
    assert roll_of(chart.states(at)[:, 3:7]) == pytest.approx(at[:, 0])


@pytest.mark.parametrize("name", ["franka-reach", "franka-pour"])
def test_the_arm_follows_the_hand_from_start_to_target(name: str) -> None:
    """Within a millimetre on the whole straight way, so that the drawn hand is where the state says."""
    from controllers.mpc import Mpc
    from robot_learn.session.correct import stage_franka

    played, mpc = game(name), Mpc(game(name).system)
    follower = stage_franka._Arm(
        stage(name).scene, stage_franka._REACHING if "reach" in name else stage_franka._POURING
    )
    situation = played.start(np.random.default_rng(3), 0)
    state, worst = situation.state, 0.0
    for step in range(60):
        plan = mpc.plan(state, played.truth, situation.target, shift=step > 0)
        state = played.system.step(state, plan.controls[0])
        for _ in range(3):  # drawn three times a step
            follower.flange(state[:3], state[3:7])
        worst = max(worst, follower._error(state[:3], state[3:7])[0])
    assert worst < 0.002
