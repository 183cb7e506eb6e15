"""`robot-learn bench iql`: its task, its clock and its table."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from robot_learn.offline import bench
from robot_learn.offline.bench import Contender, Eager, Ours, race, rows
from robot_learn.offline.bench_point import mixed_data, score, straight
from robot_learn.offline.iql import IqlConfig
from robot_learn.offline.tensors import to_tensors


@dataclass
class Sleeper:
    """Learns for so long, and then always acts the same."""

    seconds: float

    def train(self, updates: int) -> None:
        assert updates == bench.WINDOW
        time.sleep(self.seconds)

    def act(self, observations: np.ndarray) -> np.ndarray:
        return straight(observations)


def test_scores_are_anchored_at_the_random_and_the_best_policy() -> None:
    noise = np.random.default_rng(3)
    assert score(straight) == pytest.approx(100.0)
    assert score(lambda seen: noise.uniform(-1.0, 1.0, (len(seen), 4))) == pytest.approx(0.0, abs=5.0)


def test_one_episode_in_five_of_the_data_goes_to_the_goal() -> None:
    returns = mixed_data(400).returns
    assert 0.1 < np.mean(returns > -12.0) < 0.35
    assert mixed_data(400).returns.tolist() == returns.tolist()


def test_rates_count_all_seeds_and_ratios_are_of_neighbouring_windows() -> None:
    entered = [
        Contender("eager, as in CORL", [Sleeper(0.02)], 1),
        Contender("d3rlpy", [Sleeper(0.04)], 1),
        Contender("d3rlpy: not installed", [], 1),
        Contender("ours, 4 seeds", [Sleeper(0.01)], 4),
    ]
    race(entered, 4, torch.device("cpu"))
    assert [len(contender.seconds) for contender in entered] == [3, 3, 0, 3]
    eager, peer, absent, ours = rows(entered, with_scores=True)
    assert eager["times eager"] == 1.0
    assert peer["times d3rlpy"] == 1.0
    assert absent["updates/s"] is None
    assert ours["updates/s"] <= 4 * bench.WINDOW / 0.01
    assert ours["times eager"] > 4.0
    assert ours["times d3rlpy"] > ours["times eager"]
    assert ours["score"] == pytest.approx(100.0)


def test_those_who_take_part_learn_the_same_task() -> None:
    tensors = to_tensors(mixed_data(1000), np.full(4, -1.0), np.ones(4))
    config = IqlConfig(hidden_size=64, batch_size=64, total_updates=500, reward_scale="none", learning_rate=3e-3)
    config = replace(config, gamma=0.9, inverse_temperature=30.0)
    found = []
    for learner in (Eager(tensors, config, 0), Ours(tensors, config, [0])):
        learner.train(500)
        found.append(score(learner.act))
    assert min(found) > 20.0, found
