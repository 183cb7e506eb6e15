"""Preferences asked while a policy learns: budget, relabelled replay, and runs that go on where they were."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sims
from rewards.preference.bradley_terry import BradleyTerry
from rewards.preference.comparisons import Comparisons
from rewards.preference.pair_loss import BradleyTerryConfig
from rewards.preference.query import Answer, Query
from rewards.preference.stored import load as load_model
from robot_learn import checkpoint, runs
from robot_learn.cli import main
from robot_learn.data.dataset import Dataset
from robot_learn.errors import UserError
from robot_learn.preferences import online, replay, teachers
from robot_learn.preferences.ask import Choice
from robot_learn.preferences.online import Outcome, prefer
from robot_learn.preferences.online_config import OnlineConfig
from robot_learn.preferences.reward import live
from robot_learn.preferences.watching import act
from robot_learn.runs import Run
from robot_learn.train_config import TrainConfig, preset
from robot_learn.training import TrainResult, train

torch.set_num_threads(1)
TASK = "mujoco/cart-pole"
CONFIG = OnlineConfig(labels=14, labels_per_session=5, session_steps=96, segment=4, episodes=4, members=2, hidden=(8,))
TRAIN: TrainConfig = preset(
    "sac", total_steps=320, num_envs=8, hidden=(8,), learning_starts=32, buffer_size=320, batch_size=8, gradient_steps=1
)


class Asked:
    """A simulated teacher who counts, and may be interrupted before a question."""

    def __init__(self, dataset: Dataset, choice: Choice, counts: list[int], stop_at: int) -> None:
        self.inner, self.counts, self.stop_at = teachers.simulated("oracle", dataset, choice), counts, stop_at

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def batch(self) -> int:
        return 1

    def answers(self, queries: Sequence[Query]) -> Iterator[Answer]:
        for query, answer in zip(queries, self.inner.answers(queries), strict=True):
            if len(self.counts) == self.stop_at:
                self.stop_at = -1
                raise KeyboardInterrupt
            self.counts.append(query.first.length)
            yield answer


def go(folder: Path, *, stop_at: int = -1, config: OnlineConfig = CONFIG) -> tuple[Run, Outcome | None, list[int]]:
    counts: list[int] = []
    run = (
        Run.open(folder / "run")
        if (folder / "run").exists()
        else Run.create(folder, task=TASK, seed=0, config={}, name="run")
    )
    try:
        return run, prefer(run, lambda d, c: Asked(d, c, counts, stop_at), TRAIN, config), counts
    except KeyboardInterrupt:
        return run, None, counts


def train_half(env: Any, run: Run, config: TrainConfig, **more: Any) -> TrainResult:
    """The machine goes down in the second session's training."""
    if run.has("model-01.npz"):
        train(env, run, replace(config, total_steps=config.total_steps - 48), **more)
        raise KeyboardInterrupt
    return train(env, run, config, **more)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Outcome, list[int]]:
    run, outcome, counts = go(tmp_path_factory.mktemp("whole"))
    assert outcome is not None
    return run, outcome, counts


def test_the_budget_is_spent_session_by_session_and_no_more(whole: tuple[Run, Outcome, list[int]]) -> None:
    run, outcome, counts = whole
    assert outcome.labels == len(counts) == CONFIG.labels
    assert set(counts) == {CONFIG.segment}
    assert outcome.steps >= TRAIN.total_steps
    rows = [json.loads(line) for line in run.read_text("sessions.jsonl").splitlines()]
    assert [row["labels"] for row in rows] == [5, 10, 14]
    assert [row["steps"] for row in rows] == [0, 96, 192]


def test_the_stored_replay_is_paid_by_the_last_model(whole: tuple[Run, Outcome, list[int]]) -> None:
    run, *_ = whole
    state = checkpoint.load(run.file(runs.CHECKPOINT))
    _, model, _ = load_model(run.file("model-02.npz"))
    env = sims.make(TASK, 1)
    frames = state["replay"]["next_observations"]
    scores = live(env, model).of(frames.reshape(-1, frames.shape[-1]))
    env.close()
    rewards = state["replay"]["rewards"].ravel()
    assert 0.0 <= rewards.min() <= rewards.max() <= 1.0
    order = np.argsort(scores)
    assert (np.diff(rewards[order]) >= -1e-4).all()  # a win rate keeps the order of the model's scores


