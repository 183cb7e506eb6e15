"""The offline benchmark: what is run, in which order, that it goes on where it stopped, and what its tables say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from robot_learn.cli import main
from robot_learn.data.store import manifest
from robot_learn.errors import UserError
from robot_learn.launcher import Finished, Job
from robot_learn.preferences import cells as plan
from robot_learn.preferences.bench import Place, run_cells
from robot_learn.preferences.cells import DATA, METHODS, NOISES, Budget, Cell, cells
from robot_learn.preferences.table import RIGHT, markdown, noise_rows, read_results, rows, verdicts

RECORDED = Path(__file__).parents[3] / "benchmarks/recordings/labels"


def result(folder: Path, data: str, method: str, success: list[float]) -> None:
    figures = {"data": data, "method": method, "success": success, "normalised": [100 * rate for rate in success]}
    (folder / f"{data}--{method}.json").write_text(json.dumps(figures))


def test_random_data_come_first_for_they_tell_the_methods_apart() -> None:
    grades = [DATA[cell.data].grade for cell in cells()]
    assert grades == sorted(grades, key=plan.GRADES.index)
    assert len(grades) == len(DATA) * len(METHODS)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"data": ["drawer-open-randm"]}, "did you mean 'drawer-open-random'"),
        ({"methods": ["iql-truth"]}, "did you mean 'iql-true'"),
        ({"data": ["soccer-expert"], "noise": True}, "wrong labels are swept on"),
    ],
)
def test_what_is_not_in_the_benchmark_is_refused_by_name(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        cells(**wrong)


class Imagined:
    """A launcher that runs nothing and notes what it was given; jobs that are named fail."""

    def __init__(self, failing: str = "nothing") -> None:
        self.failing, self.jobs = failing, list[Job]()

    def run(self, jobs: Sequence[Job]) -> Iterator[Finished]:
        for job in jobs:
            self.jobs.append(job)
            yield Finished(job, int(self.failing in job.name), 0.0)


def test_what_cells_share_is_made_once_and_what_fails_takes_its_cells_along(tmp_path: Path) -> None:
    place, said = Place(tmp_path, tmp_path / "labels"), list[str]()
    wanted = cells(["cart-pole-random"], ["iql-simulated", "cpl-simulated", "iql-vlm", "bc"])
    launcher = Imagined(failing="label bench/cart-pole-random simulated-oracle, round 1")
    run = [cell for cell in wanted if cell.method in ("iql-simulated", "cpl-simulated", "iql-vlm")]
    assert run_cells(run, place, Budget(), launcher=launcher, say=said.append) == []  # type: ignore[arg-type]
    names = [job.name for job in launcher.jobs]
    assert names[-2:] == ["collect bench/cart-pole-random", "label bench/cart-pole-random simulated-oracle, round 1"]
    assert any("left out  cart-pole-random--iql-vlm" in line for line in said)


def test_mistakes_are_swept_on_the_pairs_that_were_chosen_without(tmp_path: Path) -> None:
    place, launcher = Place(tmp_path, tmp_path / "labels"), Imagined()
    wanted = cells(["cart-pole-random"], ["iql-mae-mistaken-0.3", "cpl-cross-entropy-mistaken-0.3"], noise=True)
    run_cells(wanted, place, Budget(rounds=ROUNDS), launcher=launcher, say=print)  # type: ignore[arg-type]
    labels = {job.name: job.words for job in launcher.jobs if job.name.startswith("label")}
    rounds = [f"label bench/cart-pole-random simulated-oracle, round {number}" for number in (1, 2)]
    assert list(labels) == [*rounds, "label bench/cart-pole-random simulated-mistaken-0.3"]
    words = labels[rounds[0]], labels["label bench/cart-pole-random simulated-mistaken-0.3"]
    assert words[1][words[1].index("--of") + 1] == words[0][words[0].index("--out") + 1]
    assert "mistaken:0.3" in words[1]


def test_recorded_labels_hold_for_data_that_grew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The drawer's are about its first episodes; their dataset is collected first, so that the larger one knows it."""
    data = plan.Data("mujoco/cart-pole", "random", 12, 5, recorded=4)
    monkeypatch.setitem(plan.DATA, "cart-pole-random", data)
    place, said = Place(tmp_path, tmp_path / "vlm"), list[str]()
    cell = Cell("cart-pole-random", "iql-vlm")
    run_cells([cell], place, Budget(), say=said.append)
    told = manifest(data.name, place.root)
    assert told["episodes"] == 12
    (first,) = told["earlier"]
    assert main([*data.collect(str(tmp_path / "alone"), 4)]) == 0
    assert manifest(data.name, tmp_path / "alone")["hash"] == first


