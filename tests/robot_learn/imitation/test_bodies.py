"""The motion of every body is read from its scene: limbs by geometry, turns over whole turns, ends as falls."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import sims
from rewards.video.signals import signals
from robot_learn.errors import UserError
from robot_learn.imitation import bodies
from robot_learn.probes import record
from robot_learn.rollouts import Rollouts


def rollouts(name: str, steps: int = 30, seed: int = 5) -> Rollouts:
    env, rng = sims.make(name, 3, max_episode_steps=steps), np.random.default_rng(seed)
    return record(env, "random", [seed, seed + 1, seed + 2], lambda *_: rng.uniform(-1, 1, (3, env.task.act_dim)))


JOINTS = {"ant": 8, "hopper": 3, "humanoid": 17, "half-cheetah": 6, "walker": 6}


@pytest.mark.parametrize("name", bodies.BODIES)
def test_every_body_gives_a_track_an_episode_that_signals_can_read(name: str) -> None:
    task, seen = sims.task(name), rollouts(name)
    tracks = bodies.tracks(seen, task)
    assert len(tracks) == 3
    joints = next(count for robot, count in JOINTS.items() if robot in name)
    for episode, track in enumerate(tracks):
        moments = int(seen.running[:, episode].sum()) + 1
        assert track.position.shape == (moments, 3)
        assert track.joints.shape == (moments, joints)
        assert track.feet is not None
        assert track.feet.shape == (moments, len(track.names))
        assert track.ended == (moments <= 30)
        assert np.isfinite([signals(track).speed, signals(track).activity]).all()


def test_the_feet_of_the_ant_are_where_the_body_says_from_its_angles_alone() -> None:
    seen = rollouts("mujoco/ant-jump", steps=60)
    np.testing.assert_allclose(bodies.ant_feet(seen.values), seen.values["legs.foot_heights"], atol=1e-12)


def test_the_foot_of_the_hopper_is_where_the_body_says_from_its_angles_alone() -> None:
    values = dict(rollouts("mujoco/hopper-back-flip", steps=60).values)
    told = np.minimum(values["foot.heel_height"], values["foot.toe_height"])
    found = bodies.hopper_foot(values | {"torso.pitch": values["torso.turned"]})
    np.testing.assert_allclose(found[..., 0], told, atol=1e-12)


@pytest.mark.parametrize("angle", [-2.5, -0.4, 0.0, 0.7, 3.0])
@pytest.mark.parametrize("heading", [0.0, 2.0])
def test_nose_down_is_the_turn_about_the_bodys_own_sideways_axis(angle: float, heading: float) -> None:
    turn = Rotation.from_euler("z", heading) * Rotation.from_euler("y", angle)
    found = bodies.nose_down({"torso.quaternion": turn.as_quat(scalar_first=True)[None]})
    assert found[0] == pytest.approx(angle)


def changed(seen: Rollouts, **values: np.ndarray) -> Rollouts:
    return replace(seen, values={**seen.values, **{name.replace("__", "."): one for name, one in values.items()}})


def test_whole_turns_of_the_ant_add_up() -> None:
    seen = rollouts("mujoco/ant", steps=40)
    turns = Rotation.from_euler("y", np.linspace(0, 4 * np.pi, 41)[:, None]).as_quat(scalar_first=True)
    seen = changed(seen, torso__quaternion=np.repeat(turns[:, None], 3, axis=1))
    seen = replace(seen, running=np.ones_like(seen.running))
    (track, *_) = bodies.tracks(seen, sims.task("mujoco/ant"))
    assert signals(track).turns == pytest.approx(2.0)
    assert not track.ended


def test_what_stops_early_or_ends_upside_down_ended_by_a_fall() -> None:
    task, seen = sims.task("mujoco/half-cheetah"), rollouts("mujoco/half-cheetah")
    assert [track.ended for track in bodies.tracks(seen, task)] == [False] * 3
    pitch = seen.values["torso.pitch"].copy()
    pitch[-1, 1] = np.pi
    running = seen.running.copy()
    running[20:, 2] = False
    tracks = bodies.tracks(replace(changed(seen, torso__pitch=pitch), running=running), task)
    assert [track.ended for track in tracks] == [False, True, True]
    assert len(tracks[2].position) == 21


def test_a_robot_without_legs_is_refused_by_name() -> None:
    with pytest.raises(UserError, match="task of a body with legs"):
        bodies.body_of(sims.task("mujoco/cart-pole"))
