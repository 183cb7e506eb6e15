"""Corrections as an activity: what a page sends, what the learner receives, what a page is told."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controllers import constraint
from controllers.mpc import Mpc
from controllers.systems import SYSTEMS, game
from robot_learn.alignment.held_out import held_out
from robot_learn.alignment.record import entries_of, learned
from robot_learn.cli import main
from robot_learn.errors import UserError
from robot_learn.session.activity import Person, Place
from robot_learn.session.correct.activity import CorrectActivity, offers, open_activity
from robot_learn.session.correct.ends import SHOWN, Film, Filmed, read_result
from robot_learn.session.correct.record import wanted_setting
from robot_learn.session.headless.keyed import KeyedHuman, play

ADA, WATCHER = Person("Ada", "one", holds=True), Person("Bob", "two", holds=False)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "correct-pendulum", tmp_path)


@pytest.fixture
def activity(place: Place) -> Iterator[CorrectActivity]:
    made = open_activity("pendulum", place)
    yield made
    made.close()


def until(activity: CorrectActivity, holds: Callable[[dict[str, Any]], Any], seconds: float = 60) -> dict[str, Any]:
    """Tick until the state is so."""
    end = time.monotonic() + seconds
    while not holds(told := activity.state()):
        assert time.monotonic() < end, {k: v for k, v in told.items() if k not in ("plan", "charts")}
        activity.tick(time.monotonic())
        time.sleep(0.002)
    return told


def go(activity: CorrectActivity) -> None:
    activity.do("pause", {"paused": False}, ADA)


def test_every_system_is_offered(place: Place) -> None:
    assert sorted(offer.what for offer in offers(place)) == sorted(SYSTEMS)
    assert all(offer.text for offer in offers(place))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["correct", "uav-gat"], "did you mean 'uav-gate'?"),
        (["corect", "uav-gate"], "did you mean 'correct'?"),
        (["correct"], "wanted what to open it with"),
        (["--port", "70000"], "--port 70000: wanted 0 to 65535"),
        (["--host", "nowhere"], "--host nowhere: wanted an address of this machine"),
    ],
)
def test_the_command_tells_what_makes_no_sense(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["session", *words]) == 2
    assert says in capsys.readouterr().err


def test_the_robot_waits_until_it_is_told_to_start(activity: CorrectActivity) -> None:
    for _ in range(20):
        activity.tick(time.monotonic())
    told = activity.state()
    assert (told["phase"], told["why"], told["step"]) == ("paused", "ready", 0)
    go(activity)
    assert until(activity, lambda told: told["step"] >= 3)["phase"] == "running"


def test_the_robot_keeps_to_the_clock(activity: CorrectActivity) -> None:
    go(activity)
    began = time.monotonic()
    until(activity, lambda told: told["step"] >= 25)
    assert time.monotonic() - began >= 24 * game("pendulum").system.control_dt


def test_a_push_is_on_the_disk_about_the_plan_that_was_seen(activity: CorrectActivity) -> None:
    """However many plans have come since."""
    go(activity)
    seen = until(activity, lambda told: told["step"] >= 2)["plan"]
    until(activity, lambda told: told["step"] >= 5)
    answer = activity.do("push", {"direction": "left", "about": seen["id"]}, ADA)
    entry = [entry for entry in entries_of(activity._run) if entry.kind == "push"][-1]
    assert entry.state.tolist() == seen["state"]
    assert entry.controls.tolist() == seen["controls"]
    assert entry.direction is not None
    assert entry.direction.tolist() == [-1.0]
    assert answer is not None
    assert answer["lesson"] == activity.lessons() == len(entries_of(activity._run))


def test_a_push_makes_the_plan_anew_at_once(activity: CorrectActivity) -> None:
    go(activity)
    before = until(activity, lambda told: told["step"] >= 3)
    answer = activity.do("push", {"direction": "left", "about": before["plan"]["id"]}, ADA)
    after = activity.state()
    assert answer is not None
    assert answer["plan"] == after["plan"]["id"] > before["plan"]["id"]
    assert after["phase"] == "running"
    assert np.array_equal(activity.session.plan.theta, activity.session.learner.theta)


def test_a_plan_that_is_long_gone_teaches_nothing(activity: CorrectActivity) -> None:
    with pytest.raises(UserError, match="long gone"):
        activity.do("push", {"direction": "left", "about": 17}, ADA)
    assert activity.lessons() == 0


@pytest.mark.parametrize(
    ("what", "arguments", "says"),
    [
        ("push", {"direction": "sideways"}, "no direction named 'sideways'"),
        ("dance", {}, "no act named 'dance'"),
        ("confirm", {}, "wanted whether it was meant"),
        ("confirm", {"meant": True}, "doubts none"),
        ("undo", {}, "no correction to undo"),
        ("again", {}, "not over yet"),
    ],
)
def test_what_makes_no_sense_is_told(
    activity: CorrectActivity, what: str, arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(UserError, match=says):
        activity.do(what, arguments, ADA)


def test_who_only_watches_cannot_act(activity: CorrectActivity) -> None:
    with pytest.raises(UserError, match="another page holds the controls"):
        activity.do("push", {"direction": "left"}, WATCHER)


def test_without_a_page_the_robot_holds(activity: CorrectActivity) -> None:
    go(activity)
    until(activity, lambda told: told["step"] >= 2)
    activity.absent(0.31)
    held = activity.state()
    time.sleep(0.1)
    activity.tick(time.monotonic())
    assert (held["phase"], held["why"]) == ("paused", "the page was gone")
    assert activity.state()["step"] == held["step"]


def test_an_emergency_stop_ends_the_episode_and_waits(activity: CorrectActivity) -> None:
    go(activity)
    told = until(activity, lambda told: told["step"] >= 2)
    activity.do("stop", {"about": told["plan"]["id"]}, ADA)
    told = activity.state()
    assert (told["phase"], told["why"], told["ended"]) == ("paused", "stopped by you", "stopped")
    assert told["episodes"][-1]["stopped"]
    go(activity)
    assert until(activity, lambda told: told["episode"] == 1)["phase"] == "running"


def test_undo_takes_the_last_correction_back(activity: CorrectActivity) -> None:
    before = activity.session.learner.theta.copy()
    activity.do("push", {"direction": "left"}, ADA)
    assert not np.array_equal(activity.session.learner.theta, before)
    activity.do("undo", {}, ADA)
    assert np.array_equal(activity.session.learner.theta, before)
    assert activity.state()["taught"] == 0


def test_a_page_tells_what_of_the_corrections_is_still_in_force(activity: CorrectActivity) -> None:
    for direction in ("left", "right"):
        activity.do("push", {"direction": direction}, ADA)
    activity.do("fine", {}, ADA)
    assert activity.state()["standing"] == {"corrections": 2, "fine": 1, "silence": 0}
    assert activity.do("undo", {}, ADA)["text"] == "this is fine"  # type: ignore[index]
    assert activity.do("undo", {}, ADA)["text"] == "push right"  # type: ignore[index]
    activity.do("push", {"direction": "right"}, ADA)
    told = activity.state()
    assert told["standing"] == {"corrections": 2, "fine": 0, "silence": 0}
    assert [(word["text"], word["fate"]) for word in told["corrections"]] == [
        ("push left", ""),
        ("push right", "taken back"),
        ("this is fine", "taken back"),
        ("push right", ""),
    ]


def test_an_undo_takes_back_what_silence_has_said_since(place: Place) -> None:
    """So the lessons that are told to be in force are those that the learner has cuts of."""
    activity = open_activity("uav-gate", place)
    activity.do("step", {}, ADA)
    activity.do("push", {"direction": "left"}, ADA)
    first = activity.state()["standing"]
    for _ in range(150):
        activity.do("step", {}, ADA)
        if activity.state()["standing"]["silence"] > first["silence"]:
            break
    told = activity.state()
    cuts = set(activity.session.learner.hypotheses.corrections.tolist())
    assert told["standing"]["silence"] == sum(number < 0 for number in cuts) > first["silence"]
    activity.tick(time.monotonic())
    kept = constraint.load(activity._run.file("constraint.json"))
    assert np.array_equal(kept.theta, activity.session.learner.theta)  # silence is kept, too
    activity.do("undo", {}, ADA)
    assert activity.state()["standing"] == first | {"corrections": 0}
    assert set(activity.session.learner.hypotheses.corrections.tolist()) == {-n - 1 for n in range(first["silence"])}
    assert activity.state()["counts"]["silence"] == told["counts"]["silence"]
    activity.close()


def test_what_was_learned_is_on_the_disk_after_each_correction(activity: CorrectActivity) -> None:
    """A killed server leaves what the terminal's command leaves at its end."""
    path = activity._run.file("constraint.json")
    assert not path.exists()
    go(activity)
    for what, arguments in (("push", {"direction": "left"}), ("fine", {}), ("undo", {})):
        activity.do(what, arguments, ADA)
        activity.tick(time.monotonic())
        kept = constraint.load(path, game("pendulum").system)
        wanted = learned(activity.session, activity._run.path.name)
        assert np.array_equal(kept.theta, activity.session.learner.theta)
        assert (kept.source, kept.uncertainty.corrections) == (wanted.source, wanted.uncertainty.corrections)  # type: ignore[union-attr]


