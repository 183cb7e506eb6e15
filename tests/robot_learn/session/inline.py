"""Work of a session's background that is done at once, where it is asked for."""

from __future__ import annotations

from typing import Any

from robot_learn.errors import UserError
from robot_learn.session.background import Done, Work


class Inline:
    """Does an order when it is asked, and says what came of it when it is polled; with `hold`, not before `release`."""

    def __init__(self, work: Work, *, hold: bool = False) -> None:
        self.work, self.hold = work, hold
        self.orders: list[Any] = []
        self.interrupts = 0
        self.closed = False
        self._waiting: list[Any] = []
        self._said: list[Any] = []

    @property
    def busy(self) -> bool:
        return bool(self._waiting or self._said)

    def ask(self, order: Any) -> None:
        self.orders.append(order)
        self._waiting.append(order)
        if not self.hold:
            self.release()

    def release(self) -> None:
        for order in self._waiting:
            try:
                self._said += [*self.work(order), Done()]
            except KeyboardInterrupt:
                self._said.append(Done(interrupted=True))
            except UserError as error:
                self._said.append(Done(str(error), type(error).__name__))
        self._waiting.clear()

    def poll(self) -> list[Any]:
        said, self._said = self._said, []
        return said

    def interrupt(self) -> None:
        self.interrupts += 1
        if self._waiting:
            self._waiting.clear()
            self._said.append(Done(interrupted=True))

    def close(self) -> None:
        self.closed = True
