"""What is seen on an arm beside what is seen in simulation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from robot_learn.deployment import compare, samples
from robot_learn.deployment.record import Recorder
from robot_learn.deployment.samples import Samples
from robot_learn.errors import UserError
from tests.robot_learn.deployment.conftest import stage
from tests.robot_learn.deployment.test_record import record, session


def made(name: str, seed: int, *, shift: float = 0.0, task: str = "franka/reach") -> Samples:
    rng = np.random.default_rng(seed)
    vector = rng.normal(size=(400, 2))
    vector[:, 1] += shift
    return Samples(name, "simulation", task, 10, {"robot.a x": vector[:, 0], "robot.b": vector[:, 1]}, vector)


@pytest.mark.parametrize("sizes", [(50, 80), (1, 1), (7, 300)])
def test_the_distance_is_the_statistic_of_kolmogorov_and_smirnov(sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    for shift in (0.0, 0.5, 10.0):
        first, second = rng.normal(size=sizes[0]).round(1), rng.normal(size=sizes[1]).round(1) + shift  # with ties
        assert compare.distance(first, second) == pytest.approx(stats.ks_2samp(first, second).statistic)


def test_what_differs_comes_first_and_is_notable() -> None:
    same, other = compare.compare(made("a", 0), made("b", 1, shift=3.0))[::-1]
    assert (other.name, other.notable) == ("robot.b", True)
    assert (same.name, same.notable) == ("robot.a x", False)
    assert other.outside > 0.3
    assert same.outside < 0.02
    assert other.first[2] == pytest.approx(0.0, abs=0.2)
    assert other.second[2] == pytest.approx(3.0, abs=0.2)


def test_a_source_is_like_itself() -> None:
    for each in compare.compare(made("a", 0), made("a", 0)):
        assert (each.distance, each.outside, each.notable) == (0.0, 0.0, False)


def test_without_scenes_the_observation_vectors_are_compared() -> None:
    bare = Samples("d", "dataset", "franka/reach", 3, {}, made("a", 0).vector)
    assert {each.name for each in compare.compare(made("a", 0), bare)} == {"observation[0]", "observation[1]"}
    with pytest.raises(UserError, match="2 and 3 numbers"):
        compare.compare(made("a", 0), Samples("d", "dataset", "franka/reach", 3, {}, np.zeros((5, 3))))


def test_only_one_task_can_be_compared() -> None:
    with pytest.raises(UserError, match="wanted one task"):
        compare.compare(made("a", 0), made("b", 0, task="franka/push"))


def test_the_page_names_every_field_and_needs_nothing_else(tmp_path: Path) -> None:
    first, second = made("<sim>", 0), made("arm", 1, shift=2.0)
    path = tmp_path / "new" / "compare.html"
    compare.write_page(path, first, [(second, compare.compare(first, second))])
    page = path.read_text()
    for word in ("robot.a x", "<b>robot.b</b>", "&lt;sim&gt;", "1 of 2 fields"):
        assert word in page
    assert "http" not in page.replace("http://www.w3.org", "")
    rows = compare.text(first, second, compare.compare(first, second))
    assert [row[""] for row in rows] == ["look", ""]
    told = compare.to_json(first, second, compare.compare(first, second))
    assert told["columns"][0]["notable"] is True


def test_a_session_on_an_arm_and_the_script_in_simulation_see_the_same_fields(tmp_path: Path) -> None:
    run, writer = session(tmp_path)
    with writer:
        recorder = Recorder(run, writer)
        for seed in range(3):
            record(stage("reach", seed), recorder)
    there = samples.read(str(run.path))
    here = samples.read("script:franka/reach", episodes=4)
    stored = samples.read("franka/reach/deployed", tmp_path / "datasets")
    assert (there.kind, here.kind, stored.kind) == ("arm", "simulation", "dataset")
    assert (there.episodes, stored.episodes) == (3, 3)
    assert list(there.columns) == list(here.columns)
    assert "robot.joint_positions 7" in here.columns
    assert "robot.quaternion w" in here.columns
    found = {each.name: each for each in compare.compare(here, there)}
    assert found["robot.quaternion w"].second[2] == pytest.approx(found["robot.quaternion w"].first[2], abs=0.05)
    assert {each.name for each in compare.compare(there, stored)} == {f"observation[{i}]" for i in range(30)}


def test_a_session_without_a_step_is_told(tmp_path: Path) -> None:
    run, writer = session(tmp_path)
    writer.close()
    with pytest.raises(UserError, match="without a step"):
        samples.read(str(run.path))
