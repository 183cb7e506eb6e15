"""The same simulated person teaches through the page and in process; results are only ever added, a line a game.

Through the page they read its `data-state` and press its keys, as fast as it moves; whatever is learned comes over the
socket. In process nothing is missed. Both play the same episodes with the same setting, on seeds nothing was tuned on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from controllers.mpc import Mpc
from controllers.systems import game
from robot_learn.alignment.bench import SEED0
from robot_learn.alignment.held_out import held_out
from robot_learn.alignment.lines import Lines, read_lines
from robot_learn.errors import UserError
from robot_learn.runs import versions
from robot_learn.session.activity import Place
from robot_learn.session.correct.record import wanted_setting
from robot_learn.session.headless.browsing import Page, Served, browser, opened
from robot_learn.session.headless.keyed import KeyedHuman, Played, play

FILE = "games.jsonl"
WAYS = ("process", "page", "steps")  # in process; on the page as it moves; on the page, in single steps
MOST_EPISODES = 40  # more are a failure
PATIENCE = 3600.0  # [s] for a game on the page
_KEYS = {"stop": "Enter"}


def play_games(
    systems: tuple[str, ...], games: int, file: Path, say: Callable[[str], None], ways: tuple[str, ...] = WAYS
) -> list[dict[str, Any]]:
    """Play every game that has no line yet; returns all lines. Ctrl-C loses none but the one that is played.

    Raises:
        UserError: there is no browser.
    """
    done = read_lines(file)
    for seed in range(games):
        for system in systems:
            for way in ways:
                if any((line["system"], line["way"], line["seed"]) == (system, way, seed) for line in done):
                    continue
                began = time.perf_counter()
                if way == "process":
                    found, extra = _in_process(system, SEED0 + seed)
                else:
                    found, extra = _on_page(system, SEED0 + seed, stepwise=way == "steps")
                wall = round(time.perf_counter() - began, 1)
                line = {"system": system, "way": way, "seed": seed, **asdict(found), **extra, "wall": wall}
                line["commit"] = versions()["commit"]
                lines = Lines(file)
                lines.add(line)
                lines.close()
                done.append(line)
                say(
                    f"{system} {way} seed {seed}: {found.pushes} pushes, {found.stops} stops, {found.outcome}, {wall} s"
                )
    return done


def summary(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row a system and way: what came of the games, and how many corrections it took, with the standard error."""
    rows = []
    for system, way in dict.fromkeys((line["system"], line["way"]) for line in lines):
        mine = [line for line in lines if (line["system"], line["way"]) == (system, way)]
        corrections = np.array([line["pushes"] + line["stops"] for line in mine], dtype=np.float64)
        error = corrections.std(ddof=1) / np.sqrt(len(mine)) if len(mine) > 1 else None
        rows.append(
            {
                "system": system,
                "way": way,
                "games": len(mine),
                "taught": sum(line["outcome"] in ("satisfied", "certain") for line in mine),
                "held-out passed": sum(line["passed"] for line in mine),
                "of": sum(line["held_out"] for line in mine),
                "corrections": float(corrections.mean()),
                "+-": error,
                "pushes": float(np.mean([line["pushes"] for line in mine])),
                "stops": float(np.mean([line["stops"] for line in mine])),
                "episodes": float(np.mean([line["episodes"] for line in mine])),
                "steps unseen": sum(max(0, line.get("steps_driven", 0) - line.get("steps_seen", 0)) for line in mine),
            }
        )
    return rows


def _in_process(system: str, seed: int) -> tuple[Played, dict[str, Any]]:
    played, mpc = game(system), Mpc(game(system).system)
    setting = wanted_setting(system, Place(Path(), Path(), {"seed": str(seed)}))
    session = play(setting, mpc, MOST_EPISODES)
    counts, checked = session.counts, held_out(played, mpc, session.learner.theta, seed)
    return Played(
        session.outcome or "",
        counts["push"],
        counts["stop"],
        counts["silence"],
        len(session.episodes),
        checked.passed,
        checked.episodes,
    ), {}


def _on_page(system: str, seed: int, *, stepwise: bool) -> tuple[Played, dict[str, Any]]:
    with TemporaryDirectory() as folder, _opened(system, seed, Path(folder)) as page:
        return through_page(page, system, seed, stepwise=stepwise)


@contextmanager
def _opened(system: str, seed: int, folder: Path) -> Iterator[Page]:
    """A page on a server of its own."""
    words = ["correct", system, "--seed", str(seed), "--out", str(folder)]
    with Served(words, folder / "server.log") as served, browser() as running, opened(running, served.url) as page:
        page.wait_for_selector("#root[data-state]", state="attached")
        yield page


def through_page(
    page: Page, system: str, seed: int, *, stepwise: bool = False, patience: float = PATIENCE
) -> tuple[Played, dict[str, Any]]:
    """Teach on an open page until enough is seen, then wait for the held-out episodes.

    Args:
        stepwise: in a pause, with the key for single steps, so that no step goes unseen on a busy machine.

    Raises:
        UserError: it took too long.
    """
    human = KeyedHuman(game(system), Mpc(game(system).system), seed)
    keys = _KEYS | {way["name"]: way["key"] for way in reversed(_told(page)["directions"])}
    last, seen, held, until = (-1, -1), 0, 0, time.monotonic() + patience
    while (told := _told(page))["phase"] != "over":
        if time.monotonic() > until:
            raise UserError(f"{system}, seed {seed}: not over after {patience:g} s")
        here = (told["episode"], told["step"])
        if told["good"] >= told["enough"] or told["finished"] >= MOST_EPISODES:
            page.keyboard.press("Escape")
            page.keyboard.press("Escape")
            _changed(page, told, until)
        elif told["phase"] == "paused" and not stepwise:
            held += told["why"] == "the page was gone"
            page.keyboard.press("Space")
            _changed(page, told, until)
        elif not told["ended"] and here != last:
            last, seen = here, seen + 1
            word = human.watch_page(told)
            if word is not None:
                page.keyboard.press(keys[word])
                _changed(page, told, until)
        elif stepwise:
            page.keyboard.press(".")
            _changed(page, told, until)
    while not (told := _told(page))["check"] or "passed" not in told["check"]:
        if time.monotonic() > until:
            raise UserError(f"{system}, seed {seed}: no held-out episodes after {patience:g} s")
        time.sleep(0.2)
    counts, check = told["counts"], told["check"]
    found = Played(
        check["outcome"],
        counts["push"],
        counts["stop"],
        counts["silence"],
        told["finished"],
        check["passed"],
        check["episodes"],
    )
    return found, {"steps_seen": seen, "steps_driven": told["driven"], "held": held}


def _changed(page: Page, told: dict[str, Any], until: float) -> None:
    """Wait until the page shows what came of a key; half a second at most, for some keys change nothing."""
    until = min(until, time.monotonic() + 0.5)
    while _told(page) == told and time.monotonic() < until:
        time.sleep(0.005)


def _told(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(page.get_attribute("#root", "data-state") or "{}")
    return found
