"""What Gymnasium expects of a vector environment and of a single one, rewards, and errors that help."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import TimeLimit
from gymnasium.wrappers.vector import RecordEpisodeStatistics

import sims
from robot_learn.errors import UserError
from robot_learn.scene import Scene
from sims.env import BatchEnv, SingleEnv
from tests.sims import oracle


def hopper(**options: Any) -> BatchEnv:
    return sims.make("mujoco/hopper", 2, **options)


class Height:
    """A reward function that also tells the action's size."""

    term_names = ("height", "effort")

    def evaluate(self, scene: Scene, action: Any) -> tuple[Any, Mapping[str, Any]]:
        terms = {"height": scene["torso.height"], "effort": -np.abs(action).sum(axis=1)}
        return terms["height"] + terms["effort"], terms

    def __call__(self, scene: Scene, action: Any) -> Any:
        return self.evaluate(scene, action)[0]


@pytest.mark.parametrize("name", ["metaworld/drawer-open", "metaworld/stick-push", "mujoco/hopper", "mujoco/ant"])
def test_a_single_environment_passes_gymnasiums_checker(name: str) -> None:
    env = sims.make_single(name, reward="expert")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(infinity|render mode|spec|normalize|symmetric).*")
        check_env(env, skip_render_check=True)
    env.close()


def test_a_batch_resets_in_the_same_step_exactly_as_gymnasiums_own_vector() -> None:
    ours = hopper(reward="sparse", max_episode_steps=15)
    singles = [lambda: TimeLimit(sims.make_single("mujoco/hopper", reward="sparse"), 15) for _ in range(2)]
    theirs = SyncVectorEnv(singles, autoreset_mode=AutoresetMode.SAME_STEP)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert ours.metadata["autoreset_mode"] == theirs.metadata["autoreset_mode"]
    np.testing.assert_array_equal(ours.reset(seed=4)[0], theirs.reset(seed=4)[0])
    rng, ends = np.random.default_rng(0), 0
    for _ in range(40):
        actions = rng.uniform(-1, 1, (2, 3)).astype(np.float32)
        mine, other = ours.step(actions), theirs.step(actions)
        for left, right in zip(mine[:4], other[:4], strict=True):
            np.testing.assert_array_equal(left, right)
        assert ("final_obs" in mine[4]) == ("final_obs" in other[4])
        if "final_obs" in mine[4]:
            ended = mine[4]["_final_obs"]
            ends += ended.sum()
            np.testing.assert_array_equal(ended, other[4]["_final_obs"])
            np.testing.assert_array_equal(mine[4]["final_obs"][ended], np.stack(other[4]["final_obs"][ended]))
    assert ends >= 4
    ours.close()
    theirs.close()


def test_gymnasiums_episode_statistics_wrap_a_batch() -> None:
    env = RecordEpisodeStatistics(hopper(reward=Height(), max_episode_steps=5))
    env.reset(seed=0)
    total = np.zeros(2)
    for _ in range(5):
        _, reward, _, _, info = env.step(np.zeros((2, 3)))
        total += reward
    np.testing.assert_allclose(info["episode"]["r"], total)
    assert info["episode"]["l"].tolist() == [5, 5]
    env.close()


def test_rewards_none_sparse_and_a_function_are_what_they_say() -> None:
    plain, sparse, own = hopper(), hopper(reward="sparse"), hopper(reward=Height())
    action = np.full((2, 3), 0.25)
    for env in (plain, sparse, own):
        env.reset(seed=0)
        oracle.move(env, 1, 0, 6.0)
    assert plain.step(action)[1].tolist() == [0.0, 0.0]
    assert sparse.step(action)[1].tolist() == [0.0, 1.0]
    _, reward, _, _, info = own.step(action)
    np.testing.assert_allclose(info["reward_terms"]["height"], own.scene.torso.height)
    np.testing.assert_allclose(reward, own.scene.torso.height - 0.75)
    for env in (plain, sparse, own):
        env.close()


def test_a_reward_sees_the_last_scene_of_an_episode_and_not_the_next_reset() -> None:
    env = hopper(reward=Height(), max_episode_steps=8)
    env.reset(seed=0)
    for _ in range(8):
        _, _, _, truncated, info = env.step(np.zeros((2, 3)))
    assert truncated.all()
    np.testing.assert_array_equal(info["reward_terms"]["height"], info["final_obs"][:, 0])
    assert (env.scene.torso.height != info["reward_terms"]["height"]).all()
    env.close()


