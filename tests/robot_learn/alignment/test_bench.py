"""The benchmark of corrections: what is played, that it only ever adds, and what its tables make of results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_learn.alignment.bench import UNTAUGHT, UNTAUGHT_SEEDS, Cell, cells, run_cells
from robot_learn.alignment.lines import read_lines
from robot_learn.alignment.table import Row, page, rows, short
from robot_learn.cli import main
from robot_learn.envs import EVAL_SEED0
from robot_learn.errors import UserError
from robot_learn.evaluation import wilson_interval


def test_seeds_come_one_after_the_other_so_that_half_a_run_has_something_of_everything() -> None:
    seeds = [cell.seed for cell in cells(["pendulum", "uav-gate"], ["paper", "full"], 3, [0.0, 0.1])]
    assert seeds == sorted(seeds)
    assert seeds.count(0) == 8
    assert len(cells(["pendulum"], [UNTAUGHT], 50)) == UNTAUGHT_SEEDS


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"systems": ["pendulm"]}, "did you mean 'pendulum'"),
        ({"rules": ["papr"]}, "did you mean 'paper'"),
        ({"seeds": 0}, "wanted 1 or more"),
        ({"mistaken": [1.0]}, "wanted a share"),
    ],
)
def test_what_is_not_in_the_benchmark_is_refused_by_name(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        cells(**wrong)


def test_a_game_is_played_once_and_its_line_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = cells(["pendulum"], [UNTAUGHT, "full"], 2)
    said: list[str] = []
    assert run_cells(wanted, tmp_path, 1, said.append) == 4
    path = tmp_path / "pendulum--full.jsonl"
    first = path.read_text()
    assert run_cells(wanted, tmp_path, 1, said.append) == 0
    assert path.read_text() == first
    line = read_lines(path)[0]
    assert line["truth_kept"]
    assert line["error"] < 0.02
    assert len(line["log_volume"]) == line["pushes"] + line["stops"]
    assert line["held_out"]["episodes"] == 3

    path.write_text(first + '{"seed": 2, "torn')
    monkeypatch.setattr("robot_learn.alignment.bench.MOST_CORRECTIONS", 1)  # another setting: another result
    assert run_cells(cells(["pendulum"], ["full"], 1), tmp_path, 1, said.append) == 1
    assert path.read_text().startswith(first)
    found = rows(tmp_path)
    assert [(row.rule, row.games) for row in found] == [(UNTAUGHT, 2), ("full", 1)]
    assert found[1].lines[0]["outcome"] == "corrections"


def test_games_of_the_benchmark_have_seeds_that_nothing_else_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    from robot_learn.alignment import bench

    seen = []
    checked = bench.held_out
    monkeypatch.setattr(
        bench, "held_out", lambda game, mpc, theta, seed: seen.append(seed) or checked(game, mpc, theta, seed)
    )
    first, second = (bench.run_cell(Cell("pendulum", "full", 7)) for _ in range(2))
    assert seen == [bench.SEED0 + 7] * 2
    assert bench.SEED0 >= EVAL_SEED0
    for name in ("pushes", "stops", "error", "log_volume", "held_out"):
        assert first[name] == second[name]


def line(seed: int, outcome: str, pushes: int, passed: int, **rest: Any) -> dict[str, Any]:
    return {
        "seed": seed,
        "outcome": outcome,
        "pushes": pushes,
        "stops": 1,
        "steps": 100,
        "unsafe_steps": 1,
        "truth_kept": True,
        "log_volume": [2.0, 1.0],
        "held_out": {"episodes": 9, "passed": passed, "geometry": 9, "steps": 900, "unsafe": 9 - passed},
        "seconds": {"plan": 0.001, "cut": None, "update": 0.003},
        "setting": {"mistaken": 0.0, "epsilon": 0.25},
    } | rest


def test_success_is_a_satisfied_person_and_every_held_out_episode() -> None:
    row = Row(
        "uav-gate",
        "full",
        0.0,
        (line(0, "satisfied", 4, 9), line(1, "satisfied", 6, 8), line(2, "corrections", 60, 9)),
    )
    assert row.successes == 1
    assert row.figures()["success_interval_95"] == wilson_interval(1, 3)
    assert row.spread("pushes") == (5.0, pytest.approx(np.sqrt(2.0)))
    assert row.share("unsafe", "steps") == pytest.approx(1 / 2700)
    assert row.milliseconds("cut") is None
    assert short(row)["plan, cut, update [ms]"] == "1, -, 3"
    assert "15.66 ± 10.61" in page([row])
    assert "| full | 3 | 2 | 6.0 ± 1.4 |" in page([row])


def test_the_page_and_its_pictures_are_written_from_results_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["bench", "alignment", "--dry-run", "--out", str(tmp_path / "results"), "--docs", str(tmp_path / "docs")]
    assert main(words) == 2
    assert "there are no results" in capsys.readouterr().err
    path = tmp_path / "results" / "uav-gate--full.jsonl"
    path.write_text(json.dumps(line(0, "satisfied", 4, 9)) + "\n")
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["corrections"] == [5.0, 0.0]
    assert {entry.name for entry in (tmp_path / "docs").iterdir()} == {
        "alignment.md",
        "alignment-corrections.png",
        "alignment-volume.png",
    }
    path.write_text('{"seed": 1}\n')
    assert main(words) == 2
    assert "line 1, is no result" in capsys.readouterr().err


def test_a_game_that_fails_is_named_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from robot_learn.alignment import bench

    def run_cell(cell: Cell) -> dict[str, Any]:
        if cell.seed == 0:
            raise ArithmeticError("no centre")
        return line(cell.seed, "satisfied", 1, 9)

    monkeypatch.setattr(bench, "run_cell", run_cell)
    said: list[str] = []
    assert run_cells(cells(["pendulum"], ["full"], 2), tmp_path, 1, said.append) == 1
    assert "s0 failed: ArithmeticError: no centre" in said[1]
    assert [each["seed"] for each in read_lines(tmp_path / "pendulum--full.jsonl")] == [1]
