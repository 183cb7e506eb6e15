"""A replay that keeps its scenes says what any reward would have paid, as if the worlds had been under it all along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import SAC

import sims
from rewards.program import check
from robot_learn import checkpoint, loops, relabel, runs, training
from robot_learn.errors import UserError
from robot_learn.relabel import Recorder, SceneReplay, return_statistics
from robot_learn.report import gather, render_report
from robot_learn.runs import CHECKPOINT, START, Run
from robot_learn.train_config import TrainConfig, build, preset
from robot_learn.vec_env import SB3VecEnv
from tests.robot_learn.test_resume import assert_same_bits, interrupt_at

TASK = sims.task("mujoco/cart-pole")
FIELD = TASK.schema.names[0]
BAD = f"def reward(scene, action):\n    return {{'cart': -abs(scene.{FIELD})}}\n"
# Everything that a reward may read: now, before, at the start, and the action.
NEW = f"""
def reward(scene, action):
    moved = abs(scene.{FIELD} - scene.previous.{FIELD})
    away = np.tanh(scene.{FIELD} - scene.initial.{FIELD})
    return {{"moved": moved, "away": away, "effort": 0.1 * action[0] ** 2, "sum": 1.7 * scene.{FIELD}}}
"""
OPPOSITE = f"def reward(scene, action):\n    return {{'cart': abs(scene.{FIELD})}}\n"


def compiled(text: str) -> Any:
    return check(text, TASK).compile("numpy")


class Watched:
    """A reward that is paid, and beside it what another would have paid."""

    def __init__(self, paid: Any, other: Any) -> None:
        self.paid, self.other, self.seen = paid, other, []
        self.term_names = paid.term_names

    def evaluate(self, scene: Any, action: Any) -> Any:
        self.seen.append(self.other(scene, action))
        return self.paid.evaluate(scene, action)

    def __call__(self, scene: Any, action: Any) -> Any:
        return self.evaluate(scene, action)[0]


def small(**changes: Any) -> TrainConfig:
    settings: dict[str, Any] = {
        "num_envs": 4,
        "hidden": (16,),
        "total_steps": 480,
        "learning_starts": 200,
        "buffer_size": 400,  # smaller than the run, so that it wraps around
        "batch_size": 32,
        "gradient_steps": 1,
    }
    return preset("sac", **(settings | changes))


def learner(reward: Any, config: TrainConfig, *, episode: int = 17) -> tuple[SAC, Any, SB3VecEnv]:
    env = sims.make(TASK.name, config.num_envs, reward=Recorder(reward), max_episode_steps=episode)
    adapter = SB3VecEnv(env)
    adapter.seed(0)
    model, normaliser = build(config, adapter)
    assert isinstance(model, SAC)
    return model, normaliser, adapter


def close(adapter: SB3VecEnv) -> None:
    env: Any = adapter.env
    env.close()


def replay_of(model: SAC) -> SceneReplay:
    assert isinstance(model.replay_buffer, SceneReplay)
    return model.replay_buffer


@pytest.mark.parametrize(("rows", "precision"), [(30, np.float64), (50, np.float32), (1000, np.float64)])
def test_relabelled_rewards_are_what_the_worlds_would_have_paid(rows: int, precision: Any) -> None:
    watched = Watched(compiled(BAD), compiled(NEW))
    config = small(buffer_size=4 * rows)
    model, _, adapter = learner(watched, config)
    old = replay_of(model)
    model.replay_buffer = SceneReplay(
        4 * rows, old.observation_space, old.action_space, "cpu", 4,
        recorder=old.recorder, schema=TASK.schema, precision=precision,
    )  # fmt: skip
    model.learn(280)
    replay = replay_of(model)
    assert replay.full == (rows <= 50)
    live = np.stack(watched.seen)[-rows:]
    relabelled = replay.relabel(watched.other)
    if precision is np.float64:
        np.testing.assert_array_equal(relabelled, live)
    else:
        assert not np.array_equal(relabelled, live)
        np.testing.assert_allclose(relabelled, live, rtol=0, atol=5e-6)
    stored = replay.rewards[replay.times() % replay.buffer_size]
    np.testing.assert_array_equal(stored, relabelled.astype(np.float32))
    close(adapter)


def test_a_replay_under_its_own_reward_stays_as_it_is_and_so_do_the_statistics_of_returns() -> None:
    config = small(buffer_size=4000)
    model, normaliser, adapter = learner(compiled(NEW), config)
    model.learn(280)
    replay = replay_of(model)
    paid = replay.rewards[: replay.pos].copy()
    relabelled = replay.relabel(compiled(NEW))
    np.testing.assert_allclose(relabelled, paid, rtol=0, atol=5e-6)
    learned = return_statistics(paid, replay.begins(replay.times()), normaliser.gamma)
    assert learned.var == normaliser.ret_rms.var
    assert learned.mean == normaliser.ret_rms.mean
    assert learned.count == normaliser.ret_rms.count
    close(adapter)


def test_an_episodes_first_transition_begins_where_the_world_was_reset() -> None:
    moved = f"def reward(scene, action):\n    return {{'away': abs(scene.previous.{FIELD} - scene.initial.{FIELD})}}\n"
    model, _, adapter = learner(compiled(BAD), small(buffer_size=4000), episode=10)
    model.learn(400)
    replay = replay_of(model)
    away, begins = replay.relabel(compiled(moved)), replay.begins(replay.times())
    assert (away[begins] == 0.0).all()
    assert (away[~begins] > 0.0).all()
    np.testing.assert_array_equal(begins[1:], replay.dones[: replay.pos - 1] > 0)
    assert begins[0].all()
    assert len(replay.starts) == begins.sum()
    close(adapter)


def test_how_many_are_relabelled_at_once_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    model, _, adapter = learner(compiled(BAD), small(buffer_size=160))
    model.learn(280)
    whole = replay_of(model).relabel(compiled(NEW))
    monkeypatch.setattr(relabel, "BATCH", 28)  # 7 rows; the last part is a shorter one
    np.testing.assert_array_equal(replay_of(model).relabel(compiled(NEW)), whole)
    close(adapter)


def test_starts_of_episodes_that_are_gone_are_forgotten() -> None:
    model, _, adapter = learner(compiled(BAD), small(buffer_size=80), episode=5)
    model.learn(600)
    assert len(replay_of(model).starts) <= 2 * 4 * 20 / 5 + 8
    replay_of(model).relabel(compiled(NEW))
    close(adapter)


def test_actions_are_kept_as_the_worlds_got_them() -> None:
    model, _, adapter = learner(compiled(BAD), small())
    stored = np.random.default_rng(0).uniform(-1, 1, (50, 1)).astype(np.float32)
    np.testing.assert_array_equal(replay_of(model).sent(stored), model.policy.unscale_action(stored))
    close(adapter)


def test_a_reward_of_the_other_sign_turns_the_critics_targets_around() -> None:
    model, normaliser, adapter = learner(compiled(BAD), small(buffer_size=4000))
    model.learn(280)
    replay = replay_of(model)
    np.random.seed(0)  # noqa: NPY002 - SB3 samples from it
    before = replay.sample(64, env=normaliser).rewards
    rewards = replay.relabel(compiled(OPPOSITE))
    statistics = return_statistics(rewards, replay.begins(replay.times()), normaliser.gamma)
    assert statistics.var == pytest.approx(normaliser.ret_rms.var, rel=1e-5)
    np.random.seed(0)  # noqa: NPY002
    after = replay.sample(64, env=normaliser).rewards
    assert (before < 0).all()
    torch.testing.assert_close(after, -before, rtol=1e-5, atol=1e-6)
    close(adapter)


def test_rewards_that_are_a_hundred_times_larger_reach_the_critic_as_large_as_before() -> None:
    def large(text: str) -> str:
        return text.replace("-abs(", "-100.0 * abs(")

    sampled = []
    for text in (BAD, large(BAD)):
        model, normaliser, adapter = learner(compiled(BAD), small(buffer_size=4000))
        model.learn(280)
        replay = replay_of(model)
        rewards = replay.relabel(compiled(text))
        normaliser.ret_rms = return_statistics(rewards, replay.begins(replay.times()), normaliser.gamma)
        np.random.seed(0)  # noqa: NPY002
        sampled.append(replay.sample(64, env=normaliser).rewards)
        close(adapter)
    torch.testing.assert_close(sampled[0], sampled[1], rtol=1e-4, atol=1e-6)


@pytest.fixture
def source(tmp_path: Path) -> Run:
    (tmp_path / "bad.py").write_text(BAD)
    config = small()
    run = loops.begin(TASK, str(tmp_path / "bad.py"), config, tmp_path / "runs", name="source")
    loops.train_run(run, config, quiet=True)
    return run


def begun(source: Run, folder: Path, name: str, **changes: Any) -> Run:
    (folder / "new.py").write_text(NEW)
    config = loops.train_config(source)
    return loops.begin(TASK, str(folder / "new.py"), config, folder / "runs", name=name, source=source, **changes)


def test_a_run_begins_from_the_networks_and_the_relabelled_replay_of_another(source: Run, tmp_path: Path) -> None:
    run = begun(source, tmp_path, "next")
    assert run.config["from"] == {"run": str(source.path), "steps": 480, "critic": "kept"}
    old, start = checkpoint.load(source.file(CHECKPOINT)), checkpoint.load(run.file(START))
    loops.train_run(run, loops.train_config(run, total_steps=4), quiet=True)
    assert not run.has(START)
    state = checkpoint.load(run.file(CHECKPOINT))
    assert state["counters"]["num_timesteps"] == 4
    # One row was added, to a full replay: the others are the source's, under the new reward.
    row = start["replay_position"][0]
    others = np.arange(100) != row
    for name in ("observations", "actions", "dones"):
        np.testing.assert_array_equal(state["replay"][name][others], old["replay"][name][others])
    assert not np.array_equal(state["replay"]["rewards"][others], old["replay"]["rewards"][others])
    assert state["normaliser"]["obs_rms"].count > old["normaliser"]["obs_rms"].count


@pytest.mark.parametrize("critic", ["kept", "fresh"])
def test_a_fresh_critic_is_fresh_and_all_else_is_carried_over(critic: Any, source: Run, tmp_path: Path) -> None:
    run = begun(source, tmp_path, "next", critic=critic)
    start = checkpoint.load(run.file(START))
    model, normaliser, adapter = learner(compiled(NEW), loops.train_config(run))
    own = {name: value.clone() for name, value in model.policy.state_dict().items()}
    checkpoint.carry_over(start, model, normaliser)
    carried = start["parameters"]["policy"]
    for name, value in model.policy.state_dict().items():
        fresh = critic == "fresh" and name.startswith("critic")
        assert torch.equal(value, own[name] if fresh else carried[name]), name
    assert model.log_ent_coef is not None
    assert torch.equal(model.log_ent_coef, start["log_ent_coef"])
    close(adapter)


@pytest.mark.parametrize("cut", [0.0, 0.3])
def test_a_run_that_began_from_another_resumes_to_the_bit(
    cut: float, source: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "TICK_SECONDS", 0.0)
    whole, parts = begun(source, tmp_path, "whole"), begun(source, tmp_path, "parts")
    config = loops.train_config(whole, total_steps=120)
    loops.train_run(whole, config, quiet=True)
    env = sims.make(TASK.name, config.num_envs, reward=Recorder(compiled(NEW)))
    first = training.train(env, parts, config, on_progress=interrupt_at(int(cut * 120)))
    env.close()
    assert first.interrupted
    loops.train_run(parts, config, resume=True, quiet=True)
    assert_same_bits(whole, parts)
    scenes = [checkpoint.load(run.file(CHECKPOINT))["scenes"] for run in (whole, parts)]
    for name in ("scenes", "episodes", "begins", "episode"):
        np.testing.assert_array_equal(scenes[0][name], scenes[1][name])


def test_what_cannot_be_carried_over_is_refused_before_there_is_a_folder(source: Run, tmp_path: Path) -> None:
    (tmp_path / "new.py").write_text(NEW)
    new, out, config = str(tmp_path / "new.py"), tmp_path / "none", loops.train_config(source)
    with pytest.raises(UserError, match=r"trained with hidden \(16,\).*does not fit \(32,\)"):
        loops.begin(TASK, new, small(hidden=(32,)), out, source=source)
    with pytest.raises(UserError, match="algorithm sac"):
        loops.begin(TASK, new, preset("ppo"), out, source=source)
    with pytest.raises(UserError, match="only the simulator can compute"):
        loops.begin(TASK, "expert", config, out, source=source)
    with pytest.raises(UserError, match="is of mujoco/cart-pole, not of mujoco/hopper"):
        loops.begin(sims.task("mujoco/hopper"), "expert", config, out, source=source)
    expert = loops.begin(TASK, "expert", config, tmp_path / "runs", name="expert")
    with pytest.raises(UserError, match=r"was not trained yet: it has no checkpoint\.pkl"):
        loops.begin(TASK, new, config, out, source=expert)
    loops.train_run(expert, loops.train_config(expert, total_steps=16), quiet=True)
    with pytest.raises(UserError, match="expert: its replay holds no scenes"):
        loops.begin(TASK, new, config, out, source=expert)
    assert not out.exists()


def test_a_replay_from_before_scenes_were_kept_goes_on_and_is_never_relabelled(source: Run) -> None:
    state = checkpoint.load(source.file(CHECKPOINT))
    del state["scenes"]
    checkpoint.save(state, source.file(CHECKPOINT))
    loops.train_run(source, loops.train_config(source, total_steps=500), resume=True, quiet=True)
    state = checkpoint.load(source.file(CHECKPOINT))
    assert state["counters"]["num_timesteps"] == 500
    with pytest.raises(UserError, match="holds no scenes"):
        checkpoint.start_of(state, "kept")


def test_with_ppo_the_networks_and_the_normaliser_are_carried_over(tmp_path: Path) -> None:
    (tmp_path / "new.py").write_text(NEW)
    config = preset("ppo", num_envs=8, n_steps=10, minibatches=4, epochs=1, hidden=(16,), total_steps=160)
    source = loops.begin(TASK, "expert", config, tmp_path, name="source")
    loops.train_run(source, config, quiet=True)
    run = loops.begin(TASK, str(tmp_path / "new.py"), config, tmp_path, name="next", source=source, critic="fresh")
    env = sims.make(TASK.name, 8, reward=compiled(NEW))
    model, normaliser = build(config, SB3VecEnv(env))
    own = {name: value.clone() for name, value in model.policy.state_dict().items()}
    start = checkpoint.load(run.file(START))
    checkpoint.carry_over(start, model, normaliser)
    for name, value in model.policy.state_dict().items():
        expected = own[name] if "value_net" in name else start["parameters"]["policy"][name]
        assert torch.equal(value, expected), name
    statistics: Any = normaliser.obs_rms
    assert statistics.count == start["normaliser"]["obs_rms"].count
    loops.train_run(run, config, quiet=True)
    assert run.has(runs.POLICY)
    env.close()


def test_weights_are_kept_with_the_run_paid_by_its_worlds_and_not_changed_behind_its_back(tmp_path: Path) -> None:
    (tmp_path / "new.py").write_text(NEW)
    config = small(total_steps=40)
    weights = {"away": 3.0, "moved": 1.0}
    run = loops.begin(TASK, str(tmp_path / "new.py"), config, tmp_path / "runs", weights=weights)
    assert run.config["weights"] == {"away": 3.0}  # a weight of 1 changes nothing
    plain, weighted = (sims.make(TASK.name, 2, reward=compiled(NEW)), loops.environment(run, 2))
    action = np.full((2, 1), 0.3, dtype=np.float32)
    for env in (plain, weighted):
        env.reset(seed=5)
    _, one, _, _, info = plain.step(action)
    _, other, _, _, _ = weighted.step(action)
    np.testing.assert_allclose(other, one + 2.0 * info["reward_terms"]["away"], atol=1e-12)
    plain.close()
    weighted.close()
    loops.train_run(run, config, quiet=True)
    run.write_json("config.json", run.config | {"weights": {"away": 4.0}})
    with pytest.raises(UserError, match=r"weights was \{'away': 3\.0\}, now \{'away': 4\.0\}"):
        loops.train_run(run, config, resume=True, quiet=True)
    assert "--weights" in loops.command_of(run)
    page = render_report(gather(run, instruction="Balance.", command=loops.command_of(run)))
    assert "without that: away 4." in page
    with pytest.raises(UserError, match="no reward term named 'awya'; did you mean 'away'"):
        loops.begin(TASK, str(tmp_path / "new.py"), config, tmp_path / "none", weights={"awya": 2.0})
    with pytest.raises(UserError, match="expert and sparse, have none"):
        loops.begin(TASK, "expert", config, tmp_path / "none", weights={"away": 2.0})
    assert not (tmp_path / "none").exists()
