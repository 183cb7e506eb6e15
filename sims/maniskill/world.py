"""One ManiSkill world on the CPU, stepped without what upstream does around the physics.

A step sets the targets of the drives, runs PhysX and reads poses from SAPIEN's objects; `evaluate` and the reward run
only when they are asked for. States are those of upstream's `env.step`, bit for bit, and to float32 rounding where an
action turns the wrist.

PhysX keeps caches of contacts, and an order of them, that can neither be saved nor cleared: now and then what a world
did before changes the last digits of its next episode. So an exact world builds its scene anew at each reset, which
takes some milliseconds; then an episode is determined by its seed and its actions, an exact snapshot is the two, and
restoring replays it. A fast snapshot is poses and velocities: after 20 steps free motion differs by micrometres, a
grasped cube by millimetres.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from sims.maniskill import building, control, state
from sims.maniskill.parameters import Fitting
from sims.maniskill.sources import Glance, Reader, Source, quicken_grasps
from sims.maniskill.spec import Spec
from sims.maniskill.state import State


@dataclass(frozen=True)
class Snapshot:
    """Where a world stands: reset by `seed`, put into `state` if there is one, then moved by `actions`."""

    seed: int
    state: State | None
    actions: np.ndarray  # (T, act_dim) float32
    remembered: State  # attributes of the environment that rewards may have changed since
    factors: Mapping[str, float]  # physical parameters that are not nominal


@dataclass(frozen=True)
class Columns:
    """Where the fields that a simulator reads lie in a row of numbers; derived ones are computed in the parent."""

    slices: tuple[slice, ...]  # by entry of the spec
    width: int  # of all fields; a row has one more, ManiSkill's success where the spec has none of its own

    @classmethod
    def of(cls, spec: Spec) -> Columns:
        sizes = [int(np.prod(told.source.shape)) for told in spec.entries]
        ends = np.cumsum([0, *sizes])
        return cls(tuple(slice(int(a), int(b)) for a, b in pairwise(ends)), int(ends[-1]))


class World:
    """One world. `read` fills a row of `columns.width + 1` numbers."""

    def __init__(self, spec: Spec, assets: str, *, visuals: bool = False, exact: bool = True) -> None:
        self.spec, self.visuals, self.exact, self.columns = spec, visuals, exact, Columns.of(spec)
        self.env = building.make(spec, visuals=visuals, assets=assets)
        kind = type(self.env)
        names = ("_before_control_step", "_before_simulation_step", "_after_simulation_step", "_after_control_step")
        from mani_skill.envs.sapien_env import BaseEnv

        self._hooks = {name for name in names if getattr(kind, name) is not getattr(BaseEnv, name)}
        self._scene: Any = None
        self._seed = 0
        self._state: State | None = None  # where the episode was put after its reset, if it was
        self._actions: list[np.ndarray] = []
        self._factors: Mapping[str, float] = {}
        self._fitting: Fitting | None = None  # made when parameters are first set
        self._glance = Glance(self.env)
        self._bind()

    def _bind(self) -> None:
        """Find SAPIEN's objects anew: some environments rebuild their scene at a reset."""
        self._scene = self.env.scene
        quicken_grasps(self.env)
        self._drive = control.bind(self.env.agent)
        self._between = control.interpolates(self.env.agent)
        self._often: list[tuple[slice, Reader]] = []
        self._once: list[tuple[slice, Callable[[Glance], Any]]] = []
        self._slow: list[tuple[slice, Callable[[Glance], Any]]] = []
        for columns, told in zip(self.columns.slices, self.spec.entries, strict=True):
            if not isinstance(told.source, Source):
                continue
            if told.source.once:
                self._once.append((columns, told.source.batched))
            elif told.source.bind is not None:
                self._often.append((columns, told.source.bind(self.env)))
            else:
                self._slow.append((columns, told.source.batched))

    def reset(self, seed: int) -> None:
        """A new episode, which depends on nothing but the seed; unless `exact`, its last digits on what was before."""
        with building.building(visuals=self.visuals), _unobserved(self.env):
            self.env.reset(seed=seed, options={"reconfigure": self.exact})
        if self.env.scene is not self._scene:
            self._bind()
            self._fitting = None
        if self._factors or self._fitting is not None:
            self.fitting.apply(self._factors)
        self._seed, self._state, self._actions = seed, None, []
        self._glance = Glance(self.env)

    @property
    def fitting(self) -> Fitting:
        if self._fitting is None:
            self._fitting = Fitting(self.env)
        return self._fitting

    def set_parameters(self, factors: Mapping[str, float]) -> None:
        """Have these parameters, as factors of the nominal, from the next reset on; those not named are nominal."""
        if factors:
            self.fitting.check(factors)
        self._factors = dict(factors)

    def step(self, action: np.ndarray) -> None:
        """One control step under an action (act_dim,) float32."""
        env = self.env
        self._drive(action)
        if self._hooks or self._between:
            self._step_with_hooks()
        else:
            advance = env.scene.px.step
            for _ in range(env._sim_steps_per_control):
                advance()
        env._elapsed_steps += 1
        self._actions.append(action.copy())
        self._glance = Glance(env)

    def _step_with_hooks(self) -> None:
        env = self.env
        env._before_control_step()
        for _ in range(env._sim_steps_per_control):
            env.agent.before_simulation_step()
            env._before_simulation_step()
            env.scene.px.step()
            env._after_simulation_step()
        env._after_control_step()

    def read(self, row: np.ndarray, *, fresh: bool) -> None:
        """Every field that is read, and where the spec has no success of its own, ManiSkill's; `fresh` at a reset."""
        for columns, reader in self._often:
            row[columns] = reader()
        for columns, batched in (*self._slow, *(self._once if fresh else ())):
            row[columns] = batched(self._glance)[0].numpy().reshape(-1)
        if self.spec.success is None:
            row[self.columns.width] = bool(self._glance.evaluation["success"][0])

    def reward(self, action: np.ndarray) -> float:
        """ManiSkill's normalised dense reward of the state as it is."""
        import torch

        info = {"elapsed_steps": self.env.elapsed_steps, **self._glance.evaluation}
        given = torch.from_numpy(action)[None]
        return float(self.env.compute_normalized_dense_reward(obs=None, action=given, info=info))

    def snapshot(self, *, exact: bool | None = None) -> Snapshot:
        """Where the world stands, as something that pickles."""
        exact = self.exact if exact is None else exact
        actions = np.array([] if not exact else self._actions, dtype=np.float32).reshape(-1, len(self.spec.action))
        start = self._state if exact else state.take(self.env)
        return Snapshot(self._seed, start, actions, state.recall(self.env, self.spec.remembered), self._factors)

    def restore(self, snapshot: Snapshot) -> None:
        """Put this or another world of the same spec where the snapshot was taken."""
        self.set_parameters(snapshot.factors)
        self.reset(snapshot.seed)
        if snapshot.state is not None:
            state.put(self.env, snapshot.state)
            self._state, self._glance = snapshot.state, Glance(self.env)
        for action in snapshot.actions:
            self.step(action)
        state.remind(self.env, snapshot.remembered)

    def close(self) -> None:
        self.env.close()


@contextmanager
def _unobserved(env: Any) -> Iterator[None]:
    """A reset also evaluates and observes, which is most of its time; nobody asks for that here."""
    env.get_obs, env.get_info = lambda *_, **__: None, dict
    try:
        yield
    finally:
        del env.get_obs, env.get_info
