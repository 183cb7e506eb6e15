"""What a person did in an episode becomes demonstrations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sims
from robot_learn.data import store
from robot_learn.errors import UserError
from robot_learn.session.drive.keep import GRIPPING, KEPT, Keeper, commanded, stretches


def lines(who: str) -> list[dict[str, Any]]:
    """An episode of as many steps as letters, p for the policy and h for a human; the vector counts the steps."""
    names = {"p": "policy", "h": "person"}
    steps = [
        {"step": k + 1, "who": names[one], "vector": [float(k)], "success": k > 20, "action": [0.1 * k + 0.1] * 3}
        for k, one in enumerate(who)
    ]
    return [*steps, {"end": {"vector": [float(len(who))], "success": True}}]


def test_each_stretch_of_a_person_is_an_episode_with_what_its_last_step_led_to() -> None:
    first, second = stretches(lines("ppp" + "h" * 6 + "pp" + "h" * 5))
    np.testing.assert_array_equal(first.observations[:, 0], np.arange(3, 10))
    assert first.actions is not None
    np.testing.assert_allclose(first.actions[:, 0], 0.1 * np.arange(4, 10), rtol=1e-6)
    np.testing.assert_array_equal(second.observations[:, 0], np.arange(11, 17))
    assert [one.success[-1] for one in (first, second)] == [False, True]
    assert {one.source for one in (first, second)} == {"person"}


def test_what_is_too_short_or_the_policys_shows_nothing() -> None:
    assert stretches(lines("p" * 30)) == []
    assert stretches(lines("pp" + "h" * 4 + "pp")) == []


def test_a_stretch_that_a_crash_cut_loses_its_last_step_only() -> None:
    cut = lines("h" * 8)[:-1]
    (one,) = stretches(cut)
    assert len(one) == 7


def moves(actions: list[list[float]], who: str = "person") -> list[dict[str, Any]]:
    """Steps with these actions."""
    return [{"step": k + 1, "who": who, "action": action} for k, action in enumerate(actions)]


def test_a_hand_that_commands_nothing_shows_nothing() -> None:
    still, forward = [0.0] * 3, [0.24, 0.0, 0.0]
    assert commanded(moves([still, forward, still, forward])) == [False, True, False, True]
    assert not any(commanded(moves([forward] * 3, "policy")))
    stood = lines("h" * 30)
    for line in stood[8:20]:
        line["action"] = [0.0] * 3
    assert [len(one) for one in stretches(stood)] == [8, 10]


def test_a_gripper_on_its_way_shows_something_and_one_that_stays_open_does_not() -> None:
    open_, closed = [0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, -1.0]
    found = commanded(moves([open_] * 10 + [closed] * 40), grips=True)
    assert found == [False] * 10 + [True] * GRIPPING + [False] * (40 - GRIPPING)
    taken_over = moves([open_] * 3, "policy") + moves([closed] * 3)
    assert not any(commanded(taken_over, grips=True))  # the gripper was the policy's


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An episode with ten steps of a person."""
    told = lines("p" * 3 + "h" * 10)
    for line in told:  # as wide as the task's observations
        where = line.get("end", line)
        where["vector"] = (where["vector"] * 22)[:22]
    found = tmp_path / "episode-0000"
    found.mkdir()
    (found / "steps.jsonl").write_text("".join(json.dumps(line) + "\n" for line in told))
    return found


def test_the_newest_episode_is_discarded_and_taken_back_until_the_next_begins(folder: Path, tmp_path: Path) -> None:
    with Keeper(sims.task("franka/reach"), tmp_path / "data") as keeper:
        with pytest.raises(UserError, match="newest"):
            keeper.discard(True)
        assert keeper.keep(folder) == 10
        assert keeper.discard(True) == (folder, 0)
        assert json.loads((folder / KEPT).read_text()) == {"kept": 0, "discarded": True}
        assert keeper.discard(False) == (folder, 10)
        keeper.commit()
        with pytest.raises(UserError, match="until the next one begins"):
            keeper.discard(True)
        keeper.keep(folder)
        keeper.discard(True)
    assert store.load("franka/reach/interventions", tmp_path / "data").num_steps == 10


def test_an_episode_that_shows_nothing_good_or_was_discarded_makes_no_dataset(folder: Path, tmp_path: Path) -> None:
    with Keeper(sims.task("franka/reach"), tmp_path / "data") as keeper:
        assert keeper.keep(folder, shows=False) == 0
        keeper.keep(folder)
        keeper.discard(True)
    assert not (tmp_path / "data").exists()


def test_stretches_of_all_episodes_lie_in_one_dataset_that_loads(folder: Path, tmp_path: Path) -> None:
    task = sims.task("franka/reach")
    for _ in range(2):  # a second session goes on with it
        with Keeper(task, tmp_path / "data") as keeper:
            assert keeper.keep(folder) == 10
            assert keeper.keep(folder) == 10
    found = store.load("franka/reach/interventions", tmp_path / "data")
    assert (found.num_episodes, found.num_steps) == (4, 40)
    assert found.manifest["sources"] == {"person": 1.0}


def test_without_a_stretch_there_is_no_dataset(tmp_path: Path) -> None:
    with Keeper(sims.task("franka/reach"), tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []
