"""Parameters do what physics says they do, draws are reproducible, and at their nominal values nothing changes."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest

import sims
from robot_learn.errors import UserError
from robot_learn.scene import Field, Schema
from robot_learn.types import ActionComponent, Task
from sims.env import BatchEnv
from sims.mujoco_task import MujocoTask, MujocoTaskWorlds, View
from sims.parameters import Fitting
from sims.randomise import RandomisedWorlds
from sims.ranges import Range, parse_table, read_table
from sims.rendering import Camera

DT, SKIP, SLOPE = 0.002, 5, 0.36  # [s], substeps, tangent of an angle whose friction coefficient would just hold
TABLE = {
    "mass": (0.7, 1.3),
    "friction": {"low": 0.5, "high": 2.0, "scale": "log"},
    "damping": (0.5, 2.0),
    "latency": (0, 2),
    "observation_noise": (0.0, 0.02),
    "action_noise": 0.05,
}
ALL_NOMINAL = dict.fromkeys(("mass", "friction", "damping", "armature", "actuator_gain", "gravity"), 1)
ALL_NOMINAL |= {"latency": 0, "observation_noise": 0, "action_noise": 0}

# Three things that do not touch: a cart with a motor, a cart with a servo, a box on a slope (gravity is tilted).
XML = f"""
<mujoco>
  <option timestep="{DT}" gravity="{9.81 * SLOPE / np.hypot(1, SLOPE)} 0 {-9.81 / np.hypot(1, SLOPE)}"
          cone="elliptic" impratio="10"/>
  <worldbody>
    <geom name="floor" type="plane" size="9 9 .1" friction=".5"/>
    <body name="cart" pos="0 3 1"><joint name="cart" type="slide" axis="0 1 0" damping="1"/>
      <geom size=".1" mass="2" contype="0" conaffinity="0"/></body>
    <body name="servo" pos="0 -3 1"><joint name="servo" type="slide" axis="0 1 0"/>
      <geom size=".1" mass="1" contype="0" conaffinity="0"/></body>
    <body name="box" pos="0 0 .1"><freejoint/>
      <geom name="box" type="box" size=".1 .1 .1" mass="1" friction=".5"/></body>
  </worldbody>
  <actuator><motor joint="cart" gear="10"/><position joint="servo" kp="100" kv="12"/></actuator>
