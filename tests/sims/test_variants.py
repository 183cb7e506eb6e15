"""Other bodies for the same tasks: other sizes, masses and looks, the same fields, the promises of every task."""

from __future__ import annotations

from collections.abc import Iterator

import mujoco
import numpy as np
import pytest

import sims
from robot_learn.errors import UserError
from sims import gym
from sims.env import BatchEnv

WORLDS = 2
TASKS = ("hopper", "ant", "ant-jump", "hopper-back-flip", "half-cheetah", "walker", "walker-hop", "humanoid")
EACH = [(name, variant) for name in TASKS for variant in gym.variants(name)]


def plain_and_variant(name: str, variant: str) -> tuple[mujoco.MjModel, mujoco.MjModel]:
    found = []
    for one in (None, variant):
        worlds = gym.make(name, 1, threads=1, variant=one)
        found.append(worlds.view.model)
        worlds.close()
    return found[0], found[1]


@pytest.fixture(scope="module", params=EACH, ids=[f"{name}-{variant}" for name, variant in EACH])
def env(request: pytest.FixtureRequest) -> Iterator[BatchEnv]:
    name, variant = request.param
    env = sims.make(f"mujoco/{name}", WORLDS, variant=variant, reward="expert", max_episode_steps=80)
    yield env
    env.close()


def episode(env: BatchEnv, seed: int = 3) -> list[np.ndarray]:
    """Observations, rewards and every field along random actions."""
    shown, rng = [env.reset(seed=seed)[0]], np.random.default_rng(seed)
    for _ in range(90):
        observations, reward, *_ = env.step(rng.uniform(-1, 1, (WORLDS, env.task.act_dim)))
        shown += [observations, reward, *(env.scene[name] for name in env.task.schema.names)]
    return shown


def test_every_body_with_legs_has_two_variants_and_the_cart_pole_none() -> None:
    assert all(len(gym.variants(name)) >= 2 for name in TASKS)
    assert gym.variants("cart-pole") == ()


def test_a_seed_fixes_everything_and_nothing_stays_as_it_was(env: BatchEnv) -> None:
    first, again = episode(env), episode(env)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert all(np.isfinite(one).all() for one in first)
    block = 2 + len(env.task.schema.names)
    observed = np.stack(first[1::block])
    assert (np.ptp(observed, axis=0) == 0).mean() < 0.75, "most of what is observed is constant"
    for index, name in enumerate(env.task.schema.names):
        assert np.ptp(np.stack(first[3 + index :: block]), axis=0).max() > 0, f"{name} never changes"


def test_schema_actions_and_observations_are_the_tasks(env: BatchEnv) -> None:
    plain = sims.make(env.task.name, WORLDS)
    assert env.task.schema == plain.task.schema
    assert env.single_observation_space == plain.single_observation_space
    assert env.single_action_space == plain.single_action_space
    plain.reset(seed=3)
    env.reset(seed=3)
    still = np.zeros((WORLDS, env.task.act_dim))
    assert all((plain.step(still)[0] != env.step(still)[0]).any() for _ in range(3)), "it moves as the plain body"
    plain.close()


def test_a_batch_of_a_variant_goes_on_from_a_snapshot_bit_for_bit(env: BatchEnv) -> None:
    env.reset(seed=1)
    actions = np.random.default_rng(0).uniform(-1, 1, (10, WORLDS, env.task.act_dim))
    snapshot = env.snapshot()
    first = [env.step(action)[0] for action in actions]
    env.restore(snapshot)
    for one, action in zip(first, actions, strict=True):
        np.testing.assert_array_equal(one, env.step(action)[0])


@pytest.mark.parametrize(("name", "variant"), EACH)
def test_a_variant_is_dropped_from_as_high_above_the_floor_and_stays_in_one_piece(name: str, variant: str) -> None:
    plain, other = plain_and_variant(name, variant)
    lowest, gaps = [], []
    for model in (plain, other):
        data = mujoco.MjData(model)
        mujoco.mj_kinematics(model, data)
        floor = model.geom("floor").id
        pairs = [geom for geom in range(model.ngeom) if geom != floor]
        lowest.append(min(mujoco.mj_geomDistance(model, data, floor, geom, 10.0, None) for geom in pairs))
        limbs = [body for body in range(2, model.nbody) if model.body_jntnum[body]]
        joints = [data.xanchor[model.body_jntadr[limb]] for limb in limbs]
        hung_on = [int(model.body_parentid[limb]) for limb in limbs]
        gaps.append([distance_to(model, data, *each) for each in zip(hung_on, joints, strict=True)])
    # Each limb's joint lies on the limb that it hangs on, or is as near as on the plain body: a shoulder is beside it.
    assert np.all(np.array(gaps[1]) <= np.maximum(0.03, 1.2 * np.array(gaps[0])))
    assert lowest[0] == pytest.approx(lowest[1], abs=1e-9)


def distance_to(model: mujoco.MjModel, data: mujoco.MjData, body: int, point: np.ndarray) -> float:
    """From a point to the nearest of a body's capsules and balls, 0 within [m]."""
    found = []
    for geom in np.flatnonzero(model.geom_bodyid == body):
        axis, radius = data.geom_xmat[geom].reshape(3, 3)[:, 2], model.geom_size[geom, 0]
        half = model.geom_size[geom, 1] if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_CAPSULE else 0.0
        along = np.clip((point - data.geom_xpos[geom]) @ axis, -half, half)
        found.append(np.linalg.norm(point - data.geom_xpos[geom] - along * axis) - radius)
    return float(max(0.0, min(found)))


def test_lengths_masses_and_motors_are_scaled_as_written() -> None:
    plain, beetle = plain_and_variant("ant", "beetle")
    shin = "left_ankle_geom"
    np.testing.assert_allclose(beetle.geom(shin).size[:2] / plain.geom(shin).size[:2], [1.25, 0.85])
    assert beetle.body_mass.sum() / plain.body_mass.sum() == pytest.approx(1.5)
    np.testing.assert_allclose(beetle.actuator_gear[:, 0], 1.2 * plain.actuator_gear[:, 0])
    assert (beetle.geom(shin).rgba != plain.geom(shin).rgba).any()


def test_a_variant_reads_its_true_height(env: BatchEnv) -> None:
    env.reset(seed=0)
    names = env.task.schema.names
    told = env.scene["torso.height"] if "torso.height" in names else env.scene["torso.position"][:, 2]
    for index in range(WORLDS):
        with env.worlds._engine.visit(index) as (_, data):  # type: ignore[attr-defined]
            assert told[index] == pytest.approx(data.body("torso").xpos[2], abs=1e-9)


def test_a_variant_looks_different_and_a_misspelt_one_is_named() -> None:
    plain, spider = sims.make("mujoco/ant", 1), sims.make("mujoco/ant", 1, variant="spider")
    for one in (plain, spider):
        one.reset(seed=0)
    apart = [one.render_world(0, 160, 120).astype(float) for one in (plain, spider)]
    assert np.abs(apart[0] - apart[1]).mean() > 20
    assert plain.worlds.cameras == spider.worlds.cameras
    with pytest.raises(UserError, match="did you mean 'spider'"):
        sims.make("mujoco/ant", 1, variant="spyder")
    with pytest.raises(UserError, match="variant of mujoco/cart-pole"):
        sims.make("mujoco/cart-pole", 1, variant="spider")
    plain.close()
    spider.close()
