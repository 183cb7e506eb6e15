"""The process that drives an arm for the page: it connects it, runs episodes when it is told to, and tells how it is.

It is spawned by `link` and ends with it. Three threads: this one drives and never waits for the page; one hears
orders; one tells, thirty times a second, the newest of what there is to tell. The person's hand comes as to any session
on an arm, by `hardware.inputs.remote`: whoever is gone, page, server or network, has let go.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from hardware.arm import Arm, ArmError, Observation
from robot_learn.deployment import start
from robot_learn.deployment.assemble import HAND, joined
from robot_learn.deployment.bridge import Bridge, check_arm
from robot_learn.deployment.loop import Crew, Step, run_episode
from robot_learn.deployment.objects import ObjectPoses, Poses
from robot_learn.deployment.outcome import Outcome, explain
from robot_learn.deployment.pilot import Pilot, action_of
from robot_learn.deployment.places import Place
from robot_learn.deployment.record import Recorder
from robot_learn.deployment.session import Asked
from robot_learn.deployment.settings import Settings
from robot_learn.deployment.steering import Steering
from robot_learn.envs import EVAL_SEED0
from robot_learn.errors import UserError
from robot_learn.session.drive.arm import Attended, Orders, halting, stopped
from robot_learn.session.drive.episodes import name_of, shows
from robot_learn.session.drive.keep import Keeper
from robot_learn.session.drive.tell import Teller, listen

IDLE = 0.03  # [s] between two looks at an arm that nobody drives
_WAIT_FOR_HAND = 20.0  # [s]


def serve(settings: Settings, memory: object, pipe: Connection) -> None:
    """Drive the arm of `settings`, whose hand is a Unix socket, until the pipe closes.

    Raises:
        UserError, ArmError: it cannot be driven; the page's process is told.
    """
    orders = Orders(speed=settings.speed)
    listen(pipe, orders)
    with ExitStack() as stack:
        tell = stack.enter_context(Teller(pipe, orders))
        asked, place, recorder = stack.enter_context(joined(settings, lambda line: _said(tell, line)))
        keeper = None if recorder is None else stack.enter_context(Keeper(asked.definition.task, settings.root))
        station = Station(asked, place, recorder, keeper, orders, tell, alone=str(settings.run_folder).startswith(HAND))
        stack.callback(station.close)
        tell.event("ready", station.ready())
        station.run(EVAL_SEED0 + settings.seed + number for number in count())


def _said(tell: Teller, line: str) -> None:
    """A line for the page; where the hand is heard, and by which token, is nobody's business."""
    if not line.startswith("listening"):
        tell.event("said", " ".join(line.split()))


class PersonAlone(Pilot):
    """A person who drives without a policy: while the switch is held, standing still is what the person wants."""

    def action(self) -> Any:
        if self._hand is None or self.takeover.driver == "nobody":
            return None
        if self._hand.opening is not None:
            self._opening = self._hand.opening
        return action_of(self._hand, self._control, self._opening)


