"""Observations as pictures: what Gymnasium and Stable-Baselines3 ask of them, and what they leave as it is."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env as check_sb3_env

import sims
from robot_learn.errors import UserError
from robot_learn.runs import Run
from robot_learn.train_config import preset
from robot_learn.training import train
from robot_learn.vec_env import SB3VecEnv
from sims import rendering

TASK, SIZE = "mujoco/hopper", (40, 48)

pytestmark = pytest.mark.usefixtures("opengl")


@pytest.fixture
def opengl() -> None:
    try:
        rendering.backend()
    except UserError:
        pytest.skip(f"no OpenGL here: needs the Debian packages {rendering.PACKAGES}")


def actions(steps: int, worlds: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (steps, worlds, 3)).astype(np.float32)


def test_the_batch_shows_bytes_of_the_size_that_was_asked_for() -> None:
    env = sims.make(TASK, 2, observe="pixels", image_size=SIZE)
    seen, _ = env.reset(seed=0)
    assert env.single_observation_space == gymnasium.spaces.Box(0, 255, (*SIZE, 3), np.uint8)
    assert seen.shape == (2, *SIZE, 3)
    assert seen.dtype == np.uint8
    assert env.observation_space.contains(seen)
    np.testing.assert_array_equal(seen, env.pictures(SIZE[1], SIZE[0]))
    assert (seen[0] != seen[1]).any(), "each world starts elsewhere"
    env.close()


def test_another_camera_sees_the_same_world_from_elsewhere() -> None:
    side, front = (sims.make(TASK, 1, observe="pixels", image_size=SIZE, camera=name) for name in ("side", "front"))
    (one, _), (other, _) = side.reset(seed=0), front.reset(seed=0)
    assert (one != other).mean() > 0.1
    np.testing.assert_array_equal(other, side.pictures(SIZE[1], SIZE[0], "front"))
    side.close()
    front.close()


def test_watching_changes_nothing_else() -> None:
    seen, unseen = (
        sims.make(TASK, 2, observe="pixels", image_size=SIZE, reward="expert"),
        sims.make(TASK, 2, reward="expert"),
    )
    seen.reset(seed=0)
    unseen.reset(seed=0)
    for action in actions(40, 2):
        mine, theirs = seen.step(action)[1:], unseen.step(action)[1:]
        for one, other in zip(mine[:3], theirs[:3], strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(mine[3]["success"], theirs[3]["success"])
        for name in seen.task.schema.names:
            np.testing.assert_array_equal(seen.scene[name], unseen.scene[name])
    seen.close()
    unseen.close()


def test_a_restored_world_looks_as_it_did() -> None:
    env = sims.make(TASK, 2, observe="pixels", image_size=SIZE)
    env.reset(seed=0)
    for action in actions(5, 2):
        env.step(action)
    snapshot = env.snapshot()
    future = [env.step(action)[0] for action in actions(8, 2)]
    env.reset(seed=9)
    env.restore(snapshot)
    for action, picture in zip(actions(8, 2), future, strict=True):
        np.testing.assert_array_equal(env.step(action)[0], picture)
    env.close()


def test_at_an_end_the_last_picture_is_of_the_old_episode_and_the_next_of_the_new() -> None:
    env = sims.make(TASK, 1, observe="pixels", image_size=SIZE, max_episode_steps=6)
    env.reset(seed=0)
    for action in actions(6, 1):
        before, _, _, truncated, info = env.step(action)
    assert truncated.all()
    assert info["final_obs"].dtype == np.uint8
    assert (info["final_obs"] != before).any()
    np.testing.assert_array_equal(before, env.pictures(SIZE[1], SIZE[0]))
    env.close()


@pytest.mark.filterwarnings("ignore")
def test_both_environment_checkers_accept_one_world() -> None:
    env = sims.make_single(TASK, observe="pixels", image_size=SIZE)
    check_env(env, skip_render_check=True)
    check_sb3_env(env)
    env.close()


def test_a_convolutional_policy_of_stable_baselines_trains() -> None:
    env = sims.make(TASK, 2, observe="pixels", image_size=(64, 64), reward="expert", max_episode_steps=10)
    adapter = SB3VecEnv(env)
    assert adapter.observation_space.dtype == np.uint8
    model = PPO("CnnPolicy", adapter, n_steps=16, batch_size=16, n_epochs=1, seed=0, device="cpu")
    before = [parameter.detach().clone() for parameter in model.policy.parameters()]
    model.learn(64)  # two updates
    assert model.num_timesteps == 64
    changed = [bool((one != other).any()) for one, other in zip(before, model.policy.parameters(), strict=True)]
    assert all(changed[1:])  # the first is the spread of actions, which may happen to stay
    assert adapter.num_finished > 0
    env.close()


def test_the_adapter_keeps_bytes_also_in_the_last_observation() -> None:
    env = sims.make(TASK, 1, observe="pixels", image_size=SIZE, max_episode_steps=3)
    adapter = SB3VecEnv(env)
    adapter.seed(0)
    assert np.asarray(adapter.reset()).dtype == np.uint8
    for action in actions(3, 1):
        observation, _, done, infos = adapter.step(action)
    assert done.all()
    assert np.asarray(observation).dtype == infos[0]["terminal_observation"].dtype == np.uint8
    env.close()


def test_the_trainer_of_small_networks_refuses_pictures(tmp_path: Path) -> None:
    env = sims.make(TASK, 2, observe="pixels", image_size=SIZE)
    with pytest.raises(UserError, match=r"shape \(40, 48, 3\).* CnnPolicy"):
        train(env, Run.create(tmp_path, task=TASK, seed=0, config={}), preset("ppo", num_envs=2, minibatches=1))
    env.close()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"observe": "video"}, "no kind of observation named 'video'"),
        ({"observe": "pixels", "camera": "sied"}, "no camera named 'sied'; did you mean 'side'"),
        ({"observe": "pixels", "randomise": {"observation_noise": (0, 0.1)}}, "leave it out"),
        ({"observe": "pixels", "image_size": (64,)}, r"wanted \(height, width\), came \(64,\)"),
    ],
)
def test_what_cannot_be_watched_is_refused_by_name(options: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        sims.make(TASK, 1, **options)  # type: ignore[arg-type]
