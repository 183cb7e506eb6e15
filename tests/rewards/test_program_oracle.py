"""Batched numpy, batched torch and the program's own text, run world by world, agree."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.program import CompiledReward, NonFiniteReward, ProgramError, check
from robot_learn.scene import Scene
from tests.rewards.program_corpus.accepted import LOOKALIKES, PROGRAMS
from tests.rewards.program_corpus.oracle import TASK, Oracle, random_scene

torch.set_num_threads(1)
EVERY = pytest.mark.parametrize("name", PROGRAMS)
SCENES = given(st.integers(0, 2**32 - 1), st.sampled_from((0.05, 0.3, 1.0, 4.0)))


def table(reward: CompiledReward, scene: Scene, action: object) -> np.ndarray:
    """The total and the terms, (1 + terms, worlds)."""
    total, terms = reward.evaluate(scene, action)
    return np.array([np.asarray(row) for row in (total, *terms.values())])


def as_torch(scene: Scene, dtype: torch.dtype) -> Scene:
    def values(part: Scene) -> dict[str, torch.Tensor]:
        return {name: torch.tensor(part[name], dtype=dtype) for name in TASK.schema.names}

    return Scene(TASK.schema, values(scene), initial=values(scene.initial), previous=values(scene.previous))


def as_float32(scene: Scene) -> Scene:
    def values(part: Scene) -> dict[str, np.ndarray]:
        return {name: part[name].astype(np.float32) for name in TASK.schema.names}

    return Scene(TASK.schema, values(scene), initial=values(scene.initial), previous=values(scene.previous))


def test_the_corpus_is_large_enough() -> None:
    assert len(PROGRAMS) >= 25


@EVERY
@settings(max_examples=12)
@SCENES
def test_numpy_agrees_with_the_text_run_by_python(name: str, seed: int, scale: float) -> None:
    program = check(PROGRAMS[name], TASK)
    scene, action = random_scene(seed, 6, scale)
    wanted = Oracle(PROGRAMS[name]).evaluate(scene, action, program.term_names)
    np.testing.assert_allclose(table(program.compile("numpy"), scene, action), wanted, rtol=1e-9, atol=1e-11)


@EVERY
@settings(max_examples=6)
@SCENES
def test_torch_agrees_with_numpy(name: str, seed: int, scale: float) -> None:
    reward = check(PROGRAMS[name], TASK).compile()
    scene, action = random_scene(seed, 17, scale)
    got = table(reward, as_torch(scene, torch.float64), torch.tensor(action))
    np.testing.assert_allclose(got, table(reward, scene, action), rtol=1e-11, atol=1e-12)


@EVERY
def test_every_dtype_is_kept_and_gives_nearly_the_same(name: str) -> None:
    reward = check(PROGRAMS[name], TASK).compile()
    scene, action = random_scene(3, 50, 0.3)
    single = table(reward, as_float32(scene), action.astype(np.float32))
    tensor = table(reward, as_torch(scene, torch.float32), torch.tensor(action, dtype=torch.float32))
    assert single.dtype == tensor.dtype == np.float32
    exact = table(reward, scene, action)
    # A world at the very edge of a branch may fall to the other side in float32.
    for rounded in (single, tensor):
        off = ~np.isclose(rounded, exact, rtol=1e-4, atol=1e-4)
        assert off.any(axis=0).mean() <= 0.04


@EVERY
def test_swapping_worlds_permutes_rewards(name: str) -> None:
    reward = check(PROGRAMS[name], TASK).compile()
    scene, action = random_scene(5, 30, 0.3)
    order = np.random.default_rng(0).permutation(30)

    def values(part: Scene) -> dict[str, np.ndarray]:
        return {name: part[name][order] for name in TASK.schema.names}

    swapped = Scene(TASK.schema, values(scene), initial=values(scene.initial), previous=values(scene.previous))
    np.testing.assert_allclose(
        table(reward, swapped, action[order]), table(reward, scene, action)[:, order], rtol=1e-14
    )


@EVERY
def test_scene_and_action_are_neither_written_nor_handed_out(name: str) -> None:
    reward = check(PROGRAMS[name], TASK).compile()
    scene, action = random_scene(7, 8, 0.3)
    arrays = [action, *(part[field] for part in (scene, scene.initial, scene.previous) for field in TASK.schema.names)]
    before = [array.copy() for array in arrays]
    for array in arrays:
        array.flags.writeable = False
    total, terms = reward.evaluate(scene, action)
    for result in (total, *terms.values()):
        assert not any(np.shares_memory(result, array) for array in arrays)
        result[:] = np.nan
    assert all(np.array_equal(a, b) for a, b in zip(arrays, before, strict=True))
    # What the caller does to one result does not reach the next.
    assert np.isfinite(reward(scene, action)).all()


@EVERY
def test_torch_results_are_fresh(name: str) -> None:
    reward = check(PROGRAMS[name], TASK).compile()
    scene, action = random_scene(7, 8, 0.3)
    tensors, acted = as_torch(scene, torch.float64), torch.tensor(action)
    first = table(reward, tensors, acted)
    for result in reward.evaluate(tensors, acted)[1].values():
        result.fill_(float("nan"))
    np.testing.assert_array_equal(table(reward, tensors, acted), first)


def mutants(count: int) -> list[str]:
    """Programs of the corpus with one to three words replaced, removed or added."""
    rng = random.Random(0)
    texts = [re.findall(r"\w+|\s+|[^\w\s]+", text) for text in PROGRAMS.values()]
    pool = [word for words in texts for word in words]
    made = []
    for _ in range(count):
        words = list(rng.choice(texts))
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(words))
            words[at : at + rng.randint(0, 1)] = rng.choice(([], [rng.choice(pool)]))
        made.append("".join(words))
    return made


def test_a_damaged_program_is_refused_or_still_means_what_python_says() -> None:
    scene, action = random_scene(3, 4, 0.3)
    accepted = 0
    for text in mutants(4000):
        try:
            program = check(text, TASK)
            got = table(program.compile(), scene, action)
        except (ProgramError, NonFiniteReward):
            continue
        accepted += 1
        wanted = Oracle(text).evaluate(scene, action, program.term_names)
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-9, err_msg=text)
    assert accepted > 100


@pytest.mark.parametrize("name", LOOKALIKES)
def test_harmless_lookalikes_are_accepted(name: str) -> None:
    program = check(LOOKALIKES[name], TASK)
    scene, action = random_scene(1, 4, 3.0)
    wanted = Oracle(LOOKALIKES[name]).evaluate(scene, action, program.term_names)
    np.testing.assert_allclose(table(program.compile(), scene, action), wanted, rtol=1e-12)
