"""Arms to try: each backend against a simulated arm, or one real arm that is named with --arm.

    pytest tests/hardware/conformance --arm fci://172.16.0.2

runs on a real arm what is safe for one: small slow motions, after a question. Nothing is pushed, lost or killed there.
"""

from __future__ import annotations

import copy
import functools
import importlib.util
import itertools
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest

from hardware import ARMS
from hardware.arm import Arm, Command, Mode, Observation
from hardware.fake_fci import FakeArm, Fault
from hardware.limits import Envelope
from hardware.simulated import SimulatedArm
from robot_learn.franka import HOME
from robot_learn.registry import load
from sims.franka.physical import alone

PERIOD = 0.04  # [s] between two commands
CLIENTS = {"fci": ("pylibfranka", 10), "franky": ("franky", 10), "panda": ("panda_py", 5)}
_addresses = itertools.count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--arm", default=None, help="address of a real arm to run the suite on: fci://172.16.0.2")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" not in metafunc.fixturenames:
        return
    real = metafunc.config.getoption("--arm", default=None)
    faulty = metafunc.definition.get_closest_marker("simulated_only") is not None
    processes_only = metafunc.definition.get_closest_marker("processes_only") is not None
    backends = [*CLIENTS, *([] if processes_only else ["mujoco"])]
    if real is not None:
        reason = "it does to an arm what is not done to a real one"
        skip = [pytest.mark.skip(reason=reason)] if faulty or processes_only else []
        metafunc.parametrize("backend", [pytest.param(real, marks=skip)], scope="session")
    else:
        metafunc.parametrize("backend", backends, scope="session")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "simulated_only: pushes, stops or kills something, so never on a real arm")
    config.addinivalue_line("markers", "processes_only: about backends whose client is a process of its own")


def free_address() -> str:
    """A loopback address on which nobody listens; no two test processes ask for the same."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 64
    for number in _addresses:
        host = f"127.{64 + worker}.{os.getpid() % 254 + 1}.{number % 254 + 1}"
        with socket.socket() as robot, socket.socket() as hand:
            try:
                robot.bind((host, 1337))
                hand.bind((host, 1338))
            except OSError:
                continue
        return host
    raise AssertionError


@dataclass
class Rig:
    """An arm, and what may be done to it from outside. Faults are of simulated arms only."""

    arm: Arm
    fake: FakeArm | None = None
    simulated: SimulatedArm | None = None

    @property
    def real(self) -> bool:
        return self.fake is None and self.simulated is None

    def begin(self) -> None:
        """Back to where a test begins, whatever the last one left behind."""
        self.arm.stop()
        if self.fake is not None:
            self.fake.reset()
            self.arm.wait(0.003)
        if self.arm.observe().state == "reflex":
            self.arm.recover(by_person=True)

    def push(self, force: tuple[float, float, float], seconds: float = 0.1) -> None:
        """Push the hand with a force [N] from the next tick on."""
        if self.fake is not None:
            self.fake.inject(Fault("push", lasts=seconds, force=force))
            return
        assert self.simulated is not None
        data, body = self.simulated.body.data, self.simulated.body.model.body("hand").id
        begun = self.simulated.now()

        def push(_: int) -> None:
            assert self.simulated is not None
            on = self.simulated.now() < begun + seconds
            data.xfrc_applied[body, :3] = force if on else 0.0

        self.simulated.faults.on_tick = push

    def lose(self, share: float, seconds: float) -> None:
        """Let this share of the commands be lost on their way to the arm."""
        if self.fake is not None:
            self.fake.inject(Fault("loss", lasts=seconds, share=share, seed=1))
            return
        assert self.simulated is not None
        rng, until = np.random.default_rng(1), self.simulated.now() + seconds
        simulated = self.simulated
        simulated.faults.lost = lambda _: simulated.now() < until and bool(rng.random() < share)

    def press_user_stop(self, seconds: float) -> Callable[[], None]:
        """Press the external activation device; what comes back releases it."""
        if self.fake is not None:
            fake = self.fake
            fake.call(lambda: fake.control.user_stop(True))
            return lambda: fake.call(lambda: fake.control.user_stop(False))
        assert self.simulated is not None
        self.simulated.press_user_stop()
        return self.simulated.release_user_stop

    def speed(self) -> float:
        """The fastest joint [rad/s], as the arm's side has it."""
        if self.fake is not None:
            return float(np.abs(self.fake.state()["dq"]).max())
        return float(np.abs(self.arm.observe().dq).max())


