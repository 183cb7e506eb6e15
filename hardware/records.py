"""What the process that talks to an arm and the one that commands it tell each other: one record a tick, one a command.

A tick's record is also what is kept of every millisecond of an episode (hardware/recorded.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np

from hardware.arm import SHAPES, Command, Gripper, Mode, Observation, State

MODES: tuple[Mode, ...] = tuple(SHAPES)
STATES: tuple[State, ...] = get_args(State)
TEXT = 160  # bytes; longer texts are cut

TICK = np.dtype(
    [
        ("sequence", np.uint64),  # ticks of the arm since the connection
        ("time", float),  # [s] the arm's clock
        ("received", float),  # [s] the host's monotonic clock
        ("q", float, 7),
        ("dq", float, 7),
        ("q_commanded", float, 7),
        ("dq_sent", float, 7),  # [rad/s] after the guard; zero while nothing is sent
        ("torques", float, 7),
        ("external_torques", float, 7),
        ("external_wrench", float, 6),
        ("T_base_ee", float, (4, 4)),
        ("state", np.uint8),  # index into STATES
        ("errors", f"S{TEXT}"),  # names, joined by ","
        ("success_rate", float),
        ("limited", f"S{TEXT}"),  # names, joined by ","
        ("command", np.uint64),  # number of the newest command that was looked at
        ("refused", f"S{TEXT}"),  # why that one was not taken
        ("sent", float),  # [s] the host's monotonic clock when the answer was with the client
        ("following", bool),  # whether commands are followed now
        ("pending", bool),  # the arm still waits for what is sent in answer; the same tick comes again with that
        ("opening", float),  # [m] of the gripper as it was read last; NaN: unknown
        ("grasped", bool),
    ]
)

COMMAND = np.dtype(
    [
        ("number", np.uint64),
        ("mode", np.uint8),  # index into MODES
        ("values", float, 16),  # as many as the mode takes, row by row
        ("made", float),
        ("opening", float),  # NaN: leave the gripper alone
        ("source", "S32"),
    ]
)

ANSWER = np.dtype(
    [
        ("number", np.uint64),  # of the command
        ("dq", float, 7),  # [rad/s] what it comes to
        ("limited", f"S{TEXT}"),  # names, joined by ","
        ("refused", f"S{TEXT}"),
        ("sent", float),  # [s] the host's monotonic clock
    ]
)

GRIPPER = np.dtype([("opening", float), ("grasped", bool), ("received", float), ("largest", float)])


def last_ticks(path: Path, ticks: np.ndarray) -> None:
    """Write ticks (N,), of TICK, for whoever finds what a killed program has left; whole, or not at all."""
    part = path.with_suffix(".part")
    part.write_bytes(ticks.tobytes())
    part.replace(path)


def words(record: np.ndarray, name: str) -> str:
    """A field of text of a record ()."""
    found: bytes = record[name].item()
    return found.decode(errors="replace")


def names(record: np.ndarray, name: str) -> tuple[str, ...]:
    """The names in a field of a record ()."""
    text = words(record, name)
    return tuple(text.split(",")) if text else ()


def text(names: tuple[str, ...]) -> bytes:
    """Names as a field of a record."""
    return ",".join(names).encode()[:TEXT]


def pack_observation(observation: Observation, record: np.ndarray) -> None:
    """Write an observation into a record (), of TICK; the fields that tell of commands are left alone."""
    for name in ("sequence", "time", "received", "success_rate"):
        record[name] = getattr(observation, name)
    for name in ("q", "dq", "q_commanded", "torques", "external_torques", "external_wrench", "T_base_ee"):
        record[name] = getattr(observation, name)
    record["state"] = STATES.index(observation.state)
    record["errors"] = text(observation.errors)


def observation(record: np.ndarray, gripper: Gripper | None = None) -> Observation:
    """The observation in a record (), of TICK. Without a gripper, with the one in the record, if there is one."""
    if gripper is None and np.isfinite(record["opening"]):
        gripper = Gripper(float(record["opening"]), bool(record["grasped"]), float(record["received"]))
    return Observation(
        sequence=int(record["sequence"]),
        time=float(record["time"]),
        received=float(record["received"]),
        q=record["q"].copy(),
        dq=record["dq"].copy(),
        q_commanded=record["q_commanded"].copy(),
        torques=record["torques"].copy(),
        external_torques=record["external_torques"].copy(),
        external_wrench=record["external_wrench"].copy(),
        T_base_ee=record["T_base_ee"].copy(),
        state=STATES[int(record["state"])],
        errors=names(record, "errors"),
        success_rate=float(record["success_rate"]),
        gripper=gripper,
    )


def pack_command(command: Command, number: int) -> np.ndarray:
    """A command as a record (), of COMMAND."""
    record = np.zeros((), COMMAND)
    values = np.ravel(np.asarray(command.values, float))
    record["number"], record["mode"], record["made"] = number, MODES.index(command.mode), command.made
    record["values"][: values.size] = values
    record["opening"] = np.nan if command.opening is None else command.opening
    record["source"] = command.source.encode()[:32]
    return record


def command(record: np.ndarray) -> Command:
    """The command in a record (), of COMMAND."""
    mode = MODES[int(record["mode"])]
    values = record["values"][: int(np.prod(SHAPES[mode]))].reshape(SHAPES[mode]).copy()
    opening = float(record["opening"])
    return Command(mode, values, float(record["made"]), None if np.isnan(opening) else opening, words(record, "source"))
