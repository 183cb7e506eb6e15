"""The region: surfaces where they belong, and shares of hypotheses as counting them gives."""

from __future__ import annotations

import time

import numpy as np
import pytest

from controllers.alignment.hypotheses import Hypotheses
from controllers.constraint import Held, of_system
from controllers.systems import game
from robot_learn.session.correct.region import EVERY, SURE, Drawn, Region, quantile, share_unsafe, surface
from robot_learn.session.correct.stage import stage
from tests.robot_learn.session.test_shapes import volume

AXES = (np.linspace(-1.5, 1.5, 25), np.linspace(-1.4, 1.4, 23), np.linspace(-1.3, 1.3, 27))
POINTS = np.stack(np.meshgrid(*AXES, indexing="ij"), axis=-1)


def in_ball(count: int, r: int, rng: np.random.Generator) -> np.ndarray:
    points = rng.standard_normal((count, r))
    return np.asarray(points * (rng.random(count) ** (1 / r) / np.linalg.norm(points, axis=1))[:, None])


def test_the_surface_of_a_ball_is_a_ball() -> None:
    mesh = surface(1.0 - np.linalg.norm(POINTS, axis=-1), 0.0, AXES)
    assert mesh is not None
    assert volume(mesh) == pytest.approx(4 / 3 * np.pi, rel=0.04)
    assert np.linalg.norm(mesh.vertices, axis=1) == pytest.approx(1.0, abs=0.03)


def test_a_level_moves_the_surface() -> None:
    mesh = surface(1.0 - np.linalg.norm(POINTS, axis=-1), 0.4, AXES)
    assert mesh is not None
    assert np.linalg.norm(mesh.vertices, axis=1) == pytest.approx(0.6, abs=0.03)


def test_what_fills_the_grid_is_closed_at_its_ends() -> None:
    mesh = surface(np.ones(POINTS.shape[:3]), 0.0, AXES)
    assert mesh is not None
    assert volume(mesh) == pytest.approx(3.0 * 2.8 * 2.6, rel=0.01)


def test_nowhere_is_no_surface() -> None:
    assert surface(-np.ones(POINTS.shape[:3]), 0.0, AXES) is None


@pytest.mark.parametrize("r", [2, 12, 20])
def test_the_share_of_hypotheses_is_what_counting_them_gives(r: int) -> None:
    """Of thetas uniform in an ellipsoid, as many hold a place to be unsafe as its division says."""
    rng = np.random.default_rng(r)
    centre, shape, phi, offset = rng.standard_normal(r), rng.standard_normal((r, r)), rng.standard_normal(r), -0.4
    thetas = centre + in_ball(200_000, r, rng) @ shape.T
    counted = float((offset + thetas @ phi >= 0).mean())
    division = (offset + phi @ centre) / np.linalg.norm(shape.T @ phi)
    assert float(share_unsafe(np.array(division), r)) == pytest.approx(counted, abs=0.005)


@pytest.mark.parametrize("r", [2, 20])
def test_the_quantile_undoes_the_share(r: int) -> None:
    assert float(share_unsafe(np.array(quantile(r, SURE)), r)) == pytest.approx(SURE)
    assert float(share_unsafe(np.array(-quantile(r, SURE)), r)) == pytest.approx(1 - SURE)


def drawn(system: str, hypotheses: Hypotheses) -> Drawn:
    shown, played = stage(system), game(system)
    region = Region(played.system, shown.grid, shown.charts)
    situation = played.start(np.random.default_rng(0), 0)
    region.want(hypotheses, situation.state)
    until = time.monotonic() + 30
    while (found := region.poll(time.monotonic())) is None:
        assert time.monotonic() < until
        time.sleep(0.01)
    region.close()
    return found


def around(theta: np.ndarray, half: float) -> Hypotheses:
    return Hypotheses.box(theta - half, theta + half)


def test_where_all_hypotheses_agree_both_surfaces_are_the_boundary_of_the_constraint() -> None:
    played = game("uav-gate")
    found = drawn("uav-gate", around(played.truth, 1e-4))
    held = Held(played.system, of_system(played.system, played.truth))
    assert found.surely is not None
    assert found.maybe is not None
    for mesh in (found.surely, found.maybe):
        inner = mesh.vertices[((mesh.vertices > [6.2, 0.2, 0.2]) & (mesh.vertices < [13.3, 9.8, 9.8])).all(axis=1)]
        states = np.zeros((len(inner), 13))
        states[:, :3], states[:, 6] = inner, 1.0
        assert len(inner) > 50
        # A cell of the grid is half a metre long: so near to it g is zero, where it is as steep as it is here.
        slope = np.linalg.norm(held.gradient(states)[:, :3], axis=1)
        assert np.median(np.abs(held.g(states)) / slope) < 0.2
    assert found.undecided < 0.02


def test_the_less_is_known_the_more_is_undecided() -> None:
    truth = game("uav-gate").truth
    shares = [drawn("uav-gate", around(truth, half)).undecided for half in (1.0, 8.0, 30.0)]
    assert shares == sorted(shares)
    assert shares[-1] > shares[0] + 0.04


def test_what_is_sure_lies_within_what_may_be() -> None:
    truth = game("uav-gate").truth
    found = drawn("uav-gate", around(truth, 8.0))
    assert found.surely is not None
    assert found.maybe is not None
    assert 0 < volume(found.surely) < volume(found.maybe)


def test_only_the_newest_wish_is_drawn_and_not_too_often() -> None:
    played, shown = game("pendulum"), stage("pendulum")
    region = Region(played.system, shown.grid, shown.charts)
    state, results, began = np.zeros(2), [], time.monotonic()
    while time.monotonic() - began < 4 * EVERY:
        region.want(around(played.truth, 0.1), state)
        results.append(region.poll(time.monotonic()))
        time.sleep(0.002)
    region.close()
    assert 1 <= sum(found is not None for found in results) <= 6
