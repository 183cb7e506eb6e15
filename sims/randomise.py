"""Domain randomisation: worlds that differ in their physics, their delays and their noise, drawn anew at each reset.

What there is to draw and how a table of ranges looks is in `sims.ranges`. A world's parameters and noise come from a
generator of their own that is branched off the world's: starts do not depend on what else is randomised, and with all
factors at 1 nothing changes, to the bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from robot_learn.errors import UserError, unknown
from sims.env import Values, Worlds
from sims.ranges import ACTION_NOISE, LATENCY, OBSERVATION_NOISE, OF_THE_LOOP, check, nominal, parse_table


@runtime_checkable
class Settable(Protocol):
    """What worlds with physical parameters offer besides `sims.env.Worlds`. Their snapshots keep the parameters."""

    @property
    def settable(self) -> tuple[str, ...]:
        """Names of the parameters."""
        ...

    def set_parameters(self, index: int, factors: Mapping[str, float]) -> None:
        """Give world `index` these factors of the nominal from its next reset on; those not named are nominal."""
        ...


def allowed_parameters(worlds: Worlds) -> tuple[str, ...]:
    """What can be randomised in these worlds."""
    return (*(worlds.settable if isinstance(worlds, Settable) else ()), *OF_THE_LOOP)


class RandomisedWorlds:
    """Worlds around worlds; see `sims.env.Worlds`.

    `parameters` holds what each world's episode has drawn, (N,) by name; its arrays are replaced, never written.

    Args:
        worlds: the worlds as they are nominally; `Settable`, where physical parameters are named.
        table: what to draw from at each reset.
        fixed: parameters that stay, a number or (N,) each.
    """

    def __init__(
        self, worlds: Worlds, table: Mapping[str, Any] | None = None, fixed: Mapping[str, Any] | None = None
    ) -> None:
        self.worlds, self.task, self.num_worlds = worlds, worlds.task, worlds.num_worlds
        self.observation_space, self.action_space = worlds.observation_space, worlds.action_space
        self.cameras = worlds.cameras
        self._allowed = allowed_parameters(worlds)
        self._settable: Any = None
        self.ranges = parse_table(table or {}, self._allowed)
        self._noise = np.zeros((self.num_worlds, *self.observation_space.shape))
        self._rngs = [np.random.default_rng(0) for _ in range(self.num_worlds)]
        self.fix(fixed or {})

    def fix(self, values: Mapping[str, Any]) -> None:
        """Give parameters that are not drawn these values, a number or (N,) each; others are nominal. Then reset all.

        Raises:
            UserError: there is no such parameter, it is drawn, or it cannot have this value.
        """
        fixed = {name: self._row(name, value) for name, value in values.items()}
        twice = sorted(self.ranges.keys() & fixed.keys())
        if twice:
            raise UserError(f"parameters both drawn and fixed: {', '.join(twice)}")
        self.parameters = {name: np.full(self.num_worlds, nominal(name)) for name in self.ranges} | fixed
        physical = any(name not in OF_THE_LOOP for name in self.parameters)
        # Once set, parameters must be set back. Worlds that cannot set any have refused the names already.
        self._settable = self.worlds if physical else self._settable
        longest = max([span.high for name, span in self.ranges.items() if name == LATENCY], default=0.0)
        longest = max([longest, *fixed.get(LATENCY, ())])
        # The last actions, newest first: what a world gets now is as far back as its latency.
        self._sent = np.zeros((self.num_worlds, int(longest) + 1, *self.action_space.shape))

    def _row(self, name: str, value: Any) -> np.ndarray:
        if name not in self._allowed:
            raise unknown("parameter", name, self._allowed)
        row = np.array(value, dtype=np.float64)
        if row.shape not in ((), (self.num_worlds,)):
            raise UserError(f"parameter {name!r}: wanted a number or {self.num_worlds} of them, came shape {row.shape}")
        for one in np.unique(row):
            check(name, one)
        return np.broadcast_to(row, (self.num_worlds,)).copy()

    def reset(self, indices: Sequence[int], rngs: Sequence[np.random.Generator]) -> None:
        drawn = {name: row.copy() for name, row in self.parameters.items()}
        for index, rng in zip(indices, rngs, strict=True):
            self._rngs[index] = own = _branch(rng)
            for name, span in self.ranges.items():
                drawn[name][index] = span.draw(own, whole=name == LATENCY)
        self.parameters = drawn
        for index in indices if self._settable else ():
            factors = {name: float(row[index]) for name, row in drawn.items() if name not in OF_THE_LOOP}
            self._settable.set_parameters(index, factors)
        self.worlds.reset(indices, rngs)
        self._sent[indices] = 0.0
        self._draw_noise(indices)

    def _draw_noise(self, indices: Sequence[int]) -> None:
        if OBSERVATION_NOISE in self.parameters:
            deviation, shape = self.parameters[OBSERVATION_NOISE], self.observation_space.shape
            for index in indices:
                self._noise[index] = deviation[index] * self._rngs[index].standard_normal(shape)

    def step(self, actions: np.ndarray) -> None:
        sent, precision = actions, actions.dtype  # a simulator may take actions in their own precision
        if ACTION_NOISE in self.parameters:
            half = (self.action_space.high - self.action_space.low) / 2.0
            normal = np.stack([rng.standard_normal(half.shape) for rng in self._rngs])
            sent = (sent + self.parameters[ACTION_NOISE][:, None] * half * normal).astype(precision)
        if LATENCY in self.parameters:
            self._sent = np.concatenate([sent[:, None], self._sent[:, :-1]], axis=1)
            late = self.parameters[LATENCY].astype(np.int64)
            sent = self._sent[np.arange(self.num_worlds), late].astype(precision)
        self.worlds.step(sent)
        self._draw_noise(range(self.num_worlds))

    def observe(self) -> np.ndarray:
        seen = self.worlds.observe()
        if OBSERVATION_NOISE not in self.parameters:
            return seen
        space = self.observation_space
        # Components that are bounded stay within: among them those that are constant.
        return np.clip(seen + self._noise, space.low, space.high).astype(seen.dtype)

    def read(self) -> Values:
        return self.worlds.read()

    def success(self) -> np.ndarray:
        return self.worlds.success()

    def terminated(self) -> np.ndarray:
        return self.worlds.terminated()

    def expert_reward(self, actions: np.ndarray) -> np.ndarray:
        return self.worlds.expert_reward(actions)

    def snapshot(self, index: int) -> Any:
        own = {name: float(row[index]) for name, row in self.parameters.items()}
        rows = self._sent[index].copy(), self._noise[index].copy()
        return self.worlds.snapshot(index), own, rows, self._rngs[index].bit_generator.state

    def restore(self, index: int, snapshot: Any) -> None:
        inner, own, (sent, noise), generator = snapshot
        self.parameters = {name: row.copy() for name, row in self.parameters.items()}
        for name, value in own.items():
            self.parameters[name][index] = value
        self.worlds.restore(index, inner)
        self._sent[index], self._noise[index] = sent, noise
        self._rngs[index] = np.random.default_rng(0)
        self._rngs[index].bit_generator.state = generator

    def render(self, index: int, width: int, height: int, camera: str | None = None) -> np.ndarray:
        return self.worlds.render(index, width, height, camera)

    def pictures(
        self, width: int, height: int, camera: str | None = None, indices: Sequence[int] | None = None
    ) -> np.ndarray:
        return self.worlds.pictures(width, height, camera, indices)

    def close(self) -> None:
        self.worlds.close()


def _branch(rng: np.random.Generator) -> np.random.Generator:
    """A generator of its own that depends on where `rng` stands and leaves it there."""
    # One number of a far-away part of the same stream seeds it. Drawing on from there instead would meet the numbers of
    # the next episode's branch, which begins only a few draws later.
    elsewhere: Any = rng.bit_generator
    return np.random.default_rng(int(np.random.Generator(elsewhere.jumped()).integers(2**63)))
