"""Our own ManiSkill tasks: scenes that tell the truth, success that can be reached, no Vulkan, no history."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

pytest.importorskip("mani_skill", reason="needs the extra maniskill")

import sims
from robot_learn.errors import UserError
from robot_learn.scene import Scene
from sims.env import BatchEnv
from sims.maniskill import own_tasks, scripted

TASKS = tuple(own_tasks.SPECS)
WORLDS = 4


@dataclass(frozen=True)
class Moment:
    """What a step showed, and what ManiSkill's `evaluate` says of success."""

    scene: Scene
    success: np.ndarray  # (N,) bool
    reward: np.ndarray  # (N,)
    own: list[bool]


def play(env: BatchEnv, name: str, seed: int, noise: float = 0.0, steps: int | None = None) -> list[Moment]:
    """An episode under the scripted controller, up to the step before its end; the first moment is the reset."""
    controller, rng = scripted(name, env.num_envs), np.random.default_rng(seed)
    observations, _ = env.reset(seed=seed)
    worlds = env.worlds._groups[0]._worlds  # type: ignore[attr-defined]
    moments = [Moment(env.scene, env.worlds.success(), np.zeros(env.num_envs), [False] * env.num_envs)]
    for _ in range(steps or env.task.max_episode_steps - 1):
        action = controller(env.scene, observations)
        action = np.clip(action + rng.normal(0.0, noise, action.shape), -1, 1).astype(np.float32)
        observations, reward, _, _, info = env.step(action)
        own = [bool(world.env.evaluate()["success"][0]) for world in worlds]
        moments.append(Moment(env.scene, info["success"], reward, own))
    return moments


@pytest.fixture(scope="module", params=TASKS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def env(name: str) -> Iterator[BatchEnv]:
    env = sims.make(f"maniskill/{name}", WORLDS, reward="expert", threads=1)
    yield env
    env.close()


@pytest.fixture(scope="module")
def episode(env: BatchEnv, name: str) -> list[Moment]:
    return play(env, name, seed=40)


def test_the_scripted_controller_succeeds_in_three_of_four_worlds_and_none_starts_in_success(
    episode: list[Moment],
) -> None:
    successes = np.array([moment.success for moment in episode])
    assert not successes[0].any()
    assert successes.any(axis=0).sum() >= 3


def test_success_of_the_scene_is_the_environments_own(episode: list[Moment]) -> None:
    for moment in episode:
        assert moment.success.tolist() == moment.own


def test_the_expert_reward_is_one_at_success_alone_and_low_at_the_start(episode: list[Moment]) -> None:
    gained, won = (np.array([getattr(moment, what) for moment in episode]) for what in ("reward", "success"))
    np.testing.assert_allclose(gained[won], 1.0, atol=1e-6)
    assert (gained[~won] < 1.0).all()
    assert (gained[:2] < 0.5).all()


def test_a_world_that_has_been_used_is_as_good_as_new(env: BatchEnv, name: str) -> None:
    fresh = sims.make(f"maniskill/{name}", WORLDS, threads=1)
    used, new = (play(batch, name, seed=41, noise=0.1, steps=45) for batch in (env, fresh))
    fresh.close()
    for one, other in zip(used, new, strict=True):
        for field in env.task.schema.names:
            np.testing.assert_array_equal(one.scene[field], other.scene[field], err_msg=field)


def test_velocities_are_the_rates_of_positions(episode: list[Moment], env: BatchEnv, name: str) -> None:
    pairs = {
        "lift-cube": [("cube_a.position", "cube_a.velocity")],
        "turn-faucet": [("handle.angle", "handle.angular_speed")],
        "open-cabinet-drawer": [("robot.base_position", "robot.base_velocity"), ("handle.position", "drawer.velocity")],
        "open-cabinet-door": [("robot.base_position", "robot.base_velocity")],
        "push-chair": [("robot.base_position", "robot.base_velocity"), ("robot.base_heading", "robot.base_turn_rate")],
    }[name]
    for place, rate in pairs:
        moved = np.diff(np.array([moment.scene[place] for moment in episode]), axis=0) / env.task.control_dt
        told = np.array([moment.scene[rate] for moment in episode])[1:]
        assert np.abs(moved).max() > 0.05
        # A rate is that of the last of five substeps.
        assert np.corrcoef(moved.reshape(-1), told.reshape(-1))[0, 1] > 0.9


def test_handles_move_as_their_joints_say(episode: list[Moment], name: str) -> None:
    checks = {"turn-faucet": _turns, "open-cabinet-door": _swings, "open-cabinet-drawer": _slides}
    for moment in episode[::20]:
        if name in checks:
            checks[name](moment.scene)


def _turns(scene: Scene) -> None:
    """Counter-clockwise about the axis."""
    arms, now = (s.handle.position - s.handle.pivot_position for s in (scene.initial, scene))
    for arm, axis, angle, moved in zip(arms, scene.handle.axis, scene.handle.angle, now, strict=True):
        np.testing.assert_allclose(moved, Rotation.from_rotvec(angle * axis).apply(arm), atol=2e-4)


def _swings(scene: Scene) -> None:
    """About the hinge, towards -x."""
    start, now = (s.handle.position - s.door.hinge_position for s in (scene.initial, scene))
    cosine = (start * now)[:, :2].sum(-1) / np.linalg.norm(start[:, :2], axis=1) ** 2
    np.testing.assert_allclose(np.arccos(np.clip(cosine, -1, 1)), scene.door.angle, atol=3e-3)
    assert (now[:, 0] <= start[:, 0] + 1e-3).all()


def _slides(scene: Scene) -> None:
    """To -x."""
    moved = scene.handle.position - scene.initial.handle.position
    np.testing.assert_allclose(moved[:, 0], -scene.drawer.opening, atol=1e-4)
    np.testing.assert_allclose(moved[:, 1:], 0.0, atol=1e-4)


def test_doing_nothing_and_doing_anything_do_not_succeed(env: BatchEnv) -> None:
    rng = np.random.default_rng(0)
    for scale in (0.0, 1.0):
        env.reset(seed=60)
        for _ in range(env.task.max_episode_steps - 1):
            actions = scale * rng.uniform(-1, 1, env.action_space.shape)
            _, _, _, _, info = env.step(actions.astype(np.float32))
            assert not info["success"].any()
        assert all(np.isfinite(env.scene[field]).all() for field in env.task.schema.names)


@pytest.mark.parametrize("name", TASKS[1:])
def test_absent_partnet_models_are_an_error_that_says_how_to_get_them(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mani_skill.ASSET_DIR", tmp_path)
    with pytest.raises(UserError, match=r"mani_skill\.utils\.download_asset partnet_mobility_"):
        make_partnet(name)


def make_partnet(name: str) -> Any:
    from sims.maniskill import make

    return make(name, 1, threads=1, assets="partnet")
