"""How safe the safety filter is: random and adversarial policies on an arm, with it and without it.

Every limit is judged by a measure of its own, without the filter's margins, and at twice as many states between two
control steps as the filter verifies.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np

from controllers.constraint import Held, LearnedConstraint, Uncertainty, of_system
from controllers.safety_filter.limits import (
    Ball,
    Box,
    ControlBox,
    HalfSpace,
    JointSpeed,
    Limit,
    Points,
    Region,
    Shape,
    SpeedLimit,
    StateBox,
    straight,
)
from controllers.safety_filter.reactive import ReactiveFilter
from controllers.systems import franka_joints, game
from controllers.systems.system import System
from robot_learn.errors import UserError
from robot_learn.franka import FR3

STEPS = 60  # of an episode
HOLD = 10  # steps that an adversary keeps to one idea
BETWEEN = np.arange(1, 21) / 20  # states between two control steps that are judged
SEED = 2**30
WORSE = 0.003  # [m], [rad] or of g by which a limit that is broken already is more so: what margins are for
_UNCERTAIN = 0.05  # semi-axes of the ellipsoid around the learned parameters


@dataclass(frozen=True, eq=False)
class Setting:
    """A system with everything that it must keep to."""

    system: System
    limits: Sequence[Limit]
    learned: LearnedConstraint
    points: Points
    start: Callable[[np.random.Generator], np.ndarray]  # any state, safe or not

    def filter(self) -> ReactiveFilter:
        return ReactiveFilter(self.system, self.limits, [self.learned], points=self.points)


def reach() -> Setting:
    """The hand that is steered by its twist: a workspace, a post, a crate, a speed, and the game's own constraint."""
    played = game("franka-reach")
    low, high = np.array([-0.7, -0.8, 0.05]), np.array([0.5, -0.2, 0.9])

    def start(rng: np.random.Generator) -> np.ndarray:
        q = rng.normal(size=4)
        return np.concatenate([rng.uniform(low, high), q / np.linalg.norm(q)])

    limits: list[Limit] = [
        ControlBox("twist", (-0.4,) * 3 + (-1.5,) * 3, (0.4,) * 3 + (1.5,) * 3),
        Region("workspace", Box(tuple(low), tuple(high)), ("hand",), "in"),
        Region("post", Ball((-0.4, -0.5, 0.5), 0.12), ("hand",), "out"),
        Region("crate", Box((0.05, -0.4, 0.0), (0.25, -0.2, 0.35)), ("hand",), "out"),
        SpeedLimit("hand speed", "hand", 0.5),
    ]
    return Setting(played.system, limits, _taught(played.system, played.truth), lambda x: {"hand": x[:3]}, start)


def joints() -> Setting:
    """The arm that is steered by its joints, four of whose points must not go everywhere."""
    played, arm = game("franka-joints"), franka_joints
    every = ("elbow", "wrist", "flange", "hand")
    published = (FR3.lower, FR3.upper, FR3.velocity, FR3.velocity_offset, FR3.braking)
    ranges = [tuple(np.asarray(numbers)) for numbers in published]
    limits: list[Limit] = [
        StateBox("joint range", tuple(range(7)), tuple(FR3.lower + 0.1), tuple(FR3.upper - 0.1)),
        JointSpeed("joint speed", *ranges),
        Region("table", HalfSpace((0.0, 0.0, 1.0), 0.03), every, "out"),
        Region("workspace", Box((-0.1, -0.7, 0.03), (0.75, 0.7, 1.0)), ("hand",), "in"),
        Region("lamp", Ball((0.45, 0.3, 0.65), 0.12), every[1:], "out"),
        Region("box", Box((0.25, -0.65, 0.0), (0.45, -0.45, 0.3)), every[1:], "out"),
        *(SpeedLimit(f"{point} speed", point, 0.5) for point in every),
    ]

    def start(rng: np.random.Generator) -> np.ndarray:
        return arm.REST + rng.normal(scale=(0.6, 0.3, 0.3, 0.3, 0.3, 0.3, 0.6))

    return Setting(played.system, limits, _taught(played.system, played.truth), arm.points, start)


def _taught(system: System, truth: np.ndarray) -> LearnedConstraint:
    """What was learned perfectly but for a known doubt, so that the filter is measured and not the learning."""
    return of_system(system, truth, Uncertainty(truth, _UNCERTAIN * np.eye(system.r)))


SETTINGS = {"franka-reach": (reach, 1.0), "franka-joints": (joints, 0.2)}  # and the share of the episodes


def run(episodes: int = 1000) -> list[dict[str, Any]]:
    """A row for every system and policy: violations with and without the filter, interventions, times."""
    rows = []
    for name, (make, share) in SETTINGS.items():
        setting = make()
        judge = Judge(setting)
        each = max(round(episodes * share / (len(POLICIES) - 1)), 1)
        for number, policy in enumerate(POLICIES):
            sys.stderr.write(f"{name}: {policy}, {each} episodes\n")
            rows.append({"system": name, **measure(setting, judge, policy, each, seed=SEED + number)})
        sys.stderr.write(f"{name}: starts that break a limit\n")
        rows.append({"system": name, **measure(setting, judge, "towards a limit", each, seed=SEED + 99, outside=True)})
    return rows


