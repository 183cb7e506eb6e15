"""In which range of each physical parameter does a policy still work? And so: in which ranges to train the next one?

The reward-aware physics prior of DrEureka (Ma et al. 2024, arXiv:2406.01967, section on RAPP): one parameter at a time
is varied over a grid, the others nominal, and the values count at which the policy still does its task. Training ranges
wider than that teach a policy to be timid, narrower ones leave robustness on the table. All grid points run side by
side, each on the same starts, so that points differ by the parameter alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from robot_learn.envs import SWEEP_SEED0, BatchEnv
from robot_learn.errors import UserError
from robot_learn.evaluation import wilson_interval
from robot_learn.types import Policy

_RATIOS = (1.1, 1.2, 1.35, 1.5, 2.0, 3.0, 5.0)  # about even in the logarithm, but finer where a policy is fragile
FACTORS = (*(round(1 / ratio, 4) for ratio in reversed(_RATIOS)), 1.0, *_RATIOS)
GRIDS: Mapping[str, tuple[float, ...]] = {  # of what is no factor; the first value is the nominal one
    "latency": (0, 1, 2, 3, 4, 6, 8, 12),
    "observation_noise": (0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    "action_noise": (0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6),
}
MOST_WORLDS = 512  # side by side

# Opens so many worlds, with a function that gives them parameters, (N,) by name, from the next reset on.
Make = Callable[[int], AbstractContextManager[tuple[BatchEnv, Callable[[Mapping[str, np.ndarray]], None]]]]


@dataclass(frozen=True)
class Point:
    """One value of one parameter."""

    value: float
    successes: int
    episodes: int

    @property
    def rate(self) -> float:
        return self.successes / self.episodes

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the success rate."""
        return wilson_interval(self.successes, self.episodes)


@dataclass(frozen=True)
class Swept:
    """One parameter over its grid."""

    name: str
    points: tuple[Point, ...]  # by value
    low: float  # of the contiguous range around the nominal value in which the policy works
    high: float
    open_low: bool  # it still works at the end of the grid: the range may be wider
    open_high: bool

    @property
    def is_factor(self) -> bool:
        return is_factor(self.name)


@dataclass(frozen=True)
class Sweep:
    """The result of a sweep."""

    task: str
    nominal: Point
    share: float  # of the nominal success rate that counts as still working
    first_seed: int
    parameters: tuple[Swept, ...]

    def to_json(self) -> dict[str, Any]:
        """Figures by parameter."""
        return {
            "task": self.task,
            "criterion": f"success rate at least {self.share:g} of the nominal one",
            "first_seed": self.first_seed,
            "nominal": {name: value for name, value in _point_json(self.nominal).items() if name != "value"},
            "parameters": {
                swept.name: asdict(swept) | {"points": [_point_json(point) for point in swept.points]}
                for swept in self.parameters
            },
        }


def _point_json(point: Point) -> dict[str, Any]:
    return asdict(point) | {"rate": point.rate, "interval_95": list(point.interval)}


def is_factor(name: str) -> bool:
    """Is the parameter a factor of its nominal value, and not a delay or a noise whose nominal value is 0?"""
    return name not in GRIDS


def grid(name: str) -> tuple[float, ...]:
    """The values that a parameter is tried at, from the smallest."""
    return GRIDS.get(name, FACTORS)