def follow(arm: Arm, mode: Mode, values: Callable[[Observation], Any], seconds: float) -> Observation:
    """Send a command each period for so long; returns how the arm is after it."""
    for _ in range(round(seconds / PERIOD)):
        seen = arm.observe()
        applied = arm.command(Command(mode, np.asarray(values(seen), float), seen.received))
        assert applied.refused == ""
        arm.wait(PERIOD)
    return arm.observe()


def turn(joint: int, speed: float) -> Callable[[Observation], np.ndarray]:
    """Joint velocities with which one joint turns."""
    return lambda _: speed * np.eye(7)[joint]


def open_rig(backend: str, **settings: Any) -> Rig:
    """A rig of one backend; `close_rig` ends it."""
    if "://" in backend:
        return Rig(_real(backend))
    if backend == "mujoco":
        world = copy.copy(model("fr3"))
        data = mujoco.MjData(world)
        data.qpos[:7] = HOME
        mujoco.mj_forward(world, data)
        arm = SimulatedArm(world, data, **settings)
        return Rig(arm, simulated=arm)
    package, _ = CLIENTS[backend]
    if importlib.util.find_spec(package) is None:  # asked, not imported: two clients in one process cannot be
        pytest.skip(f"needs the extra franka ({package})")
    fake = fake_arm(backend).open()
    connect = load(ARMS, backend, kind="arm")
    try:
        return Rig(connect(fake.address, synchronous=True, **settings), fake)
    except BaseException:
        fake.close()
        raise


@functools.cache
def model(arm: str) -> mujoco.MjModel:
    """An arm on an empty table; to be copied."""
    return alone(arm)


def fake_arm(backend: str) -> FakeArm:
    """A controller for the client of a backend."""
    _, version = CLIENTS[backend]
    world = copy.copy(model("fer" if version == 5 else "fr3"))
    return FakeArm(world, host=free_address(), version=version)


def close_rig(rig: Rig) -> None:
    rig.arm.close()
    if rig.fake is not None:
        rig.fake.close()


def _real(address: str) -> Arm:
    scheme, _, host = address.partition("://")
    question = f"The arm at {address} will move by up to 5 cm at 5 cm/s. Is it free, and a hand at its stop? [yes/no] "
    terminal = Path("/dev/tty")
    try:
        with terminal.open("w") as say, terminal.open() as hear:
            say.write(question)
            say.flush()
            agreed = hear.readline().strip().lower() == "yes"
    except OSError:
        agreed = False
    if not agreed:
        pytest.exit("nobody said yes, so the arm is left alone", returncode=2)
    arm: Arm = load(ARMS, scheme, kind="arm")(host, envelope=Envelope(hand_speed=0.05, velocity_share=0.1))
    return arm


@pytest.fixture(scope="session")
def shared_rig(backend: str) -> Iterator[Rig]:
    """An arm that tests share: to connect takes most of a second."""
    found = open_rig(backend)
    yield found
    close_rig(found)


@pytest.fixture
def rig(shared_rig: Rig, backend: str) -> Rig:
    """An arm at rest where it begins."""
    if shared_rig.simulated is not None:
        return open_rig(backend)
    shared_rig.begin()
    return shared_rig


@pytest.fixture
def fresh_rig(backend: str) -> Iterator[Rig]:
    """An arm that was just connected, for tests that use it up."""
    without_hand = {} if backend == "mujoco" else {"gripper": False}
    found = open_rig(backend, **without_hand)
    yield found
    close_rig(found)


@pytest.fixture
def arm(rig: Rig) -> Arm:
    return rig.arm
