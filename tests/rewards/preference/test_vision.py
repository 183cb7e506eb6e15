"""The teacher that measures pictures: drawn scenes whose progress is known, and that it looks at pictures alone."""

from __future__ import annotations

from dataclasses import replace
from math import erf

import cv2
import numpy as np
import pytest

from rewards.preference.goals import COLOURS, By, Goal, axes, likeness_distance
from rewards.preference.query import Query
from rewards.preference.sights import MEASURES, SIGHTS, Sight, Term, Thing, find, measure
from rewards.preference.vision import Views, Vision, of_task
from robot_learn.errors import UserError
from tests.rewards.preference import squares

BLUE = Thing((105, 125), (100, 255), (60, 255))
TO_THE_RIGHT = Sight("square", {"square": BLUE}, (Term("middle", ("square",), 0.0, 1.0),), noise=0.05)
STAY = (0.0, 0.0)


def points(*at: tuple[float, float]) -> np.ndarray:
    return np.array(at)


def measured(name: str, *things: np.ndarray, direction: tuple[float, float] = (1.0, 0.0)) -> float:
    return MEASURES[name](list(things), Term(name, (), 0, 1, direction=direction))


def pole(angle: float, size: int = 128) -> np.ndarray:
    """A pole of the colour of the cart-pole's, leaning by an angle [rad]."""
    picture = np.full((size, size, 3), 170, dtype=np.uint8)
    foot = np.array([size / 2, size * 0.6])
    tip = foot + size * 0.3 * np.array([np.sin(angle), -np.cos(angle)])
    ends = [tuple(int(number) for number in np.round(end)) for end in (foot, tip)]
    return np.asarray(cv2.line(picture, ends[0], ends[1], (10, 100, 100), 5))


def test_lengths_are_those_of_geometry() -> None:
    box = np.argwhere(np.ones((11, 21)))[:, ::-1] / 100
    assert measured("extent", box) == pytest.approx(0.2)
    assert measured("extent", box, direction=(0.0, 1.0)) == pytest.approx(0.1)
    assert measured("apart", box, box + np.array((0.3, 0.4))) == pytest.approx(0.5)
    assert measured("bend", points((0.5, 0.2), (0.1, -0.1)), points(STAY), points((1.0, 0.0))) == pytest.approx(0.2)
    assert measured("reach", points((0.5, 0.05)), box) == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize("degrees", [0, 10, 45, 80])
def test_the_lean_of_a_line_is_its_angle_to_either_side(degrees: float) -> None:
    line = np.linspace(-1, 1, 50)[:, None] * (np.sin(np.radians(degrees)), -np.cos(np.radians(degrees)))
    assert measured("lean", line) == pytest.approx(np.radians(degrees), abs=1e-9)
    assert measured("lean", line * (-1, 1)) == pytest.approx(np.radians(degrees), abs=1e-9)


def test_a_thing_is_found_by_its_colour_and_where_it_is() -> None:
    hsv = cv2.cvtColor(squares.picture(0.5), cv2.COLOR_RGB2HSV)
    found = find(BLUE, hsv)
    assert found is not None
    assert len(found) == 64
    assert found.mean(axis=0) == pytest.approx([0.5, 0.5625])
    assert find(Thing((30, 60), (100, 255), (60, 255)), hsv) is None


@pytest.mark.parametrize(
    "thing",
    [replace(BLUE, area=(0.5, 1.0)), replace(BLUE, spotted=True), replace(BLUE, within=(0.8, 0.0, 1.0, 1.0))],
)
def test_what_has_the_colour_but_not_the_size_the_spots_or_the_place_is_not_the_thing(thing: Thing) -> None:
    assert find(thing, cv2.cvtColor(squares.picture(0.5), cv2.COLOR_RGB2HSV)) is None


def test_a_plane_at_a_slant_is_measured_as_it_is() -> None:
    hsv = cv2.cvtColor(squares.picture(0.5), cv2.COLOR_RGB2HSV)
    flat, slant = find(BLUE, hsv), find(BLUE, hsv, ((1.0, 0.0), (0.0, 2.0)))
    assert flat is not None
    assert slant is not None
    assert measured("extent", slant, direction=(0.0, 1.0)) == pytest.approx(
        2 * measured("extent", flat, direction=(0.0, 1.0))
    )


