"""The dead-man switch: the arm may move only while a person holds it.

The rule, so that neither a bad contact stops the arm nor a dead source moves it:

- It counts as held once it was seen held for `press` without a break; a person calls that at once, a spark is shorter.
- It counts as let go once it was seen open for `release` without a press in between; the arm goes on for so long.
- A source from which nothing came for `heartbeat` counts as let go, without any further delay.
- What was held when the source appeared, or came back, was not pressed by anybody who saw the arm: it counts only
  after it was seen open for `press`. A switch that is jammed or tied down never counts.

All times are by the caller's monotonic clock. One that jumps back lets go; two readings that lie further apart than
`heartbeat` say nothing about the time between them, and let go as well.
"""

from __future__ import annotations

from dataclasses import dataclass

from hardware.inputs import Hand, Input
from robot_learn.errors import UserError


@dataclass(frozen=True)
class Times:
    """Of the switch [s].

    Raises:
        UserError: a release outside of .3 to .5 s, a press as long as that, or a heartbeat over .5 s.
    """

    press: float = 0.02
    release: float = 0.3
    heartbeat: float = 0.3

    def __post_init__(self) -> None:
        if not (0.3 <= self.release <= 0.5 and 0.0 <= self.press <= 0.1 and 0.0 < self.heartbeat <= 0.5):
            raise UserError(
                "dead-man switch: wanted press 0 to 0.1 s, release 0.3 to 0.5 s and heartbeat up to 0.5 s, came "
                f"{self.press:g}, {self.release:g} and {self.heartbeat:g}"
            )


TIMES = Times()


class DeadMan:
    """The state of a switch over time; see the module's text."""

    _held: bool
    _armed: bool  # it was seen open, so a press may count
    _down: float | None  # since when it has been seen held without a break
    _up: float | None  # since when it has been seen open, breaks shorter than a press aside

    def __init__(self, times: Times = TIMES) -> None:
        self.times = times
        self._last: float | None = None  # the reading before
        self._let_go()

    @property
    def held(self) -> bool:
        """As of the last reading."""
        return self._held

    def update(self, hand: Hand, now: float) -> bool:
        """Whether the switch counts as held at `now` [s], after what was just read."""
        gap = 0.0 if self._last is None else now - self._last
        self._last = now
        if not hand.age < self.times.heartbeat or not 0.0 <= gap < self.times.heartbeat:
            self._let_go()
            return False
        if hand.dead_man:
            self._down = now if self._down is None else self._down
            if now - self._down >= self.times.press:
                self._up = None
                self._held = self._held or self._armed
        else:
            self._down, self._up = None, now if self._up is None else self._up
            self._armed = self._armed or now - self._up >= self.times.press
        if self._up is not None and now - self._up >= self.times.release:
            self._held = False
        return self._held

    def _let_go(self) -> None:
        self._held, self._armed, self._down, self._up = False, False, None, None


class Switch:
    """A source and its dead-man switch, for whoever needs no more of a hand than that."""

    def __init__(self, source: Input, times: Times = TIMES) -> None:
        self.source, self._dead_man = source, DeadMan(times)

    def pressed(self, now: float) -> bool:
        """Whether the person holds it at `now` [s] on the host's monotonic clock; ask at least five times a second."""
        return self._dead_man.update(self.source.read(now), now)
