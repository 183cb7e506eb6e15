"""A session on a terminal, redrawn as it goes on; elsewhere a plain line for all that happens."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from robot_learn.alignment.drawing import beside, draw, pictures
from robot_learn.alignment.events import OUTCOMES, Entry, Finished, View
from robot_learn.alignment.session import Session

SECONDS = 0.1  # between two drawings


@contextmanager
def display(session: Session, keys: Sequence[str] = ()) -> Iterator[Callable[[], None]]:
    """What to call after every step."""
    if not sys.stderr.isatty():
        lines = _Lines(session)
        yield lines
        lines()
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(file=sys.stderr), auto_refresh=False, vertical_overflow="crop") as live:
        due = 0.0

        def show() -> None:
            nonlocal due
            if time.monotonic() >= due or session.outcome:
                live.update(Text("\n".join(screen(session, keys))), refresh=True)
                due = time.monotonic() + SECONDS

        yield show
        due = 0.0
        show()


def screen(session: Session, keys: Sequence[str] = ()) -> list[str]:
    """All that a person has to see, as lines of about 80 characters; what matters least is at the bottom."""
    view, system = session.view(), session.game.system
    plan = view.plan
    drawn = [draw(picture, plan.states, plan.target) for picture in pictures(system.name)]
    state = [f"{value:.3g} {name}" for name, value in zip(system.state, plan.states[0], strict=True)]
    about = OUTCOMES[view.outcome] if view.outcome else view.phase
    return [
        f"{system.name}   episode {view.episode}, step {view.step}   {about}",
        *beside(drawn),
        *keys,
        f"said      {said(view)}",
        f"possible  log-volume {view.log_volume:.1f}, spread {view.spread.min():.3g} to {view.spread.max():.3g}, "
        f"at most {view.still_to_come} corrections more",
        *([f"doubt     {view.doubt}"] if view.doubt else []),
        *([f"doubt     {asked_again(session, view.doubted)}"] if view.doubted else []),
        f"plan      {plan.status} in {1000 * plan.seconds:.1f} ms, g {plan.g(view.theta):.3g} as far as is known; "
        f"{view.good} good episodes in a row",
        *_wrapped("state     ", state),
    ]


def asked_again(session: Session, number: int) -> str:
    """The question whether a correction was meant."""
    correction = session.learner.corrections[number - 1]
    way = correction.direction
    named = [name for name, known in session.game.directions.items() if way is not None and np.array_equal(known, way)]
    what = f"push {named[0]}" if named else correction.kind
    return f"correction {number}, {what}, contradicts others: was it meant? y yes, n no"


def said(view: View) -> str:
    """What the person did so far."""
    counts = view.counts
    return (
        f"{counts['push']} pushes, {counts['stop']} stops, {counts['fine']} fine, {counts['undo']} undone; "
        f"{counts['silence']} lessons of silence"
    )


def _wrapped(title: str, words: Sequence[str]) -> list[str]:
    lines, line = [], title
    for word in words:
        if len(line) + len(word) + 2 > 80:
            lines.append(line.rstrip())
            line = " " * len(title)
        line += word + "  "
    return [*lines, line.rstrip()]


class _Lines:
    """A line for each word of the person and for each episode."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._entries, self._episodes = len(session.entries), len(session.episodes)

    def __call__(self) -> None:
        new = [entry_line(entry) for entry in self._session.entries[self._entries :]]
        new += [episode_line(episode) for episode in self._session.episodes[self._episodes :]]
        self._entries, self._episodes = len(self._session.entries), len(self._session.episodes)
        for line in new:
            sys.stderr.write(line + "\n")
        if new:
            sys.stderr.flush()


def entry_line(entry: Entry) -> str:
    direction = "" if entry.direction is None else " " + " ".join(f"{value:+.3g}" for value in entry.direction)
    moved = math.dist(entry.theta_before, entry.theta_after)
    where = f"episode {entry.episode:>3} step {entry.step:>3}"
    return f"{where}  {entry.kind:<8} log-volume {entry.log_volume:8.2f}  theta moved {moved:.3g}{direction}"


def episode_line(episode: Finished) -> str:
    end = (
        "stopped" if episode.stopped else "passed" if episode.passed else "reached" if episode.reached else "timed out"
    )
    return f"episode {episode.number:>3} {end} after {episode.steps} steps, {episode.pushes} pushes"
