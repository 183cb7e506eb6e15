"""A person beside a driving policy: what they push teaches, what they press stops, and all of it is kept."""

from __future__ import annotations

import itertools
import json
import select
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controllers import constraint
from controllers.alignment.cuts import cuts
from controllers.alignment.learner import Learner
from controllers.mpc import Mpc
from controllers.systems import franka_joints
from controllers.systems.franka_joints import SYSTEM
from hardware.inputs import remote
from hardware.inputs.pushes import Push
from robot_learn.alignment.people import rule_named
from robot_learn.alignment.record import entries_of, relearn
from robot_learn.deployment.episodes import read_steps
from robot_learn.deployment.lessons import FRESH, Lessons, correction
from robot_learn.deployment.loop import Step
from robot_learn.deployment.pilot import Pilot
from robot_learn.runs import Run
from tests.robot_learn.deployment.conftest import Stage
from tests.robot_learn.deployment.scripted_hand import HELD, OPEN, play, pushing
from tests.robot_learn.deployment.test_loop import run
from tests.robot_learn.deployment.test_session import _with_clock, deploy

LOW = franka_joints.REST  # [rad] the hand half way across, lower than what stands there


@pytest.fixture
def step(reach: Stage) -> Step:
    """A step of a policy that moves across, the hand low."""
    _, steps = run(reach)
    first = steps[0]
    return replace(first, observation=replace(first.observation, q=LOW), filtered=0.2 * np.eye(7)[0])


def push(direction: str, *, held: bool = True) -> Push:
    return Push(direction, np.zeros(6), 0.0, held)


def test_the_plan_of_a_push_is_the_policys_motion_kept_up(step: Step) -> None:
    said = correction("push", step, franka_joints.GAME.directions["up"])
    np.testing.assert_array_equal(said.state, LOW)
    np.testing.assert_array_equal(said.controls, np.tile(step.filtered, (SYSTEM.horizon, 1)))
    q = LOW.copy()
    for control in said.controls:
        q = SYSTEM.step(q, control)
    np.testing.assert_allclose(said.target, franka_joints.hand(q)[0], atol=1e-12)


def test_pushes_on_the_way_to_what_is_unsafe_close_in_on_the_truth(step: Step, tmp_path: Path) -> None:
    up, mpc, truth = franka_joints.GAME.directions["up"], Mpc(SYSTEM), franka_joints.TRUTH
    lessons = Lessons(tmp_path, lambda line: None)
    # A policy crosses low; half a second before it is where that is forbidden, the person pushes it up.
    for turned, lifted in ((-0.6, 0.0), (-0.58, 0.0), (-0.56, 0.0), (-0.54, 0.1), (-0.52, 0.1)):
        q = LOW + turned * np.eye(7)[0] + lifted * up
        shown = replace(step, observation=replace(step.observation, q=q))
        said = correction("push", shown, up)
        _, phi = mpc.evaluate(said.state, said.controls, said.target)
        assert -0.4 < SYSTEM.offset + phi @ truth < 0.0, "the plan is not on the way to what is unsafe"
        lessons.step(shown)
        lessons.push(push("up"))
    learned = constraint.load(lessons.close(), SYSTEM)
    learner = lessons.learner
    assert len(learner.corrections) == 5
    for said in learner.corrections:
        for cut in cuts(mpc, said):
            assert cut.normal @ truth <= cut.offset + 1e-9, f"the truth was cut off by {cut.source}"
    start = Learner(mpc, learner.rule).hypotheses.log_volume
    assert learner.hypotheses.log_volume < start - 4.0
    np.testing.assert_array_equal(learned.theta, learner.theta)


def test_only_a_held_push_in_a_known_direction_about_a_fresh_step_counts(step: Step, tmp_path: Path) -> None:
    lessons = Lessons(tmp_path, lambda line: None)
    lessons.push(push("up"))  # nothing was shown yet
    lessons.step(step)
    lessons.push(push("up", held=False))
    lessons.push(push("forward"))  # the system knows no such direction
    for _ in range(FRESH + 1):
        lessons.step(replace(step, who="person"))
    lessons.push(push("up"))  # the person has driven for long
    lessons.stop()
    lessons.begin(1)
    lessons.push(push("up"))  # a new episode
    lessons.close()
    assert lessons.learner.corrections == []


