"""A field means what its line says: joints move with the points that they move, and the way that success needs."""

from __future__ import annotations

from functools import cache
from itertools import product

import mujoco
import numpy as np
import pytest

import sims
from sims import gym
from tests.sims import oracle

X, Y, Z = 0, 1, 2
# task, joint field, point field, axis that the point slides along and its direction as the field grows, way to success
SLIDES = [
    ("drawer-open", "drawer.opening", "drawer.handle_position", Y, -1, "grows"),
    ("drawer-close", "drawer.opening", "drawer.handle_position", Y, -1, "shrinks"),
    ("window-open", "window.opening", "window.handle_position", X, 1, "grows"),
    ("window-close", "window.opening", "window.handle_position", X, 1, "shrinks"),
    ("button-press", "button.travel", "button.position", Y, 1, "grows"),
    ("button-press-wall", "button.travel", "button.position", Y, 1, "grows"),
    ("button-press-topdown", "button.travel", "button.position", Z, -1, "grows"),
    ("button-press-topdown-wall", "button.travel", "button.position", Z, -1, "grows"),
    ("coffee-button", "button.travel", "button.position", Y, 1, "grows"),
    ("handle-press", "handle.travel", "handle.position", Z, 1, "shrinks"),
    ("handle-press-side", "handle.travel", "handle.position", Z, 1, "shrinks"),
    ("handle-pull", "handle.travel", "handle.position", Z, 1, "grows"),
    ("handle-pull-side", "handle.travel", "handle.position", Z, 1, "grows"),
    ("hammer", "nail.depth", "nail.head_position", Y, 1, "grows"),
]
# task, joint field, point field, what success does
TURNS = [
    ("door-open", "door.angle", "door.handle_position", "grows"),
    ("door-close", "door.angle", "door.handle_position", "shrinks"),
    ("door-unlock", "lock.angle", "lock.position", "shrinks"),
    ("door-lock", "lock.angle", "lock.position", "grows"),
    ("faucet-open", "faucet.angle", "faucet.handle_position", "grows"),
    ("faucet-close", "faucet.angle", "faucet.handle_position", "shrinks"),
    ("dial-turn", "dial.angle", "dial.pointer_position", "shrinks"),
    ("lever-pull", "lever.angle", "lever.end_position", "grows"),
]


@cache
def solved(name: str) -> dict[str, np.ndarray]:
    """Every field (steps + 1, 2, ...) of two episodes by the scripted policy, each row frozen once it has succeeded."""
    env = sims.make(f"metaworld/{name}", 2)
    observations, _ = env.reset(seed=1)
    policy, done = oracle.Scripted(name), np.zeros(2, dtype=bool)
    rows = [{field: env.scene[field].copy() for field in env.task.schema.names}]
    for _ in range(env.task.max_episode_steps - 1):
        observations, *_, info = env.step(policy(observations))
        # Later rows would show what the arm does to the object after success, e.g. letting go of it.
        row = {field: env.scene[field].copy() for field in env.task.schema.names}
        for field, value in row.items():
            value[done] = rows[-1][field][done]
        rows.append(row)
        done |= info["success"]
    env.close()
    assert done.all(), f"{name}: the scripted policy reached success in {done.sum()} of 2 worlds"
    return {field: np.stack([row[field] for row in rows]) for field in rows[0]}


def goes(values: np.ndarray, way: str) -> bool:
    change = values[-1] - values[0]
    return bool((change > 0.005).all() if way == "grows" else (change < -0.005).all())


@pytest.mark.parametrize(("name", "joint", "point", "axis", "sign", "way"), SLIDES)
def test_a_slide_reads_how_far_its_point_has_moved(
    name: str, joint: str, point: str, axis: int, sign: int, way: str
) -> None:
    fields = solved(name)
    moved = fields[point] - fields[point][0]
    along = sign * (fields[joint] - fields[joint][0])
    np.testing.assert_allclose(moved[..., axis], along, atol=1e-3)
    across = np.delete(moved, axis, axis=-1)
    np.testing.assert_allclose(across, 0, atol=1e-3)
    assert goes(fields[joint], way)


