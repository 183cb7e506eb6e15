"""What the page of an arm can be opened with, and what that means for the session on the arm."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from hardware import ARMS
from robot_learn.deployment.assemble import HAND, SCRIPT
from robot_learn.deployment.episodes import OUTCOME, TICKS
from robot_learn.deployment.places import REAL, split
from robot_learn.deployment.settings import Settings
from robot_learn.errors import UserError, unknown
from robot_learn.franka import parameters
from robot_learn.runs import POLICY, Run
from robot_learn.session.activity import Offer, Place
from robot_learn.session.drive.replay import RECORDING
from sims import franka

SIMULATED = "mujoco:fr3"
TASK = "franka/reach"
PATIENT = 6  # episodes with a person may take so many times as long as those of training


def settings_of(what: str, place: Place) -> Settings:
    """What is asked of the session on the arm.

    Raises:
        UserError: an unknown kind of arm, or an option that is none of its kind.
    """
    address, _, policy = what.strip().partition(" ")
    address = address or SIMULATED
    scheme, _ = split(address)
    options = dict(place.options)
    policy = options.get("policy") or policy.strip() or HAND + (options.get("task") or TASK)
    if scheme not in (*REAL, "mujoco"):
        raise unknown("kind of arm", scheme, [f"{known}:" for known in ARMS])
    fake = options.get("fake", "") not in ("", "no", "False", "false")
    steps = PATIENT * franka.task(task_of(policy).partition("/")[2]).max_episode_steps
    try:
        speed, seed = float(options.get("speed", 1.0)), int(options.get("seed", 0))
    except ValueError as error:
        raise UserError(f"drive: wanted numbers as speed and seed: {error}") from error

    def path(name: str) -> Path | None:
        return Path(options[name]) if name in options else None

    return Settings(
        policy,
        address,
        fake,
        speed=speed,
        seed=seed,
        steps=steps,
        envelope=path("envelope"),
        filter=path("filter"),
        camera=path("camera"),
        objects=path("objects"),
        root=path("root"),
        out=place.folder / "deployments",
    )


def check(what: str, place: Place) -> None:
    """Whether an arm or a recording could be opened by these words; nothing is connected.

    Raises:
        UserError: an unknown arm or task, a policy's run or a recording that is not there, or a wrong option.
    """
    if what.startswith(RECORDING):
        path = Path(what.removeprefix(RECORDING))
        if not (path / TICKS if path.is_dir() else path).is_file():
            raise UserError(f"{path} is no recording: wanted a file of ticks or the folder of an episode")
        return
    settings = settings_of(what, place)
    scheme, name = split(settings.arm)
    if scheme == "mujoco":
        parameters(name)


def offers(place: Place) -> Sequence[Offer]:
    """By hand in simulation, each run of a Franka task, and what was recorded."""
    found = [
        Offer(f"{SIMULATED} {HAND}{TASK}", "A simulated arm, by hand", "Franka FR3; what you show is kept"),
        Offer(f"{SIMULATED} {HAND}franka/pick-cube", "Pick a cube, by hand", "Franka FR3; with the gripper"),
        Offer(f"{SIMULATED} {SCRIPT}{TASK}", "A script that reaches, simulated", "Franka FR3; take over with the keys"),
    ]
    runs = sorted(place.out.glob(f"*/{POLICY}"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in runs[:20]:
        with suppress(UserError):
            task = str(Run.open(path.parent).config.get("task"))
            if task.startswith("franka/"):
                found.append(Offer(f"{SIMULATED} {path.parent}", f"{task}, simulated", path.parent.name))
    ticks = sorted(place.out.glob("session/drive-*/deployments/*/episode-*/ticks.npz"), reverse=True)
    ticks += sorted(place.out.glob("*/episode-*/ticks.npz"), reverse=True)
    found += [
        Offer(
            f"{RECORDING}{path.parent}", f"Recording: {path.parent.name}{_ended(path.parent)}", path.parent.parent.name
        )
        for path in ticks[:6]
    ]
    return found


def _ended(folder: Path) -> str:
    """Why an episode ended, as far as that is known."""
    with suppress(OSError, ValueError, KeyError):
        told = json.loads((folder / OUTCOME).read_text(encoding="utf-8"))
        return f", {'achieved' if told['success'] else told['reason']}"
    return ""


def task_of(source: str) -> str:
    """The task of a policy.

    Raises:
        UserError: there is no such run.
    """
    for prefix in (HAND, SCRIPT):
        if source.startswith(prefix):
            return source.removeprefix(prefix)
    return str(Run.open(source).config.get("task"))
