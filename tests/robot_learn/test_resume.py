"""A training that is cut and resumed ends with the same numbers, to the bit, as one that was left alone."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from robot_learn import checkpoint, training
from robot_learn.errors import UserError
from robot_learn.metrics import read_progress
from robot_learn.progress import Progress
from robot_learn.runs import CHECKPOINT, PROGRESS, Run
from robot_learn.train_config import TrainConfig, preset
from robot_learn.training import TrainResult, train
from tests.toy import PointEnv

SMALL: dict[str, dict[str, Any]] = {
    "ppo": {"num_envs": 8, "n_steps": 25, "minibatches": 4, "epochs": 2, "hidden": (16,), "total_steps": 1_200},
    "sac": {
        "num_envs": 4,
        "hidden": (16,),
        "total_steps": 640,
        "learning_starts": 200,
        "buffer_size": 400,  # smaller than the run, so that it wraps around
        "batch_size": 32,
        "gradient_steps": 1,
    },
}


def small(algorithm: str, **changes: Any) -> TrainConfig:
    return preset(algorithm, **(SMALL[algorithm] | changes))


def make_env(config: TrainConfig) -> PointEnv:
    return PointEnv(config.num_envs, lethal=True)


def new_run(folder: Path, name: str) -> Run:
    return Run.create(folder / name, task="toy/point", seed=0, config={})


def interrupt_at(steps: int) -> Any:
    """An `on_progress` that presses Ctrl-C once, after so many steps."""
    pressed: list[int] = []

    def on_progress(progress: Progress) -> None:
        if progress.steps >= steps and not pressed:
            pressed.append(progress.steps)
            signal.raise_signal(signal.SIGINT)

    return on_progress


def results(run: Run) -> dict[str, np.ndarray]:
    """Every number that the learner, its optimiser, its normaliser and its worlds end with."""
    state = checkpoint.load(run.file(CHECKPOINT))
    found: dict[str, np.ndarray] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, entry in value.items():
                walk(f"{prefix}/{key}", entry)
        elif isinstance(value, (list, tuple)) and not isinstance(value, str):
            for index, entry in enumerate(value):
                walk(f"{prefix}/{index}", entry)
        elif isinstance(value, (torch.Tensor, np.ndarray, int, float)):
            found[prefix] = np.asarray(value)
        elif hasattr(value, "__dict__"):
            walk(prefix, vars(value))

    for name in ("parameters", "counters", "normaliser", "worlds", "torch_rng", "numpy_rng", "replay", "log_ent_coef"):
        walk(name, state.get(name))
    return found


def assert_same_bits(one: Run, other: Run) -> None:
    left, right = results(one), results(other)
    assert left.keys() == right.keys()
    assert len(left) > 30
    different = [name for name in left if not np.array_equal(left[name], right[name])]
    assert different == []


@pytest.fixture(autouse=True)
def every_moment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "TICK_SECONDS", 0.0)
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(training, "CHECKPOINT_SHARE", float("inf"))


@pytest.mark.parametrize("algorithm", ["ppo", "sac"])
@pytest.mark.parametrize("cut", [0.1, 0.6])
def test_interrupted_and_resumed_equals_uninterrupted_to_the_bit(algorithm: str, cut: float, tmp_path: Path) -> None:
    config = small(algorithm)
    whole, parts = new_run(tmp_path, "whole"), new_run(tmp_path, "parts")
    train(make_env(config), whole, config)

    first = train(make_env(config), parts, config, on_progress=interrupt_at(int(cut * config.total_steps)))
    assert first.interrupted
    assert 0 < first.steps < config.total_steps
    torch.rand(3)  # a resumed run must not depend on what the process drew before
    np.random.rand(3)  # noqa: NPY002
    second = train(make_env(config), parts, config, resume=True)

    assert not second.interrupted
    assert second.steps == config.total_steps
    assert_same_bits(whole, parts)
    timing = {"seconds", "steps_per_second"}
    rows = [[{k: v for k, v in row.items() if k not in timing} for row in read_progress(r)] for r in (whole, parts)]
    assert rows[0] == rows[1]
    assert rows[0][-1]["steps"] == config.total_steps


def test_another_seed_gives_another_policy(tmp_path: Path) -> None:
    runs = [new_run(tmp_path, name) for name in "ab"]
    for seed, run in enumerate(runs):
        config = small("ppo", seed=seed, total_steps=200)
        train(make_env(config), run, config)
    name = "parameters/policy/action_net.weight"
    assert not np.array_equal(results(runs[0])[name], results(runs[1])[name])


def test_a_longer_run_resumed_from_a_shorter_one_equals_the_longer_run(tmp_path: Path) -> None:
    long, short = small("ppo"), small("ppo", total_steps=600)
    whole, extended = new_run(tmp_path, "whole"), new_run(tmp_path, "extended")
    train(make_env(long), whole, long)
    train(make_env(short), extended, short)
    train(make_env(long), extended, long, resume=True)
    assert_same_bits(whole, extended)
    assert extended.config["train"]["total_steps"] == long.total_steps


def test_resuming_a_finished_run_changes_nothing(tmp_path: Path) -> None:
    config, run = small("ppo", total_steps=400), new_run(tmp_path, "a")
    first = train(make_env(config), run, config)
    before = run.file(CHECKPOINT).read_bytes()
    again = train(make_env(config), run, config, resume=True)
    assert (again.steps, again.success_rate, again.iterations) == (first.steps, first.success_rate, first.iterations)
    assert run.file(CHECKPOINT).read_bytes() == before


def test_a_second_interrupt_stops_at_once_and_the_last_checkpoint_stays_valid(tmp_path: Path) -> None:
    config, run = small("ppo"), new_run(tmp_path, "a")
    before = signal.getsignal(signal.SIGINT)

    def twice(progress: Progress) -> None:
        if progress.steps > 500:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(make_env(config), run, config, on_progress=twice)
    assert signal.getsignal(signal.SIGINT) is before
    assert checkpoint.load(run.file(CHECKPOINT))["counters"]["num_timesteps"] == 400
    whole = new_run(tmp_path, "whole")
    train(make_env(config), whole, config)
    train(make_env(config), run, config, resume=True)
    assert_same_bits(whole, run)


def test_a_failure_while_writing_a_checkpoint_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, run = small("ppo"), new_run(tmp_path, "a")
    dump, calls = pickle.dump, []

    def torn(state: Any, file: Any, protocol: int) -> None:
        calls.append(1)
        if len(calls) == 3:
            file.write(b"half a checkpoint")
            raise OSError("disk full")
        dump(state, file, protocol=protocol)

    monkeypatch.setattr(pickle, "dump", torn)
    with pytest.raises(OSError, match="disk full"):
        train(make_env(config), run, config)
    monkeypatch.setattr(pickle, "dump", dump)
    whole = new_run(tmp_path, "whole")
    train(make_env(config), whole, config)
    train(make_env(config), run, config, resume=True)
    assert_same_bits(whole, run)


CHILD = """
import sys
from robot_learn import training
from robot_learn.runs import Run
from tests.robot_learn.test_resume import make_env, small
training.CHECKPOINT_SECONDS, training.CHECKPOINT_SHARE = 0.0, float("inf")
config = small("ppo", total_steps=4_000_000)
training.train(make_env(config), Run.open(sys.argv[1]), config)
"""


def test_a_killed_process_resumes_to_the_same_result(tmp_path: Path) -> None:
    run = new_run(tmp_path, "killed")
    root = Path(__file__).parents[2]
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(run.path)], cwd=root, env=os.environ | {"PYTHONPATH": "."}
    )
    try:
        deadline = time.monotonic() + 60
        while not run.has(PROGRESS) or len(read_progress(run)) < 8:
            assert time.monotonic() < deadline
            assert child.poll() is None
            time.sleep(0.02)
    finally:
        child.kill()
        child.wait()
    reached = checkpoint.load(run.file(CHECKPOINT))["counters"]["num_timesteps"]
    assert reached >= 200
    config = small("ppo", total_steps=reached + 400)
    whole = new_run(tmp_path, "whole")
    train(make_env(config), whole, config)
    resumed: TrainResult = train(make_env(config), run, config, resume=True)
    assert resumed.steps == config.total_steps
    assert_same_bits(whole, run)
    assert [row["steps"] for row in read_progress(run)] == [row["steps"] for row in read_progress(whole)]


def test_another_configuration_is_refused_with_the_names_of_what_differs(tmp_path: Path) -> None:
    config, run = small("ppo", total_steps=200), new_run(tmp_path, "a")
    train(make_env(config), run, config)
    other = small("ppo", total_steps=200, gamma=0.9, epochs=3)
    with pytest.raises(UserError, match=r"epochs was 2, now 3; gamma was None, now 0\.9"):
        train(make_env(other), run, other, resume=True)
    with pytest.raises(UserError, match="max_episode_steps was 20, now 30"):
        train(PointEnv(config.num_envs, max_episode_steps=30), run, config, resume=True)
    with pytest.raises(UserError, match="trained before"):
        train(make_env(config), run, config)


def test_a_damaged_checkpoint_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINT
    path.write_bytes(b"not a pickle")
    with pytest.raises(UserError, match=CHECKPOINT):
        checkpoint.load(path)
    path.write_bytes(pickle.dumps({"format": 0}))
    with pytest.raises(UserError, match="another version"):
        checkpoint.load(path)
