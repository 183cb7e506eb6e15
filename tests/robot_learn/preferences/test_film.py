"""Episodes that nobody filmed are run again and looked at: the pictures are those of the first time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_learn.cli import main
from robot_learn.data.dataset import Dataset
from robot_learn.data.store import load
from robot_learn.errors import UserError
from robot_learn.preferences.film import film


def collected(root: Path, name: str, *more: str) -> Dataset:
    words = ["collect", "mujoco/cart-pole", "--grade", "random", "--episodes", "30", "--anchor-episodes", "1"]
    assert main([*words, "--num-envs", "10", "--root", str(root), "--out", name, *more]) == 0
    return load(name, root)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Dataset]:
    """The same episodes without and with pictures; some end early, and there are more than run again at once."""
    root = tmp_path_factory.mktemp("film")
    return collected(root, "blind"), collected(root, "seen", "--images", "32")


def test_pictures_are_those_that_were_taken_the_first_time(both: tuple[Dataset, Dataset]) -> None:
    blind, seen = both
    assert blind.images is None
    assert seen.images is not None
    frames = np.random.default_rng(0).choice(len(blind.observations), 60, replace=False)
    done: list[tuple[int, int]] = []
    filmed = film(blind, frames, 32, on_episode=lambda *progress: done.append(progress)).images
    assert filmed is not None
    np.testing.assert_array_equal(filmed[frames], seen.images[np.asarray(frames)])
    np.testing.assert_array_equal(filmed[int(frames[3])], seen.images[int(frames[3])])
    assert len(filmed) == len(seen.images)
    assert done[-1][0] == done[-1][1] <= blind.num_episodes


def test_views_of_several_cameras_lie_beside_each_other(both: tuple[Dataset, Dataset]) -> None:
    wide = film(both[0], [3, 5], 16, camera="side+side").images
    alone = film(both[0], [3, 5], 16, camera="side").images
    assert wide is not None
    assert alone is not None
    np.testing.assert_array_equal(wide[[3, 5]], np.concatenate([alone[[3, 5]]] * 2, axis=2))


def test_a_frame_that_was_not_filmed_is_named(both: tuple[Dataset, Dataset]) -> None:
    filmed = film(both[0], [3, 5], 16).images
    assert filmed is not None
    with pytest.raises(UserError, match="no picture of frame 4"):
        filmed[[3, 4]]


def test_episodes_that_do_not_happen_again_are_refused(both: tuple[Dataset, Dataset]) -> None:
    blind = both[0]
    moved = replace(blind, observations=blind.observations + np.float32(0.01))
    with pytest.raises(UserError, match="another version of the simulator"):
        film(moved, [0], 16)


def test_only_what_was_collected_here_can_be_run_again(both: tuple[Dataset, Dataset]) -> None:
    with pytest.raises(UserError, match="only what `robot-learn collect` made"):
        film(replace(both[0], manifest={}), [0], 16)