@pytest.mark.parametrize(("name", "joint", "point", "way"), TURNS)
def test_an_angle_is_the_turn_of_its_point_about_a_fixed_axis(name: str, joint: str, point: str, way: str) -> None:
    fields = solved(name)
    turned = fields[joint] - fields[joint][0]
    chord = np.linalg.norm(fields[point] - fields[point][0], axis=-1)
    clear = np.abs(turned) > 0.3
    radius = chord[clear] / (2 * np.abs(np.sin(turned[clear] / 2)))
    np.testing.assert_allclose(radius, radius.mean(), rtol=0.01)
    assert 0.04 < radius.mean() < 0.6
    assert goes(fields[joint], way)


@pytest.mark.parametrize(
    ("name", "joint", "point", "axis_point"),
    [
        ("faucet-open", "faucet.angle", "faucet.handle_position", "faucet.base_position"),
        ("faucet-close", "faucet.angle", "faucet.handle_position", "faucet.base_position"),
        ("dial-turn", "dial.angle", "dial.pointer_position", "dial.position"),
    ],
)
def test_faucets_and_dials_count_counter_clockwise_from_above(
    name: str, joint: str, point: str, axis_point: str
) -> None:
    fields = solved(name)
    arm = (fields[point] - fields[axis_point])[..., :2]
    bearing = np.unwrap(np.arctan2(arm[..., 1], arm[..., 0]), axis=0)
    np.testing.assert_allclose(bearing - bearing[0], fields[joint] - fields[joint][0], atol=0.01)


@pytest.mark.parametrize("name", ["door-lock", "door-unlock"])
def test_a_lock_at_zero_points_along_x_and_at_a_right_angle_down(name: str) -> None:
    fields = solved(name)
    angle, end = fields["lock.angle"], fields["lock.position"]
    level, hanging = np.abs(angle).argmin(axis=0), np.abs(angle - np.pi / 2).argmin(axis=0)
    worlds = np.arange(2)
    towards_level = end[level, worlds] - end[hanging, worlds]
    assert (towards_level[:, X] > 0.03).all()
    assert (towards_level[:, Z] > 0.03).all()


@pytest.mark.parametrize("name", ["sweep-into", "push", "plate-slide", "coffee-push", "peg-insert-side", "drawer-open"])
def test_success_brings_the_object_to_the_goal(name: str) -> None:
    point = {"sweep-into": "block.position", "push": "puck.position", "plate-slide": "plate.position"}
    point |= {"coffee-push": "mug.position", "peg-insert-side": "peg.head_position"}
    fields = solved(name)
    apart = fields[point.get(name, "drawer.handle_position")] - fields["goal.position"]
    # A block in a hole lies deeper than the goal; a drawer's goal is told at the height of the handle.
    distance = np.linalg.norm(apart[..., :2], axis=-1)
    assert (distance[0] > 0.07).all()
    assert (distance[-1] <= 0.07).all()


@pytest.mark.parametrize("axis", [X, Y, Z])
def test_the_hand_follows_its_action_along_each_axis(axis: int) -> None:
    env = sims.make("metaworld/reach", 2)
    env.reset(seed=0)
    actions = np.zeros((2, 4))
    actions[:, axis] = 0.5, -0.5
    for _ in range(10):
        env.step(actions)
    moved = env.scene.robot.hand_position - env.scene.initial.robot.hand_position
    np.testing.assert_allclose(moved[:, axis], [0.05, -0.05], atol=0.02)
    assert np.abs(np.delete(moved, axis, axis=1)).max() < 0.02
    env.close()


