"""Upstream's own environment object, lent to one world after another.

Resets and the expert reward of 50 tasks are upstream's Python code. One upstream object (a `Loan`) a thread runs it on
any of our worlds: the world's model, data and episode attributes are put into the object, the code runs, and the
attributes are taken back. So they equal upstream by construction, and nothing of one episode leaks into the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from metaworld.env_dict import ALL_V3_ENVIRONMENTS

from sims.mujoco_worlds import STATE

_LIVE_FIELDS = ("xpos", "site_xpos", "geom_xpos", "xquat")


@dataclass(frozen=True)
class Live:
    """A row of an array of the simulation's data, which upstream keeps as a view: it changes as the world moves."""

    field: str
    row: int


Episode = dict[str, Any]  # what upstream's object remembers of an episode: arrays, numbers, `Live` rows


class Loan:
    """One upstream environment of a task, goal in the observation, with the pristine model to return to."""

    def __init__(self, name: str) -> None:
        self.env: Any = ALL_V3_ENVIRONMENTS[f"{name}-v3"]()
        self.env._set_task_called = True
        self.env.seeded_rand_vec = True
        self.env._partially_observable = False
        del self.env.sawyer_observation_space  # was computed for a hidden goal
        self.observation_space = self.env.sawyer_observation_space
        self.model: mujoco.MjModel = self.env.model
        self._body_pos, self._site_pos = self.model.body_pos.copy(), self.model.site_pos.copy()
        self._own = {"model", "data", "_reset_hand", "mujoco_renderer", "_np_random", "_last_rand_vec"}
        self._rest = self._bring_to_rest()
        # Some attributes are views of the simulation from the start; they must follow the world the object is lent to.
        self.pristine = {name: _live(value, self.env.data) or value for name, value in vars(self.env).items()}

    def _bring_to_rest(self) -> np.ndarray:
        """The arm at its start and the objects settled, all but the last of upstream's 50 hand steps simulated."""
        mujoco.mj_resetData(self.model, self.env.data)
        type(self.env)._reset_hand(self.env, 49)
        rest = np.empty(mujoco.mj_stateSize(self.model, STATE))
        mujoco.mj_getState(self.model, self.env.data, rest, STATE)
        return rest

    def reset(
        self, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator, *, rests_alike: bool
    ) -> tuple[np.ndarray, Episode]:
        """Start an episode in a world; returns upstream's first observation (39,) and the episode's attributes.

        Upstream's `reset` runs `reset_model` twice: the first run draws and places this episode's objects, the second
        simulates the hand's way to its start among them. So does this, with what is the same each time taken from
        `_rest`: where the objects' places do not matter for it, only the last hand step is simulated.
        """
        env = self._enter(model, data, {})
        model.body_pos[:], model.site_pos[:] = self._body_pos, self._site_pos
        env._freeze_rand_vec, env._np_random = False, rng
        env._reset_hand = lambda steps=50: self._hand_from_rest(steps=0)
        env.reset_model()
        env._freeze_rand_vec = True
        mujoco.mj_resetData(model, data)
        if rests_alike:
            env._reset_hand = lambda steps=50: self._hand_from_rest(steps=1)
        else:
            env._reset_hand = lambda steps=50: type(env)._reset_hand(env, steps)
        observation = np.array(env.reset_model(), dtype=np.float64)
        env._prev_obs = observation[:18].copy()
        observation[18:36] = env._prev_obs
        mujoco.mj_kinematics(model, data)  # upstream leaves positions one substep behind
        return observation, self._leave(data)

    def _hand_from_rest(self, steps: int) -> None:
        mujoco.mj_setState(self.env.model, self.env.data, self._rest, STATE)
        mujoco.mj_kinematics(self.env.model, self.env.data)
        type(self.env)._reset_hand(self.env, steps)

    def evaluate(
        self,
        model: mujoco.MjModel,
        data: mujoco.MjData,
        episode: Episode,
        observation: np.ndarray,
        action: np.ndarray,
    ) -> tuple[float, dict[str, Any], Episode]:
        """Upstream's reward and info of a world after a step, and the episode's attributes as they are then."""
        env = self._enter(model, data, episode)
        reward, info = env.evaluate_state(observation, action)
        return float(reward), info, self._leave(data)

    def grasped(self, model: mujoco.MjModel, data: mujoco.MjData) -> bool:
        """Do both finger pads press on the task's main object?"""
        return bool(self._enter(model, data, {}).touching_main_object)

    def _enter(self, model: mujoco.MjModel, data: mujoco.MjData, episode: Episode) -> Any:
        attributes = vars(self.env)
        attributes.clear()
        for name, value in (self.pristine | episode).items():
            attributes[name] = getattr(data, value.field)[value.row] if isinstance(value, Live) else value
        attributes["model"], attributes["data"] = model, data
        return self.env

    def _leave(self, data: mujoco.MjData) -> Episode:
        episode: Episode = {}
        for name, value in vars(self.env).items():
            if name in self._own or value is self.pristine.get(name):
                continue
            episode[name] = _live(value, data) or (value.copy() if isinstance(value, np.ndarray) else value)
        return episode


def _live(value: object, data: mujoco.MjData) -> Live | None:
    if not isinstance(value, np.ndarray) or value.base is None:
        return None
    for field in _LIVE_FIELDS:
        whole = getattr(data, field)
        if np.may_share_memory(value, whole):
            start = value.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
            return Live(field, start // whole.strides[0])
    return None
