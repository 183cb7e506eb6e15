"""Graded data: how chance disturbs an actor, which episodes are recorded, and what medium is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from robot_learn.data import actors, graded
from robot_learn.data.actors import Disturbed
from robot_learn.data.graded import Acting, Source
from robot_learn.data.manifest import normalised
from robot_learn.data.recording import record
from robot_learn.envs import EVAL_SEED0, TRAIN_SEEDS
from robot_learn.errors import UserError
from robot_learn.scene import Scene
from tests.toy import PointEnv

LOW, HIGH = np.array([-1.0, -2.0]), np.array([1.0, 3.0])


class Points(PointEnv):
    """The toy, which also takes a seed for each world."""

    def reset(
        self, *, seed: int | Sequence[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        if isinstance(seed, Sequence):
            self._rngs = [np.random.default_rng(one) for one in seed]
            seed = None
        return super().reset(seed=seed, options=options)


def towards(step: int, scene: Scene, observations: np.ndarray) -> np.ndarray:
    """Straight to the goal, which is 0.2 times the action away."""
    return np.clip(observations[:, 2:] * 5.0, -1.0, 1.0)


def still(step: int, scene: Scene, observations: np.ndarray) -> np.ndarray:
    return np.zeros((len(observations), 2))


def acted(epsilon: float, hold: float, *, steps: int = 2000, worlds: int = 4) -> np.ndarray:
    """(steps, worlds, 2) of an actor that never does anything by itself."""
    disturbed = Disturbed(still, LOW, HIGH, np.full(worlds, epsilon), range(worlds), hold=hold)
    nothing: Any = None
    return np.stack([disturbed(step, nothing, np.zeros((worlds, 4))) for step in range(steps)])


@pytest.mark.parametrize("hold", [1.0, 5.0])
@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
def test_chance_acts_for_its_share_of_the_steps_however_long_it_holds(epsilon: float, hold: float) -> None:
    random = (acted(epsilon, hold) != 0).any(axis=2)
    error = 4 * np.sqrt(epsilon * (1 - epsilon) * 2 * hold / random.size)
    assert abs(random.mean() - epsilon) <= error
    assert abs(acted(epsilon, hold, steps=1, worlds=2000).any(axis=2).mean() - epsilon) <= 4 * np.sqrt(0.25 / 2000)


@pytest.mark.parametrize("hold", [1.0, 5.0])
def test_a_random_action_is_held_for_as_long_as_asked_and_is_uniform(hold: float) -> None:
    actions = acted(1.0, hold)
    changes = (np.diff(actions, axis=0) != 0).any(axis=2).mean()
    assert changes == pytest.approx(1.0 / hold, rel=0.1)
    assert (actions >= LOW).all()
    assert (actions <= HIGH).all()
    np.testing.assert_allclose(actions.mean(axis=(0, 1)), (LOW + HIGH) / 2, atol=0.1)
    np.testing.assert_allclose(actions.std(axis=(0, 1)), (HIGH - LOW) / np.sqrt(12), rtol=0.05)


def test_noise_has_the_deviation_asked_for_and_stays_in_range() -> None:
    disturbed = Disturbed(still, LOW, HIGH, np.zeros(2000), range(2000), noise=0.1)
    nothing: Any = None
    actions = disturbed(0, nothing, np.zeros((2000, 4)))
    np.testing.assert_allclose(actions.std(axis=0), 0.1 * (HIGH - LOW) / 2, rtol=0.1)
    loud = Disturbed(still, LOW, HIGH, np.zeros(500), range(500), noise=50.0)(0, nothing, np.zeros((500, 4)))
    assert (loud >= LOW).all()
    assert (loud <= HIGH).all()


def test_bad_disturbances_are_refused() -> None:
    with pytest.raises(UserError, match="bounded actions"):
        Disturbed(still, LOW, np.array([1.0, np.inf]), np.zeros(1), [0])
    with pytest.raises(UserError, match="epsilon in"):
        Disturbed(still, LOW, HIGH, np.array([1.5]), [0])
    with pytest.raises(UserError, match="nobody to act"):
        actors.nobody(0, None, np.zeros((1, 4)))  # type: ignore[arg-type]


def test_what_is_recorded_is_the_episode_with_its_last_moment() -> None:
    env = Points(4, max_episode_steps=20, lethal=True)

    def outwards(step: int, scene: Scene, observations: np.ndarray) -> np.ndarray:
        return np.where(np.arange(4)[:, None] % 2 == 0, 1.0, 0.0) * np.ones((4, 2))  # worlds 0 and 2 fly away

    found = record(env, outwards, [3, 4, 5], ["a", "b", "c"])
    assert [len(episode) for episode in found] == [len(found[0]), 20, len(found[2])]
    assert [episode.terminated[-1] for episode in found] == [True, False, True]
    assert [episode.source for episode in found] == ["a", "b", "c"]
    assert [episode.seed for episode in found] == [3, 4, 5]
    for episode in found:
        episode.check("recorded")
        assert episode.actions is not None
        steps = np.diff(episode.observations[:, :2], axis=0)  # no automatic reset slipped in
        np.testing.assert_allclose(steps, 0.2 * episode.actions, atol=1e-6)


def test_an_episode_is_the_same_whatever_runs_beside_it() -> None:
    def collected(worlds: int, begin: int) -> list[Any]:
        acting = Acting(Points(worlds), towards, hold=3.0, noise=0.1)
        mixed = graded.sources("replay", 0.4)
        return [one for some in graded.collect(acting, mixed, seed=2, begin=begin, episodes=11) for one in some]

    alone = collected(1, 0)
    assert [episode.source for episode in alone[:6]] == [f"level-{number % 5}" for number in range(6)]
    for others in (collected(4, 0), collected(3, 5)):
        for mine, theirs in zip(alone[-len(others) :], others, strict=True):
            assert mine.seed == theirs.seed
            np.testing.assert_array_equal(mine.observations, theirs.observations)
            np.testing.assert_array_equal(mine.actions, theirs.actions)


def test_what_was_meant_can_be_recorded_in_place_of_what_chance_made_of_it() -> None:
    took = Acting(Points(2), towards, noise=0.4).episodes([7, 8], [Source("expert", 0.3)] * 2)
    meant = Acting(Points(2), towards, noise=0.4, intended=True).episodes([7, 8], [Source("expert", 0.3)] * 2)
    for one, other in zip(took, meant, strict=True):
        np.testing.assert_array_equal(one.observations, other.observations)  # the episode is the same
        assert np.abs(one.actions - other.actions).max() > 0.1
        wanted = towards(0, None, other.observations[:-1])  # type: ignore[arg-type]
        np.testing.assert_allclose(other.actions, wanted, atol=1e-6)


def test_grades_mix_what_they_say() -> None:
    assert graded.sources("random", None) == (Source("random", 1.0),)
    assert graded.sources("medium-expert", 0.3) == (Source("medium", 0.3), Source("expert", 0.0))
    levels = [source.epsilon for source in graded.sources("replay", 0.2)]
    np.testing.assert_allclose(levels, [1.0, 0.8, 0.6, 0.4, 0.2])
    with pytest.raises(UserError, match="did you mean 'medium'"):
        graded.sources("medum", 0.3)
    with pytest.raises(UserError, match="nobody has measured"):
        graded.sources("replay", None)


def test_medium_lies_between_chance_and_the_actor_and_says_what_it_tried() -> None:
    acting = Acting(Points(8, max_episode_steps=8), towards)
    anchors = {name: acting.measure(epsilon, 40, graded.ANCHOR_SEED0, name) for name, epsilon in _ENDS}
    assert anchors["expert"].success_rate > 0.8 > 0.2 > anchors["random"].success_rate
    found = graded.medium(acting, anchors, 40)
    middle = (anchors["expert"].success_rate + anchors["random"].success_rate) / 2
    assert found["by"] == "success"
    assert found["target"] == pytest.approx(middle)
    assert abs(found["success_rate"] - middle) == min(abs(row["success_rate"] - middle) for row in found["tried"])
    assert abs(found["success_rate"] - middle) <= 0.1
    assert len(found["tried"]) == graded.HALVINGS


_ENDS = (("random", 1.0), ("expert", 0.0))


def test_where_success_tells_nothing_returns_decide_what_medium_is() -> None:
    acting = Acting(Points(8, max_episode_steps=1), towards)  # too short to arrive
    anchors = {name: acting.measure(epsilon, 40, graded.ANCHOR_SEED0, name) for name, epsilon in _ENDS}
    found = graded.medium(acting, anchors, 40)
    assert found["by"] == "return"
    score = float(normalised(found["mean_return"], {"anchors": {k: v.to_json() for k, v in anchors.items()}}))
    assert score == pytest.approx(50.0, abs=5.0)


def test_data_share_no_start_with_anchors_or_evaluation() -> None:
    last = graded.MAX_SEED * graded.EPISODES_PER_SEED + graded.EPISODES_PER_SEED - 1
    assert last < TRAIN_SEEDS <= graded.ANCHOR_SEED0 < EVAL_SEED0
    acting = Acting(Points(2), towards)
    for seed, episodes in ((graded.MAX_SEED + 1, 1), (-1, 1), (0, 0), (0, graded.EPISODES_PER_SEED + 1)):
        with pytest.raises(UserError, match="wanted a seed from 0 to"):
            list(graded.collect(acting, graded.sources("random", None), seed=seed, begin=0, episodes=episodes))
