"""Weights that make successes be paid more than failures, fitted to made-up episodes and checked by another solver."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import differential_evolution, minimize

import sims
from rewards.probed import Episodes, measure
from rewards.weights import MARGIN, MOST, Pairs, fit_weights, objective, pairs_of, read_weights, solve
from robot_learn.cli import main
from robot_learn.errors import UserError
from robot_learn.rollouts import Rollouts, Scored
from robot_learn.scene import Field, Schema
from robot_learn.types import ActionComponent, Task

T = 60
TASK = Task(
    "toy/slide",
    "Slide it home.",
    Schema((Field("slide.place", (), "m", "world", "how far it is"),)),
    (ActionComponent("push", -1.0, 1.0, "pushes it"),),
    T,
    0.1,
)
PLAIN = {"reach": 1.0, "move": 1.0, "home": 1.0}


def episodes(rng: np.random.Generator, weights: dict[str, float], *, successes: int = 12, failures: int = 20) -> Scored:
    """Successes reach, then move, and are home at the end; failures reach all the better and move half the way."""
    count = successes + failures
    won = np.arange(count) < successes
    time = np.linspace(0.0, 1.0, T)[:, None]
    noise = 0.02 * rng.standard_normal((3, T, count))
    late = rng.uniform(0.5, 0.8, count)
    moved = np.clip((time - 0.2) / (late - 0.2), 0.0, 1.0) * np.where(won, 1.0, rng.uniform(0.1, 0.6, count))
    reached = np.minimum(1.0, time / 0.2) * np.where(won, 0.8, 1.0)
    success = moved >= 0.98
    terms = {
        "reach": reached + noise[0],
        "move": moved + noise[1],
        "home": 1.0 * success + noise[2],
    }
    rollouts = Rollouts(
        TASK.schema,
        "scripted",
        {"slide.place": np.concatenate([np.zeros((1, count)), moved])},
        np.zeros((T, count, 1)),
        success,
        np.ones((T, count), dtype=bool),
    )
    terms = {name: weights[name] * term for name, term in terms.items()}
    return Scored(rollouts, np.sum(list(terms.values()), axis=0), terms)


def weighted(scored: Scored, weights: Any) -> Scored:
    """Scored again, by the definition of `Program.with_weights`."""
    extra = sum((weights[name] - 1.0) * term for name, term in scored.terms.items())
    return replace(scored, rewards=scored.rewards + extra)


def rank(scored: Scored) -> float:
    return measure(Episodes.of([scored], TASK))["rank"]


@pytest.mark.parametrize("wrong", [{"reach": 20.0}, {"home": 0.05, "move": 0.05}])
def test_a_wrong_weight_is_made_up_for_also_in_episodes_that_were_not_fitted_to(wrong: dict[str, float]) -> None:
    scored = episodes(np.random.default_rng(0), PLAIN | wrong)
    unseen = episodes(np.random.default_rng(1), PLAIN | wrong)
    assert rank(scored) < 0.5
    fit = fit_weights([scored], TASK)
    assert fit.status == "fitted"
    assert fit.after.ordered == 1.0
    assert fit.after.margin > 0.0 > fit.before.margin
    assert rank(weighted(scored, fit.weights)) == 1.0
    assert rank(weighted(unseen, fit.weights)) > 0.95
    assert fit.weights["reach"] < min(fit.weights["move"], fit.weights["home"])
    assert all(1.0 / MOST <= weight <= MOST for weight in fit.weights.values())
    assert fit_weights([scored], TASK) == fit  # deterministic


def test_a_reward_in_order_keeps_its_weights() -> None:
    fit = fit_weights([episodes(np.random.default_rng(0), PLAIN | {"move": 3.0, "home": 3.0})], TASK)
    assert set(fit.weights.values()) == {1.0}
    assert fit.status in ("in order", "no help")
    assert fit.before == fit.after
    assert fit.before.ordered == 1.0


def test_weights_that_cannot_help_stay_as_they_are() -> None:
    scored = episodes(np.random.default_rng(0), PLAIN)
    rng = np.random.default_rng(1)
    noise = {name: rng.standard_normal(scored.rewards.shape) for name in PLAIN}
    backwards = {"reach": scored.terms["reach"], "away": -scored.terms["move"], "lost": -scored.terms["home"]}
    for terms, statuses in ((noise, ("no help",)), (backwards, ("no help",)), ({}, ("no terms",))):
        total = np.sum(list(terms.values()), axis=0) if terms else scored.rewards
        fit = fit_weights([replace(scored, rewards=total, terms=terms)], TASK)
        assert fit.status in statuses
        assert all(weight == 1.0 for weight in fit.weights.values())
        assert fit.before == fit.after


def test_without_a_failure_or_without_a_success_nothing_is_fitted_to_their_order() -> None:
    rng = np.random.default_rng(0)
    lost = episodes(rng, PLAIN | {"reach": 20.0}, successes=0)
    assert fit_weights([lost], TASK).status == "no pairs"
    won = episodes(rng, PLAIN, failures=0)
    assert [pairs.name for pairs in pairs_of(Episodes.of([won], TASK))] == ["progress"]


def test_the_pairs_say_what_the_weighted_program_pays() -> None:
    scored = episodes(np.random.default_rng(2), PLAIN)
    scored = replace(scored, rewards=scored.rewards + 0.3 * scored.terms["move"] ** 2)  # a total that is no plain sum
    weights = {"reach": 0.4, "move": 2.0, "home": 5.0}
    before, after = Episodes.of([scored], TASK), Episodes.of([weighted(scored, weights)], TASK)
    for pairs, name in zip(pairs_of(before), ("stay", "returns"), strict=False):
        paid = getattr(after, name)
        wanted = (paid[after.won][:, None] - paid[~after.won][None]).ravel()
        np.testing.assert_allclose(pairs.offset + pairs.differences @ list(weights.values()), wanted, atol=1e-9)


def random_kinds(rng: np.random.Generator) -> list[Pairs]:
    return [
        Pairs(name, 0.1 * rng.standard_normal(30), rng.standard_normal((30, 3)) + 0.3) for name in ("stay", "return")
    ]


@pytest.mark.parametrize("seed", range(4))
def test_another_solver_finds_the_same_weights(seed: int) -> None:
    kinds = random_kinds(np.random.default_rng(seed))
    found = solve(kinds, 3)

    def price(logarithms: np.ndarray) -> float:
        return objective(kinds, np.exp(logarithms))

    bounds = [(-np.log(MOST), np.log(MOST))] * 3
    rough = differential_evolution(price, bounds, seed=0, tol=1e-10, maxiter=300, popsize=10)
    best = minimize(price, rough.x, method="Nelder-Mead", bounds=bounds, options={"xatol": 1e-9, "fatol": 1e-12})
    assert objective(kinds, found) == pytest.approx(best.fun, abs=1e-6)
    np.testing.assert_allclose(found, np.exp(best.x), rtol=5e-3)


def test_a_single_term_grows_until_the_margin_is_reached_and_no_further() -> None:
    kinds = [Pairs("stay", np.zeros(5) - 3.0, np.full((5, 1), 2.0))]
    # All differences are 2 w - 3 and the scale is 2: the margin w - 1.5 reaches MARGIN where the ridge is still flat.
    assert solve(kinds, 1) == pytest.approx([MARGIN + 1.5], abs=1e-4)


def test_the_price_of_a_weight_is_that_of_its_inverse() -> None:
    weights = np.array([0.3, 2.0, 7.0])
    assert objective([], weights) == pytest.approx(objective([], 1.0 / weights))
    assert objective([], np.ones(3)) == 0.0


def test_the_command_writes_weights_that_a_training_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    task = sims.task("metaworld/drawer-open")
    made_up = episodes(np.random.default_rng(0), PLAIN).rollouts
    shape = made_up.values["slide.place"].shape
    values = {field.name: np.zeros((*shape, *field.shape)) for field in task.schema}
    values["drawer.opening"] = 0.2 * made_up.values["slide.place"]
    values["robot.gripper_opening"] = 0.1 * np.broadcast_to(~made_up.succeeded, shape)  # failures have it open
    rollouts = replace(made_up, schema=task.schema, values=values, actions=np.zeros((*made_up.success.shape, 4)))
    monkeypatch.setattr("robot_learn.probes.collect", lambda task, fresh: [rollouts])
    (tmp_path / "reward.py").write_text(
        "def reward(scene, action):\n"
        "    return {'apart': 100.0 * scene.robot.gripper_opening, 'open': 5.0 * scene.drawer.opening}\n"
    )
    words = ["reward", "weigh", str(tmp_path / "reward.py"), "--task", task.name]
    assert main([*words, "--out", str(tmp_path / "weights.json")]) == 0
    assert "fitted" in capsys.readouterr().out
    found = read_weights(tmp_path / "weights.json")
    assert found["apart"] < 0.5 < 1.0 < found["open"]
    assert main([*words, "--weights", str(tmp_path / "weights.json"), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["before"]["ordered"] == 1.0  # it begins from the weights that it is given


def test_weights_are_read_from_a_table_or_from_one_under_their_name(tmp_path: Path) -> None:
    path = tmp_path / "weights.json"
    path.write_text('{"reach": 2, "home": 0.5}')
    assert read_weights(path) == {"reach": 2.0, "home": 0.5}
    path.write_text('{"status": "fitted", "weights": {"reach": 2}}')
    assert read_weights(path) == {"reach": 2.0}
    for text, says in (
        ("[1]", "wanted a table"),
        ('{"reach": "2"}', "wanted a table"),
        ('{"reach": true}', "wanted"),
        ("{", "not JSON"),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=says):
            read_weights(path)
    with pytest.raises(UserError, match="cannot be read"):
        read_weights(tmp_path / "none.json")
