"""`robot-learn correct`: a robot learns what is unsafe from the pushes of a person, or of a simulated one."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from robot_learn.cli.output import OptionalInt, OptionalPath, put, put_json, say
from robot_learn.errors import UserError

if TYPE_CHECKING:
    from robot_learn.alignment.held_out import HeldOut
    from robot_learn.alignment.record import Recording, Setting
    from robot_learn.alignment.session import Session
    from robot_learn.keyboard import Keys
    from robot_learn.runs import Run

OptionalSystem = Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="[SYSTEM]")]
REST = "space pause, Enter emergency stop, f this was fine, u undo, Esc satisfied, Ctrl-C go on later"  # of the keys


@dataclass(frozen=True)
class Correct:
    """Teach a robot what is unsafe: watch it, push it where it goes wrong, and stop it where it must not go on."""

    system: OptionalSystem = None
    """pendulum, reacher, uav-gate, uav-tube, franka-reach, franka-pour, franka-joints."""
    human: Literal["simulated", "keyboard"] = "simulated"
    """Who corrects: the simulated person of the paper, or you."""
    rule: str = "full"
    """What is learned from: paper (a push is one cut), stops (also from stops, and from each axis of a simulated push),
    full (also from silence), ask (and the robot asks a simulated person before an episode), forgiving (as full, and
    some corrections may be wrong)."""
    seed: int = 0
    """Of the episodes."""
    mistaken: float = 0.0
    """Share of pushes in which the simulated person errs."""
    corrections: OptionalInt = None
    """At most so many; by default 60 of a simulated person, and of you as many as you like."""
    out: Path = Path("runs")
    """Where the session's folder is made."""
    resume: OptionalPath = None
    """Go on with the session in this folder."""
    replay: OptionalPath = None
    """Only learn again what was recorded in this folder, and compare."""
    json: bool = False
    """Print the result as JSON."""

    def run(self) -> int:
        from robot_learn.alignment.record import begin, open_session
        from robot_learn.runs import Run

        given = [name for name in ("system", "resume", "replay") if getattr(self, name) is not None]
        if len(given) != 1:
            raise UserError(f"correct wants a SYSTEM, or --resume RUN, or --replay RUN; came {given or 'none of them'}")
        if self.replay is not None:
            return self._replay(Run.open(self.replay))
        if self.resume is not None:
            run = Run.open(self.resume)
        else:
            setting = self._setting()
            _check_terminal(setting)
            run = begin(setting, self.out)
        session, recording, _ = open_session(run)
        return self._play(run, session, recording)

    def _setting(self) -> Setting:
        from controllers.systems import game
        from robot_learn.alignment.people import ASKING, REACTION, rule_named
        from robot_learn.alignment.record import Setting

        if not 0 <= self.mistaken < 1:
            raise UserError(f"--mistaken {self.mistaken}: wanted a share from 0 to below 1")
        if self.seed < 0 or (self.corrections is not None and self.corrections < 1):
            raise UserError(f"wanted a seed from 0 and 1 or more corrections, came {self.seed} and {self.corrections}")
        if self.rule in ASKING and self.human == "keyboard":
            raise UserError(f"--rule {self.rule}: the robot can only ask a simulated person so far")
        system, live = game(self.system or "").system, self.human == "keyboard"
        return Setting(
            system=system.name,
            features_version=system.version,
            rule=asdict(rule_named(self.rule, keyboard=live)),
            seed=self.seed,
            human=self.human,
            mistaken=self.mistaken,
            asked=self.rule in ASKING,
            reaction=REACTION if live else 0.0,
            rho=1e-3 * float((system.theta_high - system.theta_low).max()),
            most_corrections=self.corrections or (None if live else 60),
            most_episodes=None if live else 100,
        )

    def _play(self, run: Run, session: Session, recording: Recording) -> int:
        from robot_learn.alignment.held_out import held_out
        from robot_learn.alignment.record import Setting

        setting = Setting.read(run)
        status = 0
        try:
            _with_person(session, setting)
        except KeyboardInterrupt:
            status = 130
        finally:
            saved = recording.close(session)
        if status:
            say(f"\ninterrupted; go on with: robot-learn correct --resume {run.path}")
            return status
        say("checking: episodes that nobody learned from")
        checked = held_out(session.game, session.learner.mpc, session.learner.theta, setting.seed)
        self._report(run, session, checked, saved)
        return 0

    def _report(self, run: Run, session: Session, checked: HeldOut, saved: Path) -> None:
        from robot_learn.alignment.events import OUTCOMES
        from robot_learn.alignment.live import said

        view = session.view()
        if self.json:
            put_json(_figures(run, session, checked, saved))
            return
        over = OUTCOMES[view.outcome] if view.outcome else "unfinished"
        unsafe = f"{checked.unsafe} of {checked.steps} steps with an unsafe plan, by the game's own truth"
        put(f"session   {over}, after {len(session.episodes)} episodes")
        put(f"said      {said(view)}")
        put(f"held out  {checked.passed} of {checked.episodes} episodes passed; {unsafe}")
        put(f"possible  log-volume {view.log_volume:.2f}; at most {view.still_to_come} corrections more")
        put(f"theta     {' '.join(f'{value:.4g}' for value in view.theta)}")
        put(f"saved     {saved}")

    def _replay(self, run: Run) -> int:
        from controllers.alignment.learner import Learner, Rule
        from controllers.mpc import Mpc
        from robot_learn.alignment.live import entry_line
        from robot_learn.alignment.record import SAME, Setting, entries_of, game_of, relearn

        setting = Setting.read(run)
        learner = Learner(Mpc(game_of(run).system), Rule(**setting.rule), rho=setting.rho)
        entries = entries_of(run)
        deviation = relearn(learner, entries)
        if self.json:
            put_json({"entries": len(entries), "deviation": deviation, "theta": learner.theta.tolist()})
        else:
            for entry in entries:
                put(entry_line(entry))
            put(
                f"learned again from {len(entries)} entries; theta differs from the recorded by at most {deviation:.1e}"
            )
        if deviation > SAME:
            raise UserError(
                f"run {run.path}: learned again, theta differs by {deviation:.1e} of the box, not {SAME:.0e}; "
                "it was recorded with another version of the learner"
            )
        return 0


