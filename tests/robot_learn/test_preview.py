"""A preview shows what a reward makes a robot do: the right one opens the drawer, the wrong one does not."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

import sims
from controllers.feedback import FeedbackConfig
from rewards.program import check
from robot_learn.cli import main
from robot_learn.envs import EVAL_SEED0, TRAIN_SEEDS
from robot_learn.errors import UserError
from robot_learn.preview import EARLY, HOLD, SHARE, _Clock, _Places, preview, settings

TASK = sims.task("metaworld/drawer-close")
RIGHT = """
def reward(scene, action):
    reach = -np.linalg.norm(scene.robot.hand_position - scene.drawer.handle_position)
    return {"reach": reach, "shut": -10.0 * scene.drawer.opening}
"""
WRONG = RIGHT.replace("-10.0", "10.0")


def test_a_right_reward_succeeds_and_stops_soon_after_and_its_opposite_does_not() -> None:
    right, wrong = (
        preview(TASK, check(text, TASK).compile(), seconds=120.0, samples=16, steps=50, frame_size=None)
        for text in (RIGHT, WRONG)
    )
    assert right.evaluation.successes == 1
    assert wrong.evaluation.successes == 0
    terms = right.traces[0].terms
    assert terms["shut"][-1] > terms["shut"][0]
    first = right.evaluation.episodes[0]
    assert first.success_step is not None
    assert first.length <= first.success_step + round(HOLD / TASK.control_dt)
    assert TRAIN_SEEDS <= first.seed < EVAL_SEED0, "neither training's starts nor evaluation's"


def test_the_rollouts_are_the_episode_and_score_as_the_trace_says() -> None:
    reward = check(RIGHT, TASK).compile()
    seen = preview(TASK, reward, seconds=120.0, samples=4, episodes=2, steps=8, whole=True, frame_size=None)
    rollouts = seen.rollouts
    assert rollouts.source == "planned"
    assert rollouts.success.shape == rollouts.running.shape == (8, 2)
    assert rollouts.running.all()
    np.testing.assert_array_equal(rollouts.score(reward).rewards[:, 0], seen.traces[0].rewards)
    assert [episode.length for episode in seen.evaluation.episodes] == [8, 8]
    again = sims.make(TASK.name, 2, reward=reward)
    again.reset(seed=seen.evaluation.episodes[0].seed)
    paid = np.array([again.step(actions)[1] for actions in rollouts.actions])
    again.close()
    returns = [episode.episode_return for episode in seen.evaluation.episodes]
    np.testing.assert_allclose(paid.sum(axis=0), returns, rtol=1e-12)


def test_the_clock_is_kept_even_where_it_leaves_no_time_to_plan() -> None:
    seen = preview(TASK, check(RIGHT, TASK).compile(), seconds=0.01, frame_size=None)
    assert seen.out_of_time
    assert seen.planner["plans"] == 1
    assert len(seen.rollouts.success) == 1
    assert "by the clock" in seen.summary()


def test_a_plan_that_cost_more_than_its_share_is_followed_for_longer() -> None:
    clock = _Clock(time.monotonic(), seconds=100.0, steps=500, fewest=2)
    share = clock.allowance
    assert share == pytest.approx(100.0 * SHARE / (EARLY * 500), rel=1e-3)
    assert clock.pace(0.0) == 2
    assert clock.pace(10.0 * share) == 10
    for _ in range(250):
        clock.step()
    assert clock.allowance > 1.9 * share, "time that was saved is there to be used"


def test_the_horizon_is_a_twelfth_of_an_episode_within_bounds() -> None:
    assert settings(TASK).horizon == 17
    assert settings(sims.task("mujoco/hopper")).horizon == 80
    assert settings(sims.task("mujoco/hopper"), falls=True).horizon == 143


def test_where_chance_makes_the_robot_fall_feedback_is_planned() -> None:
    hopper = sims.task("mujoco/hopper")
    forward = "def reward(scene, action):\n    return {'forward': scene.torso.x_velocity}"
    short = FeedbackConfig(first_rounds=1, horizon=5)
    for task, text, config, kind in (
        (TASK, RIGHT, None, "MppiPolicy"),
        (hopper, forward, None, "FeedbackPolicy"),
        (hopper, forward, short, "FeedbackPolicy"),
    ):
        seen = preview(
            task, check(text, task).compile(), seconds=60.0, samples=8, steps=3, config=config, frame_size=None
        )
        assert seen.planner["kind"] == kind


def test_a_robot_that_fell_is_put_back_and_what_is_shown_is_one_episode_from_its_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    falls: list[tuple[int, int]] = []
    go_back = _Places.go_back

    def counted(self: _Places, fallen: int) -> tuple[int, np.ndarray]:
        step, observations = go_back(self, fallen)
        falls.append((fallen, step))
        return step, observations

    monkeypatch.setattr(_Places, "go_back", counted)
    monkeypatch.setattr(_Clock, "over", property(lambda self: len(falls) >= 4))
    hopper = sims.task("mujoco/hopper")
    reward = check("def reward(scene, action):\n    return {'forward': scene.torso.x_velocity}", hopper).compile()
    hasty = FeedbackConfig(first_rounds=1, rounds=1, patience=1, horizon=20)
    seen = preview(hopper, reward, seconds=600.0, samples=8, config=hasty, frame_size=None)
    assert len(falls) == 4
    assert all(step < fallen for fallen, step in falls)
    actions, paid = seen.rollouts.actions, seen.traces[0].rewards
    assert len(actions) == falls[-1][1] + 1, "the clock lets it take one more step"
    env = sims.make(hopper.name, 1, reward=reward)
    env.reset(seed=seen.evaluation.episodes[0].seed)
    np.testing.assert_array_equal([env.step(action)[1][0] for action in actions], paid)
    env.close()


def test_who_gets_no_further_is_put_back_by_more() -> None:
    class Planner:
        plans = 0
        known: tuple[()] = ()

        def go_back(self, known: object) -> None:
            pass

    class World:
        def snapshot(self) -> int:
            return 0

        def restore(self, snapshot: int) -> None:
            pass

    planner = Planner()
    places = _Places(World(), planner)  # type: ignore[arg-type]

    def go(begin: int, end: int) -> None:
        for step in range(begin, end):
            places.note(step, np.zeros(1))
            planner.plans += step % 10 == 0

    go(0, 95)
    assert places.go_back(94)[0] == 80, "plans were made at 80 and 90"
    go(80, 92)
    assert places.go_back(91)[0] == 70, "no further than before"
    go(70, 99)
    assert places.go_back(98)[0] == 80
    step = 80
    for _ in range(9):
        go(step, step + 1)
        step, _ = places.go_back(5)
    assert step == 0, "the start is as far back as it goes"


def test_the_command_previews_a_file_and_writes_what_it_saw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = tmp_path / "reward.py", tmp_path / "seen"
    file.write_text(RIGHT)
    words = ["reward", "preview", str(file), "--task", TASK.name, "--seconds", "120", "--steps", "10"]
    words += ["--out", str(out), "--json"]
    assert main(words) == 0
    printed = json.loads(capsys.readouterr().out)
    assert json.loads((out / "preview.json").read_text()) == printed
    assert printed["trace"]["terms"].keys() == {"reach", "shut"}
    assert (out / "preview.mp4").stat().st_size > 1000
    assert "<svg" in (out / "terms.svg").read_text()


def test_a_file_without_its_task_and_senseless_numbers_are_refused(tmp_path: Path) -> None:
    (tmp_path / "reward.py").write_text(RIGHT)
    assert main(["reward", "preview", str(tmp_path / "reward.py")]) == 2
    with pytest.raises(UserError, match="wanted the first three positive"):
        preview(TASK, check(RIGHT, TASK).compile(), seconds=0.0)
