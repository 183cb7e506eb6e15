"""Where episodes happen: on a real arm, on a simulated one in the task's world, or on a client and a fake controller.

A place gives an arm for each episode. Simulated ones put the task's things where a seed says, as simulation does, and
know where they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import mujoco
import numpy as np

from hardware import ARMS
from hardware.arm import Arm, ArmError
from hardware.fake_fci import FakeArm, Fault
from hardware.limits import Envelope
from hardware.vision.cameras import RenderedCamera
from hardware.vision.objects import CameraObjects
from robot_learn.deployment.eyes import Eye
from robot_learn.deployment.objects import ObjectPoses, Truth
from robot_learn.errors import UserError, unknown
from robot_learn.registry import load
from sims import franka
from sims.franka.physical import physical_world_of
from sims.mujoco_task import MujocoTask
from sims.rendering import Renderer

_PATIENCE = 10.0  # [s]
REAL = ("fci", "franky", "panda")  # schemes of arms that can hurt


class Place(Protocol):
    """Where episodes happen."""

    simulated: bool  # starts are drawn from seeds, and nobody can be hurt
    clock_stands: bool  # the arm's time passes only while somebody waits for it
    source: ObjectPoses | None  # what the place itself knows of its things

    def episode(self, seed: int) -> AbstractContextManager[Arm]:
        """An arm that stands where an episode begins; real arms stand where they are."""
        ...

    def failed(self) -> None:
        """The arm, or what leads to it, failed in the last episode; before the next it is connected anew."""
        ...

    def watch(self, size: int) -> Callable[[], np.ndarray] | None:
        """A camera of pictures (size, size, 3), where there is one."""
        ...

    def close(self) -> None: ...


def split(address: str) -> tuple[str, str]:
    """Scheme and rest of an arm's address: "fci://10.0.0.2" is "fci" and "10.0.0.2".

    Raises:
        UserError: there is no such scheme.
    """
    scheme, colon, rest = address.partition(":")
    if not colon or scheme not in ARMS:
        raise unknown("kind of arm", scheme, [f"{known}:" for known in ARMS])
    return scheme, rest.removeprefix("//")


def connect(address: str, **settings: Any) -> Arm:
    """The arm at an address.

    Raises:
        UserError, ArmError: it cannot be reached.
    """
    scheme, rest = split(address)
    arm: Arm = load({scheme: ARMS[scheme]}, scheme, kind="arm")(rest, **settings)
    return arm


class OnArm:
    """One arm, connected once, for all episodes. Where its things are is for others to tell."""

    simulated = False
    source: ObjectPoses | None = None

    def __init__(self, arm: Arm, watch: Callable[[], np.ndarray] | None = None, *, clock_stands: bool = False) -> None:
        self._arm, self._watch, self.clock_stands = arm, watch, clock_stands

    @contextmanager
    def episode(self, seed: int) -> Iterator[Arm]:
        yield self._arm

    def failed(self) -> None:
        """A session on a real arm ends there."""

    def watch(self, size: int) -> Callable[[], np.ndarray] | None:
        return self._watch

    def close(self) -> None:
        self._arm.close()


class InSimulation:
    """`mujoco:fr3`: a simulated arm of our own in a world of a Franka task.

    Args:
        task: "franka/reach".
        make: the arm in a model and its data; a context manager.
        definition: of the task, where there is more to see in its world (`eyes`).
    """

    simulated = clock_stands = True

    def __init__(
        self,
        task: str,
        make: Callable[[mujoco.MjModel, mujoco.MjData], Arm],
        definition: MujocoTask | None = None,
    ) -> None:
        definition = definition or franka.definition(task.partition("/")[2])
        self._start, self._make = definition.start, make
        self._model = definition.model()
        self._model.opt.timestep = 0.001  # [s] a tick of the arm
        self._data = mujoco.MjData(self._model)
        self._camera = SimulatedCamera(definition, self._model, self._data)
        self.source: ObjectPoses | None = Truth(self._model, self._data)
        self._eye: CameraObjects | None = None

    @contextmanager
    def episode(self, seed: int) -> Iterator[Arm]:
        mujoco.mj_resetData(self._model, self._data)
        self._start(self._model, self._data, np.random.default_rng(seed))
        mujoco.mj_forward(self._model, self._data)
        _look_anew(self._eye)
        with self._make(self._model, self._data) as arm:
            yield arm

    def eye(self, eye: Eye) -> CameraObjects:
        """A camera that looks at the world of this place."""
        self._eye = eye.open(self._model, lambda data: _copy(self._data, data), lambda: float(self._data.time))
        return self._eye

    def failed(self) -> None:
        """Each episode has an arm of its own."""

    def watch(self, size: int) -> Callable[[], np.ndarray] | None:
        return lambda: self._camera.picture(size)

    def close(self) -> None:
        self._camera.close()


class BehindFake:
    """A client, and in this process the fake controller that it talks to, in a world of a Franka task.

    The controller waits for each command, so that none is late, however slow this computer is.
    """

    simulated = clock_stands = True

    def __init__(
        self,
        task: str,
        address: str,
        envelope: Envelope,
        faults: Sequence[Fault] = (),
        definition: MujocoTask | None = None,
    ) -> None:
        scheme, host = split(address)
        if scheme not in REAL:
            raise UserError(f"--fake: wanted the address of a client, {', '.join(f'{one}://HOST' for one in REAL)}")
        definition = definition or franka.definition(task.partition("/")[2])
        self._world = physical_world_of(definition)
        self._camera = SimulatedCamera(definition, self._world.model, self._world.data)
        version = 5 if scheme == "panda" else 10
        self.fake = FakeArm(
            self._world.model,
            self._world.data,
            host=host,
            version=version,
            arm="fer" if scheme == "panda" else "fr3",
            start=self._world.start,
            success=self._world.success,
            faults=faults,
        )
        self.fake.__enter__()
        self.source: ObjectPoses | None = Truth(self._world.model, self._world.data, self.fake.call)
        self._address, self._envelope, self._broken = f"{scheme}://{host}", envelope, False
        self._eye: CameraObjects | None = None
        try:
            self._arm = self._connected()
        except BaseException:
            self.fake.__exit__(None, None, None)
            raise

    def _connected(self) -> Arm:
        return connect(self._address, envelope=self._envelope, synchronous=True)

    @contextmanager
    def episode(self, seed: int) -> Iterator[Arm]:
        if self._broken:
            self._arm.close()
            self._arm = self._connected()
            self._broken = False
        self._put(seed)
        yield self._arm

    def failed(self) -> None:
        self._broken = True

    def _put(self, seed: int) -> None:
        """Begin an episode of the world, and see that the client sees it."""
        if self._arm.observe().state == "reflex":
            self._arm.recover(by_person=True)  # nobody stands beside this arm
        self.fake.reset(seed)
        self._until_seen()
        _look_anew(self._eye)

    def eye(self, eye: Eye) -> CameraObjects:
        """A camera that looks at the world of the controller."""
        world, fake = self._world, self.fake

        def snapshot(data: mujoco.MjData) -> None:
            fake.call(lambda: _copy(world.data, data))

        self._eye = eye.open(world.model, snapshot, lambda: fake.time)
        return self._eye

    def _until_seen(self) -> None:
        """Wait until the client, which reads the gripper but rarely, sees the world as it was put."""
        wanted = self.fake.call(self._world.data.qpos[:9].copy)
        until = time.monotonic() + _PATIENCE
        while True:
            seen = self._arm.observe()
            opening = wanted[7] + wanted[8] if seen.gripper is None else seen.gripper.opening
            if np.abs(seen.q - wanted[:7]).max() < 1e-3 and abs(opening - wanted[7] - wanted[8]) < 5e-3:
                return
            if time.monotonic() > until:
                raise ArmError(
                    "the client does not see that the fake controller's world was put elsewhere: "
                    f"joints {seen.q.round(3)}, wanted {wanted[:7].round(3)}; opening {opening:.3f} m"
                )
            time.sleep(0.005)

    def watch(self, size: int) -> Callable[[], np.ndarray] | None:
        return lambda: self.fake.call(lambda: self._camera.picture(size))

    def close(self) -> None:
        try:
            self._arm.close()
        finally:
            self.fake.__exit__(None, None, None)
            self._camera.close()


def _look_anew(eye: CameraObjects | None) -> None:
    """The world was put elsewhere: what was seen of the one before, and its pictures, count no more."""
    if eye is not None:
        eye.forget()
        if isinstance(eye.camera, RenderedCamera):
            eye.camera.forget()


def _copy(data: mujoco.MjData, to: mujoco.MjData) -> None:
    """How the world is, for whoever draws it elsewhere."""
    to.qpos[:], to.mocap_pos[:], to.mocap_quat[:] = data.qpos, data.mocap_pos, data.mocap_quat


class SimulatedCamera:
    """The task's first camera."""

    def __init__(self, definition: MujocoTask, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self._view = next(iter(definition.cameras.values()))
        self._model, self._data = model, data
        self._renderer: Renderer | None = None

    def picture(self, size: int) -> np.ndarray:
        """(size, size, 3) uint8 of now."""
        if self._renderer is None:
            self._renderer = Renderer(self._model, size, size, light=True)
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        return self._renderer.render(self._data, self._view)

    def close(self) -> None:
        if self._renderer is not None:
            self._renderer.close()


def in_simulation(
    task: str, rest: str, envelope: Envelope, definition: MujocoTask | None = None, **settings: Any
) -> InSimulation:
    """Our own arm in the task's world."""
    return InSimulation(
        task,
        lambda model, data: connect(f"mujoco:{rest}", model=model, data=data, envelope=envelope, **settings),
        definition,
    )