def _with_person(session: Session, setting: Setting) -> None:
    from robot_learn.alignment.keyboard import pushes
    from robot_learn.alignment.live import display
    from robot_learn.alignment.people import Person
    from robot_learn.keyboard import Keys

    if setting.human == "simulated":
        with display(session) as show, _interrupted_between_steps() as check:
            person = Person(session.game, setting.seed, setting.mistaken, setting.asked)
            person.play(session, lambda: _both(show, check))
        return
    table = pushes(session.game.directions)
    help_lines = ("  ".join(f"{key}: {name}" for key, name in table.items()), REST)
    with Keys() as keys, display(session, help_lines) as show, _interrupted_between_steps() as check:
        _at_keyboard(session, keys, lambda: _both(show, check), table)


@contextmanager
def _interrupted_between_steps() -> Iterator[Callable[[], None]]:
    """Ctrl-C waits until what this yields is called, so that nothing is learned and not recorded; a second does not."""
    came = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        if came:
            raise KeyboardInterrupt
        came = True

    def check() -> None:
        if came:
            raise KeyboardInterrupt

    before = [signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield check
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
            signal.signal(number, handler)


def _both(show: Callable[[], None], check: Callable[[], None]) -> None:
    show()
    check()


def _at_keyboard(session: Session, keys: Keys, show: Callable[[], None], table: dict[str, str]) -> None:
    """One control step each `control_dt`, the keys in between; as fast as the plan comes where it comes later."""
    due = time.monotonic()
    while session.outcome is None:
        show()
        due = max(due + session.game.system.control_dt, time.monotonic())
        for key in keys.read(due - time.monotonic()):
            if session.outcome is None:
                _press(session, key, table)
        session.step()


def _press(session: Session, key: str, table: dict[str, str]) -> None:
    if key in table:
        session.push(table[key])
    elif key == "enter":
        session.stop()
    elif key == "f":
        session.fine()
    elif key == "u" and session.learner.corrections:
        session.undo()
    elif key in ("y", "n") and session.learner.doubted is not None:
        session.confirm(key == "y")
    elif key == "space":
        session.pause(not session.paused)
    elif key == "escape":
        session.satisfied()


def _check_terminal(setting: Setting) -> None:
    """Before a folder is made."""
    from robot_learn.keyboard import Keys

    if setting.human == "keyboard":
        Keys()


def _figures(run: Run, session: Session, checked: HeldOut, saved: Path) -> dict[str, Any]:
    view = session.view()
    return {
        "run": str(run.path),
        "system": view.system,
        "outcome": view.outcome,
        "episodes": len(session.episodes),
        "counts": view.counts,
        "held_out": asdict(checked),
        "log_volume": view.log_volume,
        "still_to_come": view.still_to_come,
        "theta": view.theta.tolist(),
        "constraint": str(saved),
    }
