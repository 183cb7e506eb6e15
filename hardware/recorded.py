"""Every millisecond of an episode in one file, and an arm that plays such a file back: "recording:FILE".

The file is numpy's .npz with one array a name, time first: the fields of `hardware.records.TICK` that `FIELDS` lists,
`limited` as bits and `limited_names` with the name of each bit, `state` as indices into `state_names`. The player shows
the observations as they came and sets beside each command what was sent then: for looking into what happened, and for
tests of everything above an arm.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hardware.arm import Applied, ArmError, ArmSpec, Command, Observation, Stop
from hardware.records import MODES, STATES, TICK, names, observation
from hardware.recovery import Recovery
from robot_learn.errors import UserError
from robot_learn.franka import parameters

FIELDS = (
    "sequence",
    "time",  # [s] the arm's clock
    "q",  # (N, 7) [rad]
    "dq",  # (N, 7) [rad/s]
    "q_commanded",  # (N, 7) [rad]
    "dq_sent",  # (N, 7) [rad/s] after the guard
    "torques",  # (N, 7) [Nm]
    "external_torques",  # (N, 7) [Nm]
    "external_wrench",  # (N, 6) [N, Nm]
    "T_base_ee",  # (N, 4, 4)
    "success_rate",
    "errors",  # texts, names joined by ","
    "opening",  # [m] of the gripper as it was read last; NaN: unknown
    "grasped",
)
_BESIDE = ("state", "state_names", "limited", "limited_names", "arm")


def save(path: Path, ticks: np.ndarray, arm: str) -> None:
    """Write records (N,) of TICK, as `ClientArm.ticks` gives them, of an arm ("fr3")."""
    fields = {field: field.decode().split(",") for field in np.unique(ticks["limited"]).tolist() if field}
    seen = sorted({name for found in fields.values() for name in found})
    bits = np.zeros(len(ticks), np.uint64)
    for field, found in fields.items():
        bits[ticks["limited"] == field] = sum(1 << seen.index(name) for name in set(found))
    columns: dict[str, Any] = {name: ticks[name] for name in FIELDS}
    columns |= {"state": ticks["state"], "state_names": np.array(STATES), "arm": np.array(arm)}
    columns |= {"limited": bits, "limited_names": np.array(seen, dtype=str)}
    partial = path.with_name(path.name + ".part")
    with partial.open("wb") as file:
        np.savez_compressed(file, **columns)
    partial.replace(path)


def load(path: Path) -> tuple[np.ndarray, str]:
    """The records (N,) of TICK of a file, and which arm they are of.

    Raises:
        UserError: no such file, none of ours, or nothing in it.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            columns = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: no recording of an arm: {error}") from error
    missing = [name for name in (*FIELDS, *_BESIDE) if name not in columns]
    if missing:
        raise UserError(f"{path}: no recording of an arm: it has no {', '.join(missing)}")
    count = len(columns["time"])
    if count == 0:
        raise UserError(f"{path}: a recording of no ticks")
    ticks = np.zeros(count, TICK)
    for name in FIELDS:
        if columns[name].shape != ticks[name].shape:
            raise UserError(f"{path}: {name}: wanted {ticks[name].shape}, came {columns[name].shape}")
        ticks[name] = columns[name]
    listed = [str(name) for name in columns["limited_names"]]
    for mask in np.unique(columns["limited"]):
        text = ",".join(name for bit, name in enumerate(listed) if int(mask) >> bit & 1).encode()
        ticks["limited"][columns["limited"] == mask] = text
    states = [
        STATES.index(str(name)) if str(name) in STATES else STATES.index("other") for name in columns["state_names"]
    ]
    ticks["state"] = np.array(states, np.uint8)[columns["state"]]
    return ticks, str(columns["arm"])


@dataclass(frozen=True, eq=False)
class Compared:
    """A command to the player, beside what was sent in the recording by the end of the time that it was for."""

    time: float  # [s] the arm's clock when the command came
    command: Command
    sent: np.ndarray  # (7,) [rad/s]

    @property
    def difference(self) -> float:
        """Largest difference of a joint's velocity [rad/s]; NaN when the command was none of joint velocities."""
        if self.command.mode != "joint_velocity":
            return float("nan")
        return float(np.abs(self.command.values - self.sent).max())


class RecordedArm:
    """An `Arm` that does what it did. Its clock goes on in `wait` only."""

    def __init__(self, ticks: np.ndarray, arm: str, address: str = "") -> None:
        self._records, self._at, self._following = ticks, 0, False
        self._begun = time.monotonic() - float(ticks["time"][0])
        self._pending: Command | None = None
        self.compared: list[Compared] = []
        gripper = bool(np.isfinite(ticks["opening"]).any())
        self._spec = ArmSpec(arm, parameters(arm), MODES, gripper=gripper, address=address)

    @property
    def spec(self) -> ArmSpec:
        return self._spec

    def start(self) -> None:
        now = self.observe()
        if now.state not in ("idle", "moving"):
            raise Recovery().error(f"the arm cannot start, it is {now.state}", now.state, now.errors)
        self._following = True

    def observe(self) -> Observation:
        record = self._records[self._at].copy()
        record["received"] = self._begun + record["time"]
        return observation(record)

    def command(self, command: Command) -> Applied:
        if not self._following:
            raise ArmError("the arm follows no commands", advice="start it first")
        now, record = self.observe(), self._records[self._at]
        if now.state in ("reflex", "user_stopped"):
            self._following = False
            raise Recovery().error("the arm has stopped by itself", now.state, now.errors)
        self._pending = command
        return Applied(record["dq_sent"].copy(), names(record, "limited"), now.received)

    def wait(self, seconds: float) -> None:
        """Go on by so much of the recording. Raises ArmError: it has ended."""
        began = float(self._records["time"][self._at])
        until = began + seconds
        last = len(self._records) - 1
        self._at = min(int(np.searchsorted(self._records["time"], until - self._spec.tick / 2)), last)
        if self._pending is not None:
            sent = self._records["dq_sent"][self._at].copy()
            self.compared.append(Compared(began, self._pending, sent))
            self._pending = None
        if self._records["time"][last] < until - self._spec.tick / 2:
            length = float(self._records["time"][last] - self._records["time"][0])
            raise ArmError(f"the recording has ended after {length:.3f} s")

    def stop(self, kind: Stop = "soft") -> None:
        self._following = False

    def recover(self, by_person: bool = False) -> None:
        now = self.observe()
        if Recovery().allow(now.state, now.errors, by_person):
            raise ArmError("a recording cannot be recovered; it goes on as it did", now.errors)

    def close(self) -> None:
        self._following = False

    def __enter__(self) -> RecordedArm:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


def connect(rest: str) -> RecordedArm:
    """The recording in file `rest`."""
    ticks, arm = load(Path(rest))
    return RecordedArm(ticks, arm, f"recording:{rest}")
