"""How fast the batches are: env steps per second, beside upstream's own environments on the same cores in one run.

Every runner takes random actions and resets as its episodes end, all episodes being as long. The runners take turns in
short rounds and their medians count, so that what else the machine does falls on all of them alike.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AsyncVectorEnv
from gymnasium.wrappers import TimeLimit

import sims
from robot_learn.errors import UserError

TASKS: tuple[str, ...] = ("metaworld/drawer-open", "metaworld/button-press", "mujoco/hopper", "mujoco/ant")
if importlib.util.find_spec("mani_skill") is not None:  # an extra
    TASKS += ("maniskill/pick-cube", "maniskill/stack-cube")
BATCHES = (16, 64, 128, 256)
ONE, ASYNC, OURS = "upstream", "AsyncVectorEnv", "ours"

Run = Callable[[], int]  # takes one action in every world; returns how many env steps that was


def upstream(task_name: str) -> gymnasium.Env[Any, Any]:
    """The upstream environment of a task: placements drawn at each reset, goal visible, our episode length."""
    family, _, name = task_name.partition("/")
    env: Any
    if family == "metaworld":
        from sims.metaworld.upstream import Loan

        loan = Loan(name)
        env = loan.env
        env.observation_space = loan.observation_space
        env._freeze_rand_vec, env._np_random = False, np_random(0)[0]
    elif family == "mujoco":
        from sims.gym.bodies import upstream as gym_upstream

        env = gym_upstream(name)
    elif family == "maniskill":
        from sims import maniskill

        env = maniskill.upstream(name)
    else:
        known = "metaworld, mujoco, maniskill"
        raise UserError(f"bench: no upstream environment is known for {task_name!r}; families: {known}")
    return TimeLimit(env, sims.task(task_name).max_episode_steps)


@contextmanager
def _one(task_name: str) -> Iterator[Run]:
    env = upstream(task_name)
    actions = _actions(env.action_space, ())
    env.reset(seed=0)

    def step() -> int:
        _, _, terminated, truncated, _ = env.step(next(actions))
        if terminated or truncated:
            env.reset()
        return 1

    yield step
    env.close()


@contextmanager
def _async(task_name: str, processes: int) -> Iterator[Run]:
    # Processes are spawned: a fork would copy this one in the midst of its threads.
    env = AsyncVectorEnv([functools.partial(upstream, task_name)] * processes, context="spawn")
    actions = _actions(env.single_action_space, (processes,))
    env.reset(seed=0)

    def step() -> int:
        env.step(next(actions))
        return processes

    yield step
    env.close()


@contextmanager
def _ours(task_name: str, worlds: int) -> Iterator[Run]:
    env = sims.make(task_name, worlds)
    actions = _actions(env.single_action_space, (worlds,))
    env.reset(seed=0)

    def step() -> int:
        env.step(next(actions))
        return worlds

    yield step
    env.close()


def _actions(space: gymnasium.Space[Any], batch: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Random actions (*batch, act_dim), over and over the same 64, so that drawing them costs nothing."""
    assert isinstance(space, gymnasium.spaces.Box)
    size = (64, *batch, *space.shape)
    drawn = np.random.default_rng(0).uniform(space.low, space.high, size).astype(space.dtype)
    while True:
        yield from drawn


def _steps_per_second(run: Run, seconds: float) -> float:
    steps, begin = 0, time.perf_counter()
    while (spent := time.perf_counter() - begin) < seconds:
        steps += run()
    return steps / spent


def run(
    tasks: Sequence[str] | None = None,
    num_envs: int = 128,
    seconds: float = 1.0,
    *,
    rounds: int = 3,
    batches: Sequence[int] = BATCHES,
    processes: Sequence[int] | None = None,
) -> list[dict[str, Any]]:
    """Env steps per second of one upstream environment, of AsyncVectorEnv over it, and of our batches.

    Args:
        tasks: names of tasks; by default two of Meta-World's, two locomotion bodies and two of ManiSkill's, where it
            is installed.
        num_envs: a batch size to measure beside `batches`.
        seconds: of one runner in one round; all together it takes about tasks x runners x rounds x seconds.
        processes: of AsyncVectorEnv; by default one a core, and 2 and 4. The best of them is what ours is compared to.

    Returns:
        One row a runner: task, runner, worlds, steps_per_s, and its ratio to the one upstream environment (`over_one`)
        and to the best AsyncVectorEnv (`over_async`).

    Raises:
        UserError: a name is not a task, or a number is not positive.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    processes = sorted(set(processes or (cores, 2, 4)))
    sizes = sorted({*batches, num_envs})
    if min(*sizes, *processes, rounds) < 1 or seconds <= 0:
        raise UserError(f"bench: wanted positive numbers, came num_envs={num_envs}, seconds={seconds}, rounds={rounds}")
    names = [sims.task(name).name for name in (TASKS if tasks is None else tasks)]
    return [row for name in names for row in _task_rows(name, sizes, processes, seconds, rounds)]


def _task_rows(
    name: str, sizes: Sequence[int], processes: Sequence[int], seconds: float, rounds: int
) -> list[dict[str, Any]]:
    with ExitStack() as stack:
        runners: dict[tuple[str, int], Run] = {(ONE, 1): stack.enter_context(_one(name))}
        runners |= {(ASYNC, number): stack.enter_context(_async(name, number)) for number in processes}
        runners |= {(OURS, worlds): stack.enter_context(_ours(name, worlds)) for worlds in sizes}
        for warm_up in runners.values():
            warm_up()
        samples = [[_steps_per_second(runner, seconds) for runner in runners.values()] for _ in range(rounds)]
    speed = dict(zip(runners, np.median(samples, axis=0).tolist(), strict=True))
    best_async = max(rate for (kind, _), rate in speed.items() if kind == ASYNC)
    return [
        {
            "task": name,
            "runner": kind,
            "worlds": worlds,
            "steps_per_s": round(rate),
            "over_one": round(rate / speed[ONE, 1], 2),
            "over_async": round(rate / best_async, 2),
        }
        for (kind, worlds), rate in speed.items()
    ]
