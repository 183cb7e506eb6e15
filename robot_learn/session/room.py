"""A room: one activity, the tabs that look at it, and which of them holds the controls.

Two threads meet here. The work thread owns the activity and makes frames of what changed; the event loop owns the tabs
and sends them. A slow tab gets the newest state and the newest poses, never all of them in a row.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from robot_learn.session.activity import ABSENT_AFTER, Activity, Counted, Handled, Lively, Person
from robot_learn.session.scene import Scene3D

STATE_EVERY = 1 / 40  # [s] between two looks: while the robot plans one or two are left out, and 30 shall reach a page
SLEEPY = 0.5  # [s] between two looks at a state that nobody watches
BEATS = 256  # of ours, remembered


@dataclass(frozen=True)
class Hand:
    """What the page that holds the controls said last."""

    who: Person
    held: tuple[str, ...]
    axes: tuple[float, ...]
    true_at: float  # time.monotonic() at which it was surely so


@dataclass(frozen=True)
class Frames:
    """What changed, ready to be sent; None or empty where nothing did."""

    state: str | None = None
    live: str | None = None
    items: dict[str, bytes | None] = field(default_factory=dict)  # bodies; None: gone
    poses: bytes | None = None


@dataclass(eq=False)
class Tab:
    """One page, as the event loop knows it: what is still to be sent to it."""

    name: str  # of the tab
    person: str
    queue: deque[str | bytes] = field(default_factory=deque)  # answers: must arrive, in order
    latest: dict[str, str | bytes] = field(default_factory=dict)  # of all else the newest of each kind
    awake: asyncio.Event = field(default_factory=asyncio.Event)
    sent_beats: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=BEATS))
    seen: float = 0.0  # time.monotonic() of its newest beat

    def must(self, frame: str | bytes) -> None:
        self.queue.append(frame)
        self.awake.set()

    def newest(self, kind: str, frame: str | bytes) -> None:
        self.latest[kind] = frame
        self.awake.set()

    def take(self) -> list[str | bytes]:
        """Everything that is to be sent now."""
        self.awake.clear()
        found = [*self.queue, *self.latest.values()]
        self.queue.clear()
        self.latest.clear()
        return found


class Room:
    """An activity and its tabs."""

    def __init__(self, key: tuple[str, str]) -> None:
        self.key = key
        self.activity: Activity | None = None
        self.fault = ""  # why there is none, or none any more
        # The event loop's.
        self.tabs: dict[str, Tab] = {}
        self.items: dict[str, bytes] = {}
        self.last: dict[str, str | bytes] = {}
        # Written by the event loop, read by the work thread, replaced as a whole.
        self.hand: Hand | None = None
        self.holder = ""  # the tab that holds the controls
        # The work thread's.
        self._state, self._live, self._due, self._revision = "", "", 0.0, 0

    # --- In the work thread.

    def tick(self, now: float) -> Frames:
        """Move the activity on and say what changed."""
        if self.activity is None:
            return self._told()
        hand = self.hand
        age = now - hand.true_at if hand is not None else float("inf")
        if isinstance(self.activity, Handled) and hand is not None:
            self.activity.hand(hand.held, hand.axes, hand.who, age)
        if age > ABSENT_AFTER:
            self.activity.absent(age)
        self.activity.tick(now)
        return self.frames(now)

    def frames(self, now: float, *, at_once: bool = False) -> Frames:
        """What changed since the last frames."""
        if now < self._due and not at_once:
            return Frames()
        # From when it was due, not from now: ticks that come a little early or late must not cost every third frame.
        self._due = max(now, self._due + STATE_EVERY) if self.tabs else now + SLEEPY
        activity = self.activity
        told = self._told()
        if activity is None:
            return told
        live = json.dumps({"live": activity.live()}) if isinstance(activity, Lively) else ""
        fresh, self._live = live != self._live, live
        scene: Scene3D | None = activity.scene
        items, poses = scene.changes() if scene is not None else ({}, None)
        return Frames(told.state, live if fresh else None, items, poses)

    def lessons(self) -> int:
        activity: object = self.activity
        return activity.lessons() if isinstance(activity, Counted) else -1

    def _told(self) -> Frames:
        activity = self.activity
        state: dict[str, Any] = {} if activity is None else activity.state()
        text = json.dumps({**state, "fault": self.fault, "holder": self.holder}, ensure_ascii=False, allow_nan=False)
        if text == self._state:
            return Frames()
        self._state, self._revision = text, self._revision + 1
        return Frames(state=f'{{"state": {text}, "rev": {self._revision}}}')

    # --- In the event loop.

    def show(self, frames: Frames) -> None:
        """To all tabs, and to those that come later."""
        for name, item in frames.items.items():
            if item is not None:
                self.items[name] = item
            else:
                self.items.pop(name, None)
        fresh = {"state": frames.state, "live": frames.live, "poses": frames.poses}
        self.last |= {kind: frame for kind, frame in fresh.items() if frame is not None}
        for tab in self.tabs.values():
            for name, item in frames.items.items():
                tab.newest(f"body {name}", item if item is not None else json.dumps({"gone": name}))
            for kind, frame in fresh.items():
                if frame is not None:
                    tab.newest(kind, frame)

    def enter(self, tab: Tab) -> None:
        """A page opens, or comes back: it is shown everything. The first in a room holds the controls."""
        self.tabs[tab.name] = tab
        if self.holder not in self.tabs:
            self.hold(tab)
        for name, item in self.items.items():
            tab.newest(f"body {name}", item)
        for kind, frame in self.last.items():
            tab.newest(kind, frame)

    def leave(self, tab: Tab) -> None:
        if self.tabs.get(tab.name) is tab:
            del self.tabs[tab.name]

    def hold(self, tab: Tab) -> None:
        """The controls go to a tab."""
        if self.holder != tab.name:
            self.holder, self.hand = tab.name, None

    def person(self, tab: Tab) -> Person:
        return Person(tab.person, tab.name, self.holder == tab.name)

    def beat(self, tab: Tab, heard: int, held: tuple[str, ...], axes: tuple[float, ...]) -> None:
        """A tab's beat, which answers the newest of ours that it had heard: what it says was so after that one."""
        tab.seen = time.monotonic()
        if self.holder == tab.name:
            since = dict(tab.sent_beats).get(heard, float("-inf"))
            self.hand = Hand(self.person(tab), held, axes, since)
