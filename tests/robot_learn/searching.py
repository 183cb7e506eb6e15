"""A model that answers from a list, trainings whose results are computed and not run, and searches with the two."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rewards.models import Reply, Request
from rewards.program import Program
from robot_learn import runs
from robot_learn.envs import EVAL_SEED0, VALIDATION_SEED0
from robot_learn.errors import UserError
from robot_learn.evaluation import Episode, Evaluation
from robot_learn.launcher import Finished, Job
from robot_learn.runs import Run
from robot_learn.search.run import search_reward
from robot_learn.search.screen import Judgement, Unscreened
from robot_learn.search.state import Search, SearchConfig

TASK = "mujoco/cart-pole"
CONFIG = SearchConfig(TASK, model="none", samples=4, rounds=1, revisions=2, steps=900, episodes=20)


def program(quality: float) -> str:
    """A reward of cart-pole that says in a number how well a policy does on it."""
    return f'def reward(scene, action):\n    return {{"upright": {quality} - scene.pole.angle**2}}\n'


def quality_of(text: str) -> float:
    return float(re.findall(r"upright\": ([\d.]+)", text)[-1])


@dataclass
class Writer:
    """Answers by how often it was asked to revise; sample 0 gets the first of a list."""

    rounds: Sequence[Sequence[float | str]]
    unanswered: set[tuple[int, int]] = field(default_factory=set)
    spec: str = "scripted"
    asked: list[Request] = field(default_factory=list)

    def complete(self, request: Request) -> Reply:
        self.asked.append(request)
        revised = sum("Your reward was tried" in message.text for message in request.messages)
        if (revised, request.sample) in self.unanswered:
            raise UserError(f"no reply in the mailbox: round {revised}, sample {request.sample}")
        answer = self.rounds[revised][request.sample]
        text = answer if isinstance(answer, str) else f"```python\n{program(answer)}```\n"
        return Reply(text, "a-list", "2026-01-01T00:00:00Z", "scripted")


@dataclass
class Trainings:
    """Trains in no time: after s of S steps, a reward of quality q succeeds in a share q s / S of the episodes."""

    broken: set[str] = field(default_factory=set)
    interrupt_after: int | None = None  # jobs
    done: list[tuple[str, str, int]] = field(default_factory=list)  # name, command, steps

    def run(self, jobs: Sequence[Job]) -> Generator[Finished, None, None]:
        for job in jobs:
            if self.interrupt_after == len(self.done):
                raise KeyboardInterrupt
            options = dict(zip(job.words[1::2], job.words[2::2], strict=False))
            steps = int(options.get("--steps", 0))
            self.done.append((job.name, job.words[0], steps))
            job.log.write_text("all is lost\n")
            if job.name in self.broken:
                yield Finished(job, 1, 0.0)
            else:
                self.work(job, steps)
                yield Finished(job, 0, 0.0)

    def share(self, quality: float, steps: int) -> float:
        """Of the episodes that succeed."""
        return quality * steps / 900

    def work(self, job: Job, steps: int) -> None:
        run = Run.open(job.words[2] if job.words[0] == "train" else job.words[1])
        quality = quality_of(run.read_text(runs.REWARD)) * run.config.get("weights", {}).get("upright", 1.0)
        if job.words[0] == "train":
            assert "--validate" in job.words
            run.write_text(runs.PROGRESS, f"steps,success_rate\n{steps},{self.share(quality, steps):.4f}\n")
        trained = int(run.read_text(runs.PROGRESS).splitlines()[-1].partition(",")[0])
        count, first = int(job.words[job.words.index("--episodes") + 1]), EVAL_SEED0
        if job.words[0] == "train":
            first = VALIDATION_SEED0
        passed = round(self.share(quality, trained) * count)
        episodes = tuple(Episode(first + n, n < passed, n < passed, None, 1.0, 200) for n in range(count))
        run.write_json(runs.EVALUATION, Evaluation(TASK, episodes, True, 0.0).to_json() | {"no_video": "not asked for"})
        run.write_json(
            runs.TRACE, {"control_dt": 0.04, "success_step": None, "rewards": [1.0], "terms": {"upright": [1.0]}}
        )


class Strict(Unscreened):
    """Refuses rewards of a quality below a bar."""

    def __init__(self, bar: float) -> None:
        self.bar = bar

    def judge(self, program: Program) -> Judgement:
        quality = quality_of(program.text)
        if quality < self.bar:
            return Judgement("refuse", quality, ("its number is too low: raise it",))
        return Judgement("pass", quality)


class Fitted(Strict):
    """Finds that a term should weigh more, or less, wherever it is not the best already."""

    def __init__(self, bar: float, weight: float) -> None:
        super().__init__(bar)
        self.weight = weight

    def fit(self, program: Program) -> dict[str, float] | None:
        return {"upright": self.weight} if quality_of(program.text) < 0.5 else None


def search(
    folder: Path,
    answers: Sequence[Sequence[float | str]],
    *,
    trainings: Trainings | None = None,
    writer: Writer | None = None,
    screen: Any = None,
    **changes: Any,
) -> Search:
    begun = Search.begin(folder, replace(CONFIG, **changes))
    return search_reward(
        begun,
        client=writer or Writer(answers),
        screen=screen or Unscreened(),
        launcher=trainings or Trainings(),
        say=lambda _: None,
    )


def stored(folder: Path) -> dict[str, Any]:
    """The state file, but for times."""
    found: dict[str, Any] = json.loads((folder / "search.json").read_text())
    assert found.pop("seconds") >= 0.0
    return found


FIRST, SECOND = (0.2, 0.5, 0.4, 0.1), (0.6, 0.3)
