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
from hardware.inputs.remote import Remote
from hardware.limits import Envelope
from hardware.vision import described
from hardware.vision.objects import CameraObjects
from robot_learn.data import store
from robot_learn.data.manifest import describe, grown, origin
from robot_learn.data.writer import DatasetWriter
from robot_learn.deployment import episodes, places, session
from robot_learn.deployment.eyes import Eye, Without
from robot_learn.deployment.lessons import Lessons
from robot_learn.deployment.objects import Fixed, ObjectPoses, Together
from robot_learn.deployment.places import Place
from robot_learn.deployment.record import Recorder, Watch
from robot_learn.deployment.session import Asked, Summary
from robot_learn.deployment.settings import Settings
from robot_learn.deployment.steering import Actor, Chunks, from_policy
from robot_learn.envs import EVAL_SEED0
from robot_learn.errors import UserError
from robot_learn.franka import FINGER_TRAVEL
from robot_learn.policy import load_policy
from robot_learn.registry import load
from robot_learn.runs import POLICY, Run
from robot_learn.scene import Scene
from sims import franka
from sims.franka.twist import TwistControl

HELD_OUT = 50  # episodes in simulation, as `robot-learn evaluate` has them
SCRIPT, HAND = "script:", "hand:"


def deploy(command: Settings, say: Callable[[str], None]) -> tuple[Summary, Path | None]:
    """Everything that `robot-learn deploy RUN` does but printing; the session's folder, unless nothing is kept.

    Raises:
        UserError: something that was asked does not go together, or the arm is not where it should be.
        ArmError: the arm cannot be reached.
    """
    if command.episodes is not None and command.episodes < 1:
        raise UserError(f"--episodes {command.episodes}: wanted 1 or more")
    with _told_to_end(), joined(command, say) as (asked, place, recorder):
        count = command.episodes or (HELD_OUT if place.simulated else 1)
        seeds = [EVAL_SEED0 + command.seed + number for number in range(count)]
        summary = session.run(asked, place, recorder, seeds, say)
        if recorder is not None:
            recorder.run.write_json("summary.json", summary.to_json())
    return summary, None if recorder is None else recorder.run.path


