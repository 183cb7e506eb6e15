"""Behaviours are measured as their words say, on motions made by hand; a fall costs the time that was left."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import sims
from robot_learn.errors import UserError
from robot_learn.imitation.metrics import METRICS, metric
from robot_learn.probes import record
from robot_learn.rollouts import Rollouts

STEPS = 40


def still(name: str, **values: np.ndarray) -> Rollouts:
    """Three episodes of doing nothing, with fields (T + 1,) written over in all of them."""
    task = sims.task(name)
    env = sims.make(name, 3, max_episode_steps=STEPS)
    seen = record(env, "still", [1, 2, 3], lambda *_: np.zeros((3, task.act_dim)))
    written = {field.replace("__", "."): np.repeat(one[:, None], 3, axis=1) for field, one in values.items()}
    return replace(seen, values={**seen.values, **written}, running=np.ones_like(seen.running))


def measured(seen: Rollouts, name: str) -> np.ndarray:
    return metric(sims.task(name)).measure(seen, sims.task(name))


def test_every_metric_has_a_unit_and_gives_a_number_an_episode() -> None:
    for name, one in METRICS.items():
        assert one.meaning
        assert one.unit
        found = measured(still(name), name)
        assert found.shape == (3,)
        assert np.isfinite(found).all()
    with pytest.raises(UserError, match="task with a metric"):
        metric(sims.task("mujoco/ant-lie-down"))


def test_speed_is_the_way_over_the_whole_time_and_way_on_the_back_does_not_count() -> None:
    name, dt = "mujoco/half-cheetah", 0.05
    seen = still(name, torso__x=np.linspace(0, 4, STEPS + 1), torso__pitch=np.zeros(STEPS + 1))
    np.testing.assert_allclose(measured(seen, name), 4 / (STEPS * dt))
    running = seen.running.copy()
    running[STEPS // 2 :, 1] = False
    np.testing.assert_allclose(measured(replace(seen, running=running), name), 4 / (STEPS * dt) * np.array([1, 0.5, 1]))
    turned = np.where(np.arange(STEPS + 1) > STEPS // 4, np.pi, 0.0)
    seen = still(name, torso__x=np.linspace(0, 4, STEPS + 1), torso__pitch=turned)
    np.testing.assert_allclose(measured(seen, name), 1 / (STEPS * dt))


@pytest.mark.parametrize(
    ("right", "left", "share"), [(1.0, 0.0, 1.0), (0.5, 0.5, 0.0), (1.0, 0.5, 0.5), (0.0, 1.0, 0.0), (0.0, 0.0, 0.0)]
)
def test_hopping_counts_by_how_much_less_the_left_foot_is_down(right: float, left: float, share: float) -> None:
    name = "mujoco/walker-hop"
    moments = np.arange(STEPS + 1)
    heights = [np.where(moments <= down * (STEPS + 1) - 0.5, 0.0, 0.3) for down in (right, left)]
    seen = still(
        name,
        torso__x=np.linspace(0, 0.32, STEPS + 1),
        torso__pitch=np.zeros(STEPS + 1),
        right_leg__foot_height=heights[0],
        left_leg__foot_height=heights[1],
    )
    np.testing.assert_allclose(measured(seen, name), share, atol=0.03)


def jumped(height: float, *, lands: bool) -> Rollouts:
    """Up after half a second, and standing again from 1 s on, or never."""
    up = np.full(STEPS + 1, 0.0)
    up[10 : 20 if lands else None] = height
    heights, upright = np.repeat(up[:, None], 4, axis=1), np.tile([0.0, 0.0, 1.0], (STEPS + 1, 1))
    return still(
        "mujoco/ant-jump",
        legs__foot_heights=heights,
        torso__up=upright,
        torso__velocity=np.zeros((STEPS + 1, 3)),
    )


def test_a_jump_counts_only_when_it_is_landed_and_up_to_a_height() -> None:
    name = "mujoco/ant-jump"
    np.testing.assert_allclose(measured(jumped(0.5, lands=True), name), 0.5)
    np.testing.assert_allclose(measured(jumped(0.5, lands=False), name), 0.0)
    np.testing.assert_allclose(measured(jumped(3.0, lands=True), name), 0.8)
    fallen = jumped(0.5, lands=True)
    running = fallen.running.copy()
    running[25:, 0] = False  # half a second of standing is not over
    np.testing.assert_allclose(measured(replace(fallen, running=running), name), [0.0, 0.5, 0.5])


def test_the_metric_of_the_jump_agrees_with_the_tasks_own_best() -> None:
    task = sims.task("mujoco/ant-jump")
    env, control = sims.make(task.name, 3), sims.scripted(task.name, 3)
    seen = record(env, "scripted", [1, 2, 3], lambda _, scene, observed: control(scene, observed))
    assert seen.succeeded.all()
    assert (metric(task).measure(seen, task) >= 0.2).all()


def test_half_a_flip_is_a_quarter_and_a_whole_one_without_a_landing_a_half() -> None:
    name = "mujoco/hopper-back-flip"
    for turned, won, share in ((-np.pi, False, 0.25), (-9.0, False, 0.5), (-9.0, True, 1.0), (9.0, False, 0.0)):
        seen = still(name, torso__turned=np.linspace(0, turned, STEPS + 1))
        seen = replace(seen, success=np.full_like(seen.success, won))
        np.testing.assert_allclose(measured(seen, name), share)
