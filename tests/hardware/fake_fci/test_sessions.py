"""Whole conversations in every version of the protocol: connect, set, move, stop, fail, recover, leave."""

from __future__ import annotations

import socket
import struct
import time
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest

from hardware.fake_fci.messages import VERSIONS
from robot_learn.franka import FR3, HOME
from tests.hardware.fake_fci.client import IDENTITY, IDLE, MOVE, REFLEX, Client, GoneError
from tests.hardware.fake_fci.conftest import Connect, Start

OLD = 5  # its statuses have other numbers


def number(version: int, new: int, old: int) -> int:
    return old if version == OLD else new


def rise(tick: int, ticks: int) -> float:
    """From 0 to 1 and from rest to rest."""
    return float((1 - np.cos(np.pi * tick / (ticks - 1))) / 2)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_of_each_version_connects_reads_moves_and_leaves(version: int, connect: Connect) -> None:
    client = connect(version)
    assert client.connected == (0, version)
    state = client.fresh()
    assert (state.robot_mode, state.motion_generator_mode, state.controller_mode) == (IDLE, 0, 3)
    np.testing.assert_allclose(state.q, HOME, atol=1e-6)
    np.testing.assert_array_equal(state.O_ddP_O, np.array([0, 0, -9.81], "f4" if version == 10 else "f8"))
    moving = client.move(1)
    states = client.follow(300, lambda tick: {"dq": 0.2 * np.sin(np.pi * tick / 299) ** 2 * np.eye(7)[6]})
    assert client.answer(moving) == b"\0"
    assert {(s.robot_mode, s.motion_generator_mode, s.controller_mode) for s in states[1:]} == {(MOVE, 2, 0)}
    assert {s.control_command_success_rate for s in states[2:]} == {1.0}
    assert client.until(IDLE).q[6] == pytest.approx(HOME[6] + 0.03, abs=2e-3)


@pytest.mark.parametrize("version", VERSIONS)
def test_stop_preempts_a_motion_and_the_arm_comes_to_rest(version: int, connect: Connect) -> None:
    client = connect(version)
    moving = client.move(1)
    client.follow(100, lambda tick: {"dq": 0.3 * rise(tick, 100) * np.eye(7)[0]}, finish=False)
    assert client.status("StopMove") == 0
    assert client.answer(moving) == b"\2"
    assert client.status("SetJointImpedance", "<7d", *[3000.0] * 7) == 0  # requests wait until it is at rest
    np.testing.assert_allclose(client.fresh().dq, 0, atol=1e-2)
    assert client.fresh().robot_mode == IDLE


@pytest.mark.parametrize("version", VERSIONS)
def test_a_jump_is_a_reflex_then_moves_are_refused_until_recovery(version: int, connect: Connect) -> None:
    client = connect(version)
    moving = client.move(1)
    client.follow(50, lambda tick: {"dq": (0.5 if tick == 20 else 0.0) * np.eye(7)[3]}, finish=False)
    assert client.answer(moving)[0] == number(version, 8, 6)
    state = client.until(REFLEX)
    assert [i for i, flag in enumerate(state.errors) if flag] == [14, 15]
    assert state.reflex_reason == state.errors
    assert (state.motion_generator_mode, state.controller_mode) == (0, 3)
    form = "<II6dB7d" if version == 10 else "<II6d"
    refused = client.status("Move", form, 0, 1, *[1.0] * 6, *([0, *[0.0] * 7] if version == 10 else []))
    assert refused == number(version, 5, 3)
    assert client.status("AutomaticErrorRecovery") == 0
    state = client.fresh()
    assert (state.robot_mode, any(state.errors), any(state.reflex_reason)) == (IDLE, False, True)
    again = client.move(1)
    client.follow(5, lambda tick: {})
    assert client.answer(again) == b"\0"
    assert not any(client.fresh().reflex_reason)


