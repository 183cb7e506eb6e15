"""A recorded session: nothing said is lost, and all of it can be learned again to the same theta."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from controllers import constraint
from controllers.alignment.learner import Learner, Rule
from controllers.mpc import Mpc
from controllers.systems import game
from robot_learn.alignment.lines import Lines, read_lines
from robot_learn.alignment.people import Person
from robot_learn.alignment.record import CORRECTIONS, EPISODES, Setting, begin, entries_of, open_session, relearn
from robot_learn.errors import UserError
from robot_learn.runs import CONFIG

GAME = game("pendulum")


@cache
def mpc() -> Mpc:
    return Mpc(GAME.system)


def setting(seed: int = 0, mistakes: float = 0.0) -> Setting:
    rule = vars(Rule(mistakes=mistakes))
    return Setting("pendulum", GAME.system.version, rule, seed, "simulated", 0.0, False, 0.0, 0.008, 60, 100)


@pytest.mark.parametrize("mistakes", [0.0, 0.1])
def test_what_was_recorded_teaches_the_same_theta_again(tmp_path: Path, mistakes: float) -> None:
    run = begin(setting(1, mistakes), tmp_path)
    session, recording, _ = open_session(run, mpc=mpc())
    session.fine()
    session.push("left")
    session.undo()
    person = Person(GAME, 1)
    person.play(session)
    recording.close(session)

    learner = Learner(mpc(), Rule(mistakes=mistakes), rho=0.008)
    entries = entries_of(run)
    assert relearn(learner, entries) <= 1e-9
    assert np.abs(learner.theta - session.learner.theta).max() <= 1e-9 * 8
    assert {entry.kind for entry in entries} >= {"fine", "undo", "stop"}
    assert [entry.kind for entry in entries] == [entry.kind for entry in session.entries]
    assert len(read_lines(run.file(EPISODES))) == len(session.episodes)


def test_answers_to_doubts_are_learned_again_as_well(tmp_path: Path) -> None:
    run = begin(setting(1, mistakes=0.1), tmp_path)
    session, recording, _ = open_session(run, mpc=mpc())
    answers = 0
    for turn in range(30):  # the same plan, pushed both ways: one of the two must be a mistake
        if session.learner.doubted is None:
            session.push("left" if turn % 3 else "right")
        else:
            answers += 1
            session.confirm(meant=answers % 2 == 1)
    recording.close(session)
    entries = entries_of(run)
    learner = Learner(mpc(), Rule(mistakes=0.1), rho=0.008)
    assert {"meant", "denied"} <= {entry.kind for entry in entries}
    assert relearn(learner, entries) <= 1e-9
    assert learner.doubted == session.learner.doubted


def test_a_killed_session_goes_on_with_all_that_was_said_before_the_kill(tmp_path: Path) -> None:
    run = begin(setting(2), tmp_path)
    child = os.fork()
    if child == 0:
        session, _, _ = open_session(run, mpc=mpc())
        session.push("left")
        session.stop()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    with run.file(CORRECTIONS).open("a") as file:
        file.write('{"kind": "pu')  # what a kill in the midst of a line leaves

    session, recording, deviation = open_session(run, mpc=mpc())
    assert deviation <= 1e-9
    assert [entry.kind for entry in session.entries] == ["push", "stop"]
    assert (session.episode, session.episodes[0].stopped) == (1, True)
    session.push("right")
    recording.close(session)
    assert [line["kind"] for line in read_lines(run.file(CORRECTIONS))] == ["push", "stop", "push"]
    again, other, _ = open_session(run, mpc=mpc())
    other.close(again)
    assert np.array_equal(again.learner.theta, session.learner.theta)


def test_what_was_learned_is_saved_as_a_constraint_of_the_system(tmp_path: Path) -> None:
    session, recording, _ = open_session(begin(setting(), tmp_path), mpc=mpc())
    session.stop()
    found = constraint.load(recording.close(session), GAME.system)
    assert np.array_equal(found.theta, session.learner.theta)
    assert found.uncertainty is not None
    assert found.uncertainty.corrections == 1


def test_corrections_about_features_that_have_changed_are_refused(tmp_path: Path) -> None:
    run = begin(replace(setting(), features_version=0), tmp_path)
    with pytest.raises(UserError, match="version 0 of the features"):
        open_session(run, mpc=mpc())
    run.write_json(CONFIG, {"task": "pendulum"})
    with pytest.raises(UserError, match="is no session"):
        Setting.read(run)


def test_a_damaged_line_is_named_with_its_number(tmp_path: Path) -> None:
    run = begin(setting(), tmp_path)
    run.file(CORRECTIONS).write_text('{"kind": "push"}\n')
    with pytest.raises(UserError, match=r"corrections\.jsonl, line 1, is no correction"):
        entries_of(run)
    run.file(CORRECTIONS).write_text("{}\nx\n")
    with pytest.raises(UserError, match="line 2, is not JSON"):
        entries_of(run)


def test_a_line_that_was_cut_short_is_dropped_before_others_are_added(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    path.write_text('{"a": 1}\n{"a": 2')
    assert read_lines(path) == [{"a": 1}]
    lines = Lines(path)
    lines.add({"a": 3.0 / 7.0})
    lines.close()
    assert read_lines(path) == [{"a": 1}, {"a": 3.0 / 7.0}]
