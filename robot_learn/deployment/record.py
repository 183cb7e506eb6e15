"""What is kept of every episode on an arm, while it runs: a crash loses no more than the step that it happened in.

    deployments/franka-reach-20260131-142501-s0/       a session: a run folder with config.json and versions.json
        episode-0000/
            steps.jsonl      a line a step: what was measured and believed, who acted, what it came to, what was sent;
                             and a line for each push of a person
            ticks.npz        every tick of the arm, where it keeps them: the fields of hardware.records.TICK
                             (should this program be killed, the arm's process keeps those until it is at rest)
            video.mp4        where there is a camera
            outcome.json     why it ended; a folder without it is of a crash

Episodes also join a dataset of the project's (Minari's) store, and from there LeRobot's format by `data export`.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from hardware.arm import ArmError, ArmSpec, Observation
from hardware.inputs.pushes import Push
from hardware.records import TICK
from robot_learn.data.writer import DatasetWriter
from robot_learn.deployment.bridge import Belief
from robot_learn.deployment.episodes import ARM, LAST_TICKS, RAW_FILM, RAW_TICKS, STEPS, close_up
from robot_learn.deployment.loop import Step
from robot_learn.deployment.outcome import Outcome
from robot_learn.errors import UserError
from robot_learn.runs import Run

_SAFE_EVERY = 1.0  # [s] after which what was written is forced onto the disk, against a loss of power

Watch = Callable[[], np.ndarray]  # a picture (height, width, 3) uint8 of now


@runtime_checkable
class Ticking(Protocol):
    """An arm that keeps its ticks."""

    @property
    def spec(self) -> ArmSpec: ...

    def ticks(self) -> np.ndarray:
        """Those since the last call (N,), of `hardware.records.TICK`."""
        ...


@runtime_checkable
class Keeping(Protocol):
    """An arm that keeps ticks in our stead when we are gone."""

    def keep_last(self, path: Path | None) -> None:
        """As `hardware.process.ClientArm` has it."""
        ...


class Recorder:
    """Keeps one episode after another of a session: `begin`, then `step` after each step, `end`, `finish`.

    Args:
        run: the session's folder.
        dataset: where finished episodes go; the caller opens and closes it.
        arm: asked for its ticks, where it keeps them.
        watch: the camera.
    """

    def __init__(self, run: Run, dataset: DatasetWriter | None, arm: object = None, watch: Watch | None = None) -> None:
        self.run, self._dataset, self._watch = run, dataset, watch
        self.attend(arm)
        self._open: _Episode | None = None

    def attend(self, arm: object) -> None:
        """From now on it is this arm."""
        self._arm = arm if isinstance(arm, Ticking) else None
        self._keeping = arm if isinstance(arm, Keeping) else None

    def begin(self, seed: int | None = None) -> Path:
        """A new episode; its folder."""
        number = len(list(self.run.path.glob("episode-*")))
        folder = self.run.path / f"episode-{number:04d}"
        folder.mkdir()
        if self._arm is not None:
            (folder / ARM).write_text(self._arm.spec.name)
            self._arm.ticks()  # those before the episode are nobody's
        if self._keeping is not None:
            self._keeping.keep_last(folder / LAST_TICKS)
        self._open = _Episode(folder, seed)
        return folder

    def step(self, step: Step) -> None:
        self._opened.write(line_of(step), self._picture(), self._ticks())

    def push(self, push: Push) -> None:
        """A person pushed, before the next step or instead of it; before the first one nothing is kept of it."""
        if self._open is not None:
            told = {"direction": push.direction, "twist": push.twist.tolist(), "time": push.time, "held": push.held}
            self._open.write({"push": told}, None, None)

    def end(self, belief: Belief | None) -> None:
        """What was believed after the last step."""
        told = None if belief is None else {"vector": belief.vector[0].tolist(), "success": belief.success}
        self._opened.write(None if told is None else {"end": told}, self._picture(), self._ticks())

    def finish(self, outcome: Outcome) -> Path:
        """The outcome is known: the episode joins the dataset. Its folder.

        Raises:
            UserError: the dataset will not have it; the folder is complete all the same.
        """
        episode, self._open = self._opened, None
        episode.close()
        if self._keeping is not None:
            with suppress(ArmError):  # it is gone already
                self._keeping.keep_last(None)
        close_up(episode.folder, outcome.to_json() | {"seed": episode.seed}, self._dataset)
        return episode.folder

    def _picture(self) -> np.ndarray | None:
        return None if self._watch is None else np.asarray(self._watch())

    def _ticks(self) -> np.ndarray | None:
        return None if self._arm is None else self._arm.ticks()

    @property
    def _opened(self) -> _Episode:
        if self._open is None:
            raise UserError("no episode is being recorded: begin one first")
        return self._open


class _Episode:
    """The files of an episode that runs. While it does, its steps are locked, so that nobody takes it for a crash."""

    def __init__(self, folder: Path, seed: int | None) -> None:
        self.folder, self.seed = folder, seed
        self._steps = (folder / STEPS).open("ab", buffering=0)
        fcntl.flock(self._steps, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._ticks = (folder / RAW_TICKS).open("ab", buffering=0)
        self._film = (folder / RAW_FILM).open("ab", buffering=0)
        self._shape: tuple[int, ...] | None = None
        self._over = threading.Event()
        self._safe = threading.Thread(target=self._keep_safe, name="recorder", daemon=True)
        self._safe.start()

    def write(self, line: Mapping[str, Any] | None, picture: np.ndarray | None, ticks: np.ndarray | None) -> None:
        if picture is not None and line is not None:
            if self._shape is None:
                self._shape = picture.shape
                (self.folder / f"{RAW_FILM}.json").write_text(json.dumps(self._shape))
            self._film.write(np.ascontiguousarray(picture, dtype=np.uint8).tobytes())
        if ticks is not None and len(ticks):
            self._ticks.write(ticks.astype(TICK, copy=False).tobytes())
        if line is not None:  # after its picture, so that each line has one
            self._steps.write(json.dumps(line).encode() + b"\n")

    def _keep_safe(self) -> None:
        """In a thread of its own: a busy disk may take longer than an arm can wait."""
        while not self._over.wait(_SAFE_EVERY):
            self._sync()

    def _sync(self) -> None:
        for file in (self._steps, self._ticks, self._film):
            os.fsync(file.fileno())

    def close(self) -> None:
        self._over.set()
        self._safe.join()
        self._sync()
        for file in (self._steps, self._ticks, self._film):
            file.close()


def line_of(step: Step) -> dict[str, Any]:
    """A step as JSON."""
    told, applied, belief = step.observation, step.applied, step.belief
    return {
        "step": step.number,
        "observation": _observation(told),
        "scene": {name: values[0].tolist() for name, values in belief.measured.items()},
        "success": belief.success,
        "vector": belief.vector[0].tolist(),
        "horizon": step.horizon,
        "latency": step.latency,
        "overruns": step.overruns,
        "who": step.who,
        "action": step.action.tolist(),
        "wanted": step.wanted.tolist(),
        "filtered": step.filtered.tolist(),
        "held_by": list(step.held_by),
        "opening": step.opening,
        "sent": np.asarray(applied.dq).tolist(),
        "sent_opening": applied.opening,
        "limited": list(applied.limited),
        "refused": applied.refused,
    }


def _observation(told: Observation) -> dict[str, Any]:
    arrays = ("q", "dq", "q_commanded", "torques", "external_torques", "external_wrench")
    plain = ("sequence", "time", "received", "state", "success_rate")
    row: dict[str, Any] = {name: getattr(told, name) for name in plain}
    row |= {name: np.asarray(getattr(told, name)).tolist() for name in arrays}
    gripper = None if told.gripper is None else {"opening": told.gripper.opening, "grasped": told.gripper.grasped}
    return row | {"errors": list(told.errors), "gripper": gripper}
