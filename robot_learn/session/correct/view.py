"""What the page is told about a session of corrections, as JSON."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from controllers.alignment.hypotheses import Hypotheses
from controllers.mpc import Plan
from robot_learn.alignment.events import OUTCOMES, Entry
from robot_learn.alignment.keyboard import pushes
from robot_learn.alignment.people import GOOD_IN_A_ROW
from robot_learn.alignment.session import Session
from robot_learn.session.correct.region import Chart, Drawn

# What the home page says, the best to begin with first.
ABOUT = {
    "uav-gate": ("Through the gate", "a drone that has to find the opening of a wall"),
    "franka-reach": ("Through the slot", "a hand that has to pass a tilted slot"),
    "franka-pour": ("Carry a full cup", "a cup that has to be carried over an obstacle"),
    "uav-tube": ("Inside the tube", "a drone that has to stay in a slanted tube"),
    "franka-joints": ("Over a low obstacle", "seven joints that carry a hand over a board"),
    "reacher": ("Two links", "an arm that must not stretch to one side"),
    "pendulum": ("Pendulum", "a swing that must not be too fast"),
}
_KEYS = {"left arrow": "ArrowLeft", "right arrow": "ArrowRight", "up arrow": "ArrowUp", "down arrow": "ArrowDown"}
_SPOKEN = {"stop": "stop", "fine": "this is fine", "meant": "meant", "denied": "not meant"}
_MOST = 200  # points of a curve
_WORDS, _EPISODES = 24, 12  # that the page lists


class Known:
    """What changes when something was learned or an episode ended: reckoned then, and not thirty times a second."""

    def __init__(self, session: Session, says: Mapping[str, str]) -> None:
        self._session = session
        self._fixed = {
            "system": session.game.system.name,
            "directions": keys_of(session.game.directions, says),
            "enough": max(GOOD_IN_A_ROW, session.game.targets),
        }
        system = session.game.system
        self._first = Hypotheses.box(system.theta_low, system.theta_high).log_volume
        self._key: tuple[object, ...] = ()
        self._told: dict[str, Any] = {}

    def told(self) -> dict[str, Any]:
        session = self._session
        key = (len(session.entries), len(session.episodes), session.outcome)
        if key != self._key:
            self._key, self._told = key, self._fixed | self._reckoned()
        return self._told

    def _reckoned(self) -> dict[str, Any]:
        session, view = self._session, self._session.view()
        words = corrections(session)
        standing = [word["kind"] for word in words if not word["fate"]]
        silences = (session.entries[number].kind == "silence" for number in in_force(session.entries))
        return {
            "outcome": OUTCOMES[view.outcome] if view.outcome else "",
            "counts": view.counts,
            "taught": len(session.learner.corrections),
            "standing": {
                "corrections": standing.count("push") + standing.count("stop"),
                "fine": standing.count("fine"),
                "silence": sum(silences),
            },
            "undoable": bool(session.learner.corrections) and view.outcome != "satisfied",
            "good": view.good,
            "finished": len(session.episodes),
            "driven": sum(episode.steps for episode in session.episodes),
            "curve": curve([self._first, *(entry.log_volume for entry in session.entries)]),
            "volume": round(view.log_volume, 2),
            "bound": view.still_to_come,
            "doubt": view.doubt,
            "doubted": None if view.doubted is None else about_entry(session, view.doubted),
            "corrections": words[-_WORDS:],
            "episodes": [
                {"number": e.number, "passed": e.passed, "stopped": e.stopped, "pushes": e.pushes, "steps": e.steps}
                for e in session.episodes[-_EPISODES:]
            ],
        }


def about_plan(number: int, plan: Plan, theta: np.ndarray) -> dict[str, Any]:
    """A plan by its number, with all that is needed to judge it."""
    return {
        "id": number,
        "status": plan.status,
        "ms": round(1000 * plan.seconds, 1),
        "g": round(plan.g(theta), 4),
        "state": plan.states[0].tolist(),
        "controls": plan.controls.tolist(),
        "target": plan.target.tolist(),
    }


def keys_of(directions: Mapping[str, np.ndarray], says: Mapping[str, str]) -> list[dict[str, str]]:
    """Which key pushes where, as the browser names keys."""
    found = pushes(directions)
    return [{"name": name, "label": says.get(name, name), "key": _KEYS.get(key, key)} for key, name in found.items()]


def curve(values: list[float]) -> list[float]:
    """The log-volume of what is possible, lesson by lesson, thinned to what can be drawn."""
    if len(values) > _MOST:
        values = [values[i] for i in np.linspace(0, len(values) - 1, _MOST).round().astype(int)]
    return [round(value, 2) for value in values]


def about_entry(session: Session, number: int) -> dict[str, Any]:
    """A correction by its number, from 1, in words."""
    correction = session.learner.corrections[number - 1]
    return {"number": number, "text": spoken(session, correction.kind, correction.direction)}


def spoken(session: Session, kind: str, direction: np.ndarray | None) -> str:
    """A word of the person."""
    if kind != "push" or direction is None:
        return _SPOKEN[kind]
    named = [name for name, known in session.game.directions.items() if np.array_equal(known, direction)]
    return f"push {named[0]}" if named else "push"


def in_force(entries: Sequence[Entry]) -> list[int]:
    """Which lessons still count: an undo takes back the last correction, and what silence has said since."""
    standing: list[int] = []
    for number, entry in enumerate(entries):
        if entry.kind != "undo":
            standing.append(number)
            continue
        while standing and entries[standing.pop()].kind == "silence":
            pass
    return standing


def corrections(session: Session) -> list[dict[str, Any]]:
    """What the person said, a line each, and what became of it where it no longer counts."""
    entries = session.entries
    standing = [number for number in in_force(entries) if entries[number].kind != "silence"]
    fates = dict.fromkeys(range(len(entries)), "taken back") | dict.fromkeys(standing, "")
    # The learner counts the corrections that stand from 1.
    fates |= {standing[number - 1]: "held to be a mistake" for number in session.learner.set_aside if number > 0}
    fates |= {standing[entries[n].about - 1]: "not meant" for n in standing if entries[n].kind == "denied"}
    said = [number for number, entry in enumerate(entries) if entry.kind not in ("silence", "undo")]
    return [about_word(session, entries[number]) | {"fate": fates[number]} for number in said]


def about_word(session: Session, entry: Entry) -> dict[str, Any]:
    moved = float(np.abs(entry.theta_after - entry.theta_before).max())
    text = spoken(session, entry.kind, entry.direction)
    return {
        "kind": entry.kind,
        "text": text + (" (asked)" if entry.asked else ""),
        "episode": entry.episode,
        "step": entry.step,
        "moved": float(f"{moved:.2g}"),
        "volume": round(entry.log_volume, 2),
    }


def charted(charts: Sequence[Chart], drawn: Drawn | None, states: np.ndarray) -> list[dict[str, Any]]:
    """Planes through the states: what the hypotheses hold of each place, from 0 to 255, and where the plan goes."""
    found = []
    for number, chart in enumerate(charts):
        cells = None
        if drawn is not None:
            shares = np.clip(np.round(255 * drawn.charts[number]), 0, 255).astype(np.uint8)
            cells = base64.b64encode(shares.tobytes()).decode()
        found.append(
            {
                "title": chart.title,
                "right": chart.right,
                "up": chart.up,
                "low": [float(chart.rights[0]), float(chart.ups[0])],
                "high": [float(chart.rights[-1]), float(chart.ups[-1])],
                "size": [len(chart.rights), len(chart.ups)],
                "cells": cells,
                "path": [[round(float(v), 3) for v in point] for point in chart.path(states)],
            }
        )
    return found
