"""`robot-learn reward refine`: what a person types, and what a script says."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from robot_learn.cli import main
from robot_learn.cli.refine import sparklines
from robot_learn.errors import UserError
from robot_learn.refine import TERMS, Refinement
from robot_learn.rounds import Rounds
from robot_learn.runs import Run
from tests.robot_learn.refining import Lab, Writer, lab_of, run_of


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Lab:
    return lab_of(monkeypatch)


@pytest.fixture
def run(lab: Lab, tmp_path: Path) -> Run:
    return run_of(lab, tmp_path)


@pytest.fixture
def terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs the command on what a person types, with a model that gives the qualities named."""

    def type_in(*typed: str, answers: tuple[Any, ...] = (), words: tuple[str, ...] = ()) -> int:
        writer = Writer(list(answers))
        monkeypatch.setattr("rewards.models.connect", lambda *_, **__: writer)
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in typed)))
        return main(["reward", "refine", str(run.path), "--episodes", "10", "--no-video", *words])

    return type_in


def test_a_person_types_sentences_a_number_and_undo(
    terminal: Callable[..., int], run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert terminal("It leans.", "Faster!", "1", "undo", "quit", answers=(0.7, 0.4)) == 0
    shown = capsys.readouterr().out
    assert re.findall(r"success   (\d+ of 10)", shown) == ["1 of 10", "7 of 10", "4 of 10", "7 of 10", "4 of 10"]
    assert "upright" in shown
    assert str(Refinement.open(run.path).place(2).file(TERMS)) in shown
    assert Rounds(run).current.number == 2


def test_the_end_of_the_input_leaves_all_resumable(
    terminal: Callable[..., int], run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert terminal("It leans.", answers=(UserError("no reply in the mailbox"),) * 2) == 2
    assert "no reply in the mailbox" in capsys.readouterr().err
    assert Rounds(run).current.state == "asked"
    assert terminal("", answers=(0.7,)) == 0
    assert Rounds(run).current.state == "measured"


def test_a_mistake_at_the_terminal_is_a_message_and_the_question_comes_again(
    terminal: Callable[..., int], run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert terminal("", "undo", "0", "9", "It leans.", "quit", answers=(0.5,)) == 0
    told = capsys.readouterr().err
    for words in ("nothing was said", "nothing to undo", "none before it", "has no round 9; it has: 0"):
        assert words in told
    assert Rounds(run).current.successes == 5


def test_ctrl_c_in_a_training_ends_with_130_and_the_same_command_goes_on(
    terminal: Callable[..., int], run: Run, lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.interrupt = True
    words = ("--say", "It leans.", "--json")
    assert terminal(answers=(0.5,), words=words) == 130
    assert "go on with: robot-learn reward refine" in capsys.readouterr().err
    lab.interrupt = False
    assert terminal(words=words) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["current"], found["rounds"][1]["successes"], len(found["rounds"])) == (1, 5, 2)


def test_a_script_says_prefers_and_undoes(
    terminal: Callable[..., int], run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert terminal(answers=(0.7,), words=("--say", "It leans.", "--by", "ann")) == 0
    assert terminal(answers=(0.4,), words=("--say", "Faster!", "--steps", "3000")) == 0
    assert terminal(words=("--prefer", "1")) == 0
    assert terminal(answers=(0.8,), words=("--undo", "--prefer", "2", "--over", "0", "--say", "Like that.")) == 0
    moves = [(move.to, move.over) for move in Rounds(run).moves()]
    assert moves == [(1, None), (2, None), (2, 0), (3, None)]
    assert Rounds(run).lineage() == (0, 1, 2, 3)
    capsys.readouterr()
    assert main(["reward", "show", str(run.path), "--rounds"]) == 0
    shown = capsys.readouterr().out
    assert "Faster!" in shown
    assert "3,000" in shown
    assert "2 preferred to 0; Like that." in shown
    assert main(["reward", "refine", str(run.path), "--prefer", "12"]) == 2
    assert "has no round 12" in capsys.readouterr().err


def test_a_preference_said_twice_is_one_and_an_empty_sentence_lets_it_speak_alone(
    terminal: Callable[..., int], run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert terminal(answers=(0.7,), words=("--say", "It leans.")) == 0
    assert terminal(words=("--prefer", "1")) == 0
    assert terminal(words=("--prefer", "1")) == 0
    assert [(move.to, move.over) for move in Rounds(run).moves()] == [(1, None), (1, 0)]
    assert terminal(answers=(UserError("no reply"),), words=("--say", "")) == 2
    assert terminal(answers=(0.9,), words=("--say", "")) == 0
    now = Rounds(run).current
    assert (now.number, now.said, now.over, now.successes) == (2, None, (0,), 9)
    assert terminal(words=("--say", "")) == 2
    assert "nothing was said" in capsys.readouterr().err


def test_a_run_without_rounds_has_none_to_show(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reward", "show", str(run.path), "--rounds"]) == 2
    assert "no rounds yet" in capsys.readouterr().err


def test_bars_of_all_terms_have_one_scale_with_0_in_it() -> None:
    def bars(**terms: list[float]) -> list[str]:
        return [line.split()[1] for line in sparklines(dict(terms), 2.5).splitlines()[1:]]

    assert bars(up=[0.0, 7.0], level=[3.0] * 5) == ["▁" * 24 + "█" * 24, "▄" * 48]
    assert bars(down=[-4.0] * 9, none=[0.0], up=[3.0] * 200) == ["▁" * 48, "▅" * 48, "█" * 48]
    assert bars(noise=[0.0, 1e-15]) == ["▁" * 48]