@contextmanager
def joined(command: Settings, say: Callable[[str], None]) -> Iterator[tuple[Asked, Place, Recorder | None]]:
    """What was asked, where it happens and who keeps it: all that a session is made of, put in order at the end.

    Raises:
        UserError: something that was asked does not go together.
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
        person = _person(command, say)
        if person is not None:
            stack.enter_context(person)
        there, eye = _eyes(command, task)
        if eye is not None:
            stack.enter_context(eye.camera)
        place = _place(command, task, pacing.control_dt, there, eye)
        stack.callback(place.close)
        if there is not None and isinstance(place, places.InSimulation | places.BehindFake):
            eye = place.eye(there)
            stack.enter_context(eye.camera)
        asked = replace(asked, source=_source(asked, place, eye), hand=person, quiet=place.simulated)
        recorder = stack.enter_context(_recorder(command, task, place, say))
        if command.correct and recorder is not None:
            lessons = Lessons(recorder.run.path, say)
            stack.callback(lambda: say(f"learned   {lessons.close()}"))
            asked = replace(asked, lessons=lessons)
        yield asked, place, recorder


def acting(source: str) -> tuple[str, Actor]:
    """The task and who acts: the policy of a run, a task's script, or nobody (hand:TASK) but the person beside it.

    Raises:
        UserError: there is no such run, or it is of a task that no arm can do.
    """
    if source.startswith(SCRIPT):
        task = source.removeprefix(SCRIPT)
        _must_be_franka(task)
        return task, sims.scripted(task)
    if source.startswith(HAND):
        task = source.removeprefix(HAND)
        _must_be_franka(task)
        return task, _standing_still(franka.control(task.partition("/")[2]))
    run = Run.open(source)
    task = str(run.config.get("task"))
    _must_be_franka(task)
    policy = load_policy(run)
    wanted = franka.definition(task.partition("/")[2]).observation_space
    if wanted is not None and wanted.shape != (policy.obs_dim,):
        raise UserError(f"the policy of {source} takes {policy.obs_dim} numbers, {task} gives {wanted.shape[0]}")
    return task, from_policy(policy)


def _standing_still(control: TwistControl) -> Actor:
    """Moves nothing and keeps the grip as it is."""

    def act(scene: Scene, vector: np.ndarray) -> np.ndarray:
        action = np.zeros((len(vector), len(control.components())))
        if control.grips:
            action[:, -1] = scene["robot.gripper_opening"] / FINGER_TRAVEL - 1.0
        return action

    return act


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


def _person(command: Settings, say: Callable[[str], None]) -> Input | None:
    """The input device with the dead-man switch. A real arm moves with one only, unless somebody says otherwise."""
    scheme, _ = places.split(command.arm)
    named = command.hand
    if named is None and scheme in places.REAL and not command.fake and not command.dry_run:
        raise UserError("a real arm wants somebody at a dead-man switch: --hand keyboard, gamepad, ... (or none)")
    if command.correct and (named in (None, "none") or command.no_record):
        raise UserError("--correct: wanted somebody who pushes, --hand, and a session that is kept")
    if named in (None, "none"):
        return None
    kind, _, rest = str(named).partition(":")
    device: Input = load(INPUTS, kind, kind="input")(rest)
    if isinstance(device, Remote):
        say(f"listening at {device.address}, token {device.token}")
    return device


def _eyes(command: Settings, task: str) -> tuple[Eye | None, CameraObjects | None]:
    """The camera beside a simulated arm, or the one beside a real arm; it is connected before the arm is."""
    if command.camera is None:
        return None, None
    if command.fake or places.split(command.arm)[0] == "mujoco":
        return Eye(command.camera, task.partition("/")[2]), None
    return None, described.load(command.camera)


def _place(command: Settings, task: str, control_dt: float, there: Eye | None, eye: CameraObjects | None) -> Place:
    envelope = Envelope(command_period=control_dt) if command.envelope is None else limits.load(command.envelope)
    scheme, rest = places.split(command.arm)
    faults = () if command.faults is None else fake_faults.load(command.faults)
    definition = None if there is None else there.definition
    if command.fake:
        return places.BehindFake(task, command.arm, envelope, faults, definition)
    if faults:
        raise UserError("--faults are those of a fake controller: they want --fake")
    if scheme == "mujoco":
        return places.in_simulation(task, rest, envelope, definition)
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
    """What a file says counts more than what the place knows; and of what a camera is to find nobody else tells."""
    known = [one for one in (place.source, asked.source) if one is not None]
    sources = known if eye is None else [*(Without(one, eye.names) for one in known), eye]
    if not place.simulated and eye is None and not asked.source.poses(0.0):
        raise UserError(
            "nothing tells where the task's things are: --camera FILE, or --objects FILE with measured poses"
        )
    return Together(*sources)


@contextmanager
def _recorder(command: Settings, task: str, place: Place, say: Callable[[str], None]) -> Iterator[Recorder | None]:
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


def _settings(command: Settings) -> dict[str, Any]:
    names = ["run_folder", "fake", "speed", "steps", "dry_run", "no_predict", "transport", "first", "ensemble", "hand"]
    names.append("correct")
    paths = ("envelope", "filter", "objects", "camera", "faults")
    told: dict[str, Any] = {name: getattr(command, name) for name in names}
    return told | {name: None if getattr(command, name) is None else str(getattr(command, name)) for name in paths}


def _policy_hash(source: str) -> str | None:
    if source.startswith((SCRIPT, HAND)):
        return None
    return hashlib.sha256((Path(source) / POLICY).read_bytes()).hexdigest()
