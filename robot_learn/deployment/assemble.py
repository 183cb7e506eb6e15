"""From what was asked on the command line to a session: run, arm, things, filter, person and recorder, joined."""

from __future__ import annotations

import hashlib
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import gymnasium
import numpy as np

import sims
from controllers import constraint
from controllers.safety_filter.limits import ControlBox
from controllers.safety_filter.reactive import ReactiveFilter
from controllers.safety_filter.result import SafetyFilter
from hardware import limits
from hardware.arm import Arm
from hardware.fake_fci import faults as fake_faults
from hardware.inputs import INPUTS, Input
from hardware.limits import Envelope
from hardware.vision import described
from hardware.vision.objects import CameraObjects
from robot_learn.data import store
from robot_learn.data.manifest import describe, grown, origin
from robot_learn.data.writer import DatasetWriter
from robot_learn.deployment import episodes, places, session
from robot_learn.deployment.objects import Fixed, ObjectPoses, Together
from robot_learn.deployment.places import Place
from robot_learn.deployment.record import Recorder, Watch
from robot_learn.deployment.session import Asked, Summary
from robot_learn.deployment.steering import Actor, Chunks, from_policy
from robot_learn.envs import EVAL_SEED0
from robot_learn.errors import UserError
from robot_learn.policy import load_policy
from robot_learn.registry import load
from robot_learn.runs import POLICY, Run
from sims import franka

Deploy = Any  # a `robot_learn.cli.deploy.Deploy`; that module imports this one

HELD_OUT = 50  # episodes in simulation, as `robot-learn evaluate` has them
SCRIPT = "script:"


def deploy(command: Deploy, say: Callable[[str], None]) -> tuple[Summary, Path | None]:
    """Everything that `robot-learn deploy RUN` does but printing; the session's folder, unless nothing is kept.

    Raises:
        UserError: something that was asked does not go together, or the arm is not where it should be.
        ArmError: the arm cannot be reached.
    """
    task, actor = acting(str(command.run_folder))
    definition, control = franka.definition(task.partition("/")[2]), franka.control(task.partition("/")[2])
    pacing = session.pacing(
        definition,
        speed=command.speed,
        steps=command.steps,
        predict=not command.no_predict,
        transport=command.transport,
        dry_run=command.dry_run,
    )
    if command.episodes is not None and command.episodes < 1:
        raise UserError(f"--episodes {command.episodes}: wanted 1 or more")
    asked = Asked(
        definition,
        control,
        Chunks(actor, command.first, command.ensemble),
        pacing,
        Together() if command.objects is None else Fixed.read(command.objects),
        command.speed,
        command.go_to_start,
        command.tolerance,
        None if command.filter is None else learned_filter(command.filter),
    )
    # All that may be wrong with what was asked is known by now, before an arm is connected.
    with ExitStack() as stack:
        person = _person(command)
        if person is not None:
            stack.enter_context(person)
        eye = None if command.camera is None else described.load(command.camera)
        if eye is not None:
            stack.enter_context(eye.camera)
        place = _place(command, task, pacing.control_dt, eye)
        stack.callback(place.close)
        asked = replace(asked, source=_source(asked, place, eye), hand=person, quiet=place.simulated)
        stack.enter_context(_told_to_end())
        count = command.episodes or (HELD_OUT if place.simulated else 1)
        seeds = [EVAL_SEED0 + command.seed + number for number in range(count)]
        with _recorder(command, task, place, say) as recorder:
            summary = session.run(asked, place, recorder, seeds, say)
            if recorder is not None:
                recorder.run.write_json("summary.json", summary.to_json())
    return summary, None if recorder is None else recorder.run.path


def acting(source: str) -> tuple[str, Actor]:
    """The task and who acts: the policy of a run, or a task's script.

    Raises:
        UserError: there is no such run, or it is of a task that no arm can do.
    """
    if source.startswith(SCRIPT):
        task = source.removeprefix(SCRIPT)
        _must_be_franka(task)
        return task, sims.scripted(task)
    run = Run.open(source)
    task = str(run.config.get("task"))
    _must_be_franka(task)
    policy = load_policy(run)
    wanted = franka.definition(task.partition("/")[2]).observation_space
    if wanted is not None and wanted.shape != (policy.obs_dim,):
        raise UserError(f"the policy of {source} takes {policy.obs_dim} numbers, {task} gives {wanted.shape[0]}")
    return task, from_policy(policy)


def _must_be_franka(task: str) -> None:
    sims.task(task)  # names the nearest one where there is none
    if not task.startswith("franka/"):
        raise UserError(
            f"{task} is no task of the Franka arm; those are: {', '.join(f'franka/{n}' for n in franka.TASKS)}"
        )


def learned_filter(path: Path) -> SafetyFilter:
    """The filter of joint velocities that keeps to a constraint learned of the system franka-joints.

    Raises:
        UserError: the file is no such constraint.
    """
    from controllers.systems.franka_joints import SYSTEM

    learned = constraint.load(path, SYSTEM)
    bounds = ControlBox("joint speed", tuple(SYSTEM.control_low), tuple(SYSTEM.control_high))
    return ReactiveFilter(SYSTEM, [bounds], [learned])