@pytest.mark.parametrize("version", VERSIONS)
def test_setters_take_what_makes_sense_and_refuse_the_rest(version: int, connect: Connect) -> None:
    client = connect(version)
    turned = np.diag([1.0, -1.0, -1.0, 1.0])
    turned[:3, 3] = 0.0, 0.0, 0.1
    assert client.status("SetCollisionBehavior", "<52d", *[10.0] * 52) == 0
    assert client.status("SetCollisionBehavior", "<52d", *[20.0] * 7, *[10.0] * 45) == 2
    assert client.status("SetJointImpedance", "<7d", *[-1.0] * 7) == 2
    assert client.status("SetCartesianImpedance", "<6d", *[1000.0] * 3, *[100.0] * 3) == 0
    assert client.status("SetCartesianImpedance", "<6d", *[1000.0] * 6) == 2
    assert client.status("SetGuidingMode", "<7B", *[1] * 7) == 0
    assert client.status("SetLoad", "<13d", 0.5, 0.0, 0.0, 0.1, *np.eye(3).ravel()) == 0
    assert client.status("SetLoad", "<13d", -0.5, *[0.0] * 12) == 2
    before = client.fresh()
    assert client.status("SetNEToEE", "<16d", *turned.T.ravel()) == 0
    assert client.status("SetEEToK", "<16d", *2 * np.array(IDENTITY)) == 2
    assert client.status("SetEEToK", "<16d", *[np.nan] * 16) == 2
    after = client.fresh()
    assert (before.m_load, after.F_x_Cload[2]) == (0.5, pytest.approx(0.1))
    pose = before.O_T_EE.reshape(4, 4).T @ turned
    np.testing.assert_allclose(after.O_T_EE.reshape(4, 4).T, pose, atol=1e-6)
    np.testing.assert_allclose(after.F_T_EE.reshape(4, 4).T, after.F_T_NE.reshape(4, 4).T @ turned, atol=1e-6)
    client.move(1)
    client.follow(3, lambda tick: {}, finish=False)
    assert client.status("SetLoad", "<13d", *[0.0] * 13) == 1


def test_version_5_has_filters_and_cartesian_limits(connect: Connect) -> None:
    client = connect(5)
    assert client.status("SetFilters", "<5d", *[100.0] * 5) == 0
    assert len(client.ask("GetCartesianLimit", "<i", 0)) == 1 + 8 * 19 + 1


@pytest.mark.parametrize("version", [8, 9, 10])
def test_the_robot_model_is_a_urdf_with_this_arms_limits(version: int, connect: Connect) -> None:
    told = connect(version).ask("GetRobotModel")
    assert told[0] == 0
    robot = ET.fromstring(told[1:])
    moving = [joint for joint in robot.iter("joint") if joint.get("type") == "revolute"]
    assert [joint.get("name") for joint in moving] == [f"joint{i}" for i in range(1, 8)]
    for i, joint in enumerate(moving):
        limit, shrink = joint.find("limit"), joint.find("position_based_velocity_limits")
        assert limit is not None
        assert shrink is not None
        assert float(limit.get("upper", 0)) == FR3.upper[i]
        assert float(limit.get("velocity", 0)) == FR3.velocity[i]
        assert FR3.braking is not None
        assert float(shrink.get("deceleration_limit", 0)) == FR3.braking[i]
    assert "link8" in [link.get("name") for link in robot.iter("link")]


def test_another_version_is_told_which_one_there_is(start: Start) -> None:
    arm = start(version=10)
    with Client(arm.address, 5) as client:
        assert client.connected == (1, 10)


def test_a_controller_for_all_versions_takes_each(start: Start) -> None:
    arm = start(version=None)
    for version in VERSIONS:
        with Client(arm.address, version) as client:
            assert client.connected == (0, version)
            assert client.fresh().robot_mode == IDLE


def test_a_second_client_is_turned_away_and_one_that_comes_as_the_first_goes_is_let_in(start: Start) -> None:
    arm = start()
    with Client(arm.address) as first:
        assert first.fresh().robot_mode == IDLE
        with pytest.raises(OSError, match="reset"):
            Client(arm.address)
        assert first.fresh().robot_mode == IDLE
    with Client(arm.address) as second:
        assert second.fresh().robot_mode == IDLE


@pytest.mark.parametrize(
    "nonsense",
    [b"\0" * 64, b"GET / HTTP/1.1\r\n\r\n", struct.pack("<III", 0, 0, 2**31), struct.pack("<IIIHH", 1, 0, 16, 10, 1)],
)
def test_what_is_not_the_protocol_is_disconnected_and_harms_nobody(nonsense: bytes, start: Start) -> None:
    arm = start()
    with socket.create_connection((arm.address, 1337), 5.0) as stranger:
        stranger.sendall(nonsense)
        assert stranger.recv(100) in (b"",)
    with Client(arm.address) as client:
        assert client.fresh().robot_mode == IDLE


