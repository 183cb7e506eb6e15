"""Commenting on a run: how it is opened, and what can be; the activity itself is in `activity`."""

from __future__ import annotations

from collections.abc import Sequence

from robot_learn import runs
from robot_learn.errors import UserError
from robot_learn.runs import Run
from robot_learn.session.activity import Activity, Offer, Place

OFFERS = 40  # of the home page
NEEDED = (runs.REWARD, runs.POLICY, runs.EVALUATION)


def open_activity(what: str, place: Place) -> Activity:
    """Comment on a run, by its folder.

    Raises:
        UserError: it is no run that was trained and evaluated under a reward program.
    """
    from robot_learn.session.comment.activity import (
        Comment,  # learners are behind it: the home page need not wait for them
    )

    return Comment(what, place)


def check(what: str, place: Place) -> None:
    run = Run.open(place.run(what))
    missing = [name for name in NEEDED if not run.has(name)]
    if missing:
        raise UserError(f"{what} has no {', '.join(missing)}: wanted a run trained and evaluated under a program")


def offers(place: Place) -> Sequence[Offer]:
    """The newest runs here that were trained and evaluated under a program."""
    found = []
    for config in sorted(place.out.glob(f"*/{runs.CONFIG}"), key=lambda path: -path.stat().st_mtime):
        run = Run(config.parent)
        if all(run.has(name) for name in NEEDED):
            found.append(Offer(str(run.path), run.path.name, str(run.config.get("task", ""))))
        if len(found) == OFFERS:
            break
    return found
