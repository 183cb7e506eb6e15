"""The Franka's tasks: what an action does, what the fields say, when a state is a success, that nothing gets lost."""

from __future__ import annotations

from collections.abc import Callable

import mujoco
import numpy as np
import pytest

from robot_learn.franka import FR3
from sims import franka
from sims.env import BatchEnv
from sims.franka import drawer, pick_cube, pour, push, reach, world
from sims.franka.twist import SPEED, TURN_SPEED
from sims.mujoco_task import MujocoTaskWorlds

CONTROLS = {"reach": reach, "push": push, "pick-cube": pick_cube, "pour": pour, "drawer": drawer}


def started(name: str, count: int = 1, seed: int = 0) -> MujocoTaskWorlds:
    worlds = franka.make(name, count, threads=1)
    worlds.reset(range(count), [np.random.default_rng(seed + i) for i in range(count)])
    return worlds


def arrange(worlds: MujocoTaskWorlds, act: Callable[[mujoco.MjModel, mujoco.MjData], None]) -> None:
    """Put every world into a state of our own making."""

    def work(seat: int, index: int) -> None:
        model, data = worlds._engine.models[seat], worlds._engine.datas[seat]
        act(model, data)
        mujoco.mj_forward(model, data)
        worlds.definition.finish(model, data)

    worlds._engine.run(work)


