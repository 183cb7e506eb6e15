"""What takes long in a comment: a model that writes, a training, a measurement, a preview; each in the background."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from robot_learn import runs
from robot_learn.errors import UserError
from robot_learn.session.background import Work


@dataclass(frozen=True)
class Write:
    """Have a model write the program of the round that was asked for."""

    model: str
    warm: bool = False


@dataclass(frozen=True)
class GoOn:
    """Train and measure the current round, as far as that is still to do."""

    steps: int | None = None  # of the training; None: as many as the run had
    episodes: int = 20


@dataclass(frozen=True)
class Show:
    """Preview a program with weights of its terms, into a folder."""

    program: str
    weights: Mapping[str, float]
    folder: Path
    seconds: float = 15.0


def round_maker(run: Path) -> Work:
    """Writes and trains the rounds of a run; yields the name of the model that replied."""
    import torch

    from rewards.models import Client, connect
    from robot_learn.refine import Refinement
    from robot_learn.rounds import ROUNDS

    torch.set_num_threads(1)

    def nobody() -> Client:
        raise UserError("this round was not written yet")

    def work(order: Write | GoOn) -> Iterator[str]:
        refinement = Refinement.open(run)
        if isinstance(order, Write):
            # A mailbox does not wait here: the page looks again. Asked again after an interruption, a live model's
            # reply comes from the cache and costs nothing more.
            client = connect(order.model, cache=refinement.run.path / ROUNDS / "replies", wait_s=0.0)
            yield refinement.write(client, warm=order.warm)
        else:
            refinement.go_on(nobody, steps=order.steps, episodes=order.episodes, quiet=True)

    return work


def previewer(run: Path) -> Work:
    """Shows what a planner does with a reward, and yields the folder where that lies."""
    import torch

    from rewards.program import check
    from robot_learn import loops
    from robot_learn.preview import preview
    from robot_learn.refine import Refinement

    torch.set_num_threads(1)
    task = Refinement.open(run).task

    def work(order: Show) -> Iterator[Path]:
        reward = check(order.program, task).with_weights(order.weights).compile()
        found = preview(task, reward, seconds=order.seconds, frame_size=loops.VIDEO_SIZE)
        found.save(order.folder, task)
        summary = {
            "success": found.evaluation.successes > 0,
            "steps": len(found.traces[0].rewards),
            "seconds": round(found.seconds, 1),
            "out_of_time": found.out_of_time,
            "weights": dict(order.weights),
        }
        with runs.atomic_write(order.folder / "summary.json") as file:  # last: with it, the preview is whole
            file.write(json.dumps(summary).encode())
        yield order.folder

    return work
