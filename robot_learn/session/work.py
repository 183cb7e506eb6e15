"""The one thread in which activities live: it opens them, passes on what people do, and lets them tick."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from robot_learn.errors import UserError
from robot_learn.session.activity import Act, Activity
from robot_learn.session.room import Frames, Room
from robot_learn.session.store import Store

PERIOD = 1 / 60  # [s] between two ticks
Answer = dict[str, Any] | None


class Work:
    """See the module's text.

    Args:
        opens: makes a room's activity.
        publish: told from this thread what changed in a room.
    """

    def __init__(
        self,
        opens: Callable[[tuple[str, str]], Activity],
        store: Callable[[], Store],
        publish: Callable[[Room, Frames], None],
    ) -> None:
        self._opens, self._make_store, self._publish = opens, store, publish
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._rooms: list[Room] = []
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="activities", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Close all activities and wait for it."""
        self._jobs.put(self._end)
        self._thread.join()

    def add(self, room: Room) -> None:
        """A new room, whose activity is opened now."""
        self._jobs.put(lambda: self._open(room))

    def do(self, room: Room, act: Act) -> Future[Answer]:
        """An act, to be done in its turn; the answer, or its UserError."""
        future: Future[Answer] = Future()
        self._jobs.put(lambda: self._do(room, act, future))
        return future

    def timing(self, room: Room, act: str, seconds: float) -> None:
        """Keep how long an act took, as the page felt it."""
        self._jobs.put(lambda: self._guarded(room, lambda: self._store.timing(room.key, act, "page", seconds)))

    # --- In the thread.

    def _run(self) -> None:
        self._store = self._make_store()
        due = time.monotonic()
        while not self._ending:
            with suppress(Empty):
                self._jobs.get(timeout=max(0.0, due - time.monotonic()))()
            now = time.monotonic()
            if now >= due and not self._ending:
                for room in self._rooms:
                    self._guarded(room, partial(self._tick, room, now))
                due = max(due + PERIOD, time.monotonic())
        self._store.close()

    def _tick(self, room: Room, now: float) -> None:
        self._publish(room, room.tick(now))

    def _open(self, room: Room) -> None:
        self._rooms.append(room)

        def opens() -> None:
            room.activity = self._opens(room.key)
            room.fault = ""

        self._guarded(room, opens)
        self._publish(room, room.frames(time.monotonic(), at_once=True))

    def _do(self, room: Room, act: Act, future: Future[Answer]) -> None:
        try:
            future.set_result(self._done(room, act))
        except UserError as error:
            future.set_exception(error)
        except Exception as error:
            traceback.print_exc()
            future.set_exception(UserError(f"a fault of ours: {type(error).__name__}: {error}"))
        self._guarded(room, lambda: self._publish(room, room.frames(time.monotonic(), at_once=True)))

    def _done(self, room: Room, act: Act) -> Answer:
        activity = room.activity
        if activity is None:
            raise UserError(room.fault or "this is still being opened")
        known = self._store.begin(room.key, act, room.lessons())
        if known is not None:
            return known.answer
        try:
            answer = activity.do(act.what, act.arguments, act.who)
        except UserError as error:
            self._store.refused(act, str(error))
            raise
        self._store.done(act, answer)
        return answer

    def _guarded(self, room: Room, work: Callable[[], None]) -> None:
        """What goes wrong in one room is shown there, and the others go on."""
        try:
            work()
        except Exception as error:
            if not isinstance(error, UserError):
                traceback.print_exc()
            ours = "" if isinstance(error, UserError) else f"a fault of ours: {type(error).__name__}: "
            broken, room.activity, room.fault = room.activity, None, f"{ours}{error}"
            if broken is not None:
                _close(broken)

    def _end(self) -> None:
        self._ending = True
        for room in self._rooms:
            if room.activity is not None:
                _close(room.activity)


def _close(activity: Activity) -> None:
    try:
        activity.close()
    except Exception:
        sys.stderr.write(f"closing {activity.name}:\n")
        traceback.print_exc()
