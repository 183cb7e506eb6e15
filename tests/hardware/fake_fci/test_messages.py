"""The wire format, byte by byte, against the published layout typed in again in tests/hardware/fake_fci/client.py."""

from __future__ import annotations

import numpy as np
import pytest

from hardware.fake_fci.errors import ERRORS, status, statuses
from hardware.fake_fci.messages import REQUESTS, VERSIONS, StateMessage, command_type, payload, state_type
from hardware.fake_fci.udp import parse
from tests.hardware.fake_fci.client import BYTES, COMMANDS, OFFSETS

# Whole requests with their header of 12 bytes.
SIZES = {
    "Connect": 16,
    "StopMove": 12,
    "AutomaticErrorRecovery": 12,
    "GetRobotModel": 12,
    "SetCollisionBehavior": 428,
    "SetJointImpedance": 68,
    "SetCartesianImpedance": 60,
    "SetGuidingMode": 19,
    "SetEEToK": 140,
    "SetNEToEE": 140,
    "SetLoad": 116,
    "SetFilters": 52,
    "GetCartesianLimit": 16,
    "LoadModelLibrary": 14,
}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_state_has_its_size_and_every_field_its_place(version: int) -> None:
    found = state_type(version)
    assert found.itemsize == (1377 if version == 10 else 2373)
    column = 0 if version == 10 else 1
    assert found.fields is not None
    places = {name: found.fields[name][1] for name in found.names or ()}
    for name, offsets in {**OFFSETS, **BYTES}.items():
        assert places[name] == offsets[column], name
    accelerometers = {"accelerometer_top": 1144, "accelerometer_bottom": 1216} if version == 10 else {}
    assert {name: place for name, place in places.items() if name.startswith("acc")} == accelerometers
    assert set(places) == {"message_id", *OFFSETS, *BYTES, *accelerometers}


@pytest.mark.parametrize("version", VERSIONS)
def test_numbers_of_a_state_are_single_since_version_10_and_double_before(version: int) -> None:
    message = StateMessage(version)
    message.fields["q"][:] = np.arange(7)
    message.fields["message_id"][...] = 2**40
    kind, first = ("<f4", 596) if version == 10 else ("<f8", 1184)
    np.testing.assert_array_equal(np.frombuffer(message.bytes, kind, 7, first), np.arange(7))
    assert int.from_bytes(message.bytes[:8], "little") == 2**40


@pytest.mark.parametrize("version", VERSIONS)
def test_a_command_has_its_size_and_every_field_its_place(version: int) -> None:
    found = command_type(version)
    assert found.itemsize == (371 if version >= 7 else 370)
    assert found.fields is not None
    places = [found.fields[name][1] for name in found.names or ()]
    assert places == [0, 8, 64, 120, 248, 296, 312, 313, 314, 370][: 10 if version >= 7 else 9]


@pytest.mark.parametrize("version", VERSIONS)
def test_requests_have_their_numbers_and_sizes(version: int) -> None:
    assert " ".join(REQUESTS[version]) == COMMANDS[version]
    for name in REQUESTS[version]:
        size = SIZES[name] if name != "Move" else (125 if version == 10 else 68)
        assert 12 + payload(name, version).size == size, name


def test_statuses_have_their_numbers() -> None:
    assert statuses("Move", 5)[:4] == ("success", "motion_started", "preempted", "not_possible")
    assert status("Move", "reflex", 5) == 6
    assert status("Move", "reflex", 10) == 8
    assert status("Move", "not_possible", 10) == 5
    assert status("Move", "invalid_argument", 10) == 7
    assert (status("Move", "aborted", 5), status("Move", "aborted", 6)) == (9, 11)
    assert (status("StopMove", "aborted", 5), status("StopMove", "aborted", 6)) == (4, 5)
    assert (status("AutomaticErrorRecovery", "manual", 5), status("AutomaticErrorRecovery", "manual", 6)) == (2, 3)
    assert status("SetLoad", "invalid_argument", 10) == 2
    assert statuses("GetRobotModel", 10) == ("success", "not_possible", "safety")
    assert statuses("SetLoad", 5) == ("success", "not_possible", "invalid_argument")


def test_there_are_41_errors_and_the_documented_ones_are_in_their_places() -> None:
    assert len(ERRORS) == len(set(ERRORS)) == 41
    known = {
        2: "self_collision_avoidance_violation",
        3: "joint_velocity_violation",
        6: "joint_reflex",
        7: "cartesian_reflex",
        12: "joint_motion_generator_position_limits_violation",
        13: "joint_motion_generator_velocity_limits_violation",
        14: "joint_motion_generator_velocity_discontinuity",
        15: "joint_motion_generator_acceleration_discontinuity",
        25: "communication_constraints_violation",
        26: "power_limit_violation",
        32: "controller_torque_discontinuity",
        34: "tau_j_range_violation",
    }
    assert {place: ERRORS[place] for place in known} == known


def test_a_datagram_of_another_size_is_no_command() -> None:
    assert parse(bytes(370), 10) is None
    assert parse(bytes(371), 6) is None
    assert parse(bytes(370), 6) is not None
    assert parse(b"", 10) is None
