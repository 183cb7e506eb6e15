"""`robot-learn deploy`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from robot_learn.cli.output import put, put_json, say, table
from robot_learn.deployment.settings import Settings
from robot_learn.errors import UserError

if TYPE_CHECKING:
    from robot_learn.deployment.session import Summary


@dataclass(frozen=True)
class Deploy(Settings):
    """Let a trained policy act on an arm, real or simulated, within the safety envelope; record all of it."""

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