@pytest.mark.parametrize("size", [64, 128, 200])
def test_an_upright_pole_is_better_at_every_size_of_picture(size: int) -> None:
    vision = of_task("mujoco/cart-pole")
    values = [vision.gauge.progress(pole(np.radians(angle), size)) for angle in (0, 10, 20, 30, 40)]
    assert all(value is not None for value in values)
    assert values == sorted(values, key=lambda value: -(value or 0.0))
    assert values[0] == pytest.approx(1.0, abs=0.05)
    assert values[2] == pytest.approx(1 - np.radians(20) / 0.8, abs=0.1)


def test_a_straight_rope_is_better_than_a_bent_one_and_a_longer_one_than_a_short() -> None:
    def rope(*corners: tuple[int, int]) -> float:
        picture = np.full((128, 128, 3), 180, dtype=np.uint8)
        cv2.polylines(picture, [np.array(corners)], False, (240, 180, 40), 3)
        cv2.circle(picture, corners[0], 3, (220, 30, 30), -1)
        cv2.circle(picture, corners[-1], 3, (40, 90, 220), -1)
        found = measure(SIGHTS["soft/straighten-rope", "top"], picture)
        assert found is not None
        return found

    straight, bent, short = rope((20, 64), (100, 64)), rope((20, 64), (60, 100), (100, 64)), rope((40, 64), (80, 64))
    assert straight > bent
    assert straight > short
    assert straight == pytest.approx(1 + 80 / 128 / 0.66, abs=0.1)


def test_what_is_not_to_be_seen_makes_it_abstain() -> None:
    blank = np.full((1, 128, 128, 3), 120, dtype=np.uint8)
    query = replace(squares.query(0.0, 0.0), pictures=(blank, pole(0.1)[None]))
    (answer,) = of_task("mujoco/cart-pole").answers([query])
    assert (answer.label, answer.confidence) == (None, 0.0)


def test_pictures_are_all_that_is_looked_at() -> None:
    query = replace(squares.query(0.0, 0.0), pictures=(pole(0.5)[None], pole(0.0)[None]))
    vision = of_task("mujoco/cart-pole")
    for hidden in ({"rewards": None}, {"rewards": (np.ones(1), np.zeros(1))}, {"advantages": None}):
        assert [answer.label for answer in vision.answers([replace(query, **hidden)])] == [1.0]


def test_labels_turn_round_with_the_pair_and_the_confidence_stays() -> None:
    vision = of_task("mujoco/cart-pole")
    for first, second in ((0.2, 0.9), (0.5, 0.52), (0.5, 0.501)):
        label, confidence = vision.compare(first, second)
        turned, same = vision.compare(second, first)
        assert label is not None
        assert turned == 1 - label
        assert same == pytest.approx(confidence)


def test_confidence_is_that_of_a_normal_error_and_hardly_any_difference_is_a_tie() -> None:
    vision = of_task("mujoco/cart-pole")
    label, confidence = vision.compare(0.0, vision.gauge.noise)
    assert label == 1.0
    assert confidence == pytest.approx(erf(2**-0.5))
    label, confidence = vision.compare(0.3, 0.3)
    assert (label, confidence) == (0.5, 1.0)


