"""What the benchmark consists of: a cell is a task, a reward and a training seed.

Tasks are those of Text2Reward (Xie et al., ICLR 2024): 17 of manipulation and 6 behaviours of locomotion. Beside them
stand all 50 tasks of Meta-World, each from one sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import sims
from robot_learn.errors import UserError, nearest, unknown
from robot_learn.train_config import TrainConfig, preset

Source = Literal["expert", "sparse", "zero-shot", "few-shot", "refined"]
SOURCES: tuple[Source, ...] = get_args(Source)

_METAWORLD = (
    "window-open window-close door-close drawer-open drawer-close door-unlock sweep-into button-press handle-press "
    "handle-press-side handle-pull"
)
_MANISKILL = "lift-cube pick-cube turn-faucet open-cabinet-door open-cabinet-drawer push-chair"
_LOCOMOTION = "hopper hopper-front-flip hopper-back-flip ant ant-lie-down ant-wave-leg"

SUITES = {
    "metaworld": tuple(f"metaworld/{name}" for name in _METAWORLD.split()),
    "maniskill": tuple(f"maniskill/{name}" for name in _MANISKILL.split()),
    "locomotion": tuple(f"mujoco/{name}" for name in _LOCOMOTION.split()),
    "fifty": tuple(name for name in sims.TASKS if name.startswith("metaworld/")),
}

# One setting a suite, found on the expert's reward, the same for every reward. A training ends early once 98 % of its
# last 200 episodes, exploration included, were successes.
SETTINGS: dict[str, dict[str, Any]] = {
    "metaworld": {"total_steps": 4_000_000, "stop_at_success": 0.98},
    # On the cube to be lifted PPO (gamma 0.9) had half of its last episodes right after 900,000 steps, SAC four of five
    # after 115,000.
    "maniskill": {"algorithm": "sac", "total_steps": 300_000, "stop_at_success": 0.98, "gamma": 0.8},
    "mujoco": {"total_steps": 2_000_000, "stop_at_success": 0.98},
}
EPISODES = 100  # of the evaluation
SHOTS = 2  # solved examples of a few-shot prompt


@dataclass(frozen=True)
class Cell:
    """One training of the benchmark."""

    task: str
    source: Source
    seed: int

    @property
    def key(self) -> str:
        """The name of its files."""
        return f"{self.task.replace('/', '-')}--{self.source}--s{self.seed}"

    def config(self) -> TrainConfig:
        return preset(**{"algorithm": "ppo", "seed": self.seed, **SETTINGS[self.task.partition("/")[0]]})


def cells(
    suites: Sequence[str] = (), tasks: Sequence[str] = (), sources: Sequence[str] = (), seeds: int = 1
) -> list[Cell]:
    """The cells of the suites or tasks named, seed after seed, so that whoever stops early has something of everything.

    Without suites and tasks: those of the paper.

    Raises:
        UserError: there is no such suite, task or reward.
    """
    for suite in suites:
        if suite not in SUITES:
            raise unknown("suite", suite, SUITES)
    for source in sources:
        if source not in SOURCES:
            raise unknown("reward", source, SOURCES)
    if seeds < 1:
        raise UserError(f"seeds: wanted 1 or more, came {seeds}")
    every = dict.fromkeys(name for names in SUITES.values() for name in names)
    for name in tasks:
        if name not in every:
            close = nearest(name, every)
            hint = f"did you mean {close!r}?" if close else f"suites: {', '.join(SUITES)}"
            raise UserError(f"{name!r} is no task of the benchmark; {hint}")
    wanted = [name for suite in suites for name in SUITES[suite]] + list(tasks)
    if not wanted:
        wanted = [name for suite in ("metaworld", "maniskill", "locomotion") for name in SUITES[suite]]
    chosen = [source for source in SOURCES if source in (sources or SOURCES)]
    return [Cell(task, source, seed) for seed in range(seeds) for source in chosen for task in dict.fromkeys(wanted)]
