"""Training as a whole on the toy: it learns, it tells, it stops."""

from __future__ import annotations

import dataclasses
import io
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from robot_learn import checkpoint
from robot_learn.envs import EVAL_SEED0, TRAIN_SEEDS, first_train_seed
from robot_learn.errors import UserError
from robot_learn.evaluation import evaluate
from robot_learn.metrics import LOSSES, Metrics, read_progress
from robot_learn.policy import load_policy
from robot_learn.progress import Progress, clock, progress_display
from robot_learn.runs import POLICY, PROGRESS, TENSORBOARD, Run
from robot_learn.train_config import TrainConfig, build, preset
from robot_learn.training import train
from robot_learn.vec_env import SB3VecEnv
from tests.toy import PointEnv, Reach

PPO_TOY: dict[str, Any] = {"num_envs": 32, "n_steps": 20, "minibatches": 4, "total_steps": 24_000}


def new_run(folder: Path) -> Run:
    return Run.create(folder, task="toy/point", seed=0, config={})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, TrainConfig, list[Progress]]:
    run, config, seen = new_run(tmp_path_factory.mktemp("runs")), preset("ppo", **PPO_TOY), []
    train(PointEnv(config.num_envs), run, config, on_progress=seen.append)
    return run, config, seen


def test_ppo_learns_to_reach_the_goal(trained: tuple[Run, TrainConfig, list[Progress]]) -> None:
    result, _ = evaluate(PointEnv(25), load_policy(trained[0]), episodes=50)
    untrained, _ = evaluate(PointEnv(25), load_policy_of_zero(), episodes=50)
    assert result.success_rate > 0.9
    assert untrained.success_rate < 0.2


def load_policy_of_zero() -> Any:
    class Zero:
        def predict(self, observation: np.ndarray, **_: Any) -> tuple[np.ndarray, None]:
            return np.zeros((len(observation), 2), dtype=np.float32), None

    return Zero()


def test_figures_have_one_row_per_iteration_with_terms_and_losses(
    trained: tuple[Run, TrainConfig, list[Progress]],
) -> None:
    run, config, _ = trained
    rows = read_progress(run)
    per_iteration = config.num_envs * config.n_steps
    assert [row["steps"] for row in rows] == [per_iteration * (i + 1) for i in range(len(rows))]
    assert len(rows) == -(-config.total_steps // per_iteration)
    wanted = {f"loss/{name}" for name in LOSSES["ppo"]} | {f"term/{name}" for name in Reach.term_names}
    assert wanted < rows[0].keys()
    assert all(value is not None for value in rows[0].values())
    for row in rows:  # all episodes last 20 steps, as many as a row: the terms make up the return
        assert row["episode_length"] == 20
    assert rows[-1]["episode_return"] > rows[0]["episode_return"]
    assert list(run.file(TENSORBOARD).glob("events.out.*"))


def test_progress_ends_at_the_end(trained: tuple[Run, TrainConfig, list[Progress]]) -> None:
    _, config, seen = trained
    assert [p.steps for p in seen] == sorted(p.steps for p in seen)
    assert seen[-1].steps >= config.total_steps
    assert seen[-1].seconds_left == 0
    assert seen[-1].success_rate is not None
    assert all(p.steps_per_second >= 0 for p in seen)


@pytest.mark.parametrize(("algorithm", "noise_steps"), [("ppo", 0), ("ppo", 8), ("sac", 0)])
@pytest.mark.parametrize("normalise", [True, False])
def test_the_exported_policy_acts_as_the_model_behind_its_normaliser(
    algorithm: str, noise_steps: int, normalise: bool
) -> None:
    torch.manual_seed(0)
    sizes = {"num_envs": 4, "minibatches": 4, "hidden": (16, 8), "buffer_size": 100, "noise_steps": noise_steps}
    config = preset(algorithm, **sizes, normalise_observations=normalise)
    model, normaliser = build(config, SB3VecEnv(PointEnv(4)))
    normaliser.reset()
    rng = np.random.default_rng(0)
    for _ in range(50):
        normaliser.step(rng.uniform(-1, 1, (4, 2)).astype(np.float32))
    for parameter in model.policy.parameters():  # far from its zero-like start
        parameter.data += 0.3 * torch.randn_like(parameter)
    policy = checkpoint.export_policy(model, normaliser)
    observations = rng.normal(0, 3, (500, 4)).astype(np.float32)
    expected, _ = model.predict(np.asarray(normaliser.normalize_obs(observations)), deterministic=True)
    got, _ = policy.predict(observations, deterministic=True)
    np.testing.assert_allclose(got, expected, atol=2e-6)
    np.testing.assert_allclose(policy.predict(observations[7], deterministic=True)[0], expected[7], atol=2e-6)
    assert np.ptp(expected) > 0.5

    same = np.repeat(observations[:1] / 3, 4000, axis=0)
    drawn, _ = policy.predict(same)
    if noise_steps:
        model.policy.reset_noise(len(same))  # else all rows share one draw
    reference, _ = model.predict(np.asarray(normaliser.normalize_obs(same)))
    np.testing.assert_allclose(drawn.mean(axis=0), reference.mean(axis=0), atol=0.05)
    np.testing.assert_allclose(drawn.std(axis=0), reference.std(axis=0), atol=0.05)


def test_a_policy_survives_its_file(tmp_path: Path, trained: tuple[Run, TrainConfig, list[Progress]]) -> None:
    policy = load_policy(trained[0])
    policy.save(tmp_path / POLICY)
    again = load_policy(tmp_path / POLICY)
    observations = np.random.default_rng(0).normal(size=(9, 4))
    np.testing.assert_array_equal(policy.predict(observations)[0], again.predict(observations)[0])
    with pytest.raises(UserError, match=r"wants observations \(N, 4\)"):
        policy.predict(np.zeros((2, 3)))
    with pytest.raises(UserError, match="train the run first"):
        load_policy(tmp_path / "nowhere")
    (tmp_path / "bad.npz").write_bytes(b"bad")
    with pytest.raises(UserError, match="not a policy"):
        load_policy(tmp_path / "bad.npz")


def test_training_stops_at_the_wanted_success(tmp_path: Path) -> None:
    config = preset("ppo", **PPO_TOY, stop_at_success=0.5)
    run = new_run(tmp_path)
    result = train(PointEnv(config.num_envs), run, config)
    assert result.reached_success
    assert not result.interrupted
    assert 200 * 20 <= result.steps < config.total_steps
    assert run.has(POLICY)


def test_a_policy_that_falls_back_leaves_the_last_of_the_best_ones_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def policy_after(rows: int, rates: list[float]) -> bytes:
        monkeypatch.setattr("robot_learn.training._Loop.recent", lambda loop: (rates[max(loop.iteration - 1, 0)], 0.0))
        config = preset("ppo", **PPO_TOY)
        config = dataclasses.replace(config, total_steps=rows * config.num_envs * config.n_steps)
        run = new_run(tmp_path)
        train(PointEnv(config.num_envs), run, config)
        return run.file(POLICY).read_bytes()

    third = policy_after(3, [0.0, 0.5, 0.9])
    assert policy_after(3, [0.0, 0.9, 0.9]) == third
    assert policy_after(5, [0.0, 0.5, 0.9, 0.8, 0.1]) == third
    assert policy_after(5, [0.0, 0.5, 0.9, 0.8, 0.9]) != third


def test_training_works_outside_the_main_thread(tmp_path: Path) -> None:
    config = preset("ppo", **PPO_TOY | {"total_steps": 640})
    results: list[Any] = []
    thread = threading.Thread(
        target=lambda: results.append(train(PointEnv(config.num_envs), new_run(tmp_path), config))
    )
    thread.start()
    thread.join()
    assert results[0].steps == 640


def test_training_leaves_the_number_of_threads_as_it_was(tmp_path: Path) -> None:
    torch.set_num_threads(2)
    config = preset("ppo", **PPO_TOY | {"total_steps": 640})
    train(PointEnv(config.num_envs), new_run(tmp_path), config)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)


