"""A session's folder: every word of the person is on the disk as soon as it was learned from.

config.json versions.json     what was begun: the system, its features' version, rule, seed, who corrects
corrections.jsonl             a line each time that something was learned or undone; enough to learn it all again
episodes.jsonl                a line an episode
constraint.json               what was learned, once the session has ended or was interrupted; in the browser at once
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from controllers import constraint
from controllers.alignment.learner import Learner, Rule
from controllers.mpc import Mpc
from controllers.systems import game
from controllers.systems.system import Game
from robot_learn.alignment.events import Ends, Entry, Finished, Kind
from robot_learn.alignment.lines import Lines, read_lines
from robot_learn.alignment.session import Session, correction_of, plan_of
from robot_learn.errors import UserError
from robot_learn.runs import Run

CORRECTIONS, EPISODES, CONSTRAINT = "corrections.jsonl", "episodes.jsonl", "constraint.json"
SECTION = "session"  # of config.json
SAME = 1e-9  # theta, learned again, is the same up to this, in shares of the box's longest side


@dataclass(frozen=True)
class Setting:
    """What a session is begun with."""

    system: str
    features_version: int
    rule: dict[str, Any]
    seed: int
    human: str  # simulated, keyboard
    mistaken: float  # share of wrong pushes of a simulated person
    asked: bool  # before every episode, of a simulated person
    reaction: float  # [s]
    rho: float  # for the certificate
    most_corrections: int | None
    most_episodes: int | None

    @classmethod
    def read(cls, run: Run) -> Setting:
        """The setting of a recorded session.

        Raises:
            UserError: the run is no session, or one of features that have changed since.
        """
        found = run.config.get(SECTION)
        if not isinstance(found, dict) or found.keys() != cls.__dataclass_fields__.keys():
            raise UserError(f"run {run.path} is no session of robot-learn correct")
        setting = cls(**found)
        version = game(setting.system).system.version
        if version != setting.features_version:
            raise UserError(
                f"run {run.path}: its corrections are about version {setting.features_version} of the features of "
                f"{setting.system}, and they are at version {version}: they cannot be learned from any more"
            )
        return setting


class Recording:
    """Writes a session down while it goes on; see `Log`."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._corrections, self._episodes = Lines(run.file(CORRECTIONS)), Lines(run.file(EPISODES))

    def said(self, entry: Entry) -> None:
        self._corrections.add({name: _plain(value) for name, value in vars(entry).items()})

    def finished(self, episode: Finished) -> None:
        rounded = [[float(f"{value:.6g}") for value in state] for state in episode.states.tolist()]
        self._episodes.add({**vars(episode), "states": rounded})

    def close(self, session: Session) -> Path:
        """Save what was learned; returns where."""
        self._corrections.close()
        self._episodes.close()
        path = self.run.file(CONSTRAINT)
        constraint.save(learned(session, str(self.run.path.name)), path)
        return path


def learned(session: Session, source: str) -> constraint.LearnedConstraint:
    """What a session has taught so far, as data."""
    hypotheses, learner = session.learner.hypotheses, session.learner
    known = constraint.Uncertainty(
        hypotheses.ellipsoid.centre,
        hypotheses.ellipsoid.shape,
        len(learner.corrections),
        hypotheses.bound(learner.rho),
    )
    return constraint.of_system(session.game.system, learner.theta, known, session=source, seed=session.seed)


def begin(setting: Setting, out: Path) -> Run:
    """A new folder for a session."""
    return Run.create(out, task=setting.system, seed=setting.seed, config={SECTION: asdict(setting)})


def open_session(run: Run, *, mpc: Mpc | None = None) -> tuple[Session, Recording, float]:
    """The session of a run as far as it got, ready to go on, its recording, and how far theta is from what it was.

    An episode that was cut short is begun again; what was said in it counts.

    Raises:
        UserError: a file is damaged.
    """
    setting = Setting.read(run)
    played = game(setting.system)
    learner = Learner(mpc or Mpc(played.system), Rule(**setting.rule), rho=setting.rho)
    entries, episodes = entries_of(run), episodes_of(run)
    deviation = relearn(learner, entries)
    recording = Recording(run)
    session = Session(
        played,
        learner,
        seed=setting.seed,
        # At a keyboard a contradiction is shown, and the person decides which word to take back.
        ends=Ends(setting.most_corrections, setting.most_episodes, misspecified=setting.human == "simulated"),
        reaction=setting.reaction,
        log=recording,
        entries=entries,
        episodes=episodes,
    )
    return session, recording, deviation


def relearn(learner: Learner, entries: list[Entry]) -> float:
    """Take a new learner through everything that was said; returns how far theta ever was from what it was then.

    In shares of the longest side of the box of parameters.
    """
    side = float((learner.mpc.system.theta_high - learner.mpc.system.theta_low).max())
    worst = 0.0
    for entry in entries:
        if entry.kind == "undo":
            learner.undo()
        elif entry.kind in ("meant", "denied"):
            learner.confirm(entry.about, entry.kind == "meant")
        elif entry.kind == "silence":
            learner.watched(plan_of(learner.mpc, correction_of(entry)))
        else:
            learner.correct(correction_of(entry))
        worst = max(worst, float(np.abs(learner.theta - entry.theta_after).max()) / side)
    return worst


def entries_of(run: Run) -> list[Entry]:
    """What was said in a recorded session.

    Raises:
        UserError: a line is damaged.
    """
    return [_entry(run, number, line) for number, line in enumerate(read_lines(run.file(CORRECTIONS)), start=1)]


def episodes_of(run: Run) -> list[Finished]:
    found = []
    for number, line in enumerate(read_lines(run.file(EPISODES)), start=1):
        if line.keys() != Finished.__dataclass_fields__.keys():
            raise UserError(f"{run.file(EPISODES)}, line {number}, is no episode")
        found.append(Finished(**{**line, "states": np.array(line["states"], dtype=np.float64)}))
    return found


def _entry(run: Run, number: int, line: dict[str, Any]) -> Entry:
    where = f"{run.file(CORRECTIONS)}, line {number}"
    if line.keys() != Entry.__dataclass_fields__.keys() or line["kind"] not in get_args(Kind):
        raise UserError(f"{where}, is no correction: wanted {', '.join(Entry.__dataclass_fields__)}")
    try:
        arrays = {name: np.array(value, dtype=np.float64) for name, value in line.items() if isinstance(value, list)}
    except (ValueError, TypeError) as error:
        raise UserError(f"{where}: {error}") from error
    return Entry(**{**line, **arrays})


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def game_of(run: Run) -> Game:
    return game(Setting.read(run).system)
