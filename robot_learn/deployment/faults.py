"""Twenty things that go wrong while a policy drives an arm, each through the real command and an unmodified client.

Each trial is `robot-learn deploy` in a process of its own, which takes the fake controller in this process for a real
arm: nothing tells it what will happen. Then commands stall or get lost, the hand runs into a wall that the policy knows
nothing of, somebody presses the external activation device, or a process is killed without a word. A trial is passed
when the arm was at rest in the time that can be predicted (`witness`), when the episode is on the disk to its end, and
when what is told of it names what happened and what to do.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import mujoco

from hardware import recorded
from hardware.fake_fci import FakeArm, Fault
from hardware.franky import HELD, PERIOD
from hardware.limits import Envelope
from robot_learn.deployment import episodes
from robot_learn.deployment.outcome import Outcome, Reason, explain
from robot_learn.deployment.witness import SETTLING, STILL, TICK, Look, Witness, braked_by_arm, braked_by_guard, fastest
from robot_learn.errors import UserError
from robot_learn.franka import FR3
from robot_learn.runs import atomic_write, versions
from sims import franka
from sims.franka import world
from sims.franka.arm import THING_BITS
from sims.franka.physical import PhysicalWorld, with_torques

RESULTS = "faults.json"
Kind = Literal["stall", "packet loss", "contact", "user stop", "killed policy", "killed client"]
Box = tuple[tuple[float, float, float], tuple[float, float, float]]  # [m] centre and half sizes

_WALL: Box = ((0.5, 0.22, 0.2), (0.2, 0.01, 0.2))
_POST: Box = ((0.56, 0.02, 0.2), (0.02, 0.02, 0.2))
_BLOCK: Box = ((0.5, 0.0, 0.06), (0.06, 0.06, 0.06))
_FAR, _AHEAD, _DOWN = (0.58, 0.27, 0.15), (0.62, 0.02, 0.25), (0.5, 0.0, 0.08)  # [m] goals
_ENDS: dict[Kind, tuple[Reason, str]] = {  # why the episode must end, and what must be told of it
    "stall": ("communication", "communication_constraints_violation"),
    "packet loss": ("communication", "communication_constraints_violation"),
    "contact": ("reflex", "_reflex"),
    "user stop": ("user stopped", "external activation device"),
    "killed policy": ("program ended", "program that commanded the arm was ended"),
    "killed client": ("arm error", "exit status -9"),
}
_ADVICE = 40  # characters at least, beyond what happened
_MOST_LOST = 20  # commands in a row, after which the controller ends the motion
_PERIOD = {"fci": 1, "franky": PERIOD}  # [ms] between two words of the guard
_LAG = {"fci": 1, "franky": HELD}  # [ms] that a client's own loop follows its last word at most
_REPEATS = 3
_STARTS, _ENDS_WITHIN = 120.0, 120.0  # [s] of the wall clock, on a busy machine
_AFTER = 0.3  # [s] of the wall clock that the arm is watched for when all is over


@dataclass(frozen=True)
class Trial:
    """One thing that goes wrong."""

    kind: Kind
    client: str  # scheme of the address
    at: float  # [s] since the first command; a contact comes when it comes
    seed: int  # of where the arm begins
    share: float = 1.0  # of commands that are lost
    goal: tuple[float, float, float] = _FAR
    wall: Box | None = None
    speed: float = 0.6

    @property
    def name(self) -> str:
        more = f" of {self.share:.0%}" if self.kind == "packet loss" else ""
        return f"{self.kind}{more}, {self.client}, {self.at:g} s, seed {self.seed}"


TRIALS = (
    Trial("stall", "franky", 0.15, 0),
    Trial("stall", "fci", 0.5, 1),
    Trial("stall", "franky", 0.9, 2),
    Trial("stall", "fci", 1.2, 3),
    Trial("packet loss", "franky", 0.3, 4, share=1.0),
    Trial("packet loss", "fci", 0.6, 5, share=0.95),
    Trial("packet loss", "franky", 0.8, 6, share=0.9),
    Trial("contact", "franky", 0.0, 7, wall=_WALL),
    Trial("contact", "fci", 0.0, 8, wall=_WALL, speed=1.0),
    Trial("contact", "franky", 0.0, 9, goal=_AHEAD, wall=_POST),
    Trial("contact", "fci", 0.0, 10, goal=_DOWN, wall=_BLOCK),
    Trial("user stop", "franky", 0.2, 11),
    Trial("user stop", "fci", 0.6, 12),
    Trial("user stop", "franky", 1.0, 13, speed=1.0),
    Trial("killed policy", "franky", 0.25, 14),
    Trial("killed policy", "fci", 0.7, 15),
    Trial("killed policy", "franky", 0.9, 16, speed=1.0),
    Trial("killed client", "franky", 0.3, 17),
    Trial("killed client", "fci", 0.5, 18, speed=1.0),
    Trial("killed client", "franky", 1.0, 19),
)


def run(trials: Sequence[Trial], out: Path, sessions: Path, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """A row a trial, in order; those that the results in `out` have already are not done again."""
    path = out / RESULTS
    done: dict[str, Any] = json.loads(path.read_text())["trials"] if path.exists() else {}
    for number, trial in enumerate(trials, start=1):
        if trial.name not in done:
            done[trial.name] = one(trial, sessions / f"{trial.seed:02d}-{trial.kind.replace(' ', '-')}")
            with atomic_write(path) as file:
                told = {"passed": sum(row["passed"] for row in done.values()), "n": len(done), "versions": versions()}
                file.write((json.dumps(told | {"trials": done}, indent=2) + "\n").encode())
        say(f"{number} of {len(trials)}: {trial.name}: {'passed' if done[trial.name]['passed'] else 'FAILED'}")
    return [done[trial.name] for trial in trials]


def one(trial: Trial, folder: Path) -> dict[str, Any]:
    """Do one trial, again where it was void; what came of it and the verdicts."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for repeat in range(_REPEATS):
        row = _tried(trial, folder / f"{repeat}")
        if not row["void"]:
            break
    return row | {"repeats": repeat, "passed": bool(row["stopped"] and row["recorded"] and row["explained"])}