def test_settings_out_of_range_are_errors_that_name_them(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'ppo'"):
        preset("pppo")
    with pytest.raises(UserError, match="did you mean 'gamma'"):
        preset("ppo", gama=0.9)
    with pytest.raises(UserError, match=r"gamma is 1\.2"):
        preset("ppo", gamma=1.2)
    with pytest.raises(UserError, match="num_envs is 0"):
        TrainConfig(num_envs=0)
    with pytest.raises(UserError, match="7 worlds of 10 steps do not divide into 16"):
        TrainConfig(num_envs=7, n_steps=10)
    with pytest.raises(UserError, match="3 worlds, the configuration wants 128"):
        train(PointEnv(3), new_run(tmp_path), TrainConfig())
    assert dataclasses.replace(preset("sac"), seed=3).hidden == (256, 256)


def test_seeds_of_two_trainings_share_no_world_and_none_with_evaluation() -> None:
    worlds = [set(range(first_train_seed(seed, 128), first_train_seed(seed, 128) + 128)) for seed in range(5)]
    assert len(set.union(*worlds)) == 5 * 128
    last = TRAIN_SEEDS // 128 - 1
    assert first_train_seed(last, 128) + 127 < TRAIN_SEEDS < EVAL_SEED0
    with pytest.raises(UserError, match=f"wanted 0 to {last}"):
        first_train_seed(last + 1, 128)
    with pytest.raises(UserError):
        first_train_seed(-1, 128)


def test_resumed_figures_drop_rows_after_the_checkpoint_and_torn_lines(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    with Metrics(run) as metrics:
        for steps in (10, 20, 30):
            metrics.write({"steps": steps, "success_rate": None if steps == 10 else 0.5})
    with run.file(PROGRESS).open("a") as file:
        file.write("40,0.")
    with Metrics(run, resumed_at=20) as metrics:
        metrics.write({"steps": 30, "success_rate": 0.75})
    assert read_progress(run) == [
        {"steps": 10, "success_rate": None},
        {"steps": 20, "success_rate": 0.5},
        {"steps": 30, "success_rate": 0.75},
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_a_plain_line_in_a_log_and_a_bar_on_a_terminal() -> None:
    moment = Progress(5_000, 10_000, 3, 0.42, 12.345, 2_000.0, 65.0)
    log, terminal = io.StringIO(), Terminal()
    for stream in (log, terminal):
        with progress_display(stream) as show:
            show(dataclasses.replace(moment, steps=4_000))
            show(moment)
    assert len(log.getvalue().splitlines()) == 1  # less than ten seconds passed: the last moment alone
    for text in ("5,000 / 10,000 steps", "success  42%", "12.35", "2,000 steps/s", "1:05 left"):
        assert text in log.getvalue()
    assert "50%" in terminal.getvalue()
    assert "stop at once" in dataclasses.replace(moment, saving=True).line()


def test_clock_reads_as_people_write_it() -> None:
    assert [clock(s) for s in (None, 5, 65.4, 7207)] == ["–", "0:05", "1:05", "2:00:07"]