def test_what_was_said_can_be_learned_again(step: Step, tmp_path: Path) -> None:
    made = Run.create(tmp_path, task="franka/reach", seed=0, config={})
    lessons = Lessons(made.path, lambda line: None)
    lessons.step(step)
    lessons.push(push("up"))
    lessons.push(push("left"))
    lessons.stop()
    lessons.close()
    entries = entries_of(made)
    assert [entry.kind for entry in entries] == ["push", "push", "stop"]
    again = Learner(Mpc(SYSTEM), rule_named("stops", keyboard=True))
    assert relearn(again, entries) < 1e-9


def with_hand(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    script: Sequence[tuple[int, dict[str, Any]]],
    *words: str,
) -> dict[str, Any]:
    """What `deploy` says of an episode with a scripted hand at its socket."""
    read = remote.Remote.read
    clock = itertools.count(100.0, 0.04)  # [s] of the readings, whatever else this computer does

    def patient(source: remote.Remote, now: float) -> Any:
        seen = read(source, now)
        if source._client is not None and source._known:
            select.select([source._client], [], [], 5.0)  # the hand answers before it is read again
        return seen

    monkeypatch.setattr(remote.Remote, "read", patient)
    monkeypatch.setattr(Pilot, "__init__", _with_clock(Pilot.__init__, lambda: float(next(clock))))
    monkeypatch.setattr(remote.secrets, "token_urlsafe", lambda size: "agreed")
    path = folder / "hand.sock"
    hand = threading.Thread(target=play, args=(str(path), "agreed", script), daemon=True)
    hand.start()
    told = deploy(capsys, folder, "script:franka/reach", "--episodes", "1", "--hand", f"socket:{path}", *words)
    hand.join(5.0)
    return told


def test_a_push_reaches_arm_learner_and_recorder(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = [(5, OPEN), (10, HELD), (20, pushing(0, 0, 1, 0, 0, 0)), (1, HELD)]
    told = with_hand(capsys, monkeypatch, tmp_path, script, "--correct")
    session = Path(told["session"])
    lines = read_steps(session / "episode-0000")
    (said,) = [line["push"] for line in lines if "push" in line]
    assert (said["direction"], said["held"]) == ("up", True)
    steps = [line for line in lines if "step" in line]
    person = [line for line in steps if line["who"] == "person"]
    assert told["episodes"][0]["corrected"] == len(person) > 5
    rises = [line["scene"]["robot.tcp_velocity"][2] for line in person]
    assert max(rises) > 0.05, "the arm did not go where it was pushed"
    (entry,) = entries_of(Run.open(session))
    about = lines[lines.index({"push": said}) - 1]
    assert entry.kind == "push"
    np.testing.assert_array_equal(entry.state, about["observation"]["q"])
    assert constraint.load(session / "constraint.json", SYSTEM).theta.shape == (SYSTEM.r,)
    again = ["--filter", str(session / "constraint.json"), "--steps", "5", "--dataset", "filtered/reach"]
    assert deploy(capsys, tmp_path, "script:franka/reach", "--episodes", "1", *again)["steps"] == 5


@pytest.mark.parametrize("held", [True, False], ids=["switch held", "switch open"])
def test_the_stop_button_stops_the_arm_and_ends_the_episode(
    held: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = [(5, OPEN), (10, HELD), (1, {"dead_man": held, "buttons": ["stop"]}), (1, HELD)]
    told = with_hand(capsys, monkeypatch, tmp_path, script)
    assert told["reasons"] == {"person stopped": 1}
    (episode,) = told["episodes"]
    assert episode["steps"] < 12
    assert episode["rest"] is not None
    assert "stop was pressed" in episode["detail"]
    outcome = json.loads((Path(told["session"]) / "episode-0000" / "outcome.json").read_text())
    assert outcome["reason"] == "person stopped"


def test_a_stop_before_the_first_step_ends_the_wait_for_the_switch(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = with_hand(capsys, monkeypatch, tmp_path, [(3, OPEN), (1, {"buttons": ["quit"]})])
    assert told["reasons"] == {"person stopped": 1}
    assert told["steps"] == 0
