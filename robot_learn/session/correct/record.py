"""Where corrections on the page are kept: in a run as `robot-learn correct` makes it, in the session's folder."""

from __future__ import annotations

from dataclasses import asdict

from controllers import constraint
from controllers.systems import game
from robot_learn.alignment.people import ASKING, REACTION, rule_named
from robot_learn.alignment.record import CONSTRAINT, Setting, begin, learned
from robot_learn.alignment.session import Session
from robot_learn.errors import UserError
from robot_learn.runs import CONFIG, Run
from robot_learn.session.activity import Place

HUMAN = "page"
DEFAULT_RULE = "full"


def wanted_setting(system: str, place: Place) -> Setting:
    """What a new session is begun with.

    Raises:
        UserError: an option is none.
    """
    rule, seed = place.options.get("rule", DEFAULT_RULE), place.options.get("seed", "0")
    if not seed.isdecimal():
        raise UserError(f"--seed {seed}: wanted a whole number from 0")
    used = game(system).system
    return Setting(
        system=used.name,
        features_version=used.version,
        rule=asdict(rule_named(rule, keyboard=True)),
        seed=int(seed),
        human=HUMAN,
        mistaken=0.0,
        asked=rule in ASKING,
        reaction=REACTION,
        rho=1e-3 * float((used.theta_high - used.theta_low).max()),
        most_corrections=None,
        most_episodes=None,
    )


def newest_run(place: Place, system: str) -> Run | None:
    """The session to go on with: the newest one, unless the options ask for another rule or seed."""
    found = [entry.parent for entry in place.folder.glob(f"*/{CONFIG}")]
    if not found:
        return None
    run = Run(max(found, key=lambda folder: ((folder / CONFIG).stat().st_mtime_ns, folder.name)))
    begun, wanted = Setting.read(run), wanted_setting(system, place)
    other = ("rule" in place.options and begun.rule != wanted.rule) or (
        "seed" in place.options and begun.seed != wanted.seed
    )
    return None if other else run


def begin_run(run: Run | None, place: Place, system: str) -> tuple[Run, Setting]:
    """That run and its setting, or a new one."""
    if run is None:
        setting = wanted_setting(system, place)
        return begin(setting, place.folder), setting
    return run, Setting.read(run)


def keep_constraint(run: Run, session: Session) -> None:
    """What was learned so far, as `robot-learn correct` leaves it at its end.

    A page's server is killed more often than a terminal's session is, so here it is on the disk all the time.

    Raises:
        UserError: it cannot be written.
    """
    constraint.save(learned(session, run.path.name), run.file(CONSTRAINT))
