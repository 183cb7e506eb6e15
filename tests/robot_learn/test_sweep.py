"""The sweep: each value on the same starts, ranges that end where the policy fails, and training inside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sims
from robot_learn import loops
from robot_learn.cli import main
from robot_learn.envs import EVAL_SEED0, SWEEP_SEED0, TRAIN_SEEDS
from robot_learn.errors import UserError
from robot_learn.evaluation import wilson_interval
from robot_learn.policy import MlpPolicy
from robot_learn.runs import CONFIG, POLICY, RANDOMISATION, SWEEP, SWEEP_PLOT, Run
from robot_learn.sweep import FACTORS, Sweep, grid, proposed_ranges, sweep
from robot_learn.train_config import preset
from tests.toy import toy_task

GOOD = {
    "mass": (0.5, 3.0),
    "friction": (0.95, 1.05),
    "gravity": (0.0, 99.0),
    "latency": (0, 3),
}  # where the stub succeeds
BAD_SEEDS = 10  # of the stub: every tenth episode fails wherever it is


class Stub:
    """Succeeds at step 3 of 5 where every parameter is good and the seed is; starts over after each end."""

    def __init__(self, count: int) -> None:
        self.task, self.num_envs = toy_task(5), count

    def assign(self, parameters: Mapping[str, np.ndarray]) -> None:
        self.good = np.all([(GOOD[n][0] <= v) & (v <= GOOD[n][1]) for n, v in parameters.items()], axis=0)
        assert len(self.good) == self.num_envs

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        self.seeds, self.clock = np.array(seed), 0
        return self.seeds[:, None], {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        self.clock += 1
        no, ends = np.zeros(self.num_envs, dtype=bool), np.full(self.num_envs, self.clock % 5 == 0)
        # In a second episode all worlds would succeed: it must not count.
        success = (self.good & (self.seeds % BAD_SEEDS != 0) & (self.clock == 3)) | (self.clock > 5)
        return self.seeds[:, None], np.zeros(self.num_envs), no, ends, {"success": success}


class Still:
    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, Any]:
        assert deterministic
        return np.zeros((len(observation), 2)), state


def swept(*names: str, stub: Any = Stub, episodes: int = 20, **options: Any) -> Sweep:
    def make(count: int) -> Any:
        env = stub(count)
        return nullcontext((env, env.assign))

    return sweep(make, Still(), names, episodes=episodes, **options)


def test_a_range_is_what_the_policy_works_in_and_says_where_the_grid_ends_first() -> None:
    mass, friction, gravity, latency = swept("mass", "friction", "gravity", "latency").parameters
    assert (mass.low, mass.high, mass.open_low, mass.open_high) == (0.5, 3.0, False, False)
    assert (friction.low, friction.high) == (1.0, 1.0)
    assert (gravity.low, gravity.high, gravity.open_low, gravity.open_high) == (FACTORS[0], FACTORS[-1], True, True)
    assert (latency.low, latency.high, latency.open_low, latency.open_high) == (0, 3, False, False)


def test_every_point_is_of_the_same_starts_and_its_interval_is_wilsons() -> None:
    result = swept("mass", "latency")
    assert TRAIN_SEEDS <= SWEEP_SEED0 <= result.first_seed < EVAL_SEED0
    assert result.nominal.successes == 18  # of 20 seeds in a row, every tenth fails
    for parameter in result.parameters:
        low, high = GOOD[parameter.name]
        assert [point.value for point in parameter.points] == sorted(grid(parameter.name))
        for point in parameter.points:
            assert point.successes == (18 if low <= point.value <= high else 0)
            assert point.interval == wilson_interval(point.successes, 20)


def test_working_islands_beyond_a_failure_do_not_count() -> None:
    class Island(Stub):
        def assign(self, parameters: Mapping[str, np.ndarray]) -> None:
            super().assign(parameters)
            self.good |= parameters["mass"] < 0.3

    (mass,) = swept("mass", stub=Island, grids={"mass": (0.2, 0.4, 0.6, 1, 2)}).parameters
    assert (mass.points[0].successes, mass.points[1].successes) == (18, 0)
    assert (mass.low, mass.open_low) == (0.6, False)


def test_rounds_of_few_worlds_give_the_same_result() -> None:
    assert swept("mass", "latency", most_worlds=7) == swept("mass", "latency")


def test_a_stricter_criterion_narrows_the_range() -> None:
    class Fading(Stub):
        """Succeeds at rates of .9, .9, .6 and .5 for the masses below."""

        def assign(self, parameters: Mapping[str, np.ndarray]) -> None:
            super().assign(parameters)
            self.weight = 4.0 * (parameters["mass"] - 2.0).clip(0)

        def reset(self, *, seed: Any = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
            shown = super().reset(seed=seed)
            self.good &= self.seeds % BAD_SEEDS > self.weight
            return shown

    shares = (0.9, 0.6, 0.5)  # of .9
    found = [swept("mass", stub=Fading, share=share, grids={"mass": (1, 2, 2.9, 3)}) for share in shares]
    assert [result.parameters[0].high for result in found] == [2.0, 2.9, 3.0]


def test_ranges_to_train_with_are_those_found_or_wider_and_only_where_there_is_one() -> None:
    result = swept("mass", "friction", "latency")
    assert proposed_ranges(result) == {
        "mass": {"low": 0.5, "high": 3.0, "scale": "log"},
        "latency": {"low": 0, "high": 3, "scale": "linear"},
    }
    wider = proposed_ranges(result, widen=1.5)
    assert wider["mass"] == {"low": 0.3333, "high": 4.5, "scale": "log"}
    assert wider["friction"] == {"low": 0.6667, "high": 1.5, "scale": "log"}
    assert wider["latency"] == {"low": 0, "high": 4, "scale": "linear"}


def test_a_policy_that_fails_nominally_has_nothing_to_be_compared_with() -> None:
    first_bad = SWEEP_SEED0 + -SWEEP_SEED0 % BAD_SEEDS
    with pytest.raises(UserError, match="0 of 1 nominal episodes"):
        swept("mass", episodes=1, first_seed=first_bad)
    for names, options in (((), {}), (("mass",), {"episodes": 0}), (("mass",), {"share": 0.0})):
        with pytest.raises(UserError, match="sweep: wanted"):
            swept(*names, **options)  # type: ignore[arg-type]


# The command


def balancing(tmp_path: Path) -> Run:
    """A run of the cart-pole whose policy is linear feedback, in the observations' order."""
    gains = np.array([[0.72, 0.92, 6.8, 1.08]], dtype=np.float32)
    one, four = np.zeros(1), np.zeros(4)
    policy = MlpPolicy(
        obs_mean=four,
        obs_scale=np.ones(4),
        obs_clip=np.asarray(np.inf),
        weights=(),
        biases=(),
        relu=np.asarray(False),
        mean_weight=gains,
        mean_bias=one,
        log_std_weight=np.zeros((1, 4)),
        log_std_bias=np.full(1, -np.inf),
        state_noise=np.zeros((1, 4)),
        low=np.full(1, -3.0),
        high=np.full(1, 3.0),
        squash=np.asarray(False),
    )
    run = Run.create(tmp_path, task="mujoco/cart-pole", seed=0, config={"reward": "sparse"})
    policy.save(run.file(POLICY))
    return run


