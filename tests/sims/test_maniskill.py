"""A ManiSkill world is upstream's, step for step, and what the scene says of it is so."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest

pytest.importorskip("mani_skill", reason="needs the extra maniskill")

from mani_skill.envs.scene import ManiSkillScene

import sims
from rewards.program import check
from robot_learn.errors import UserError
from sims.env import BatchEnv
from sims.maniskill import building, own_tasks, tables
from sims.maniskill.gpu import GpuWorlds, demand_gpu
from sims.maniskill.sources import Source
from sims.maniskill.spec import PANDA_POSITION, Spec
from sims.maniskill.world import World
from sims.maniskill.worlds import ManiSkillWorlds

SPECS = tables.UPSTREAM
# The wrist turns through Euler angles, whose sines differ in the last digit; contacts then magnify it.
TURNING = {name for name, spec in SPECS.items() if spec.control_mode == "pd_ee_delta_pose"}
SEED = 5


def upstream(spec: Spec) -> Any:
    rewards = "none" if spec.reward is not None else "normalized_dense"
    modes: dict[str, Any] = {"obs_mode": "state", "control_mode": spec.control_mode, "reward_mode": rewards}
    return gymnasium.make(spec.env_id, render_backend="none", **modes, **spec.options)


def state(env: Any) -> np.ndarray:
    """Poses of all actors, joint positions of all robots."""
    actors = [np.concatenate([actor._objs[0].pose.p, actor._objs[0].pose.q]) for actor in env.scene.actors.values()]
    return np.concatenate([*actors, *(robot._objs[0].qpos for robot in env.scene.articulations.values())])


def by_robot(env: Any, action: np.ndarray) -> Any:
    if not isinstance(env.action_space, gymnasium.spaces.Dict):
        return action
    sizes = [space.shape[0] for space in env.action_space.spaces.values() if space.shape]
    return dict(zip(env.action_space.spaces, np.split(action, np.cumsum(sizes)[:-1]), strict=True))


def downwards(spec: Spec, steps: int) -> np.ndarray:
    """Random actions that soon press the hand on what lies below."""
    actions = np.random.default_rng(0).uniform(-1, 1, (steps, len(spec.action))).astype(np.float32)
    actions[:, :2] *= 0.3
    actions[: steps // 2, 2] = -abs(actions[: steps // 2, 2])
    return actions


@pytest.mark.parametrize("name", SPECS)
def test_an_episode_equals_upstream_step_for_step(name: str) -> None:
    spec = SPECS[name]
    world, theirs = World(spec, "procedural"), upstream(spec)
    world.reset(SEED)
    theirs.reset(seed=SEED)
    row, touched = np.zeros(world.columns.width + 1), 0
    for number, action in enumerate(downwards(spec, 36)):
        _, reward, *_, info = theirs.step(by_robot(theirs, action))
        world.step(action)
        if name in TURNING:
            if number < 10:
                np.testing.assert_allclose(state(world.env), state(theirs.unwrapped), rtol=0, atol=1e-4)
            continue
        np.testing.assert_array_equal(state(world.env), state(theirs.unwrapped))
        world.read(row, fresh=False)
        if spec.reward is None:
            assert world.reward(action) == float(reward)
        if spec.success is None:
            assert row[-1] == bool(info["success"])
        touched += len(world.env.scene.px.get_contacts())
    assert touched > 0 or name in TURNING
    world.close()
    theirs.close()


def _move(path: str, place: Callable[[Any], Any], turn: Callable[[Any], Any] | None = None) -> Callable[[Any], None]:
    """Puts the actor `path` of an environment to a place and a turn that depend on the environment."""

    def move(env: Any) -> None:
        import sapien

        entity = getattr(env, path)._objs[0]
        entity.pose = sapien.Pose(place(env), entity.pose.q if turn is None else turn(env))

    return move


def _of(path: str, offset: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Callable[[Any], Any]:
    return lambda env: getattr(env, path)._objs[0].pose.p + np.array(offset, dtype=np.float32)


UPRIGHT = (0.5, 0.5, -0.5, 0.5)  # the peg as it lies at the start, then turned by -90 degrees about y
# How each task is done, by hand: the actors that are put where they belong.
DONE: dict[str, list[Callable[[Any], None]]] = {
    "pick-cube": [_move("cube", _of("goal_site"))],
    "stack-cube": [_move("cubeA", _of("cubeB", (0.01, 0.0, 0.04)))],
    "push-cube": [_move("obj", lambda env: _of("goal_region")(env) * [1, 1, 0] + [0, 0.05, 0.02])],
    "pull-cube": [_move("obj", lambda env: _of("goal_region")(env) * [1, 1, 0] + [0, 0.05, 0.02])],
    "stack-pyramid": [
        _move("cubeA", _of("cubeB", (0.0, 0.042, 0.0)), lambda env: env.cubeB._objs[0].pose.q),
        _move("cubeC", _of("cubeB", (0.0, 0.021, 0.04))),
    ],
    "lift-peg-upright": [_move("peg", lambda _: [0.3, 0.3, 0.12], lambda _: UPRIGHT)],
    "peg-insertion-side": [
        _move("peg", lambda env: env.goal_pose.p[0].numpy(), lambda env: env.goal_pose.q[0].numpy())
    ],
    "plug-charger": [_move("charger", lambda env: env.goal_pose.p[0].numpy(), lambda env: env.goal_pose.q[0].numpy())],
    "poke-cube": [_move("cube", lambda env: _of("goal_region")(env) * [1, 1, 0] + [0, 0.02, 0.02])],
    "pull-cube-tool": [_move("cube", lambda _: [-0.1, 0.2, 0.02])],
    "place-sphere": [_move("obj", _of("bin", (0.0, 0.0, 0.0225)))],
    "roll-ball": [_move("ball", _of("goal_region", (0.0, 0.05, 0.034)))],
    "two-robot-pick-cube": [_move("cube", _of("goal_site"))],
    "two-robot-stack-cube": [
        _move("cubeB", lambda env: _of("goal_region")(env) * [1, 1, 0] + [0, 0, 0.02]),
        _move("cubeA", _of("cubeB", (0.0, 0.01, 0.04))),
    ],
}


@pytest.mark.parametrize("name", SPECS)
def test_success_is_what_upstream_calls_success(name: str) -> None:
    worlds = ManiSkillWorlds(name, SPECS[name], 1)
    worlds.reset([0], [np.random.default_rng(3)])
    group = worlds._groups[0]
    world = group._worlds[0]  # type: ignore[union-attr]

    def success() -> bool:
        world._glance = type(world._glance)(world.env)
        world.read(worlds._board.rows[0], fresh=True)
        worlds._take()
        ours = bool(worlds.success()[0])
        assert ours == bool(world.env.evaluate()["success"][0])
        return ours

    assert not success()
    for put in DONE[name]:
        put(world.env)
    assert success(), "put where it belongs"
    assert np.isfinite(worlds.expert_reward(np.zeros((1, worlds.task.act_dim), dtype=np.float32))).all()
    worlds.close()


@pytest.mark.parametrize("name", SPECS)
def test_the_batched_path_reads_what_the_fast_path_reads(name: str) -> None:
    """The class that simulates on a GPU, over a batch of one on the CPU."""
    one = BatchEnv(GpuWorlds(name, SPECS[name], 1, backend="physx_cpu"), reward="expert")
    other = BatchEnv(ManiSkillWorlds(name, SPECS[name], 1), reward="expert")
    for _ in range(2):  # not only the first episode
        np.testing.assert_allclose(one.reset(seed=3)[0], other.reset(seed=3)[0], rtol=0, atol=1e-6)
    for action in downwards(SPECS[name], 36)[: 5 if name in TURNING else 12]:
        theirs, mine = one.step(action[None]), other.step(action[None])
        np.testing.assert_allclose(theirs[0], mine[0], rtol=1e-4, atol=1e-3 if name in TURNING else 1e-5)
        np.testing.assert_allclose(theirs[1], mine[1], atol=1e-3)
        assert theirs[4]["success"] == mine[4]["success"]
    for told in SPECS[name].entries:
        assert tuple(one.scene[told.field.name].shape) == (1, *told.field.shape)
    snapshot = one.snapshot()
    before = one.worlds.observe()
    one.step(downwards(SPECS[name], 1))
    one.restore(snapshot)
    np.testing.assert_allclose(one.worlds.observe(), before, atol=0.02)  # velocities of links are computed anew
    one.close()
    other.close()


def test_a_reward_program_sees_a_scene_of_tensors_as_it_sees_one_of_arrays() -> None:
    text = """
