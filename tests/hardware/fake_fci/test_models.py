"""What clients build their own model of the arm from, against MuJoCo's model of it."""

from __future__ import annotations

import ctypes
import platform
import shutil
from pathlib import Path

import mujoco
import numpy as np
import pytest

from hardware.fake_fci import model_library
from hardware.fake_fci.kinematics import Skeleton
from hardware.fake_fci.physics import Physics
from hardware.fake_fci.urdf import urdf
from robot_learn.errors import UserError
from robot_learn.franka import ARMS, HOME
from tests.hardware.fake_fci.client import Client
from tests.hardware.fake_fci.conftest import Start, table

HERE = {"x86_64": 0, "AMD64": 0, "aarch64": 3, "arm64": 3}.get(platform.machine(), 0)
with_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="wants a C compiler (cc, gcc or clang)"
)


def postures(kind: str, count: int = 5) -> np.ndarray:
    return np.random.default_rng(0).uniform(ARMS[kind].lower, ARMS[kind].upper, (count, 7))


def dynamics(physics: Physics, q: np.ndarray, dq: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mass matrix (7, 7) without rotors, Coriolis and gravity torques (7,) of the arm with closed fingers."""
    model, data = physics.model, physics.skeleton.data
    data.qpos[:7], data.qpos[7:9], data.qvel[:7] = q, 0.0, dq
    mujoco.mj_forward(model, data)
    M = np.zeros((model.nv, model.nv))
    mujoco.mj_fullM(model, M, data.qM)
    gravity = data.qfrc_gravcomp[:7].copy()
    return M[:7, :7] - np.diag(model.dof_armature[:7]), data.qfrc_bias[:7] - gravity, gravity


@with_compiler
@pytest.mark.parametrize("kind", ARMS)
def test_the_library_has_the_kinematics_and_dynamics_of_the_arm(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "model.so"
    path.write_bytes(model_library.model_library(ARMS[kind], HERE, 0))
    library = ctypes.CDLL(str(path))

    def call(name: str, size: int, *given: np.ndarray | float) -> np.ndarray:
        out = np.zeros(size)
        pointer = ctypes.POINTER(ctypes.c_double)
        arrays = [
            np.ascontiguousarray(value, dtype=float) if isinstance(value, np.ndarray) else value for value in given
        ]
        getattr(library, name)(
            *(a.ctypes.data_as(pointer) if isinstance(a, np.ndarray) else ctypes.c_double(a) for a in arrays),
            out.ctypes.data_as(pointer),
        )
        return out

    model = table(kind)
    physics = Physics(model, mujoco.MjData(model), ARMS[kind])
    skeleton, tool = Skeleton(model), physics.tool
    F_T_EE = tool.F_T_EE.T.ravel()
    rng = np.random.default_rng(1)
    for q in postures(kind):
        skeleton.move(q)
        flange = skeleton.flange()
        for i in range(1, 8):
            T = call(f"O_T_J{i}", 16, q).reshape(4, 4).T
            np.testing.assert_allclose(T[:3, 3], skeleton.data.body(f"link{i}").xpos, atol=1e-12)
            np.testing.assert_allclose(T[:3, :3], skeleton.data.body(f"link{i}").xmat.reshape(3, 3), atol=1e-12)
        np.testing.assert_allclose(call("O_T_J8", 16, q).reshape(4, 4).T, flange, atol=1e-12)
        T_ee = call("O_T_J9", 16, q, F_T_EE).reshape(4, 4).T
        np.testing.assert_allclose(T_ee, flange @ tool.F_T_EE, atol=1e-12)
        J = call("O_J_J9", 42, q, F_T_EE).reshape(7, 6).T
        np.testing.assert_allclose(J, skeleton.jacobian(T_ee[:3, 3]), atol=1e-12)
        body = call("Ji_J_J9", 42, q, F_T_EE).reshape(7, 6).T
        np.testing.assert_allclose(body[:3], T_ee[:3, :3].T @ J[:3], atol=1e-12)
        np.testing.assert_allclose(body[3:], T_ee[:3, :3].T @ J[3:], atol=1e-12)
        np.testing.assert_allclose(call("O_J_J8", 42, q).reshape(7, 6).T, skeleton.jacobian(flange[:3, 3]), atol=1e-12)
        dq = rng.uniform(-1, 1, 7)
        M, coriolis, gravity = dynamics(physics, q, dq)
        inertia = tool.inertia.T.ravel()
        np.testing.assert_allclose(call("M_NE", 49, q, inertia, tool.mass, tool.centre).reshape(7, 7), M, atol=1e-7)
        np.testing.assert_allclose(call("c_NE", 7, q, dq, inertia, tool.mass, tool.centre), coriolis, atol=1e-7)
        down = np.array([0.0, 0.0, -9.81])
        np.testing.assert_allclose(call("g_NE", 7, q, down, tool.mass, tool.centre), gravity, atol=1e-7)


@with_compiler
@pytest.mark.parametrize("version", [5, 9])
def test_the_library_is_handed_to_clients_of_this_machine_and_refused_to_others(version: int, start: Start) -> None:
    with Client(start(version=version).address, version) as client:
        client.state()
        told = client.ask("LoadModelLibrary", "<BB", HERE, 0)
        assert told[:5] == b"\0\x7fELF"
        assert client.ask("LoadModelLibrary", "<BB", HERE, 1) == b"\1"
        assert client.ask("LoadModelLibrary", "<BB", 2, 0) == b"\1"


def test_without_a_compiler_there_is_no_library_and_the_client_goes_on(
    monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    model_library._compiled.cache_clear()
    with pytest.raises(UserError, match="wanted a C compiler"):
        model_library.model_library(ARMS["fer"], HERE, 0)
    told: list[str] = []
    with Client(start(version=5, say=told.append).address, 5) as client:
        client.state()
        assert client.ask("LoadModelLibrary", "<BB", HERE, 0) == b"\1"
        assert client.fresh().robot_mode == 1
    assert any("C compiler" in line for line in told)


@pytest.mark.parametrize("kind", ARMS)
def test_the_urdf_is_the_arm_without_its_hand(kind: str) -> None:
    """MuJoCo reads it too: the same frames and gravity torques as the arm's own model, less the hand's."""
    described = mujoco.MjModel.from_xml_string(urdf(ARMS[kind], kind))
    model = table(kind)
    physics = Physics(model, mujoco.MjData(model), ARMS[kind])
    tool, data = physics.tool, mujoco.MjData(described)
    assert described.nv == 7
    np.testing.assert_allclose(described.jnt_range, np.stack([ARMS[kind].lower, ARMS[kind].upper], axis=1))
    for q in (np.array(HOME), *postures(kind)):
        data.qpos[:] = q
        mujoco.mj_forward(described, data)
        _, _, gravity = dynamics(physics, q, np.zeros(7))
        flange = physics.skeleton.flange()
        at = flange[:3, 3] + flange[:3, :3] @ tool.centre
        hand = physics.skeleton.jacobian(at)[:3].T @ np.array([0, 0, 9.81 * tool.mass])
        np.testing.assert_allclose(data.qfrc_bias + hand, gravity, atol=1e-6)
