"""The classical baselines: warping against a plain reference, likeness by its limits, windows by their clock."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import sims
from robot_learn import loops, runs
from robot_learn.errors import UserError
from robot_learn.imitation.baselines import RATE, SIZE, WINDOW, Watched, described, flows, judge_of, small, warped
from robot_learn.train_config import preset
from tests.rewards.video import filmed

LENGTH = round(RATE * WINDOW)


def plain_warping(window: np.ndarray, video: np.ndarray) -> float:
    """All costs in a table, as textbooks have it."""
    cost = np.array([[np.linalg.norm(a - b) for b in video] for a in window])
    best = np.full_like(cost, np.inf)
    for row in range(len(window)):
        for column in range(len(video)):
            before = [0.0] if row == 0 else [best[row - 1, column]]
            if row and column:
                before.append(best[row - 1, column - 1])
            if row and column:
                before.append(best[row, column - 1])
            best[row, column] = cost[row, column] + min(before)
    return float(best[-1].min() / len(window))


def test_warping_is_that_of_the_textbook() -> None:
    rng = np.random.default_rng(0)
    for count in (3, 5, 9):
        window, video = rng.normal(size=(count, 2)), rng.normal(size=(12, 2))
        assert warped(window, video) == pytest.approx(plain_warping(window, video))


def test_a_part_of_the_video_costs_nothing_also_at_half_the_pace() -> None:
    video = np.stack([np.sin(np.arange(30) / 3), np.cos(np.arange(30) / 3)], axis=1)
    assert warped(video[10:20], video) == 0.0
    assert warped(np.repeat(video[10:20], 2, axis=0), video) == 0.0
    assert warped(video[10:20] + 1.0, video) > 0.3


@pytest.mark.parametrize("kind", ["dtw", "similarity"])
def test_the_same_motion_is_paid_best(kind: str) -> None:
    judge = judge_of(kind, small(filmed.bobbing(1.0)))
    same = judge(small(filmed.bobbing(1.0, phase=0.3))[:LENGTH])
    still = judge(np.repeat(small(filmed.bobbing(1.0))[:1], LENGTH, axis=0))
    assert same > still
    assert 0.0 <= still <= 1.0 + 1e-6
    with pytest.raises(UserError, match="dtw"):
        judge_of("magic", small(filmed.bobbing(1.0)))


def test_pictures_are_taken_ten_a_second() -> None:
    clip = filmed.bobbing(1.0, seconds=3.0)
    assert small(clip).shape == (30, SIZE[1], SIZE[0])
    assert flows(small(clip)).shape == (29, 3)
    assert np.linalg.norm(described(small(clip))) == pytest.approx(1.0)


def test_a_window_is_paid_for_at_its_end_and_a_reset_begins_a_new_one() -> None:
    with_pictures: list[int] = []

    def judge(window: np.ndarray) -> float:
        with_pictures.append(len(np.unique(window.reshape(len(window), -1), axis=0)))
        return 1.0

    env = sims.make("mujoco/half-cheetah", 2, reward="expert")
    env.worlds = worlds = Watched(env.worlds, judge)
    env.reset(seed=0)
    every = LENGTH * max(1, round(1 / (RATE * env.task.control_dt)))
    rng = np.random.default_rng(0)
    paid = []
    for step in range(every):
        if step == every // 2:
            kept = worlds.snapshot(1)
            worlds.reset([1], [np.random.default_rng(3)])
        _, reward, *_ = env.step(rng.uniform(-1, 1, (2, 6)))
        paid.append(reward)
    table = np.array(paid)
    assert table[-1].tolist() == [1.0, 0.0]
    assert table[:-1].sum() == 0.0
    assert with_pictures[0] > LENGTH // 2, "the window holds pictures of different moments"
    worlds.restore(1, kept)
    assert worlds.snapshot(1)["seen"][0] == every // 2


def test_a_run_that_is_watched_is_rewarded_by_pictures(tmp_path: Any) -> None:
    film = filmed.write(filmed.bobbing(1.0), tmp_path / "film.avi")
    run = loops.begin(sims.task("mujoco/cart-pole"), "expert", preset("ppo", num_envs=16), tmp_path)
    watched = {"kind": "similarity", "video": str(film)}
    run.write_json(runs.CONFIG, run.config | {"blind": True, "watched": watched})
    env = loops.environment(run, 2)
    assert isinstance(env.worlds, Watched)
    env.reset(seed=0)
    _, reward, _, _, info = env.step(np.zeros((2, 1)))
    assert reward.tolist() == [0.0, 0.0]
    assert not info["success"].any()