def test_the_gripper_opens_and_closes_between_its_fingers() -> None:
    env = sims.make("metaworld/reach", 2)
    env.reset(seed=0)
    for _ in range(30):
        env.step(np.array([[0.0, 0.0, 0.0, -1.0], [0.0, 0.0, 0.0, 1.0]]))
    robot = env.scene.robot
    opened, closed = robot.gripper_opening
    assert opened == pytest.approx(0.1, abs=0.01)
    assert closed < 0.06
    assert (robot.left_finger_position[:, Y] > robot.right_finger_position[:, Y]).all()
    between = (robot.left_finger_position + robot.right_finger_position) / 2
    np.testing.assert_allclose((robot.hand_position - robot.fingertip_position)[:, Z], 0.045, atol=0.01)
    np.testing.assert_allclose(between[:, :2], robot.hand_position[:, :2], atol=0.02)
    env.close()


def test_each_torque_of_the_ant_turns_the_joint_that_its_name_tells() -> None:
    env = sims.make("mujoco/ant", 8)
    legs = ("front left", "back left", "back right", "front right")  # as the schema lists them
    assert ", ".join(legs) in env.task.schema["legs.hip_angles"].meaning
    env.reset(seed=0)
    before = np.concatenate([env.scene.legs.hip_velocities, env.scene.legs.ankle_velocities], axis=1)
    env.step(np.eye(8))
    change = np.concatenate([env.scene.legs.hip_velocities, env.scene.legs.ankle_velocities], axis=1) - before
    still = sims.make("mujoco/ant", 8)
    still.reset(seed=0)
    still.step(np.zeros((8, 8)))
    change -= np.concatenate([still.scene.legs.hip_velocities, still.scene.legs.ankle_velocities], axis=1) - before
    joints = [f"{leg} {joint}" for joint in ("hip", "ankle") for leg in legs]
    strongest = [joints[index].replace(" ", "_") + "_torque" for index in np.abs(change).argmax(axis=1)]
    assert strongest == [component.name for component in env.task.action]
    env.close()
    still.close()


@pytest.mark.parametrize("name", ["half-cheetah", "walker"])
def test_each_torque_of_a_body_in_a_plane_turns_the_joint_that_its_name_tells(name: str) -> None:
    env, still = sims.make(f"mujoco/{name}", 6), sims.make(f"mujoco/{name}", 6)
    rates = [field.name for field in env.task.schema if field.name.endswith("_velocity") and "torso" not in field.name]
    changes = []
    for one, actions in ((env, -0.3 * np.eye(6)), (still, np.zeros((6, 6)))):
        one.reset(seed=[0] * 6)
        one.step(actions)
        changes.append(np.stack([one.scene[rate] for rate in rates], axis=1))
        one.close()
    moved = np.abs(changes[0] - changes[1]).argmax(axis=1)
    found = [rates[index].replace("_leg.", "_").replace("_velocity", "_torque") for index in moved]
    assert found == [component.name for component in env.task.action]


# task, legs with the geoms of their feet, joints in the order of the coordinates, which turn swings a leg back
IN_A_PLANE = [
    ("half-cheetah", {"back_leg": "bfoot", "front_leg": "ffoot"}, ("thigh", "shin", "foot"), 1.0),
    ("walker", {"right_leg": "foot_geom", "left_leg": "foot_left_geom"}, ("hip", "knee", "ankle"), -1.0),
]


