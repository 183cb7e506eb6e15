"""The adapter against the environment itself, stepped beside it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecMonitor

from robot_learn.errors import UserError
from robot_learn.vec_env import SB3VecEnv
from tests.toy import PointEnv, Reach

WORLDS = 6


def actions(rng: np.random.Generator, scale: float = 1.0) -> np.ndarray:
    return (scale * rng.uniform(-1, 1, (WORLDS, 2))).astype(np.float32)


def pair(**options: object) -> tuple[SB3VecEnv, PointEnv, np.ndarray, np.ndarray]:
    """An adapter and the same environment bare, both at the start of seed 5."""
    adapter, bare = SB3VecEnv(PointEnv(WORLDS, **options)), PointEnv(WORLDS, **options)  # type: ignore[arg-type]
    adapter.seed(5)
    return adapter, bare, adapter.reset(), bare.reset(seed=5)[0]


def test_steps_equal_the_environments_own_in_float32() -> None:
    adapter, bare, ours, theirs = pair(lethal=True)
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(ours, theirs.astype(np.float32))
    for _ in range(45):
        action = actions(rng)
        observation, reward, done, _ = adapter.step(action)
        expected, expected_reward, terminated, truncated, _ = bare.step(action)
        assert observation.dtype == reward.dtype == np.float32
        np.testing.assert_array_equal(observation, expected.astype(np.float32))
        np.testing.assert_array_equal(reward, expected_reward.astype(np.float32))
        np.testing.assert_array_equal(done, terminated | truncated)


def test_an_episodes_end_carries_its_last_observation_and_why_it_ended() -> None:
    adapter, bare, _, _ = pair(lethal=True)
    ends = {True: 0, False: 0}
    for _ in range(60):
        outward = np.sign(bare.scene["point.position"]).astype(np.float32)
        outward[::2] = 0.0  # half of the worlds leave the cage, half stay until the clock runs out
        _, _, done, infos = adapter.step(outward)
        _, _, terminated, truncated, info = bare.step(outward)
        for world in range(WORLDS):
            if not done[world]:
                assert infos[world] == {}
                continue
            ends[bool(terminated[world])] += 1
            assert infos[world]["TimeLimit.truncated"] == truncated[world]
            expected = info["final_obs"][world].astype(np.float32)
            np.testing.assert_array_equal(infos[world]["terminal_observation"], expected)
    assert min(ends.values()) > 2


def test_episode_statistics_equal_vec_monitors() -> None:
    adapter, _, _, _ = pair(lethal=True)
    monitored = VecMonitor(SB3VecEnv(PointEnv(WORLDS, lethal=True)))
    monitored.seed(5)
    monitored.reset()
    rng = np.random.default_rng(1)
    count = 0
    for _ in range(50):
        action = actions(rng)
        infos, theirs = adapter.step(action)[3], monitored.step(action)[3]
        for ours, other in zip(infos, theirs, strict=True):
            if "episode" in ours:
                count += 1
                assert ours["episode"]["l"] == other["episode"]["l"]
                assert ours["episode"]["r"] == pytest.approx(other["episode"]["r"], abs=1e-4)
    assert count == adapter.num_finished > WORLDS


def test_success_at_any_step_makes_the_episode_a_success() -> None:
    adapter, bare, _, _ = pair()
    seen = np.zeros(WORLDS, dtype=bool)
    goal = bare.scene["goal.position"].copy()
    for step in range(20):
        # Even worlds go to the goal first, then everybody runs away.
        toward = (goal - bare.scene["point.position"]) / 0.2 if step < 12 else np.ones((WORLDS, 2))
        toward[1::2] = 1.0
        action = np.clip(toward, -1, 1).astype(np.float32)
        infos = adapter.step(action)[3]
        info = bare.step(action)[4]
        seen |= info["success"]
    assert [info["is_success"] for info in infos] == seen.tolist() == [True, False] * (WORLDS // 2)
    assert not info["success"].any()


def test_term_means_add_up_to_the_mean_reward_and_start_anew() -> None:
    adapter, _, _, _ = pair()
    rng = np.random.default_rng(2)
    rewards = [adapter.step(actions(rng))[1] for _ in range(15)]
    means = adapter.take_term_means()
    assert set(means) == set(Reach.term_names)
    assert sum(means.values()) == pytest.approx(np.mean(rewards), abs=1e-5)
    assert adapter.take_term_means() == {}


def test_state_and_back_repeats_the_same_future() -> None:
    adapter, _, _, _ = pair(lethal=True)
    rng = np.random.default_rng(3)
    plan = [actions(rng) for _ in range(60)]
    for action in plan[:13]:
        adapter.step(action)
    state = adapter.state()
    other = SB3VecEnv(PointEnv(WORLDS, lethal=True))
    other.load_state(state)
    for action in plan[13:]:
        ours, theirs = adapter.step(action), other.step(action)
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])
        assert [info.get("episode") for info in ours[3]] == [info.get("episode") for info in theirs[3]]


def test_a_reward_that_is_not_finite_is_an_error_that_names_world_and_step() -> None:
    class Broken(Reach):
        def evaluate(self, scene, action):  # type: ignore[no-untyped-def]
            total, terms = super().evaluate(scene, action)
            total[4] = np.nan
            return total, terms

    adapter = SB3VecEnv(PointEnv(WORLDS, reward_fn=Broken()))
    adapter.reset()
    with pytest.raises(UserError, match="world 4 is nan at step 1"):
        adapter.step(np.zeros((WORLDS, 2), dtype=np.float32))


def test_a_plain_sb3_learner_runs_on_it() -> None:
    torch.set_num_threads(1)
    model = PPO("MlpPolicy", SB3VecEnv(PointEnv(WORLDS)), n_steps=20, batch_size=60, device="cpu", seed=0)
    model.learn(240)
    assert model.ep_info_buffer is not None
    assert len(model.ep_info_buffer) == 240 // 20
