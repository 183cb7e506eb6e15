"""What a person did in an episode becomes demonstrations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

import sims
from robot_learn.data import store
from robot_learn.session.drive.keep import Keeper, stretches


def lines(who: str) -> list[dict[str, Any]]:
    """An episode of as many steps as letters, p for the policy and h for a human; the vector counts the steps."""
    names = {"p": "policy", "h": "person"}
    steps = [
        {"step": k + 1, "who": names[one], "vector": [float(k)], "success": k > 20, "action": [0.1 * k] * 3}
        for k, one in enumerate(who)
    ]
    return [*steps, {"end": {"vector": [float(len(who))], "success": True}}]


def test_each_stretch_of_a_person_is_an_episode_with_what_its_last_step_led_to() -> None:
    first, second = stretches(lines("ppp" + "h" * 6 + "pp" + "h" * 5))
    np.testing.assert_array_equal(first.observations[:, 0], np.arange(3, 10))
    assert first.actions is not None
    np.testing.assert_allclose(first.actions[:, 0], 0.1 * np.arange(3, 9), rtol=1e-6)
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


def test_stretches_of_all_episodes_lie_in_one_dataset_that_loads(tmp_path: Path) -> None:
    task = sims.task("franka/reach")
    told = lines("p" * 3 + "h" * 10)
    for line in told:  # as wide as the task's observations
        where = line.get("end", line)
        where["vector"] = (where["vector"] * 22)[:22]
    folder = tmp_path / "episode-0000"
    folder.mkdir()
    (folder / "steps.jsonl").write_text("".join(json.dumps(line) + "\n" for line in told))
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
