"""Drive: an arm on the page, simulated, fake or real, with a policy or a person at its wheel; or a recording of one.

The arm lives in a process of its own (`process`), which the page cannot hold up. A page gives orders (start,
hold, stop, go to the start, recover) and a hand, which is the dead-man switch and takes over from the policy. What a
person does then is kept as a demonstration.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from robot_learn.deployment.assemble import HAND
from robot_learn.deployment.settings import Settings
from robot_learn.errors import UserError, unknown
from robot_learn.franka import FINGER_TRAVEL
from robot_learn.session.activity import Activity, Person, Place
from robot_learn.session.drive.delays import TIMINGS, Delays
from robot_learn.session.drive.hand import Latch, hand_of
from robot_learn.session.drive.link import Driver
from robot_learn.session.drive.offers import offers, settings_of, task_of
from robot_learn.session.drive.replay import RECORDING, Replay
from robot_learn.session.drive.scene import ArmScene
from robot_learn.session.scene import Scene3D

__all__ = ["Drive", "offers", "open_activity"]


_ACTS = ("start", "go", "reset", "recover")  # what the arm's process does in turn
_SHOWN = 12  # messages
_FORGOTTEN = 3.0  # [s] that a page may be gone, and a simulated arm goes on when it is back
_GRIP = 0.4  # [s] for which a wish of the gripper is told
_NUMBERS = count(1)  # of messages, so that a page shows each once


def open_activity(what: str, place: Place) -> Activity:
    """An arm by its address, and behind a blank who drives it: "mujoco:fr3 runs/franka-reach-...", or a recording.

    Raises:
        UserError: there is no such kind of arm, or no such file.
    """
    if what.startswith(RECORDING):
        return Replay(what.removeprefix(RECORDING))
    return Drive(settings_of(what, place), place.folder)


@dataclass(eq=False)
class Drive:
    """An arm that can be driven.

    Args:
        settings: of the session on the arm.
        folder: of this activity; how fast the page and the arm were is kept there.
    """

    settings: Settings
    folder: Path
    name: str = field(default="drive", init=False)

    def __post_init__(self) -> None:
        self.simulated = self.settings.fake or self.settings.arm.startswith("mujoco:")
        source = str(self.settings.run_folder)
        self.alone = source.startswith(HAND)
        self._arm = ArmScene(task_of(source))
        self._messages: deque[dict[str, Any]] = deque(maxlen=_SHOWN)
        self._episodes: list[dict[str, Any]] = []
        self._speed, self._opening, self._opening_until = self.settings.speed, 2 * FINGER_TRAVEL, 0.0
        self._latch = Latch()
        self._delays = Delays(self.folder / TIMINGS)
        self._driver = Driver(self.settings)
        self._shown: Any = None
        self._held: tuple[str, ...] = ()

    @property
    def scene(self) -> Scene3D | None:
        return self._arm.scene

    # --- What the page shows.

    def state(self) -> dict[str, Any]:
        told, ready = self._driver.state, self._driver.ready or {}
        return {
            "kind": "arm",
            "arm": self.settings.arm + (" (fake controller)" if self.settings.fake else ""),
            "policy": None if self.alone else str(self.settings.run_folder),
            "task": ready.get("task", ""),
            "instruction": ready.get("instruction", ""),
            "simulated": self.simulated,
            "alone": self.alone,
            "grips": ready.get("grips", False),
            "turns": ready.get("turns", False),
            "mode": told.get("mode", "starting"),
            "state": told.get("state", ""),
            "errors": told.get("errors", []),
            "against": told.get("against", ""),
            "driver": self._who_drives(),
            "switch": bool(told.get("switch")),
            "held": bool(told.get("held")),
            "speed": self._speed,
            "messages": list(self._messages),
            "episodes": self._episodes[-20:],
            "count": len(self._episodes),
            "successes": sum(one["success"] for one in self._episodes),
            "kept": sum(one["kept"] for one in self._episodes),
            "dataset": ready.get("dataset"),
            "folder": ready.get("folder"),
            "max_steps": ready.get("max_steps", 0),
            "gone": self._driver.failed,
        }

    def live(self) -> dict[str, Any]:
        told = self._driver.state
        names = ("q", "opening", "speed", "force", "success_rate", "time", "step", "limited", "refused", "late")
        return {
            **{name: told.get(name) for name in names},
            "latency": told.get("latency"),
            "success": bool(told.get("success")) and told.get("mode") == "driving",
            "did": self._delays.did,
            "delay": self._delays.newest,
            "delay_median": self._delays.median,
        }

    def files(self) -> Mapping[str, Path]:
        return {}

    def _who_drives(self) -> str:
        if self._driver.state.get("mode") != "driving":
            return "nobody"
        return str(self._driver.state.get("driver", "nobody"))

    # --- What the person does.

    def do(self, what: str, arguments: dict[str, Any], who: Person) -> dict[str, Any] | None:
        """Acts: start, go, reset, recover; stop {kind}, hold {on}, speed {value}, grip {open}, connect."""
        if what == "stop":  # anybody may, at any time
            self._latch.set(False)
            self._driver.order("stop", "hard" if arguments.get("kind") == "hard" else "soft")
            return None
        if not who.holds:
            raise UserError("another page holds the controls; take them first")
        if what in _ACTS:
            self._begin(what)
        elif what == "hold":
            on = bool(arguments.get("on"))
            if self.simulated and not on:
                self._latch.set(True)
            self._driver.order("held", on)
        elif what == "speed":
            self._speed = _speed(arguments.get("value"))
            self._driver.order("speed", self._speed)
        elif what == "grip":
            self._opening = 2 * FINGER_TRAVEL if arguments.get("open") else 0.0
            self._opening_until = time.monotonic() + _GRIP
        elif what == "connect":
            self._connect()
        else:
            raise unknown("act", what, (*_ACTS, "stop", "hold", "speed", "grip", "connect"))
        return None

    def _begin(self, what: str) -> None:
        if what == "reset" and not self.simulated:
            raise UserError("only a simulated world can be put anew; a real arm goes to the start")
        if what == "recover" and self._driver.state.get("state") == "user_stopped":
            raise UserError("the external activation device is pressed: release it, no button here can")
        self._latch.set(self.simulated and what in ("start", "go"))
        self._driver.order(what)

    def _connect(self) -> None:
        if not self._driver.failed:
            raise UserError("the arm is connected")
        self._driver.close()
        self._driver = Driver(self.settings)
        self._note("note", "connecting again")

    def hand(self, held: tuple[str, ...], axes: tuple[float, ...], who: Person, age: float) -> None:
        """Pass on what the hand on the controls does; see `activity.Handled`."""
        opening = self._opening if time.monotonic() < self._opening_until else None
        now = time.monotonic()
        latched = self._latch.held(now, counts=bool(self._driver.state.get("switch")))
        hand = hand_of(held, axes, age, opening=opening, latched=latched)
        if not self._latch.settled(now):
            hand = replace(hand, twist=np.zeros(6))
        if held != self._held:
            self._held = held
            self._delays.pressed(hand, held, time.monotonic())
        self._driver.hand(hand)

    def absent(self, seconds: float) -> None:
        """The hand grows old in the arm's process by itself; a simulated arm then stands still until the page is back,
        and after a while until somebody says so.
        """
        self._held = ()
        if seconds > _FORGOTTEN and self._latch.on:
            self._latch.set(False)
            self._driver.order("held", True)

    # --- What the arm does.

    def tick(self, now: float) -> None:
        for kind, content in self._driver.poll():
            self._heard(kind, content)
        told = self._driver.state
        self._delays.saw(told)
        if told is not self._shown and "q" in told:
            self._shown = told
            self._arm.show(np.array(told["q"]), told.get("opening"), told.get("things", {}))

    def _heard(self, kind: str, content: Any) -> None:
        if kind == "ended":
            self._latch.set(False)
            names = ("reason", "success", "steps", "seconds", "corrected", "kept", "explained", "folder", "limited")
            self._episodes.append({name: content[name] for name in names} | {"p99": content["latency"]["p99"]})
        elif kind in ("said", "trouble"):
            self._note("note" if kind == "said" else "trouble", str(content))

    def _note(self, tone: str, text: str) -> None:
        if text:
            self._messages.append({"tone": tone, "text": text, "number": next(_NUMBERS)})

    def close(self) -> None:
        self._driver.close()


def _speed(value: Any) -> float:
    """A share of full speed.

    Raises:
        UserError: it is none.
    """
    if not isinstance(value, int | float) or not 0.05 <= value <= 1.0:
        raise UserError(f"speed: wanted a share from 0.05 to 1, came {value!r}")
    return float(value)
