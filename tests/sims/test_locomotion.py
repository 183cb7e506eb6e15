"""Behaviours of Gymnasium's bodies: success is decided as documented, on poses set by hand; fields tell the truth."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from scipy.linalg import solve_discrete_are
from scipy.spatial.transform import Rotation

import sims
from robot_learn.envs import EVAL_SEED0
from robot_learn.errors import UserError
from robot_learn.policy import load_policy
from sims import gym
from sims.gym import (
    ant_lie_down,
    ant_stance,
    ant_wave_leg,
    cart_pole,
    half_cheetah,
    hopper,
    hopper_flip,
    hopper_leap,
    walker,
)
from sims.gym.bodies import Points
from sims.mujoco_task import MujocoTaskWorlds
from tests.sims.poses import STANDING, X, Y, Z, fresh, show

POLICIES = Path(__file__).parent / "policies"
UPRIGHT = 1.19  # [m] of the hopper's torso, its straight leg on the floor; the foot's flesh gives way by 2 cm


@pytest.fixture(params=[("hopper-front-flip", 1), ("hopper-back-flip", -1)], ids=["front", "back"])
def flip(request: pytest.FixtureRequest) -> Iterator[tuple[MujocoTaskWorlds, int]]:
    name, sign = request.param
    worlds = fresh(name)
    yield worlds, sign
    worlds.close()


LANDING = math.ceil(hopper_flip.LANDED_FOR / hopper.CONTROL_DT)  # steps


def stand(worlds: MujocoTaskWorlds, turned: float, steps: int, *, height: float = UPRIGHT, rate: float = 0.0) -> bool:
    """Whether there is success after so many steps of standing on the foot, turned so far since the start."""
    for _ in range(steps):
        show(worlds, [0, height, turned, 0, 0, 0], [0, 0, rate, 0, 0, 0])
    return bool(worlds.success()[0])


def test_a_whole_turn_and_a_landing_that_holds_is_a_flip(flip: tuple[MujocoTaskWorlds, int]) -> None:
    worlds, sign = flip
    for turned in np.linspace(0, 2 * np.pi, 50):
        assert not stand(worlds, sign * turned, 1, height=1.6)
    assert not stand(worlds, sign * 2 * np.pi, LANDING - 1)
    assert stand(worlds, sign * 2 * np.pi, 1)


def test_two_turns_are_a_flip_as_well(flip: tuple[MujocoTaskWorlds, int]) -> None:
    worlds, sign = flip
    assert stand(worlds, sign * 4 * np.pi, LANDING)


def test_standing_still_a_half_turn_and_back_and_the_other_way_round_are_no_flip(
    flip: tuple[MujocoTaskWorlds, int],
) -> None:
    worlds, sign = flip
    assert not stand(worlds, 0.0, 2 * LANDING)
    for turned in (*np.linspace(0, np.pi, 20), *np.linspace(np.pi, 0, 20)):
        stand(worlds, sign * turned, 1, height=1.6)
    assert not stand(worlds, 0.0, 2 * LANDING)
    assert not stand(worlds, -sign * 2 * np.pi, 2 * LANDING)


@pytest.mark.parametrize(
    ("lean", "height", "rate"), [(0.35, UPRIGHT, 0), (-0.35, UPRIGHT, 0), (0, 1.4, 0), (0, UPRIGHT, 3), (0, 0.8, 0)]
)
def test_a_landing_that_leans_floats_spins_or_sags_does_not_count(
    flip: tuple[MujocoTaskWorlds, int], lean: float, height: float, rate: float
) -> None:
    worlds, sign = flip
    assert not stand(worlds, sign * 2 * np.pi + lean, 2 * LANDING, height=height, rate=rate)


def test_a_landing_that_is_interrupted_starts_over(flip: tuple[MujocoTaskWorlds, int]) -> None:
    worlds, sign = flip
    stand(worlds, sign * 2 * np.pi, LANDING - 1)
    stand(worlds, sign * 2 * np.pi, 1, height=1.5)
    assert not stand(worlds, sign * 2 * np.pi, LANDING - 1)
    assert stand(worlds, sign * 2 * np.pi, 1)


def test_a_hopper_on_its_head_has_fallen_and_one_upside_down_in_the_air_has_not(
    flip: tuple[MujocoTaskWorlds, int],
) -> None:
    worlds, sign = flip
    for height, fallen in ((1.2, False), (0.3, False), (0.24, True)):
        show(worlds, [0, height, sign * np.pi, 0, 0, 0])
        assert worlds.terminated()[0] == fallen, height


def test_turning_forward_is_positive_and_lean_starts_over_after_each_turn() -> None:
    worlds = fresh("hopper-front-flip")
    show(worlds, [0, UPRIGHT, 2 * np.pi + 0.2, 0, 0, 0])
    scene = worlds.read()
    assert scene["torso.turned"][0] == pytest.approx(2 * np.pi + 0.2)
    assert scene["torso.lean"][0] == pytest.approx(0.2)
    assert worlds.view.site("head")[0, X] > 0.03, "the head is ahead"
    assert hopper_flip.lean(np.array([np.pi + 0.1, -0.1, -2 * np.pi, 9.0])) == pytest.approx(
        [0.1 - np.pi, -0.1, 0.0, 9.0 - 2 * np.pi]
    )
    worlds.close()


def test_a_hopper_that_stands_on_its_foot_has_its_declared_height_and_its_foot_on_the_floor() -> None:
    worlds = fresh("hopper-front-flip")
    show(worlds, [0, 1.21, 0, 0, 0, 0])
    scene = worlds.read()
    for name in ("foot.heel_height", "foot.toe_height"):
        assert scene[name][0] == pytest.approx(0.0, abs=1e-9)
    assert scene["torso.head_height"][0] == pytest.approx(1.21 + 0.2 - 0.05)
    worlds.close()


@pytest.mark.parametrize("bend", [0.0, -1.0, -2.3])
def test_the_moment_of_inertia_is_the_angular_momentum_of_a_rigid_turn_over_its_rate(bend: float) -> None:
    worlds = fresh("hopper-front-flip")
    show(worlds, [0.3, 1.5, 0.4, bend, bend, 0.2], [1.0, -0.5, 2.0, 0, 0, 0])
    assert hopper_leap.inertia(worlds.view) == pytest.approx(worlds.view["subtree_angmom"][:, 1, 1] / 2.0)
    worlds.close()


def test_a_flight_without_torques_turns_as_far_as_was_promised() -> None:
    worlds = fresh("hopper-front-flip")
    show(worlds, [0, 1.6, 0, 0, 0, 0], [0, 2.0, 2.5, 0, 0, 0])  # straight, and level when it comes down
    promised = hopper_leap.outlook(worlds.view)[0]
    while worlds.view["subtree_com"][0, 1, Z] > hopper_leap.LANDING or worlds.view["subtree_linvel"][0, 1, Z] > 0:
        worlds.step(np.zeros((1, 3)))
        assert not worlds.terminated()[0]
    assert worlds.view["qpos"][0, 2] == pytest.approx(promised, rel=0.05)
    worlds.close()


@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("hopper-back-flip", hopper_flip.POINTS),
        ("ant-lie-down", ant_stance.POINTS),
        ("half-cheetah", half_cheetah.POINTS),
        ("walker", walker.POINTS),
    ],
)
def test_points_are_the_ends_of_their_capsules(name: str, points: Points) -> None:
    worlds = fresh(name)
    with worlds._engine.visit(0) as (model, data):
        for point, (geom, _) in points.items():
            shape = data.geom(geom)
            along = shape.xmat.reshape(3, 3)[:, Z] * model.geom(geom).size[1]
            ends = np.linalg.norm(shape.xpos + np.outer((1, -1), along) - data.site(point).xpos, axis=1)
            assert ends.min() == pytest.approx(0.0, abs=1e-9), point
    worlds.close()


# ------------------------------------------------------------------------------------------------------------ the ant

LYING = [0, 0, 0.37, 1, 0, 0, 0, 0, 0.53, 0, -0.53, 0, -0.53, 0, 0.53]


def test_the_feet_of_the_ant_are_told_in_the_order_that_the_schema_names() -> None:
    worlds = fresh("ant-lie-down")
    show(worlds, STANDING)
    scene = worlds.read()
    assert "front left, back left, back right, front right" in worlds.task.schema["legs.foot_heights"].meaning
    quadrants = np.sign(scene["legs.foot_positions"][0, :, :Z])
    np.testing.assert_array_equal(quadrants, [[1, 1], [-1, 1], [-1, -1], [1, -1]])
    np.testing.assert_allclose(scene["legs.foot_heights"][0], 0.0, atol=2e-3)
    np.testing.assert_array_equal(np.sign(scene["legs.ankle_angles"][0]), [1, -1, -1, 1])
    turn = Rotation.from_rotvec([0.3, -0.5, 0.7])
    show(worlds, [0, 0, 1, *turn.as_quat(scalar_first=True), *STANDING[7:]])
    np.testing.assert_allclose(worlds.read()["torso.up"][0], turn.apply([0, 0, 1]), atol=1e-12)
    worlds.close()


def test_lying_flat_and_still_for_a_second_is_lying_down() -> None:
    worlds, steps = fresh("ant-lie-down"), round(ant_lie_down.HELD / 0.05)
    for _ in range(steps - 1):
        show(worlds, LYING)
    assert not worlds.success()[0]
    show(worlds, LYING)
    assert worlds.success()[0]
    show(worlds, STANDING)
    assert not worlds.success()[0]
    worlds.close()


@pytest.mark.parametrize(
    ("change", "rate"),
    [({}, 0.6), ({2: 0.45}, 0.0), ({3: 0.0, 4: 1.0}, 0.0), ({3: 0.9, 4: np.sqrt(1 - 0.81)}, 0.0)],
    ids=["moving", "high", "on its back", "tilted"],
)
def test_an_ant_that_moves_stands_tilts_or_lies_on_its_back_does_not_lie_down(
    change: dict[int, float], rate: float
) -> None:
    worlds, qpos = fresh("ant-lie-down"), list(LYING)
    for index, value in change.items():
        qpos[index] = value
    for _ in range(40):
        show(worlds, qpos, rate)
    assert not worlds.success()[0]
    worlds.close()


def test_an_ant_left_alone_stays_up() -> None:
    env = sims.make("mujoco/ant-lie-down", 4)
    env.reset(seed=0)
    for _ in range(env.task.max_episode_steps - 1):
        *_, terminated, _, info = env.step(np.zeros((4, 8)))
        assert not (info["success"] | terminated).any()
    assert (env.scene.torso.position[:, Z] > ant_lie_down.LOW + 0.05).all()
    env.close()


def wave(worlds: MujocoTaskWorlds, hips: Sequence[float], *, bend: float = 0.53, shift: float = 0.0) -> bool:
    """Whether there is success after the front right hip went through these angles with the leg so bent."""
    for hip in hips:
        show(worlds, [shift, 0, 0.566 * np.sin(1.2) + 0.08, 1, 0, 0, 0, 0, 1.2, 0, -1.2, 0, -1.2, hip, bend])
    return bool(worlds.success()[0])


SWING = (0.25, -0.25)  # to and fro: two strokes


def test_three_swings_of_the_raised_leg_are_a_wave() -> None:
    worlds = fresh("ant-wave-leg")
    assert not wave(worlds, [0.0, *SWING * 3])
    assert wave(worlds, [0.25])
    worlds.close()


@pytest.mark.parametrize("options", [{"bend": 1.2}, {"shift": 0.4}], ids=["leg on the floor", "walked away"])
def test_a_leg_that_stays_down_or_walks_does_not_wave(options: dict[str, float]) -> None:
    worlds = fresh("ant-wave-leg")
    assert not wave(worlds, SWING * 10, **options)
    worlds.close()


def test_trembling_is_no_wave_and_a_leg_put_down_in_between_starts_over() -> None:
    worlds = fresh("ant-wave-leg")
    assert not wave(worlds, (0.1, -0.1) * 20)
    worlds.reset([0], [np.random.default_rng(0)])
    assert not wave(worlds, SWING * 3)
    assert not wave(worlds, [0.25], bend=1.2)
    assert not wave(worlds, SWING * 3)
    assert wave(worlds, SWING)
    worlds.close()


def test_the_leg_that_waves_is_the_one_that_the_instruction_names() -> None:
    worlds = fresh("ant-wave-leg")
    assert "front right leg" in worlds.task.instruction
    wave(worlds, [0.0])
    heights, places = (worlds.read()[f"legs.foot_{name}"][0] for name in ("heights", "positions"))
    assert heights.argmax() == ant_wave_leg.LEG
    assert places[heights.argmax(), X] > 0 > places[heights.argmax(), Y]
    worlds.close()


# ------------------------------------------------------------------------------------------------------ the cart-pole


STATE = ("cart.position", "pole.angle", "cart.velocity", "pole.angular_velocity")  # as MuJoCo has it


def test_the_cart_pole_moves_as_upstreams_bit_for_bit() -> None:
    ours, theirs = fresh("cart-pole"), gymnasium.make("InvertedPendulum-v5").unwrapped
    theirs.reset(seed=0)
    start = np.array([ours.read()[name][0] for name in STATE])
    theirs.set_state(start[:2], start[2:])  # type: ignore[attr-defined]
    rng = np.random.default_rng(0)
    for _ in range(12):
        action = rng.uniform(-1, 1, 1).astype(np.float32)
        ours.step(action[None])
        expected = theirs.step(action)[0]
        np.testing.assert_array_equal([ours.read()[name][0] for name in STATE], expected)
    ours.close()
    theirs.close()


def test_a_pole_that_leans_to_plus_x_falls_there_and_a_positive_force_pushes_the_cart_there() -> None:
    worlds = fresh("cart-pole")
    show(worlds, [0, 0.1])
    worlds.step(np.zeros((1, 1)))
    assert worlds.read()["pole.angle"][0] > 0.1
    show(worlds, [0, 0])
    worlds.step(np.ones((1, 1)))
    assert worlds.read()["cart.velocity"][0] > 0.1
    worlds.close()


def test_the_gains_of_the_controller_are_the_lqrs() -> None:
    worlds = fresh("cart-pole")

    def after(state: np.ndarray) -> np.ndarray:
        """One control step from (position, angle, their rates, force)."""
        show(worlds, state[:2], state[2:4])
        worlds.step(state[None, 4:])
        return np.array([worlds.read()[name][0] for name in STATE])

    differences = [(after(1e-5 * one) - after(-1e-5 * one)) / 2e-5 for one in np.eye(5)]
    A, B = np.transpose(differences[:4]), np.transpose(differences[4:])
    P = solve_discrete_are(A, B, np.diag([1, 10, 0.1, 0.1]), np.eye(1))
    gains = -np.linalg.solve(np.eye(1) + B.T @ P @ B, B.T @ P @ A)[0]
    np.testing.assert_allclose(cart_pole.GAINS, gains, rtol=0.02)
    worlds.close()


def test_the_controller_balances_the_pole_and_nothing_and_noise_drop_it() -> None:
    env, controller = sims.make("mujoco/cart-pole", 20), gym.scripted("cart-pole", 20)
    rng = np.random.default_rng(0)
    policies = {
        "controller": lambda: controller(env.scene, np.empty(0)),
        "nothing": lambda: np.zeros((20, 1)),
        "noise": lambda: rng.uniform(-3, 3, (20, 1)),
    }
    for name, policy in policies.items():
        env.reset(seed=0)
        successes = np.zeros(20, dtype=bool)
        for _ in range(env.task.max_episode_steps - 1):
            *_, terminated, _, info = env.step(policy())
            successes |= info["success"]
            assert not (name == "controller" and terminated.any())
        assert successes.all() if name == "controller" else not successes.any(), name
    env.close()


def test_tasks_without_a_hand_written_controller_say_so() -> None:
    with pytest.raises(UserError, match="there are: cart-pole, ant-jump, half-cheetah"):
        gym.scripted("hopper", 1)
    with pytest.raises(UserError, match="did you mean"):
        gym.scripted("cart-pol", 1)


@pytest.mark.parametrize("name", sorted(path.stem for path in POLICIES.glob("*.npz")))
def test_a_stored_policy_succeeds_from_starts_that_training_never_saw(name: str) -> None:
    env, policy = sims.make(f"mujoco/{name}", 4), load_policy(POLICIES / f"{name}.npz")
    observation, _ = env.reset(seed=EVAL_SEED0)
    successes, running = np.zeros(4, dtype=bool), np.ones(4, dtype=bool)
    for _ in range(env.task.max_episode_steps):
        observation, _, terminated, truncated, info = env.step(policy.predict(observation, deterministic=True)[0])
        successes |= info["success"] & running
        running &= ~(terminated | truncated)
    assert successes.sum() >= 3
    env.close()
