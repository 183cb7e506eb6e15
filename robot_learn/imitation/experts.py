"""Expert videos without the internet: another body is trained on the tuned reward, and its best episode is filmed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import sims
from robot_learn import loops, runs
from robot_learn.envs import VALIDATION_SEED0
from robot_learn.imitation.cells import Behaviour, Budget
from robot_learn.imitation.metrics import metric
from robot_learn.imitation.watch import play, roll_out
from robot_learn.launcher import Job
from robot_learn.policy import load_policy
from robot_learn.resumable import write_json
from robot_learn.runs import Run
from robot_learn.video import write_video

FILM, TOLD = "expert.mp4", "expert.json"
SIZE = (480, 360)  # (width, height) of the video
EPISODES = 10  # of which the best is filmed


def training(place: Path, behaviour: Behaviour, budget: Budget) -> Job:
    """The command that trains an expert from wherever it stands; its run folder is made where there is none."""
    run, steps = place / "run", budget.expert_steps
    if not (run / runs.CONFIG).is_file():
        task, config = sims.task(behaviour.task), budget.config(behaviour.seed, steps)
        how: dict[str, Any] = {"simulator": {"variant": behaviour.variant}, "quick": behaviour.quick}
        loops.begin(task, tuned_reward(place, behaviour), config, place, name="run", **how)
    words = ("train", "--resume", str(run), "--steps", str(steps), "--episodes", "0", "--no-video")
    return Job(f"expert {behaviour.expert}", words, place / "log.txt")


def tuned_reward(place: Path, behaviour: Behaviour) -> str:
    """What an expert is trained on, as a training is asked for it; a program is written into the expert's folder."""
    if not behaviour.reward:
        return "expert"
    place.mkdir(parents=True, exist_ok=True)
    (place / runs.REWARD).write_text(behaviour.reward, encoding="utf-8")
    return str(place / runs.REWARD)


def film(place: Path, behaviour: Behaviour) -> Path:
    """Film the best of some episodes of a trained expert; what it is measured at stands beside the video."""
    run, task = Run.open(place / "run"), sims.task(behaviour.task)
    policy, options = load_policy(run), {"variant": behaviour.variant}
    scores = metric(task).measure(play(task.name, policy, EPISODES, options=options), task)
    best = int(np.argmax(scores))
    shown: dict[str, Any] = {"options": options, "camera": behaviour.camera, "size": SIZE}
    shown |= {"first_seed": VALIDATION_SEED0 + best, "seconds": behaviour.seconds}
    _, found = roll_out(task.name, policy, 1, **shown)
    path = place / FILM
    write_video(path, list(found.clip.frames), found.clip.fps * behaviour.speed)
    told = {"behaviour": asdict(behaviour), "seed": VALIDATION_SEED0 + best, "metric": float(scores[best])}
    write_json(place / TOLD, told | {"metrics": [round(float(score), 4) for score in scores]})
    return path
