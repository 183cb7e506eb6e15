"""`robot-learn reward refine`: a person and a model in turn, at a terminal or from a script."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from robot_learn.cli.output import OptionalInt, OptionalPath, OptionalText, put, put_json, say, table
from robot_learn.errors import UserError

if TYPE_CHECKING:
    from rewards.models import Client
    from robot_learn.refine import Refinement
    from robot_learn.rounds import Round, Rounds

BARS = "▁▂▃▄▅▆▇█"
COLUMNS = 48  # of a term's row
NOISE = 1e-9  # what rounding leaves of a 0
ASK = "What should be different? A sentence, the number of a round that was better, undo or quit: "
AFTER_A_MISTAKE = "Enter tries again; undo takes the round back; quit leaves it for later."


@dataclass(frozen=True)
class RefineReward:
    """Improve a run's reward: watch the robot, say what is wrong, and watch what it has learned next."""

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """The folder of a run that was trained and evaluated under a reward program."""
    say: OptionalText = None
    """A sentence about what the robot does, or an empty one where a preference shall do; with it, or with one of the
    next two, nothing is asked."""
    prefer: OptionalInt = None
    """The number of the round that is the better one of two: it becomes the current one, and the model is told."""
    over: OptionalInt = None
    """The other one of the two: by default the current round, or the one before it."""
    undo: bool = False
    """Take the last round or preference back, before all else; its folder stays."""
    by: OptionalText = None
    """Who says so, for the record."""
    model: OptionalText = None
    """Who rewrites (the run's own, or recordings): recordings[:FOLDER], openai:MODEL, anthropic:MODEL,
    mailbox:FOLDER."""
    record: OptionalPath = None
    """A folder to record live replies in, for `--model recordings:FOLDER`."""
    steps: OptionalInt = None
    """Training steps of a round (those of the run)."""
    warm: bool = False
    """Begin each training with what the policy before has learned, instead of from scratch."""
    episodes: int = 20
    """Of each round's measurement, on seeds that no result is reported on."""
    no_video: bool = False
    """Do not film the first episodes."""
    json: bool = False
    """Print the rounds as JSON."""

    def run(self) -> int:
        from robot_learn.refine import Refinement

        if self.episodes < 1 or (self.steps is not None and self.steps < 1):
            raise UserError(f"wanted 1 or more episodes and steps, came {self.episodes} and {self.steps}")
        refinement = Refinement.open(self.folder)
        asked = self.say is None and self.prefer is None and not (self.undo or self.json)
        try:
            return self._ask(refinement) if asked else self._once(refinement)
        except KeyboardInterrupt:
            say(f"\ninterrupted; go on with: robot-learn reward refine {self.folder}")
            return 130

    def _once(self, refinement: Refinement) -> int:
        now = refinement.current
        is_open = now.parent is not None and now.state != "measured"
        if not (is_open and self.say is not None and now.said == (self.say.strip() or None)):
            self._steer(refinement)  # else the same command came before, and goes on where it stopped
        self._go_on(refinement)
        if self.json:
            put_json(figures(refinement))
        else:
            show(refinement)
        return 0

    def _steer(self, refinement: Refinement) -> None:
        if self.undo:
            refinement.undo()
        if refinement.current.parent is None:
            self._go_on(refinement)  # nobody can speak about the run before it was measured for them
        if self.prefer is not None:
            self._prefer(refinement, self.prefer, self.over)
        if self.say is not None:
            refinement.give(self.say, by=self.by)

    def _ask(self, refinement: Refinement) -> int:
        shown: int | None = None
        while True:
            failed = False
            try:
                now = self._go_on(refinement)
                if now.number != shown:
                    show(refinement)
                shown = now.number
            except UserError as error:
                say(f"robot-learn: {error}\n{AFTER_A_MISTAKE}")
                failed = True
            answer = _line(ASK)
            if answer is None or answer in ("quit", "q", "exit"):
                _farewell(refinement)
                return 2 if failed else 0
            try:
                self._take(refinement, answer, failed)
            except UserError as error:
                say(f"robot-learn: {error}")

    def _take(self, refinement: Refinement, answer: str, failed: bool) -> None:
        if answer == "undo":
            refinement.undo()
        elif answer.isdecimal():
            self._prefer(refinement, int(answer), None)
        elif answer or not failed:
            refinement.give(answer, by=self.by)

    def _prefer(self, refinement: Refinement, choice: int, over: int | None) -> None:
        current, last = refinement.current, refinement.moves()[-1:]
        if last and last[0].to == choice and last[0].over is not None and over in (None, last[0].over):
            say(f"round {choice} is preferred to round {last[0].over} already")
            return
        other = over if over is not None else current.number
        if other == choice and over is None:
            if current.parent is None:
                raise UserError("round 0 has none before it to be preferred to: name the other one with --over")
            other = current.parent
        refinement.prefer(other, choice, choice, by=self.by)
        say(f"preferred round {choice} to round {other}")

    def _go_on(self, refinement: Refinement) -> Round:
        return refinement.go_on(
            lambda: self._client(refinement),
            warm=self.warm,
            steps=self.steps,
            episodes=self.episodes,
            video=not self.no_video,
            say=say,
        )

    def _client(self, refinement: Refinement) -> Client:
        from rewards.models import connect
        from robot_learn.rounds import ROUNDS

        model = self.model or refinement.run.config.get("model", "recordings")
        # Asked again after an interruption, a live model's reply comes from the folder and costs nothing more.
        return connect(model, record=self.record, cache=refinement.run.path / ROUNDS / "replies")


