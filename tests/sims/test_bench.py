"""The benchmark compares what it says it compares; how fast a machine is, no test knows."""

from __future__ import annotations

import numpy as np
import pytest

import sims
from robot_learn.errors import UserError
from sims import bench


@pytest.mark.parametrize("name", bench.TASKS)
def test_the_upstream_runner_does_what_a_batch_does(name: str) -> None:
    theirs, ours = bench.upstream(name), sims.make(name, 1)
    (first, _), (second, _) = theirs.reset(seed=0), theirs.reset()
    if not name.startswith("maniskill/"):  # there an observation is every field of the scene, not upstream's choice
        assert theirs.observation_space == ours.single_observation_space
        assert first.shape == ours.reset(seed=0)[0][0].shape
    assert theirs.action_space == ours.single_action_space
    assert (first != second).any(), "placements are drawn at each reset"
    action = theirs.action_space.sample()
    steps = 0
    terminated = truncated = False
    while not (terminated or truncated):
        *_, terminated, truncated, _ = theirs.step(action)
        steps += 1
    assert steps == ours.task.max_episode_steps or terminated
    theirs.close()
    ours.close()


def test_rows_hold_one_runner_each_and_their_ratios() -> None:
    rows = bench.run(["mujoco/hopper"], num_envs=4, seconds=0.05, rounds=1, batches=(2,), processes=(1, 2))
    kinds = [(row["runner"], row["worlds"]) for row in rows]
    assert kinds == [("upstream", 1), ("AsyncVectorEnv", 1), ("AsyncVectorEnv", 2), ("ours", 2), ("ours", 4)]
    speed = [row["steps_per_s"] for row in rows]
    assert min(speed) > 0
    np.testing.assert_allclose([row["over_one"] for row in rows], np.divide(speed, speed[0]), atol=0.02, rtol=0.02)
    best = max(speed[1:3])
    np.testing.assert_allclose([row["over_async"] for row in rows], np.divide(speed, best), atol=0.02, rtol=0.02)


@pytest.mark.parametrize("wrong", [{"seconds": 0.0}, {"num_envs": 0}, {"rounds": 0}])
def test_numbers_that_measure_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UserError, match="wanted positive numbers"):
        bench.run(["mujoco/hopper"], **wrong)  # type: ignore[arg-type]


def test_a_misspelt_task_is_refused_before_anything_is_measured() -> None:
    with pytest.raises(UserError, match="did you mean 'mujoco/hopper'"):
        bench.run(["mujoco/ant", "mujoco/hoper"])