@pytest.mark.parametrize(("name", "legs", "joints", "back"), IN_A_PLANE)
def test_legs_in_a_plane_swing_as_their_angles_say_and_their_feet_are_where_they_are_told(
    name: str, legs: dict[str, str], joints: tuple[str, ...], back: float
) -> None:
    worlds = gym.make(name, 1, threads=1)
    worlds.reset([0], [np.random.default_rng(0)])
    for coordinate, (leg, joint) in enumerate(product(legs, joints), start=3):
        before = worlds.read()

        def turn(model: mujoco.MjModel, data: mujoco.MjData, at: int = coordinate) -> None:
            data.qpos[at] += 0.1 * back

        worlds.place(0, turn)
        change = {field: value[0] - before[field][0] for field, value in worlds.read().items()}
        assert change[f"{leg}.{joint}_angle"] == pytest.approx(0.1 * back)
        assert change[f"{leg}.foot_ahead"] < 0 or joint == "ankle"  # about which the heel turns
        (other,) = legs.keys() - {leg}
        assert change[f"{other}.foot_height"] == 0
    with worlds._engine.visit(0) as (model, data):
        for leg, geom in legs.items():
            shape, (radius, half, _) = data.geom(geom), model.geom(geom).size
            lowest = shape.xpos[Z] - abs(shape.xmat.reshape(3, 3)[Z, Z]) * half - radius
            assert worlds.read()[f"{leg}.foot_height"][0] == pytest.approx(lowest)
    worlds.close()


@pytest.mark.parametrize("name", ["half-cheetah", "walker", "walker-hop", "ant-jump", "humanoid"])
def test_a_foot_is_in_contact_where_it_is_as_low_as_the_field_says(name: str) -> None:
    env, rng = sims.make(f"mujoco/{name}", 4), np.random.default_rng(0)
    env.reset(seed=0)
    seen: list[tuple[np.ndarray, np.ndarray]] = []
    contacts = [field.name for field in env.task.schema if "contact" in field.name]
    assert contacts
    assert all("0.02 m" in env.task.schema[contact].meaning for contact in contacts)
    for _ in range(30):
        env.step(rng.uniform(-1, 1, (4, env.task.act_dim)))
        seen += [(env.scene[one], env.scene[one.replace("contact", "height")]) for one in contacts]
    contact, height = (np.stack(one) for one in zip(*seen, strict=True))
    np.testing.assert_array_equal(contact, height <= 0.02)
    assert 0.0 < contact.mean() < 1.0
    env.close()


@pytest.mark.parametrize("name", ["hopper", "walker", "half-cheetah"])
def test_positive_pitch_leans_forward(name: str) -> None:
    env = sims.make(f"mujoco/{name}", 1)
    env.reset(seed=0)
    oracle.move(env, 0, 2, 0.3 if name == "half-cheetah" else 0.1)
    env.step(np.zeros((1, env.task.act_dim)))
    assert env.scene.torso.pitch[0] > 0.05
    with env.worlds._engine.visit(0) as (_, data):  # type: ignore[attr-defined]
        up = data.body("torso").xmat.reshape(3, 3)[:, Z]
    assert up[X] > 0.05, "the torso's axis points forward and up"
    env.close()


def test_each_torque_of_the_humanoid_turns_the_joint_that_its_name_tells() -> None:
    moved = []
    for actions in (0.1 * np.eye(17), np.zeros((17, 17))):
        env = sims.make("mujoco/humanoid", 17)
        env.reset(seed=[0] * 17)
        env.step(actions)
        fields = [field.name for field in env.task.schema if "torso" not in field.name and "velocit" in field.name]
        moved.append(np.concatenate([env.scene[field].reshape(17, -1) for field in fields], axis=1))
        env.close()
    arm = ("shoulder_1", "shoulder_2", "elbow")
    names = [
        f"{limb.removesuffix('_leg')}_{rate.removesuffix('_velocity')}"
        for limb, rate in (field.split(".") for field in fields if "_arm" not in field)
    ]
    names += [f"{side}_{joint}" for side in ("right", "left") for joint in arm]
    change = moved[0] - moved[1]
    strongest = change.argmax(axis=1)  # forward: a positive torque makes the angle grow
    assert [f"{names[index]}_torque" for index in strongest] == [component.name for component in env.task.action]


