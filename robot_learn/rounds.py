"""The rounds in which a person improves a run's reward, on disk.

RUN/rounds/
    rounds.json       the moves from round to round; undoing one drops it from here, and nothing else is ever deleted
    0/ 1/ 2/ ...      run folders; 0 is the run as it was, and each says in round.json how it came about
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from robot_learn.errors import UserError
from robot_learn.runs import Run

ROUNDS, MOVES, ROUND = "rounds", "rounds.json", "round.json"
FORMAT = 1

State = Literal["asked", "written", "trained", "measured"]


@dataclass(frozen=True)
class Round:
    """One program, from what was said about the one before it to the measurement of its policy."""

    number: int
    state: State
    date: str  # ISO 8601, when it began
    parent: int | None = None  # the round whose program it revises; None: the run itself
    said: str | None = None  # by the person who watched the parent
    by: str | None = None  # who that was
    over: tuple[int, ...] = ()  # the rounds that the parent was preferred to
    request: str | None = None  # what the model is asked, whole
    sample: int = 0  # which of several replies to it
    warm: bool = False  # its training began with what the parent's policy had learned
    steps: int | None = None  # of the training
    successes: int | None = None  # of `episodes` on validation seeds
    episodes: int = 0

    @property
    def success_rate(self) -> float | None:
        return None if self.successes is None else self.successes / self.episodes


@dataclass(frozen=True)
class Move:
    """A step of the person from round to round: to a new one, or to the better one of two."""

    to: int
    date: str
    over: int | None = None  # the round that `to` was preferred to
    by: str | None = None


@dataclass(frozen=True)
class Rounds:
    """The rounds of one run. Nothing is held in memory: whoever opens the same run sees the same."""

    run: Run

    @property
    def current(self) -> Round:
        """The round that the next word is about."""
        moves = self.moves()
        return self.round(moves[-1].to if moves else 0)

    def history(self) -> tuple[Round, ...]:
        """All rounds that ever were, also the undone ones, by number; none where nobody began to refine."""
        folders = (self.run.path / ROUNDS).glob(f"[0-9]*/{ROUND}")
        return tuple(self.round(number) for number in sorted(int(path.parent.name) for path in folders))

    def lineage(self) -> tuple[int, ...]:
        """The numbers of the current round and of those that it came from, the first one first."""
        line = [self.current]
        while line[0].parent is not None:
            line.insert(0, self.round(line[0].parent))
        return tuple(each.number for each in line)

    def place(self, number: int) -> Run:
        """The run folder of a round, whether or not it is there."""
        return Run(self.run.path / ROUNDS / str(number))

    def round(self, number: int) -> Round:
        """One round, as it is on disk.

        Raises:
            UserError: there is no such round, or its file is damaged.
        """
        place = self.place(number)
        if not place.has(ROUND):
            known = ", ".join(str(each.number) for each in self.history())
            raise UserError(f"run {self.run.path} has no round {number}; it has: {known or 'none'}")
        stored = place.read_json(ROUND)
        try:
            return Round(**stored | {"over": tuple(stored["over"])})
        except (TypeError, KeyError) as error:
            raise UserError(f"{place.file(ROUND)}: not a stored round: {error}") from error

    def keep(self, changed: Round) -> Round:
        """Write a round as it is now."""
        place = self.place(changed.number)
        place.path.mkdir(parents=True, exist_ok=True)
        place.write_json(ROUND, asdict(changed))
        return changed

    def moves(self) -> tuple[Move, ...]:
        """How the person came to the current round; undone moves are not among them.

        Raises:
            UserError: the file is damaged.
        """
        folder = Run(self.run.path / ROUNDS)
        if not folder.has(MOVES):
            return ()
        try:
            return tuple(Move(**move) for move in folder.read_json(MOVES)["moves"])
        except (TypeError, KeyError) as error:
            raise UserError(f"{folder.file(MOVES)}: not a list of moves: {error}") from error

    def move(self, move: Move) -> Round:
        """Go to another round."""
        self._write((*self.moves(), move))
        return self.current

    def undo(self) -> Round:
        """Take back the last move, to a new round or by a preference.

        Raises:
            UserError: there is none.
        """
        moves = self.moves()
        if not moves:
            raise UserError("nothing to undo: round 0 is the run itself")
        self._write(moves[:-1])
        return self.current

    def _write(self, moves: tuple[Move, ...]) -> None:
        stored: dict[str, Any] = {"format": FORMAT, "moves": [asdict(move) for move in moves]}
        Run(self.run.path / ROUNDS).write_json(MOVES, stored)


def now() -> str:
    """The time as rounds keep it, in UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