def _tried(trial: Trial, folder: Path) -> dict[str, Any]:
    """Do it once."""
    folder.mkdir()
    (folder / "objects.json").write_text(json.dumps({"goal": {"position": trial.goal}}))
    witness, here = Witness(), _world(trial)
    host = _free_address(trial.seed)
    with FakeArm(here.model, here.data, host=host, paced=True, faults=_script(trial), on_tick=witness) as fake:
        process = _deploy(trial, host, folder)
        try:
            struck = _strike(trial, process, witness)
            said = _until_over(process, witness)
        finally:
            process.kill()
            process.wait()
        time.sleep(_AFTER)
        last = fake.state()
    row = {"trial": trial.name, "kind": trial.kind, "client": trial.client}
    row |= _stopped(trial, witness, struck, max(map(abs, last["dq"])))
    row |= _told(trial, folder, said, witness)
    # Held up by others on this machine it may end before anything went wrong; then it tells nothing.
    return row | {"void": row["reason"] == "late" and trial.kind not in ("stall", "packet loss")}


def _world(trial: Trial) -> PhysicalWorld:
    """The task's world, with a wall that no model of the policy has."""
    spec = world.table_world()
    world.add_goal(spec, 0.02, flat=False)
    if trial.wall is not None:
        centre, half = trial.wall
        geom = spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, pos=list(centre), size=list(half))
        geom.contype, geom.conaffinity = THING_BITS
    model = spec.compile()
    with_torques(model)
    made = PhysicalWorld(model, mujoco.MjData(model), franka.definition("reach"))
    made.start(trial.seed)
    return made


def _script(trial: Trial) -> list[Fault]:
    if trial.kind == "stall":
        return [Fault("stall", trial.at, 0.06)]
    if trial.kind == "packet loss":
        return [Fault("loss", trial.at, 2.0, trial.share, seed=trial.seed)]
    if trial.kind == "user stop":
        return [Fault("user_stop", trial.at, 0.4)]  # and released, which must move nothing
    return []


def _deploy(trial: Trial, host: str, folder: Path) -> subprocess.Popen[bytes]:
    """The command, as somebody beside a real arm would give it."""
    words = ["deploy", "script:franka/reach", "--arm", f"{trial.client}://{host}", "--hand", "none", "--json"]
    words += ["--objects", str(folder / "objects.json"), "--speed", f"{trial.speed:g}", "--tolerance", "0.2"]
    words += ["--out", str(folder / "deployments"), "--root", str(folder / "datasets")]
    program = "import sys; from robot_learn.cli import main; sys.exit(main(sys.argv[1:]))"
    with (folder / "said.json").open("wb") as said, (folder / "said.log").open("wb") as log:
        return subprocess.Popen([sys.executable, "-c", program, *words], stdout=said, stderr=log)


def _strike(trial: Trial, process: subprocess.Popen[bytes], witness: Witness) -> int | None:
    """Wait for the moment; kill what is to be killed. Index of the look at which it happened, where that is known."""
    _wait(lambda: witness.began or process.poll() is not None, _STARTS, "the arm was never commanded")
    if trial.kind not in ("killed policy", "killed client"):
        return None
    _wait(lambda: witness.seconds >= trial.at or process.poll() is not None, _STARTS, "the motion did not go on")
    if process.poll() is not None:
        return None  # it has ended by itself
    victim = process.pid if trial.kind == "killed policy" else _client_of(process.pid)
    os.kill(victim, signal.SIGKILL)
    return len(witness.looks)