def random_actions(name: str, steps: int, count: int) -> np.ndarray:
    size = len(franka.task(name).action)
    # Held for a while each, so that the arm gets somewhere.
    drawn = np.random.default_rng(0).uniform(-1, 1, (steps // 10 + 1, count, size))
    return np.repeat(drawn, 10, axis=0)[:steps]


@pytest.mark.parametrize("axis", range(3))
def test_an_action_is_the_velocity_of_the_fingertips_and_the_hand_keeps_pointing_down(axis: int) -> None:
    worlds = started("reach")
    action = np.zeros((1, 3))
    action[0, axis] = 0.4
    for _ in range(20):
        worlds.step(action)
    scene = worlds.read()
    np.testing.assert_allclose(scene["robot.tcp_velocity"][0], SPEED * action[0], atol=0.01)
    np.testing.assert_allclose(world.rotate(scene["robot.quaternion"], (0.0, 0.0, 1.0))[0], [0, 0, -1], atol=0.02)


def test_without_an_action_the_fingertips_come_to_rest_and_stay_there() -> None:
    worlds = started("pick-cube")
    nothing = np.zeros((1, 4))
    for _ in range(10):
        worlds.step(nothing)
    before = worlds.read()["robot.tcp_position"]
    for _ in range(50):
        worlds.step(nothing)
    after = worlds.read()
    np.testing.assert_allclose(after["robot.tcp_position"], before, atol=2e-3)
    np.testing.assert_allclose(after["robot.tcp_velocity"], 0.0, atol=2e-3)


def test_the_tip_of_the_cup_turns_as_fast_as_commanded_and_is_told_as_the_angle_of_its_axis() -> None:
    worlds = started("pour")
    tilts = []
    for _ in range(25):
        worlds.step(np.array([[0.0, 0.0, 0.0, -0.4]]))
        tilts.append(worlds.read()["cup.tilt"][0])
    assert (tilts[-1] - tilts[4]) / (20 * world.CONTROL_DT) == pytest.approx(0.4 * TURN_SPEED, rel=0.05)
    up = world.rotate(worlds.view.quaternion("cup"), (0.0, 0.0, 1.0))[0]
    assert np.arctan2(up[1], up[2]) == pytest.approx(tilts[-1], abs=1e-3)
    assert abs(up[0]) < 0.03


@pytest.mark.parametrize("name", CONTROLS)
def test_under_random_actions_the_arm_keeps_its_limits_and_its_box(name: str) -> None:
    count, control = 4, CONTROLS[name].CONTROL
    worlds = started(name, count)
    slack = 0.02  # [m] for braking
    before = np.zeros((count, 7))
    for action in random_actions(name, 150, count):
        worlds.step(action)
        scene, commanded = worlds.read(), worlds.view["ctrl"][:, :7]
        q = scene["robot.joint_positions"]
        assert np.all((q > FR3.lower - 0.01) & (q < FR3.upper + 0.01))
        assert np.all(np.abs(commanded) <= FR3.velocity)
        assert np.all(np.abs(commanded - before) <= FR3.acceleration * world.CONTROL_DT + 1e-9)
        before = commanded
        tcp = scene["robot.tcp_position"]
        assert np.all(tcp > np.array(control.low) - slack)
        assert np.all(tcp < np.array(control.high) + slack)


@pytest.mark.parametrize("name", ["reach", "pour", "drawer"])
def test_the_velocity_of_the_fingertips_is_how_their_position_changes(name: str) -> None:
    worlds = started(name)
    action = np.full((1, len(worlds.task.action)), 0.3)
    for _ in range(8):
        worlds.step(action)
    data, model = worlds._engine.datas[0], worlds._engine.models[0]
    told = worlds.read()["robot.tcp_velocity"][0]
    there = data.site("tcp").xpos.copy()
    dt = 1e-6
    mujoco.mj_integratePos(model, data.qpos, data.qvel, dt)
    mujoco.mj_kinematics(model, data)
    np.testing.assert_allclose((data.site("tcp").xpos - there) / dt, told, atol=1e-5)


def test_reach_succeeds_at_the_goal_and_not_beside_it_nor_in_passing() -> None:
    for offset, speed, wanted in [(0.0, 0.0, True), (0.03, 0.0, False), (0.0, 0.5, False)]:
        worlds = started("reach")
        tcp = worlds.read()["robot.tcp_position"][0]

        def put(model: mujoco.MjModel, data: mujoco.MjData) -> None:
            data.mocap_pos[0] = tcp + np.array([0.0, 0.0, offset])  # noqa: B023  # used before the next round
            data.qvel[0] = speed  # noqa: B023

        arrange(worlds, put)
        assert worlds.success()[0] == wanted


@pytest.mark.parametrize("name", ["push", "pick-cube"])
def test_a_cube_at_rest_at_its_goal_is_a_success_and_a_cube_beside_it_or_in_flight_is_not(name: str) -> None:
    for offset, speed, wanted in [(0.01, 0.0, True), (0.03, 0.0, False), (0.0, 0.2, False)]:
        worlds = started(name)
        goal = worlds.read()["goal.position"][0]

        def put(model: mujoco.MjModel, data: mujoco.MjData) -> None:
            data.qpos[9:12] = goal + np.array([offset, 0.0, 0.0])  # noqa: B023
            data.qvel[9] = speed  # noqa: B023

        arrange(worlds, put)
        assert worlds.success()[0] == wanted


def test_a_cube_at_rest_stays_where_it_was_put() -> None:
    worlds = started("push", 4)
    before = worlds.read()["cube.position"]
    for _ in range(50):
        worlds.step(np.zeros((4, 3)))
    np.testing.assert_allclose(worlds.read()["cube.position"], before, atol=1e-3)


@pytest.mark.parametrize("name", ["push", "pick-cube"])
def test_no_cube_is_pressed_through_the_table(name: str) -> None:
    worlds = started(name, 4)
    for action in random_actions(name, 100, 4):
        cube = worlds.read()["cube.position"]
        below = cube - np.array([0.0, 0.0, 0.05])
        action[:, :3] = np.clip(10 * (below - worlds.read()["robot.tcp_position"]), -1, 1)
        worlds.step(action)
        assert worlds.read()["cube.position"][:, 2].min() > 0.01


def test_the_opening_of_the_drawer_is_the_way_of_its_handle_along_the_pull_direction() -> None:
    worlds = started("drawer", 3)
    shut = worlds.read()

    def pull(model: mujoco.MjModel, data: mujoco.MjData) -> None:
        data.qpos[model.joint("drawer").qposadr[0]] = 0.1

    arrange(worlds, pull)
    pulled = worlds.read()
    way = pulled["drawer.handle_position"] - shut["drawer.handle_position"]
    np.testing.assert_allclose(way, 0.1 * pulled["drawer.pull_direction"], atol=1e-9)
    np.testing.assert_allclose(pulled["drawer.opening"] - shut["drawer.opening"], 0.1)
    assert np.all(pulled["drawer.pull_direction"][:, 0] < -0.97)


def test_each_bead_is_in_the_cup_or_the_bowl_or_on_the_table_once_the_cup_is_poured_out() -> None:
    count = 4
    env = BatchEnv(franka.make("pour", count), autoreset=False)
    observations, _ = env.reset(seed=100)
    script = franka.scripted("pour", count)
    assert np.all(env.scene.cup.filled == 1)
    for _ in range(env.task.max_episode_steps):
        observations, *_ = env.step(script(env.scene, observations))
        total = env.scene.cup.filled + env.scene.bowl.filled + env.scene.table.spilled
        assert np.all(total <= 1 + 1e-9)
    np.testing.assert_allclose(total, 1.0)
    assert np.all(env.scene.bowl.filled >= pour.SHARE)
    env.close()


def test_a_cup_that_is_tipped_away_from_the_bowl_spills_and_that_is_told() -> None:
    worlds = started("pour")
    for step in range(110):
        worlds.step(np.array([[-1.0 if step < 30 else 0.0, -1.0 if step < 30 else 0.0, 0.0, -0.5]]))
    scene = worlds.read()
    assert scene["table.spilled"][0] > 0.5
    assert not worlds.success()[0]
    assert pour._beads(worlds.view)[..., 2].min() > 0.0


@pytest.mark.parametrize("name", CONTROLS)
def test_the_script_does_the_task_from_the_scene_alone(name: str) -> None:
    count = 6
    env = BatchEnv(franka.make(name, count), autoreset=False)
    env.reset(seed=200)
    script, ever = franka.scripted(name, count), np.zeros(count, dtype=bool)
    for _ in range(env.task.max_episode_steps):
        *_, info = env.step(script(env.scene, np.zeros((count, 1))))
        ever |= info["success"]
    assert ever.mean() > 0.8
    env.close()