def test_requests_that_come_at_once_or_in_pieces_are_all_answered(connect: Connect) -> None:
    client = connect()
    numbers = [client.send("SetJointImpedance", "<7d", *[1000.0] * 7) for _ in range(3)]
    assert [client.answer(number) for number in numbers] == [b"\0"] * 3
    whole = struct.pack("<III7d", 4, 77, 68, *[1000.0] * 7)
    client.tcp.sendall(whole[:20])
    client.fresh()
    client.tcp.sendall(whole[20:])
    assert client.answer(77) == b"\0"


def test_a_client_that_closes_during_a_motion_leaves_the_arm_at_rest(connect: Connect) -> None:
    client = connect()
    arm = client.arm  # type: ignore[attr-defined]
    client.move(1)
    client.follow(100, lambda tick: {"dq": 0.3 * rise(tick, 100) * np.eye(7)[0]}, finish=False)
    client.close()
    until = time.monotonic() + 5.0
    state = arm.state()
    while time.monotonic() < until and (state["connected"] or max(map(abs, state["dq"])) > 1e-3):
        state = arm.state()
    assert (state["mode"], state["generator"]) == ("idle", None)
    assert max(map(abs, state["dq"])) < 1e-3


@pytest.mark.parametrize(("version", "generator"), [(10, 4), (7, 4), (6, 1), (5, 1)])
def test_torques_are_followed_and_a_jump_of_more_than_1_Nm_in_a_tick_is_a_reflex(
    version: int, generator: int, connect: Connect
) -> None:
    client = connect(version)
    moving = client.move(generator, 2)
    states = client.follow(200, lambda tick: {"tau": 0.3 * np.sin(np.pi * tick / 199) * np.eye(7)[6]})
    assert client.answer(moving) == b"\0"
    assert states[100].tau_J_d[6] == pytest.approx(0.3, abs=1e-2)
    assert client.until(IDLE).q[6] > HOME[6] + 0.005
    moving = client.move(generator, 2)
    client.follow(20, lambda tick: {"tau": (1.5 if tick > 5 else 0.0) * np.eye(7)[6]}, finish=False)
    assert client.answer(moving)[0] == number(version, 8, 6)
    assert [i for i, flag in enumerate(client.until(REFLEX).errors) if flag] == [32]


@pytest.mark.parametrize("request_of", [(0, 7), (9, 1), (3, 1), (0, 4), (2, 9)])
def test_a_motion_of_no_known_kind_is_an_invalid_argument(request_of: tuple[int, int], connect: Connect) -> None:
    controller, generator = request_of
    assert connect().status("Move", "<II6dB7d", controller, generator, *[1.0] * 6, 0, *[0.0] * 7) == 7


def test_in_lockstep_the_same_commands_give_the_same_states_to_the_bit(connect: Connect) -> None:
    def run() -> list[Any]:
        client = connect()
        client.move(1)
        states = client.follow(200, lambda tick: {"dq": 0.2 * np.sin(np.pi * tick / 199) * np.arange(7) / 7})
        return [(s.q.tolist(), s.tau_J.tolist(), s.O_T_EE.tolist()) for s in states[1:]]

    first, second = run(), run()
    assert len(first) == 199
    assert first == second


def test_the_arm_waits_for_its_client_in_lockstep(connect: Connect) -> None:
    client = connect()
    client.move(1)
    states = client.follow(50, lambda tick: {}, finish=False)
    before = states[-1].message_id
    state = client.state()
    client.timeout = 0.2
    with pytest.raises(TimeoutError):
        client.state()
    assert state.message_id == before + 1


def test_a_closed_arm_lets_its_address_go(start: Start) -> None:
    arm = start()
    client = Client(arm.address)
    client.state()
    arm.close()
    arm.close()
    with pytest.raises((GoneError, OSError)):
        client.ask("StopMove")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((arm.address, 1337), 1.0)
    with arm, Client(arm.address) as again:
        assert again.fresh().robot_mode == IDLE