Choose = Callable[[ReactiveFilter, np.ndarray, np.random.Generator], Callable[[np.ndarray], np.ndarray]]


def _spread(safety: ReactiveFilter) -> np.ndarray:
    return np.asarray(safety.rows.widest[1])


def _random(safety: ReactiveFilter, state: np.ndarray, rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    action = rng.uniform(-1.5, 1.5, safety.system.nu) * _spread(safety)
    return lambda _: action


def _stuck(safety: ReactiveFilter, state: np.ndarray, rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    action = rng.choice([-1.0, 1.0], safety.system.nu) * _spread(safety)
    return lambda _: action


def _against(names: Callable[[str], bool], *, bang: bool) -> Choose:
    """Down the slope of one of the rows with such a name, as fast as the bounds allow, or each number at its bound."""

    def choose(
        safety: ReactiveFilter, state: np.ndarray, rng: np.random.Generator
    ) -> Callable[[np.ndarray], np.ndarray]:
        row = rng.choice([i for i, name in enumerate(safety.rows.names) if names(name)])

        def act(at: np.ndarray) -> np.ndarray:
            slope = -safety.linearised(at, safety.brake)[1][row] * _spread(safety)
            if bang:
                return np.asarray(np.sign(slope) * _spread(safety))
            return np.asarray(slope / max(np.abs(slope).max(), 1e-12) * _spread(safety))

        return act

    return choose


def _harmless(
    safety: ReactiveFilter, state: np.ndarray, rng: np.random.Generator
) -> Callable[[np.ndarray], np.ndarray]:
    """A slow way that comes near to no limit, or none at all where there is no such way."""
    for _ in range(20):
        action, at, room = rng.uniform(-0.2, 0.2, safety.system.nu) * _spread(safety), state, []
        for _ in range(HOLD):
            at = safety.system.step(at, action)
            room.append(float(safety.values(at).min()))
        if min(room) > 0.03:
            return lambda _, action=action: action  # type: ignore[misc]
    return lambda _: safety.brake


def _is_region(name: str) -> bool:
    return name.partition(" (")[0] in ("post", "crate", "lamp", "box", "table")


POLICIES: dict[str, Choose] = {
    "random": _random,
    "straight at a region": _against(_is_region, bang=False),
    "bang-bang at the learned": _against(lambda name: name == "learned", bang=True),
    "towards a limit": _against(lambda name: "range" in name or "workspace" in name, bang=False),
    "stuck at full speed": _stuck,
    "harmless": _harmless,
}


class Judge:
    """What is broken at states, in numpy, with neither the filter's expressions nor its margins."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        x = ca.SX.sym("x", setting.system.nx)
        found = setting.points(x)
        self.names = list(found)
        self._where = ca.Function("points", [x], [ca.vertcat(*found.values())])
        self._worst = Held(setting.system, setting.learned, robust=True)

    def hard(self, states: np.ndarray) -> np.ndarray:
        """By how much each limit on states is kept (K, limits), in its unit; below zero it is broken."""
        places = np.array(self._where(states.T)).T.reshape(len(states), len(self.names), 3)
        columns = []
        for limit in self.setting.limits:
            if isinstance(limit, StateBox):
                part = states[:, list(limit.index)]
                columns.append(np.minimum(part - limit.low, limit.high - part).min(axis=1))
            elif isinstance(limit, Region):
                out = distance(limit.shape, places[:, [self.names.index(point) for point in limit.points]])
                columns.append((out if limit.keep == "out" else -out).min(axis=1))
        return np.column_stack(columns)

    def step(self, state: np.ndarray, action: np.ndarray) -> float:
        """By how much the limits on a step are kept."""
        system, least = self.setting.system, np.inf
        after = system.step(state, action)
        before, then = (np.array(self._where(x)).reshape(-1, 3) for x in (state, after))
        for limit in self.setting.limits:
            if isinstance(limit, SpeedLimit):
                i = self.names.index(limit.point)
                least = min(least, limit.highest - float(np.linalg.norm(then[i] - before[i])) / system.control_dt)
            if isinstance(limit, ControlBox | JointSpeed):
                low, high = limit.bounds(state) if isinstance(limit, JointSpeed) else (limit.low, limit.high)
                least = min(least, float(np.minimum(action - low, high - action).min()))
        return least

    def learned(self, states: np.ndarray) -> np.ndarray:
        """g (K,) of the worst parameters that may be meant; above zero the constraint is broken."""
        return self._worst.g(states)


def distance(shape: Shape, p: np.ndarray) -> np.ndarray:
    """Signed distances (...) [m] from a shape, below zero inside, of points (..., 3)."""
    if isinstance(shape, HalfSpace):
        return np.asarray(p @ np.array(shape.normal) - shape.offset)
    if isinstance(shape, Ball):
        return np.asarray(np.linalg.norm(p - shape.centre, axis=-1) - shape.radius)
    inside = np.clip(p, shape.low, shape.high)
    to_faces = np.minimum(p - shape.low, np.array(shape.high) - p).min(axis=-1)
    return np.asarray(np.where(to_faces > 0, -to_faces, np.linalg.norm(p - inside, axis=-1)))


def measure(
    setting: Setting, judge: Judge, policy: str, episodes: int, *, seed: int, outside: bool = False
) -> dict[str, Any]:
    """One row of the benchmark; `outside` begins where something is broken, and counts what became worse."""
    if policy not in POLICIES:
        raise UserError(f"no policy {policy!r}; allowed: {', '.join(POLICIES)}")
    safety, rng = setting.filter(), np.random.default_rng(seed)
    tally = Tally()
    for _ in range(episodes):
        state = _started(setting, judge, safety, rng, outside)
        _episode(setting, judge, safety, POLICIES[policy], state, rng, tally)
    bare = None if outside else _bare(setting, judge, safety, POLICIES[policy], episodes, np.random.default_rng(seed))
    return {
        "policy": "from outside, " + policy if outside else policy,
        "episodes": episodes,
        **tally.row(),
        "broken without": bare,
    }


def _started(
    setting: Setting, judge: Judge, safety: ReactiveFilter, rng: np.random.Generator, outside: bool
) -> np.ndarray:
    """A random state where every limit has some room, or one where a limit is broken by at most a little."""
    for _ in range(10_000):
        state = setting.start(rng)
        least = float(safety.values(state).min())
        if (-0.05 < least < -0.01) if outside else least > 0.01:
            return state
    raise UserError(f"{setting.system.name}: found no state to start from")


class Tally:
    """What happened in the episodes of a row."""

    def __init__(self) -> None:
        self.feasible: list[bool] = []
        self.hard: list[bool] = []  # with the filter's problem feasible, a hard limit was broken in a step
        self.learned: list[bool] = []
        self.worse: list[bool] = []  # with it infeasible, what was broken got worse
        self.braking: list[bool] = []
        self.sizes: list[float] = []
        self.seconds: list[float] = []
        self.ends: list[bool] = []  # the episode ended with every limit kept

    def row(self) -> dict[str, Any]:
        sizes = np.array(self.sizes)
        return {
            "steps": len(self.feasible),
            "feasible": float(np.mean(self.feasible)),
            "hard broken": int(np.sum(self.hard)),
            "learned broken": int(np.sum(self.learned)),
            "made worse": int(np.sum(self.worse)),
            "safe in the end": float(np.mean(self.ends)),
            "braked": float(np.mean(self.braking)),
            "changed": float((sizes > 1e-6).mean()),
            "mean change": float(sizes.mean()),
            "median ms": 1e3 * float(np.median(self.seconds)),
            "p99 ms": 1e3 * float(np.quantile(self.seconds, 0.99)),
        }


def _episode(
    setting: Setting,
    judge: Judge,
    safety: ReactiveFilter,
    choose: Choose,
    state: np.ndarray,
    rng: np.random.Generator,
    tally: Tally,
) -> None:
    before, g_before = judge.hard(state[None])[-1], judge.learned(state[None])[-1]
    for step in range(STEPS):
        if step % HOLD == 0:
            act = choose(safety, state, rng)
        said = safety.filter(state, act(state))
        way = straight(setting.system, state, said.action, BETWEEN)
        room, worst = judge.hard(way), judge.learned(way)
        broken = bool((room < -1e-9).any()) or judge.step(state, said.action) < -1e-6
        tally.feasible.append(said.feasible)
        tally.hard.append(said.feasible and broken)
        tally.learned.append(said.feasible and bool((worst > 0).any()))
        worse = (room < np.minimum(before, 0) - WORSE).any() or (worst > max(g_before, 0.0) + WORSE).any()
        tally.worse.append(not said.feasible and bool(worse))
        tally.braking.append(said.braking)
        tally.sizes.append(said.size)
        tally.seconds.append(said.seconds)
        state, before, g_before = way[-1], room[-1], worst[-1]
    tally.ends.append(bool((before >= 0).all()) and bool(g_before <= 0))


def _bare(
    setting: Setting,
    judge: Judge,
    safety: ReactiveFilter,
    choose: Choose,
    episodes: int,
    rng: np.random.Generator,
) -> float:
    """The share of episodes in which the policy without a filter breaks a hard limit, or the learned constraint."""
    broken = 0
    for _ in range(episodes):
        state = _started(setting, judge, safety, rng, False)
        for step in range(STEPS):
            if step % HOLD == 0:
                act = choose(safety, state, rng)
            low, high = safety.rows.bounds(state)
            state = setting.system.step(state, np.clip(act(state), low, high))
            if (judge.hard(state[None]) < 0).any() or judge.learned(state[None])[0] > 0:
                broken += 1
                break
    return broken / episodes
