"""The environments: a batch of worlds as a `gymnasium.vector.VectorEnv`, and one world as a `gymnasium.Env`.

A simulator only implements `Worlds`. Clocks, seeds, automatic resets, scenes and rewards are the same for all and live
here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Protocol

import gymnasium
import numpy as np
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from robot_learn.errors import UserError, unknown
from robot_learn.scene import Scene
from robot_learn.types import RewardFn, Task

Reward = RewardFn | Literal["expert", "sparse"] | None
Values = dict[str, np.ndarray]


class Worlds(Protocol):
    """What a simulator must offer for N worlds of one task. All arrays are fresh at each call, batch axis first."""

    task: Task
    num_worlds: int
    observation_space: gymnasium.spaces.Box
    action_space: gymnasium.spaces.Box
    cameras: tuple[str, ...]  # names of the views that can be rendered, the usual one first

    def reset(self, indices: Sequence[int], rngs: Sequence[np.random.Generator]) -> None:
        """Start a new episode in the worlds named, each drawn from its own generator."""

    def step(self, actions: np.ndarray) -> None:
        """One control step of every world under actions (N, act_dim)."""

    def observe(self) -> np.ndarray:
        """Observations (N, obs_dim)."""

    def read(self) -> Values:
        """Every field of the scene schema, (N, *shape)."""

    def success(self) -> np.ndarray:
        """(N,) bool: is the task achieved right now?"""

    def terminated(self) -> np.ndarray:
        """(N,) bool: did the task end for good, so that nothing follows?"""

    def expert_reward(self, actions: np.ndarray) -> np.ndarray:
        """(N,): the reward that the upstream environment defines."""

    def snapshot(self, index: int) -> Any:
        """Everything that the future of one world depends on; can be pickled."""

    def restore(self, index: int, snapshot: Any) -> None:
        """Put a world, any world of the batch, where `snapshot` was taken."""

    def render(self, index: int, width: int, height: int, camera: str | None = None) -> np.ndarray:
        """(height, width, 3) uint8, upright: one world to look at, from the first camera unless another is named."""

    def pictures(
        self, width: int, height: int, camera: str | None = None, indices: Sequence[int] | None = None
    ) -> np.ndarray:
        """(N, height, width, 3) uint8: all worlds, or some, as data: fast, without shadows, with light geometry."""

    def close(self) -> None: ...


def _copied(value: Any) -> Any:
    """A copy of a numpy array, or of a torch tensor where a simulator's scene is made of them."""
    return value.clone() if hasattr(value, "clone") else value.copy()


def _on_host(value: Any) -> np.ndarray:
    """A torch tensor of any device as a numpy array."""
    return np.asarray(value.detach().cpu().numpy(), dtype=np.float64)


