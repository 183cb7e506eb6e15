"""Recorded scenes score as the environment paid live, come back from disk as they were, and run backwards."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sims
from rewards.program import check
from robot_learn import rollouts
from robot_learn.errors import UserError
from robot_learn.probes import record
from robot_learn.rollouts import Rollouts
from robot_learn.scene import Scene
from robot_learn.types import RewardFn
from tests.toy import SCHEMA

DRAWER = """
def reward(scene, action):
    tip = scene.robot.fingertip_position
    there = np.linalg.norm(tip - scene.drawer.handle_position)
    before = np.linalg.norm(scene.previous.robot.fingertip_position - scene.previous.drawer.handle_position)
    start = np.linalg.norm(scene.initial.robot.fingertip_position - scene.initial.drawer.handle_position)
    return {
        "reach": 1.0 - np.tanh(there / start),
        "closer": 10.0 * (before - there),
        "open": np.exp(scene.drawer.opening) - np.mean(np.sin(tip)),
        "effort": -0.01 * np.sum(np.square(action)),
    }
"""


class Paid:
    """A reward that remembers what it paid."""

    def __init__(self, reward: RewardFn) -> None:
        self.reward, self.term_names = reward, reward.term_names
        self.totals: list[np.ndarray] = []
        self.terms: list[Mapping[str, np.ndarray]] = []

    def evaluate(self, scene: Scene, action: Any) -> tuple[Any, Mapping[str, Any]]:
        total, terms = self.reward.evaluate(scene, action)
        self.totals.append(np.array(total))
        self.terms.append({name: np.array(term) for name, term in terms.items()})
        return total, terms

    def __call__(self, scene: Scene, action: Any) -> Any:
        return self.evaluate(scene, action)[0]


def recorded(name: str, program: str, steps: int) -> tuple[Paid, RewardFn, Rollouts]:
    """Random motion in five worlds, live pay beside it."""
    task = sims.task(name)
    reward = check(program, task).compile()
    paid, rng = Paid(reward), np.random.default_rng(0)
    actions = rng.uniform(-1.0, 1.0, (steps, 5, task.act_dim)).astype(np.float32)
    env = sims.make(name, 5, reward=paid, max_episode_steps=steps)
    return paid, reward, record(env, "random", [2**23 + world for world in range(5)], lambda step, *_: actions[step])


def test_scores_of_recorded_scenes_are_what_was_paid_live_to_the_bit() -> None:
    paid, reward, found = recorded("metaworld/drawer-open", DRAWER, 30)
    scored = found.score(reward)
    assert found.running.all()
    np.testing.assert_array_equal(scored.rewards, np.stack(paid.totals))
    for term in reward.term_names:
        np.testing.assert_array_equal(scored.terms[term], np.stack([terms[term] for terms in paid.terms]))
    assert np.ptp(scored.terms["closer"]) > 0
    assert np.ptp(scored.terms["effort"]) > 0


def test_an_episode_that_ends_early_is_paid_to_its_last_step_and_nothing_after_it() -> None:
    task = sims.task("mujoco/hopper")
    field = next(name for name in task.schema.names if task.schema[name].shape == ())
    program = f"def reward(scene, action):\n    return {{'level': 5.0 + scene.{field} - scene.initial.{field}}}\n"
    paid, reward, found = recorded(task.name, program, 150)
    lengths = found.running.sum(axis=0)
    assert found.success.shape == (150, 5)
    assert (lengths < 150).any(), "a hopper that moves at random falls"
    live, scored = np.stack(paid.totals), found.score(reward).rewards
    for world, length in enumerate(lengths):
        assert found.running[:length, world].all()
        np.testing.assert_array_equal(scored[:length, world], live[:length, world])
        assert not scored[length:, world].any()


def toy(steps: int = 4) -> Rollouts:
    """Two points that walk along x, the second one twice as fast, to a goal at (1, 0)."""
    way = np.arange(steps + 1.0)[:, None] * np.array([0.1, 0.2])
    point = np.stack([way, np.zeros_like(way)], axis=-1)
    goal = np.broadcast_to([1.0, 0.0], point.shape)
    success = np.linalg.norm(goal - point, axis=-1)[1:] < 0.5
    actions = np.ones((steps, 2, 2))
    values = {"point.position": point, "goal.position": goal}
    return Rollouts(SCHEMA, "scripted", values, actions, success, np.ones_like(success))


class Closer:
    """The way that was made towards the goal in a step."""

    term_names = ("closer",)

    def evaluate(self, scene: Scene, action: Any) -> tuple[Any, Mapping[str, Any]]:
        before, now = (
            np.linalg.norm(each["goal.position"] - each["point.position"], axis=1) for each in (scene.previous, scene)
        )
        return before - now, {"closer": before - now}

    def __call__(self, scene: Scene, action: Any) -> Any:
        return self.evaluate(scene, action)[0]


def test_a_difference_pays_nothing_for_a_way_there_and_back_and_nothing_at_rest() -> None:
    way = toy()
    assert way.score(Closer()).rewards.sum() > 0.5
    np.testing.assert_allclose(way.there_and_back().score(Closer()).rewards.sum(axis=0), 0.0, atol=1e-12)
    np.testing.assert_array_equal(way.score(Closer(), at_rest=True).rewards, 0.0)


def test_time_runs_back_to_the_start() -> None:
    back = toy().there_and_back().values["point.position"]
    np.testing.assert_array_equal(back, back[::-1])
    assert len(back) == 2 * 4 + 1


def test_episodes_are_picked_by_mask() -> None:
    way = toy()
    (fast,) = np.flatnonzero(way.succeeded)
    picked = way.episodes(way.succeeded)
    assert picked.num_episodes == 1
    assert picked.score(Closer()).rewards.sum() == way.score(Closer()).rewards[:, fast].sum()


def test_what_is_saved_is_loaded_to_the_bit(tmp_path: Path) -> None:
    saved = [toy(), toy(7).episodes(np.array([1]))]
    rollouts.save(tmp_path / "deep" / "probes.npz", saved)
    for before, after in zip(saved, rollouts.load(tmp_path / "deep" / "probes.npz", SCHEMA), strict=True):
        assert before.source == after.source
        for name in ("actions", "success", "running"):
            np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
        for name in SCHEMA.names:
            assert before.values[name].tobytes() == after.values[name].tobytes()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["probes.npz"]


def test_a_damaged_file_and_one_of_another_task_are_refused(tmp_path: Path) -> None:
    (tmp_path / "damaged.npz").write_bytes(b"PK\x03\x04 not much")
    rollouts.save(tmp_path / "toy.npz", [toy()])
    for file, schema in (("damaged", SCHEMA), ("absent", SCHEMA), ("toy", sims.task("mujoco/cart-pole").schema)):
        with pytest.raises(UserError, match="no file of rollouts"):
            rollouts.load(tmp_path / f"{file}.npz", schema)


def test_arrays_of_different_lengths_are_refused() -> None:
    way = toy()
    with pytest.raises(UserError, match="actions begins with"):
        Rollouts(SCHEMA, "still", way.values, way.actions[:-1], way.success, way.running)