@pytest.mark.parametrize("stop", ["before question 8", "in training"])
def test_a_run_that_was_interrupted_ends_as_if_it_had_not_been(
    stop: str, whole: tuple[Run, Outcome, list[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if stop == "in training":
        monkeypatch.setattr(online, "train", train_half)
    _, outcome, before = go(tmp_path, stop_at=7 if stop == "before question 8" else -1)
    assert outcome is None
    monkeypatch.undo()
    run, outcome, after = go(tmp_path)
    assert outcome == whole[1]
    assert len(before) + len(after) == CONFIG.labels  # nobody is asked twice
    for name in ("policy.npz", "model-02.npz"):
        with np.load(run.file(name)) as one, np.load(whole[0].file(name)) as other:
            for key in one.files:
                np.testing.assert_array_equal(one[key], other[key], err_msg=f"{name}: {key}")


def test_other_settings_than_those_it_was_begun_with_are_refused(whole: tuple[Run, Outcome, list[int]]) -> None:
    with pytest.raises(UserError, match="another prefer configuration: segment was 4, now 5"):
        go(whole[0].path.parent, config=replace(CONFIG, segment=5))


def test_segments_longer_than_any_episode_are_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="wanted a shorter --segment"):
        go(tmp_path, config=replace(CONFIG, segment=190))


def test_exploring_pays_for_distance_to_what_was_seen_and_never_less_than_0() -> None:
    seen = np.random.default_rng(0).normal(size=(200, 2)) * (1.0, 100.0)
    reward = replay.Novelty(lambda: np.zeros((1, 2)), seen)
    near, far, also_far = reward.of(np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 800.0]]))
    assert 0.0 <= near < far
    assert far == pytest.approx(also_far, rel=0.2)  # in units of each number's own deviation
    assert replay.Novelty(lambda: np.zeros((1, 2)), seen[:0]).of(np.ones((3, 2))).tolist() == [0, 0, 0]


def test_a_run_may_explore_before_the_first_question(tmp_path: Path) -> None:
    config = replace(CONFIG, explore_steps=160, labels=5)
    run, outcome, _ = go(tmp_path, config=config)
    assert outcome is not None
    rows = [json.loads(line) for line in run.read_text("sessions.jsonl").splitlines()]
    assert [row["steps"] for row in rows] == [160]


def test_what_is_shown_has_pictures_and_the_truth() -> None:
    shown = act(TASK, None, episodes=2, first_seed=2**23, picture_size=32)
    assert shown.images is not None
    assert shown.images.shape == (len(shown.observations), 32, 32, 3)
    assert np.ptp(shown.rewards) > 0
    again = act(TASK, None, episodes=2, first_seed=2**23, picture_size=32)
    np.testing.assert_array_equal(again.observations, shown.observations)
    np.testing.assert_array_equal(np.asarray(again.images), np.asarray(shown.images))


def test_a_model_of_pictures_pays_a_running_simulator_for_what_its_camera_sees() -> None:
    shown = act(TASK, None, episodes=2, first_seed=2**23, picture_size=32)
    pairs = Comparisons(np.arange(12).reshape(6, 2, 1), np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.5]))
    images = np.asarray(shown.images)
    model = BradleyTerry.fit(images, pairs, BradleyTerryConfig(members=1, hidden=(4,), max_epochs=1))
    env = sims.make(TASK, 2)
    env.reward = live(env, model, inputs="images", size=(32, 32))
    env.reset(seed=0)
    _, paid, *_ = env.step(np.zeros((2, 1)))
    np.testing.assert_allclose(paid, model.rewards(env.pictures(32, 32))[0], atol=1e-6)
    env.close()


@pytest.mark.parametrize(
    ("change", "says"),
    [({"labels": 0}, "labels is 0"), ({"episodes": 2000}, "1000 at most"), ({"segment": 0}, "segment")],
)
def test_bad_settings_are_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        replace(CONFIG, **change)


def test_the_command_trains_measures_and_resumes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["prefer", TASK, "--labels", "6", "--labels-per-session", "3", "--session-steps", "64", "--segment", "4"]
    words += ["--steps", "128", "--num-envs", "8", "--hidden", "8", "--episodes", "2", "--out", str(tmp_path), "--json"]
    assert main(words) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["labels"] == 6
    assert said["num_episodes"] == 2
    assert main(["prefer", "--resume", said["run"], "--episodes", "2", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["success_rate"] == said["success_rate"]
    assert again["mean_return"] == said["mean_return"]
    assert main(["prefer"]) == 2
    assert "wants a TASK" in capsys.readouterr().err
