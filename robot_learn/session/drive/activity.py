"""Drive: an arm on the page, simulated, fake or real, with a policy or a person at its wheel; or a recording of one.

The arm lives in a process of its own (`process`), which the page cannot hold up. A page gives orders (start,
hold, stop, go to the start, recover) and a hand, which is the dead-man switch and takes over from the policy. What a
person does then is kept as a demonstration.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from robot_learn.deployment.assemble import HAND
from robot_learn.deployment.settings import Settings
from robot_learn.errors import UserError, unknown
from robot_learn.franka import FINGER_TRAVEL
from robot_learn.session.activity import ABSENT_AFTER, Activity, Person, Place
from robot_learn.session.drive.delays import TIMINGS, Delays
from robot_learn.session.drive.episodes import on_disk, row
from robot_learn.session.drive.hand import Latch, hand_of
from robot_learn.session.drive.link import Driver
from robot_learn.session.drive.offers import check, offers, settings_of, task_of
from robot_learn.session.drive.replay import RECORDING, Replay
from robot_learn.session.drive.scene import ArmScene
from robot_learn.session.scene import Scene3D

__all__ = ["Drive", "check", "offers", "open_activity"]


_ACTS = ("start", "go", "reset", "recover")  # what the arm's process does in turn
_SHOWN = 12  # messages
_FORGOTTEN = 3.0  # [s] that a page may be gone, and a simulated arm goes on when it is back
# [s] without a page after which arm and dataset are given free for others, by what the arm does: it stands in both, and
# an episode that waits is worth more than one that is over.
FREED = {"idle": 60.0, "driving": 600.0}
_BUSY = "another process"  # of messages that tell of a lock
_HELP = (
    f"Close its page, and it gives all free after {FREED['idle']:.0f} s; or end it with Ctrl-C in its terminal. "
    "Then connect again."
)
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
        self._episodes = on_disk(self.settings.out)
        self._newest = ""  # the episode that can still be discarded
        self._absent_since: float | None = None  # [s] of the monotonic clock
        self._freeing: threading.Thread | None = None  # closes the connection, which has been given free
        self._why = ""  # the arm was held by us: "page gone", "controls moved"
        self._speed, self._opening, self._opening_until = self.settings.speed, 2 * FINGER_TRAVEL, 0.0
        self._latch = Latch()
        self._delays = Delays(self.folder / TIMINGS)
        self._driver = Driver(self.settings)
        self._shown: Any = None
        self._held: tuple[str, ...] = ()
        self._tab = ""  # whose hand was here last

    @property
    def scene(self) -> Scene3D | None:
        return self._arm.scene

    # --- What the page shows.

    def state(self) -> dict[str, Any]:
        told, ready = self._told, self._driver.ready or {}
        counted = [one for one in self._episodes if not one["discarded"]]
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
            "why": self._why if told.get("held") else "",
            "speed": self._speed,
            "messages": list(self._messages),
            "episodes": self._episodes[-20:],
            "count": len(counted),
            "successes": sum(one["success"] for one in counted),
            "kept": sum(one["kept"] for one in counted),
            "newest": self._newest,
            "place": str(self.settings.out.absolute()),  # of all episodes
            "dataset": ready.get("dataset"),
            "folder": ready.get("folder"),
            "max_steps": ready.get("max_steps", 0),
            "control_dt": ready.get("control_dt", 0.0),
            "gone": self._driver.failed,
            "help": _HELP if _BUSY in self._driver.failed else "",
        }

    @property
    def _told(self) -> dict[str, Any]:
        """What the arm's process tells."""
        return {"mode": "freed"} if self._freeing is not None else self._driver.state

    def live(self) -> dict[str, Any]:
        told = self._told
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
        if self._told.get("mode") != "driving":
            return "nobody"
        return str(self._told.get("driver", "nobody"))

    # --- What the person does.

    def do(self, what: str, arguments: dict[str, Any], who: Person) -> dict[str, Any] | None:
        """Start, go, reset, recover, connect; stop {kind}, hold {on}, speed {value}, grip {open}, discard {on}."""
        if what == "stop":  # anybody may, at any time
            self._latch.set(False)
            if self._freeing is not None:  # there is nothing to stop
                return None
            self._driver.order("stop", "hard" if arguments.get("kind") == "hard" else "soft")
            return None
        if not who.holds:
            raise UserError("another page holds the controls; take them first")
        if self._freeing is not None:
            raise UserError("the arm was given free and is being connected again: wait a moment")
        if what in _ACTS:
            self._begin(what)
        elif what == "discard":
            self._driver.order("discard" if arguments.get("on") else "undiscard")
        elif what == "hold":
            on = bool(arguments.get("on"))
            self._why = ""
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
            raise unknown("act", what, (*_ACTS, "stop", "hold", "speed", "grip", "discard", "connect"))
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
        if age < ABSENT_AFTER:
            self._absent_since = None
            self._wake()
        if self._freeing is not None:
            return
        if who.tab != self._tab:
            if self._tab:
                self._hold("controls moved")  # whoever has them now begins with an arm that stands still
            self._tab = who.tab
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
        if self._absent_since is None:
            self._absent_since = time.monotonic()
        if seconds > _FORGOTTEN:
            self._hold("page gone" if math.isfinite(seconds) else "controls moved")

    def _hold(self, why: str) -> None:
        """A simulated arm stands still until somebody says that it goes on; of a real one the switch is open."""
        if self._latch.on:
            self._latch.set(False)
            self._why = why
            with suppress(UserError):  # the process is gone, and the arm with it at rest; `poll` will tell
                self._driver.order("held", True)

    def _free(self) -> None:
        """Nobody has been here for long: others may have the arm and its dataset. In a thread: it may take seconds."""
        self._latch.set(False)
        self._newest = ""
        self._freeing = threading.Thread(target=self._driver.close, name="freeing")
        self._freeing.start()
        self._note("note", "no page was here for a while: the arm and its dataset were given free")

    def _wake(self) -> None:
        """A page is here again."""
        if self._freeing is not None and not self._freeing.is_alive():
            self._freeing = None
            self._driver = Driver(self.settings)
            self._note("note", "a page is here again: connecting")

    # --- What the arm does.

    def tick(self, now: float) -> None:
        if self._freeing is not None:
            return
        for kind, content in self._driver.poll():
            self._heard(kind, content)
        told = self._driver.state
        self._delays.saw(told)
        if told is not self._shown and "q" in told:
            self._shown = told
            self._arm.show(np.array(told["q"]), told.get("opening"), told.get("things", {}))
        if told.get("mode") == "driving":
            self._newest = ""
        since, patience = self._absent_since, FREED.get(told.get("mode", ""), math.inf)
        if since is not None and now - since > patience:
            self._free()

    def _heard(self, kind: str, content: Any) -> None:
        if kind == "ended":
            self._latch.set(False)
            self._episodes.append(row(content))
            self._newest = content["folder"] or ""
        elif kind == "ready":
            self._episodes = on_disk(self.settings.out)  # also what the connection before has left
        elif kind == "discarded":
            self._episodes = [one | content if one["folder"] == content["folder"] else one for one in self._episodes]
        elif kind in ("said", "trouble"):
            self._note("note" if kind == "said" else "trouble", str(content))

    def _note(self, tone: str, text: str) -> None:
        if text:
            self._messages.append({"tone": tone, "text": text, "number": next(_NUMBERS), "at": time.time()})

    def close(self) -> None:
        if self._freeing is not None:
            self._freeing.join()
        else:
            self._driver.close()


def _speed(value: Any) -> float:
    """A share of full speed.

    Raises:
        UserError: it is none.
    """
    if not isinstance(value, int | float) or not 0.05 <= value <= 1.0:
        raise UserError(f"speed: wanted a share from 0.05 to 1, came {value!r}")
    return float(value)