def humanoid(**angles: float) -> dict[str, np.ndarray]:
    """Where feet, hands and elbows are, (3,) [m] from the torso, with some of MuJoCo's joints turned."""
    worlds = gym.make("humanoid", 1, threads=1)
    worlds.reset([0], [np.random.default_rng(0)])
    with worlds._engine.visit(0) as (model, data):
        data.qpos[:] = model.qpos0
        for joint, angle in angles.items():
            data.qpos[model.joint(joint).qposadr[0]] = angle
        mujoco.mj_kinematics(model, data)
        places = {name: data.geom(name).xpos - data.body("torso").xpos for name in ("right_foot", "left_foot")}
        places |= {f"{side}_hand": data.geom(f"{side}_hand").xpos.copy() for side in ("right", "left")}
        places |= {f"{side}_elbow": data.body(f"{side}_lower_arm").xpos.copy() for side in ("right", "left")}
    worlds.close()
    return places


# MuJoCo's joint and a turn to one end of its range, and what moves which way: (point, axis, sign)
ENDS = [
    ("abdomen_y", -1.0, [("right_foot", X, 1), ("left_foot", X, 1)]),  # bent forward, seen from the trunk
    ("abdomen_x", 0.5, [("right_foot", Y, 1), ("left_foot", Y, 1)]),  # the trunk to the right of the feet
    ("abdomen_z", 0.78, [("right_foot", X, 1), ("left_foot", X, -1)]),  # hips to the left
    *((f"{side}_hip_y", -1.0, [(f"{side}_foot", X, 1), (f"{side}_foot", Z, 1)]) for side in ("right", "left")),
    *((f"{side}_knee", -1.5, [(f"{side}_foot", X, -1), (f"{side}_foot", Z, 1)]) for side in ("right", "left")),
    ("right_hip_x", -0.4, [("right_foot", Y, -1)]),
    ("left_hip_x", -0.4, [("left_foot", Y, 1)]),
    ("right_shoulder1", -1.4, [("right_elbow", Z, 1)]),
    ("right_shoulder1", 1.0, [("right_elbow", Y, 1)]),
    ("left_shoulder1", 1.4, [("left_elbow", Z, 1)]),
    ("left_shoulder1", -1.0, [("left_elbow", Y, -1)]),
    ("right_shoulder2", -1.4, [("right_elbow", X, -1)]),
    ("right_shoulder2", 1.0, [("right_elbow", Z, 1), ("right_elbow", X, 1)]),
    ("left_shoulder2", 1.4, [("left_elbow", X, -1)]),
    ("left_shoulder2", -1.0, [("left_elbow", Z, 1), ("left_elbow", X, 1)]),
]


@pytest.mark.parametrize(("joint", "angle", "moves"), ENDS, ids=[f"{joint}={angle}" for joint, angle, _ in ENDS])
def test_a_humanoids_limbs_go_where_the_ends_of_their_ranges_are_said_to_be(
    joint: str, angle: float, moves: list[tuple[str, int, int]]
) -> None:
    start, end = humanoid(), humanoid(**{joint: angle})
    for point, axis, sign in moves:
        assert sign * (end[point] - start[point])[axis] > 0.05


def test_a_humanoids_leg_that_turns_outward_brings_its_folded_shin_inward() -> None:
    for side, inward in (("right", 1), ("left", -1)):
        folded = {f"{side}_knee": -1.5}
        moved = humanoid(**folded, **{f"{side}_hip_z": -0.8})[f"{side}_foot"] - humanoid(**folded)[f"{side}_foot"]
        assert inward * moved[Y] > 0.1


def test_a_humanoid_straightens_its_elbow_at_one_end_and_folds_it_at_the_other() -> None:
    for side in ("right", "left"):
        reach = []
        for angle in (-1.57, 0.0, 0.87):
            places = humanoid(**{f"{side}_elbow": angle})
            shoulder = np.array([0.0, -0.17 if side == "right" else 0.17, 1.46])
            reach.append(np.linalg.norm(places[f"{side}_hand"] - shoulder))
        assert reach == sorted(reach, reverse=True)
        assert reach[0] > 0.6
        assert reach[2] < 0.15
