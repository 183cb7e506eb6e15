"""The real clients, each in a process of its own: they cannot be imported side by side, and one keeps Python's lock.

What they do with an arm is asked at length in tests/hardware/conformance; here they say whether they see every field as
it was sent.
"""

from __future__ import annotations

import importlib.util
import json
import struct
import subprocess
import sys
import time

import numpy as np
import pytest

from hardware.fake_fci.errors import ERRORS
from hardware.fake_fci.messages import StateMessage
from hardware.fake_fci.robot_port import Port
from hardware.fake_fci.udp import StatePort
from hardware.fake_fci.urdf import urdf
from robot_learn.franka import FR3
from tests.hardware.fake_fci.conftest import Start

READ = {
    "pylibfranka": "import pylibfranka as f; s = f.Robot(sys.argv[1], f.RealtimeConfig.kIgnore).read_once()",
    "panda_py": "from panda_py import libfranka as f; s = f.Robot(sys.argv[1], f.RealtimeConfig.kIgnore).read_once()",
    "franky": "import franky as f; s = f.Robot(sys.argv[1], realtime_config=f.RealtimeConfig.Ignore).state",
}
TELL = """
import json, sys, numpy
{read}
told = {{}}
for name in dir(s):
    value = getattr(s, name)
    if name[0] != "_" and not callable(value):
        try:
            told[name] = [float(number) for number in numpy.ravel(value)]
        except (TypeError, ValueError):
            told[name] = str(value)
print(json.dumps(told))
"""
VERSION = {"pylibfranka": 10, "franky": 10, "panda_py": 5}


def needs(client: str) -> None:
    if importlib.util.find_spec(client) is None:
        pytest.skip(f"wants {client}: pip install robot-learn[franka]")


def numbered(version: int) -> StateMessage:
    """A state whose every number differs from all others."""
    message, number = StateMessage(version), 0
    for field in message.fields.values():
        if field.dtype.kind == "f":
            field[...] = (number + 1 + np.arange(field.size)).reshape(field.shape) / 8
            number += field.size
    message.fields["errors"][:] = np.arange(41) % 3 == 0
    message.fields["reflex_reason"][:] = np.arange(41) % 4 == 0
    message.fields["controller_mode"][...], message.fields["robot_mode"][...] = 3, 1
    return message


def told_by(client: str, host: str, message: StateMessage) -> dict[str, object]:
    """What a client reads of a state that a bare server sends it again and again."""
    port, states = Port(host, 1337), StatePort(host)
    program = [sys.executable, "-c", TELL.format(read=READ[client]), host]
    reader = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
    try:
        tick, until = 0, time.monotonic() + 30.0
        while reader.poll() is None and time.monotonic() < until:
            time.sleep(0.002)
            if port.connection is None:
                port.greet(port.sockets())
                continue
            for request in port.connection.requests():
                answer = b"\0" + urdf(FR3).encode()
                if request.command == 0:
                    version, udp = struct.unpack("<HH", request.payload)
                    states.connect((port.connection.peer, udp), version)
                    answer = struct.pack("<BH", 0, version)
                port.connection.answer(request.command, request.number, answer)
            tick += 1
            message.fields["message_id"][...] = tick
            states.publish(message.bytes)
        out, _ = reader.communicate(timeout=5.0)
    finally:
        reader.kill()
        port.close()
        states.close()
    told: dict[str, object] = json.loads(out)
    return told


@pytest.mark.parametrize("client", VERSION)
def test_a_client_reads_every_field_as_it_was_sent(client: str, address: str) -> None:
    needs(client)
    message = numbered(VERSION[client])
    told = told_by(client, address, message)
    compared = 0
    for name, field in message.fields.items():
        if name not in told or field.dtype.kind != "f" or isinstance(told[name], str):
            continue
        sent = field.ravel()
        side = {16: 4, 9: 3}.get(field.size, 0)
        turned = sent.reshape(side, side).T.ravel() if side else sent  # some tell matrices row by row
        compared += 1
        said = told[name]
        assert isinstance(said, list)
        assert said in (sent.tolist()[: len(said)], turned.tolist()), (
            name
        )  # of an elbow some tell the first number only
    assert compared >= 20
    if "current_errors" in told and isinstance(told["current_errors"], str) and "[" in told["current_errors"]:
        assert json.loads(told["current_errors"]) == [error for i, error in enumerate(ERRORS) if i % 3 == 0]
        assert json.loads(str(told["last_motion_errors"])) == [error for i, error in enumerate(ERRORS) if i % 4 == 0]


MOVE = """
import os, sys
import pylibfranka as f
robot = f.Robot(sys.argv[1], f.RealtimeConfig.kIgnore)
os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
begin = robot.read_once()
model = robot.load_model()
off = max(abs(a - b) for a, b in zip(model.gravity(begin), begin.tau_J))
rates = []
control = robot.start_joint_velocity_control(f.ControllerMode.JointImpedance)
for tick in range(500):
    state, _ = control.readOnce()
    rates.append(state.control_command_success_rate)
    command = f.JointVelocities([0.2 * tick / 499 * (1 - tick / 499)] * 7)
    command.motion_finished = tick == 499
    control.writeOnce(command)
end = robot.read_once()
print(off, min(rates[1:]), *(b - a for a, b in zip(begin.q_d, end.q_d)))
"""


def test_an_unmodified_client_moves_the_arm_and_no_command_is_lost(start: Start) -> None:
    needs("pylibfranka")
    program = [sys.executable, "-c", MOVE, start().address]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    off, rate, *moved = map(float, done.stdout.split())
    assert off < 1e-3  # the client's own gravity torques, from the URDF and the state, against the arm's
    assert rate == 1.0
    np.testing.assert_allclose(moved, 0.2 * 0.5 / 6, atol=1e-4)


def test_a_client_of_another_version_is_told_both(start: Start) -> None:
    needs("pylibfranka")
    program = [sys.executable, "-c", "import sys\n" + READ["pylibfranka"], start(version=9).address]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "ncompatible" in done.stderr
    assert "9" in done.stderr
