"""States of the clients, made by hand, as observations."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hardware.kinematics import Kinematics
from hardware.states import reader
from robot_learn.franka import HOME


class Errors:
    joint_reflex = False
    cartesian_reflex = True
    communication_constraints_violation = False


def state(mode: str = "kReflex", T_flange_ee: np.ndarray | None = None, **more: Any) -> SimpleNamespace:
    kinematics = Kinematics()
    kinematics.place(np.array(HOME))
    hand = np.eye(4)
    hand[:2, :2], hand[2, 3] = np.sqrt(0.5) * np.array([[1, 1], [-1, 1]]), 0.1034
    T_flange_ee = hand if T_flange_ee is None else T_flange_ee
    T_base_flange = kinematics.T_base_ee() @ np.linalg.inv(hand)
    fields = {
        "F_T_EE": T_flange_ee.T.ravel().tolist(),
        "O_T_EE": (T_base_flange @ T_flange_ee).T.ravel().tolist(),
        "time": SimpleNamespace(to_sec=lambda: 12.345),
        "robot_mode": SimpleNamespace(name=mode),
        "current_errors": Errors,
        "q": list(HOME),
        "dq": [0.1] * 7,
        "q_d": list(HOME),
        "tau_J": [1.0] * 7,
        "tau_ext_hat_filtered": [2.0] * 7,
        "O_F_ext_hat_K": [3.0] * 6,
        "control_command_success_rate": 0.5,
    }
    return SimpleNamespace(**{**fields, **more})


def test_names_and_signs_become_ours() -> None:
    seen = reader(Errors)(state())
    assert (seen.sequence, seen.time, seen.state, seen.errors) == (12345, 12.345, "reflex", ("cartesian_reflex",))
    # The robot tells what it does to the world, we what the world does to it.
    assert seen.external_torques.tolist() == [-2.0] * 7
    assert seen.external_wrench.tolist() == [-3.0] * 6


def test_a_success_rate_is_one_while_no_commands_are_due() -> None:
    assert reader(Errors)(state("kIdle")).success_rate == 1.0
    assert reader(Errors)(state("Move")).success_rate == 0.5


def test_the_pose_is_of_the_fingertips_whatever_end_effector_is_set_in_the_robot() -> None:
    flange = np.eye(4)
    longer = np.eye(4)
    longer[:3, 3] = (0.01, 0.02, 0.25)
    read = reader(Errors)
    kinematics = Kinematics()
    kinematics.place(np.array(HOME))
    for T_flange_ee in (None, flange, longer, flange):
        assert np.allclose(read(state(T_flange_ee=T_flange_ee)).T_base_ee, kinematics.T_base_ee(), atol=1e-9)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("Idle", "idle"),
        ("kMove", "moving"),
        ("kUserStopped", "user_stopped"),
        ("Guiding", "guiding"),
        ("kOther", "other"),
    ],
)
def test_modes_go_by_the_same_names_with_all_clients(mode: str, expected: str) -> None:
    assert reader(Errors)(state(mode)).state == expected