def sweep(
    make: Make,
    policy: Policy,
    parameters: Sequence[str],
    *,
    episodes: int = 20,
    share: float = 0.8,
    grids: Mapping[str, Sequence[float]] | None = None,
    first_seed: int = SWEEP_SEED0,
    most_worlds: int = MOST_WORLDS,
    on_progress: Callable[[int, int], None] | None = None,
) -> Sweep:
    """Vary each parameter alone and find where the policy still works.

    Args:
        make: opens the task's worlds.
        policy: acts without exploration.
        parameters: names; those in `GRIDS`, the others are factors.
        episodes: at each value, with seeds `first_seed`, `first_seed` + 1, ...
        share: of the nominal success rate that counts as still working.
        grids: values by name, where they are not the usual ones.
        on_progress: called with the number of episodes done and to do.

    Raises:
        UserError: nothing is to vary, a number is out of range, or the policy does not succeed even nominally.
    """
    if not parameters or min(episodes, most_worlds) < 1 or not 0 < share <= 1:
        raise UserError(
            "sweep: wanted a parameter, an episode and a world at least and a share in (0, 1], came "
            f"{len(parameters)} parameters, {episodes} episodes, {most_worlds} worlds and a share of {share:g}"
        )
    values = {name: sorted({*(grids or {}).get(name, grid(name)), _nominal(name)}) for name in parameters}
    points = [(name, value) for name in parameters for value in values[name] if value != _nominal(name)]
    jobs = [(name, value, first_seed + k) for name, value in [("", 0.0), *points] for k in range(episodes)]
    done: list[bool] = []
    width = min(most_worlds, len(jobs))
    with make(width) as (env, assign):
        task = env.task.name
        for begin in range(0, len(jobs), width):
            mine = jobs[begin : begin + width]
            filled = [*mine, *[jobs[0]] * (width - len(mine))]  # the last round may have worlds to spare
            assign({name: _column(name, filled) for name in parameters})
            done += _round(env, policy, [seed for _, _, seed in filled], len(mine))
            if on_progress is not None:
                on_progress(len(done), len(jobs))
    counts = np.array(done).reshape(-1, episodes).sum(axis=1).tolist()
    nominal = Point(0.0, counts[0], episodes)
    if not nominal.successes:
        raise UserError(f"the policy succeeds in 0 of {episodes} nominal episodes: there is nothing to compare with")
    found = dict(zip(points, counts[1:], strict=True))
    swept = tuple(
        _judge(name, [Point(v, found.get((name, v), counts[0]), episodes) for v in values[name]], share * nominal.rate)
        for name in parameters
    )
    return Sweep(task, nominal, share, first_seed, swept)


def _nominal(name: str) -> float:
    return 1.0 if is_factor(name) else 0.0


def _column(name: str, jobs: Sequence[tuple[str, float, int]]) -> np.ndarray:
    """One parameter in all worlds: its value where it is the one that is varied, else nominal."""
    return np.array([value if name == varied else _nominal(name) for varied, value, _ in jobs])


def _round(env: BatchEnv, policy: Policy, seeds: Sequence[int], count: int) -> list[bool]:
    """Did the first episode of each of the first `count` worlds succeed at any step?"""
    observation, _ = env.reset(seed=seeds)
    state: Any = None
    start = np.ones(env.num_envs, dtype=bool)
    running, success = np.arange(env.num_envs) < count, np.zeros(env.num_envs, dtype=bool)
    while running.any():
        action, state = policy.predict(observation, state=state, episode_start=start, deterministic=True)
        observation, _, terminated, truncated, info = env.step(action)
        success |= running & info["success"]
        start = terminated | truncated
        running &= ~start & ~success  # what comes after a success does not count
    found: list[bool] = success[:count].tolist()
    return found


def _judge(name: str, points: Sequence[Point], wanted: float) -> Swept:
    """The range around the nominal value whose points all reach the success rate wanted."""
    works = [point.rate >= wanted for point in points]
    low = high = [point.value for point in points].index(_nominal(name))
    while low > 0 and works[low - 1]:
        low -= 1
    while high < len(points) - 1 and works[high + 1]:
        high += 1
    return Swept(
        name=name,
        points=tuple(points),
        low=points[low].value,
        high=points[high].value,
        open_low=low == 0 and is_factor(name),  # nothing is below a delay or a noise of 0
        open_high=high == len(points) - 1,
    )


def proposed_ranges(result: Sweep, *, widen: float = 1.0) -> dict[str, dict[str, Any]]:
    """A table to train with: the ranges that were found, wider by a factor on either side where that is wanted.

    Parameters that the policy tolerates no change of are left out, unless there is something to widen.
    """
    table: dict[str, dict[str, Any]] = {}
    for swept in result.parameters:
        low, high = (swept.low / widen, swept.high * widen) if swept.is_factor else (swept.low, swept.high * widen)
        if low == high:
            continue
        if swept.name == "latency":
            high = float(int(high))
        scale = "log" if swept.is_factor and low > 0 else "linear"
        table[swept.name] = {"low": round(low, 4), "high": round(high, 4), "scale": scale}
    return table