class BatchEnv(gymnasium.vector.VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """N worlds in one process.

    `step` resets a finished world in the same step (Gymnasium's SAME_STEP mode); its last observation is in
    `info["final_obs"]` where `info["_final_obs"]`. With `autoreset=False` the caller must `reset` after an end.
    `info["success"]` (N,) is measured after the step, before a reset; `info["reward_terms"]` holds the reward's terms.
    Actions out of bounds are passed on as they are; what a simulator does with them is its own rule.
    """

    single_observation_space: gymnasium.spaces.Box
    single_action_space: gymnasium.spaces.Box

    def __init__(
        self, worlds: Worlds, *, reward: Reward = None, max_episode_steps: int | None = None, autoreset: bool = True
    ) -> None:
        named = reward is None or (isinstance(reward, str) and reward in ("expert", "sparse"))
        if not named and not hasattr(reward, "evaluate"):
            raise UserError(f"reward {reward!r}: wanted 'expert', 'sparse', None or a reward function (a RewardFn)")
        if max_episode_steps is not None and max_episode_steps < 1:
            raise UserError(f"max_episode_steps: wanted 1 or more, came {max_episode_steps}")
        task = worlds.task
        self.worlds, self.reward = worlds, reward
        self.task = task if max_episode_steps is None else replace(task, max_episode_steps=max_episode_steps)
        self.num_envs = worlds.num_worlds
        self.single_observation_space, self.single_action_space = worlds.observation_space, worlds.action_space
        self.observation_space = batch_space(worlds.observation_space, self.num_envs)
        self.action_space = batch_space(worlds.action_space, self.num_envs)
        mode = AutoresetMode.SAME_STEP if autoreset else AutoresetMode.DISABLED
        self.metadata = {"autoreset_mode": mode, "render_fps": round(1 / self.task.control_dt)}
        self._autoreset = autoreset
        self._rngs: list[np.random.Generator] | None = None
        self._elapsed = np.zeros(self.num_envs, dtype=np.int64)
        self._finished = np.ones(self.num_envs, dtype=bool)
        self._values: Values = {}
        self._initial: Values = {}
        self._previous: Values = {}

    @property
    def reward_fn(self) -> RewardFn | None:
        """The reward function, where the reward is one."""
        return None if self.reward is None or isinstance(self.reward, str) else self.reward

    @property
    def scene(self) -> Scene:
        """The scene of all worlds now, after any automatic reset."""
        return Scene(
            self.task.schema,
            self._values,
            initial=self._initial,
            previous=self._previous,
            steps=self._elapsed.copy(),
        )

    def reset(
        self, *, seed: int | Sequence[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """New episodes in all worlds. A seed gives world i the generator of `seed + i`; without, generators go on."""
        if seed is not None or self._rngs is None:
            self._rngs = [np_random(one)[0] for one in self._seeds(seed)]
        self.worlds.reset(range(self.num_envs), self._rngs)
        self._elapsed[:] = 0
        self._finished[:] = False
        self._values = self.worlds.read()
        self._initial = self._previous = self._values
        return self.worlds.observe(), {}

    def _seeds(self, seed: int | Sequence[int] | None) -> Sequence[int | None]:
        if seed is None:
            return [None] * self.num_envs
        seeds = [seed + i for i in range(self.num_envs)] if isinstance(seed, int | np.integer) else list(seed)
        if len(seeds) != self.num_envs:
            raise UserError(f"seed: wanted one number or {self.num_envs} of them, came {len(seeds)}")
        return seeds

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One control step of all worlds under actions (N, act_dim)."""
        actions = np.asarray(actions)
        wanted = (self.num_envs, self.task.act_dim)
        if actions.shape != wanted:
            raise UserError(f"actions: wanted an array of shape {wanted}, came {actions.shape}")
        if not np.isfinite(actions).all():
            raise UserError("actions: wanted finite numbers, came NaN or infinity")
        if self._finished.any():
            raise UserError("step: a world has finished its episode (or never begun); call reset first")
        self.worlds.step(actions)
        self._elapsed += 1
        self._previous, self._values = self._values, self.worlds.read()
        observations = self.worlds.observe()
        success, terminated = self.worlds.success(), self.worlds.terminated()
        truncated = (self._elapsed >= self.task.max_episode_steps) & ~terminated
        info: dict[str, Any] = {"success": success}
        reward, terms = self._reward(actions, success)
        if terms is not None:
            info["reward_terms"] = terms
        done = terminated | truncated
        if done.any():
            info["final_obs"], info["_final_obs"] = observations, done
            if self._autoreset:
                observations = self._restart(np.flatnonzero(done))
            else:
                self._finished |= done
        return observations, reward, terminated, truncated, info

    def _reward(self, actions: np.ndarray, success: np.ndarray) -> tuple[np.ndarray, Mapping[str, np.ndarray] | None]:
        if self.reward_fn is not None:
            first: Any = next(iter(self._values.values()))
            if isinstance(first, np.ndarray):
                return self.reward_fn.evaluate(self.scene, actions)
            # A simulator on a GPU: the reward is computed where the scene is, and only the result is brought back.
            reward, terms = self.reward_fn.evaluate(self.scene, first.new_tensor(actions))
            return _on_host(reward), {name: _on_host(term) for name, term in terms.items()}
        if self.reward == "expert":
            return self.worlds.expert_reward(actions), None
        return (success.astype(np.float64) if self.reward == "sparse" else np.zeros(self.num_envs)), None

    def _restart(self, indices: np.ndarray) -> np.ndarray:
        assert self._rngs is not None
        self.worlds.reset([int(i) for i in indices], [self._rngs[i] for i in indices])
        self._elapsed[indices] = 0
        fresh = self.worlds.read()
        self._initial, self._previous = dict(self._initial), dict(self._previous)
        for name, value in fresh.items():
            for kept in (self._initial, self._previous):
                # Arrays already handed out in scenes stay as they are: a scene never changes.
                kept[name] = _copied(kept[name])
                kept[name][indices] = value[indices]
        self._values = fresh
        return self.worlds.observe()

    def snapshot(self) -> list[dict[str, Any]]:
        """The whole batch: one `snapshot_world` for each world; can be pickled."""
        return [self.snapshot_world(index) for index in range(self.num_envs)]

    def restore(self, snapshot: Sequence[dict[str, Any]]) -> None:
        """Put the batch where `snapshot` was taken; the same actions then give the same future, bit for bit."""
        if len(snapshot) != self.num_envs:
            raise UserError(f"snapshot: wanted one of {self.num_envs} worlds, came one of {len(snapshot)}")
        for index, world in enumerate(snapshot):
            self.restore_world(index, world)

    def snapshot_world(self, index: int) -> dict[str, Any]:
        """One world with its clock, its generator and its scene; it may be restored into any world of the batch."""
        assert self._rngs is not None
        rows = [{name: _copied(value[index]) for name, value in kept.items()} for kept in self._kept()]
        generator = self._rngs[index].bit_generator.state
        clock = (int(self._elapsed[index]), bool(self._finished[index]))
        return {"world": self.worlds.snapshot(index), "rows": rows, "generator": generator, "clock": clock}

    def restore_world(self, index: int, snapshot: dict[str, Any]) -> None:
        """Put world `index` where the snapshot was taken."""
        if self._rngs is None:
            self.reset()
        assert self._rngs is not None
        self.worlds.restore(index, snapshot["world"])
        self._rngs[index].bit_generator.state = snapshot["generator"]
        self._elapsed[index], self._finished[index] = snapshot["clock"]
        # Arrays already handed out in scenes stay as they are: a scene never changes.
        self._values, self._initial, self._previous = (
            {name: _copied(value) for name, value in kept.items()} for kept in self._kept()
        )
        for kept, row in zip(self._kept(), snapshot["rows"], strict=True):
            for name, value in row.items():
                kept[name][index] = value

    def _kept(self) -> tuple[Values, Values, Values]:
        return self._values, self._initial, self._previous

    def render_world(self, index: int, width: int = 480, height: int = 360, camera: str | None = None) -> np.ndarray:
        """A picture of one world, (height, width, 3) uint8, upright."""
        return self.worlds.render(index, width, height, self._camera(camera))

    def pictures(self, width: int = 128, height: int = 128, camera: str | None = None) -> np.ndarray:
        """Pictures of all worlds as data, (N, height, width, 3) uint8, upright: light geometry, no shadows."""
        return self.worlds.pictures(width, height, self._camera(camera))

    def _camera(self, name: str | None) -> str:
        if name is not None and name not in self.worlds.cameras:
            raise unknown("camera", name, self.worlds.cameras)
        return name or self.worlds.cameras[0]

    def close_extras(self, **kwargs: Any) -> None:
        self.worlds.close()


class SingleEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """One world as a plain Gymnasium environment, over a batch of one."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 30}  # noqa: RUF012, as Gymnasium has it

    def __init__(self, batch: BatchEnv, *, render_mode: str | None = None) -> None:
        if batch.num_envs != 1 or batch.metadata["autoreset_mode"] != AutoresetMode.DISABLED:
            raise UserError("a single environment wants a batch of one world, made with autoreset=False")
        if render_mode not in (None, "rgb_array"):
            raise UserError(f"render_mode {render_mode!r}: wanted 'rgb_array' or None")
        self.batch, self.render_mode = batch, render_mode
        self.metadata = {**SingleEnv.metadata, "render_fps": batch.metadata["render_fps"]}
        self.observation_space, self.action_space = batch.single_observation_space, batch.single_action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        observations, info = self.batch.reset(seed=seed, options=options)
        return observations[0], info

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        observations, reward, terminated, truncated, batched = self.batch.step(np.asarray(action)[None])
        info: dict[str, Any] = {"success": bool(batched["success"][0])}
        if "reward_terms" in batched:
            info["reward_terms"] = {name: float(term[0]) for name, term in batched["reward_terms"].items()}
        return observations[0], float(reward[0]), bool(terminated[0]), bool(truncated[0]), info

    def render(self) -> np.ndarray | None:
        return self.batch.render_world(0) if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        self.batch.close()
