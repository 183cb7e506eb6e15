"""One arm and who may drive it: what the dead-man switch, errors and orders come to, on an arm that may be real."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np

from hardware.inputs import Hand
from robot_learn.deployment.loop import Pacing
from robot_learn.deployment.objects import Truth
from robot_learn.deployment.session import Asked
from robot_learn.deployment.steering import Chunks
from robot_learn.session.drive.arm import Orders
from robot_learn.session.drive.process import Station
from sims import franka
from tests.robot_learn.deployment.conftest import Stage, quick, stage
from tests.robot_learn.deployment.stand_in import StandIn

HELD = ("waiting for the hand", "going to the start", "driving")


@dataclass
class Person:
    """An input whose switch and deflection the test sets; the hand takes a tenth of a second to close."""

    held: bool = False
    open_until: float = 0.0  # [s]
    twist: tuple[float, ...] = (0.0,) * 6
    name: str = "a test"
    help: str = ""

    def read(self, now: float) -> Hand:
        if not self.held:
            self.open_until = now + 0.1
        return Hand(np.array(self.twist), None, now > self.open_until, age=0.0)


@dataclass
class Told:
    """What the page would be told; `then` reacts to it."""

    events: list[tuple[str, Any]] = field(default_factory=list)
    states: dict[str, Any] = field(default_factory=dict)
    then: Callable[[Told], None] = lambda told: None

    def due(self) -> bool:
        return True

    def state(self, **told: Any) -> None:
        self.states |= told
        self.then(self)

    def event(self, kind: str, content: Any) -> None:
        self.events.append((kind, content))

    @property
    def ended(self) -> list[dict[str, Any]]:
        return [content for kind, content in self.events if kind == "ended"]

    @property
    def trouble(self) -> list[str]:
        return [content for kind, content in self.events if kind == "trouble"]


@dataclass
class Here:
    """A place with the stand-in arm."""

    arm: StandIn
    source: Any
    simulated: bool = False
    clock_stands: bool = True
    failures: int = 0

    @contextmanager
    def episode(self, seed: int) -> Iterator[StandIn]:
        yield self.arm

    def failed(self) -> None:
        self.failures += 1


def run(then: Callable[[Told, Person, Orders, StandIn], None], *, steps: int = 40, alone: bool = False) -> Told:
    """A station at which `then` is called whenever the page would hear something; it must close the orders."""
    scene: Stage = stage("reach")
    person, orders, told = Person(), Orders(), Told()
    source = Truth(scene.arm.model, scene.arm.data)
    asked = Asked(
        quick("reach"),
        franka.control("reach"),
        Chunks(scene.crew.chunks.actor),
        Pacing(0.04, steps),
        source,
        hand=person,
    )  # type: ignore[arg-type]
    place = Here(scene.arm, source)
    turns = count()

    def react(heard: Told) -> None:
        then(heard, person, orders, scene.arm)
        if next(turns) > 5000:
            orders.closed = True

    told.then = react
    readings = count()
    station = Station(
        asked, place, None, None, orders, told, alone=alone, clock=lambda: 0.03 * next(readings), sleep=lambda _: None
    )  # type: ignore[call-arg, arg-type]
    orders.hear("start", None)
    station.run(count())
    station.close()
    return told


def test_it_starts_when_the_switch_is_held_and_stops_when_it_is_let_go() -> None:
    modes: list[str] = []

    def then(told: Told, person: Person, orders: Orders, arm: StandIn) -> None:
        modes.append(told.states.get("mode", ""))
        person.held = modes[-1] in HELD and told.states.get("step", 0) < 5
        orders.closed = bool(told.ended)

    told = run(then)
    (ended,) = told.ended
    assert ended["reason"] == "person let go"
    assert 5 + 9 <= ended["steps"] <= 5 + 12  # .3 s, read once a step
    assert "waiting for the hand" in modes


def test_a_switch_that_was_held_before_anybody_looked_starts_nothing() -> None:
    looks = count()

    def then(told: Told, person: Person, orders: Orders, arm: StandIn) -> None:
        person.held, person.open_until = True, 0.0
        orders.closed = bool(told.trouble) or next(looks) > 100
        assert told.states.get("mode") != "driving"

    assert run(then).trouble == ["nobody held the dead-man switch, so the arm did not start"]


def test_a_person_alone_stands_still_until_they_move() -> None:
    actions: list[tuple[str, list[float]]] = []

    def then(told: Told, person: Person, orders: Orders, arm: StandIn) -> None:
        state = told.states
        person.held = state.get("mode") in HELD
        if state.get("mode") == "driving":
            actions.append((state["driver"], state["action"]))
            person.twist = (0.5, 0, 0, 0, 0, 0) if state["step"] >= 5 else (0.0,) * 6
        orders.closed = bool(told.ended)

    (ended,) = run(then, steps=12, alone=True).ended
    assert {who for who, _ in actions} == {"person"}
    assert not np.any(actions[0][1])
    np.testing.assert_allclose(actions[-1][1], [0.5 * 0.1 / 0.25, 0, 0])
    assert ended["corrected"] == ended["steps"]


def test_stop_is_told_as_the_persons_own_and_a_slower_speed_counts_at_once() -> None:
    sent: list[float] = []

    def then(told: Told, person: Person, orders: Orders, arm: StandIn) -> None:
        person.held = told.states.get("mode") in HELD
        step = told.states.get("step", 0)
        if told.states.get("mode") == "driving" and arm.commands:
            sent.append(float(np.abs(arm.commands[-1].values).max()))
        if step == 8:
            orders.hear("speed", 0.1)
        if step == 14:
            orders.hear("stop", "hard")
        orders.closed = bool(told.ended)

    (ended,) = run(then).ended
    assert ended["reason"] == "person stopped"
    assert "Emergency stop was pressed on the page" in ended["explained"]
    assert max(sent[-3:]) < 0.3 * max(sent)


def test_an_arm_that_is_elsewhere_does_not_start_and_goes_there_when_told() -> None:
    asked: list[str] = []

    def then(told: Told, person: Person, orders: Orders, arm: StandIn) -> None:
        person.held = told.states.get("mode") in HELD
        if not asked:
            arm.data.qpos[0] += 0.5
            asked.append("moved away")
        if told.trouble and len(asked) == 1:
            asked.append(told.states["against"])
            orders.hear("go", None)
        orders.closed = any(kind == "said" for kind, _ in told.events)

    told = run(then)
    assert "joint1 +0.5" in told.trouble[0]
    assert ("said", "the arm is where episodes begin") in told.events
    assert told.ended == []


def test_a_reflex_ends_the_episode_and_a_person_who_has_looked_clears_it() -> None:
    states: list[str] = []

    def then(told: Told, person: Person, orders: Orders, arm: StandIn) -> None:
        states.append(told.states.get("state", ""))
        person.held = told.states.get("mode") in HELD
        if told.states.get("step", 0) == 6 and not told.ended and arm.state == "moving":
            arm.state, arm.errors = "reflex", ("cartesian_reflex",)
        if told.ended and arm.state == "reflex" and not orders.acts:
            orders.hear("recover", None)
        orders.closed = any(kind == "said" for kind, _ in told.events)

    told = run(then)
    (ended,) = told.ended
    assert (ended["reason"], ended["errors"]) == ("reflex", ["cartesian_reflex"])
    assert "never recovers from this by itself" in ended["explained"]
    assert told.events[-1] == ("said", "the arm's errors are cleared")
    assert "reflex" in states
