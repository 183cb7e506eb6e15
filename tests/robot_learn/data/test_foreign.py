"""Minari datasets that were written by Minari itself, of spaces that ours never have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import minari
import numpy as np
import pytest
from gymnasium import spaces
from minari.data_collector import EpisodeBuffer

from robot_learn.data import store
from robot_learn.errors import UserError

Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))

    def make(observation_space: spaces.Space[Any], observations: Any, **more: Any) -> None:
        action_space = more.pop("action_space", spaces.Box(-1.0, 1.0, (2,), np.float32))
        fields = {
            "actions": np.full((3, 2), 0.5, dtype=np.float32),
            "rewards": [1.0, 2.0, 3.0],
            "terminations": [False, False, True],
            "truncations": [False, False, False],
            "infos": {},
        }
        buffer = EpisodeBuffer(observations=observations, **(fields | more))
        with pytest.warns(UserWarning, match="None"):
            minari.create_dataset_from_buffers(
                "other/some-v1", [buffer], action_space=action_space, observation_space=observation_space
            )

    return make


BOX = spaces.Box(-np.inf, np.inf, (2,), np.float64)
ROWS = np.arange(8.0).reshape(4, 2)


def test_parts_of_an_observation_are_laid_side_by_side_in_alphabetical_order(write: Write, tmp_path: Path) -> None:
    space = spaces.Dict({"z": BOX, "a": spaces.Dict({"goal": spaces.Box(-1, 1, (1, 2)), "code": spaces.Discrete(3)})})
    goal = np.full((4, 1, 2), 0.25, dtype=np.float32)
    write(space, {"z": ROWS, "a": {"goal": goal, "code": np.array([0, 2, 1, 0])}})
    found = store.load("other/some-v1", tmp_path)
    codes = np.eye(3)[[0, 2, 1, 0]]
    np.testing.assert_array_equal(found.observations, np.concatenate([codes, goal[:, 0], ROWS], axis=1))
    np.testing.assert_array_equal(found.rewards, [1.0, 2.0, 3.0])
    assert found.terminated.tolist() == [False, False, True]
    assert found.task == "other/some-v1"
    assert not found.success.any()


@pytest.mark.parametrize("name", ["success", "is_success"])
@pytest.mark.parametrize("at_reset", [True, False])
def test_success_is_taken_from_infos_with_or_without_the_resets_own(
    write: Write, tmp_path: Path, name: str, at_reset: bool
) -> None:
    after = [False, True, False]
    write(BOX, ROWS, infos={name: np.array([True, *after] if at_reset else after)})
    assert store.load("other/some-v1", tmp_path).success.tolist() == after


def test_a_part_that_is_a_picture_becomes_the_pictures(write: Write, tmp_path: Path) -> None:
    picture = spaces.Box(0, 255, (40, 32, 3), np.uint8)
    pixels = np.repeat(np.arange(4, dtype=np.uint8)[:, None, None, None] * 60, 40 * 32 * 3, axis=3).reshape(
        4, 40, 32, 3
    )
    write(spaces.Dict({"state": BOX, "camera": picture}), {"state": ROWS, "camera": pixels})
    found = store.load("other/some-v1", tmp_path)
    assert found.images is not None
    assert np.abs(found.images.astype(int) - pixels).max() <= 2  # Minari keeps pictures as JPEG
    np.testing.assert_array_equal(found.observations, ROWS)


@pytest.mark.parametrize(
    ("space", "observations", "more", "says"),
    [
        (spaces.Text(8), ["a", "b", "c", "d"], {}, "observations is .*Text.*; wanted Box, Discrete"),
        (BOX, ROWS, {"action_space": spaces.Discrete(2), "actions": np.array([0, 1, 0])}, "wanted a Box"),
        (BOX, np.where(ROWS == 5, np.nan, ROWS), {}, "episode 0: observations at step 2 is not finite"),
        (BOX, ROWS[:3], {}, r"episode 0: observations has the shape \(3, 2\), wanted 4 rows"),
        (BOX, ROWS, {"infos": {"success": np.zeros(9, dtype=bool)}}, "infos/success has 9 rows, wanted 3 or 4"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_by_name(
    write: Write, tmp_path: Path, space: Any, observations: Any, more: dict[str, Any], says: str
) -> None:
    write(space, observations, **more)
    with pytest.raises(UserError, match=says):
        store.load("other/some-v1", tmp_path)


def test_two_cameras_are_too_many(write: Write, tmp_path: Path) -> None:
    picture = spaces.Box(0, 255, (32, 32, 3), np.uint8)
    black = np.zeros((4, 32, 32, 3), dtype=np.uint8)
    write(spaces.Dict({"left": picture, "right": picture}), {"left": black, "right": black})
    with pytest.raises(UserError, match="there are 2: observations/left, observations/right"):
        store.load("other/some-v1", tmp_path)
