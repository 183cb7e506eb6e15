"""`robot-learn label`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from robot_learn.cli.output import OptionalInt, OptionalPath, OptionalText, put, put_json, say, table
from robot_learn.errors import UserError
from robot_learn.progress import PLAIN_SECONDS

if TYPE_CHECKING:
    import numpy as np

    from rewards.preference.goals import Goal
    from rewards.preference.labels import PairKey
    from rewards.preference.query import Teacher
    from robot_learn.data.dataset import Dataset
    from robot_learn.preferences.ask import Choice, Outcome


@dataclass(frozen=True)
class Label:
    """Have a teacher compare pairs of moments of a dataset; the labels teach a reward."""

    dataset: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATASET")]
    """A dataset, by name or folder; `robot-learn data list` lists them."""
    teacher: Literal["vision", "simulated", "human", "vlm"] = "vision"
    """Who compares: vision (measures the pictures on this machine), simulated (knows the rewards), human (you, at this
    terminal), vlm (a vision-language model)."""
    out: OptionalPath = None
    """The file of labels; by default labels-TEACHER.jsonl in the dataset's folder. It is added to."""
    pairs: int = 500
    """How many pairs to ask about."""
    segment: int = 1
    """Steps of each of the two segments; 1 compares single pictures."""
    draw: Literal["even", "best", "episodes"] = "even"
    """Which segments are candidates: drawn evenly, or so that the best tenth, hundredth, thousandth ... of them, or of
    the episodes, by --members come up alike: a second round of labels, for data in which what is wanted is rare."""
    sampler: Literal["uniform", "disagreement", "entropy", "k-center", "information-gain"] = "uniform"
    """How pairs are chosen out of ten times as many."""
    members: OptionalPath = None
    """For other draws than even, and for samplers that ask an ensemble: rewards.npz, one row of rewards a member."""
    of: OptionalPath = None
    """A file of labels whose pairs are asked about, in place of pairs that are chosen: so teachers can be compared. A
    vlm that answered some of them before, shown pictures in the same way, is asked about these alone, unless --out is
    the same file: so recordings come up again."""
    min_difference: float = 0.0
    """Ask only about pairs whose pictures differ by this much on average, 0 to 255."""
    seed: int = 0
    """Of the pairs, and of a simulated teacher's mistakes."""
    root: OptionalPath = None
    """Where datasets lie; by default ROBOT_LEARN_DATA or ./datasets."""
    film: OptionalInt = None
    """Run the episodes again and take pictures, of so many pixels square, of the moments that are asked about: for
    datasets that were collected without."""
    goal: OptionalText = None
    """The goal in a sentence; by default the task's own."""
    model: str = "recordings"
    """Who replies to a vlm's questions: recordings[:FOLDER], openai:MODEL, anthropic:MODEL, mailbox:FOLDER (all prompts
    are written there at once; `robot-learn reward record` makes recordings of them once they are answered)."""
    sheet: int = 10
    """Pairs that a vlm is shown in one call; 0: one, in two stages."""
    one_order: bool = False
    """Ask a vlm once for each pair, and not in both orders with a tie where the replies disagree."""
    size: int = 200
    """Pixels of each picture that a vlm is shown; of each view, where --camera names several."""
    crop: Annotated[tuple[float, float, float, float] | None, tyro.conf.arg(help_behavior_hint="")] = None
    """The part of each picture that a vlm is shown: left, top, right, bottom as shares from 0 to 1."""
    record: OptionalPath = None
    """A folder to record a live model's replies in, for `--model recordings:FOLDER`."""
    cache: OptionalPath = None
    """A folder of a live model's replies, so that nothing is asked and paid twice."""
    max_tokens: int = 1_000_000
    """How many tokens a live model may use up before it is asked no more."""
    kind: str = "oracle"
    """Which simulated teacher: oracle, noisy, mistaken, myopic, skipping, equal, or as accurate as a vision-language
    model was measured to be: curve:drawer, curve:soccer, curve:sweep, curve:rope."""
    goal_picture: OptionalPath = None
    """For vision: a picture (PNG) of the goal reached, for a task that has no way of measuring of its own."""
    goal_by: Literal["place", "shape", "picture"] = "picture"
    """What of that picture counts: the place of a coloured thing, its shape wherever it is, or the whole picture (only
    where scenes begin alike)."""
    goal_colour: Literal["", "red", "orange", "yellow", "green", "cyan", "blue", "purple"] = ""
    """Of the thing whose place or shape counts."""
    camera: OptionalText = None
    """For vision: the camera of the pictures, where the dataset does not say. For --film: the camera to take, or
    several, "side+corner", whose views lie beside each other."""
    confidence: bool = False
    """Ask a person how sure they are, too."""
    gold: OptionalPath = None
    """A file of labels that are known to be right: their pairs are mixed in, to measure the teacher by."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        from rewards.preference.labels import LabelFile
        from robot_learn.data.layout import find
        from robot_learn.data.manifest import identity
        from robot_learn.data.store import load
        from robot_learn.preferences import ask as asking
        from robot_learn.preferences import judge

        dataset = load(self.dataset, self.root)
        out = self.out or find(self.dataset, self.root) / f"labels-{self.teacher}.jsonl"
        choice = asking.Choice(self.pairs, self.segment, self.draw, self.sampler, self.min_difference, self.seed)
        if self.of is None:
            pairs = asking.choose(dataset, choice, members=self._members())
        else:
            pairs = self._same(dataset, self.of, out)
            choice = replace(choice, segment=pairs[0][0].length)
        gold = self._gold(dataset)
        pairs = asking.mixed(pairs, list(gold), choice.seed)
        dataset = self._seen(dataset) if self.film is None else self._filmed(dataset, pairs, self.film)
        goal = self.goal or _instruction(dataset)
        interrupted = False
        with LabelFile(out, **identity(dataset)) as labels:
            if labels.torn:
                say(f"{out}: the last line was cut off, its {len(labels.torn)} bytes are now in {out}.torn")
            with self._teacher(dataset, choice, pairs, out.parent) as teacher, _progress(len(pairs)) as on_label:
                say(f"{teacher.name}: {len(pairs)} pairs of {dataset.task}, {goal!r}")
                outcome = asking.Outcome()
                try:
                    outcome = asking.ask(dataset, pairs, teacher, labels, goal, on_label=on_label)
                except KeyboardInterrupt:
                    interrupted = True
            said = labels.said(teacher.name)
            report = judge.report(dataset, pairs, said, gold)
        _tell_how_it_ended(outcome, len(pairs) - len([pair for pair in pairs if pair in said]), interrupted)
        if self.json:
            put_json({"out": str(out), "teacher": teacher.name, "new": outcome.new} | report)
        else:
            put(str(out))
            _show(report)
        return 130 if interrupted else 0

    def _seen(self, dataset: Dataset) -> Dataset:
        taken = (dataset.manifest.get("settings") or {}).get("camera")
        if taken is not None and self.camera not in (None, taken):
            raise UserError(
                f"--camera {self.camera}: the pictures of {self.dataset} are from {taken}; --film SIZE takes others"
            )
        return dataset

    def _filmed(self, dataset: Dataset, pairs: Sequence[PairKey], size: int) -> Dataset:
        from robot_learn.preferences.film import film

        if size < 8:
            raise UserError(f"--film {size}: wanted pictures of 8 pixels or more")
        frames = [int(frame) for pair in pairs for segment in pair for frame in dataset.frames_of(segment)]
        return film(dataset, frames, size, camera=self.camera)

    @contextmanager
    def _teacher(self, dataset: Dataset, choice: Choice, pairs: Sequence[PairKey], folder: Path) -> Iterator[Teacher]:
        from robot_learn.preferences import teachers

        if self.teacher == "simulated":
            yield teachers.simulated(self.kind, dataset, choice, None if self.of is None else pairs)
        elif self.teacher == "vlm":
            yield self._model()
        elif self.teacher == "vision":
            yield teachers.vision(dataset, camera=self.camera, goal=self._goal())
        else:
            from robot_learn.keyboard import Keys

            with Keys() as keys:
                pressed = _pressed(keys)
                yield teachers.person(lambda: next(pressed), folder / "asked", say, sure=self.confidence)

    def _model(self) -> Teacher:
        from rewards.models import Budget, connect
        from rewards.preference.sheets import Look
        from rewards.preference.vlm import VisionLanguage

        client = connect(
            self.model,
            record=self.record,
            cache=self.cache,
            budget=Budget(max_tokens=self.max_tokens),
            wait_s=0.0,  # a mailbox gets all prompts at once
        )
        views = (self.camera or "").count("+") + 1
        return VisionLanguage(client, self.sheet, not self.one_order, Look(self.size, self.crop, views))

    def _goal(self) -> Goal | None:
        import cv2

        from rewards.preference.goals import Goal

        if self.goal_picture is None:
            return None
        found = cv2.imread(str(self.goal_picture))
        if found is None:
            raise UserError(f"--goal-picture {self.goal_picture}: there is no picture that can be read")
        return Goal(cv2.cvtColor(found, cv2.COLOR_BGR2RGB), self.goal_by, self.goal_colour)

    def _members(self) -> np.ndarray | None:
        import numpy as np

        if self.members is None:
            return None
        try:
            with np.load(self.members) as stored:
                return np.atleast_2d(np.asarray(stored["rewards"], dtype=np.float64))
        except (OSError, ValueError, KeyError) as error:
            raise UserError(f"--members {self.members}: wanted an .npz file with 'rewards': {error}") from error

    def _same(self, dataset: Dataset, of: Path, out: Path) -> list[PairKey]:
        from rewards.preference.labels import read_labels
        from robot_learn.data.manifest import identity

        labels = read_labels(of, **identity(dataset))
        # What is added to the same file must not pass for all that was asked when the command goes on.
        name = self._model().name if self.teacher == "vlm" and of.resolve() != out.resolve() else None
        own = [label for label in labels if label.teacher == name]
        pairs = {frozenset(label.pair): label.pair for label in own or labels}
        if not pairs:
            raise UserError(f"--of {of}: wanted labels, whose pairs to ask about; there are none")
        return list(pairs.values())

    def _gold(self, dataset: Dataset) -> dict[PairKey, float]:
        from rewards.preference.labels import read_labels
        from robot_learn.data.manifest import identity

        if self.gold is None:
            return {}
        known = read_labels(self.gold, **identity(dataset))
        return {label.pair: label.answer.label for label in known if label.answer.label is not None}


def _pressed(keys: Any) -> Iterator[str]:
    """Keys as they come."""
    while True:
        yield from keys.read(0.05)


def _instruction(dataset: Dataset) -> str:
    import sims

    try:
        return sims.task(dataset.task).instruction
    except UserError:
        raise UserError(f"{dataset.task!r} is no task of ours, so its goal is not known: say it with --goal") from None


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """A live line on a terminal, a plain line now and then elsewhere."""
    live = sys.stderr.isatty()
    began, last, first = time.monotonic(), 0.0, -1

    def show(done: int) -> None:
        nonlocal last, first
        first = done if first < 0 else first
        now = time.monotonic()
        if now - last < (0.1 if live else PLAIN_SECONDS) and done < total:
            return
        last = now
        rate = (done - first) / max(now - began, 1e-9)
        line = f"{done:>6,} / {total:,} pairs   {rate:,.1f} a second"
        if live:
            sys.stderr.write(f"\r{line}\x1b[K")
            sys.stderr.flush()
        else:
            say(line)

    try:
        yield show
    finally:
        if live:
            sys.stderr.write("\n")


def _tell_how_it_ended(outcome: Outcome, missing: int, interrupted: bool) -> None:
    if outcome.waiting:
        say(f"{len(outcome.waiting)} prompts wait for replies; the first: {outcome.waiting[0]}")
    elif missing and (interrupted or outcome.stopped):
        say(f"stopped with {missing} pairs to go: everything is stored, the same command goes on")


def _show(report: dict[str, Any]) -> None:
    counts = {name: report[name] for name in ("pairs", "answered", "abstained", "ties")}
    put("   ".join(f"{name} {count:,}" for name, count in counts.items()))
    for name in ("truth", "gold"):
        found = report[name]
        if found is None:
            continue
        if found["accuracy"] is not None:
            low, high = found["interval"]
            put(f"against {name}: {found['accuracy']:.3f} of {found['decided']} right ({low:.3f} to {high:.3f})")
        put(_bins(found.get("bins", ())) if found.get("bins") else f"said of first, tie, second: {found['counts']}")


def _bins(bins: Sequence[dict[str, Any]]) -> str:
    rows = [
        {
            "difference": f"{one['low']:.3g} to {one['high']:.3g}",
            **{name: one[name] for name in ("pairs", "right", "wrong", "ties", "abstained")},
            "accuracy": one["accuracy"],
        }
        for one in bins
    ]
    return table(rows)
