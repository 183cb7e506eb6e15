"""Training from data in run folders: resumed, divided among workers, interrupted and refused."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_learn.errors import UserError
from robot_learn.metrics import read_progress
from robot_learn.offline.critics import load_critic
from robot_learn.offline.iql import IqlConfig
from robot_learn.offline.run import CRITIC, Outcome, Progress, learners, seed_run, settings, train
from robot_learn.offline.tensors import Tensors
from robot_learn.policy import load_policy
from robot_learn.runs import CHECKPOINT, Run
from tests.robot_learn.offline.toys import point_data, point_tensors

CONFIG = IqlConfig(hidden_size=16, batch_size=16, total_updates=120)


@pytest.fixture(scope="module")
def tensors() -> Tensors:
    return point_tensors(point_data(episodes=20))


def begun(root: Path, name: str = "run") -> Run:
    return Run.create(root, task="toy/point", seed=0, config={}, name=name)


def trained(run: Run, tensors: Tensors, **options: Any) -> Outcome:
    return train(run, tensors, "iql", CONFIG, [0, 1, 2], **{"updates": 120, **options})


def acts(run: Run) -> np.ndarray:
    """(3, 5, 2): what the stored policies do."""
    observations = np.random.default_rng(1).standard_normal((5, 4))
    return np.array(
        [load_policy(seed_run(run, seed)).predict(observations, deterministic=True)[0] for seed in range(3)]
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_run_goes_on_to_the_same_policies_to_the_bit(
    workers: int, tensors: Tensors, tmp_path: Path
) -> None:
    through, halves = begun(tmp_path, "through"), begun(tmp_path, "halves")
    assert not trained(through, tensors).interrupted

    def stop(progress: Progress) -> None:
        signal.raise_signal(signal.SIGINT)

    first = trained(halves, tensors, workers=workers, on_progress=stop)
    assert first.interrupted
    assert 0 < first.updates < 120
    assert not (halves.path / "seed-0").exists()
    second = trained(halves, tensors, workers=workers)
    assert second.updates == 120
    assert np.array_equal(acts(through), acts(halves))


def test_a_finished_run_keeps_what_every_seed_has_learned(tensors: Tensors, tmp_path: Path) -> None:
    run = begun(tmp_path)
    outcome = trained(run, tensors)
    observations, actions = np.ones((2, 4)), np.zeros((2, 2))
    for seed, (policy, critic) in enumerate(
        zip(outcome.learners[0].policies(), outcome.learners[0].critics(), strict=True)
    ):
        folder = seed_run(run, seed)
        assert folder.config["seed"] == seed
        assert folder.config["task"] == "toy/point"
        stored = load_policy(folder).predict(observations, deterministic=True)[0]
        assert np.array_equal(stored, policy.predict(observations, deterministic=True)[0])
        values = load_critic(folder.file(CRITIC))(observations, actions)
        assert np.array_equal(values, critic(observations, actions))
    rows = read_progress(run)
    assert rows[-1]["steps"] == 120
    assert {f"{loss}/{seed}" for loss in ("value", "q", "actor") for seed in range(3)} < rows[0].keys()


def test_a_run_is_not_resumed_with_other_settings_or_workers(tensors: Tensors, tmp_path: Path) -> None:
    run = begun(tmp_path)
    trained(run, tensors, updates=10)
    with pytest.raises(UserError, match=r"expectile was 0\.7, now 0\.9"):
        train(run, tensors, "iql", settings("iql", 120, {"expectile": 0.9}), [0, 1, 2], updates=120)
    with pytest.raises(UserError, match="begun with 1 workers"):
        trained(run, tensors, workers=2)


def test_a_loss_that_is_not_finite_is_named_and_the_last_checkpoint_stays(tensors: Tensors, tmp_path: Path) -> None:
    run, wild = begun(tmp_path), IqlConfig(hidden_size=16, batch_size=16, learning_rate=1e30)
    with pytest.raises(UserError, match=r"loss of seed 0 is not finite .* learning_rate"):
        train(run, tensors, "iql", wild, [0], updates=100)
    assert not run.has(CHECKPOINT)


def test_what_decays_over_a_training_decays_over_this_one() -> None:
    assert settings("iql", 700, {}).total_updates == 700
    assert settings("iql", 700, {"total_updates": 900}).total_updates == 900
    assert settings("bc", 700, {"batch_size": 3}).batch_size == 3
    with pytest.raises(UserError, match="no setting named 'expectil'; did you mean 'expectile'"):
        settings("iql", 700, {"expectil": 0.9})
    with pytest.raises(UserError, match="no algorithm named 'ikl'"):
        settings("ikl", 700, {})


def test_rows_of_rewards_go_with_their_seeds_to_the_workers(tensors: Tensors) -> None:
    rows = np.arange(3)[:, None] * np.ones((3, tensors.num_steps))
    made = learners(tensors.with_rewards(rows), "iql", CONFIG, [5, 6, 7], 2)
    assert [learner.seeds for learner in made] == [(5, 6), (7,)]
    stacks = [stack for learner in made for stack in learner._stacks]  # type: ignore[attr-defined]
    assert [float(row.mean()) for stack in stacks for row in stack._rewards] == [0.0, 1.0, 2.0]
