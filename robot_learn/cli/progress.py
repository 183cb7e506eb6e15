"""`robot-learn progress`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from robot_learn.cli.output import OptionalFloat, OptionalInt, OptionalPath, OptionalText, put, put_json, say
from robot_learn.errors import UserError


@dataclass(frozen=True)
class ProgressOf:
    """Have a vision-language model say how far each episode gets, from its shuffled frames (GVL)."""

    dataset: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATASET")]
    """A dataset with pictures, by name or folder."""
    model: str = "recordings"
    """Who replies: recordings[:FOLDER], openai:MODEL, anthropic:MODEL, mailbox:FOLDER."""
    episodes: OptionalInt = None
    """How many episodes, from the first on (all)."""
    frames: int = 30
    """Frames of each episode that are shown."""
    size: int = 200
    """Pixels of each picture."""
    goal: OptionalText = None
    """The goal in a sentence; by default the task's own."""
    voc: float = 0.5
    """An episode whose values correlate with time above this is taken for a success ..."""
    final: float = 0.9
    """... if its last value is at least this, too: who only comes near the goal also rises. 0: GVL's rule."""
    keep: OptionalText = None
    """Write the episodes with at least --keep-voc as a dataset of this name."""
    keep_voc: OptionalFloat = None
    """By default --voc."""
    out: OptionalPath = None
    """The file of values; by default progress.jsonl in the dataset's folder. It is added to."""
    record: OptionalPath = None
    """A folder to record a live model's replies in."""
    cache: OptionalPath = None
    """A folder of a live model's replies, so that nothing is asked and paid twice."""
    max_tokens: int = 1_000_000
    """How many tokens a live model may use up before it is asked no more."""
    root: OptionalPath = None
    """Where datasets lie; by default ROBOT_LEARN_DATA or ./datasets."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        import numpy as np

        import sims
        from rewards.models import Budget, connect
        from rewards.preference.progress import worth_learning_from
        from rewards.preference.sheets import Look
        from robot_learn.data.store import find, load, save
        from robot_learn.preferences import gvl

        dataset = load(self.dataset, self.root)
        path = self.out or find(self.dataset, self.root) / "progress.jsonl"
        count = dataset.num_episodes if self.episodes is None else self.episodes
        if not 1 <= count <= dataset.num_episodes:
            raise UserError(f"--episodes {count}: wanted 1 to {dataset.num_episodes}")
        goal = self.goal or sims.task(dataset.task).instruction
        client = connect(
            self.model, record=self.record, cache=self.cache, budget=Budget(max_tokens=self.max_tokens), wait_s=0.0
        )
        known, problems = gvl.ask_episodes(
            dataset,
            range(count),
            client,
            path,
            goal,
            most=self.frames,
            look=Look(self.size),
            on_episode=lambda done: say(f"{done} / {count} episodes") if done % 10 == 0 or done == count else None,
        )
        for problem in problems:
            say(problem)
        said = gvl.report(dataset, known, voc=self.voc, final=self.final)
        least = self.voc if self.keep_voc is None else self.keep_voc
        if self.keep is not None:
            kept = np.array(list(known), dtype=np.int64)[worth_learning_from(list(known.values()), least)]
            if len(kept) == 0:
                raise UserError(f"no episode has a VOC of {least:g} or more: there is nothing to keep")
            save(dataset.episodes(kept), self.keep, self.root)
            said["kept"] = len(kept)
        self._show(path, said, len(problems))
        return 0

    def _show(self, path: Path, said: dict[str, object], missing: int) -> None:
        if self.json:
            put_json({"values": str(path), "missing": missing} | said)
            return
        for name, value in said.items():
            put(f"{name.replace('_', ' '):<20}{value}")
        put(f"{'values':<20}{path}")
