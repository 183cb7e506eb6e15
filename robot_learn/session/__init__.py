"""Sessions in the browser: a person opens one page and teaches the robot: corrects, compares, comments, drives.

The learners know nothing of pages. An activity joins one of them to what a page shows and sends (`activity.py`); the
server carries both (`server.py`, `room.py`), remembers who did what (`store.py`) and draws bodies (`scene.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from robot_learn.registry import load
from robot_learn.session.activity import Activity, Offer, Place

# A module each, with three functions: `open_activity(what, place) -> Activity`, `check(what, place)`, which raises at
# once what would be wrong with that, as far as it can be told cheaply, and `offers(place) -> Sequence[Offer]`.
ACTIVITIES = {
    "correct": "robot_learn.session.correct.activity",
    "compare": "robot_learn.session.compare.activity",
    "comment": "robot_learn.session.comment.opening",
    "drive": "robot_learn.session.drive.activity",
}


def open_activity(name: str, what: str, place: Place) -> Activity:
    """The activity `name` with a system, dataset, run or arm.

    Raises:
        UserError: there is no such activity, or it cannot be opened with that.
    """
    opened: Activity = _of(name, "open_activity")(what, place)
    return opened


def check(name: str, what: str, place: Place) -> None:
    """Whether an activity could be opened, before anybody waits for it.

    Raises:
        UserError: as `open_activity`, as far as that can be told cheaply.
    """
    _of(name, "check")(what, place)


def offers(name: str, place: Place) -> Sequence[Offer]:
    """What an activity can be opened with here; cheap, for the home page asks it of all."""
    found: Sequence[Offer] = _of(name, "offers")(place)
    return found


def _of(name: str, function: str) -> Callable[..., Any]:
    table = {known: f"{module}:{function}" for known, module in ACTIVITIES.items()}
    found: Callable[..., Any] = load(table, name, kind="activity")
    return found