def _person(command: Deploy) -> Input | None:
    """The input device with the dead-man switch. A real arm moves with one only, unless somebody says otherwise."""
    scheme, _ = places.split(command.arm)
    named = command.hand
    if named is None and scheme in places.REAL and not command.fake and not command.dry_run:
        raise UserError("a real arm wants somebody at a dead-man switch: --hand keyboard, gamepad, ... (or none)")
    if named in (None, "none"):
        return None
    kind, _, rest = str(named).partition(":")
    device: Input = load(INPUTS, kind, kind="input")(rest)
    return device


def _place(command: Deploy, task: str, control_dt: float, eye: CameraObjects | None) -> Place:
    envelope = Envelope(command_period=control_dt) if command.envelope is None else limits.load(command.envelope)
    scheme, rest = places.split(command.arm)
    faults = () if command.faults is None else fake_faults.load(command.faults)
    if (command.fake or scheme == "mujoco") and eye is not None:
        raise UserError("--camera: a simulated arm's world is known; leave it out")
    if command.fake:
        return places.BehindFake(task, command.arm, envelope, faults)
    if faults:
        raise UserError("--faults are those of a fake controller: they want --fake")
    if scheme == "mujoco":
        return places.in_simulation(task, rest, envelope)
    arm = places.connect(command.arm, **({} if scheme == "recording" else {"envelope": envelope}))
    if command.recover:
        _recovered(arm)
    watch = None if eye is None or command.images is None else _watch(eye, command.images)
    return places.OnArm(arm, watch, clock_stands=scheme == "recording")


def _watch(eye: CameraObjects, size: int) -> Watch:
    """The camera's newest picture, its middle square as (size, size, 3)."""

    def picture() -> np.ndarray:
        whole, _ = eye.camera.read()
        side = min(whole.shape[:2])
        top, left = (whole.shape[0] - side) // 2, (whole.shape[1] - side) // 2
        square = whole[top : top + side, left : left + side]
        return np.asarray(cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA))

    return picture


@contextmanager
def _told_to_end() -> Iterator[None]:
    """SIGTERM ends an episode as Ctrl-C does: by a stop, a record and a reason."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _recovered(arm: Arm) -> None:
    try:
        arm.recover(by_person=True)
    except BaseException:
        arm.close()
        raise


def _source(asked: Asked, place: Place, eye: CameraObjects | None) -> ObjectPoses:
    """Of what several know, what a camera sees counts more than what a file says, and that more than the place."""
    sources = [one for one in (place.source, asked.source, eye) if one is not None]
    if not place.simulated and eye is None and not asked.source.poses(0.0):
        raise UserError(
            "nothing tells where the task's things are: --camera FILE, or --objects FILE with measured poses"
        )
    return Together(*sources)


@contextmanager
def _recorder(command: Deploy, task: str, place: Place, say: Callable[[str], None]) -> Iterator[Recorder | None]:
    """The session's folder and dataset; the dataset is described anew when the session is over."""
    if command.no_record:
        yield None
        return
    told = {"arm": command.arm, "policy": _policy_hash(str(command.run_folder)), **_settings(command)}
    run = Run.create(command.out, task=task, seed=command.seed, config={"deployment": told})
    name = command.dataset or f"{task}/deployed"
    kept = {"control_dt": sims.task(task).control_dt, "images": command.images}
    low, high = np.array([[part.low, part.high] for part in sims.task(task).action], dtype=np.float32).T
    space = gymnasium.spaces.Box(low, high, dtype=np.float32)
    with DatasetWriter(name, command.root, task=task, settings=kept, action_space=space) as writer:
        for folder in episodes.salvage(command.out, task, writer):
            say(f"salvaged  {folder}, which its program had left")
        writer.tell(**(origin() | {"generator": "robot-learn deploy"}), instruction=sims.task(task).instruction)
        writer.tell(control_dt=sims.task(task).control_dt, reward="1 where the task is achieved")
        yield Recorder(run, writer, watch=None if command.images is None else place.watch(command.images))
    if writer.num_episodes:
        writer.tell(**grown(writer.manifest, describe(store.load(writer.name, command.root, in_memory=0))))
        say(f"dataset   {writer.folder} ({writer.num_episodes} episodes; robot-learn data export {writer.name})")


def _settings(command: Deploy) -> dict[str, Any]:
    names = ("run_folder", "fake", "speed", "steps", "dry_run", "no_predict", "transport", "first", "ensemble", "hand")
    paths = ("envelope", "filter", "objects", "camera", "faults")
    told: dict[str, Any] = {name: getattr(command, name) for name in names}
    return told | {name: None if getattr(command, name) is None else str(getattr(command, name)) for name in paths}


def _policy_hash(source: str) -> str | None:
    if source.startswith(SCRIPT):
        return None
    return hashlib.sha256((Path(source) / POLICY).read_bytes()).hexdigest()
