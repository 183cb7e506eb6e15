"""`robot-learn correct`: with a simulated person, at a keyboard on a pseudo-terminal, resumed, replayed, refused."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import sys
import termios
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from controllers.mpc import Mpc
from controllers.systems import SYSTEMS, game
from robot_learn.alignment.drawing import PLAN, ROBOT, draw, pictures
from robot_learn.alignment.keyboard import pushes
from robot_learn.alignment.lines import read_lines
from robot_learn.cli import main


def test_a_simulated_person_teaches_the_pendulum_and_the_session_is_replayed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["correct", "pendulum", "--seed", "1", "--out", str(tmp_path), "--json"]) == 0
    shown = capsys.readouterr()
    result = json.loads(shown.out)
    assert result["outcome"] == "satisfied"
    assert np.linalg.norm(np.array(result["theta"]) - game("pendulum").truth) < 0.02
    assert "stopped after" in shown.err
    assert json.loads(Path(result["constraint"]).read_text())["theta"] == result["theta"]

    assert main(["correct", "--replay", result["run"], "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["deviation"] <= 1e-9
    assert again["theta"] == result["theta"]
    assert again["entries"] == sum(result["counts"].values())

    path = Path(result["run"]) / "corrections.jsonl"
    lines = read_lines(path)
    lines[-1]["theta_after"][0] += 1e-6
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(["correct", "--replay", result["run"]]) == 2
    assert "another version of the learner" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "wants a SYSTEM, or --resume RUN"),
        (["pendulm"], "did you mean 'pendulum'"),
        (["pendulum", "--rule", "ful"], "did you mean 'full'"),
        (["pendulum", "--mistaken", "1"], "wanted a share"),
        (["pendulum", "--corrections", "0"], "1 or more corrections"),
        (["pendulum", "--resume", "nowhere"], "came ['system', 'resume']"),
        (["--replay", "nowhere"], "does not exist"),
        (["pendulum", "--human", "keyboard"], "the keyboard is no terminal here"),
    ],
)
def test_a_mistake_is_one_clear_message_and_makes_no_folder(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert main(["correct", *words, "--out", str(tmp_path / "runs")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_direction_of_every_system_has_a_key(system: str) -> None:
    directions = game(system).directions
    table = pushes(directions)
    assert set(table.values()) == set(directions)
    if "forward" in directions:
        assert (table["up arrow"], table["w"]) == ("forward", "up")


def test_a_person_at_a_terminal_pushes_undoes_and_is_satisfied(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    master, slave = pty.openpty()
    with os.fdopen(slave) as stdin:
        before = termios.tcgetattr(slave)
        monkeypatch.setattr(sys, "stdin", stdin)

        def press() -> None:
            while termios.tcgetattr(slave)[3] & termios.ICANON:
                time.sleep(0.02)
            for key in (b" ", b"\x1b[C", b"u", b"\x1b[D", b"f", b" ", b"\r", b"\x1b"):
                os.write(master, key)
                time.sleep(0.1)

        thread = threading.Thread(target=press)
        thread.start()
        assert main(["correct", "pendulum", "--human", "keyboard", "--out", str(tmp_path), "--json"]) == 0
        thread.join()
        assert termios.tcgetattr(slave) == before
    os.close(master)
    result = json.loads(capsys.readouterr().out)
    assert result["outcome"] == "satisfied"
    said = [line["kind"] for line in read_lines(Path(result["run"]) / "corrections.jsonl") if line["kind"] != "silence"]
    assert said == ["push", "undo", "push", "fine", "stop"]
    assert not json.loads((Path(result["run"]) / "config.json").read_text())["session"]["rule"]["axes"]


@pytest.mark.parametrize("system", ["pendulum", "uav-gate", "franka-reach", "franka-joints"])
def test_a_drawing_shows_the_robot_and_where_its_plan_goes(system: str) -> None:
    played = game(system)
    situation = played.start(np.random.default_rng(0), 0)
    plan = Mpc(played.system).plan(situation.state, played.truth, situation.target, shift=False)
    for picture in pictures(system):
        text = "".join(draw(picture, plan.states, plan.target))
        assert text.count(ROBOT) == 1
        assert PLAN in text


def test_an_interrupted_session_goes_on_where_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from robot_learn.alignment.people import Person

    with pytest.MonkeyPatch.context() as patch:
        turns = []

        def interrupting(self: Person, session: object) -> None:
            turns.append(1)
            if len(turns) == 3:
                signal.raise_signal(signal.SIGINT)  # in the midst of a turn: the turn is finished first
            turn(self, session)  # type: ignore[arg-type]

        turn = Person._turn
        patch.setattr(Person, "_turn", interrupting)
        assert main(["correct", "pendulum", "--out", str(tmp_path)]) == 130
    assert len(turns) == 3
    (run,) = tmp_path.iterdir()
    assert f"correct --resume {run}" in capsys.readouterr().err
    said = (run / "corrections.jsonl").read_text()
    assert (run / "constraint.json").exists()
    assert main(["correct", "--resume", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["outcome"] == "satisfied"
    assert (run / "corrections.jsonl").read_text().startswith(said)
    assert main(["correct", "--replay", str(run)]) == 0


def test_a_robot_that_asks_learns_from_answers_about_plans_that_it_only_imagined(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["correct", "pendulum", "--rule", "ask", "--out", str(tmp_path), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    lines = read_lines(Path(result["run"]) / "corrections.jsonl")
    asked = [line for line in lines if line["asked"]]
    assert asked
    assert {line["step"] for line in asked} == {0}
    assert main(["correct", "--replay", result["run"]]) == 0