def test_the_command_finds_that_a_balanced_pole_tolerates_weight_but_no_long_delay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = balancing(tmp_path)
    words = ["sweep", str(run.path), "--parameters", "mass", "latency", "--episodes", "5"]
    assert main([*words, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["nominal"]["rate"] == 1.0
    assert result["parameters"]["mass"]["high"] > 1.0
    assert result["parameters"]["latency"]["high"] < 12
    assert not result["parameters"]["latency"]["open_high"]
    stored = run.read_json(SWEEP)
    assert stored["parameters"] == result["parameters"]
    assert run.read_json(RANDOMISATION) == result["randomisation"]
    assert run.file(SWEEP_PLOT).read_bytes().startswith(b"\x89PNG")
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "works from" in shown
    assert RANDOMISATION in shown


def test_the_command_names_the_parameters_that_there_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = balancing(tmp_path)
    assert main(["sweep", str(run.path), "--parameters", "mass:pol"]) == 2
    assert "did you mean 'mass:pole'" in capsys.readouterr().err
    assert main(["sweep", str(run.path), "--widen", "0.5"]) == 2
    assert "--widen 0.5: wanted 1 or more" in capsys.readouterr().err
    assert not run.has(SWEEP)


def test_training_draws_from_the_table_goes_on_with_it_and_is_evaluated_nominally(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "table.json"
    table.write_text(json.dumps({"mass": [0.5, 2.0], "latency": [0, 1]}))
    small = ["--num-envs", "8", "--steps", "400", "--json"]
    begun = ["train", "mujoco/cart-pole", "--reward", "expert", "--out", str(tmp_path / "runs"), *small]
    folders, results = [], []
    for words in ([*begun, "--randomise", str(table)], begun):
        assert main([*words, "--no-video", "--episodes", "3"]) == 0
        results.append(json.loads(capsys.readouterr().out))
        folders.append(Path(results[-1]["run"]))
    assert json.loads((folders[0] / CONFIG).read_text())["randomise"] == {"mass": [0.5, 2.0], "latency": [0, 1]}
    assert "randomise" not in json.loads((folders[1] / CONFIG).read_text())
    drawn, plain = ((folder / POLICY).read_bytes() for folder in folders)
    assert drawn != plain  # it learned from other worlds
    randomised = Run(folders[0])
    assert f"--randomise {folders[0] / CONFIG}" in loops.command_of(randomised)
    env = loops.environment(randomised, 1)  # as evaluation makes it
    assert not hasattr(env.worlds, "parameters")
    assert main(["train", "--resume", str(folders[0]), "--randomise", str(table)]) == 2
    assert "leave --randomise out" in capsys.readouterr().err


def test_a_resumed_randomised_run_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    table = {"mass": (0.5, 2.0), "latency": (0, 2), "observation_noise": (0.0, 0.01), "action_noise": 0.1}
    policies = []
    for name, steps in (("whole", [800]), ("parts", [400, 800])):
        asked = preset("ppo", num_envs=8, total_steps=400)
        run = loops.begin(sims.task("mujoco/cart-pole"), "expert", asked, tmp_path / name, randomise=table)
        for index, total in enumerate(steps):
            loops.train_run(run, loops.train_config(run, total_steps=total), resume=index > 0, quiet=True)
        policies.append(run.file(POLICY).read_bytes())
    assert policies[0] == policies[1]


def test_a_wrong_table_leaves_no_run_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "table.json"
    table.write_text(json.dumps({"wieght": 2}))
    words = ["train", "mujoco/cart-pole", "--reward", "expert", "--out", str(tmp_path / "runs")]
    assert main([*words, "--randomise", str(table)]) == 2
    assert "no parameter named 'wieght'" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
