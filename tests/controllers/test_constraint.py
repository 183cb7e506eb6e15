"""Learned constraints: what a file keeps, what it refuses, and what is asked of a state against independent answers."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from controllers.constraint import Held, LearnedConstraint, Uncertainty, load, of_system, save
from controllers.mpc import Mpc
from controllers.systems import game
from robot_learn.errors import UserError

REACH, JOINTS = game("franka-reach"), game("franka-joints")


def doubtful(seed: int = 0) -> LearnedConstraint:
    rng = np.random.default_rng(seed)
    known = Uncertainty(rng.normal(size=20), rng.normal(size=(20, 20)), corrections=7, still_to_come=31)
    return of_system(REACH.system, REACH.truth, known, session="monday")


def states(n: int, seed: int = 0) -> np.ndarray:
    """(n, 7) hands near the narrow place, where the features are felt."""
    rng = np.random.default_rng(seed)
    q = rng.normal(size=(n, 4))
    return np.hstack([rng.uniform((-0.3, -0.6, 0.2), (0.0, -0.4, 0.8), (n, 3)), q / np.linalg.norm(q, axis=1)[:, None]])


def test_a_file_keeps_every_number(tmp_path: Path) -> None:
    made = doubtful()
    save(made, tmp_path / "c.json")
    read = load(tmp_path / "c.json", REACH.system)
    assert (read.system, read.version, read.offset, read.gamma, read.weights, read.source) == (
        made.system,
        made.version,
        made.offset,
        made.gamma,
        made.weights,
        {"session": "monday"},
    )
    np.testing.assert_array_equal(read.theta, made.theta)
    assert read.uncertainty is not None
    assert made.uncertainty is not None
    np.testing.assert_array_equal(read.uncertainty.shape, made.uncertainty.shape)
    np.testing.assert_array_equal(read.uncertainty.centre, made.uncertainty.centre)
    assert (read.uncertainty.corrections, read.uncertainty.still_to_come) == (7, 31)
    assert [path.name for path in tmp_path.iterdir()] == ["c.json"]


def test_a_constraint_without_doubt_is_kept_without(tmp_path: Path) -> None:
    save(of_system(REACH.system, REACH.truth), tmp_path / "c.json")
    assert load(tmp_path / "c.json").uncertainty is None


def test_another_version_of_the_features_is_refused(tmp_path: Path) -> None:
    save(doubtful(), tmp_path / "c.json")
    with pytest.raises(UserError, match="version 1 of the features, and they are at version 2"):
        load(tmp_path / "c.json", dataclasses.replace(REACH.system, version=2))


def test_another_system_is_refused(tmp_path: Path) -> None:
    save(doubtful(), tmp_path / "c.json")
    with pytest.raises(UserError, match=r"learned on the system 'franka-reach', and this is 'franka-joints'"):
        load(tmp_path / "c.json", JOINTS.system)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is no learned constraint"),
        ("{}", "KeyError: 'format'"),
        ('{"format": 9}', "written in format 9; this version reads 1"),
    ],
)
def test_a_broken_file_is_named_with_what_is_wrong(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(UserError, match=says):
        load(tmp_path / "c.json")


def test_numbers_that_are_not_finite_or_too_few_are_refused(tmp_path: Path) -> None:
    save(doubtful(), tmp_path / "c.json")
    data = json.loads((tmp_path / "c.json").read_text())
    (tmp_path / "c.json").write_text(json.dumps(data | {"theta": [*data["theta"][:-1], float("nan")]}))
    with pytest.raises(UserError, match="theta has numbers that are not finite"):
        load(tmp_path / "c.json")
    with pytest.raises(UserError, match="has 3 parameters, wanted 20"):
        of_system(REACH.system, np.zeros(3))
    with pytest.raises(UserError, match="cannot read the constraint"):
        load(tmp_path / "nothing.json")


def test_a_state_that_is_held_has_the_g_of_the_plan_that_stays() -> None:
    system = JOINTS.system
    q = np.array([0.05, 0.2, 0.0, -2.1, 0.0, 2.3, 0.8])
    _, phi = Mpc(system).evaluate(q, np.zeros((system.horizon, 7)), np.zeros(3))
    (g,) = Held(system, of_system(system, JOINTS.truth)).g(q[None])
    assert g > 0.5  # the hand is in the obstacle, so that the features are felt
    assert g == pytest.approx(system.offset + phi @ JOINTS.truth, abs=1e-9)


@pytest.mark.parametrize("robust", [False, True])
def test_gradients_equal_finite_differences(robust: bool) -> None:
    asked, at = Held(REACH.system, doubtful(), robust=robust), states(5)
    step = 1e-6
    for i in range(7):
        change = step * np.eye(7)[i]
        slope = (asked.g(at + change) - asked.g(at - change)) / (2 * step)
        np.testing.assert_allclose(asked.gradient(at)[:, i], slope, rtol=1e-5, atol=1e-5)


def test_the_worst_is_reached_in_the_ellipsoid_and_nothing_in_it_is_worse() -> None:
    learned = doubtful()
    assert learned.uncertainty is not None
    centre, shape = learned.uncertainty.centre, learned.uncertainty.shape
    rng = np.random.default_rng(3)
    at = states(3)
    worst = Held(REACH.system, learned, robust=True).g(at)
    z = rng.normal(size=(300, 20))
    z /= np.linalg.norm(z, axis=1)[:, None]
    sampled = [Held(REACH.system, of_system(REACH.system, centre + shape @ one)).g(at) for one in z[:20]]
    assert (np.array(sampled) <= worst + 1e-9).all()
    for i, state in enumerate(at):
        # The features, one at a time, by asking about unit parameters.
        unit = np.eye(20)
        phi = np.array([Held(REACH.system, of_system(REACH.system, e)).g(state[None])[0] for e in unit])
        phi -= REACH.system.offset
        along = shape.T @ phi
        best = centre + shape @ along / np.linalg.norm(along)
        assert worst[i] == pytest.approx(REACH.system.offset + phi @ best, abs=1e-5)


def test_an_ellipsoid_of_size_zero_leaves_its_centre() -> None:
    learned = doubtful()
    assert learned.uncertainty is not None
    at = states(4)
    centre = Held(REACH.system, of_system(REACH.system, learned.uncertainty.centre)).g(at)
    np.testing.assert_allclose(Held(REACH.system, learned, robust=True, enlarge=0.0).g(at), centre, atol=1e-5)