def test_a_satisfied_person_stays_so_when_the_server_is_killed_before_the_check(place: Place) -> None:
    first = open_activity("pendulum", place)
    first.do("satisfied", {}, ADA)
    assert read_result(first._run) == {"outcome": "satisfied"}
    # Killed: nothing is closed, nothing ticks.
    again = open_activity("pendulum", place)
    assert (again._run.path / "constraint.json").exists()
    assert again.state()["phase"] == "over"
    assert until(again, lambda told: "passed" in (told["check"] or {}))["check"]["episodes"] == 3
    again.close()
    first.close()


def test_the_first_held_out_episodes_are_shown_as_they_were_driven(activity: CorrectActivity) -> None:
    activity.do("satisfied", {}, ADA)
    seen: dict[int, list[np.ndarray]] = {}

    def ends(told: dict[str, Any]) -> bool:
        if told["shown"]:
            assert told["shown"]["of"] == SHOWN
            states = seen.setdefault(told["shown"]["episode"], [])
            states.append(activity._shown.states[0])
        return "passed" in (told["check"] or {}) and told["shown"] is None

    until(activity, ends)
    assert sorted(seen) == [1, 2, 3]
    for states in seen.values():
        assert len(np.unique(np.array(states), axis=0)) > 10


def test_a_film_changes_nothing_of_what_is_measured() -> None:
    played = game("pendulum")
    film = Film(played)
    filmed = held_out(played, Filmed(played, played.truth.copy() * 0.9, film), played.truth * 0.9, 2)
    assert film.look(0.0) is None  # the theta that was driven under was another object: starts are not shown
    theta = played.truth * 0.9
    assert (
        held_out(played, Filmed(played, theta, film), theta, 2)
        == filmed
        == held_out(played, Mpc(played.system), theta, 2)
    )
    assert film.look(0.0) == 0.0
    assert film.told(complete=False) == {"episode": 1, "of": 3, "unsafe": False}


