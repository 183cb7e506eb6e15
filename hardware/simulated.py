"""A simulated arm: the same guard at the same 1 kHz as a real one's, around a MuJoCo world that the caller owns.

Time passes only inside `wait` (and while `stop` brakes), so that nothing depends on how fast this computer is. All
times, the host's clock included, are the simulated clock, `now()`: a command's `made` is an observation's `received`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import mujoco
import numpy as np

from hardware.arm import SHAPES, Applied, ArmError, ArmSpec, Command, Gripper, Observation, State, Stop
from hardware.guard import Filter, Guard
from hardware.limits import Envelope
from hardware.records import TICK, pack_observation, text
from hardware.recovery import COMMUNICATION, NO_COMMAND, Recovery
from hardware.simulated_body import Body
from robot_learn.errors import UserError
from robot_learn.franka import parameters

_MOST_LOST = 20  # commands lost in a row, until the arm stops by itself
_GRIPPER_PERIOD = 0.02  # [s] between two readings of the gripper
_KEPT = 4096  # ticks


@dataclass
class Faults:
    """What goes wrong, on order; may be changed at any time."""

    observation_delay: float = 0.0  # [s] until an observation reaches whoever commands
    command_delay: float = 0.0  # [s] until a command reaches the guard
    lost: Callable[[int], bool] | None = None  # whether what the guard sends at a tick is lost on its way to the arm
    on_tick: Callable[[int], None] | None = None  # called before each tick, with its number; may push the arm


class SimulatedArm:
    """An `Arm` in a MuJoCo world.

    Args:
        model: with an arm as `Body` wants it; stepped at 1 ms or a whole part of it.
        data: its state; the arm stands where it stands there.
        name: "fr3" or "fer".
        filter: a learned filter, as `Guard` takes it.
        needs_heartbeat: hold the arm unless `beat` is called every so often.

    Raises:
        UserError: no such arm, a model without it, an envelope looser than what is published.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        data: mujoco.MjData,
        *,
        name: str = "fr3",
        envelope: Envelope | None = None,
        filter: Filter | None = None,
        needs_heartbeat: bool = False,
        faults: Faults | None = None,
    ) -> None:
        self.envelope, self.faults = envelope or Envelope(), faults or Faults()
        known = parameters(name)
        tick = 0.001
        self.guard = Guard(known, self.envelope, tick=tick, filter=filter, needs_heartbeat=needs_heartbeat)
        self.body = Body(model, data, tick, self.envelope.grip_force)
        versions = (("mujoco", str(mujoco.__version__)),)
        self._spec = ArmSpec(name, known, tuple(SHAPES), tick, self.body.has_gripper, f"mujoco:{name}", versions)
        self._recovery = Recovery()
        self._state: State = "idle"
        self._errors: tuple[str, ...] = ()
        self._number, self._left = 0, 0.0  # ticks so far; [s] that `wait` still owes
        self._q, self._dq = self.body.q, np.zeros(7)  # the reference that the arm follows
        self._arrived = deque([True] * 100, maxlen=100)
        self._lost_in_row = 0
        self._coming: deque[tuple[float, Command]] = deque()  # commands on their way, and when they are there
        self._refused = ""
        self._limited: dict[str, None] = {}  # what limited since the last command, in order
        self._ended: ArmError | None = None  # why the motion ended, until somebody is told
        self._gripper: Gripper | None = self.body.gripper(0.0)
        self._ticks: deque[np.ndarray] = deque(maxlen=_KEPT)
        self._past = deque([self._look()], maxlen=_KEPT)

    @property
    def spec(self) -> ArmSpec:
        return self._spec

    def now(self) -> float:
        """The simulated clock [s], which is the arm's and the host's."""
        return self._number * self._spec.tick

    def beat(self) -> None:
        """The person who watches is there."""
        self.guard.beat(self.now())

    def start(self) -> None:
        if self._state != "idle" or self._errors:
            raise self._recovery.error(f"the arm cannot start, it is {self._state}", self._state, self._errors)
        self._q, self._dq = self.body.q, np.zeros(7)
        self._coming.clear()
        self._refused, self._ended = "", None
        self._past = deque([self._look()], maxlen=_KEPT)  # an idle arm's world may have been put elsewhere
        self.guard.start(self._past[-1], self.now())
        self._state = "moving"
        self._past[-1] = replace(self._past[-1], state="moving")

    def observe(self) -> Observation:
        delay = self.faults.observation_delay
        if delay <= 0.0:
            return self._past[-1]
        there = [seen for seen in self._past if seen.time + delay <= self.now() + 1e-9]
        newest = there[-1] if there else self._past[0]
        return replace(newest, received=newest.time + delay)

    def command(self, command: Command) -> Applied:
        self._tell()
        if self._state != "moving":
            raise ArmError("the arm follows no commands", recoverable=True, advice="start it first")
        if self.faults.command_delay > 0.0:
            self._coming.append((self.now() + self.faults.command_delay, command))
            refused, self._refused = self._refused, ""
        else:
            refused = self._take(command)
        dq, limited = self.guard.preview(self._past[-1])
        named = tuple(dict.fromkeys((*limited, *self._limited)))
        self._limited.clear()
        return Applied(dq, named, self.now(), refused, None if refused else command.opening)

    def wait(self, seconds: float) -> None:
        self._left += seconds
        for _ in range(round(self._left / self._spec.tick)):
            self._left -= self._spec.tick
            self._turn()

    def stop(self, kind: Stop = "soft") -> None:
        if self._state != "moving":
            return
        self._coming.clear()
        self.guard.release()
        if kind == "hard":
            self._hold()
            self._state = "idle"
        while self._state == "moving":
            self._turn()
        self._ended = None

    def recover(self, by_person: bool = False) -> None:
        if self._recovery.allow(self._state, self._errors, by_person):
            self._state, self._errors, self._ended = "idle", (), None
            self._past.append(self._look())
        if by_person:
            self.guard.acknowledge()

    def close(self) -> None:
        self.stop()
        self.body.close()

    def __enter__(self) -> SimulatedArm:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def ticks(self) -> np.ndarray:
        """All ticks (n,) of hardware.records.TICK since this was last called, or the newest 4096."""
        taken = np.array(list(self._ticks), dtype=TICK)
        self._ticks.clear()
        return taken

    def press_user_stop(self) -> None:
        """As if somebody pressed the external activation device."""
        self._by_itself("user_stopped", ())

    def release_user_stop(self) -> None:
        """Let go of that device again."""
        if self._state == "user_stopped":
            self._state = "idle"
            self._past.append(self._look())

    # A tick.

    def _turn(self) -> None:
        if self.faults.on_tick is not None:
            self.faults.on_tick(self._number)
        now = self.now()
        while self._coming and self._coming[0][0] <= now + 1e-9:
            self._refused = self._take(self._coming.popleft()[1]) if self._state == "moving" else ""
        sent = np.zeros(7)
        limited: tuple[str, ...] = ()
        if self._state == "moving":
            sent, limited = self.guard.tick(self._past[-1], now)
            self._limited.update(dict.fromkeys(limited))
            self._deliver(sent)
        self.body.step(self._q, self._dq)
        self._number += 1
        if self._state == "moving":
            self._collide()
        if self._state == "moving" and self.guard.finished:
            self._finish()
        if self._number % round(_GRIPPER_PERIOD / self._spec.tick) == 0:
            self._gripper = self.body.gripper(self.now())
        self._past.append(self._look())
        self._keep(sent, limited)

    def _deliver(self, sent: np.ndarray) -> None:
        """What was sent reaches the arm; or it is lost, and the arm goes on as it went, a few times."""
        lost = self.faults.lost is not None and self.faults.lost(self._number)
        self._arrived.append(not lost)
        self._lost_in_row = self._lost_in_row + 1 if lost else 0
        if not lost:
            self._dq = sent
        if self._lost_in_row >= _MOST_LOST:
            self._by_itself("reflex", (COMMUNICATION,))
        self._q = self._q + self._spec.tick * self._dq

    def _collide(self) -> None:
        """Stop where what the joints feel is over the thresholds."""
        if (np.abs(self.body.external_torques) > self.envelope.collision_torque).any():
            self._by_itself("reflex", ("joint_reflex",))
        elif (np.abs(self.body.external_wrench()) > self.envelope.collision_force).any():
            self._by_itself("reflex", ("cartesian_reflex",))

    def _by_itself(self, state: State, errors: tuple[str, ...]) -> None:
        """The arm stops, whatever it was told."""
        self._hold()
        self._state, self._errors = state, errors
        self._ended = self._recovery.error("the arm has stopped by itself", state, errors)
        self._past.append(self._look())
        self.guard.tick(self._past[-1], self.now())  # which counts it

    def _hold(self) -> None:
        self._q, self._dq = self.body.q, np.zeros(7)

    def _finish(self) -> None:
        """The guard ended the motion."""
        self._state, self._dq = "idle", np.zeros(7)
        late = f"no command came for {self.envelope.finish_after:g} periods, so the motion was ended"
        self._ended = ArmError(late, (NO_COMMAND,), recoverable=True, advice="start again")

    def _tell(self) -> None:
        if self._ended is not None:
            ended = self._ended
            if self._state == "idle":
                self._ended = None
            raise ended

    def _take(self, command: Command) -> str:
        refused = self.guard.accept(command, self._past[-1], self.now())
        if not refused and command.opening is not None:
            self.body.grip(command.opening)
        return refused

    def _look(self) -> Observation:
        now = self.now()
        body = self.body
        return Observation(
            sequence=self._number,
            time=now,
            received=now,
            q=body.q,
            dq=body.dq,
            q_commanded=self._q,
            torques=body.torques,
            external_torques=body.external_torques,
            external_wrench=body.external_wrench(),
            T_base_ee=body.T_base_ee(),
            state=self._state,
            errors=self._errors,
            success_rate=sum(self._arrived) / len(self._arrived),
            gripper=self._gripper,
        )

    def _keep(self, sent: np.ndarray, limited: tuple[str, ...]) -> None:
        record = np.zeros((), TICK)
        pack_observation(self._past[-1], record)
        record["dq_sent"], record["limited"], record["refused"] = sent, text(limited), self._refused.encode()
        record["sent"], record["following"] = self.now(), self._state == "moving"
        record["opening"] = np.nan if self._gripper is None else self._gripper.opening
        record["grasped"] = self._gripper is not None and self._gripper.grasped
        self._ticks.append(record)


def connect(
    rest: str,
    *,
    model: mujoco.MjModel | None = None,
    data: mujoco.MjData | None = None,
    envelope: Envelope | None = None,
    learned_filter: Filter | None = None,
    needs_heartbeat: bool = False,
    faults: Faults | None = None,
) -> SimulatedArm:
    """The arm at `mujoco:fr3` or `mujoco:fer`.

    Args:
        rest: the arm's name.
        model: a world with that arm; hardware builds none itself.
        data: its state; without, the world is as the model begins.

    Raises:
        UserError: no model, no such arm, or a setting that is wrong.
    """
    if model is None:
        raise UserError("mujoco: wanted the setting model, a MuJoCo world with the arm in it")
    if data is None:
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
    return SimulatedArm(
        model,
        data,
        name=rest.strip("/") or "fr3",
        envelope=envelope,
        filter=learned_filter,
        needs_heartbeat=needs_heartbeat,
        faults=faults,
    )