@dataclass
class Station:
    """One arm, and who may drive it."""

    asked: Asked
    place: Place
    recorder: Recorder | None
    keeper: Keeper | None
    orders: Orders
    tell: Teller
    alone: bool  # no policy
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        assert self.asked.hand is not None
        kind = PersonAlone if self.alone else Pilot
        self.pilot = kind(self.asked.hand, self.asked.control, clock=self.clock)
        self._seen = LastSeen(self.asked.source)
        self.bridge = Bridge(self.asked.definition, self._seen, arm_clock=self.place.clock_stands)
        self._again = False  # start as soon as the world is put anew

    def ready(self) -> dict[str, Any]:
        """What the page's process must know."""
        hand, task = self.asked.hand, self.asked.definition.task
        return {
            "token": getattr(hand, "token", ""),
            "task": task.name,
            "instruction": task.instruction,
            "control_dt": task.control_dt,
            "max_steps": self.asked.pacing.max_steps,
            "grips": self.asked.control.grips,
            "turns": self.asked.control.upright is not None,
            "simulated": self.place.simulated,
            "alone": self.alone,
            "folder": None if self.recorder is None else str(self.recorder.run.path),
            "dataset": None if self.keeper is None else self.keeper.dataset,
        }

    def run(self, seeds: Iterator[int]) -> None:
        """Until the page's process has closed the pipe."""
        while not self.orders.closed:
            self.tell.state(mode="connecting", against="")
            seed = next(seeds)
            with self.place.episode(seed) as arm:
                self.orders.halt = halting(arm)
                simulated, pressed = self.place.clock_stands, self.pilot.pressed
                attended = Attended(
                    arm, self.orders, self._show, paced=simulated, pressed=pressed, patient=self.place.simulated
                )
                check_arm(self.asked.definition, arm.observe())
                self._attend(attended, seed)

    def close(self) -> None:
        self.bridge.close()

    # While nobody drives.

    def _attend(self, arm: Attended, seed: int) -> None:
        """Do what is wanted, one thing after another; returns when the world shall be put anew."""
        while not self.orders.closed:
            self.orders.stop, self.orders.held = None, False  # nothing moves
            self.pilot.pressed()
            seen = arm.observe()
            self._show(seen)
            self.tell.state(mode="idle", against=start.against(seen, self.asked.control, self.asked.tolerance))
            anew, self._again = self._again, False
            act = "start" if anew else self.orders.next()
            if act == "reset" and self.place.simulated:
                return
            if act == "start" and not anew and self._must_be_put_anew(seen):
                self._again = True
                return
            if act and not self._do(act, arm, seed):
                return
            self.sleep(IDLE)

    def _must_be_put_anew(self, seen: Observation) -> bool:
        """A simulated episode begins where simulation begins it."""
        moved = seen.state not in ("idle", "moving") or start.against(seen, self.asked.control, self.asked.tolerance)
        return self.place.simulated and bool(moved)

    def _do(self, act: str, arm: Attended, seed: int) -> bool:
        """One act; False where the arm must be connected, or its world be put, anew."""
        try:
            if act == "start":
                return self._episode(arm, seed)
            if act == "go":
                self._go(arm)
            if act == "recover":
                arm.recover(by_person=True)
                self.tell.event("said", "the arm's errors are cleared")
            if act in ("discard", "undiscard"):
                self._discard(act == "discard")
        except (ArmError, UserError) as error:
            self.tell.event("trouble", str(error))
            return not (isinstance(error, ArmError) and self._lost(arm))
        return True

    def _discard(self, on: bool) -> None:
        if self.keeper is None:
            raise UserError("nothing is kept of this session")
        folder, kept = self.keeper.discard(on)
        self.tell.event("discarded", {"folder": name_of(folder), "discarded": on, "kept": kept})

    def _lost(self, arm: Arm) -> bool:
        """Whether the arm tells nothing any more."""
        try:
            arm.observe()
        except ArmError:
            self.place.failed()
            return True
        return False

    def _go(self, arm: Attended) -> None:
        if not self._held():
            return
        self.tell.state(mode="going to the start")
        arrived = start.go(arm, self.asked.control, speed=self.orders.speed, pressed=self._pressed)
        self.tell.event("said", "the arm is where episodes begin" if arrived else "let go on the way to the start")

    def _pressed(self) -> bool:
        return self.pilot.pressed() and self.orders.stop is None and not self.orders.closed

    def _held(self) -> bool:
        """Wait until the switch is held; False where nobody does."""
        self.tell.state(mode="waiting for the hand")
        until = self.clock() + _WAIT_FOR_HAND
        while not self.pilot.pressed():
            if self.clock() > until or self.orders.stop is not None or self.orders.closed:
                self.tell.event("trouble", "nobody held the dead-man switch, so the arm did not start")
                return False
            self.sleep(IDLE)
        return True

    # While somebody drives.

    def _episode(self, arm: Attended, seed: int) -> bool:
        asked = self.asked
        start.require(arm.observe(), asked.control, asked.tolerance)
        if not self._held():
            return True
        if self.keeper is not None:
            self.keeper.commit()
        if self.recorder is not None:
            self.recorder.attend(arm)
            self.recorder.begin(seed if self.place.simulated else None)
        steering = Steering(asked.control, speed=self.orders.speed)
        crew = Crew(
            self.bridge,
            steering,
            asked.chunks,
            asked.safety,
            self._may_go_on,
            self.pilot.action,
            lambda step: self._step(step, steering),
            None if self.recorder is None else self.recorder.end,
        )
        if self.place.clock_stands:
            crew = replace(crew, clock=None)
        outcome = run_episode(arm, crew, asked.pacing)
        if self.orders.stop is not None:  # whatever it broke first
            said = stopped(self.orders.stop)
            outcome = replace(outcome, reason="person stopped", detail=said, errors=(), error=None)
        self._account(arm, outcome)
        if outcome.reason in ("arm error", "communication") and self.place.simulated:
            self.place.failed()
            return False
        return not self._lost(arm)

    def _may_go_on(self) -> bool:
        """Whether the switch is held. A simulated arm waits for whoever let go, as soon as its time passes."""
        return self.pilot.pressed() or self.place.simulated

    def _step(self, step: Step, steering: Steering) -> None:
        if self.recorder is not None:
            self.recorder.step(step)
        self.pilot.sent(step.opening)
        steering.speed = self.orders.speed
        told = {
            "step": step.number,
            "driver": step.who,
            "limited": [*step.held_by, *step.applied.limited],
            "refused": step.applied.refused,
            "success": step.belief.success,
            "latency": step.latency,
            "late": step.overruns,
            "action": step.action.tolist(),
            "acted": time.monotonic(),
        }
        self.tell.state(mode="driving", **told)

    def _account(self, arm: Attended, outcome: Outcome) -> None:
        """The episode is over: keep it, and tell why it ended and what to do."""
        folder: Path | None = None
        kept = 0
        self.tell.state(mode="keeping", driver="nobody")
        try:
            if self.recorder is not None:
                folder = self.recorder.finish(outcome)
            if self.keeper is not None and folder is not None:
                kept = self.keeper.keep(folder, shows=shows(outcome))
        except UserError as error:
            self.tell.event("trouble", str(error))
        told = outcome.to_json() | {"explained": explain(outcome), "kept": kept}
        self.tell.event("ended", told | {"folder": None if folder is None else name_of(folder)})

    def _show(self, seen: Observation) -> None:
        """How the arm stands, as often as it is told."""
        if not self.tell.due():
            return
        told: dict[str, Any] = {
            "q": seen.q.tolist(),
            "opening": None if seen.gripper is None else seen.gripper.opening,
            "speed": float(abs(seen.dq).max()),
            "force": float((seen.external_wrench[:3] ** 2).sum() ** 0.5),
            "state": seen.state,
            "errors": list(seen.errors),
            "success_rate": seen.success_rate,
            "time": seen.time,
            "held": self.orders.held,
            "switch": self.pilot.takeover.dead_man.held,
            "drives": self.pilot.takeover.driver,
            "taken": self.pilot.takeover.taken,
        }
        with suppress(ArmError):  # a fake controller that is gone; the arm itself will say so
            told["things"] = self._things(seen)
        self.tell.state(**told)

    def _things(self, seen: Observation) -> dict[str, list[list[float]]]:
        """Where the task's things are, as (4, 4) poses; what only a camera knows as the episode last saw it."""
        found = self._seen.last if self.place.source is None else self.place.source.poses(seen.time)
        return {name: one.T_base_object.tolist() for name, one in found.items()}


class LastSeen:
    """A source of poses that remembers its last answer, for whoever must not make a camera look."""

    def __init__(self, source: ObjectPoses) -> None:
        self._source = source
        self.last: Poses = {}

    def poses(self, time: float) -> Poses:
        """What the source knows; see `deployment.objects.ObjectPoses`."""
        self.last = self._source.poses(time)
        return self.last
