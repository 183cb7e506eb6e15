"""The process beside ours, with a client that needs no arm."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hardware.arm import Arm, ArmError, Command
from hardware.limits import Envelope
from hardware.process import Backend, ClientArm, open_arm
from robot_learn.errors import UserError
from tests.hardware.toy_client import half

TOY = Backend("toy", "numpy", "tests.hardware.toy_client:ToyClient", "tests.hardware.toy_client:ToyHand", "fr3")


def open_toy(host: str = "here", **settings: Any) -> ClientArm:
    return open_arm(TOY, host, **{"gripper": False, "synchronous": True, **settings})


def turn(arm: Arm, seconds: float, speed: float = 0.2) -> None:
    for _ in range(round(seconds / 0.04)):
        seen = arm.observe()
        assert arm.command(Command("joint_velocity", speed * np.eye(7)[6], seen.received)).refused == ""
        arm.wait(0.04)


def keep_turning(arm: ClientArm) -> None:
    while True:
        arm.command(Command("joint_velocity", 0.2 * np.eye(7)[6], arm.now()))
        arm.wait(0.02)


def until(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.002)
    return condition()


def test_every_tick_is_kept_once_and_shows_what_was_sent() -> None:
    with open_toy() as arm:
        arm.start()
        arm.ticks()
        turn(arm, 0.4)
        ticks = arm.ticks()
        assert (np.diff(ticks["sequence"].astype(int)) == 1).all()
        assert len(ticks) == 400
        assert ticks["dq_sent"][-1, 6] == pytest.approx(0.2)
        # The toy follows perfectly: where it is at a tick is the sum of what was sent before.
        assert np.allclose(np.diff(ticks["q"][:, 6]), 0.001 * ticks["dq_sent"][:-1, 6], atol=1e-12)
        assert np.abs(np.diff(ticks["dq_sent"], axis=0)).max() <= 0.005 + 1e-9  # half of the published 10 rad/s^2
        assert len(arm.ticks()) == 0


def test_a_silent_commander_is_told_by_the_host_s_clock_too() -> None:
    with open_toy(synchronous=False) as arm:
        arm.start()
        turn(arm, 0.12)
        assert until(lambda: arm.observe().state == "idle", 3.0)
        with pytest.raises(ArmError, match=r"no command came for 0\.4 s"):
            arm.command(Command("joint_velocity", np.zeros(7), arm.now()))


def test_a_learned_filter_runs_beside_the_arm() -> None:
    with open_toy(learned_filter=half, envelope=replace(Envelope(), filter_time=0.1)) as arm:
        arm.start()
        turn(arm, 0.4)
        ticks = arm.ticks()
        assert ticks["dq_sent"][-1, 6] == pytest.approx(0.1)
        assert b"filter" in ticks["limited"][-1]


def test_without_the_heartbeat_that_it_needs_it_holds() -> None:
    with open_toy(needs_heartbeat=True) as arm:
        arm.start()
        arm.beat()
        turn(arm, 0.2)
        assert arm.ticks()["dq_sent"][-1, 6] == pytest.approx(0.2)
        turn(arm, 0.32)
        held = arm.ticks()
        assert held["dq_sent"][-1, 6] == 0.0
        assert held["limited"][-1] == b"heartbeat"
        arm.beat()
        turn(arm, 0.2)
        assert arm.ticks()["dq_sent"][-1, 6] == pytest.approx(0.2)


def test_a_reflex_is_told_once_with_its_name_and_stays_until_a_person_has_looked() -> None:
    with open_toy("reflex") as arm:
        arm.start()
        with pytest.raises(ArmError, match="the toy was touched"):
            turn(arm, 0.4)
        assert arm.observe().errors == ("joint_reflex",)
        with pytest.raises(ArmError, match="a person must look first"):
            arm.recover()
        arm.recover(by_person=True)
        assert arm.observe().state == "idle"


def test_two_reflexes_within_ten_seconds_call_for_a_person() -> None:
    with open_toy("reflex") as arm:
        for _ in range(2):
            arm.start()
            with pytest.raises(ArmError, match="touched"):
                turn(arm, 0.4)
            arm.recover(by_person=True)  # who looks each time may go on
        arm.start()


def test_it_stops_from_another_thread() -> None:
    with open_toy(synchronous=False) as arm:
        arm.start()
        stopper = threading.Timer(0.15, arm.stop)
        stopper.start()
        with pytest.raises(ArmError, match="start it first"):
            keep_turning(arm)
        stopper.join()
        assert arm.observe().state == "idle"


def test_a_stop_counts_however_soon_it_comes_after_the_start() -> None:
    with open_toy(synchronous=False) as arm:
        for _ in range(5):
            arm._child.pipe.send(("start", None))
            arm.stop()
            assert arm._child.pipe.recv() == ("answer", None)
            assert until(lambda: arm.observe().state == "idle", 1.0)


def test_what_moves_already_is_not_started_nor_recovered() -> None:
    with open_toy() as arm:
        arm.start()
        for refused in (arm.start, arm.recover):
            with pytest.raises(ArmError, match="it is moving; stop it first"):
                refused()
        turn(arm, 0.08)


def test_a_process_that_hangs_is_told_and_ended() -> None:
    arm = open_toy(synchronous=False)
    arm.start()
    turn(arm, 0.08)
    os.kill(arm._child.process.pid, signal.SIGSTOP)
    with pytest.raises(ArmError, match="has not looked at a command"):
        arm.command(Command("joint_velocity", np.zeros(7), arm.now()))
    time.sleep(1.0)
    with pytest.raises(ArmError, match="nothing has come from the arm for 1 s"):
        arm.observe()
    arm._child.process.kill()
    arm.close()
    assert not arm._child.alive


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_its_process_leaves_no_arm_moving(number: signal.Signals) -> None:
    arm = open_toy(synchronous=False)
    arm.start()
    turn(arm, 0.12)
    os.kill(arm._child.process.pid, number)
    until(lambda: not arm._child.alive, 0.5)
    arm.close()
    ticks = arm.ticks()
    moving = ticks["dq_sent"][:, 6]
    assert moving.max() > 0.1
    assert moving[-1] == 0.0
    assert np.abs(np.diff(moving)).max() <= 0.02


def test_what_cannot_be_reached_says_so_and_leaves_nothing_behind() -> None:
    with pytest.raises(ArmError, match="nobody answers"):
        open_toy("deaf")
    with pytest.raises(ArmError, match="nobody answers"):
        open_toy("deaf", gripper=True)


def test_an_arm_without_a_gripper_is_one_without_a_gripper() -> None:
    backend = replace(TOY, hand="tests.hardware.toy_client:no_hand")
    with open_arm(backend, "here", synchronous=True) as arm:
        assert not arm.spec.gripper
        assert arm.observe().gripper is None
        arm.start()
        assert arm.command(Command("joint_velocity", np.zeros(7), arm.now(), opening=0.02)).opening is None


def test_the_gripper_s_newest_wish_interrupts_the_one_before() -> None:
    with open_toy(gripper=True) as arm:

        def opening() -> float:
            gripper = arm.observe().gripper
            assert gripper is not None
            return gripper.opening

        arm.start()
        for wanted in (0.02, 0.07):
            arm.command(Command("joint_velocity", np.zeros(7), arm.now(), opening=wanted))
            arm.wait(0.04)
            time.sleep(0.15)
        assert until(lambda: opening() == pytest.approx(0.07, abs=1e-3))
        arm.command(Command("joint_velocity", np.zeros(7), arm.now(), opening=0.0))

        def grasped() -> bool:
            gripper = arm.observe().gripper
            return gripper is not None and gripper.grasped

        assert until(grasped)
        assert opening() == pytest.approx(0.03, abs=1e-3)
        for wanted in (0.004, 0.02, 0.0):  # no reason to let go
            arm.command(Command("joint_velocity", np.zeros(7), arm.now(), opening=wanted))
            arm.wait(0.04)
            time.sleep(0.05)
            assert grasped()
        arm.command(Command("joint_velocity", np.zeros(7), arm.now(), opening=0.06))
        assert until(lambda: opening() > 0.055)


def test_a_client_that_is_not_installed_is_named() -> None:
    with pytest.raises(UserError, match=r"toy:// needs the package 'not_there'.*robot-learn\[franka\]"):
        open_arm(replace(TOY, package="not_there"), "here")
    with pytest.raises(UserError, match="wanted the host"):
        open_arm(TOY, "")


def test_a_client_that_does_not_load_says_what_it_wants() -> None:
    with pytest.raises(UserError, match=r"GLIBC_2\.34.*wheels are for Linux on x86-64"):
        open_toy("too new")


COMMANDER = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from tests.hardware.test_process import open_toy, turn
arm = open_toy(synchronous=False)
arm.start()
turn(arm, 0.08)
if os.fork() == 0:  # it has the commander's end of the pipe, too
    os.close(1)
    time.sleep(20)
print(arm._child.process.pid, flush=True)
time.sleep(20)
"""


def test_the_process_ends_with_its_commander_even_if_that_has_forked() -> None:
    root = str(Path(__file__).parents[2])
    commander = subprocess.Popen(
        [sys.executable, "-c", COMMANDER, root], stdout=subprocess.PIPE, start_new_session=True
    )
    assert commander.stdout is not None
    process = int(commander.stdout.readline())
    os.kill(commander.pid, signal.SIGKILL)
    assert until(lambda: has_ended(process))
    os.killpg(commander.pid, signal.SIGKILL)
    commander.wait()


def has_ended(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_what_cannot_be_sent_to_the_process_is_said() -> None:
    with pytest.raises(UserError, match="cannot be sent"):
        open_toy(learned_filter=lambda q, wanted: wanted)


def test_no_two_clients_are_imported_into_our_own_process() -> None:
    root = str(Path(__file__).parents[2])
    program = (
        f"import sys; sys.path.insert(0, {root!r})\n"
        "import hardware.libfranka, hardware.franky, hardware.panda\n"
        "print([name for name in ('pylibfranka', 'franky', 'panda_py') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