def _client_of(pid: int) -> int:
    """The process that talks to the arm: the first that the command has started. The gripper's comes after it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    if not children:
        raise UserError(f"process {pid} has no children: where is its client?")
    return min((int(child) for child in children), key=_started)


def _started(pid: int) -> int:
    """When a process was started, in clock ticks since boot (field 22 of its stat, after the name in brackets)."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def _until_over(process: subprocess.Popen[bytes], witness: Witness) -> int:
    """Wait for the command's end and the arm's rest; the exit status."""
    _wait(lambda: process.poll() is not None, _ENDS_WITHIN, "the command did not end")
    deadline = time.monotonic() + 5.0
    while not witness.ended and time.monotonic() < deadline:
        time.sleep(0.01)
    return process.wait()


def _wait(so: Callable[[], bool], seconds: float, otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while not so():
        if time.monotonic() > deadline:
            raise UserError(f"{otherwise} within {seconds:g} s")
        time.sleep(0.001)


def _stopped(trial: Trial, witness: Witness, struck: int | None, speed: float) -> dict[str, Any]:
    """Whether the arm was at rest in the predicted time, by what the controller saw."""
    end = witness.end()
    if end is None:
        return {
            "speed [rad/s]": None,
            "predicted [ms]": None,
            "stood [ms]": None,
            "at rest [ms]": None,
            "stopped": False,
        }
    since, looks = end, witness.looks
    if trial.kind in ("stall", "user stop"):
        since = round(trial.at / TICK)  # faults are told by the same ticks
    elif struck is not None:
        since = struck
    before = looks[min(max(since - 1, 0), len(looks) - 1)]
    predicted = round(_predicted(trial, looks, since, before) / TICK)  # ticks, and milliseconds
    stood, rest = (None if index is None else index - since for index in (witness.stood(since), witness.rest(since)))
    in_time = stood is not None and stood <= predicted and rest is not None and rest <= predicted + SETTLING / TICK
    return {
        "speed [rad/s]": round(fastest(before.dq_reference), 3),
        "predicted [ms]": predicted,
        "stood [ms]": stood,
        "at rest [ms]": rest,
        "stopped": in_time and speed < STILL,
    }


def _predicted(trial: Trial, looks: Sequence[Look], since: int, before: Look) -> float:
    """[s] from the moment at which it went wrong until the arm's reference stands."""
    if trial.kind == "killed policy":
        # Its last command counts until it is too old, or sooner: when the system has torn the process down.
        envelope = Envelope()
        waits = TICK * (_PERIOD[trial.client] + _LAG[trial.client])
        return envelope.slow_after * envelope.command_period + waits + braked_by_guard(before, FR3, envelope)
    if trial.kind == "stall":  # the arm goes on at its last acceleration until it gives the client up
        last = looks[min(since + _MOST_LOST - 1, len(looks) - 1)]
        return TICK * _MOST_LOST + braked_by_arm(last, FR3)
    return braked_by_arm(before, FR3) + 5 * TICK


def _told(trial: Trial, folder: Path, status: int, witness: Witness) -> dict[str, Any]:
    """Whether the episode is on the disk to its end, and what is told of it."""
    deployments = folder / "deployments"
    if trial.kind == "killed policy":  # as the next session does before it begins
        episodes.salvage(deployments, "franka/reach", None)
    found = sorted(deployments.glob(f"*/episode-*/{episodes.OUTCOME}"))
    if not found:
        return {"reason": None, "recorded": False, "explained": False, "told": ""}
    newest = found[-1].parent
    outcome = Outcome.from_json(json.loads(found[-1].read_text()))
    text, (reason, words) = explain(outcome), _ENDS[trial.kind]
    ticks = recorded.load(newest / episodes.TICKS)[0] if (newest / episodes.TICKS).exists() else None
    steps = [line for line in episodes.read_steps(newest) if "step" in line]
    known = None if ticks is None else int(ticks["sequence"][-1])
    end = witness.end()
    missing = None if known is None or end is None else max(0, witness.looks[end].tick - known)
    return {
        "reason": outcome.reason,
        "steps": len(steps),
        "ticks": 0 if ticks is None else len(ticks),
        "unrecorded [ms]": missing,  # of the motion, at its end
        "recorded": len(steps) > 0 and outcome.steps >= len(steps) and missing is not None and missing <= 20,
        "explained": outcome.reason == reason and words in text and len(text) - len(outcome.detail) > _ADVICE,
        "exit status": status,
        "told": text,
        "folder": str(newest.relative_to(folder)),
    }


def _free_address(number: int) -> str:
    """A loopback address whose ports are free; the ports are compiled into the clients."""
    for host in _addresses(number):
        try:
            for port in (1337, 1338):
                with socket.socket() as tried:
                    tried.bind((host, port))
        except OSError:
            continue
        return host
    raise UserError("no free address on the loopback for a fake controller")


def _addresses(number: int) -> Iterator[str]:
    for attempt in range(200):
        yield f"127.{150 + attempt % 100}.{os.getpid() % 254 + 1}.{number % 254 + 1}"
