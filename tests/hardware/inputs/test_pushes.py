"""Pushes to learn from, up to the learner of corrections itself."""

from __future__ import annotations

import numpy as np
import pytest

from controllers.alignment.learner import Learner, Rule
from controllers.mpc import Mpc
from controllers.systems import SYSTEMS, game
from hardware.inputs import Hand, gone
from hardware.inputs.pushes import TWISTS, Push, Pushes, directions
from robot_learn.alignment.session import Session
from robot_learn.errors import UserError

REST = Hand(np.zeros(6))


def hand(*twist: float) -> Hand:
    return Hand(np.array(twist + (0.0,) * (6 - len(twist))))


def pushed(known: dict[str, np.ndarray], hands: list[Hand]) -> list[str]:
    pushes = Pushes(known)
    told = [pushes.update(each, 0.04 * i, held=True) for i, each in enumerate(hands)]
    return [push.direction for push in told if push]


WORDS = directions({name: np.zeros(4) for name in TWISTS})


def test_each_deflection_is_one_push_however_it_trembles() -> None:
    rng = np.random.default_rng(1)
    trembling = [hand(0, float(size)) for size in rng.uniform(0.26, 0.9, 200)]
    assert pushed(WORDS, [REST, *trembling, REST, hand(0, 0, -0.7), REST]) == ["left", "down"]


def test_a_slant_is_the_nearest_direction_and_what_points_nowhere_is_none() -> None:
    assert pushed(WORDS, [REST, hand(0.8, 0.5)]) == ["forward"]
    assert pushed({"up": WORDS["up"]}, [REST, hand(0.8, 0, 0.5)]) == []
    assert pushed(WORDS, [REST, hand(0, 0, 0, 0.9)]) == []


def test_a_weak_touch_and_what_was_deflected_from_the_start_are_no_pushes() -> None:
    assert pushed(WORDS, [REST, hand(0.49), REST]) == []
    assert pushed(WORDS, [hand(1.0)] * 5) == []
    assert pushed(WORDS, [REST, gone(), hand(1.0)]) == []


def test_whoever_hears_of_a_push_hears_it_in_order_and_whole() -> None:
    told: list[tuple[str, Push]] = []
    pushes = Pushes(WORDS, lambda push: told.append(("learner", push)), lambda push: told.append(("recorder", push)))
    pushes.update(REST, 1.0, held=False)
    push = pushes.update(hand(0, -1.0), 1.04, held=True)
    assert push is not None
    assert told == [("learner", push), ("recorder", push)]
    assert (push.direction, push.time, push.held) == ("right", 1.04, True)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_hand_can_push_in_the_directions_of_every_game(system: str) -> None:
    known = game(system).directions
    twists = directions(known)
    assert twists
    for name, twist in twists.items():
        assert pushed(twists, [REST, Hand(twist / np.max(np.abs(twist)))]) == [name]
        if np.shape(known[name]) == (6,):
            np.testing.assert_allclose(twist, known[name] / np.linalg.norm(known[name]))


def test_a_push_of_the_hand_becomes_the_correction_that_the_learner_takes() -> None:
    played = game("franka-reach")
    session = Session(played, Learner(Mpc(played.system), Rule()))
    pushes = Pushes(directions(played.directions), lambda push: session.push(push.direction) and None)
    plan = session.plan
    pushes.update(REST, 0.0, held=True)
    pushes.update(hand(0, 0, 0.9), 0.04, held=True)
    (correction,) = session.learner.corrections
    assert correction.kind == "push"
    assert correction.direction is not None
    np.testing.assert_array_equal(correction.direction, played.directions["up"])
    np.testing.assert_array_equal(correction.controls, plan.controls)
    assert session.counts["push"] == 1


def test_directions_that_no_hand_can_show_are_refused() -> None:
    with pytest.raises(UserError, match="these directions are others: sideways"):
        directions({"sideways": np.zeros(2)})
    with pytest.raises(UserError, match="wanted 0 < leave < enter"):
        Pushes(WORDS, enter=0.2, leave=0.3)