def test_single_steps_are_for_pauses(activity: CorrectActivity) -> None:
    activity.do("step", {}, ADA)
    assert (activity.state()["step"], activity.state()["phase"]) == (1, "paused")
    go(activity)
    with pytest.raises(UserError, match="pause first"):
        activity.do("step", {}, ADA)


def test_a_session_goes_on_where_it_was_killed(place: Place) -> None:
    first = open_activity("pendulum", place)
    go(first)
    until(first, lambda told: told["step"] >= 3)
    for direction in ("left", "right", "left"):
        first.do("push", {"direction": direction}, ADA)
    theta, lessons = first.session.learner.theta, first.lessons()
    # Killed: nothing is closed.
    again = open_activity("pendulum", place)
    assert np.array_equal(again.session.learner.theta, theta)
    assert again.lessons() == lessons
    assert (again.state()["phase"], again.state()["why"]) == ("paused", "ready")
    again.close()
    first.close()


def test_another_rule_begins_another_session(place: Place) -> None:
    first = open_activity("pendulum", place)
    first.do("push", {"direction": "left"}, ADA)
    first.close()
    other = open_activity("pendulum", Place(place.folder, place.out, {"rule": "forgiving"}))
    assert other.lessons() == 0
    other.close()
    with pytest.raises(UserError, match="no rule named"):
        open_activity("pendulum", Place(place.folder, place.out, {"rule": "strict"}))


