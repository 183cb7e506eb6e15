"""The parts of a search: its state, its schedule, its screening, its command."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import sims
from rewards.program import Program, check
from robot_learn.cli import main
from robot_learn.errors import UserError
from robot_learn.search.screen import Unscreened, screen_for
from robot_learn.search.state import Candidate, Search
from tests.robot_learn.searching import (
    CONFIG,
    FIRST,
    SECOND,
    TASK,
    Strict,
    search,
    stored,
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is to survive a power cut, or to be repeated by its versions: both take a while each time."""
    monkeypatch.setattr("robot_learn.runs.versions", lambda: {})
    monkeypatch.setattr("robot_learn.runs.os.fsync", lambda _: None)


def test_the_state_file_gives_back_what_was_put_in(tmp_path: Path) -> None:
    found = search(tmp_path, [FIRST, SECOND], screen=Strict(0.15), audit=True)
    assert Search.open(tmp_path) == found
    (tmp_path / "search.json").write_text("{}")
    with pytest.raises(UserError, match="wanted a search of format 1"):
        Search.open(tmp_path)


@pytest.mark.parametrize("entered", [2, 3, 4, 8, 16])
def test_no_training_is_longer_than_the_last_rung_and_fewer_go_on_each_time(entered: int) -> None:
    rungs = CONFIG.schedule(entered)
    assert rungs[0] == (entered, 100)
    assert rungs[-1][1] == CONFIG.steps
    assert all(later <= earlier and later >= 1 for (earlier, _), (later, _) in pairwise(rungs))
    assert CONFIG.schedule(1) == ((1, 900),)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": 0}, "samples is 0"),
        ({"eta": 1}, "eta is 1: wanted at least 2"),
        ({"solved": 0.0}, "solved is 0.0"),
        ({"max_steps": 0}, "max_steps is 0"),
    ],
)
def test_senseless_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        replace(CONFIG, **changes)


def test_a_candidate_is_known_by_its_name() -> None:
    twin = Candidate("3-11w", "weighted", 0, "3-11")
    assert (twin.round, twin.order) == (3, (3, 11, True))
    assert Candidate("3-2", "revised", 2).order < Candidate("3-11", "revised", 11).order < twin.order


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "reward search wants a TASK, or --resume FOLDER"),
        (["--resume", "nowhere"], "nowhere is no search: it has no search.json"),
        (["mujoco/cart-pol"], "did you mean 'mujoco/cart-pole'"),
        (["mujoco/cart-pole", "--model", "opnai:x"], "did you mean 'openai'"),
        (["mujoco/cart-pole", "--workers", "0"], "wanted 1 worker or more"),
        (["mujoco/cart-pole", "--job-minutes", "-1"], "a positive limit"),
        (["--resume", "a", "--out", "b"], "leave one out"),
    ],
)
def test_a_mistake_at_the_command_line_is_one_message(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["reward", "search", *words]) == 2
    assert list(tmp_path.iterdir()) == []
    assert message in capsys.readouterr().err


def test_a_search_that_is_over_is_shown_again_as_a_table_and_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search(tmp_path, [(0.2, 0.5, 0.5, "No."), SECOND], screen=Strict(0.3), audit=True)
    before = stored(tmp_path)
    words = ["reward", "search", "--resume", str(tmp_path), "--model", "recordings"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    for line in (
        r"0-0 +zero-shot +refuse +900 +4 of 20 +its number is too low: raise it",
        r"0-2 +zero-shot +duplicate +0 +- +as 0-1",
        r"0-3 +zero-shot +no program +0 +- +no program passed the check",
        r"1-0 +revised 0-1 +pass +900 +12 of 20",
        r"screening 1 refused, 1 duplicates, 1 halted of 5: [0-9,]+ steps, of 4,500 of whole trainings",
        r"audit     of 2 trained all the same: 0 of 1 refused ones pass .*, 0 beat the best",
        r"best      1-0: .*candidates/1-0/reward.py",
        r"success   60% of 50 held-out episodes \(95 % interval 46% to 72%\)",
    ):
        assert re.search(line, shown), f"{line}\n{shown}"
    assert main([*words, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["ended"], figures["best"]["candidate"]) == ("all rounds done", "1-0")
    assert figures["candidates"] == before["candidates"]
    assert stored(tmp_path)["candidates"] == before["candidates"]


def screened(body: str) -> Program:
    return check(f"def reward(scene, action):\n    return {{{body}}}\n", sims.task(TASK))


def test_the_screening_tells_twins_plans_only_for_what_it_would_admit_and_fits_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned: list[Any] = []

    def plan(task: Any, reward: Any, **options: Any) -> Any:
        planned.append(reward)
        raise UserError("these worlds cannot be restored")

    monkeypatch.setenv("ROBOT_LEARN_CACHE", str(tmp_path))
    monkeypatch.setattr("robot_learn.probes.planned", plan)
    screen = screen_for(sims.task(TASK), active=True)
    good = screened('"upright": 1.0 - np.tanh(abs(scene.pole.angle)), "centre": 0.1 - 0.1 * abs(scene.cart.position)')
    twice = screened('"up": 2.0 - 2.0 * np.tanh(abs(scene.pole.angle)), "mid": 0.2 - 0.2 * abs(scene.cart.position)')
    other = screened('"upright": np.cos(scene.pole.angle), "calm": -0.3 * abs(scene.pole.angular_velocity)')
    constant = screened('"nothing": 0.0 * scene.pole.angle')
    assert screen.judge(constant).verdict == "refuse"
    assert planned == []
    assert screen.judge(good).verdict != "refuse"
    assert len(planned) == 1
    assert screen.same(good, twice)
    assert not screen.same(good, other)
    assert not screen.same(good, good.with_weights({"centre": 20.0}))
    for status, found in (("fitted", {"upright": 2.0}), ("no help", None)):
        fit = SimpleNamespace(weights={"upright": 2.0}, status=status)
        monkeypatch.setattr("robot_learn.search.screen.fit_weights", lambda *_, fit=fit: fit)
        assert screen.fit(good) == found
    assert isinstance(screen_for(sims.task(TASK), active=False), Unscreened)
