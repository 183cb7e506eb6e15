"""`robot-learn deploy`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from robot_learn.cli.output import OptionalFloat, OptionalInt, OptionalPath, OptionalText, put, put_json, say, table
from robot_learn.errors import UserError

if TYPE_CHECKING:
    from robot_learn.deployment.session import Summary


@dataclass(frozen=True)
class Deploy:
    """Let a trained policy act on an arm, real or simulated, within the safety envelope; record all of it."""

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
    compare: Annotated[tuple[str, ...], tyro.conf.arg(metavar="SOURCE", help_behavior_hint="")] = ()
    """Compare what policies see: sessions on an arm, runs (simulated), script:TASK, datasets; the first with each."""
    check: bool = False
    """Is this computer, and the network to --arm, fit to drive an arm?"""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        if self.check:
            return _check(self)
        if self.compare:
            return _compare(self)
        if self.run_folder is None:
            raise UserError("deploy wants a RUN, or --check, or --compare SOURCE SOURCE")
        from hardware.arm import ArmError
        from robot_learn.deployment.assemble import deploy

        try:
            summary, folder = deploy(self, say)
        except ArmError as error:  # before the first episode: later ones are outcomes
            raise UserError(f"{self.arm}: {error}") from error
        if self.json:
            put_json(summary.to_json() | {"session": None if folder is None else str(folder)})
        else:
            _show(summary, folder)
        if not summary.outcomes:
            return 1
        last = summary.outcomes[-1]
        if last.error is not None:
            raise last.error
        return 130 if last.reason == "interrupted" else 0


def _show(summary: Summary, folder: Path | None) -> None:
    from robot_learn.deployment.outcome import explain

    told: dict[str, Any] = summary.to_json()
    if summary.outcomes:
        low, high = summary.interval
        put(
            f"success   {summary.successes} of {len(summary.outcomes)} episodes "
            f"({told['success_rate']:.0%}, 95 % interval {low:.0%} to {high:.0%})"
        )
        put("ended by  " + ", ".join(f"{reason} {count}" for reason, count in told["reasons"].items()))
        held = ", ".join(f"{name} {count}" for name, count in told["limited"].items()) or "nothing"
        put(f"limited   {held}  (of {told['steps']} steps)")
        put(f"latency   median {1e3 * told['latency_median']:.1f} ms, 99 % {1e3 * told['latency_p99']:.1f} ms")
        if told["overruns"]:
            put(f"late      {told['overruns']} control periods were missed")
        put(f"last      {explain(summary.outcomes[-1])}")
    if folder is not None:
        put(f"session   {folder}")


def _check(command: Deploy) -> int:
    from robot_learn.deployment import check
    from robot_learn.deployment.places import connect

    findings = check.computer(command.out)
    host = check.host_of(command.arm)
    if host is not None:
        findings += check.network(host)
        if check.worst(findings[-2:-1]) != "fault":  # somebody is there
            findings += check.arm(lambda: connect(command.arm))
    rows = [{"what": one.name, "state": one.state, "found": one.found, "do": one.advice} for one in findings]
    if command.json:
        put_json({"worst": check.worst(findings), "findings": rows})
    else:
        put(table(rows))
    return 1 if check.worst(findings) == "fault" else 0


def _compare(command: Deploy) -> int:
    from robot_learn.deployment import compare, samples

    if len(command.compare) < 2:
        raise UserError(
            "--compare: wanted two sources or more, e.g. a run and a session: --compare RUN deployments/..."
        )
    first, *others = [samples.read(source, command.root) for source in command.compare]
    pairs = [(other, compare.compare(first, other)) for other in others]
    page = command.out / "compare.html"
    compare.write_page(page, first, pairs)
    if command.json:
        put_json({"page": str(page), "comparisons": [compare.to_json(first, *pair) for pair in pairs]})
        return 0
    for other, found in pairs:
        put(f"{first.name} ({first.kind}) and {other.name} ({other.kind})")
        put(table(compare.text(first, other, found)))
    put(f"page      {page}")
    return 0
