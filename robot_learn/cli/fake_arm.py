"""`robot-learn fake-arm`."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from robot_learn.cli.output import OptionalInt, OptionalPath, OptionalText, put_json, say
from robot_learn.errors import UserError

if TYPE_CHECKING:
    from hardware.fake_fci import FakeArm


@dataclass(frozen=True)
class FakeArmCommand:
    """Simulate a Franka arm with its controller, to which unmodified clients of the robot interface connect."""

    task: OptionalText = None
    """Whose world the arm stands in, e.g. franka/pick-cube; by default an empty table."""
    host: str = "127.0.0.1"
    """Address to listen on. Ports are fixed (1337, 1338, and 1339 for requests of test harnesses), so every arm wants
    one of its own; on Linux 127.0.0.2, 127.0.0.3 and so on are there already."""
    version: OptionalInt = None
    """Of the protocol, 5 to 10; by default 10 for an FR3 and 5 for an FER."""
    arm: Literal["fr3", "fer"] = "fr3"
    """Which arm; the tasks' worlds have an FR3."""
    realtime: bool = False
    """A tick is a millisecond of the wall clock. Otherwise the arm waits for each command, and nothing is ever late."""
    paced: bool = False
    """Wait for each command, and still be no faster than the wall clock; to watch."""
    urgent: bool = False
    """Run before everything else on this machine, where that is allowed; helps in real time."""
    faults: OptionalPath = None
    """A JSON list of what goes wrong and when: [{"kind": "stall", "at": 0.5, "lasts": 0.06}]."""
    seed: int = 0
    """Of the world's start."""
    duration: float = float("inf")
    """End after so many seconds; by default at Ctrl-C."""
    json: bool = False
    """Print where it listens, and at the end what happened, as JSON."""

    def run(self) -> int:
        from hardware.fake_fci import FakeArm
        from hardware.fake_fci.faults import load
        from hardware.fake_fci.messages import VERSIONS
        from hardware.fake_fci.remote import listening
        from sims.franka.physical import physical_world

        version = self.version or (10 if self.arm == "fr3" else 5)
        if version not in VERSIONS:
            raise UserError(f"--version: wanted {VERSIONS[0]} to {VERSIONS[-1]}, came {version}")
        if self.seed < 0:
            raise UserError(f"--seed: wanted 0 or more, came {self.seed}")
        faults = load(self.faults) if self.faults else ()
        world = physical_world(self._name(), self.arm)
        world.start(self.seed)
        fake = FakeArm(
            world.model,
            world.data,
            host=self.host,
            version=version,
            lockstep=not self.realtime,
            paced=self.paced,
            arm=self.arm,
            faults=faults,
            urgent=self.urgent,
            start=world.start,
            success=world.success,
            say=lambda line: say(f"\r\033[K{line}" if sys.stderr.isatty() else line),
        )
        with fake, listening(fake):
            self._tell({"listens": self.host, "ports": [1337, 1338, 1339], "version": version, "arm": self.arm})
            last = _watch(fake, self.duration)
        say()
        if self.json:
            put_json(last)
        return 0

    def _name(self) -> str | None:  # of the task, within its family
        if self.task is None:
            return None
        family, _, name = self.task.rpartition("/")
        if family not in ("", "franka"):
            raise UserError(f"--task: wanted a task of the Franka, e.g. franka/pick-cube, came {self.task}")
        if self.arm != "fr3":
            raise UserError(f"--arm: the world of {self.task} has an fr3; an {self.arm} stands on an empty table only")
        return name

    def _tell(self, where: dict[str, Any]) -> None:
        if self.json:
            put_json(where)
        say(f"an {self.arm} listens on {self.host}, protocol version {where['version']}; Ctrl-C ends it")


def _watch(fake: FakeArm, duration: float) -> dict[str, Any]:
    """Tell twice a second how the arm is, until it is interrupted; what it was like last."""
    started, state = time.monotonic(), fake.state()
    shown = ""
    try:
        while fake.running and time.monotonic() - started < duration:
            before, since = state["ticks"], time.monotonic()
            time.sleep(min(0.5, max(0.0, duration)))
            state = fake.state()
            line = _line(state, (state["ticks"] - before) / (time.monotonic() - since))
            if sys.stderr.isatty():
                sys.stderr.write(f"\r\033[K{line}")
                sys.stderr.flush()
            elif (
                line.split(";")[:2] != shown.split(";")[:2]
            ):  # a log gets what has changed, not twice a second the same
                say(line)
            shown = line
    except KeyboardInterrupt:
        pass
    return state | {"success": fake.succeeded()} if fake.running else state


def _line(state: dict[str, Any], rate: float) -> str:
    client = f"client of version {state['version']}" if state["connected"] else "no client"
    what = f"{state['mode']}{' by ' + state['generator'] if state['generator'] else ''}"
    errors = f", {', '.join(state['errors'])}" if state["errors"] else ""
    q = " ".join(f"{angle:6.3f}" for angle in state["q"])
    return f"{client}; {what}{errors}; {rate:4.0f} ticks/s, success rate {state['success_rate']:.3f}; q {q}"
