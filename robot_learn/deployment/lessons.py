"""What a person's pushes beside a driving policy teach: each becomes a correction for the learner of what is unsafe.

The learner (`controllers.alignment`) wants the plan that a push is about. A policy shows none; what the person sees is
where the arm goes. So the plan is the motion of the policy's last step, kept up over the horizon of the system, and
what it wants is where that ends. This is a model of the policy: the half-spaces that follow hold as far as it does. A
push counts while the switch is held and that step is fresh: one against the person's own motion teaches nothing.

Learning takes tens of milliseconds, so that it has a thread of its own; the recorder has written down before what was
said.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from controllers import constraint
from controllers.alignment.cuts import Correction
from controllers.alignment.learner import Learner
from controllers.mpc import Mpc
from controllers.systems.franka_joints import GAME, SYSTEM
from controllers.systems.franka_joints import hand as hand_at
from hardware.inputs.pushes import Push
from robot_learn.alignment.events import Entry
from robot_learn.alignment.lines import Lines
from robot_learn.alignment.people import rule_named
from robot_learn.alignment.record import CONSTRAINT, CORRECTIONS
from robot_learn.deployment.loop import Step

FRESH = 5  # steps of a person after the policy's last one, within which a push is still about that


class Lessons:
    """Hears of steps, pushes and stops, and learns; `close` saves what was learned.

    Args:
        folder: gets corrections.jsonl, as `robot-learn correct` writes it, and constraint.json, as --filter takes it.
        say: told what was learned.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self.folder, self._say = folder, say
        # A hand's push is one direction; and nobody promised that silence means consent.
        self.learner = Learner(Mpc(SYSTEM), rule_named("stops", keyboard=True))
        self._lines = Lines(folder / CORRECTIONS)
        self._worker, self._learned = ThreadPoolExecutor(1, "lessons"), list[Future[None]]()
        self._last: Step | None = None  # the policy's
        self._since = 0  # steps of the person since then
        self.episode = 0

    def begin(self, episode: int) -> None:
        """A new episode: nothing was shown in it yet."""
        self.episode, self._last, self._since = episode, None, 0

    def step(self, step: Step) -> None:
        """What the person sees the arm do."""
        if step.who == "policy":
            self._last, self._since = step, 0
        else:
            self._since += 1

    def push(self, push: Push) -> None:
        """A push in a direction that the system knows, against what the policy does."""
        if push.held and push.direction in GAME.directions:
            self._take("push", GAME.directions[push.direction])

    def stop(self) -> None:
        """What the policy did was unsafe."""
        self._take("stop", None)

    def _take(self, kind: str, direction: np.ndarray | None) -> None:
        if self._last is None or self._since > FRESH:
            return
        said = correction("push" if kind == "push" else "stop", self._last, direction)
        self._learned.append(self._worker.submit(self._learn, said, self._last.number))

    def _learn(self, said: Correction, step: int) -> None:
        learner, before = self.learner, self.learner.theta
        lesson = learner.correct(said)
        entry = Entry(
            said.kind, self.episode, step, said.state, said.controls, said.target, said.direction,
            before, learner.theta, lesson.log_volume, lesson.seconds,
        )  # fmt: skip
        told = {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in vars(entry).items()}
        self._lines.add(told)
        number = len(learner.corrections)
        self._say(f"correction {number}, a {said.kind}: {'learned' if lesson.cuts else 'nothing new'}")

    def close(self) -> Path:
        """Learn what was said last, and save; the constraint's file. Raises what went wrong in learning."""
        self._worker.shutdown()
        self._lines.close()
        for learned in self._learned:
            learned.result()
        hypotheses, path = self.learner.hypotheses, self.folder / CONSTRAINT
        known = constraint.Uncertainty(
            hypotheses.ellipsoid.centre,
            hypotheses.ellipsoid.shape,
            len(self.learner.corrections),
            hypotheses.bound(self.learner.rho),
        )
        told = constraint.of_system(SYSTEM, self.learner.theta, known, session=self.folder.name, seed=0)
        constraint.save(told, path)
        return path


def correction(kind: str, step: Step, direction: np.ndarray | None) -> Correction:
    """What was said about a step of the policy; see the module's text."""
    q = np.asarray(step.observation.q, dtype=np.float64)
    control = np.clip(step.filtered, SYSTEM.control_low, SYSTEM.control_high)
    ends = q + SYSTEM.horizon * SYSTEM.control_dt * control
    controls = np.tile(control, (SYSTEM.horizon, 1))
    return Correction("push" if kind == "push" else "stop", q, controls, hand_at(ends)[0], direction)