def show(refinement: Refinement) -> None:
    """The current round for a person: what was said, how it went, what to look at, the terms over an episode."""
    from robot_learn import runs
    from robot_learn.refine import TERMS

    now = refinement.current
    place = refinement.place(now.number)
    put(f"round     {now.number} of {refinement.history()[-1].number}{_origin(now)}")
    before = "" if now.parent is None else f"; round {now.parent}: {_success(refinement.round(now.parent))}"
    put(f"success   {_success(now)} validation episodes{before}")
    for name, title in ((runs.VIDEO, "video"), (TERMS, "terms"), (runs.REPORT, "report")):
        if place.has(name):
            put(f"{title:<9} {place.file(name)}")
    if now.parent is not None and refinement.place(now.parent).has(runs.VIDEO):
        put(f"compare   {refinement.place(now.parent).file(runs.VIDEO)}")
    if place.has(runs.VIDEO):
        _open(place.file(runs.VIDEO))
    if place.has(runs.TRACE):
        trace = place.read_json(runs.TRACE)
        put(sparklines(trace["terms"], seconds=len(trace["rewards"]) * trace["control_dt"]))


def sparklines(terms: dict[str, Sequence[float]], seconds: float) -> str:
    """A row of bars for each term over an episode of some seconds, all to one scale: which of them pays, and when."""
    everything = [0.0, *(value for values in terms.values() for value in values)]
    low, high = min(everything), max(everything)
    scale = (len(BARS) - 1) / (high - low) if high - low > NOISE else 0.0
    lines = [f"{'':<20} {'0 s':<{COLUMNS - 8}}{f'{seconds:.3g} s':>8}    first     last     most"]
    for name, values in terms.items():
        shown = [values[index * len(values) // COLUMNS] for index in range(COLUMNS)]
        bars = "".join(BARS[round((value - low) * scale)] for value in shown)
        lines.append(f"{name:<20} {bars} {values[0]:8.3g} {values[-1]:8.3g} {max(values):8.3g}")
    return "\n".join(lines)


def show_rounds(folder: Path, *, as_json: bool) -> int:
    """What `robot-learn reward show RUN --rounds` does: the history as a table, or as JSON, and as a page."""
    from robot_learn.rounds import Rounds
    from robot_learn.rounds_page import write_page
    from robot_learn.runs import Run

    rounds = Rounds(Run.open(folder))
    if not rounds.history():
        raise UserError(f"run {folder} has no rounds yet; the first: robot-learn reward refine {folder}")
    page = write_page(rounds)
    if as_json:
        put_json(figures(rounds) | {"page": str(page)})
    else:
        put(f"{history_table(rounds)}\n\npage      {page}")
    return 0


def history_table(rounds: Rounds) -> str:
    """All rounds, the undone ones, too, a line each."""
    line = rounds.lineage()
    rows = []
    for each in rounds.history():
        place = "current" if each.number == line[-1] else "kept" if each.number in line else "left"
        steps = "-" if each.steps is None else f"{each.steps:,}"
        said = " ".join((each.said or "").split())
        preferred = f"{each.parent} preferred to {', '.join(map(str, each.over))}" if each.over else ""
        rows.append(
            {
                "round": str(each.number),
                "from": "-" if each.parent is None else str(each.parent),
                "state": f"{each.state}, {place}",
                "steps": steps,
                "success": _success(each),
                "said": "; ".join(part for part in (preferred, said) if part),
            }
        )
    return table(rows)


def figures(rounds: Rounds) -> dict[str, Any]:
    """All rounds for machines."""
    line = rounds.lineage()
    found = [
        asdict(each) | {"success_rate": each.success_rate, "run": str(rounds.place(each.number).path)}
        for each in rounds.history()
    ]
    moves = [asdict(move) for move in rounds.moves()]
    return {"run": str(rounds.run.path), "current": line[-1], "lineage": line, "moves": moves, "rounds": found}


def _origin(now: Round) -> str:
    if now.parent is None:
        return ", the run itself"
    by = f" (by {now.by})" if now.by else ""
    return f", from round {now.parent}{by}: {now.said or 'a preference'}"


def _success(each: Round) -> str:
    return "-" if each.successes is None else f"{each.successes} of {each.episodes}"


def _farewell(refinement: Refinement) -> None:
    now, folder = refinement.current, refinement.run.path
    say(f"go on     robot-learn reward refine {folder}")
    if now.state == "measured":
        say(f"measure   robot-learn evaluate {refinement.place(now.number).path if now.number else folder}")


def _line(question: str) -> str | None:
    """What a person types; None at the end of the input."""
    sys.stderr.write(question)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        sys.stderr.write("\n")
        return None
    return line.strip()


def _open(path: Path) -> None:
    """Show a file in the desktop's viewer, where a person sits at one."""
    viewer = next((found for name in ("xdg-open", "open") if (found := shutil.which(name))), None)
    has_desktop = sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if viewer is None or not has_desktop or not sys.stdin.isatty():
        return
    try:
        subprocess.Popen(
            [viewer, str(path)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    except OSError as error:
        say(f"(the viewer did not start: {error})")
