"""What every task of the registry promises: its scene, its seeds, its snapshots, and arrays that stay as they were."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import sims
from sims.env import BatchEnv

WORLDS, EPISODE = 3, 12
Frame = dict[str, np.ndarray]  # everything that one step shows, by name


@pytest.fixture(scope="module", params=sims.TASKS)
def env(request: pytest.FixtureRequest) -> Iterator[BatchEnv]:
    env = sims.make(request.param, WORLDS, reward="expert", max_episode_steps=EPISODE)
    yield env
    env.close()


def frame(env: BatchEnv, observations: np.ndarray, **others: Any) -> Frame:
    """Observations, the scene with its initial and previous, and what else the step returned; nothing is copied."""
    scenes = {"now": env.scene, "initial": env.scene.initial, "previous": env.scene.previous}
    fields = {f"{when}.{name}": scene[name] for when, scene in scenes.items() for name in env.task.schema.names}
    return {"observations": observations, **fields, **others}


def begin(env: BatchEnv, seed: int | None = None) -> Frame:
    return frame(env, env.reset(seed=seed)[0])


def go(env: BatchEnv, actions: np.ndarray) -> list[Frame]:
    """One frame for each step under actions (steps, N, act_dim)."""
    frames = []
    for action in actions:
        observations, reward, terminated, truncated, info = env.step(action)
        ends = {"reward": reward, "terminated": terminated, "truncated": truncated}
        frames.append(frame(env, observations, **ends, **info))
    return frames


def moves(env: BatchEnv, steps: int, seed: int = 0) -> np.ndarray:
    """Random actions (steps, N, act_dim) float32."""
    return np.random.default_rng(seed).uniform(-1, 1, (steps, WORLDS, env.task.act_dim)).astype(np.float32)


def equal(one: list[Frame], other: list[Frame], rows: Any = slice(None), other_rows: Any = slice(None)) -> None:
    """Bit for bit the same, in the rows named. An episode that ends elsewhere in the batch adds rows, not values."""
    assert len(one) == len(other)
    for mine, theirs in zip(one, other, strict=True):
        for name in (mine.keys() & theirs.keys()) - {"final_obs", "_final_obs"}:
            np.testing.assert_array_equal(mine[name][rows], theirs[name][other_rows], err_msg=name)


def test_every_field_of_the_schema_is_there_finite_and_shaped_as_declared(env: BatchEnv) -> None:
    frames = [begin(env, seed=3), *go(env, moves(env, EPISODE + 2))]  # over the end of an episode
    assert set(env.worlds.read()) == set(env.task.schema.names)
    for shown in frames:
        for field in env.task.schema:
            for when in ("now", "initial", "previous"):
                value = shown[f"{when}.{field.name}"]
                assert value.shape == (WORLDS, *field.shape), field.name
                assert value.dtype == np.float64
                assert np.isfinite(value).all()
        assert shown["observations"].shape == env.observation_space.shape
        assert shown["observations"].dtype == env.observation_space.dtype
        assert np.isfinite(shown["observations"]).all()


def test_quaternions_have_length_one(env: BatchEnv) -> None:
    frames = [begin(env, seed=3), *go(env, moves(env, 5))]
    for name in env.task.schema.names:
        if name.endswith(".quaternion"):
            lengths = np.linalg.norm([shown[f"now.{name}"] for shown in frames], axis=-1)
            np.testing.assert_allclose(lengths, 1.0, atol=1e-6)


def test_a_seed_fixes_everything_and_another_seed_or_world_starts_elsewhere(env: BatchEnv) -> None:
    actions = moves(env, EPISODE + 3)
    first, again = ([begin(env, seed=11), *go(env, actions)] for _ in range(2))
    equal(first, again)
    other = begin(env, seed=50)
    starts = np.concatenate([first[0]["observations"], first[EPISODE]["observations"], other["observations"]])
    assert len(np.unique(starts.round(9), axis=0)) == 3 * WORLDS


def test_world_i_of_seed_s_is_world_0_of_seed_s_plus_i(env: BatchEnv) -> None:
    start = begin(env, seed=20)
    for index in range(WORLDS):
        equal([start], [begin(env, seed=20 + index)], rows=index, other_rows=0)


def test_a_restored_batch_has_the_same_future_bit_for_bit(env: BatchEnv) -> None:
    begin(env, seed=5)
    go(env, moves(env, 7))
    snapshot = pickle.loads(pickle.dumps(env.snapshot()))
    actions = moves(env, EPISODE, seed=1)  # over an automatic reset: its draws are part of the future
    future = go(env, actions)
    env.reset(seed=99)
    env.restore(snapshot)
    equal(future, go(env, actions))


def test_a_world_restored_into_another_index_lives_on_there_and_the_rest_is_untouched(env: BatchEnv) -> None:
    begin(env, seed=6)
    go(env, moves(env, 4))
    whole, first = env.snapshot(), pickle.loads(pickle.dumps(env.snapshot_world(0)))
    actions = moves(env, EPISODE, seed=2)
    actions[:, 2] = actions[:, 0]
    future = go(env, actions)
    env.restore(whole)
    go(env, moves(env, 3, seed=3))
    env.restore(whole)
    env.restore_world(2, first)
    mixed = go(env, actions)
    equal(future, mixed, rows=[0, 1], other_rows=[0, 1])
    equal(future, mixed, rows=0, other_rows=2)


def test_arrays_handed_out_never_change_and_share_no_memory_with_the_next_step(env: BatchEnv) -> None:
    shown = begin(env, seed=7)
    kept, copies = [shown], [{name: value.copy() for name, value in shown.items()}]
    for action in moves(env, EPISODE + 2):
        before, (shown,) = shown, go(env, action[None])
        assert not np.shares_memory(shown["observations"], before["observations"])
        for name in env.task.schema.names:
            assert not np.shares_memory(shown[f"now.{name}"], before[f"now.{name}"]), name
            assert not np.shares_memory(shown[f"now.{name}"], shown["observations"]), name
        kept.append(shown)
        copies.append({name: np.copy(value) for name, value in shown.items()})
    env.restore_world(0, env.snapshot_world(1))
    equal(kept, copies)


def test_initial_is_the_reset_and_previous_the_step_before_across_an_automatic_reset(env: BatchEnv) -> None:
    begin(env, seed=8)
    early = env.snapshot_world(1)
    go(env, moves(env, 5))
    env.restore_world(1, early)  # world 1 is now five steps younger, so episodes end at different steps
    last = frame(env, env.worlds.observe())
    ended = np.zeros(WORLDS, dtype=bool)
    for shown in go(env, moves(env, EPISODE + 2, seed=4)):
        fresh = shown["terminated"] | shown["truncated"]
        for name in env.task.schema.names:
            now, initial, previous = (shown[f"{when}.{name}"] for when in ("now", "initial", "previous"))
            np.testing.assert_array_equal(initial[fresh], now[fresh])
            np.testing.assert_array_equal(previous[fresh], now[fresh])
            np.testing.assert_array_equal(initial[~fresh], last[f"initial.{name}"][~fresh])
            np.testing.assert_array_equal(previous[~fresh], last[f"now.{name}"][~fresh])
        last, ended = shown, ended | fresh
    assert ended.all()


@pytest.mark.parametrize("name", ["metaworld/drawer-open", "metaworld/pick-place", "mujoco/hopper", "mujoco/ant"])
def test_neither_threads_nor_rewards_change_what_happens(name: str) -> None:
    plain = sims.make(name, WORLDS, threads=1, max_episode_steps=EPISODE)
    threaded = sims.make(name, WORLDS, threads=3, max_episode_steps=EPISODE, reward="expert")
    one, other = ([begin(env, seed=9), *go(env, moves(env, 30))] for env in (plain, threaded))
    for shown in one + other:
        shown.pop("reward", None)
    equal(one, other)
    plain.close()
    threaded.close()
