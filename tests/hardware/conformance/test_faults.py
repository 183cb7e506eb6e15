"""What every arm does when something goes wrong; never on a real one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hardware.arm import Arm, ArmError, Command
from hardware.fake_fci import FakeArm
from hardware.process import ClientArm
from hardware.recovery import COMMUNICATION
from tests.hardware.conformance.conftest import PERIOD, Rig, fake_arm, follow, turn

pytestmark = pytest.mark.simulated_only


def keep_going(arm: Arm, seconds: float = 2.0) -> ArmError:
    """Command until the arm says that it has stopped."""
    for _ in range(round(seconds / PERIOD)):
        try:
            seen = arm.observe()
            arm.command(Command("joint_velocity", turn(6, 0.1)(seen), seen.received))
            arm.wait(PERIOD)
        except ArmError as error:
            return error
    raise AssertionError("the arm has gone on")


def test_a_push_is_felt_with_its_force_and_direction(rig: Rig) -> None:
    rig.arm.start()
    rig.push((6.0, 0.0, 12.0), seconds=1.0)
    seen = follow(rig.arm, "joint_velocity", turn(6, 0.0), 0.36)
    assert seen.state == "moving"
    assert seen.external_wrench[:3] == pytest.approx([6.0, 0.0, 12.0], abs=1.5)
    rig.arm.stop("hard")


def test_contact_stops_it_and_only_a_person_lets_it_go_on(rig: Rig) -> None:
    arm = rig.arm
    arm.start()
    follow(arm, "joint_velocity", turn(6, 0.1), 0.08)
    rig.push((0.0, 0.0, 90.0), seconds=0.15)
    error = keep_going(arm)
    assert not error.recoverable
    assert {"joint_reflex", "cartesian_reflex"} & set(error.errors)
    seen = arm.observe()
    assert seen.state == "reflex"
    assert seen.errors == error.errors
    with pytest.raises(ArmError, match="is reflex"):
        arm.start()
    with pytest.raises(ArmError, match="a person must look first"):
        arm.recover()
    assert arm.observe().state == "reflex"
    arm.wait(0.2)
    arm.recover(by_person=True)
    assert arm.observe().state == "idle"
    arm.start()
    assert follow(arm, "joint_velocity", turn(6, 0.1), 0.12).state == "moving"
    arm.stop()


def test_a_person_who_stops_it_is_not_overruled(rig: Rig) -> None:
    arm = rig.arm
    arm.start()
    follow(arm, "joint_velocity", turn(6, 0.1), 0.08)
    release = rig.press_user_stop(0.2)
    error = keep_going(arm)
    assert not error.recoverable
    assert arm.observe().state == "user_stopped"
    for by_person in (False, True):
        with pytest.raises(ArmError, match="release the external activation device"):
            arm.recover(by_person)
    with pytest.raises(ArmError):
        arm.start()
    release()
    arm.wait(0.01)
    arm.start()
    assert follow(arm, "joint_velocity", turn(6, 0.1), 0.08).state == "moving"
    arm.stop()


def test_a_few_lost_commands_do_not_stop_it(rig: Rig) -> None:
    rig.arm.start()
    rig.lose(0.05, seconds=1.0)
    seen = follow(rig.arm, "joint_velocity", turn(6, 0.2), 0.4)
    assert seen.state == "moving"
    assert 0.8 < seen.success_rate < 1.0
    rig.arm.stop()
    assert rig.arm.observe().state == "idle"


def test_too_many_lost_in_a_row_stop_it_and_are_forgiven_once(fresh_rig: Rig) -> None:
    arm = fresh_rig.arm
    for attempt in range(2):
        arm.start()
        follow(arm, "joint_velocity", turn(6, 0.2), 0.08)
        fresh_rig.lose(1.0, seconds=0.06)
        error = keep_going(arm)
        assert error.errors == (COMMUNICATION,)
        assert error.recoverable == (attempt == 0)
        if attempt == 0:
            arm.wait(0.1)
            arm.recover()
            assert arm.observe().state == "idle"
    with pytest.raises(ArmError, match="a person must look first"):
        arm.recover()


@pytest.mark.processes_only
def test_a_controller_that_dies_is_told_at_once(fresh_rig: Rig) -> None:
    arm, fake = fresh_rig.arm, fresh_rig.fake
    assert fake is not None
    arm.start()
    follow(arm, "joint_velocity", turn(6, 0.1), 0.08)
    fake.close()
    begun = time.monotonic()
    assert keep_going(arm).recoverable is False
    assert time.monotonic() - begun < 5.0
    arm.close()


@pytest.mark.processes_only
def test_a_client_that_is_killed_is_told_at_once_and_the_arm_stops(fresh_rig: Rig) -> None:
    arm = fresh_rig.arm
    assert isinstance(arm, ClientArm)
    arm.start()
    follow(arm, "joint_velocity", turn(6, 0.2), 0.16)
    arm._child.process.kill()
    arm._child.process.wait()
    begun = time.monotonic()
    with pytest.raises(ArmError, match="ended, exit status -9"):
        arm.observe()
    with pytest.raises(ArmError, match="ended"):
        arm.command(Command("joint_velocity", np.zeros(7), 0.0))
    assert time.monotonic() - begun < 0.5
    assert fresh_rig.fake is not None
    comes_to_rest(fresh_rig.fake)
    arm.close()


COMMANDER = """
import os, sys
sys.path.insert(0, sys.argv[3])
import numpy as np
from hardware import ARMS
from hardware.arm import Command
from robot_learn.registry import load
arm = load(ARMS, sys.argv[1], kind="arm")(sys.argv[2], synchronous=True, gripper=False)
arm.start()
for _ in range(4):
    arm.command(Command("joint_velocity", 0.2 * np.eye(7)[6], arm.observe().received))
    arm.wait(0.04)
print("moving", flush=True)
sys.stdin.read()
"""


@pytest.mark.processes_only
def test_it_stops_smoothly_when_its_commander_is_killed(backend: str) -> None:
    with fake_arm(backend) as fake:
        root = str(Path(__file__).parents[3])
        words = [sys.executable, "-c", COMMANDER, backend, fake.address, root]
        commander = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert commander.stdout is not None
        assert commander.stdout.readline() == b"moving\n"
        assert fake.state()["mode"] == "move"
        os.kill(commander.pid, signal.SIGKILL)
        commander.wait()
        comes_to_rest(fake)
        deadline = time.monotonic() + 5.0
        while fake.state()["connected"] and time.monotonic() < deadline:
            time.sleep(0.01)
        state = fake.state()
        assert (state["mode"], state["errors"], state["last_errors"], state["connected"]) == ("idle", [], [], False)


def comes_to_rest(fake: FakeArm) -> None:
    """Wait until the arm stands still and follows nobody."""
    begun = time.monotonic()
    while (state := fake.state())["mode"] == "move" or np.abs(state["dq"]).max() > 1e-2:
        assert time.monotonic() - begun < 5.0, state
        time.sleep(0.01)
