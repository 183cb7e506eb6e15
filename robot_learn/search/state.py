"""What a search for a reward was asked to do and knows so far: one JSON file, written whole after every event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from robot_learn.errors import UserError
from robot_learn.resumable import Resumable, open_state, write_json

STATE, CANDIDATES = "search.json", "candidates"
FORMAT = 1

Origin = Literal["zero-shot", "few-shot", "revised", "weighted"]
Verdict = Literal["pass", "doubt", "undecided", "refuse"]


@dataclass(frozen=True)
class SearchConfig:
    """What is searched, how widely, and what it may cost."""

    task: str
    model: str = "recordings"  # as `rewards.models.connect` takes it
    samples: int = 4  # programs of the first round
    revisions: int = 2  # programs of each later round
    rounds: int = 2  # later rounds
    examples: int = 0  # solved tasks shown to the model in the first round
    library: str | None = None  # the user's own, beside the one that comes along
    embedding: str = "minilm"  # by which examples are chosen
    screen: bool = True  # refuse rewards before training
    fit_weights: bool = False  # try each accepted program with fitted weights of its terms, too
    algorithm: Literal["ppo", "sac"] = "ppo"
    steps: int = 700_000  # of the longest training
    num_envs: int | None = None  # None: the algorithm's own
    seed: int = 0  # of every training
    rungs: int = 3  # trainings have steps / eta^2, steps / eta, steps
    eta: int = 3  # one of so many goes on to the next rung
    episodes: int = 20  # of each measurement, on validation seeds
    solved: float = 1.0  # a round that gets this success rate is the last one
    max_tokens: int = 1_000_000  # of the model, counted or estimated
    max_steps: int | None = None  # of all trainings together
    max_minutes: float | None = None  # of the search itself, over all sessions
    audit: bool = False  # train in full what was refused or halted, to count the mistakes; on top of the budget

    def __post_init__(self) -> None:
        least = {"samples": 1, "revisions": 1, "rounds": 0, "steps": 1, "rungs": 1, "eta": 2, "episodes": 1}
        least |= {"examples": 0, "max_tokens": 1, "max_steps": 1, "max_minutes": 0}
        for name, limit in least.items():
            value = getattr(self, name)
            if value is not None and not value >= limit:
                raise UserError(f"{name} is {value}: wanted at least {limit}")
        if not 0.0 < self.solved <= 1.0:
            raise UserError(f"solved is {self.solved}: wanted above 0, at most 1")

    def schedule(self, entered: int) -> tuple[tuple[int, int], ...]:
        """How many candidates train to how many steps, rung by rung, when so many enter.

        Successive halving (Jamieson and Talwalkar, AISTATS 2016), with a factor `eta`. One alone is trained at once.
        """
        first = 0 if entered > 1 else self.rungs - 1
        return tuple(
            (-(-entered // self.eta**rung), max(1, round(self.steps / self.eta ** (self.rungs - 1 - rung))))
            for rung in range(first, self.rungs)
        )


@dataclass(frozen=True)
class Rung:
    """One measurement of a candidate, after so much training."""

    steps: int
    successes: int
    episodes: int
    learning: float  # mean success rate of the training episodes up to here: higher is sooner

    @property
    def rate(self) -> float:
        return self.successes / self.episodes


@dataclass(frozen=True)
class Candidate:
    """One reward program, from its first word to its last training; its run folder has the same name."""

    name: str  # "1-0": of round 1, the first
    origin: Origin
    sample: int  # which reply to its prompt
    parent: str | None = None  # whose conversation it goes on with, or whose weights were fitted
    tokens: int = 0  # of the model
    weights: dict[str, float] | None = None  # of its terms, where they were fitted
    error: str | None = None  # no program came of the conversation, or a training failed
    verdict: Verdict | None = None  # None: not screened
    score: float = 0.0  # of the screening: higher is better
    findings: tuple[str, ...] = ()
    duplicate_of: str | None = None
    steps: int = 0  # trained, but for an audit
    rungs: tuple[Rung, ...] = ()
    audit: Rung | None = None  # of one that was refused or halted: what it would have come to

    @property
    def round(self) -> int:
        return int(self.name.partition("-")[0])

    @property
    def order(self) -> tuple[int, int, bool]:
        """By round, sample and whether it is the weighted twin."""
        return self.round, int(self.name.partition("-")[2].rstrip("w")), self.name.endswith("w")

    @property
    def admitted(self) -> bool:
        """It is worth a training of its own."""
        return self.verdict not in (None, "refuse") and self.duplicate_of is None


@dataclass
class Search(Resumable[SearchConfig]):
    """A search folder: `search.json`, and one run folder for each program under `candidates/`."""

    KIND, FILE = "search", STATE
    FREE = ("model", "rounds", "solved", "max_tokens", "max_steps", "max_minutes", "audit")

    candidates: dict[str, Candidate] = field(default_factory=dict)
    seconds: float = 0.0  # over all sessions
    ended: str | None = None  # why it is over; None: it goes on when it is run again
    result: dict[str, Any] | None = None  # the best candidate, measured on evaluation seeds

    @classmethod
    def open(cls, folder: Path | str) -> Search:
        def build(stored: dict[str, Any]) -> Search:
            config = SearchConfig(**stored.pop("config"))
            found = [_candidate(entry) for entry in stored.pop("candidates")]
            return cls(Path(folder), config, {entry.name: entry for entry in found}, **stored)

        return open_state(Path(folder) / STATE, "search", FORMAT, build)

    def put(self, candidate: Candidate) -> Candidate:
        """Keep a candidate as it is now, on disk, too."""
        self.candidates[candidate.name] = candidate
        self.save()
        return candidate

    def save(self) -> None:
        ordered = sorted(self.candidates.values(), key=lambda candidate: candidate.order)
        kept = {
            "format": FORMAT,
            "config": asdict(self.config),
            "candidates": [asdict(candidate) for candidate in ordered],
            "seconds": self.seconds,
            "ended": self.ended,
            "result": self.result,
        }
        write_json(self.folder / STATE, kept)

    def place(self, candidate: Candidate | str) -> Path:
        """The run folder of a candidate."""
        return self.folder / CANDIDATES / (candidate if isinstance(candidate, str) else candidate.name)

    def round(self, number: int) -> list[Candidate]:
        """Its candidates, in order."""
        found = [candidate for candidate in self.candidates.values() if candidate.round == number]
        return sorted(found, key=lambda candidate: candidate.order)

    @property
    def tokens(self) -> int:
        return sum(candidate.tokens for candidate in self.candidates.values())

    @property
    def steps(self) -> int:
        """Of all trainings but those of an audit."""
        return sum(candidate.steps for candidate in self.candidates.values())

    def unfinished(self) -> list[Candidate]:
        """Those of which nobody knows what a whole training comes to: refused, or halted by others that were better.

        A duplicate is none: its twin stands for it.
        """
        known = [each for each in self.candidates.values() if each.verdict is not None and each.error is None]
        return [
            each for each in known if each.duplicate_of is None and not (each.rungs and each.steps >= self.config.steps)
        ]

    def avoided(self) -> dict[str, int]:
        """What was saved, and at what price.

        How many candidates were refused, are duplicates, or were halted, and the steps that whole trainings of all of
        them take; and what an audit found: how many of those refused pass at least half of their episodes when they
        are trained in full, and how many of those refused or halted come out above the best one of the search.
        """
        judged = [candidate for candidate in self.candidates.values() if candidate.verdict is not None]
        audited = [(candidate, candidate.audit) for candidate in judged if candidate.audit is not None]
        best = self.best()
        reached = 0.0 if best is None else best.rungs[-1].rate
        return {
            "judged": len(judged),
            "refused": sum(candidate.verdict == "refuse" for candidate in judged),
            "duplicates": sum(candidate.duplicate_of is not None for candidate in judged),
            "halted": sum(candidate.admitted for candidate in self.unfinished()),
            "whole_steps": len(judged) * self.config.steps,
            "audited": len(audited),
            "false_refusals": sum(audit.rate >= 0.5 for candidate, audit in audited if candidate.verdict == "refuse"),
            "better": sum(audit.rate > reached for _, audit in audited),
        }

    def best(self, *, before_round: int | None = None) -> Candidate | None:
        """The candidate with the highest measured success; of equal ones the one trained longer, which learned sooner,
        whose score is higher, which came first. None where none was measured.
        """
        measured = [
            candidate
            for candidate in self.candidates.values()
            if candidate.admitted and candidate.rungs and candidate.error is None
            if before_round is None or candidate.round < before_round
        ]
        measured.sort(key=lambda candidate: candidate.order)
        return max(measured, key=_merit, default=None)


def _merit(candidate: Candidate) -> tuple[float, int, float, float]:
    last = candidate.rungs[-1]
    return last.rate, last.steps, last.learning, candidate.score


def _candidate(stored: Mapping[str, Any]) -> Candidate:
    known = {entry.name for entry in fields(Candidate)}
    if set(stored) - known:
        raise KeyError(", ".join(sorted(set(stored) - known)))
    rungs = tuple(Rung(**rung) for rung in stored["rungs"])
    audit = None if stored["audit"] is None else Rung(**stored["audit"])
    return Candidate(**{**stored, "findings": tuple(stored["findings"]), "rungs": rungs, "audit": audit})
