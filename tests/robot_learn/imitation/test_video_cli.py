"""`robot-learn video` from the command line, once with a real training, and a person in place of the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rewards import models
from robot_learn.cli import main
from robot_learn.errors import UserError
from robot_learn.imitation.critics import PersonCritic
from tests.robot_learn.imitation.standins import Model, small, video
from tests.robot_learn.imitation.test_screen import seen

__all__ = ["small", "video"]


@pytest.mark.usefixtures("small")
def test_a_video_becomes_a_trained_policy_and_the_same_command_has_nothing_left_to_do(
    tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    client = Model(folder, ((1.0,),))
    monkeypatch.setattr(models, "connect", lambda spec, **options: client)
    words = ["video", "mujoco/half-cheetah", "--video", str(video), "--out", str(folder), "--model", "by-rule"]
    words += ["--iterations", "1", "--alternatives", "1", "--steps", "800", "--num-envs", "16", "--episodes", "2"]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ended"] == "all iterations done"
    assert found["used"]["steps"] == 800
    assert found["iterations"][0]["verdict"] in ("accepted", "vetoed")
    assert (folder / "iterations" / "0" / "policy.npz").exists()
    assert "<video" in (folder / "imitation.html").read_text(encoding="utf-8")
    before = len(client.asked)
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "report" in shown
    assert len(client.asked) == before
    assert main(["video", "--resume", str(folder), "--undo"]) == 0
    assert "undone    iteration 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["video"], "wants a TASK and --video FILE"),
        (["video", "mujoco/ant", "--video", "nowhere.mp4"], "there is no such file"),
        (["video", "mujoco/cart-pole", "--video", "x.mp4"], "mujoco/cart-pole"),
        (["video", "mujoco/ant", "--video", "x.mp4", "--finalists", "5"], "finalists <= alternatives"),
        (["video", "--resume", "nowhere"], "is no imitation"),
        (["bench", "video", "--methods", "magic"], "magic"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(
    words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert says in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


class Typist:
    """A person who types from a list."""

    def __init__(self, *lines: str) -> None:
        self.lines, self.said = list(lines), list[str]()

    def critic(self) -> PersonCritic:
        return PersonCritic(lambda question: self.lines.pop(0), self.said.append)


def test_a_person_says_the_same_things_in_the_same_types_and_is_asked_once(tmp_path: Path) -> None:
    video, robot = seen(0.0), seen(3.0)
    words = ("a disc", "it goes up and down", "up, down", "it stays", "none ever", "upright")
    described = Typist(*words).critic().describe(tmp_path, video, 0)
    assert described.motion == "it goes up and down"
    assert Typist().critic().describe(tmp_path, video, 0) == described, "from its file"
    typist = Typist("no", "it hardly moves", "its posture", "11", "4", "torso", "always", "size", "height", "more")
    critique = typist.critic().compare(tmp_path, video, robot, 0)
    assert (critique.likeness, critique.problems[0].quantity, critique.keep) == (4.0, "height", ("its posture",))
    assert "wanted one of speed, height" in typist.said[-1]
    assert Typist().critic().compare(tmp_path, video, robot, 0) == critique


def test_a_person_is_not_told_which_robot_is_the_newer(tmp_path: Path) -> None:
    winners = set()
    for number in range(12):
        place = tmp_path / str(number)
        new, old = seen(float(number)), seen(float(number) + 0.5)
        found = Typist("a", "it is higher").critic().judge(place, seen(), new, old, 0)
        winners.add(found.winner)
        assert (place / "robot-a.png").read_bytes() in (new.shown.pictures[0], old.shown.pictures[0])
    assert winners == {"new", "old"}, "A is the newer one in some, the older one in others"
    same = Typist("same", "alike").critic().judge(tmp_path / "same", seen(), seen(1.0), seen(2.0), 0)
    assert (same.winner, same.confidence) == ("draw", 0.0)


def test_a_person_ranks_by_numbers_that_are_checked(tmp_path: Path) -> None:
    typist = Typist("1 1 2", "3, 1, 2")
    assert typist.critic().rank(tmp_path, seen(), [seen(1.0), seen(2.0), seen(3.0)], 0) == [2, 0, 1]
    assert "once" in typist.said[-1]


def test_nobody_at_the_terminal_is_an_error_that_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    from robot_learn.cli.video import _line

    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(UserError, match="goes on when somebody does"):
        _line("? ")


def test_sheets_differ_where_robots_do() -> None:
    codes: Any = np.array([int(seen(float(speed)).shown.codes[0]) for speed in range(10)])
    assert len(np.unique(codes)) > 5