@pytest.mark.parametrize("name", [name for name, data in DATA.items() if data.recorded])
def test_what_a_model_was_asked_about_first_is_among_the_episodes_that_are_collected_first(name: str) -> None:
    labels = [json.loads(line) for line in (RECORDED / f"{name}-vlm.jsonl").read_text().splitlines()]
    of_the_first = [label for label in labels if label["dataset"] == labels[0]["dataset"]]
    assert max(label[side][0] for label in of_the_first for side in ("first", "second")) < DATA[name].recorded


ROUNDS = (plan.Round(20, "even", "k-center"), plan.Round(10))


def test_a_cell_runs_from_nothing_to_its_result_and_only_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(plan.DATA, "cart-pole-random", plan.Data("mujoco/cart-pole", "random", 12, 5))
    monkeypatch.setattr("robot_learn.preferences.bench.SEEDS", 1)
    monkeypatch.setattr("robot_learn.preferences.bench.EPISODES", 2)
    place, budget, said = Place(tmp_path, tmp_path / "vlm"), Budget(rounds=ROUNDS, updates=30), list[str]()
    wanted = [Cell("cart-pole-random", "iql-simulated")]
    (path,) = run_cells(wanted, place, budget, say=said.append)
    found = json.loads(path.read_text())
    assert len(found["success"]) == len(found["normalised"]) == 1
    assert found["budget"]["updates"] == 30
    assert found["offline"]["rewards"] == "rewards.npz"
    labels = (tmp_path / "labels/cart-pole-random/simulated-oracle.jsonl").read_text().splitlines()
    assert 20 < len(labels) <= 30, "the second round asked about others"
    assert run_cells(wanted, place, budget, say=said.append) == []
    assert said[-1] == "1 cells, 1 with a result"


def test_tables_tell_what_was_run_and_leave_the_rest_open(tmp_path: Path) -> None:
    result(tmp_path, "drawer-open-random", "iql-true", [0.8, 0.9, 1.0, 0.9, 0.9])
    result(tmp_path, "drawer-open-random", "iql-vision", [0.8, 0.8, 0.9, 0.9, 0.7])
    result(tmp_path, "drawer-open-random", "iql-average", [0.0] * 5)
    result(tmp_path, "cart-pole-random", "iql-true", [0.5] * 5)
    found = read_results(tmp_path)
    drawer, pole = rows(found)
    assert (drawer["data"], drawer["iql-true"], drawer["bc"]) == ("drawer-open-random", drawer["iql-true"], "-")
    assert drawer["iql-true"].startswith("90%")
    assert pole["iql-true"] == "50% (50-50)"
    answers = verdicts(found)
    assert answers["drawer-open-random, iql-vision: share of IQL's success with the true reward"].startswith("0.93")
    assert "| cart-pole-random | 50% (50-50) | - |" in markdown(found)
    assert noise_rows(found) == []


def test_the_sweep_has_a_row_a_learner_and_a_column_a_noise(tmp_path: Path) -> None:
    result(tmp_path, "cart-pole-random", plan.noisy("cpl", "cross-entropy", NOISES[1]), [0.4] * 5)
    result(tmp_path, "cart-pole-random", plan.noisy("iql", "mae", NOISES[1]), [0.3] * 5)
    result(tmp_path, "cart-pole-random", "cpl-simulated", [0.6] * 5)
    result(tmp_path, "cart-pole-random", "iql-simulated", [0.7] * 5)
    found = read_results(tmp_path)
    mae, cpl = noise_rows(found)
    assert (mae["learner"], mae["loss"], mae[NOISES[1]]) == ("iql", "mae", "30% (30-30)")
    assert mae[RIGHT] == "-", "right labels were never fitted with this loss"
    assert (cpl["learner"], cpl[RIGHT], cpl[NOISES[1]], cpl[NOISES[0]]) == ("cpl", "60% (60-60)", "40% (40-40)", "-")
    assert noise_rows(found, "normalised")[1][NOISES[1]] == "40 (40-40)"
    assert "| cart-pole-random | cpl | cross-entropy | 60% (60-60) | - | 40% (40-40) |" in markdown(found)


def test_a_file_that_is_no_result_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "results/offline"
    folder.mkdir(parents=True)
    (folder / "x.json").write_text("{}")
    assert main(["bench", "offline", "--dry-run", "--out", str(tmp_path), "--docs", str(tmp_path)]) == 2
    assert "x.json is no result" in capsys.readouterr().err
