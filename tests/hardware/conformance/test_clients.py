"""What is the clients' own: how they connect, and what repeats to the bit."""

from __future__ import annotations

import copy
import time
from dataclasses import replace

import numpy as np
import pytest

from hardware import ARMS
from hardware.arm import ArmError, Command
from hardware.fake_fci import FakeArm
from hardware.fake_fci.urdf import urdf
from hardware.franky import as_told
from hardware.limits import Envelope
from hardware.process import ClientArm
from robot_learn.franka import FR3, HOME
from robot_learn.registry import load
from tests.hardware.conformance.conftest import (
    CLIENTS,
    close_rig,
    fake_arm,
    follow,
    free_address,
    model,
    open_rig,
    turn,
)

pytestmark = [pytest.mark.simulated_only, pytest.mark.processes_only]


def test_where_nobody_answers_it_says_so(backend: str) -> None:
    with pytest.raises(ArmError, match=r"(?i)connect"):
        load(ARMS, backend, kind="arm")(free_address(), gripper=False)


def test_a_controller_of_another_version_is_refused_with_both_numbers(backend: str) -> None:
    other = 7 if CLIENTS[backend][1] == 10 else 10
    with (
        FakeArm(copy.copy(model("fr3")), host=free_address(), version=other) as fake,
        pytest.raises(ArmError, match=rf"(?i)version.*{other}"),
    ):
        load(ARMS, backend, kind="arm")(fake.address, gripper=False)


def test_the_arm_s_own_thresholds_are_set_when_it_is_connected(backend: str) -> None:
    envelope = replace(Envelope(), collision_torque=17.0, collision_force=23.0)
    with fake_arm(backend) as fake, load(ARMS, backend, kind="arm")(fake.address, gripper=False, envelope=envelope):
        collisions = fake.control.collisions
        told = [np.unique(value).tolist() for value in vars(collisions).values() if isinstance(value, np.ndarray)]
        assert [17.0] in told or [17.0, 23.0] in told, vars(collisions)


@pytest.mark.parametrize("client", ["fci", "panda"])  # franky's loop meets a setpoint a tick earlier or later
def test_in_lockstep_the_same_commands_give_the_same_motion_to_the_bit(client: str) -> None:
    rig = open_rig(client, gripper=False)

    def motion() -> np.ndarray:
        rig.begin()
        rig.arm.start()
        time.sleep(float(rng.uniform(0, 0.01)))  # how long anybody takes makes no difference
        follow(rig.arm, "joint_velocity", turn(6, 0.2), 0.08)
        follow(rig.arm, "twist", lambda _: np.array([0.02, 0, 0.03, 0, 0, 0]), 0.08)
        rig.arm.stop()
        assert isinstance(rig.arm, ClientArm)
        ticks = rig.arm.ticks()
        return np.asarray(ticks[ticks["following"]][["q", "dq_sent", "torques"]])

    rng = np.random.default_rng(0)
    motion()
    assert np.array_equal(motion(), motion())
    close_rig(rig)


def hang(q: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """A learned filter that hangs once the arm moves."""
    if q[6] > HOME[6] + 0.015:
        time.sleep(30.0)
    return wanted


def test_franky_brings_the_arm_to_rest_when_setpoints_stop_coming() -> None:
    envelope = replace(Envelope(), filter_time=0.1, command_period=0.5)
    with fake_arm("franky") as fake:
        arm = load(ARMS, "franky", kind="arm")(fake.address, gripper=False, envelope=envelope, learned_filter=hang)
        try:
            arm.start()
            with pytest.raises(ArmError, match=r"has not looked at a command|clock has stopped"):
                keep_turning(arm)
            deadline = time.monotonic() + 5.0
            while (state := fake.state())["mode"] == "move":  # until its motion has ended by itself
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert (state["mode"], state["last_errors"]) == ("idle", [])
            assert np.abs(state["dq"]).max() < 0.01
            assert state["q"][6] > HOME[6] + 0.015
        finally:
            arm._child.process.kill()
            arm.close()


def keep_turning(arm: ClientArm) -> None:
    for _ in range(1000):
        arm.command(Command("joint_velocity", 0.3 * np.eye(7)[6], arm.now()))
        arm.wait(0.01)


def test_the_limits_are_the_narrower_ones_of_the_published_and_the_arm_s_own() -> None:
    assert np.array_equal(as_told(FR3, urdf(FR3, "fr3")).upper, FR3.upper)
    older = replace(FR3, upper=FR3.upper - 0.1, lower=FR3.lower - 0.1, velocity=0.5 * FR3.velocity)
    told = as_told(FR3, urdf(older, "fr3"))
    assert np.allclose(told.upper, FR3.upper - 0.1)
    assert np.allclose(told.lower, FR3.lower)
    assert np.allclose(told.velocity, 0.5 * FR3.velocity)
    assert as_told(FR3, "<robot name='other'/>") is FR3


def test_an_arm_is_opened_by_its_scheme(backend: str) -> None:
    with open_rig(backend, gripper=False).arm as arm:
        assert arm.spec.address.startswith(f"{backend}://127.")
        assert not arm.spec.gripper