def test_a_batch_that_does_not_reset_itself_waits_for_its_caller() -> None:
    env = hopper(max_episode_steps=1, autoreset=False)
    env.reset(seed=0)
    *_, truncated, info = env.step(np.zeros((2, 3)))
    assert truncated.all()
    np.testing.assert_array_equal(info["_final_obs"], [True, True])
    with pytest.raises(UserError, match="call reset first"):
        env.step(np.zeros((2, 3)))
    env.reset()
    env.step(np.zeros((2, 3)))
    env.close()


def test_resets_without_a_seed_go_on_drawing() -> None:
    env = hopper()
    first, second = env.reset(seed=0)[0], env.reset()[0]
    assert (first != second).any()
    np.testing.assert_array_equal(env.reset(seed=[0, 1])[0], first)
    env.close()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sims.task("drawer-open"), "did you mean 'metaworld/drawer-open'"),
        (lambda: sims.task("metaworld/draw-open"), "did you mean 'metaworld/drawer-open'"),
        (lambda: sims.make("mujoco/hoper"), "did you mean 'mujoco/hopper'"),
        (lambda: sims.make("mujoco/hopper", reward="expret"), "wanted 'expert', 'sparse', None or a reward function"),
        (lambda: SingleEnv(hopper()), "wants a batch of one world"),
        (lambda: hopper().step(np.zeros((2, 3))), "call reset first"),
        (lambda: hopper().step(np.zeros((3, 2))), r"wanted an array of shape \(2, 3\), came \(3, 2\)"),
        (lambda: hopper().step(np.zeros(3)), r"wanted an array of shape \(2, 3\), came \(3,\)"),
        (lambda: hopper().reset(seed=[1, 2, 3]), "wanted one number or 2 of them, came 3"),
        (lambda: hopper().restore([]), "wanted one of 2 worlds, came one of 0"),
    ],
)
def test_a_mistake_is_answered_by_what_was_wanted(call: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        call()


@pytest.mark.parametrize("name", sims.TASKS)
def test_a_task_describes_itself(name: str) -> None:
    task = sims.task(name)
    assert task.name == name
    assert task.instruction.endswith(".")
    assert task.max_episode_steps > 0
    assert task.control_dt > 0
    for field in task.schema:
        assert field.meaning
        assert "\n" not in field.meaning
        assert field.unit
        assert field.frame == "world" or field.shape == () or not field.name.endswith(".position"), field.name
    assert all(component.low < component.high for component in task.action)


def test_descriptions_need_neither_a_simulator_nor_its_import() -> None:
    program = "import sims, sys; sims.task('metaworld/reach'); sys.exit('mujoco' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0


def test_the_action_space_is_what_the_task_declares() -> None:
    for name in ("metaworld/reach", "mujoco/hopper", "mujoco/ant"):
        env = sims.make_single(name)
        space, components = env.action_space, env.batch.task.action
        assert isinstance(space, gymnasium.spaces.Box)
        assert space.low.tolist() == [component.low for component in components]
        assert space.high.tolist() == [component.high for component in components]
        env.close()


@pytest.mark.parametrize("wrong", [{"num_envs": 0}, {"num_envs": "4"}, {"threads": 0}, {"max_episode_steps": 0}])
def test_numbers_that_make_no_batch_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"{next(iter(wrong))}: wanted"):
        sims.make("mujoco/cart-pole", **wrong)


def test_a_reward_that_is_none_an_option_that_is_none_and_a_window_are_refused() -> None:
    with pytest.raises(UserError, match="wanted 'expert', 'sparse', None or a reward function"):
        sims.make("mujoco/cart-pole", reward=lambda scene, action: 0.0)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="no option of mujoco/cart-pole named 'assets'"):
        sims.make("mujoco/cart-pole", assets="partnet")
    with pytest.raises(UserError, match="render_mode 'human': wanted 'rgb_array' or None"):
        sims.make_single("mujoco/cart-pole", render_mode="human")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_action_that_is_no_number_is_refused_and_changes_nothing(value: float) -> None:
    env = sims.make("mujoco/cart-pole", 2)
    before, _ = env.reset(seed=0)
    with pytest.raises(UserError, match="wanted finite numbers"):
        env.step(np.array([[0.0], [value]]))
    np.testing.assert_array_equal(env.worlds.observe(), before)
    env.close()
