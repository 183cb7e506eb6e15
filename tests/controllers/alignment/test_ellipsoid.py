"""The interior point against cvxpy, closed forms and affine invariance, and what it says where there is no answer."""

from __future__ import annotations

import numpy as np
import pytest

from controllers.alignment.bench import pushed_set
from controllers.alignment.ellipsoid import (
    EmptyInteriorError,
    NotConvergedError,
    chebyshev,
    inscribed_ellipsoid,
)


def box(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    eye = np.eye(len(low))
    return np.vstack([eye, -eye]), np.concatenate([high, -low])


def cut_box(size: int, cuts: int, seed: int, side: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """A box and random cuts at some distance from its centre, the origin."""
    rng = np.random.default_rng(seed)
    normals, offsets = box(np.full(size, -side / 2), np.full(size, side / 2))
    directions = rng.standard_normal((cuts, size))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    return np.vstack([normals, directions]), np.append(offsets, rng.uniform(0.05, 0.5, cuts) * side)


@pytest.mark.parametrize(("size", "cuts"), [(2, 5), (3, 30), (5, 20), (8, 10)])
def test_log_volume_centre_and_shape_equal_those_of_cvxpy(size: int, cuts: int) -> None:
    cp = pytest.importorskip("cvxpy")
    normals, offsets = cut_box(size, cuts, seed=size)
    shape, centre = cp.Variable((size, size), PSD=True), cp.Variable(size)
    rows = cp.SOC(offsets - normals @ centre, (normals @ shape).T, axis=0)
    wanted = cp.Problem(cp.Maximize(cp.log_det(shape)), [rows]).solve(solver="CLARABEL")
    found = inscribed_ellipsoid(normals, offsets)
    assert found.log_volume == pytest.approx(wanted, abs=1e-5)
    assert found.centre == pytest.approx(centre.value, abs=1e-3)
    assert found.shape == pytest.approx(shape.value, abs=1e-3)


def test_in_a_box_the_axes_are_the_half_sides() -> None:
    low, high = np.array([-6.0, -80.0, 0.0]), np.array([2.0, 100.0, 1e-3])
    found = inscribed_ellipsoid(*box(low, high))
    assert found.centre == pytest.approx((low + high) / 2, rel=1e-6)
    assert found.shape == pytest.approx(np.diag((high - low) / 2), rel=1e-6, abs=1e-6)


def test_in_a_simplex_it_is_the_ball_that_touches_all_faces() -> None:
    size = 7
    vertices = np.eye(size + 1) - 1 / (size + 1)
    normals = -np.linalg.qr(vertices.T)[0][:, :size].T @ vertices
    found = inscribed_ellipsoid(normals.T, np.full(size + 1, 0.5))
    radius = 0.5 / np.linalg.norm(normals[:, 0])
    assert found.shape == pytest.approx(radius * np.eye(size), abs=1e-6)


def test_an_interval_is_its_own_ellipsoid() -> None:
    found = inscribed_ellipsoid(np.array([[2.0], [-1.0], [1.0]]), np.array([6.0, 1.0, 50.0]), np.array([2.9]))
    assert (found.centre[0], found.shape[0, 0]) == (pytest.approx(1.0), pytest.approx(2.0))


@pytest.mark.parametrize(("size", "cuts"), [(1, 3), (2, 30), (5, 60), (20, 60), (20, 160), (40, 20)])
def test_it_is_inside_with_a_small_duality_gap_in_few_iterations(size: int, cuts: int) -> None:
    normals, offsets = cut_box(size, cuts, seed=1, side=180.0)
    found = inscribed_ellipsoid(normals, offsets, np.zeros(size))
    assert (normals @ found.centre + found.reach(normals) <= offsets * (1 + 1e-12)).all()
    assert 0 <= found.gap < 1e-5
    assert found.iterations <= 15


def test_the_pressures_are_the_sensitivities_of_the_log_volume() -> None:
    normals, offsets = cut_box(4, 12, seed=3)
    found = inscribed_ellipsoid(normals, offsets, tolerance=1e-9)
    assert found.pressure.sum() == pytest.approx(4)
    row = int(np.argmax(found.pressure))
    distance = offsets[row] - normals[row] @ found.centre
    step = 1e-3
    volumes = []
    for sign in (-1, 1):
        moved = offsets.copy()
        moved[row] += sign * step * distance
        volumes.append(inscribed_ellipsoid(normals, moved, tolerance=1e-9).log_volume)
    assert (volumes[1] - volumes[0]) / (2 * step) == pytest.approx(found.pressure[row], rel=1e-3)


def test_it_moves_with_an_affine_map_of_the_set_and_ignores_the_lengths_of_the_rows() -> None:
    normals, offsets = cut_box(6, 20, seed=4)
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.standard_normal((6, 6)))[0] * np.logspace(-4, 4, 6)
    lengths = np.logspace(-5, 5, len(offsets))
    plain = inscribed_ellipsoid(normals, offsets)
    mapped = inscribed_ellipsoid(lengths[:, None] * (normals @ np.linalg.inv(turn)), lengths * offsets)
    assert mapped.centre == pytest.approx(turn @ plain.centre, rel=1e-4)
    assert mapped.log_volume == pytest.approx(plain.log_volume + np.linalg.slogdet(turn)[1], abs=1e-5)
    assert mapped.shape @ mapped.shape == pytest.approx(turn @ plain.shape @ plain.shape @ turn.T, rel=1e-3)


@pytest.mark.parametrize("thickness", [1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("size", [2, 20])
def test_a_sliver_of_a_long_box_has_its_axis(size: int, thickness: float) -> None:
    normals, offsets = box(np.full(size, -80.0), np.full(size, 100.0))
    across = np.random.default_rng(size).standard_normal(size)
    across /= np.linalg.norm(across)
    middle = across @ np.full(size, 10.0)
    normals = np.vstack([normals, across, -across])
    found = inscribed_ellipsoid(normals, np.append(offsets, [middle + thickness / 2, thickness / 2 - middle]))
    assert found.reach(across) == pytest.approx(thickness / 2, rel=1e-4)


@pytest.mark.parametrize("nearness", [1e-3, 1e-6, 1e-9])
def test_a_start_in_a_corner_leads_to_the_same_ellipsoid(nearness: float) -> None:
    normals, offsets = cut_box(10, 30, seed=5)
    start, rng = np.zeros(10), np.random.default_rng(0)
    for _ in range(4):
        towards = rng.standard_normal(10)
        closing = normals @ towards
        start = start + (1 - nearness) * ((offsets - normals @ start) / closing)[closing > 0].min() * towards
    found, wanted = inscribed_ellipsoid(normals, offsets, start), inscribed_ellipsoid(normals, offsets)
    assert found.log_volume == pytest.approx(wanted.log_volume, abs=2e-6)
    assert found.iterations <= 15


def test_a_start_outside_is_replaced() -> None:
    normals, offsets = cut_box(3, 8, seed=6)
    wanted = inscribed_ellipsoid(normals, offsets).log_volume
    assert inscribed_ellipsoid(normals, offsets, np.full(3, 9.0)).log_volume == pytest.approx(wanted, abs=2e-6)


def test_the_same_row_twice_changes_nothing() -> None:
    normals, offsets = cut_box(5, 10, seed=7)
    twice = inscribed_ellipsoid(np.vstack([normals, normals, normals]), np.tile(offsets, 3))
    assert twice.log_volume == pytest.approx(inscribed_ellipsoid(normals, offsets).log_volume, abs=2e-6)


@pytest.mark.parametrize("beyond", [0.0, 0.5])
def test_an_empty_or_flat_set_is_said_to_be_so(beyond: float) -> None:
    normals, offsets = box(-np.ones(3), np.ones(3))
    contradiction = np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
    with pytest.raises(EmptyInteriorError) as raised:
        inscribed_ellipsoid(np.vstack([normals, contradiction]), np.append(offsets, [-beyond, -beyond]))
    assert raised.value.radius == pytest.approx(-beyond, abs=1e-9)


@pytest.mark.parametrize(
    "normals",
    [
        np.array([[1.0, 0.0], [-1.0, 0.0]]),  # a strip, whose rows do not span the plane
        np.array([[1.0, 0.0], [0.0, 1.0]]),  # a quadrant
        np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]]),  # half a strip
    ],
)
def test_an_unbounded_set_is_not_taken_for_an_empty_one(normals: np.ndarray) -> None:
    with pytest.raises(NotConvergedError):
        inscribed_ellipsoid(normals, np.ones(len(normals)), np.zeros(2))


def test_the_largest_ball_touches_and_its_radius_counts_widths() -> None:
    normals, offsets = box(np.array([0.0, 0.0]), np.array([2.0, 8.0]))
    assert chebyshev(normals, offsets)[1] == pytest.approx(1.0)
    assert chebyshev(normals, offsets, np.array([1.0, 8.0, 1.0, 8.0]))[1] == pytest.approx(0.5)


def test_after_twenty_pushes_at_r_20_a_solve_from_the_sets_own_start_takes_at_most_ten_iterations() -> None:
    hypotheses = pushed_set(20, 20, np.random.default_rng(0))
    assert hypotheses.start is not None
    assert hypotheses.ellipsoid.iterations <= 10
