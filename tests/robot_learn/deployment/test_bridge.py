"""The policy sees on the arm what it saw in simulation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest

import sims
from robot_learn.deployment.bridge import Bridge, LostError, Track
from robot_learn.deployment.objects import Fixed, Seen, Together, Truth, movable, pose_of
from robot_learn.errors import UserError
from sims.mujoco_task import MujocoTaskWorlds
from tests.robot_learn.deployment.conftest import Stage, quick, stage
from tests.robot_learn.deployment.stand_in import StandIn


def driven(name: str, seed: int, steps: int) -> tuple[MujocoTaskWorlds, mujoco.MjModel, mujoco.MjData]:
    """A world of simulation somewhere in an episode, and a copy of its state."""
    definition = quick(name)
    worlds = MujocoTaskWorlds(definition, 1, threads=1)
    rng = np.random.default_rng(seed)
    worlds.reset([0], [rng])
    for _ in range(steps):
        worlds.step(rng.uniform(-1, 1, (1, definition.task.act_dim)))
    model = worlds._engine.models[0]
    data = mujoco.MjData(model)
    mujoco.mj_setState(model, data, worlds.snapshot(0)[0][0], mujoco.mjtState.mjSTATE_INTEGRATION)
    return worlds, model, data


@pytest.mark.parametrize("name", ["reach", "pick-cube", "push"])
@pytest.mark.parametrize("seed", range(4))
def test_the_belief_is_the_simulators_own_observation(name: str, seed: int) -> None:
    worlds, model, data = driven(name, seed, steps=5 * seed)
    arm = StandIn(model, data)
    arm.dq = data.qvel[:7].copy()
    arm.opening = float(data.qpos[7] + data.qpos[8])
    belief = Bridge(worlds.definition, Truth(model, data)).believe(arm.observe())
    np.testing.assert_allclose(belief.vector, worlds.observe(), atol=1e-6)
    for field, values in worlds.read().items():
        np.testing.assert_allclose(belief.measured[field], values, atol=1e-6, err_msg=field)
        np.testing.assert_allclose(belief.scene[field], values, atol=1e-6, err_msg=field)
    assert belief.success == worlds.success()[0]


def test_a_horizon_moves_arm_and_things_ahead_at_constant_velocity() -> None:
    _, model, data = driven("pick-cube", 1, steps=3)
    arm = StandIn(model, data)
    arm.dq = np.linspace(-0.5, 0.5, 7)
    velocity = np.array([0.1, -0.2, 0.0, 0.0, 0.0, 0.5])
    cube = Seen(pose_of(np.array([0.5, 0.1, 0.02]), np.array([1.0, 0, 0, 0])), age=0.02, velocity=velocity)

    class Cube:
        def poses(self, time: float) -> dict[str, Seen]:
            return {"cube": cube}

    bridge = Bridge(quick("pick-cube"), Together(Truth(model, data), Cube()))
    belief = bridge.believe(arm.observe(), 0.05)
    ahead = belief.scene["robot.joint_positions"][0]
    np.testing.assert_allclose(ahead, arm.observe().q + 0.05 * arm.dq, atol=1e-12)
    np.testing.assert_allclose(belief.measured["robot.joint_positions"][0], arm.observe().q, atol=1e-12)
    # Sources tell where things are at the time that they are asked for: what is 20 ms old is no further behind.
    np.testing.assert_allclose(belief.scene["cube.position"][0], [0.5 + 0.005, 0.1 - 0.01, 0.02], atol=1e-9)
    np.testing.assert_allclose(belief.measured["cube.position"][0], [0.5, 0.1, 0.02], atol=1e-9)
    turned = belief.scene["cube.quaternion"][0]
    np.testing.assert_allclose(2 * np.arctan2(turned[3], turned[0]), 0.05 * 0.5, atol=1e-9)


def test_scenes_remember_the_start_and_the_step_before(reach: Stage) -> None:
    first = reach.crew.bridge.believe(reach.arm.observe())
    reach.arm.dq = np.full(7, 0.1)
    reach.arm.wait(0.04)
    second = reach.crew.bridge.believe(reach.arm.observe())
    reach.arm.wait(0.04)
    third = reach.crew.bridge.believe(reach.arm.observe())
    name = "robot.tcp_position"
    assert [int(np.asarray(each.scene.steps)[0]) for each in (first, second, third)] == [0, 1, 2]
    np.testing.assert_array_equal(third.scene.initial[name], first.scene[name])
    np.testing.assert_array_equal(third.scene.previous[name], second.scene[name])
    assert not np.array_equal(first.scene[name], second.scene[name])
    reach.crew.bridge.begin()
    again = reach.crew.bridge.believe(reach.arm.observe())
    np.testing.assert_array_equal(again.scene.initial[name], again.scene[name])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"age": 0.6}, "last seen 0.60 s ago"),
        ({"confidence": 0.1}, "confidence 0.10"),
        ({"T_base_object": np.full((4, 4), np.nan)}, "nothing tells where 'goal' is"),
    ],
)
def test_what_is_not_seen_well_is_lost(change: dict[str, object], says: str, reach: Stage) -> None:
    class Poor:
        def poses(self, time: float) -> dict[str, Seen]:
            return {"goal": replace(Seen(np.eye(4)), **change)}  # type: ignore[arg-type]

    with pytest.raises(LostError, match=says):
        Bridge(quick("reach"), Poor()).believe(reach.arm.observe())


def test_a_velocity_is_estimated_where_its_source_does_not_tell_it() -> None:
    track, velocity = Track(), np.array([0.2, -0.1, 0.05])
    spin = 0.4
    for step in range(60):
        time = 0.04 * step
        half = spin * time / 2
        pose = pose_of(velocity * time, np.array([np.cos(half), 0, 0, np.sin(half)]))
        seen = track.follow(Seen(pose, age=0.1), time)
    assert seen.velocity is not None
    np.testing.assert_allclose(seen.velocity, [*velocity, 0, 0, spin], atol=1e-3)
    still = track.follow(Seen(pose, age=0.14), time + 0.04)  # the same picture again
    assert still.velocity is not None
    np.testing.assert_allclose(still.velocity, seen.velocity)
    lost = track.follow(Seen(pose), time + 5.0)
    np.testing.assert_array_equal(np.asarray(lost.velocity), np.zeros(6))


def test_the_truth_is_of_the_same_moment_as_the_joints() -> None:
    definition = quick("pick-cube")
    model = definition.model()
    data = mujoco.MjData(model)
    definition.start(model, data, np.random.default_rng(0))
    data.qpos[11], data.qvel[9:12] = 0.5, [0.0, 0.0, -1.0]  # it falls
    mujoco.mj_step(model, data, 5)
    position = Truth(model, data).poses(0.0)["cube"].T_base_object[:3, 3]
    np.testing.assert_array_equal(position, data.qpos[9:12])
    assert not np.allclose(position, data.body("cube").xpos), "bodies lag by a substep: the test shows nothing"


def test_every_thing_that_a_task_places_is_movable() -> None:
    assert set(movable(quick("pick-cube").model())) == {"cube", "goal"}
    assert set(movable(quick("reach").model())) == {"goal"}


def test_a_task_whose_things_move_in_joints_is_refused_rather_than_guessed() -> None:
    with pytest.raises(UserError, match="joint 'drawer"):
        Bridge(quick("drawer"), Together())


def test_fixed_poses_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "poses.json"
    path.write_text('{"goal": {"position": [0.5, 0.1, 0.2]}, "cube": {"position": [0, 0, 1], "quaternion": [0,0,0,1]}}')
    poses = Fixed.read(path).poses(0.0)
    np.testing.assert_allclose(
        poses["goal"].T_base_object, pose_of(np.array([0.5, 0.1, 0.2]), np.array([1.0, 0, 0, 0]))
    )
    np.testing.assert_allclose(poses["cube"].T_base_object[:3, :3], np.diag([-1, -1, 1]), atol=1e-12)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "cannot be read"),
        ("[]", "wanted an object"),
        ('{"goal": {"place": [0, 0, 0]}}', "'goal': wanted 'position'"),
        ('{"goal": {"position": [0, 0]}}', "wanted 3 numbers"),
        ('{"goal": {"position": [0, 0, 0], "quaternion": [1, 1, 0, 0]}}', "of length 1"),
        ('{"goal": {"position": ["a", 0, 0]}}', "'goal'"),
    ],
)
def test_a_wrong_file_of_poses_is_named(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "poses.json"
    path.write_text(text)
    with pytest.raises(UserError, match=says):
        Fixed.read(path)


def test_a_script_gets_as_far_by_belief_as_by_simulation() -> None:
    """The bridge is in the loop: what the script does is what it would do in simulation, to the last digit."""
    here = stage("reach", seed=3)
    script = sims.scripted("franka/reach")
    worlds = MujocoTaskWorlds(quick("reach"), 1, threads=1)
    worlds.reset([0], [np.random.default_rng(3)])
    belief = here.crew.bridge.believe(here.arm.observe())
    np.testing.assert_allclose(belief.vector, worlds.observe(), atol=1e-9)
    from robot_learn.scene import Scene

    simulated = Scene(worlds.task.schema, worlds.read(), steps=np.array([0]))
    np.testing.assert_allclose(script(belief.scene, belief.vector), script(simulated, worlds.observe()), atol=1e-6)
