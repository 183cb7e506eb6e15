"""Between the process that drives an arm and the page's: orders one way, the newest news the other, nobody waits."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from robot_learn.session.drive.arm import Orders

PERIOD = 0.025  # [s] between two looks at how an arm stands
_APART = 0.012  # [s] between two tellings at least
_ASLEEP = 0.25  # [s] without news
_LAST_WORDS = 1.0  # [s] to send what is left at the end


def listen(pipe: Connection, orders: Orders) -> threading.Thread:
    """Hear orders until the pipe closes, which is an order to end as well."""

    def hear() -> None:
        with suppress(EOFError, OSError):
            while True:
                what, value = pipe.recv()
                orders.hear(what, value)
        orders.closed = True

    thread = threading.Thread(target=hear, daemon=True)
    thread.start()
    return thread


class Teller:
    """Sends states, of which only the newest counts, and events, of which none is lost, from a thread of its own."""

    def __init__(self, pipe: Connection, orders: Orders) -> None:
        self._pipe, self._orders = pipe, orders
        self._state: dict[str, Any] = {}
        self._news = False
        self._events: deque[tuple[str, Any]] = deque()
        self._ends, self._awake = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._next = 0.0

    def due(self) -> bool:
        """Whether it is time for another state; at most once a period."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = max(self._next + PERIOD, now)  # so that the mean is kept, whenever one is asked
        return True

    def state(self, **told: Any) -> None:
        """What has become of these things."""
        self._state = self._state | told  # a new dict: the other thread pickles the old one
        self._news = True
        self._awake.set()

    def event(self, kind: str, content: Any) -> None:
        """Something that must be heard."""
        self._events.append((kind, content))
        self._awake.set()

    def __enter__(self) -> Teller:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._ends.set()
        self._thread.join(_LAST_WORDS)

    def _run(self) -> None:
        try:
            while not self._ends.wait(_APART):
                self._awake.wait(_ASLEEP)
                self._awake.clear()
                self._send()
            self._send()
        except OSError:  # nobody hears it
            self._orders.closed = True

    def _send(self) -> None:
        if self._news:
            self._news = False
            self._pipe.send(("state", self._state))
        while self._events:
            self._pipe.send(self._events.popleft())
