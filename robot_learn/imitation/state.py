"""What an imitation was asked to do and has decided so far: one JSON file, written whole after every decision.

FOLDER/
    imitation.json          settings and decisions; everything else is found by its name
    video/                  the video as it was read: clip.npz, sheet-1.png, sheets.json
    replies/                a live model's replies, so that nothing is paid twice
    iterations/0/ 1/ ...    one each, see `robot_learn.imitation.loop`; the names of files are below
    undone/2-0/ ...         iterations that were taken back; nothing is ever deleted
    imitation.html          the report
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from robot_learn.errors import UserError
from robot_learn.resumable import Resumable, open_state, write_json

STATE, ITERATIONS, UNDONE, VIDEO, REPLIES, PAGE = (
    "imitation.json",
    "iterations",
    "undone",
    "video",
    "replies",
    "imitation.html",
)
DESCRIPTION, CRITIQUE, EDITS, RANKING, JUDGEMENT = (
    "description.json",
    "critique.json",
    "edits.json",
    "ranking.json",
    "judgement.json",
)
TERMS = "terms.json"
FORMAT = 1

Verdict = Literal["accepted", "rejected", "vetoed", "failed"]


@dataclass(frozen=True)
class ImitationConfig:
    """What is imitated, by whom it is judged, and what it may cost."""

    task: str
    video: str
    start: float = 0.0  # [s] the part of the video that counts
    end: float | None = None
    fps: float | None = None
    speed: float = 1.0  # how much faster than life the video plays
    stabilise: bool = False
    model: str = "recordings"  # who edits, as `rewards.models.connect` takes it
    vision_model: str | None = None  # who looks; None: the same
    critic: Literal["model", "person"] = "model"
    iterations: int = 5  # the first reward included
    alternatives: int = 4  # rewards that an iteration tries
    finalists: int = 1  # of them, that are trained in full
    screen: Literal["training", "preview", "none"] = "training"
    screen_share: float = 0.2  # of a full training, that each alternative gets
    preview_seconds: float = 20.0  # of a planner, that each gets instead with `screen` "preview"
    rank: Literal["critic", "wishes"] = "critic"  # who ranks what was screened; see `robot_learn.imitation.screen`
    steps: int = 1_000_000  # of a full training
    num_envs: int | None = None
    quick: bool = False  # trainings are simulated less exactly; what is watched never is
    seed: int = 0  # of every training
    episodes: int = 10  # that are watched of each policy, on validation seeds
    grounded: bool = True  # figures stand in the prompts
    gates: bool = True  # what fell, froze or came apart is never accepted
    early_gates: bool = True  # they also sort short trainings; else they only veto what was trained in full
    split: bool = True  # one model compares and another one edits; else one does both at once
    warm: bool = False  # a training goes on from the best policy so far; else each begins from scratch
    keep_best: bool = True  # else the newest is always what is edited next, and what is left at the end
    max_tokens: int = 1_000_000
    max_steps: int | None = None  # of all trainings together
    max_minutes: float | None = None  # over all sessions

    def __post_init__(self) -> None:
        least = {"iterations": 1, "alternatives": 1, "finalists": 1, "steps": 1, "num_envs": 1, "episodes": 1}
        least |= {"max_tokens": 1, "max_steps": 1, "max_minutes": 0, "start": 0, "seed": 0}
        for name, limit in least.items():
            value = getattr(self, name)
            if value is not None and not value >= limit:
                raise UserError(f"{name} is {value}: wanted at least {limit}")
        if self.finalists > self.alternatives or self.alternatives > MOST_ALTERNATIVES:
            raise UserError(
                f"wanted finalists <= alternatives <= {MOST_ALTERNATIVES}, came {self.finalists}, {self.alternatives}"
            )
        if self.warm and not self.split:
            raise UserError("warm: the prompt of one model for both levels says that each training begins anew")
        if not 0 < self.screen_share <= 1 or not self.preview_seconds > 0:
            raise UserError(
                f"wanted 0 < screen_share <= 1 and preview_seconds > 0, came {self.screen_share}, "
                f"{self.preview_seconds}"
            )

    @property
    def short_steps(self) -> int:
        """Of a training that screens."""
        return max(1, round(self.screen_share * self.steps))


MOST_ALTERNATIVES = 8


@dataclass(frozen=True)
class Iteration:
    """One decision: a reward that was trained in full, against the best before it."""

    number: int
    parent: int | None  # the iteration whose reward was edited
    verdict: Verdict
    entrant: str | None = None  # which alternative; None: none could be trained
    idea: str = ""
    veto: tuple[str, ...] = ()  # of the gates
    why: tuple[str, ...] = ()  # of the judge, both orders
    confidence: float | None = None
    changes: tuple[str, ...] = ()  # of what was measured, against its parent
    steps: int = 0  # of all trainings of this iteration
    tokens: int = 0

    @property
    def accepted(self) -> bool:
        return self.verdict == "accepted"


@dataclass
class Imitation(Resumable[ImitationConfig]):
    """A folder of an imitation."""

    KIND, FILE = "imitation", STATE
    FREE = ("model", "vision_model", "iterations", "max_tokens", "max_steps", "max_minutes")

    iterations: list[Iteration] = field(default_factory=list)
    seconds: float = 0.0  # over all sessions
    ended: str | None = None  # why it is over; None: it goes on when it is run again

    @classmethod
    def open(cls, folder: Path | str) -> Imitation:
        def build(stored: dict[str, Any]) -> Imitation:
            config = ImitationConfig(**stored.pop("config"))
            found = [_iteration(entry) for entry in stored.pop("iterations")]
            return cls(Path(folder), config, found, **stored)

        return open_state(Path(folder) / STATE, "imitation", FORMAT, build)

    def save(self) -> None:
        kept = {
            "format": FORMAT,
            "config": asdict(self.config),
            "iterations": [asdict(each) for each in self.iterations],
            "seconds": round(self.seconds, 1),
            "ended": self.ended,
        }
        write_json(self.folder / STATE, kept)

    def place(self, number: int) -> Path:
        """The folder of an iteration."""
        return self.folder / ITERATIONS / str(number)

    def best(self) -> Iteration | None:
        """What the imitation has come to: the last that was accepted; without keep-best the last one trained.

        An accepted one was judged closer to the video than all accepted before it, so the last of them is the best.
        """
        kept = [each for each in self.iterations if each.entrant is not None]
        if self.config.keep_best:
            kept = [each for each in kept if each.accepted]
        return kept[-1] if kept else None

    def base(self) -> Iteration | None:
        """Whose reward is edited next: the best; while none passed the gates, the last one that was trained."""
        trained = [each for each in self.iterations if each.entrant is not None]
        return self.best() or (trained[-1] if trained else None)

    def undo(self) -> Iteration:
        """Take the last iteration back, or what was begun of the next one; its folder is kept under `undone/`.

        Raises:
            UserError: there is nothing to take back.
        """
        begun = self.place(len(self.iterations))
        if not self.iterations and not begun.exists():
            raise UserError(f"nothing to undo in {self.folder}: no iteration was begun")
        if begun.exists():
            self._put_away(begun, len(self.iterations))
            return Iteration(len(self.iterations), None, "failed")
        last = self.iterations.pop()
        self.ended = None
        self.save()
        self._put_away(self.place(last.number), last.number)
        return last

    def _put_away(self, place: Path, number: int) -> None:
        away = self.folder / UNDONE
        away.mkdir(exist_ok=True)
        place.rename(away / f"{number}-{len(list(away.glob(f'{number}-*')))}")

    @property
    def steps(self) -> int:
        """Of all trainings, those of undone iterations not counted."""
        return sum(each.steps for each in self.iterations)

    @property
    def tokens(self) -> int:
        return sum(each.tokens for each in self.iterations)


def _iteration(stored: Mapping[str, Any]) -> Iteration:
    tuples = {name: tuple(stored[name]) for name in ("veto", "why", "changes")}
    return Iteration(**{**stored, **tuples})
