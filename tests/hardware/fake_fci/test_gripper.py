"""The hand over its port: what it is told, when it answers, what it holds."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import mujoco
import numpy as np
import pytest

from robot_learn.franka import HOME
from sims.franka import world
from sims.franka.arm import THING_BITS
from sims.franka.physical import with_torques
from tests.hardware.fake_fci.conftest import Start

SUCCESS, FAIL, UNSUCCESSFUL, ABORTED = range(4)
CONNECT, HOMING, GRASP, MOVE, STOP = range(5)


class Hand:
    """A client of the hand in plain sockets."""

    def __init__(self, host: str, version: int = 3) -> None:
        self.tcp = socket.create_connection((host, 1338), 10.0)
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.udp.settimeout(5.0)
        self._number = 0
        number = self.send(CONNECT, "<HH", version, self.udp.getsockname()[1])
        self.connected = struct.unpack("<HH", self.answer(number))

    def send(self, command: int, form: str = "<", *numbers: float) -> int:
        payload = struct.pack(form, *numbers)
        self._number += 1
        self.tcp.sendall(struct.pack("<HII", command, self._number, 10 + len(payload)) + payload)
        return self._number

    def _read(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            found += self.tcp.recv(size - len(found)) or pytest.fail("the connection was closed")
        return found

    def answer(self, number: int) -> bytes:
        _, told, size = struct.unpack("<HII", self._read(10))
        assert told == number
        return self._read(size - 10)

    def ask(self, command: int, form: str = "<", *numbers: float) -> int:
        return int(struct.unpack("<H", self.answer(self.send(command, form, *numbers)))[0])

    def state(self) -> tuple[int, float, float, bool, int]:
        """Number, opening, largest opening, grasped, temperature: the next that comes."""
        self.udp.setblocking(False)
        try:
            while True:
                self.udp.recv(64)
        except BlockingIOError:
            self.udp.settimeout(5.0)
        datagram = self.udp.recv(64)
        assert len(datagram) == 23
        return struct.unpack("<IddBH", datagram)

    @property
    def opening(self) -> float:
        return self.state()[1]

    def close(self) -> None:
        self.tcp.close()
        self.udp.close()


@pytest.fixture
def hand(start: Start) -> Iterator[Callable[..., Hand]]:
    with ExitStack() as stack:

        def make(**settings: object) -> Hand:
            made = Hand(start(**settings).address)
            stack.callback(made.close)
            return made

        yield make


def test_the_hand_moves_to_an_opening_and_answers_when_it_is_there(hand: Callable[..., Hand]) -> None:
    client = hand()
    assert client.connected == (0, 3)
    for opening in (0.06, 0.07):
        assert client.ask(MOVE, "<2d", opening, 0.2) == SUCCESS
        assert client.opening == pytest.approx(opening, abs=2e-3)
    assert client.state()[2] == pytest.approx(0.08)
    assert not client.state()[3]
    assert client.state()[0] < client.state()[0]


def test_what_cannot_be_is_a_failure(hand: Callable[..., Hand]) -> None:
    client = hand()
    for numbers in ((0.2, 0.1), (-0.01, 0.1), (0.05, 0.0), (np.nan, 0.1)):
        assert client.ask(MOVE, "<2d", *numbers) == FAIL
    assert client.ask(9) == FAIL
    assert client.ask(MOVE, "<d", 0.05) == FAIL


def test_another_version_is_refused_with_ours(start: Start) -> None:
    client = Hand(start().address, 2)
    assert client.connected == (1, 3)
    client.close()


def test_stop_aborts_a_motion_and_the_fingers_stay(hand: Callable[..., Hand]) -> None:
    client = hand()
    assert client.ask(MOVE, "<2d", 0.08, 0.2) == SUCCESS
    moving = client.send(MOVE, "<2d", 0.0, 0.02)
    for _ in range(3):
        client.state()
    stopping = client.send(STOP)
    assert struct.unpack("<H", client.answer(moving)) == (ABORTED,)
    assert struct.unpack("<H", client.answer(stopping)) == (SUCCESS,)
    assert 0.02 < client.opening < 0.08


def block() -> tuple[mujoco.MjModel, mujoco.MjData]:
    """An arm at home with a block of 4 cm, fixed in the air, between its open fingers."""
    spec = world.table_world()
    geom = spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, pos=[0.3069, 0.0, 0.4869], size=[0.01, 0.02, 0.01])
    geom.contype, geom.conaffinity = THING_BITS
    model = spec.compile()
    with_torques(model)
    data = mujoco.MjData(model)
    data.qpos[:7] = HOME
    world.open_gripper(data)
    return model, data


def test_a_grasp_ends_at_contact_and_succeeds_only_at_the_expected_opening(hand: Callable[..., Hand]) -> None:
    model, data = block()
    client = hand(model=model, data=data)
    assert client.ask(GRASP, "<5d", 0.04, 0.005, 0.005, 0.2, 30.0) == SUCCESS
    _, opening, _, grasped, _ = client.state()
    assert grasped
    assert opening == pytest.approx(0.04, abs=2e-3)
    assert client.ask(MOVE, "<2d", 0.08, 0.2) == SUCCESS
    assert not client.state()[3]
    assert client.ask(GRASP, "<5d", 0.01, 0.005, 0.005, 0.2, 30.0) == UNSUCCESSFUL
    assert not client.state()[3]


def test_a_grasp_presses_with_the_force_that_was_asked_for(start: Start) -> None:
    model, data = block()
    fake = start(model=model, data=data)
    client = Hand(fake.address)
    for force in (20.0, 60.0):
        assert client.ask(GRASP, "<5d", 0.04, 0.005, 0.005, 0.2, force) == SUCCESS
        pressed = fake.call(lambda: abs(float(data.actuator("gripper").force[0])))
        assert pressed == pytest.approx(force, rel=0.05)
    client.close()


def test_homing_closes_and_opens(hand: Callable[..., Hand]) -> None:
    client = hand()
    assert client.ask(MOVE, "<2d", 0.01, 0.2) == SUCCESS
    number = client.send(HOMING)
    smallest = min(client.opening for _ in range(4))
    assert smallest < 0.01
    assert struct.unpack("<H", client.answer(number)) == (SUCCESS,)
    assert client.opening == pytest.approx(0.08, abs=2e-3)
