"""The envelope as a file and as a value: what is allowed, what is refused and in which words."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hardware.kinematics import POINTS, Kinematics
from hardware.limits import Box, Envelope, from_dict, least_margin, load, window
from hardware.workspace import Workspace
from robot_learn.errors import UserError
from robot_learn.franka import FER, FR3, HOME

RICH = Envelope(
    hand_speed=0.2,
    workspace=(Box((0.2, -0.4, 0.0), (0.8, 0.4, 0.9), ("hand", "fingertip"), "table"),),
    keep_out=(Box((0.5, 0.2, 0.0), (0.6, 0.3, 0.4), name="camera post"), Box((-1.0, -1.0, -1.0), (0.0, 0.0, 0.1))),
)


@pytest.mark.parametrize("kind", ["toml", "json"])
@pytest.mark.parametrize("envelope", [Envelope(), RICH, Envelope(workspace=(), lead=np.float64(0.0625))])
def test_an_envelope_survives_its_file(kind: str, envelope: Envelope, tmp_path: Path) -> None:
    path = tmp_path / f"envelope.{kind}"
    envelope.save(path)
    assert load(path) == envelope


def test_what_a_file_leaves_out_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("hand_speed = 0.1\n")
    assert load(tmp_path / "a.toml") == replace(Envelope(), hand_speed=0.1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hand_sped = 0.1", "no setting of an envelope named 'hand_sped'; did you mean 'hand_speed'"),
        ("hand_speed = 9.0", "hand_speed: wanted a number from 0.0001 to 3, came 9.0"),
        ("hand_speed = 'fast'", "hand_speed: wanted a number"),
        ("hand_speed = true", "hand_speed: wanted a number"),
        ("lead = nan", "lead: wanted a number"),
        ("velocity_share = 1.01", "velocity_share: wanted a number from 0.01 to 1"),
        ("acceleration_share = 0", "acceleration_share"),
        ("grip_force = 200", "grip_force: wanted a number from 1 to 70"),
        ("collision_force = 1e9", "collision_force"),
        ("slow_after = 5\nfinish_after = 4", "finish_after 4 comes before slow_after 5"),
        ("hand_speed = ", "not valid TOML"),
        ("workspace = 3", "workspace: wanted a list of boxes"),
        ("[[keep_out]]\nlow = [0, 0, 0]", "keep_out[0]: wanted high as three numbers"),
        ("[[keep_out]]\nlow = [0, 0, 1]\nhigh = [1, 1, 1]", "must be under high"),
        ("[[keep_out]]\nlow = [0, 0]\nhigh = [1, 1, 1]", "three finite numbers"),
        ("[[keep_out]]\nlow = [0, 0, 'x']\nhigh = [1, 1, 1]", "three finite numbers"),
        ("[[keep_out]]\nlo = [0, 0, 0]", "no part of keep_out[0] named 'lo'"),
        ("[[keep_out]]\nlow = [0, 0, 0]\nhigh = [1, 1, 1]\npoints = ['elbo']", "did you mean 'elbow'"),
        ("[[keep_out]]\nlow = [0, 0, 0]\nhigh = [1, 1, 1]\npoints = 'elbow'", "points as a list"),
    ],
)
def test_a_bad_file_is_refused_with_its_name_and_what_is_allowed(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(UserError) as raised:
        load(path)
    assert says in str(raised.value)
    assert str(path) in str(raised.value)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a \.toml or a \.json file"):
        load(tmp_path / "envelope.yaml")
    with pytest.raises(UserError, match="cannot be read"):
        load(tmp_path / "none.json")
    (tmp_path / "list.json").write_text(json.dumps([1]))
    with pytest.raises(UserError, match="wanted names and values"):
        load(tmp_path / "list.json")
    with pytest.raises(UserError, match=r"a \.toml or a \.json file"):
        Envelope().save(tmp_path / "envelope.txt")


def test_an_envelope_may_not_be_looser_than_what_is_published() -> None:
    Envelope(hand_speed=1.7).check(FER)
    with pytest.raises(UserError, match=r"hand_speed: 1.8 m/s is over the published 1.7"):
        Envelope(hand_speed=1.8).check(FER)
    with pytest.raises(UserError, match=r"joint_margin: 0 rad is too little"):
        Envelope(joint_margin=0.0).check(FR3)
    Envelope(joint_margin=0.0).check(FER)  # its velocities do not depend on position
    with pytest.raises(UserError, match="leaves a joint no range"):
        Envelope(joint_margin=0.99).check(replace(FR3, upper=FR3.lower + 1.9))


def test_at_the_least_margin_the_published_velocity_is_what_the_filter_can_hold() -> None:
    envelope = Envelope()
    margin = least_margin(envelope, FR3, 0.001)
    allowed = envelope.velocity_share * FR3.velocity_bounds(FR3.upper - margin)[1]
    change = envelope.acceleration_share * FR3.acceleration * 0.001 * (window(envelope, FR3, 0.001) + 1)
    assert (allowed >= change - 1e-12).all()
    assert (allowed - change).min() == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(("tick", "ticks"), [(0.001, 4), (0.002, 2), (0.01, 1)])
def test_the_window_is_twice_acceleration_over_jerk(tick: float, ticks: int) -> None:
    assert window(Envelope(), FR3, tick) == ticks  # 2 * 5 / (2500 tick)


def test_plain_values_make_the_same_envelope() -> None:
    assert from_dict(json.loads(json.dumps(RICH.as_dict()))) == RICH


def test_points_inside_and_outside_are_told_by_name() -> None:
    kinematics = Kinematics()
    kinematics.place(np.array(HOME))
    tip, elbow = kinematics.points[POINTS.index("fingertip")], kinematics.points[POINTS.index("elbow")]
    assert Workspace(Envelope()).trespasses(kinematics.points) == []
    low, high = tuple(tip - 0.01), tuple(tip + 0.01)
    (line,) = Workspace(Envelope(keep_out=(Box(low, high, ("fingertip", "elbow"), "vase"),))).trespasses(
        kinematics.points
    )
    assert line.startswith("the fingertip at (0.307, ")
    assert "is inside vase" in line
    lines = Workspace(Envelope(workspace=(Box(low, high, ("fingertip", "elbow")),))).trespasses(kinematics.points)
    assert len(lines) == 1
    assert f"the elbow at ({elbow[0]:.3f}" in lines[0]


def test_the_nearest_wall_is_the_nearest_by_brute_force() -> None:
    rng, kinematics = np.random.default_rng(0), Kinematics()
    box = RICH.workspace[0]
    for q in rng.uniform(FR3.lower, FR3.upper, (30, 7)):
        kinematics.place(q)
        walls = Workspace(RICH)
        inside = min(
            min(*(kinematics.points[i] - box.low), *(np.array(box.high) - kinematics.points[i])) for i in (3, 4)
        )
        outside = min(
            max(*(np.array(other.low) - point), *(point - np.array(other.high)))
            for other in RICH.keep_out
            for point in kinematics.points
        )
        assert walls.nearest(kinematics.points) == pytest.approx(min(inside, outside))
