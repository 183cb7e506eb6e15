"""`robot-learn session`: a page in the browser on which a person teaches a robot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import tyro

from robot_learn.cli.output import OptionalFloat, OptionalInt, OptionalPath, OptionalText, put, say
from robot_learn.errors import UserError, unknown

Activity = Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="[ACTIVITY]")]
Subject = Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="[WHAT]")]


@dataclass(frozen=True)
class SessionCommand:
    """Teach a robot in the browser: correct it, compare what it did, comment on it, drive it."""

    activity: Activity = None
    """correct, compare, comment or drive; without one, the address is that of a page with all there is."""
    what: Subject = None
    """What to open it with: a system (uav-gate), a dataset, a run, an arm (mujoco:fr3, fci://127.0.0.1)."""
    host: str = "127.0.0.1"
    """Where to listen. Other addresses than this machine's own are open to others: they ask for a token."""
    port: int = 0
    """0: any that is free."""
    token: bool = False
    """Ask for a token on this machine, too: other people have accounts here."""
    out: Path = Path("runs")
    """Where runs lie and sessions are kept; the same folder goes on where it was."""
    rule: OptionalText = None
    """correct: what is learned from: paper, stops, full (the default), ask, forgiving; see robot-learn correct."""
    seed: OptionalInt = None
    """correct: of the episodes (0)."""
    pictures: OptionalPath = None
    """Serve nobody: use every kind of session, or the one that is named, and leave four pictures of each here."""
    policy: OptionalText = None
    """drive: a run whose policy moves the arm, script:TASK, or hand:TASK for you alone."""
    fake: bool = False
    """drive: at the arm's address start a fake controller, e.g. with fci://127.0.0.1."""
    objects: OptionalPath = None
    """drive: a JSON file of poses of the task's things, measured by hand, from the arm's base."""
    camera: OptionalPath = None
    """drive: a file that describes a camera, which sees where the task's things are."""
    envelope: OptionalPath = None
    """drive: the safety envelope, a TOML or JSON file."""
    filter: OptionalPath = None
    """drive: a constraint that was learned of the system franka-joints; a filter keeps the policy to it."""
    root: OptionalPath = None
    """Where datasets lie; by default ROBOT_LEARN_DATA or ./datasets."""
    pairs: OptionalInt = None
    """compare: how many questions to a person (100)."""
    segment: OptionalInt = None
    """compare: steps of each film; by default as in the labels that are there, or two seconds' worth."""
    sampler: OptionalText = None
    """compare: how pairs are chosen: uniform, disagreement (the default), entropy, k-center, information-gain."""
    labels: OptionalPath = None
    """compare: the file of labels; by default labels-human.jsonl in the dataset's folder. It is added to."""
    gold: OptionalPath = None
    """compare: labels that are known to be right, mixed in to measure people by; by default the clearest pairs by the
    task's own rewards, where the dataset has these."""
    goal: OptionalText = None
    """compare: the goal in a sentence; by default the task's own."""
    film: OptionalInt = None
    """compare: run the episodes again and film them with so many pixels, also where the dataset has pictures."""
    model: OptionalText = None
    """comment: the model that edits rewards; recordings by default."""
    steps: OptionalInt = None
    """comment: training steps of a round (those of the run)."""
    episodes: OptionalInt = None
    """comment: of each round's measurement (20), on seeds that no result is reported on."""
    seconds: OptionalFloat = None
    """comment: of a preview (15)."""

    def run(self) -> int:
        from robot_learn.session.server import Asked, serve

        if self.pictures is not None:
            from robot_learn.session.headless.pictures import SESSIONS, take

            take(self.pictures, self.out, [self.activity] if self.activity else list(SESSIONS), say)
            return 0
        driven = ("policy", "fake", "objects", "camera", "envelope", "filter")
        compared = ("root", "pairs", "segment", "sampler", "labels", "gold", "goal", "film")
        commented = ("model", "steps", "episodes", "seconds")
        given = {name: getattr(self, name) for name in ("rule", "seed", *driven, *compared, *commented)}
        options = {name: str(value) for name, value in given.items() if value is not None and value is not False}
        first = None if self.activity is None or self.what is None else (self.activity, self.what)
        asked = Asked(self.out, self.host, self.port, self.token, first, options)
        self._check(asked)
        serve(asked, _tell)
        say("the session is over; the same command goes on with it")
        return 0

    def _check(self, asked: Any) -> None:
        # What can be told before anything is opened.
        from robot_learn import session
        from robot_learn.session.activity import Place

        if self.activity is not None and self.activity not in session.ACTIVITIES:
            raise unknown("activity", self.activity, session.ACTIVITIES)
        if (self.activity is None) != (self.what is None):
            raise UserError(f"session {self.activity}: wanted what to open it with, too, e.g. session correct uav-gate")
        if not 0 <= self.port < 65536:
            raise UserError(f"--port {self.port}: wanted 0 to 65535")
        if asked.first is not None:
            activity, what = asked.first
            session.check(activity, what, Place(self.out, self.out, asked.options))


def _tell(address: str) -> None:
    """What to open, and from where."""
    port = urlsplit(address).port
    say(f"open this address in a browser; over SSH, forward its port first: ssh -L {port}:127.0.0.1:{port} HOST")
    if "token=" in address:
        say("whoever has the whole address can teach: without its token nothing is served")
    put(address)
