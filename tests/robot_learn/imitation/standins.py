"""Models that answer by rule, and trainings that take no time, so that a whole loop runs in seconds.

A reward's one weight says how well its robot moves: below 1 it stands still, above it moves the more. Whoever looks
knows the robots by their pictures, as a model would that sees perfectly; the numbers on sheets are read from the files
that were written beside them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sims
from rewards.models import Budget, Client, Reply, Request, Usage
from rewards.video.sheets import contact_sheet
from robot_learn import probes, runs
from robot_learn.imitation import loop, watch
from robot_learn.imitation.asking import Asker
from robot_learn.imitation.author import Author
from robot_learn.imitation.critics import ModelCritic
from robot_learn.imitation.loop import Session
from robot_learn.imitation.state import Imitation, ImitationConfig
from robot_learn.launcher import Finished, Job
from robot_learn.policy import MlpPolicy
from robot_learn.resumable import read_json
from robot_learn.rollouts import Rollouts
from robot_learn.runs import Run
from robot_learn.types import Policy, Task
from tests.rewards.video import filmed

CHEETAH = "mujoco/half-cheetah"
TOKENS = 10  # of a reply


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return filmed.write(filmed.bobbing(0.5, seconds=1.5), tmp_path_factory.mktemp("video") / "bobbing.avi")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short episodes, short films of few pixels, and chance for a moment only."""
    make = sims.make
    monkeypatch.setattr(sims, "make", lambda *of, **options: make(*of, **{"max_episode_steps": 60} | options))
    monkeypatch.setattr(watch, "SECONDS", 0.6)
    monkeypatch.setattr(watch, "SIZE", (64, 48))
    monkeypatch.setattr(watch, "contact_sheet", partial(contact_sheet, size=136))
    monkeypatch.setattr(probes, "collect", chance)