</mujoco>
"""


def read(view: View) -> dict[str, np.ndarray]:
    names = ("cart", "servo")
    scene = {f"{name}.position": view.joint(name) for name in names}
    return scene | {f"{name}.velocity": view.joint_velocity(name) for name in names} | {"box.x": view["qpos"][:, 2]}


def start(model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
    data.qvel[0] = rng.uniform(1.0, 2.0)


def carts(n: int, table: dict[str, Any] | None = None, **fixed: Any) -> BatchEnv:
    names = ("cart.position", "servo.position", "cart.velocity", "servo.velocity", "box.x")
    action = tuple(ActionComponent(name, -1.0, 1.0, "its actuator's control") for name in ("cart", "servo"))
    schema = Schema(tuple(Field(name, (), "m", "world", "along y or x") for name in names))
    task = Task("test/carts", "Move the carts.", schema, action, 200, DT * SKIP)
    definition = MujocoTask(
        task=task,
        model=lambda: mujoco.MjModel.from_xml_string(XML),
        frame_skip=SKIP,
        start=start,
        read=read,
        success=lambda view: np.zeros(view.num_worlds, dtype=bool),
        expert_reward=lambda view, actions: np.zeros(view.num_worlds),
        cameras={"side": Camera()},
    )
    return BatchEnv(RandomisedWorlds(MujocoTaskWorlds(definition, n), table, fixed))


def drive(env: BatchEnv, actions: np.ndarray, *, seed: Any = 0) -> dict[str, np.ndarray]:
    """The scene after each step of the same actions (T, act_dim) in every world: (T, N) by name."""
    env.reset(seed=seed)
    rows = []
    for action in actions:
        env.step(np.tile(action, (env.num_envs, 1)))
        rows.append(env.worlds.read())
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def episode(env: BatchEnv, steps: int = 20, *, seed: int | None = 0) -> list[np.ndarray]:
    """Observations, rewards and ends of random actions that are the same in each world."""
    shown = [] if seed is None else [env.reset(seed=seed)[0]]
    for action in np.random.default_rng(1).uniform(-1, 1, (steps, env.task.act_dim)).astype(np.float32):
        shown += env.step(np.tile(action, (env.num_envs, 1)))[:4]
    return shown


def same(one: list[np.ndarray], other: list[np.ndarray], row: Any = slice(None), other_row: Any = slice(None)) -> None:
    for mine, theirs in zip(one, other, strict=True):
        np.testing.assert_array_equal(mine[row], theirs[other_row])


# Physics


def test_twice_the_mass_halves_the_acceleration_and_twice_the_gain_doubles_it() -> None:
    push = np.tile([1.0, 0.0], (1, 1))
    env = carts(4, mass=[1, 2, 1, 2], actuator_gain=[1, 1, 2, 2], damping=0)
    moved = drive(env, push, seed=[0] * 4)["cart.velocity"][0] - env.scene.previous.cart.velocity
    np.testing.assert_allclose(moved, np.array([1.0, 0.5, 2.0, 1.0]) * 10 / 2 * DT * SKIP, rtol=1e-9)


def test_a_mass_of_one_body_leaves_the_others_and_multiplies_with_that_of_all() -> None:
    env = carts(3, **{"mass:cart": [1, 2, 2], "mass": [1, 1, 3], "damping": 0})
    moved = drive(env, np.tile([1.0, 1.0], (1, 1)), seed=[0] * 3)
    gained = moved["cart.velocity"][0] - env.scene.previous.cart.velocity
    np.testing.assert_allclose(gained[0] / gained, [1, 2, 6], rtol=1e-9)
    assert moved["servo.velocity"][0, 0] == moved["servo.velocity"][0, 1] != moved["servo.velocity"][0, 2]


def test_speed_decays_at_the_rate_of_damping_over_mass() -> None:
    factors = np.array([0.5, 1.0, 3.0])
    velocity = drive(carts(3, damping=factors), np.zeros((100, 2)), seed=[0] * 3)["cart.velocity"]
    decay = np.log(velocity[0] / velocity[-1]) / (99 * DT * SKIP)
    np.testing.assert_allclose(decay, factors * 1.0 / 2.0, rtol=2e-3)


def test_a_box_slides_down_a_slope_where_friction_is_below_its_tangent() -> None:
    # Coefficients .5 x factor against a slope of .36.
    factors = np.array([1.0, 0.8, 0.6, 0.3])
    x = drive(carts(4, friction=factors), np.zeros((100, 2)))["box.x"]
    stays = factors * 0.5 > SLOPE
    assert (np.abs(x[-1] - x[10])[stays] < 2e-3).all()
    share = (SLOPE - 0.5 * factors[~stays]) / np.hypot(1, SLOPE)  # of gravity, along the slope
    np.testing.assert_allclose(x[-1][~stays], 0.5 * 9.81 * share * 1.0**2, rtol=0.05)


def test_a_stronger_servo_is_stiffer_and_still_stops_at_its_target() -> None:
    factors = np.array([1.0, 4.0])
    position = drive(carts(2, actuator_gain=factors), np.tile([0.0, 0.5], (150, 1)))["servo.position"]
    np.testing.assert_allclose(position[-1], 0.5, atol=1e-3)
    np.testing.assert_allclose(position[0, 1] / position[0, 0], 4.0, rtol=0.2)


def test_gravity_scales_the_fall_down_a_slope_without_friction() -> None:
    x = drive(carts(3, gravity=[0.0, 1.0, 2.0], friction=0.0), np.zeros((50, 2)))["box.x"]
    assert abs(x[-1, 0]) < 1e-9
    np.testing.assert_allclose(x[-1, 2] / x[-1, 1], 2.0, rtol=0.01)


def test_a_latency_of_two_delays_every_effect_by_two_steps_exactly() -> None:
    actions = np.random.default_rng(0).uniform(-1, 1, (30, 2))
    servo = drive(carts(3, latency=[0, 1, 2]), actions)["servo.position"]
    assert (servo[:2, 2] == 0).all()
    np.testing.assert_array_equal(servo[:-1, 0], servo[1:, 1])
    np.testing.assert_array_equal(servo[:-2, 0], servo[2:, 2])


def test_noise_has_the_deviation_that_was_asked_for_and_spares_the_scene() -> None:
    env = carts(2, observation_noise=[0.0, 0.03], action_noise=[0.0, 0.0])
    env.reset(seed=0)
    off = []
    for _ in range(150):
        seen = env.step(np.zeros((2, 2)))[0]
        off.append(seen - np.stack([env.scene[name] for name in env.task.schema.names], axis=1))
    assert (np.array(off)[:, 0] == 0).all()
    assert np.array(off)[:, 1].std() == pytest.approx(0.03, rel=0.1)
    assert (seen == env.worlds.observe()).all()  # looking twice shows the same


def test_action_noise_counts_in_half_ranges() -> None:
    env = carts(400, action_noise=0.2, damping=0)
    moved = drive(env, np.zeros((1, 2)), seed=[*range(400)])["cart.velocity"][0] - env.scene.previous.cart.velocity
    assert (moved / (10 / 2 * DT * SKIP)).std() == pytest.approx(0.2, rel=0.12)


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_derived_constants_are_those_of_a_model_compiled_with_these_masses(factor: float) -> None:
    spec = mujoco.MjSpec.from_string(XML)
    for geom in spec.geoms:
        geom.mass *= factor
    compiled = spec.compile()
    arrays = Fitting(mujoco.MjModel.from_xml_string(XML), {}).arrays({"mass": factor})
    assert {"body_mass", "body_inertia", "body_invweight0", "dof_invweight0", "body_subtreemass"} <= arrays.keys()
    for name, value in arrays.items():
        np.testing.assert_allclose(value, getattr(compiled, name), rtol=1e-12, atol=1e-12, err_msg=name)


# Draws


@pytest.mark.parametrize("name", ["mujoco/hopper", "metaworld/drawer-open"])
def test_with_every_parameter_at_its_nominal_value_episodes_are_the_same_to_the_bit(name: str) -> None:
    plain, randomised = (
        sims.make(name, 2, reward="expert", max_episode_steps=12, randomise=table) for table in (None, ALL_NOMINAL)
    )
    same(episode(plain), episode(randomised))  # over an automatic reset
    plain.close()
    randomised.close()


def test_world_i_of_seed_s_is_world_0_of_seed_s_plus_i_whatever_the_threads() -> None:
    batch, single = (
        sims.make("mujoco/hopper", n, randomise=TABLE, threads=n, max_episode_steps=8, reward="expert") for n in (3, 1)
    )
    together = episode(batch, seed=20)
    for index in range(3):
        same(together, episode(single, seed=20 + index), row=index, other_row=0)
    assert len(np.unique(batch.worlds.parameters["mass"])) == 3  # type: ignore[attr-defined]


def test_each_reset_draws_anew_within_the_range_and_starts_do_not_depend_on_it() -> None:
    env, plain = carts(50, TABLE), carts(50)
    drawn = []
    for seed in (0, None, None):
        np.testing.assert_array_equal(
            (env.reset(seed=seed), env.worlds.read()["cart.velocity"])[1],
            (plain.reset(seed=seed), plain.worlds.read()["cart.velocity"])[1],
        )
        drawn.append(env.worlds.parameters)  # type: ignore[attr-defined]
    for name, (low, high) in {"mass": (0.7, 1.3), "friction": (0.5, 2.0), "latency": (0, 2)}.items():
        values = np.concatenate([of[name] for of in drawn])
        assert low <= values.min() < values.max() <= high
        assert len(np.unique(values)) == (3 if name == "latency" else 150)
    assert (drawn[0]["action_noise"] == 0.05).all()


def test_a_log_range_is_uniform_in_the_logarithm() -> None:
    rng, span = np.random.default_rng(0), Range(0.1, 10.0, log=True)
    draws = np.array([span.draw(rng, whole=False) for _ in range(2000)])
    assert (draws < 1.0).mean() == pytest.approx(0.5, abs=0.04)
    assert draws.min() >= 0.1
    assert draws.max() <= 10.0


@pytest.mark.parametrize("name", ["mujoco/hopper", "metaworld/drawer-open"])
def test_a_restored_world_keeps_its_parameters_delays_and_noise_wherever_it_goes(name: str) -> None:
    env = sims.make(name, 3, randomise=TABLE, max_episode_steps=15, reward="expert")
    episode(env, 7, seed=5)
    snapshot, first = (pickle.loads(pickle.dumps(of)) for of in (env.snapshot(), env.snapshot_world(0)))
    future = episode(env, 20, seed=None)  # over an automatic reset
    env.reset(seed=99)
    env.restore(snapshot)
    same(future, episode(env, 20, seed=None))
    env.restore(snapshot)
    env.restore_world(2, first)
    again = episode(env, 20, seed=None)
    same(future, again, row=[0, 1], other_row=[0, 1])
    same(future, again, row=0, other_row=2)


def test_worlds_without_parameters_take_back_one_that_had_some() -> None:
    heavy, fresh = (sims.make("mujoco/hopper", 1).worlds for _ in range(2))
    heavy.set_parameters(0, {"mass": 3.0})  # type: ignore[attr-defined]
    for worlds in (heavy, fresh):
        worlds.reset([0], [np.random.default_rng(0)])
    fresh.restore(0, heavy.snapshot(0))
    for worlds in (heavy, fresh):
        worlds.step(np.ones((1, 3)))
    np.testing.assert_array_equal(heavy.observe(), fresh.observe())


# ManiSkill, whose physics is another


def test_a_cube_of_maniskill_slides_as_far_as_friction_lets_it_whatever_its_mass() -> None:
    pytest.importorskip("mani_skill", reason="needs the extra maniskill")
    import sapien
    import sapien.physx

    from sims.maniskill.tables import spec_of
    from sims.maniskill.world import World

    world, speed = World(spec_of("pick-cube"), "procedural"), 0.6

    def slide(**factors: float) -> float:
        world.set_parameters({name.replace("_of_", ":"): value for name, value in factors.items()})
        world.reset(0)
        cube = world.env.cube._objs[0]
        cube.pose = sapien.Pose([0.0, 0.3, 0.02])
        cube.find_component_by_type(sapien.physx.PhysxRigidDynamicComponent).set_linear_velocity([-speed, 0, 0])
        for _ in range(150):
            world.env.scene.px.step()
        return -float(cube.pose.p[0])

    nominal = slide()
    assert nominal == pytest.approx(speed**2 / (2 * 9.81 * 0.3), rel=0.1)  # ManiSkill's coefficient is 0.3
    assert slide(friction=0.5) / nominal == pytest.approx(2.0, rel=0.05)
    assert slide(friction_of_cube=3.0) / nominal == pytest.approx(0.5, rel=0.08)  # the mean of 0.9 and 0.3 is 0.6
    assert slide(mass=3.0) == pytest.approx(nominal, rel=1e-3)
    assert slide(friction=1.0, mass=1.0) == slide() == nominal
    with pytest.raises(UserError, match="did you mean 'mass:cube'"):
        world.set_parameters({"mass:cub": 2.0})


def test_worlds_of_maniskill_are_randomised_restored_and_nominally_unchanged() -> None:
    pytest.importorskip("mani_skill", reason="needs the extra maniskill")
    name, nominal = "maniskill/push-cube", {"mass": 1, "friction": 1, "actuator_gain": 1, "latency": 0}
    table = {"mass": (0.5, 2.0), "friction": (0.5, 2.0), "actuator_gain": (0.5, 1.5), "latency": (0, 2)}
    plain, same_again, env = (sims.make(name, 2, threads=1, randomise=t) for t in (None, nominal, table))
    start, end = episode(plain, 6), episode(env, 6)
    same(start, episode(same_again, 6))
    assert not np.array_equal(start[-4], end[-4])
    snapshot = pickle.loads(pickle.dumps(env.snapshot()))
    future = episode(env, 5, seed=None)
    env.reset(seed=9)
    env.restore(snapshot)
    same(future, episode(env, 5, seed=None))
    for one in (plain, same_again, env):
        one.close()


# What a user may say


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"mas": (1, 2)}, "did you mean 'mass'"),
        ({"mass:tosro": 1}, "did you mean 'mass:torso'"),
        ({"stiffness": 2}, "no parameter named 'stiffness'"),  # the hopper has no springs
        ({"mass": (0, 2)}, "wanted a factor above 0, came 0"),
        ({"friction": (2, 1)}, "wanted low <= high"),
        ({"friction": {"low": 0, "high": 1, "scale": "log"}}, "on a log scale low above 0"),
        ({"friction": {"low": 0, "hi": 1}}, "setting of parameter 'friction'"),
        ({"friction": (1, 2, 3)}, "wanted a number, [low, high]"),
        ({"friction": "high"}, "wanted a number, [low, high]"),
        ({"gravity": (0.5, float("nan"))}, "wanted a factor of 0 or more"),
        ({"latency": (0, 1.5)}, "whole control steps"),
        ({"action_noise": -0.1}, "wanted 0 or more"),
    ],
)
def test_a_wrong_table_is_one_clear_message(table: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError) as caught:
        sims.make("mujoco/hopper", 1, randomise=table)
    assert says in str(caught.value)


def test_fixed_values_need_one_number_a_world_and_are_not_drawn_as_well() -> None:
    for fixed, table, says in (
        ({"mass": [1.0, 2.0]}, None, "wanted a number or 3 of them"),
        ({"mass": 2.0}, {"mass": (1, 2)}, "both drawn and fixed: mass"),
        ({"weight": 2.0}, None, "no parameter named 'weight'"),
    ):
        with pytest.raises(UserError, match=says):
            sims.make("mujoco/hopper", 3, randomise=table, parameters=fixed)


def test_a_table_is_read_from_json_toml_and_the_config_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(json.dumps(TABLE))
    (tmp_path / "t.toml").write_text(
        'mass = [0.7, 1.3]\nfriction = {low = 0.5, high = 2.0, scale = "log"}\nlatency = 1\n'
    )
    (tmp_path / "config.json").write_text(json.dumps({"task": "mujoco/hopper", "randomise": TABLE}))
    wanted = parse_table(TABLE, tuple(TABLE))
    assert parse_table(read_table(tmp_path / "t.json"), tuple(TABLE)) == wanted
    assert parse_table(read_table(tmp_path / "config.json"), tuple(TABLE)) == wanted
    toml = parse_table(read_table(tmp_path / "t.toml"), tuple(TABLE))
    assert toml == {"mass": wanted["mass"], "friction": wanted["friction"], "latency": Range(1.0, 1.0)}
    (tmp_path / "bad.json").write_text("{mass")
    for path in (tmp_path / "bad.json", tmp_path / "nowhere.json"):
        with pytest.raises(UserError, match=path.name):
            read_table(path)
