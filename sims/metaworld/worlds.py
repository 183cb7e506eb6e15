"""Meta-World, many worlds at once, equal to the upstream environment step for step."""

from __future__ import annotations

import copy
import queue
from collections.abc import Sequence
from typing import Any

import gymnasium
import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from robot_learn.types import Task
from sims.env import Values
from sims.metaworld.sources import Dial, Joint, Point, Quat, Source
from sims.metaworld.tasks import Spec
from sims.metaworld.upstream import Live, Loan
from sims.mujoco_worlds import MujocoWorlds
from sims.rendering import Renderer, camera

FRAME_SKIP = 5  # substeps of 2.5 ms
ACTION_SCALE = 1.0 / 100  # [m] that the hand's target moves for an action of 1
_MOCAP_QUAT = np.array([1.0, 0.0, 1.0, 0.0])
_ROBOT = ("hand", "leftclaw", "rightclaw")


class MetaWorldWorlds:
    """Worlds of one task; see `sims.env.Worlds`. One model a world, since a reset moves bodies."""

    def __init__(
        self, name: str, task: Task, spec: Spec, fields: dict[str, Source], num_worlds: int, threads: int | None
    ) -> None:
        loan = Loan(name)
        self.task, self.spec, self.num_worlds, self._name = task, spec, num_worlds, name
        self.observation_space: gymnasium.spaces.Box = loan.observation_space
        self.action_space: gymnasium.spaces.Box = loan.env.action_space
        self._engine = MujocoWorlds([copy.deepcopy(loan.model) for _ in range(num_worlds)], threads=threads)
        self._loans: queue.SimpleQueue[Loan] = queue.SimpleQueue()
        for spare in (loan, *(Loan(name) for _ in range(self._engine.threads - 1))):
            self._loans.put(spare)
        self._mocap_low, self._mocap_high = loan.env.mocap_low, loan.env.mocap_high
        self._fields = fields
        self._ids = {body: loan.model.body(body).id for body in _ROBOT}
        self._episodes: list[dict[str, Any]] = [{} for _ in range(num_worlds)]
        self._observations = np.zeros((num_worlds, 39))
        self._previous = np.zeros((num_worlds, 18))
        self.target = np.zeros((num_worlds, 3))
        self._gathered: dict[str, np.ndarray] = {}
        self._renderers: dict[tuple[int, int], Renderer] = {}

    # Episodes

    def reset(self, indices: Sequence[int], rngs: Sequence[np.random.Generator]) -> None:
        rng_of = dict(zip(indices, rngs, strict=True))

        def start(chunk: Sequence[int]) -> None:
            loan = self._loans.get()
            try:
                for index in chunk:
                    model, data = self._engine.models[index], self._engine.datas[index]
                    observation, episode = loan.reset(
                        model, data, rng_of[index], rests_alike=self.spec.rests_alike
                    )
                    self._episodes[index], self._observations[index] = episode, observation
            finally:
                self._loans.put(loan)

        self._engine.run_some(start, list(indices))
        chosen = list(indices)
        self._previous[chosen] = self._observations[chosen, :18]
        self._gathered.clear()
        self._read_targets()

    def step(self, actions: np.ndarray) -> None:
        # The action's own precision is kept here, as upstream does: a float32 action moves the hand by a float32.
        displacement = np.clip(actions[:, :3], -1, 1) * ACTION_SCALE
        positions, quats = self._engine.views("mocap_pos"), self._engine.views("mocap_quat")
        controls = self._engine.views("ctrl")
        targets = np.clip(self._engine.gather("mocap_pos")[:, 0] + displacement, self._mocap_low, self._mocap_high)
        models, datas = self._engine.models, self._engine.datas

        def advance(chunk: Sequence[int]) -> None:
            for index in chunk:
                positions[index][0] = targets[index]
                quats[index][0] = _MOCAP_QUAT
                controls[index][:] = actions[index, 3], -actions[index, 3]
                mujoco.mj_step(models[index], datas[index], FRAME_SKIP)
                mujoco.mj_forward(models[index], datas[index])

        self._engine.run(advance)
        self._gathered.clear()
        self._read_targets()
        self._observe_step()

    def _read_targets(self) -> None:
        for index, episode in enumerate(self._episodes):
            target = episode["_target_pos"]
            if isinstance(target, Live):
                target = self._engine.views(target.field)[index][target.row]
            self.target[index] = target

    def _observe_step(self) -> None:
        left, right = (self._gather("xpos")[:, self._ids[claw]] for claw in ("leftclaw", "rightclaw"))
        opening = np.clip(np.linalg.norm(right - left, axis=-1) / 0.1, 0.0, 1.0)
        now = np.zeros((self.num_worlds, 18))
        now[:, :3], now[:, 3] = self._gather("xpos")[:, self._ids["hand"]], opening
        for slot, (point, quat) in enumerate(zip(self.spec.objects, self.spec.orientations, strict=True)):
            now[:, 4 + 7 * slot : 7 + 7 * slot], now[:, 7 + 7 * slot : 11 + 7 * slot] = self.at(point), self.at(quat)
        whole = np.concatenate([now, self._previous, self.target], axis=1)
        self._observations = np.clip(whole, self.observation_space.low, self.observation_space.high)
        self._previous = now

    # What the batch environment asks

    def observe(self) -> np.ndarray:
        return self._observations.copy()

    def read(self) -> Values:
        values = {name: self.at(source) for name, source in self._fields.items()}
        values["robot.fingertip_position"] = self.fingertips()
        left, right = (self._gather("xpos")[:, self._ids[claw]] for claw in ("leftclaw", "rightclaw"))
        values["robot.gripper_opening"] = np.linalg.norm(right - left, axis=-1)
        values["goal.position"] = self.target.copy()
        return values

    def success(self) -> np.ndarray:
        return np.asarray(self.spec.success(self), dtype=bool)

    def terminated(self) -> np.ndarray:
        return np.zeros(self.num_worlds, dtype=bool)

    def expert_reward(self, actions: np.ndarray) -> np.ndarray:
        from sims.metaworld.expert import BATCHED

        if self._name in BATCHED:
            return BATCHED[self._name](self, self._observations, actions)
        return self.upstream_reward(actions)

    def upstream_reward(self, actions: np.ndarray) -> np.ndarray:
        """The reward (N,) by upstream's own code, world after world."""
        rewards = np.zeros(self.num_worlds)
        loan = self._loans.get()
        try:
            for index in range(self.num_worlds):
                rewards[index], _, self._episodes[index] = loan.evaluate(
                    self._engine.models[index],
                    self._engine.datas[index],
                    self._episodes[index],
                    self._observations[index],
                    actions[index],
                )
        finally:
            self._loans.put(loan)
        return rewards

    # What a measure of success or a batched reward asks

    def observed(self, index: int = 0) -> np.ndarray:
        return self.at(self.spec.objects[index])

    def at(self, source: Source) -> np.ndarray:
        """Any source, for all worlds: (N, 3), (N, 4) or (N,)."""
        model = self._engine.models[0]
        if isinstance(source, Dial):
            angle = self.at(Joint("knob_Joint_1"))
            rim = np.stack([np.sin(angle), -np.cos(angle), np.zeros_like(angle)], axis=-1)
            return self.at(Point("body", "dial")) + rim * 0.05
        if isinstance(source, Joint):
            joint = model.joint(source.name).id if source.name else model.body(source.of).jntadr[0]
            return source.sign * self._gather("qpos")[:, model.jnt_qposadr[joint]]
        if isinstance(source, Quat):
            return self._quat(source)
        array, row = self._row(source.kind, source.name, "pos")
        return array[:, row] if source.offset is None else array[:, row] + np.array(source.offset)

    def _quat(self, source: Quat) -> np.ndarray:
        if source.kind in ("zeros", "identity"):
            constant = [0.0 if source.kind == "zeros" else 1.0, 0.0, 0.0, 0.0]
            return np.tile(constant, (self.num_worlds, 1))
        if not source.xyzw:
            return self._gather("xquat")[:, self._engine.models[0].body(source.name).id]
        array, row = self._row(source.kind, source.name, "mat")
        quats: np.ndarray = Rotation.from_matrix(array[:, row].reshape(-1, 3, 3)).as_quat()
        return quats

    def _row(self, kind: str, name: str, what: str) -> tuple[np.ndarray, int]:
        prefix = {"body": "x", "site": "site_x", "geom": "geom_x"}[kind]
        return self._gather(prefix + what), int(getattr(self._engine.models[0], kind)(name).id)

    def fingertips(self) -> np.ndarray:
        return (self.at(Point("site", "rightEndEffector")) + self.at(Point("site", "leftEndEffector"))) / 2.0

    def start(self, name: str) -> np.ndarray:
        """(N, ...): an attribute of the upstream environment; a view of the simulation shows what it shows now."""
        return np.array([
            self._engine.views(value.field)[index][value.row] if isinstance(value, Live) else value
            for index, value in enumerate(episode[name] for episode in self._episodes)
        ])  # fmt: skip

    def grasped(self, rows: np.ndarray) -> np.ndarray:
        found = np.zeros(self.num_worlds, dtype=bool)
        if rows.any():
            loan = self._loans.get()
            for index in np.flatnonzero(rows):
                found[index] = loan.grasped(self._engine.models[index], self._engine.datas[index])
            self._loans.put(loan)
        return found

    def _gather(self, name: str) -> np.ndarray:
        if name not in self._gathered:
            self._gathered[name] = self._engine.gather(name)
        return self._gathered[name]

    # Snapshots and pictures

    def snapshot(self, index: int) -> Any:
        model = self._engine.models[index]
        placed = (model.body_pos.copy(), model.site_pos.copy())
        kept = (copy.deepcopy(self._episodes[index]), self._observations[index].copy(), self._previous[index].copy())
        return self._engine.get_state(index), placed, kept

    def restore(self, index: int, snapshot: Any) -> None:
        state, placed, kept = snapshot
        model = self._engine.models[index]
        model.body_pos[:], model.site_pos[:] = placed
        self._engine.set_state(index, state)
        self._episodes[index] = copy.deepcopy(kept[0])
        self._observations[index], self._previous[index] = kept[1:]
        self._gathered.clear()
        self._read_targets()

    def render(self, index: int, width: int, height: int) -> np.ndarray:
        if (width, height) not in self._renderers:
            self._renderers[width, height] = Renderer(self._engine.models[0], width, height)
        view = camera((0.0, 0.68, 0.12), 1.35, 145, -28)
        return self._renderers[width, height].render(self._engine.datas[index], view)

    def close(self) -> None:
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()
        self._engine.close()
