"""A session: what the person may do, when it is over, and that no step of the game is lost."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from controllers.alignment.human import SimulatedHuman
from controllers.alignment.learner import Learner, Rule
from controllers.mpc import Mpc
from controllers.systems import game
from robot_learn.alignment.events import Ends
from robot_learn.alignment.people import Person, rule_named
from robot_learn.alignment.session import PERSON, STARTS, Session, generator
from robot_learn.errors import UserError

GAME = game("pendulum")
FREE = Ends(certain=False, misspecified=False)


@cache
def mpc() -> Mpc:
    return Mpc(GAME.system)


def session(rule: str = "full", **options: Any) -> Session:
    return Session(GAME, Learner(mpc(), rule_named(rule)), **({"ends": FREE} | options))


def plainly(learner: Learner, human: SimulatedHuman, number: int, rng: np.random.Generator) -> list[str]:
    """One episode without a session; returns what was said."""
    situation, said = GAME.start(rng, number), []
    state = situation.state
    learner.mpc.forget()
    for step in range(GAME.max_steps):
        plan = learner.mpc.plan(state, learner.theta, situation.target, shift=step > 0)
        correction = human.watch(plan, learner.mpc.gradients(plan))
        if correction is None:
            learner.watched(plan)
        else:
            said.append(correction.kind)
            learner.correct(correction)
            if correction.kind == "stop":
                break
        assert GAME.noise is not None
        state = GAME.system.step(state, plan.controls[0]) + GAME.noise * rng.standard_normal(2)
        if GAME.reached(state, situation.target):
            break
    return said


def test_a_session_with_a_simulated_person_is_the_game_played_in_a_plain_loop() -> None:
    seed, episodes = 3, 4
    ours = session(seed=seed, ends=Ends(episodes=episodes, certain=False, misspecified=False))
    person = Person(GAME, seed)
    person.has_seen_enough = lambda session: False  # type: ignore[method-assign]
    person.play(ours)

    learner = Learner(mpc(), Rule())
    said = []
    for number in range(episodes):
        human = SimulatedHuman(GAME.system, GAME.truth, generator(PERSON, seed, number), 0.25 / 3)
        said += plainly(learner, human, number, generator(STARTS, seed, number))
    assert said
    assert [entry.kind for entry in ours.entries if entry.kind != "silence"] == said
    assert np.array_equal(ours.learner.theta, learner.theta)
    assert len(ours.episodes) == episodes


def test_the_truth_stays_possible_and_the_set_shrinks_with_every_word() -> None:
    taught = session(seed=1, ends=Ends(corrections=12, certain=False, misspecified=False))
    Person(GAME, 1).play(taught)
    volumes = [entry.log_volume for entry in taught.entries]
    assert taught.learner.hypotheses.contains(GAME.truth)
    assert volumes == sorted(volumes, reverse=True)
    assert taught.view().corrections == sum(taught.counts[kind] for kind in ("push", "stop"))


def test_in_a_pause_nothing_moves_and_a_push_bends_the_plan_that_is_shown() -> None:
    paused = session()
    paused.pause()
    before, state = paused.plan, paused.state
    paused.step()
    assert paused.state is state
    entry = paused.push("right")
    assert np.array_equal(entry.controls, before.controls)
    assert np.array_equal(paused.plan.states[0], before.states[0])
    assert not np.allclose(paused.plan.controls, before.controls)
    paused.pause(False)
    paused.step()
    assert paused.step_number == 1


def test_an_undone_push_leaves_theta_as_it_was_and_is_counted() -> None:
    taught = session()
    theta = taught.learner.theta
    taught.push(np.array([1.0]))
    assert not np.allclose(taught.learner.theta, theta)
    taught.undo()
    assert np.array_equal(taught.learner.theta, theta)
    assert (taught.counts["push"], taught.counts["undo"]) == (1, 1)
    with pytest.raises(UserError, match="no correction to undo"):
        taught.undo()


def test_a_stop_ends_the_episode_and_the_next_one_is_seen_before_it_moves() -> None:
    stopped = session()
    stopped.step()
    stopped.stop()
    assert [(episode.number, episode.stopped, episode.passed) for episode in stopped.episodes] == [(0, True, False)]
    stopped.step()
    assert (stopped.episode, stopped.step_number) == (1, 0)
    assert np.array_equal(stopped.state, GAME.start(generator(STARTS, 0, 1), 1).state)


def test_silence_shorter_than_the_persons_reaction_says_nothing() -> None:
    def silences(reaction: float) -> int:
        watched = session(reaction=reaction)
        watched.stop()
        for _ in range(10):
            watched.step()
        watched.stop()
        return watched.counts["silence"]

    assert silences(0.0) > 0
    assert silences(1.0) == 0


def test_an_episode_without_a_stop_is_consent_to_all_of_it() -> None:
    watched = session(reaction=100.0)
    watched.stop()
    while len(watched.episodes) == 1:
        assert watched.counts["silence"] == 0
        watched.step()
    assert not watched.episodes[1].stopped
    assert watched.counts["silence"] > 0


def test_fine_and_stop_about_one_plan_contradict_each_other_until_one_is_undone() -> None:
    shown = session("stops", ends=Ends(certain=False))
    shown.fine()
    shown.stop()
    assert np.array_equal(shown.entries[0].controls, shown.entries[1].controls)
    assert shown.outcome == "misspecified"
    assert "contradicts" in shown.view().doubt
    with pytest.raises(UserError, match="the session is over"):
        shown.push("left")
    shown.undo()
    assert shown.outcome is None
    assert shown.view().doubt == ""


def test_a_session_ends_by_the_number_of_corrections_the_certificate_or_the_person() -> None:
    capped = session(ends=Ends(corrections=2, certain=False, misspecified=False))
    capped.push("left")
    assert capped.outcome is None
    capped.stop()
    assert capped.outcome == "corrections"

    certain = Session(GAME, Learner(mpc(), Rule(), rho=2.0), ends=Ends(misspecified=False))
    Person(GAME, 0).play(certain)
    assert certain.outcome == "certain"
    assert certain.view().still_to_come == 0

    pleased = session()
    pleased.satisfied()
    pleased.step()
    assert (pleased.phase, pleased.step_number) == ("over", 0)


def test_stops_count_towards_the_cap_only_where_they_teach() -> None:
    def counted(rule: str) -> int:
        stopped = session(rule)
        stopped.stop()
        return stopped.taught

    assert (counted("paper"), counted("full")) == (0, 1)


def test_a_direction_that_the_game_does_not_have_is_named() -> None:
    with pytest.raises(UserError, match="did you mean 'right'"):
        session().push("rihgt")
    with pytest.raises(UserError, match="no rule named 'ful'; did you mean 'full'"):
        rule_named("ful")
