"""The seven-joint arm: its kinematics against MuJoCo's and the manufacturer's, and its numbers."""

from __future__ import annotations

import casadi as ca
import mujoco
import numpy as np

from controllers.systems import franka_joints as arm
from robot_learn.franka import FR3, HOME
from sims.franka.arm import build

_Q = ca.SX.sym("q", 7)
PLACES = ca.Function("places", [_Q], [ca.horzcat(*arm.points(_Q).values())])
FRAMES = ca.Function("frames", [_Q], [part for frame in arm.frames(_Q) for part in frame])


def places(q: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(arm.points(_Q), np.array(PLACES(q)).T, strict=True))


def test_at_home_the_flange_is_at_its_published_place() -> None:
    np.testing.assert_allclose(places(HOME)["flange"], [0.3069, 0.0, 0.5903], atol=5e-5)


def test_every_frame_is_where_mujoco_has_the_link() -> None:
    model = build(visuals=False).compile()
    data = mujoco.MjData(model)
    rng = np.random.default_rng(0)
    for _ in range(10):
        q = rng.uniform(FR3.lower, FR3.upper)
        data.qpos[:7] = q
        mujoco.mj_kinematics(model, data)
        found = [np.array(part) for part in FRAMES(q)]
        for i in range(7):
            body = data.body(f"link{i + 1}")
            np.testing.assert_allclose(found[2 * i], body.xmat.reshape(3, 3), atol=1e-9)
            np.testing.assert_allclose(found[2 * i + 1].ravel(), body.xpos, atol=1e-9)
        flange = data.site("flange")
        np.testing.assert_allclose(places(q)["flange"], flange.xpos, atol=1e-9)
        along = flange.xmat.reshape(3, 3)[:, 2]
        np.testing.assert_allclose(places(q)["hand"], flange.xpos + 0.1034 * along, atol=1e-9)


def test_the_hand_of_many_states_is_the_hand_of_each() -> None:
    q = np.random.default_rng(1).uniform(FR3.lower, FR3.upper, (4, 7))
    np.testing.assert_allclose(arm.hand(q), [places(one)["hand"] for one in q], atol=1e-12)
