"""The guard's kinematics against the simulated arm's, finite differences and bounds by brute force."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hardware.kinematics import LEVER, POINTS, TIP, Kinematics, bending, forward, joint_velocities, levers, turn
from robot_learn.franka import ARMS, FINGER_HEIGHT, FLANGE_HEIGHT, FR3, HOME
from sims.franka.arm import build


def postures(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(FR3.lower, FR3.upper, (count, 7))


@pytest.mark.parametrize("arm", ARMS)
def test_points_and_jacobians_are_those_of_the_simulated_arm(arm: str) -> None:
    model = build(arm, visuals=False).compile()
    data, kinematics = mujoco.MjData(model), Kinematics()
    tip, turns = np.zeros((3, model.nv)), np.zeros((3, model.nv))
    for q in postures(20):
        data.qpos[:7] = q
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        kinematics.place(q)
        hand = data.body("hand")
        fingers = hand.xpos + FINGER_HEIGHT * hand.xmat.reshape(3, 3)[:, 2]
        same = {
            "elbow": data.body("link4").xpos,
            "wrist": data.body("link6").xpos,
            "flange": data.site("flange").xpos,
            "hand": fingers,
            "fingertip": data.site("tcp").xpos,
        }
        np.testing.assert_allclose(kinematics.points, [same[name] for name in POINTS], atol=1e-9)
        T = kinematics.T_base_ee()
        np.testing.assert_allclose(T[:3, :3], data.site("tcp").xmat.reshape(3, 3), atol=1e-9)
        np.testing.assert_allclose(T[:3, 3], data.site("tcp").xpos, atol=1e-9)
        mujoco.mj_jacSite(model, data, tip, turns, data.site("tcp").id)
        np.testing.assert_allclose(kinematics.jacobian(), np.concatenate([tip, turns])[:, :7], atol=1e-9)


def test_at_home_the_flange_is_at_its_published_place() -> None:
    T = forward(np.array(HOME))
    np.testing.assert_allclose(T[:3, 3] - [0, 0, FLANGE_HEIGHT - 0.2104], [0.3069, 0.0, 0.5903], atol=5e-5)


def test_point_jacobians_are_the_slopes_of_the_points() -> None:
    kinematics = Kinematics()
    for q in postures(10):
        kinematics.place(q)
        J = kinematics.point_jacobians().copy()
        for joint in range(7):
            step = 1e-6 * np.eye(7)[joint]
            kinematics.place(q + step)
            after = kinematics.points.ravel().copy()
            kinematics.place(q - step)
            np.testing.assert_allclose(J[:, joint], (after - kinematics.points.ravel()) / 2e-6, atol=1e-7)


def test_no_point_is_ever_further_from_a_joints_axis_than_its_lever() -> None:
    kinematics, furthest = Kinematics(), np.zeros(7)
    for q in np.random.default_rng(1).uniform(-np.pi, np.pi, (4000, 7)):
        kinematics.place(q)
        sizes = np.linalg.norm(kinematics.point_jacobians().reshape(len(POINTS), 3, 7), axis=1)
        furthest = np.maximum(furthest, sizes.max(axis=0))
    assert (furthest <= levers() + 1e-9).all()
    assert (furthest[[0, 3, 5]] > 0.85 * levers()[[0, 3, 5]]).all()  # and the bound is not idle


@pytest.mark.parametrize("size", [0.02, 0.2, 0.6])
def test_over_a_straight_step_of_the_joints_no_point_leaves_its_chord_further_than_the_bound(size: float) -> None:
    kinematics, rng, M = Kinematics(), np.random.default_rng(2), bending()
    for q in postures(40, seed=3):
        step = size * rng.uniform(-1, 1, 7)
        bound = np.abs(step) @ M @ np.abs(step) / 8
        shares = np.linspace(0, 1, 21)
        paths = []
        for share in shares:
            kinematics.place(q + share * step)
            paths.append(kinematics.points.copy())
        path = np.array(paths)
        chord = path[0] + shares[:, None, None] * (path[-1] - path[0])
        assert np.linalg.norm(path - chord, axis=2).max() <= bound + 1e-12


def test_a_points_velocity_turns_no_faster_than_the_bound() -> None:
    kinematics, rng, M = Kinematics(), np.random.default_rng(4), bending()
    for q in postures(40, seed=5):
        v = rng.normal(size=7)
        kinematics.place(q + 1e-5 * v)
        after = kinematics.point_jacobians() @ v
        kinematics.place(q - 1e-5 * v)
        turning = (after - kinematics.point_jacobians() @ v).reshape(-1, 3) / 2e-5
        assert np.linalg.norm(turning, axis=1).max() <= np.abs(v) @ M @ np.abs(v) + 1e-6


def test_joint_velocities_give_the_twist_that_was_asked_for() -> None:
    kinematics = Kinematics()
    kinematics.place(np.array(HOME))
    J, twist = kinematics.jacobian(), np.array([0.1, -0.05, 0.02, 0.1, 0.0, -0.2])
    fast = np.full(7, 10.0)
    rates = joint_velocities(J, twist, np.zeros(7), -fast, fast)
    np.testing.assert_allclose(J @ rates, twist, atol=2e-3)


def test_a_saturated_joint_keeps_its_bound_and_the_others_take_over() -> None:
    kinematics = Kinematics()
    kinematics.place(np.array(HOME))
    J, twist = kinematics.jacobian(), np.array([0.0, 0.2, 0.0, 0.0, 0.0, 0.0])
    fast = np.full(7, 10.0)
    free = joint_velocities(J, twist, np.zeros(7), -fast, fast)
    slow = fast.copy()
    slow[0] = 0.5 * abs(free[0])
    rates = joint_velocities(J, twist, np.zeros(7), -slow, slow)
    assert (np.abs(rates) <= slow + 1e-12).all()
    clipped = np.clip(free, -slow, slow)
    assert np.linalg.norm((J @ rates - twist)[:3]) < 0.5 * np.linalg.norm((J @ clipped - twist)[:3])


def test_turn_is_the_rotation_vector_that_scipy_gives() -> None:
    rotations = Rotation.random(50, random_state=0)
    for first, second in zip(rotations[:25], rotations[25:], strict=True):
        vector = turn(first.as_matrix(), second.as_matrix())
        np.testing.assert_allclose(vector, (second * first.inv()).as_rotvec(), atol=1e-9)
    np.testing.assert_array_equal(turn(np.eye(3), np.eye(3)), 0.0)


def test_wrong_turns_count_by_the_lever() -> None:
    kinematics = Kinematics()
    kinematics.place(np.array(HOME))
    assert POINTS[TIP] == "fingertip"
    # Without joint 7 the hand cannot both stay and turn: least squares splits what is wrong by the lever.
    J, twist = kinematics.jacobian()[:, :1], np.array([0, 0, 0, 0, 0, 1.0])
    padded = np.zeros((6, 7))
    padded[:, :1] = J
    fast = np.full(7, 10.0)
    rate = joint_velocities(padded, twist, np.zeros(7), -fast, fast)[0]
    scale = np.array([1, 1, 1, LEVER, LEVER, LEVER])
    column, wanted = scale * J[:, 0], scale * twist
    assert rate == pytest.approx(column @ wanted / (column @ column + 0.02**2), rel=1e-6)
