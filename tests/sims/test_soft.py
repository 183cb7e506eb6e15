"""Rope, cloth and water: what is conserved, when a task counts as done, and that its controller does it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

import sims
from robot_learn.errors import UserError
from sims import soft
from sims.env import BatchEnv
from sims.soft import cloth, fold_cloth, pass_water, rope, straighten_rope, water
from sims.soft.stage import GRIPPER_STEP, count_up

WORLDS, EPISODES = 4, 20


@dataclass
class Shaken:
    """What the worst moments of an episode under violent actions were."""

    link_error: float = 0.0  # [m]
    tie_gap: list[float] = field(default_factory=list)  # [m]
    lowest: float = np.inf  # [m] height of a middle above the table
    stretch: float = 0.0  # share of an edge's length
    counts: set[float] = field(default_factory=set)  # of drops inside and spilled


def edges() -> np.ndarray:
    sides = cloth.triangles()[:, [[0, 1], [1, 2], [0, 2]]].reshape(-1, 2)
    return np.unique(np.sort(sides, axis=1), axis=0)


def edge_lengths(points: np.ndarray) -> np.ndarray:
    first, second = edges().T
    return np.asarray(np.linalg.norm(points[..., first, :] - points[..., second, :], axis=-1))


def shaken(name: str) -> Shaken:
    """Half of the worlds get noise, the others the largest actions, for half a second each way."""
    env, seen, rng = sims.make(f"soft/{name}", WORLDS, autoreset=False), Shaken(), np.random.default_rng(0)
    env.reset(seed=3)
    for step in range(60):
        if step % 10 == 0:
            extreme = np.sign(rng.uniform(-1, 1, (WORLDS, env.task.act_dim)))
        actions = np.where(np.arange(WORLDS)[:, None] % 2, extreme, rng.uniform(-1, 1, extreme.shape))
        env.step(actions)
        look(env, name, seen)
    env.close()
    return seen


def look(env: BatchEnv, name: str, seen: Shaken) -> None:
    view, scene = env.worlds.view, env.scene  # type: ignore[attr-defined]
    if name == "straighten-rope":
        points = rope.nodes(view)
        links = np.linalg.norm(np.diff(points, axis=1), axis=2)
        seen.link_error = max(seen.link_error, np.abs(links - rope.LINK).max())
        seen.tie_gap += list(np.linalg.norm(points[:, -1] - scene["grippers.right_position"], axis=1))
    elif name == "fold-cloth":
        points = cloth.vertices(view)
        seen.stretch = max(seen.stretch, (edge_lengths(points) / edge_lengths(cloth.rest_points()) - 1.0).max())
    else:
        points = water.drops(view)
        seen.counts |= set((scene["water.inside"] + scene["water.spilled"]).round(9) * water.DROPS)
    assert np.isfinite(points).all()
    seen.lowest = min(seen.lowest, points[..., 2].min())


@pytest.fixture(scope="module")
def rope_shaken() -> Shaken:
    return shaken("straighten-rope")


@pytest.fixture(scope="module")
def cloth_shaken() -> Shaken:
    return shaken("fold-cloth")


@pytest.fixture(scope="module")
def water_shaken() -> Shaken:
    return shaken("pass-water")


def test_a_rope_keeps_its_length_and_its_grippers(rope_shaken: Shaken) -> None:
    assert rope_shaken.link_error < 1e-9
    assert np.median(rope_shaken.tie_gap) < 0.005
    assert max(rope_shaken.tie_gap) < 0.03


def test_a_cloth_hardly_stretches(cloth_shaken: Shaken) -> None:
    assert cloth_shaken.stretch < 0.5


def test_no_water_is_lost(water_shaken: Shaken) -> None:
    assert water_shaken.counts == {water.DROPS}


@pytest.mark.parametrize("name", ["rope_shaken", "cloth_shaken", "water_shaken"])
def test_nothing_falls_through_the_table(name: str, request: pytest.FixtureRequest) -> None:
    assert request.getfixturevalue(name).lowest > -0.01  # [m]


# What counts as done


def straight_rope(share: float = 1.0, bow: float = 0.0) -> np.ndarray:
    """(1, n, 3): ends `share` of the length apart along x, and `bow` [m] to the side in the middle."""
    along = np.linspace(0, 1, rope.LINKS + 1)
    y = bow * np.sin(np.pi * along)
    return np.stack([share * rope.LENGTH * along, y, np.full_like(y, rope.RADIUS)], axis=1)[None]


def test_bend_is_the_height_of_an_arc_in_any_direction() -> None:
    angle = np.linspace(0, np.pi, 181)
    arc = np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=1)
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    np.testing.assert_allclose(rope.bend((0.2 * arc @ turn + [1.0, 2.0, 3.0])[None]), 0.2, rtol=1e-9)
    np.testing.assert_allclose(rope.bend(straight_rope()), 0.0, atol=1e-12)


@pytest.mark.parametrize(
    ("share", "bow", "done"), [(0.999, 0.0, True), (0.96, 0.019, True), (0.94, 0.0, False), (0.96, 0.021, False)]
)
def test_a_rope_is_straight_when_its_ends_are_far_apart_and_nothing_is_beside(
    share: float, bow: float, done: bool
) -> None:
    assert straighten_rope.straight(straight_rope(share, bow)) == [done]


def folded_cloth() -> tuple[np.ndarray, np.ndarray]:
    """A cloth folded exactly, (1, n, 3), and its targets, (1, 2, 3)."""
    points = cloth.rest_points()[None].copy()
    goals = points[:, cloth.FREE] + [0, 0, cloth.LIFT]
    points[:, cloth.UPPER, :2] = points[:, cloth.LOWER, :2]
    return points, goals


def test_a_cloth_is_folded_when_it_lies_flat_on_its_other_half() -> None:
    points, goals = folded_cloth()
    assert cloth.halves_distance(points) == [0.0]
    assert fold_cloth.folded(points, goals) == [True]
    assert fold_cloth.folded(points + np.array([0.025, 0, 0]), goals) == [True]


def test_a_cloth_spread_out_dragged_away_or_standing_up_is_not_folded() -> None:
    points, goals = folded_cloth()
    spread = cloth.rest_points()[None]
    np.testing.assert_allclose(cloth.halves_distance(spread), 0.625 * cloth.SIDE)
    assert fold_cloth.folded(spread, goals) == [False]
    assert fold_cloth.folded(points + np.array([0.04, 0, 0]), goals) == [False]
    standing = points.copy()
    standing[0, cloth.GRID * cloth.GRID // 2, 2] = 0.05
    assert fold_cloth.folded(standing, goals) == [False]
    crumpled = points.copy()
    crumpled[0, cloth.UPPER[1:]] += [0.05, 0, 0]  # its corners are where they belong, the rest is not
    assert fold_cloth.folded(crumpled, goals) == [False]


def test_a_cup_has_arrived_when_it_is_near_slow_and_full() -> None:
    offset, velocity, share = np.array([[0.019, 0, 1], [0.021, 0, 1], [0, 0.04, 1], [0, 0, 0.96], [-0.019, 0, 0.94]]).T
    np.testing.assert_array_equal(pass_water.arrived(offset, velocity, share), [True, False, False, True, False])


def test_a_drop_is_inside_between_the_walls_and_below_the_rim() -> None:
    x, y = water.INSIDE
    from_cup = np.array([[0, 0, 0.02], [x - 1e-9, 0, 0.02], [x + 0.01, 0, 0.02], [0, y + 0.01, 0.02], [0, 0, 0.2]])
    places = from_cup + np.array([0.3, 0, 0])
    np.testing.assert_array_equal(water.inside(places[None], np.array([0.3])), [[True, True, False, False, False]])


def test_what_is_interrupted_is_counted_anew() -> None:
    steps = np.zeros(1, dtype=int)
    counts = []
    for holds in (True, True, False, True):
        steps = count_up(steps, np.array([holds]))
        counts.append(int(steps[0]))
    assert counts == [1, 2, 0, 1]


# Episodes


def play(name: str, who: str) -> np.ndarray:
    """In which of the episodes success was reached, (EPISODES,) bool."""
    env, rng = sims.make(f"soft/{name}", EPISODES, autoreset=False), np.random.default_rng(0)
    observations, _ = env.reset(seed=200)
    controller, success = soft.scripted(name, EPISODES), np.zeros(EPISODES, dtype=bool)
    for _ in range(60):
        random = rng.uniform(-1, 1, (EPISODES, env.task.act_dim))
        actions = controller(env.scene, observations) if who == "scripted" else random
        observations, *_, info = env.step(actions)
        success |= info["success"]
    env.close()
    return success


@pytest.mark.parametrize("name", soft.TASKS)
def test_the_scripted_controller_does_it_and_chance_does_not(name: str) -> None:
    assert play(name, "scripted").mean() > 0.9
    assert not play(name, "random").any()


@pytest.fixture
def cup() -> Iterator[BatchEnv]:
    env = sims.make("soft/pass-water", WORLDS, autoreset=False)
    env.reset(seed=7)
    yield env
    env.close()


def test_water_begins_at_rest_in_the_cup(cup: BatchEnv) -> None:
    assert np.abs(cup.scene["water.velocity"]).max() < 0.02
    assert cup.scene["water.inside"].min() >= pass_water.SHARE
    assert (cup.scene["goal.x"] - cup.scene["cup.x"]).min() > 0.25


@pytest.mark.parametrize(("push", "spills"), [(0.1, False), (1.0, True)])
def test_who_hurries_spills(cup: BatchEnv, push: float, spills: bool) -> None:
    for turn in range(4):  # there and back and there again
        for _ in range(4):
            cup.step(np.full((WORLDS, 1), push if turn % 3 == 0 else -push))
    spilled = cup.scene["water.spilled"] > 1.0 - pass_water.SHARE
    assert spilled.all() if spills else not spilled.any()


def test_an_action_is_an_acceleration(cup: BatchEnv) -> None:
    for _ in range(4):
        cup.step(np.full((WORLDS, 1), 0.25))
    np.testing.assert_allclose(cup.scene["cup.velocity"], 4 * 0.25 * water.ACCELERATION * 0.05, rtol=0.15)


@pytest.mark.parametrize("name", ["straighten-rope", "fold-cloth"])
def test_an_action_lifts_the_grippers_by_its_step(name: str) -> None:
    env = sims.make(f"soft/{name}", 1)
    env.reset(seed=0)
    field = "rope.points" if "rope" in name else "cloth.held_corners"
    for action in ([0, 0, 1.0, 0, 0, 1.0], *[[0.0] * 6] * 8):
        env.step(np.array([action]))
    rise = (env.scene[field] - env.scene.initial[field])[0, [0, -1], 2]
    np.testing.assert_allclose(rise, GRIPPER_STEP, atol=0.005)
    env.close()


def test_starts_are_flat_and_unstretched_ropes_crumpled() -> None:
    env = sims.make("soft/fold-cloth", WORLDS)
    env.reset(seed=1)
    rest = edge_lengths(cloth.rest_points())
    np.testing.assert_allclose(edge_lengths(cloth.vertices(env.worlds.view))[0], rest, atol=1e-9)  # type: ignore[attr-defined]
    env.close()
    env = sims.make("soft/straighten-rope", 50)
    env.reset(seed=1)
    assert env.scene["rope.end_distance"].max() < 0.75 * rope.LENGTH
    assert env.scene["rope.bend"].min() > 2 * straighten_rope.BEND
    env.close()


def test_a_task_that_is_not_there_is_named_with_its_neighbour() -> None:
    with pytest.raises(UserError, match="did you mean 'soft/fold-cloth'"):
        soft.make("fold-clothes", 1)