def test_the_end_is_checked_and_kept_and_another_session_may_begin(place: Place) -> None:
    activity = open_activity("pendulum", place)
    activity.do("satisfied", {}, ADA)
    check = until(activity, lambda told: told["check"] and "passed" in told["check"])["check"]
    assert check["episodes"] == 3
    assert (activity._run.path / "constraint.json").exists()
    activity.close()
    again = open_activity("pendulum", place)
    told = again.state()
    assert (told["phase"], told["outcome"], told["check"]) == ("over", "the person is satisfied", check)
    with pytest.raises(UserError, match="the session is over"):
        again.do("pause", {}, ADA)
    again.do("again", {}, ADA)
    assert again.state()["phase"] == "paused"
    again.close()


def test_the_robot_asks_before_an_episode_and_learns_from_the_answer(place: Place) -> None:
    activity = open_activity("reacher", Place(place.folder, place.out, {"rule": "ask"}))
    activity.do("push", {"direction": "right"}, ADA)
    go(activity)
    activity.do("stop", {}, ADA)
    go(activity)
    told = until(activity, lambda told: (told["question"] or {}).get("unsafe") or told["episode"] == 1)
    assert 0.15 <= told["question"]["unsafe"] <= 0.85
    assert told["episode"] == 0
    before = activity.lessons()
    activity.do("stop", {}, ADA)
    entry = entries_of(activity._run)[before]
    assert (entry.kind, entry.asked) == ("stop", True)
    assert activity.state()["question"] is None
    assert until(activity, lambda told: told["episode"] == 1)["phase"] == "running"
    activity.close()


def test_a_doubted_correction_is_confirmed_by_the_person(place: Place) -> None:
    activity = open_activity("pendulum", Place(place.folder, place.out, {"rule": "forgiving"}))
    directions = ["left"] * 4 + ["right"] * 3
    for direction in directions:
        activity.do("push", {"direction": direction}, ADA)
        if activity.state()["doubted"]:
            break
    doubted = activity.state()["doubted"]
    assert doubted is not None
    assert "push" in doubted["text"]
    activity.do("confirm", {"meant": False}, ADA)
    assert entries_of(activity._run)[-1].kind == "denied"
    assert entries_of(activity._run)[-1].about == doubted["number"]
    assert activity.state()["corrections"][doubted["number"] - 1]["fate"] == "not meant"
    activity.close()


def test_what_a_page_is_told_is_plain_json_and_small(activity: CorrectActivity) -> None:
    for direction in ("right", "left") * 10:
        if activity.state()["phase"] != "over":
            activity.do("push", {"direction": direction}, ADA)
    assert activity.lessons() > 5
    until(activity, lambda told: told["charts"][0]["cells"])
    assert len(json.dumps(activity.state(), allow_nan=False)) < 20_000
    assert len(json.dumps(activity.live(), allow_nan=False)) < 300


def test_the_keyed_person_teaches_the_pendulum(tmp_path: Path) -> None:
    """The one who plays through the page: with keys alone, and as often as asked the same."""
    setting = wanted_setting("pendulum", Place(tmp_path, tmp_path, {"seed": "3"}))
    mpc = Mpc(game("pendulum").system)
    sessions = [play(setting, mpc, 6) for _ in range(2)]
    counts = [session.counts for session in sessions]
    assert counts[0] == counts[1]
    assert counts[0]["push"] > 0
    truth = game("pendulum").truth
    start = np.linalg.norm((game("pendulum").system.theta_low + game("pendulum").system.theta_high) / 2 - truth)
    assert np.linalg.norm(sessions[0].learner.theta - truth) < start / 2
    assert sessions[0].learner.hypotheses.contains(truth)


def test_what_a_page_shows_is_enough_to_decide_as_in_process(activity: CorrectActivity) -> None:
    played = game("pendulum")
    beside, page = (KeyedHuman(played, Mpc(played.system), 1) for _ in range(2))
    words = set()
    for _ in range(60):
        told = json.loads(json.dumps(activity.state()))
        word = beside.watch(activity.session.episode, activity.session.plan)
        assert page.watch_page(told) == word
        words.add(word)
        activity.do("step", {}, ADA)
    assert len(words) > 1, words
