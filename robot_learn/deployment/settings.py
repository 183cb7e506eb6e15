"""What may be asked of a session on an arm: the options of `robot-learn deploy`, without anything that does them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from robot_learn.cli.output import OptionalFloat, OptionalInt, OptionalPath, OptionalText


@dataclass(frozen=True)
class Settings:
    """One session, with the names and the words that its command shows."""

    run_folder: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="RUN", help_behavior_hint="")] = None
    """The folder of a run of a Franka task, or script:TASK for the task's hand-written controller."""
    arm: str = "mujoco:fr3"
    """Which arm: franky://HOST, fci://HOST or panda://HOST, mujoco:fr3 in simulation, recording:FILE to look again."""
    fake: bool = False
    """At the arm's address start a fake controller in the task's world, e.g. with --arm fci://127.0.0.1."""
    faults: OptionalPath = None
    """With --fake: a JSON file of what goes wrong, and when."""
    episodes: OptionalInt = None
    """How many (1; in simulation 50, from seeds that training never saw)."""
    speed: float = 1.0
    """Share of the speed of simulation, e.g. 0.3."""
    steps: OptionalInt = None
    """Of an episode at most; by default the task's own, longer as the speed is lower."""
    dry_run: bool = False
    """Do everything but send: the arm does not move."""
    go_to_start: bool = False
    """Move slowly to where episodes begin, instead of refusing to start elsewhere."""
    tolerance: float = 0.15
    """How far each joint may be from there [rad]."""
    hand: OptionalText = None
    """What a person holds, as dead-man switch and to take over: keyboard, gamepad, spacemouse, socket; none: nobody."""
    no_predict: bool = False
    """Show the policy what was measured, not what is ahead by the latency."""
    transport: float = 0.0
    """Latency that no clock here sees [s], from the arm's sensors to this computer and back; it is predicted over."""
    first: OptionalInt = None
    """Of a policy's chunks of actions play so many, then ask again; by default the whole chunk."""
    ensemble: OptionalFloat = None
    """Ask at each step and average all chunks by exp(-DECAY i), the oldest first, e.g. 0.01."""
    envelope: OptionalPath = None
    """The safety envelope, a TOML or JSON file."""
    filter: OptionalPath = None
    """A constraint that was learned of the system franka-joints (robot-learn correct): a filter keeps to it."""
    correct: bool = False
    """Learn from the person's pushes and stops what is unsafe; the session's folder gets a constraint for --filter."""
    camera: OptionalPath = None
    """A file that describes a camera and what it finds things by; it sees where the task's things are."""
    objects: OptionalPath = None
    """A JSON file of poses of the task's things, measured by hand, from the arm's base."""
    recover: bool = False
    """Somebody has looked at the arm: clear its errors before the first episode."""
    images: OptionalInt = None
    """Also record a picture of each step, of so many pixels square, where there is a camera."""
    seed: int = 0
    """Of simulated starts."""
    out: Path = Path("deployments")
    """Where session folders are made."""
    dataset: OptionalText = None
    """Name of the dataset that episodes join; by default TASK/deployed."""
    root: OptionalPath = None
    """Where datasets lie; by default ROBOT_LEARN_DATA or ./datasets."""
    no_record: bool = False
    """Keep nothing."""
