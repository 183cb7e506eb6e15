"""What the tests of refinement share: a model that answers from a list, and trainings that are computed, not run."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rewards.models import Client, Reply, Request
from robot_learn import loops, runs
from robot_learn.envs import EVAL_SEED0
from robot_learn.errors import UserError
from robot_learn.evaluation import Episode, Evaluation
from robot_learn.refine import Refinement
from robot_learn.runs import Run
from robot_learn.train_config import TrainConfig, preset
from robot_learn.training import TrainResult

TASK = "mujoco/cart-pole"
STEPS = 1000


def program(quality: float) -> str:
    """A reward of cart-pole that says in a number how well a policy does on it."""
    return f'def reward(scene, action):\n    return {{"upright": {quality} - scene.pole.angle**2}}\n'


def quality_of(text: str) -> float:
    return float(re.findall(r"upright\": ([\d.]+)", text)[-1])


@dataclass
class Writer:
    """Answers one after the other; an error is raised instead."""

    answers: list[float | str | UserError]
    spec: str = "scripted"
    asked: list[Request] = field(default_factory=list)

    def complete(self, request: Request) -> Reply:
        self.asked.append(request)
        answer = self.answers[len(self.asked) - 1]
        if isinstance(answer, UserError):
            raise answer
        text = answer if isinstance(answer, str) else f"```python\n{program(answer)}```\n"
        return Reply(text, "a-list", "2026-01-01T00:00:00Z", "scripted")

    def last_prompt(self) -> str:
        return "\n".join(message.text for message in self.asked[-1].messages)


@dataclass
class Lab:
    """Trains and measures in no time: a reward of quality q succeeds in a share q of the episodes."""

    interrupt: bool = False
    trained: list[str] = field(default_factory=list)
    measured: list[tuple[str, int]] = field(default_factory=list)  # folder, first seed

    def train(self, run: Run, config: TrainConfig, *, resume: bool = False, quiet: bool = False) -> TrainResult:
        assert resume
        self.trained.append(run.path.name)
        steps = config.total_steps // 2 if self.interrupt else config.total_steps
        quality = quality_of(run.read_text(runs.REWARD))
        run.write_text(runs.PROGRESS, f"steps,success_rate,term/upright\n{steps},{quality},{quality}\n")
        run.write_text(runs.POLICY, "a policy")
        return TrainResult(steps, 1, 1.0, quality, quality, self.interrupt, False)

    def evaluate(self, run: Run, *, episodes: int, video: bool, first_seed: int = EVAL_SEED0) -> Evaluation:
        assert run.has(runs.POLICY)
        self.measured.append((run.path.name, first_seed))
        quality = quality_of(run.read_text(runs.REWARD))
        done = tuple(Episode(first_seed + n, n < quality * episodes, False, None, 1.0, 200) for n in range(episodes))
        evaluation = Evaluation(TASK, done, True, 0.0)
        run.write_json(runs.EVALUATION, evaluation.to_json() | {"no_video": "not asked for"})
        values = [quality] * 3
        trace = {"control_dt": 0.04, "success_step": None, "rewards": values, "terms": {"upright": values}}
        run.write_json(runs.TRACE, trace)
        return evaluation


def lab_of(monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A lab in the place of the real loops."""
    found = Lab()
    monkeypatch.setattr(loops, "train_run", found.train)
    monkeypatch.setattr(loops, "evaluate_run", found.evaluate)
    monkeypatch.setattr("robot_learn.runs.versions", lambda: {})
    monkeypatch.setattr("robot_learn.plots.term_plot", lambda *_: "<svg/>")
    return found


def run_of(lab: Lab, root: Path) -> Run:
    """A run whose reward came from a file, measured on evaluation's seeds, as `train` leaves it."""
    config = preset("ppo", total_steps=STEPS, num_envs=8)
    asked = {"reward": "program", "train": vars(config), "model": "scripted"}
    made = Run.create(root, task=TASK, seed=0, config=asked)
    made.write_text(runs.REWARD, program(0.1))
    lab.train(made, config, resume=True)
    lab.evaluate(made, episodes=10, video=False)
    return made


def opened(run: Run) -> Refinement:
    """Measured as far as the run itself goes."""
    found = Refinement.open(run.path)
    found.go_on(nobody, episodes=10, video=False, quiet=True)
    return found


def nobody() -> Client:
    raise AssertionError("nobody is to be asked")


def round_of(refinement: Refinement, said: str | None, quality: float | str, *others: float | str) -> Writer:
    """Go through one round; who wrote in it."""
    refinement.give(said)
    writer = Writer([quality, *others])
    refinement.go_on(lambda: writer, episodes=10, video=False, quiet=True)
    return writer