def test_the_likeness_to_a_goal_feels_it_from_afar() -> None:
    goal = squares.picture(1.0)
    distances = [likeness_distance(squares.picture(at), goal) for at in (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] == 0.0
    assert np.diff(distances).max() < -0.0001, "somewhere the slope is lost"


def rectangle(
    width: int, height: int, left: int = 10, top: int = 20, colour: tuple[int, ...] = (20, 40, 230)
) -> np.ndarray:
    picture = np.full((64, 64, 3), 120, dtype=np.uint8)
    picture[top : top + height, left : left + width] = colour
    return picture


@pytest.mark.parametrize("by", ["picture", "place"])
def test_a_goal_picture_teaches_what_nobody_has_written_down(by: By) -> None:
    vision = Vision(Goal(squares.picture(1.0), by, "" if by == "picture" else "blue"))
    queries = squares.queries(50)
    answers = list(vision.answers(queries))
    truth = [float(query.rewards[1][0] > query.rewards[0][0]) for query in queries if query.rewards is not None]
    decided = [(answer.label, right) for answer, right in zip(answers, truth, strict=True) if answer.label != 0.5]
    assert len(decided) > 30
    assert all(label == right for label, right in decided)


def test_by_shape_neither_a_move_nor_a_turn_counts_and_growing_towards_the_goal_does() -> None:
    goal = Goal(rectangle(40, 6), "shape", "blue")
    assert goal.progress(rectangle(40, 6, 3, 50)) == pytest.approx(0.0)
    assert goal.progress(rectangle(6, 40)) == pytest.approx(0.0)
    values = [goal.progress(rectangle(width, 6)) for width in (10, 20, 30, 40)]
    assert values == sorted(values, key=lambda value: value or 0.0)


def test_the_axes_of_a_box_are_its_uniform_deviations() -> None:
    box = np.argwhere(np.ones((30, 100))) / 100
    assert axes(box) == pytest.approx(np.array([0.3, 1.0]) / np.sqrt(12), rel=0.02)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_colour_is_found_by_its_name_and_grey_is_none(colour: str) -> None:
    begin, end = COLOURS[colour]
    hue = begin + ((end - begin) % 180) / 2
    shade = cv2.cvtColor(np.array([[[round(hue) % 180, 200, 200]]], dtype=np.uint8), cv2.COLOR_HSV2RGB)[0, 0]
    goal = Goal(rectangle(8, 8, colour=tuple(map(int, shade))), "place", colour)
    assert goal.progress(rectangle(8, 8, 18, colour=tuple(map(int, shade)))) == pytest.approx(-8 / 64)
    assert goal.progress(np.full((64, 64, 3), 90, dtype=np.uint8)) is None


def test_goals_have_names_of_their_own() -> None:
    one, other = squares.picture(1.0), squares.picture(0.5)
    goals = [Goal(one), Goal(other), Goal(one, "place", "blue"), Goal(one, "shape", "blue")]
    assert len({goal.name for goal in goals}) == 4


@pytest.mark.parametrize(
    ("by", "colour", "says"),
    [
        ("place", "", "either as a whole"),
        ("picture", "blue", "either as a whole"),
        ("place", "pink", "no colour named"),
        ("place", "green", "shows nothing that is green"),
        ("size", "blue", "no measure of a goal named"),
    ],
)
def test_a_goal_that_cannot_be_is_refused(by: By, colour: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        Goal(squares.picture(1.0), by, colour)


@pytest.mark.parametrize(("task", "camera"), SIGHTS)
def test_every_sight_names_measures_and_things_that_exist(task: str, camera: str) -> None:
    sight = SIGHTS[task, camera]
    for term in sight.terms:
        assert term.measure in MEASURES
        assert set(term.things) <= set(sight.things)
        assert term.start != term.end
    assert {thing.hidden_by for thing in sight.things.values()} <= {"", *sight.things}
    assert measure(sight, np.zeros((128, 128, 3), dtype=np.uint8)) is None


def test_views_beside_each_other_count_alike_and_all_must_show_it() -> None:
    sight = SIGHTS["mujoco/cart-pole", "side"]
    views, left, right = Views((sight, sight)), pole(0.1), pole(0.6)
    alone = np.array([sight.progress(picture) for picture in (left, right)], dtype=float)
    assert views.progress(np.concatenate([left, right], axis=1)) == pytest.approx(alone.mean())
    assert views.progress(np.concatenate([left, np.zeros_like(right)], axis=1)) is None
    assert views.noise == pytest.approx(sight.noise / np.sqrt(2))
    with pytest.raises(UserError, match="2 views beside each other, came 63"):
        views.progress(left[:, :63])
    assert of_task("metaworld/soccer", "side+corner").name == "vision:soccer/side+soccer/corner"


def test_what_nobody_has_written_down_is_refused_with_what_there_is() -> None:
    with pytest.raises(UserError, match=r"drawer-open.*goal picture"):
        of_task("metaworld/reach")
    with pytest.raises(UserError, match="allowed: corner"):
        of_task("metaworld/drawer-open", "front")


def test_pictures_that_are_missing_or_too_small_are_the_users_to_mend() -> None:
    with pytest.raises(UserError, match="wants pictures"):
        list(Vision(TO_THE_RIGHT).answers([Query(squares.query(0, 1).first, squares.query(0, 1).second, "")]))
    with pytest.raises(UserError, match="112 pixels or more, came 64"):
        of_task("metaworld/soccer").gauge.progress(squares.picture(0.5))