def reward(scene, action):
    apart = np.linalg.norm(scene.hand.position - scene.cube.position)
    return {"reach": 1.0 - np.tanh(5.0 * apart), "effort": -0.01 * np.sum(np.square(action))}
"""
    program = check(text, sims.task("maniskill/pick-cube")).compile()
    tensors = BatchEnv(GpuWorlds("pick-cube", SPECS["pick-cube"], 1, backend="physx_cpu"), reward=program)
    arrays = BatchEnv(ManiSkillWorlds("pick-cube", SPECS["pick-cube"], 1), reward=program)
    for env in (tensors, arrays):
        env.reset(seed=3)
    for action in downwards(SPECS["pick-cube"], 5):
        theirs, mine = tensors.step(action[None]), arrays.step(action[None])
        assert isinstance(theirs[1], np.ndarray)
        np.testing.assert_allclose(theirs[1], mine[1], atol=1e-5)
        assert theirs[4]["reward_terms"].keys() == {"reach", "effort"}
    tensors.close()
    arrays.close()


def grasp(world: World, steps: int) -> None:
    """Close the hand on the cube."""
    for number in range(steps):
        away = world.env.cube._objs[0].pose.p - world.env.agent.tcp._objs[0].entity.pose.p
        move = np.clip([*(10 * away), 1.0 if number < 15 else -1.0], -1, 1)
        world.step(move.astype(np.float32))


def test_a_cube_is_grasped_when_upstream_says_so() -> None:
    world = World(SPECS["pick-cube"], "procedural")
    world.reset(4)
    told = next(told for told in world.spec.entries if told.field.name == "cube.grasped")
    assert isinstance(told.source, Source)
    assert told.source.bind is not None
    read, seen = told.source.bind(world.env), list[bool]()
    for _ in range(25):
        grasp(world, 1) if len(seen) < 15 else world.step(np.array([0, 0, 0.2, -1], dtype=np.float32))
        agent, cube = world.env.agent, world.env.cube
        assert bool(read()) == bool(type(agent).is_grasping(agent, cube)[0])
        for limits in ({}, {"min_force": 5.0}, {"max_angle": 20}, {"max_angle": 1}):
            upstream = type(agent).is_grasping(agent, cube, **limits)
            ours = agent.is_grasping(cube, **limits)
            assert (ours.shape, ours.dtype, bool(ours)) == (upstream.shape, upstream.dtype, bool(upstream))
        seen.append(bool(read()))
    assert not seen[0]
    assert seen[-1]
    world.close()


def test_the_grasp_check_of_another_robot_is_left_as_it_is() -> None:
    world = World(own_tasks.SPECS["open-cabinet-drawer"], "procedural")
    assert "is_grasping" not in vars(world.env.agent)
    world.close()


def test_scenes_that_resets_replaced_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def scenes() -> int:
        return sum(type(thing) is ManiSkillScene for thing in gc.get_objects())

    monkeypatch.setattr(building, "COLLECT_EVERY", 4)
    world = World(SPECS["pick-cube"], "procedural")
    gc.collect()
    before = scenes()
    for seed in range(12):
        world.reset(seed)
    assert scenes() - before <= 4
    world.close()


def test_a_reset_forgets_what_the_world_did_before() -> None:
    fresh, used = (World(SPECS["pull-cube-tool"], "procedural") for _ in range(2))
    for seed in (8, 9, 10):
        for action in downwards(used.spec, 40):
            used.step(action)
        fresh.close()
        fresh = World(used.spec, "procedural")
        for world in (fresh, used):
            world.reset(seed)
        for action in downwards(fresh.spec, 25):
            fresh.step(action)
            used.step(action)
            np.testing.assert_array_equal(state(fresh.env), state(used.env))
    fresh.close()
    used.close()


@pytest.mark.parametrize("exact", [True, False])
def test_a_restored_grasp_goes_on_as_before(exact: bool) -> None:
    world, other = (World(SPECS["pick-cube"], "procedural") for _ in range(2))
    world.reset(4)
    grasp(world, 20)
    other.reset(77)
    other.restore(world.snapshot(exact=exact))
    for action in downwards(world.spec, 20):
        action[3] = -1
        world.step(action)
        other.step(action)
        if exact:
            np.testing.assert_array_equal(state(other.env), state(world.env))
        cube, same = (one.env.cube._objs[0].pose.p for one in (world, other))
        np.testing.assert_allclose(cube, same, rtol=0, atol=0.02)
    world.close()
    other.close()


def test_a_fast_snapshot_in_free_motion_goes_on_to_a_few_micrometres() -> None:
    world, other = (World(SPECS["pick-cube"], "procedural") for _ in range(2))
    world.reset(4)
    actions = abs(downwards(world.spec, 25)) * 0.3
    for action in actions[:5]:
        world.step(action)
    other.restore(world.snapshot(exact=False))
    for action in actions[5:]:
        world.step(action)
        other.step(action)
        np.testing.assert_allclose(state(other.env), state(world.env), rtol=0, atol=1e-5)
    world.close()
    other.close()


def test_a_turn_of_the_hand_has_the_sign_that_its_action_tells() -> None:
    """Positive turns about x, y or z of the world, as the components say, x -0.1 rad (upstream's sign)."""
    world = World(SPECS["plug-charger"], "procedural")
    for axis in range(3):
        world.reset(1)
        hand = world.env.agent.tcp._objs[0].entity
        before = hand.pose
        action = np.zeros(7, dtype=np.float32)
        action[3 + axis] = 1.0
        for _ in range(4):
            world.step(action)
        turn = (hand.pose * before.inv()).q  # in the world's axes
        assert turn[1 + axis] * np.sign(turn[0]) < -0.05
        assert abs(np.delete(turn[1:], axis)).max() < 0.05
    world.close()


def test_missing_files_are_named_and_nothing_is_asked_or_fetched() -> None:
    spec = Spec("PickSingleYCB-v1", "", "pd_ee_delta_pos", PANDA_POSITION, (), {})
    with pytest.raises(UserError, match="nothing is downloaded unasked"):
        building.make(spec, assets="procedural")


def test_a_gpu_that_is_missing_or_lacks_its_library_is_named(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UserError, match="NVIDIA GPU"):
        demand_gpu()
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UserError, match=r"\.sapien.physx.*linux-so\.zip"):
        demand_gpu()
    assert not any(tmp_path.iterdir())