@pytest.fixture
def quick(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with films that are drawn from what was measured, since a renderer takes most of the time."""
    monkeypatch.setattr(watch, "roll_out", drawn)
    monkeypatch.setattr(watch, "write_video", lambda path, frames, fps: path.write_bytes(frames[0].tobytes()))
    monkeypatch.setattr(runs, "versions", lambda: {})


def drawn(task_name: str, policy: Policy, episodes: int, **options: Any) -> tuple[Rollouts, watch.Film]:
    """Rollouts as they are, and films of a disc that goes where a torso's joints go."""
    rollouts = watch.play(task_name, policy, episodes)
    count = max(2, min(14, int(rollouts.running[:, 0].sum())))
    angles = rollouts.actions[:count, 0].sum(axis=1)
    clip = filmed.disc(np.stack([64 + 20 * angles, 48 - 10 * angles], axis=1), 20.0)
    return rollouts, watch.Film(replace(clip, name="side"), lambda chosen: {"front": clip.frames[chosen][:, :, ::-1]})


_CHANCE: dict[str, list[Rollouts]] = {}


def chance(task: Task) -> list[Rollouts]:
    if task.name not in _CHANCE:
        rng = np.random.default_rng(0)
        env = sims.make(task.name, 2, max_episode_steps=20)
        actions = rng.uniform(-1, 1, (20, 2, task.act_dim)).astype(np.float32)
        _CHANCE[task.name] = [probes.record(env, "random", [5, 6], lambda step, *_: actions[step])]
    return _CHANCE[task.name]


def config(video: Path, **changes: Any) -> ImitationConfig:
    asked: dict[str, Any] = {"iterations": 3, "alternatives": 2, "steps": 100, "episodes": 2, "model": "none"}
    asked |= {"screen": "none"}  # the first alternative is trained, where a test is not about which
    return ImitationConfig(CHEETAH, str(video), **asked | changes)


def term(weight: float) -> str:
    """An edit that leads to a reward of this weight."""
    code = f"def move(scene, action):\n    return {weight} + np.cos(20 * {weight} * scene.torso.x_velocity)"
    return json.dumps({"edit": "rewrite", "term": "move", "code": code})


@dataclass
class Model:
    """Answers every prompt of the loop; `rounds` are the weights that each iteration's alternatives have."""

    root: Path
    rounds: Sequence[Sequence[float]]
    praises: bool = False  # whatever it sees, the newer robot is perfect
    unreadable: dict[str, list[str]] = field(default_factory=dict)  # what it says first, by the kind of question
    interrupt_at: int | None = None  # before which reply the process dies
    spec: str = "by-rule"
    asked: list[Request] = field(default_factory=list)

    def complete(self, request: Request) -> Reply:
        if len(self.asked) == self.interrupt_at:
            raise KeyboardInterrupt
        self.asked.append(request)
        kind = request.label.partition(": ")[2]
        waiting = self.unreadable.get(kind, [])
        text = waiting.pop(0) if waiting else f"```json\n{json.dumps(self.answer(kind, request))}\n```"
        return Reply(text, "by-rule", "2026-01-01T00:00:00Z", "by-rule", Usage(TOKENS // 2, TOKENS // 2))

    def answer(self, kind: str, request: Request) -> Any:
        pictures = next(message.images for message in request.messages if message.role == "user")
        known = self.sheets()
        codes = [known[picture][0] for picture in pictures]
        if kind == "description":
            words = {"body": "a disc without limbs", "motion": "it goes up and down", "travels": "it stays"}
            words |= {"contacts": "it never touches anything", "posture": "always upright"}
            return {"codes": codes, "phases": ["up", "down"], **words}
        if kind == "edits":
            return {"alternatives": [self.alternative(weight, request) for weight in self.weights(request)]}
        weights = [known[picture][1] for picture in pictures[1:]]
        if kind == "critique":
            problem = {"problem": "it moves too little", "body_part": "feet", "phase": "always", "quantity": "effort"}
            problem |= {"direction": "more", "confidence": 1.0}
            said = {"video": "it bobs up and down", "robot": "it hardly moves", "keep": ["its posture"]}
            likeness = 10.0 if self.praises else min(10.0, weights[0])
            seen = {"video_codes": codes[:1], "robot_codes": codes[1:], "likeness": likeness}
            return {**seen, **said, "problems": [] if self.praises else [problem]}
        if kind == "judgement":
            a, b = weights[0], weights[len(weights) // 2]
            return {"codes": codes, "better": "a" if a > b else "b", "confidence": 0.9, "why": "it moves more"}
        order = sorted(range(len(weights)), key=lambda place: -weights[place])
        return {"codes": codes, "order": [place + 1 for place in order], "why": "they move more"}

    def weights(self, request: Request) -> Sequence[float]:
        return self.rounds[sum(line.startswith("- ") for line in tried(request).splitlines())]

    def alternative(self, weight: float, request: Request) -> Any:
        edit = json.loads(term(weight))
        if "There is none yet" in request.messages[1].text:
            edit |= {"edit": "add", "weight": 1.0}
        return {"idea": f"weight {weight}", "edits": [edit]}

    def sheets(self) -> dict[bytes, tuple[str, float]]:
        """The number of every sheet there is, and the weight of the robot that it shows."""
        found = {}
        for path in sorted(self.root.rglob("seen.json")):
            reward = (
                path.parent / "reward.py" if (path.parent / "reward.py").exists() else path.parents[1] / "reward.py"
            )
            weight = weight_of(reward) if reward.exists() else 0.0
            for number, sheet in enumerate(read_json(path)["sheets"]):
                found[(path.parent / f"sheet-{number}.png").read_bytes()] = (sheet["code"], weight)
        return found


def tried(request: Request) -> str:
    """What the editor is told of earlier iterations."""
    return request.messages[1].text.partition("# What was tried before")[2]


def weight_of(reward: Path) -> float:
    text = reward.read_text(encoding="utf-8")
    return float(text.partition("    return ")[2].partition(" + ")[0])


@dataclass
class Trainings:
    """Writes what a training would leave: a policy that moves as its reward's weight says."""

    policy: Callable[[float], MlpPolicy]
    interrupt_at: int | None = None  # before which job the process dies
    done: list[tuple[str, int]] = field(default_factory=list)

    def run(self, jobs: Sequence[Job]) -> Generator[Finished, None, None]:
        for job in jobs:
            if len(self.done) == self.interrupt_at:
                raise KeyboardInterrupt
            run = Run.open(job.words[2])
            assert run.config["blind"], "a training must not be told when the task was done"
            steps = int(job.words[4])
            weight = weight_of(run.file(runs.REWARD))
            self.done.append((f"{run.path.parents[1].name}/{run.path.name}", steps))
            if weight == BROKEN:
                job.log.write_text("robot-learn: the reward is not finite\n")
                yield Finished(job, loop.A_MISTAKE, 0.0)
                continue
            rows = "".join(f"{at},0,{weight * at}\n" for at in (steps // 2, steps))
            run.write_text(runs.PROGRESS, "steps,success_rate,episode_return\n" + rows)
            self.policy(weight).save(run.file(runs.POLICY))
            yield Finished(job, 0, 0.0)


BROKEN = 77.0  # the weight of a reward whose training fails


def cheetah(weight: float) -> MlpPolicy:
    """Both feet are driven the way they turn: standing still below a weight of 1, ever more above."""
    gain = np.zeros((6, 17), dtype=np.float32)
    if weight >= 1.0:
        gain[2, 13] = gain[5, 16] = 0.3 * weight
    return linear(gain)


def linear(gain: np.ndarray) -> MlpPolicy:
    """Actions that are a linear function of observations."""
    act_dim, obs_dim = gain.shape
    zero = np.zeros(act_dim, dtype=np.float32)
    return MlpPolicy(
        obs_mean=np.zeros(obs_dim),
        obs_scale=np.ones(obs_dim),
        obs_clip=np.asarray(np.inf),
        weights=(),
        biases=(),
        relu=np.asarray(False),
        mean_weight=gain,
        mean_bias=zero,
        log_std_weight=np.zeros_like(gain),
        log_std_bias=zero,
        state_noise=np.zeros_like(gain),
        low=zero - 1,
        high=zero + 1,
        squash=np.asarray(False),
    )


def session(
    folder: Path,
    asked: ImitationConfig,
    client: Client,
    launcher: Any = None,
    *,
    vision: Client | None = None,
) -> Session:
    """A session with stand-ins."""
    imitation = Imitation.begin(folder, asked)
    task = sims.task(asked.task)
    budget = Budget(max_tokens=asked.max_tokens, input_tokens=imitation.tokens)
    critic = ModelCritic(Asker(vision or client, budget, asked.task), task)
    author = Author(Asker(client, budget, asked.task), task, asked.alternatives)
    return Session(imitation, critic, author, launcher or Trainings(cheetah), lambda text: None)


def decisions(imitation: Imitation) -> list[Any]:
    """What was decided, without how it was paid for."""
    return [replace(each, steps=0, tokens=0) for each in imitation.iterations]
