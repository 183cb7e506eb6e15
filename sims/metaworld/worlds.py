"""Meta-World, many worlds at once, equal to the upstream environment step for step."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from robot_learn.types import Task
from sims.env import Values
from sims.metaworld.expert import BATCHED
from sims.metaworld.sources import Dial, Joint, Point, Quat, Source
from sims.metaworld.tasks import Spec
from sims.metaworld.upstream import Episode, Live, Loan
from sims.mujoco_worlds import MujocoWorlds, thread_count
from sims.rendering import Camera

FRAME_SKIP = 5  # substeps of 2.5 ms
ACTION_SCALE = 1.0 / 100  # [m] that the hand's target moves for an action of 1
_MOCAP_QUAT = np.array([1.0, 0.0, 1.0, 0.0])
_PREFIX = {"body": "x", "site": "site_x", "geom": "geom_x"}  # of positions and matrices in MuJoCo's data
CAMERAS = {
    "corner": Camera((0.0, 0.68, 0.12), 1.35, 145, -28),
    "front": Camera((0.0, 0.65, 0.12), 1.3, -90, -25),
    "side": Camera((0.0, 0.65, 0.12), 1.3, 180, -20),
}
_ROBOT = ("hand", "leftclaw", "rightclaw")


class MetaWorldWorlds:
    """Worlds of one task; see `sims.env.Worlds`. A reset moves bodies, so worlds differ in places."""

    def __init__(
        self, name: str, task: Task, spec: Spec, fields: dict[str, Source], num_worlds: int, threads: int | None
    ) -> None:
        self._loans = [Loan(name) for _ in range(thread_count(num_worlds, threads))]  # one a seat, with its model
        loan = self._loans[0]
        self.task, self.spec, self.num_worlds, self._name = task, spec, num_worlds, name
        self.observation_space: gymnasium.spaces.Box = loan.observation_space
        self.action_space: gymnasium.spaces.Box = loan.env.action_space
        turned = [f"{_PREFIX[quat.kind]}mat" for quat in spec.orientations if quat.xyzw]
        kept = sorted({*turned, "qpos", "mocap_pos", "xpos", "xquat", "site_xpos", "geom_xpos"})
        models = [lent.model for lent in self._loans]
        self.cameras = tuple(CAMERAS)
        self._engine = MujocoWorlds(models, num_worlds, kept=kept, placed=("body_pos", "site_pos"))
        self._warm_starts = np.zeros((num_worlds, loan.model.nv))  # of the last forces that were computed
        self._mocap_low, self._mocap_high = loan.env.mocap_low, loan.env.mocap_high
        self._fields = fields
        self._ids = {body: loan.model.body(body).id for body in _ROBOT}
        self._pristine = loan.pristine
        self._episodes: list[Episode] = [{} for _ in range(num_worlds)]
        self._started: dict[str, np.ndarray] = {}
        self._observations = np.zeros((num_worlds, 39))
        self._previous = np.zeros((num_worlds, 18))
        self.target = np.zeros((num_worlds, 3))

    # Episodes

    @property
    def settable(self) -> tuple[str, ...]:
        return self._engine.settable

    def set_parameters(self, index: int, factors: Mapping[str, float]) -> None:
        self._engine.set_parameters(index, factors)

    def reset(self, indices: Sequence[int], rngs: Sequence[np.random.Generator]) -> None:
        rng_of = dict(zip(indices, rngs, strict=True))

        def start(seat: int, index: int) -> None:
            model, data = self._engine.models[seat], self._engine.datas[seat]
            self._observations[index], self._episodes[index] = self._loans[seat].reset(
                model, data, rng_of[index], rests_alike=self.spec.rests_alike
            )

        chosen = list(indices)
        self._engine.run(start, chosen, places=True)
        self._previous[chosen] = self._observations[chosen, :18]
        self._forget()

    def step(self, actions: np.ndarray) -> None:
        # The action's own precision is kept here, as upstream does: a float32 action moves the hand by a float32.
        displacement = np.clip(actions[:, :3], -1, 1) * ACTION_SCALE
        targets = np.clip(self._engine.gather("mocap_pos")[:, 0] + displacement, self._mocap_low, self._mocap_high)
        controls = np.stack([actions[:, 3], -actions[:, 3]], axis=1)
        models, datas = self._engine.models, self._engine.datas
        inputs = [(data.mocap_pos[0], data.mocap_quat[0], data.ctrl, data.qacc_warmstart) for data in datas]

        def advance(seat: int, index: int) -> None:
            data = datas[seat]
            position, quat, control, warm_start = inputs[seat]
            position[:], quat[:], control[:] = targets[index], _MOCAP_QUAT, controls[index]
            mujoco.mj_step(models[seat], data, FRAME_SKIP)
            self._warm_starts[index] = warm_start
            # For positions `mj_kinematics` would do, but the solver's warm start, so the future, depends on this.
            mujoco.mj_forward(models[seat], data)

        self._engine.run(advance)
        self.target = self.start("_target_pos")
        self._observe_step()

    def _forget(self) -> None:
        """Episodes or places changed from outside: read everything anew."""
        self._started.clear()
        self.target = self.start("_target_pos")

    def _observe_step(self) -> None:
        left, right = (self._engine.gather("xpos")[:, self._ids[claw]] for claw in ("leftclaw", "rightclaw"))
        opening = np.clip(np.linalg.norm(right - left, axis=-1) / 0.1, 0.0, 1.0)
        now = np.zeros((self.num_worlds, 18))
        now[:, :3], now[:, 3] = self._engine.gather("xpos")[:, self._ids["hand"]], opening
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
        left, right = (self._engine.gather("xpos")[:, self._ids[claw]] for claw in ("leftclaw", "rightclaw"))
        values["robot.gripper_opening"] = np.linalg.norm(right - left, axis=-1)
        values["goal.position"] = self.target.copy()
        return values

    def success(self) -> np.ndarray:
        return np.asarray(self.spec.success(self), dtype=bool)

    def terminated(self) -> np.ndarray:
        return np.zeros(self.num_worlds, dtype=bool)

    def expert_reward(self, actions: np.ndarray) -> np.ndarray:
        if self._name in BATCHED:
            return BATCHED[self._name](self, self._observations, actions)
        return self.upstream_reward(actions)

    def upstream_reward(self, actions: np.ndarray) -> np.ndarray:
        """The reward (N,) by upstream's own code, world after world."""
        rewards = np.zeros(self.num_worlds)
        for index in range(self.num_worlds):
            rewards[index], _, self._episodes[index] = self._loans[0].evaluate(
                *self._present(index), self._episodes[index], self._observations[index], actions[index]
            )
        self._started.clear()
        return rewards

    def _present(self, index: int) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """A world on the first seat with its contacts and forces exactly as the last step computed them."""
        model, data = self._engine.models[0], self._engine.datas[0]
        self._engine.load(0, index)
        data.qacc_warmstart[:] = self._warm_starts[index]
        mujoco.mj_forward(model, data)
        return model, data

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
            return source.sign * self._engine.gather("qpos")[:, model.jnt_qposadr[joint]]
        if isinstance(source, Quat):
            return self._quat(source)
        array, row = self._row(source.kind, source.name, "pos")
        return array[:, row] if source.offset is None else array[:, row] + np.array(source.offset)

    def _quat(self, source: Quat) -> np.ndarray:
        if source.kind in ("zeros", "identity"):
            constant = [0.0 if source.kind == "zeros" else 1.0, 0.0, 0.0, 0.0]
            return np.tile(constant, (self.num_worlds, 1))
        if not source.xyzw:
            return self._engine.gather("xquat")[:, self._engine.models[0].body(source.name).id]
        array, row = self._row(source.kind, source.name, "mat")
        quats: np.ndarray = Rotation.from_matrix(array[:, row].reshape(-1, 3, 3)).as_quat()
        return quats

    def _row(self, kind: str, name: str, what: str) -> tuple[np.ndarray, int]:
        return self._engine.gather(_PREFIX[kind] + what), int(getattr(self._engine.models[0], kind)(name).id)

    def fingertips(self) -> np.ndarray:
        right, left = self.at(Point("site", "rightEndEffector")), self.at(Point("site", "leftEndEffector"))
        return np.asarray((right + left) / 2.0)

    def start(self, name: str) -> np.ndarray:
        """(N, ...): an attribute of the upstream environment; a view of the simulation shows what it shows now."""
        if name not in self._started:
            kept = [episode if name in episode else self._pristine for episode in self._episodes]
            first = kept[0][name]
            if isinstance(first, Live):  # then it is so in every world, all of which went through the same code
                return self._engine.gather(first.field)[:, first.row]
            self._started[name] = np.array([attributes[name] for attributes in kept])
        return self._started[name]

    def grasped(self, rows: np.ndarray) -> np.ndarray:
        found = np.zeros(self.num_worlds, dtype=bool)
        for index in np.flatnonzero(rows):
            found[index] = self._loans[0].grasped(*self._present(int(index)))
        return found

    # Snapshots and pictures

    def snapshot(self, index: int) -> Any:
        rows = [of[index].copy() for of in (self._observations, self._previous, self._warm_starts)]
        return self._engine.snapshot(index), copy.deepcopy(self._episodes[index]), rows

    def restore(self, index: int, snapshot: Any) -> None:
        world, episode, rows = snapshot
        self._engine.restore(index, world)
        self._episodes[index] = copy.deepcopy(episode)
        self._observations[index], self._previous[index], self._warm_starts[index] = rows
        self._forget()

    def render(self, index: int, width: int, height: int, camera: str | None = None) -> np.ndarray:
        return self._engine.picture(index, CAMERAS[camera or self.cameras[0]], width, height)

    def pictures(
        self, width: int, height: int, camera: str | None = None, indices: Sequence[int] | None = None
    ) -> np.ndarray:
        return self._engine.pictures(CAMERAS[camera or self.cameras[0]], width, height, indices)

    def close(self) -> None:
        self._engine.close()
